import random
from datetime import UTC, datetime
from functools import cache

import dkim as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.errors import SettingsError
from cleanmails.mail import dkim
from cleanmails.mail.message import Letter, compose, fingerprint

ANY_TEXT = st.text(st.characters(), max_size=200)


@cache
def made():
    """One key for all tests: making one takes a quarter of a second."""
    pem, public = dkim.generate_key()
    return dkim.load_key(pem, domain="sender.example", selector="s1"), dkim.dns_record(public), pem


def mail(**changed):
    fields = {
        "message_id": "<token@sender.example>",
        "date": datetime(2026, 3, 1, tzinfo=UTC),
        "sender_name": "Ann",
        "sender_address": "ann@sender.example",
        "recipient_address": "ada@lead.example",
        "subject": "Quick  question \t here",
        "html": "<p>Hello</p>\n  <p>two  blanks\tand a tab  \n</p>\n\n\n",
        "text": "Hello   \n\n\n",
        "in_reply_to": "<1@sender.example>",
        "references": ("<1@sender.example>",),
        "reply_to": "ann@sender.example",
        "unsubscribe_url": "https://u.example/unsubscribe/t",
        "unsubscribe_mailto": "ann@sender.example",
        "feedback_id": "1:2:3:x",
    }
    return compose(Letter(**(fields | changed))).raw


def signed(raw):
    return dkim.sign(raw, made()[0], signed_at=1_770_000_000)


def verifies(raw):
    def dns(name, timeout=5):
        return made()[1].encode() if name == b"s1._domainkey.sender.example." else None

    return oracle.verify(raw, dnsfunc=dns)


def test_a_signed_mail_verifies_and_is_the_same_mail():
    raw = mail()
    assert verifies(signed(raw))
    assert signed(raw).endswith(raw)
    assert fingerprint(signed(raw)) == fingerprint(raw)


def test_every_header_that_matters_is_signed_and_three_are_sealed():
    tag = b"".join(signed(mail()).partition(b" h=")[2].partition(b";")[0].split())
    names = tag.split(b":")
    assert set(names) == {name.encode() for name in dkim.SIGNED}
    assert {name for name in names if names.count(name) == 2} == {b"from", b"to", b"subject"}


@settings(deadline=None)
@given(subject=ANY_TEXT, name=ANY_TEXT, html=ANY_TEXT, text=ANY_TEXT)
def test_any_mail_verifies(subject, name, html, text):
    assert verifies(signed(mail(subject=subject, recipient_name=name, html=html, text=text)))


@pytest.mark.parametrize(
    "body", [b"", b"\r\n", b"\r\n\r\n", b" \r\n\t\r\n", b"a", b"a \t b\r\n \r\n", b"a\r\n\r\nb", b"\ta\r\n"]
)
def test_bodies_of_blanks_and_without_ends_verify(body):
    assert verifies(signed(b"From: a@sender.example\r\nSubject:  x\r\n\t y  \r\n\r\n" + body))


def test_a_field_that_stands_there_twice_is_signed_twice():
    assert verifies(signed(b"From: a@sender.example\r\nReply-To: a@x.example\r\nREPLY-TO: b@x.example\r\n\r\nx\r\n"))


def test_a_byte_changed_anywhere_is_seen():
    raw = signed(mail())
    dice = random.Random(1)
    head_end = raw.index(b"\r\n\r\n")
    for _ in range(150):
        position = dice.randrange(len(raw))
        byte = raw[position : position + 1]
        line_start = raw.rfind(b"\n", 0, position) + 1
        in_name = (
            position < head_end and b":" not in raw[line_start:position] and raw[line_start : line_start + 1] != b" "
        )
        if byte.isspace() or in_name:
            continue
        other = b"x" if byte != b"x" else b"y"
        assert not verifies(raw[:position] + other + raw[position + 1 :]), (position, byte)


@pytest.mark.parametrize("header", [b"From: x@evil.example\r\n", b"Subject: other\r\n", b"To: x@evil.example\r\n"])
def test_a_second_header_breaks_the_signature(header):
    assert not verifies(header + signed(mail()))


def test_a_domain_in_any_script_is_signed_for_in_a_labels():
    key = dkim.load_key(made()[2], domain="Müller.example", selector="s2")
    assert b" d=xn--mller-kva.example;" in dkim.sign(mail(), key, signed_at=1)


def test_lines_of_the_signature_are_short():
    head = signed(mail()).partition(b"\r\nDate:")[0]
    assert max(map(len, head.split(b"\r\n"))) <= 78


def test_a_key_is_read_once_for_each_id_and_the_oldest_goes():
    ring, read = dkim.Keyring(size=2), []

    def load(key_id):
        return ring.get(key_id, lambda: read.append(key_id) or made()[0])

    assert load(1) is load(1) is made()[0]
    load(2)
    load(1)
    load(3)
    load(1)
    load(2)
    assert read == [1, 2, 3, 2]


@pytest.mark.parametrize("pem", [b"", b"rubbish", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused_with_a_sentence(pem):
    with pytest.raises(SettingsError, match="an RSA private key in PEM is needed"):
        dkim.load_key(pem, domain="sender.example", selector="s1")


def test_the_record_is_cut_into_strings_that_dns_can_hold():
    record = made()[1]
    strings = dkim.dns_strings(record)
    assert "".join(strings) == record
    assert [len(string) <= 255 for string in strings] == [True, True]
