import pytest

from cleanmails.demo.catcher import Attempt, Rule, by_address, by_rules, parse
from cleanmails.demo.catcher.behaviour import Act, Behaviour, Point


def attempt(recipient, number=1, mail_from="ann@out.example"):
    return Attempt(mail_from=mail_from, recipient=recipient, number=number)


@pytest.mark.parametrize(
    ("text", "behaviour"),
    [
        ("refuse-rcpt-550", Behaviour(act=Act.REFUSE, point=Point.RCPT, number=550)),
        ("drop-body", Behaviour(act=Act.DROP, point=Point.BODY)),
        ("tarpit-dot-30", Behaviour(act=Act.TARPIT, point=Point.DOT, number=30)),
        ("greylist", Behaviour(act=Act.REFUSE, point=Point.RCPT, number=451, times=1)),
    ],
)
def test_a_behaviour_is_read_as_it_is_written(text, behaviour):
    assert parse(text) == behaviour


@pytest.mark.parametrize(
    "text",
    ["", "refuse", "refuse-rcpt", "refuse-rcpt-250", "refuse-rcpt-999", "explode-dot", "drop-lunch", "drop-dot-"],
)
def test_what_is_no_behaviour_is_refused(text):
    with pytest.raises(ValueError):
        parse(text)


def test_an_address_without_a_known_wish_is_taken_as_it_should_be():
    for address in ("bob@corp.example", "bob+news@corp.example", "bob+refuse-rcpt-200@corp.example", ""):
        assert by_address(attempt(address)) is None


def test_a_refusal_has_words_with_an_enhanced_code():
    assert parse("refuse-rcpt-550").reply == "550 5.1.1 no such mailbox"
    assert parse("refuse-rcpt-571").reply.startswith("571 5.0.0 ")


def test_a_share_of_the_tries_meets_with_a_rule_and_a_seed_repeats_it():
    rules = [Rule(match="*", do="drop-dot", share=0.25)]
    first, again, other = (by_rules(rules, seed=seed) for seed in (1, 1, 2))
    tries = [attempt(f"lead{number}@corp.example") for number in range(2_000)]
    met = [first(one) is not None for one in tries]
    assert 400 < sum(met) < 600
    assert met == [again(one) is not None for one in tries]
    assert met != [other(one) is not None for one in tries]


def test_every_try_is_drawn_anew():
    script = by_rules([Rule(match="*", do="drop-dot", share=0.5)])
    assert {script(attempt("bob@corp.example", number)) is None for number in range(1, 30)} == {True, False}


def test_the_first_rule_that_fits_wins():
    script = by_rules([Rule(match="bob@*", do="drop-dot"), Rule(match="*", do="refuse-rcpt-550")])
    assert script(attempt("bob@corp.example")) == parse("drop-dot")
    assert script(attempt("eve@corp.example")) == parse("refuse-rcpt-550")


def test_a_rule_for_mail_looks_at_the_sender():
    script = by_rules([Rule(match="ann@*", do="refuse-mail-450")])
    assert script(attempt("")) == parse("refuse-mail-450")
    assert script(attempt("ann@out.example")) is None
