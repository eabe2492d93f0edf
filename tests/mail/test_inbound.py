"""A received mail out of its bytes: what is read, and that nothing which anybody sends is too much."""

import base64
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.mail import inbound, safe
from cleanmails.rules import inbox
from tests.corpus.letters import all_of_them
from tests.rules.inbox.test_corpus import NOW

CORPUS = [raw for _, raw, _ in all_of_them()]


def read(raw):
    """The value and its meaning, whatever the bytes."""
    letter = inbound.parse(raw)
    meaning = inbox.judge(letter, NOW)
    for text in (letter.subject, letter.text, letter.reply, letter.html, letter.from_address, meaning.said):
        text.encode()
        assert "\x00" not in text
        assert len(text) <= inbound.MOST_TEXT
    assert len(letter.returned) <= 100
    assert letter.from_address == letter.from_address.lower()
    return letter, meaning


def test_header_text_is_read_in_whatever_form_it_comes():
    forms = [
        b"=?utf-8?b?R3LDvMOfZSBhdXMgS8O2bG4=?=",
        b"=?iso-8859-1?q?Gr=FC=DFe_aus_K=F6ln?=",
        "Grüße aus Köln".encode(),
        "Grüße aus Köln".encode("latin-1"),
        "Grüße\r\n aus\r\n\tKöln".encode(),
    ]
    for form in forms:
        assert inbound.parse(b"Subject: " + form + b"\r\n\r\nx").subject == "Grüße aus Köln"


def test_texts_are_decoded_by_their_charset_or_by_what_they_are():
    for charset in ("utf-8", "iso-8859-1", "windows-1252", "utf-16", "no-such-charset", "punycode", '"'):
        data = base64.b64encode(
            "Grüße".encode(charset if charset in {"utf-8", "iso-8859-1", "windows-1252", "utf-16"} else "utf-8")
        )
        raw = f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: base64\n\n".encode() + data
        assert inbound.parse(raw).text == "Grüße"


def test_the_digest_is_that_of_every_copy():
    raw = CORPUS[0]
    assert inbound.parse(raw).digest == inbound.parse(b"Received: by elsewhere\nX-Folder: Spam\n" + raw).digest
    assert inbound.parse(raw).digest != inbound.parse(raw.replace(b"bob", b"eve")).digest
    assert len({inbound.parse(each).digest for each in CORPUS}) == len(CORPUS)


def test_attachments_are_listed_with_their_size():
    data = base64.encodebytes(bytes(3_000_000)).decode()
    raw = (
        "From: a@b.c\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: application/zip; name*=utf-8''%C3%A4.zip\n"
        f"Content-Transfer-Encoding: base64\n\n{data}\n--b\nContent-Type: text/plain\n\nBelow it.\n--b--\n"
    )
    letter, _ = read(raw.encode())
    [zipped] = letter.attachments
    assert (zipped.name, zipped.type, letter.text, letter.cut) == ("ä.zip", "application/zip", "Below it.", False)
    assert abs(zipped.size - len(data)) < 1_000


HOSTILE = {
    "an attachment of 25 MB": b"From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nhi\n--b\nContent-Type: a/b\n"
    b"Content-Transfer-Encoding: base64\n\n" + (b"A" * 76 + b"\n") * 340_000 + b"--b--\n",
    "parts without end": b"From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 50_000,
    "parts within parts": b"From: a@b.c\n" + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1_000)),
    "mails within mails": b"From: a@b.c\n" + b"Content-Type: message/rfc822\n\n" * 2_000,
    "headers without end": b"A: b\n" * 100_000,
    "one endless header": b"Subject: " + b"x" * 1_000_000 + b"\n\nhi",
    "10,000 recipients": b"From: a@b.c\nTo: " + b", ".join(b"u%d@x.example" % n for n in range(10_000)) + b"\n\nhi",
    "a report on 10,000": b"From: MAILER-DAEMON@x\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/delivery-status"
    b"\n\nReporting-MTA: x\n\n" + b"Final-Recipient: rfc822; u@x.example\nAction: failed\nStatus: 5.1.1\n\n" * 10_000 + b"--b--\n",
    "empty lines": b"From: a@b.c\n\n" + b"\n" * 400_000,
    "bare carriage returns": b"From: a@b.c\n\n" + b"\r" * 400_000,
    "tags without end": b"From: a@b.c\nContent-Type: text/html\n\n" + b"<div>" * 100_000,
    "quotes without end": b"From: a@b.c\n\n" + b"> x\n" * 250_000,
    "words that nearly match": b"From: b@x\nSubject: Re: x\n\n" + b"On \n" * 10_000 + b"please stop until 1. " * 20_000,
    "addresses without end": b"From: MAILER-DAEMON@x\nSubject: failure notice\n\n" + b"u@x.example " * 30_000,
    "one endless word": b"From: MAILER-DAEMON@x\nSubject: failure notice\n\n" + b"a" * 250_000,
    "comments within comments": b"From: " + b"(" * 100_000 + b"\n\nx",
    "quotes in an address": b"From: " + b'"\\' * 100_000 + b"@x\n\nx",
    "encoded words without end": b"From: a@b.c\nSubject: " + b"=?utf-8?q?x?= " * 5_000 + b"\n\nx",
    "references without end": b"From: a@b.c\nReferences: " + b"<a@b> " * 100_000 + b"\n\nx",
    "parameters without end": b"From: a@b.c\nContent-Type: text/plain" + b"; a*0*=x" * 50_000 + b"\n\nx",
    "only NUL": b"\x00" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_what_is_too_much_is_cut(raw):
    letter, _ = read(raw)
    assert len(letter.references) <= 100
    assert len(letter.attachments) <= inbound.MOST_PARTS


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_mail_is_read_too(data):
    raw = bytearray(data.draw(st.sampled_from(CORPUS)))
    for _ in range(data.draw(st.integers(0, 12))):
        if not raw:
            break
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.integers(0, 3)):
            case 0:
                raw[at] = data.draw(st.integers(0, 255))
            case 1:
                del raw[at : at + data.draw(st.integers(1, 200))]
            case 2:
                raw[at:at] = data.draw(st.binary(max_size=40))
            case 3:
                raw[at:at] = bytes(raw[: data.draw(st.integers(0, 300))])
    read(bytes(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2_000) | st.text(max_size=500).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_mail(raw):
    read(raw)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["<b>", "</b>", "<script>x</script>", '<a href="javascript:x">', "<img src=x onerror=x>", "<svg/onload=x>", "<", ">", "&lt;", "x", "<style>@import 'x'</style>", "<iframe src=//x>", '<p style="background:url(//x)">', "<!--", "-->"]), max_size=30))  # fmt: skip
def test_shown_markup_holds_nothing_that_acts_or_fetches(pieces):
    tags = "".join(re.findall("<[^>]*>", (safe.clean("".join(pieces)) or "").lower()))
    for word in ("<script", "<img", "<iframe", "<svg", "<style", "javascript:", "onerror", "onload", "style=", "src="):
        assert word not in tags
