"""Tokens: what was signed is read, and nothing else is."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanmails.mail.tokens import Purpose, Tokens

ALPHABET = string.ascii_letters + string.digits + "-_"
TOKENS = Tokens({1: b"k" * 32})


@given(delivery_id=st.integers(0, 2**63 - 1), purpose=st.sampled_from(Purpose))
def test_a_token_tells_its_delivery(delivery_id, purpose):
    assert TOKENS.read(TOKENS.sign(purpose, delivery_id), purpose) == delivery_id


def test_a_token_fits_into_a_link_and_stays_the_same():
    token = TOKENS.sign(Purpose.UNSUBSCRIBE, 7)
    assert set(token) <= set(ALPHABET)
    assert len(token) == 35
    assert TOKENS.sign(Purpose.UNSUBSCRIBE, 7) == token


@pytest.mark.asvs("9.2.2")
def test_a_token_for_one_purpose_is_none_for_another():
    token = TOKENS.sign(Purpose.OPEN, 7)
    assert TOKENS.read(token, Purpose.UNSUBSCRIBE) is None


def test_a_key_that_was_retired_is_still_read_and_a_lost_one_is_not():
    old = TOKENS.sign(Purpose.CLICK, 7)
    both = Tokens({1: b"k" * 32, 2: b"n" * 32}, current=2)
    new = both.sign(Purpose.CLICK, 7)
    assert new != old
    assert both.read(old, Purpose.CLICK) == both.read(new, Purpose.CLICK) == 7
    assert TOKENS.read(new, Purpose.CLICK) is None


@pytest.mark.asvs("9.1.3")
def test_a_token_of_another_installation_is_none():
    assert Tokens({1: b"x" * 32}).read(TOKENS.sign(Purpose.CLICK, 7), Purpose.CLICK) is None


def test_the_key_to_sign_with_must_be_there():
    with pytest.raises(KeyError):
        Tokens({1: b"k" * 32}, current=2)


@pytest.mark.asvs("9.1.1")
def test_no_mutated_token_is_accepted():
    dice = random.Random(1)
    for number in range(100_000):
        token = TOKENS.sign(Purpose.UNSUBSCRIBE, number)
        at = dice.randrange(len(token))
        kind = number % 4
        if kind == 0:
            mutant = token[:at] + dice.choice(ALPHABET.replace(token[at], "")) + token[at + 1 :]
        elif kind == 1:
            mutant = token[:at] + token[at + 1 :]
        elif kind == 2:
            mutant = token[:at] + dice.choice(ALPHABET) + token[at:]
        else:
            mutant = "".join(dice.choices(ALPHABET, k=len(token)))
        assert TOKENS.read(mutant, Purpose.UNSUBSCRIBE) is None


@pytest.mark.asvs("9.1.2", "1.1.1")
def test_other_spellings_of_the_same_bytes_are_no_tokens():
    token = TOKENS.sign(Purpose.UNSUBSCRIBE, 7)
    spare = [token[:-1] + letter for letter in ALPHABET if letter != token[-1]]
    plain = token.replace("-", "+").replace("_", "/")
    for other in [*spare, token + "=", *([plain] if plain != token else [])]:
        assert TOKENS.read(other, Purpose.UNSUBSCRIBE) is None


@given(text=st.text(min_size=30, max_size=40) | st.text(ALPHABET, min_size=35, max_size=35))
def test_any_other_text_is_no_token(text):
    assert TOKENS.read(text, Purpose.UNSUBSCRIBE) is None
