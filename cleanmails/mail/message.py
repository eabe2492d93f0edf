"""The bytes of a mail (RFC 5322, MIME), put together without the `email` package, which is its oracle in the tests.

    dressed = html.dress(resolved, unsubscribe_url=..., postal_address=..., wrap=lambda number, url: ..., pixel_url=...)   # Dressed(html, text)
    message = compose(Letter(message_id=..., date=..., ..., html=dressed.html, text=dressed.text))                         # Message(raw, needs_smtputf8)
    raw = dkim.sign(message.raw, key, signed_at=...)
    fingerprint(raw)                                            # sha256 hex over all but Date and DKIM-Signature: preview equals sent

Nothing varies here that is not an argument: the same letter gives the same bytes. `Auto-Submitted` and `Precedence` are left out: each mail is
one person's to another.
"""

import base64
import binascii
import hashlib
import re
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from cleanmails.errors import Fault, InvalidError
from cleanmails.mail.headers import ascii_domain, mailbox_field, text_field, token_field, wire_address

__all__ = ["Letter", "Message", "compose", "fingerprint", "message_id", "wire_address"]

_MAX_LINE = 998  # octets, CRLF not counted (RFC 5322, 2.1.1)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MAILTO = "@!$'*+"  # what of an address stands for itself in a mailto address, besides letters, digits and `_.-~` (RFC 6068, 2)
_PLAIN = bytes([9, 10, *range(32, 127)])
_VARYING = re.compile(rb"^(?:date|dkim-signature):.*\r\n(?:[ \t].*\r\n)*", re.IGNORECASE | re.MULTILINE)


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """All that one mail is made of. `date` is aware; `message_id`, `in_reply_to` and `references` stand in angle brackets.

    `unsubscribe_url` (https) brings one-click unsubscription with it (RFC 8058), `unsubscribe_mailto` is the address that takes it by mail.
    """

    message_id: str
    date: datetime
    sender_address: str
    recipient_address: str
    subject: str
    html: str
    text: str
    sender_name: str = ""
    recipient_name: str = ""
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    reply_to: str | None = None
    unsubscribe_url: str | None = None
    unsubscribe_mailto: str | None = None
    feedback_id: str | None = None


class Message(msgspec.Struct, frozen=True):
    """A mail's bytes, CRLF throughout. `needs_smtputf8`: an address has a local part beyond ASCII, so the server must offer SMTPUTF8."""

    raw: bytes
    needs_smtputf8: bool


def compose(letter: Letter) -> Message:
    """The mail as multipart/alternative, unsigned. Raises InvalidError for an address or one of our own values that cannot stand in a header."""
    fields = _headers(letter)
    # A word that no part can foresee, and the same one for the same letter.
    boundary = f"=_{hashlib.blake2b(letter.message_id.encode(), digest_size=12).hexdigest()}"
    head = "\r\n".join(
        (*fields, "MIME-Version: 1.0", f'Content-Type: multipart/alternative; boundary="{boundary}"'),
    )
    dashes = f"\r\n--{boundary}".encode()
    plain, markup = _part(b"plain", letter.text), _part(b"html", letter.html)
    raw = b"".join((head.encode(), b"\r\n", dashes, b"\r\n", plain, dashes, b"\r\n", markup, dashes, b"--\r\n"))
    return Message(raw, not head.isascii())


def message_id(token: bytes, domain: str) -> str:
    """A Message-ID on the sender's domain from bytes that no other mail has."""
    return f"<{token.hex()}@{ascii_domain(domain)}>"


def fingerprint(raw: bytes) -> str:
    """SHA-256 (hex) of a mail without Date and DKIM-Signature: two mails that have the same are the same to whoever reads them."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    digest = hashlib.sha256(_VARYING.sub(b"", head + b"\r\n"))
    digest.update(separator + body)
    return digest.hexdigest()


def _headers(letter: Letter) -> list[str]:
    fields = [
        f"Date: {_date(letter.date)}",
        mailbox_field("From", letter.sender_name, letter.sender_address),
        mailbox_field("To", letter.recipient_name, letter.recipient_address),
        text_field("Subject", letter.subject),
        token_field("Message-ID", letter.message_id),
    ]
    if letter.in_reply_to:
        fields.append(token_field("In-Reply-To", letter.in_reply_to))
    if letter.references:
        fields.append(token_field("References", " ".join(letter.references)))
    if letter.reply_to:
        fields.append(mailbox_field("Reply-To", "", letter.reply_to))
    fields += _unsubscribe(letter.unsubscribe_url, letter.unsubscribe_mailto)
    if letter.feedback_id:
        fields.append(token_field("Feedback-ID", letter.feedback_id))
    return fields


def _unsubscribe(url: str | None, mailto: str | None) -> list[str]:
    """RFC 2369 and RFC 8058."""
    ways = [f"<{url}>"] if url else []
    if mailto:
        ways.append(f"<mailto:{quote(wire_address(mailto), safe=_MAILTO)}?subject=unsubscribe>")
    fields = [token_field("List-Unsubscribe", ", ".join(ways))] if ways else []
    if url:
        fields.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    return fields


def _date(date: datetime) -> str:
    """RFC 5322, 3.3. The standard library's formatter takes five times as long."""
    if date.tzinfo is None:
        raise InvalidError([Fault("date", "date", "A mail's date needs a time zone.")])
    date = date.astimezone(UTC)
    clock = f"{date.hour:02}:{date.minute:02}:{date.second:02}"
    return f"{_DAYS[date.weekday()]}, {date.day:02} {_MONTHS[date.month - 1]} {date.year:04} {clock} +0000"


def _part(subtype: bytes, text: str) -> bytes:
    """One part with its headers, in the plainest encoding that carries it unharmed through any server."""
    data = text.encode("utf-8", "replace")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    encoding, content = _encoded(data)
    return b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (
        subtype,
        encoding,
        content,
    )


def _encoded(data: bytes) -> tuple[bytes, bytes]:
    odd = len(data.translate(None, _PLAIN))
    if not odd and _fits(data):
        return b"7bit", data.replace(b"\n", b"\r\n")
    if odd * 6 < len(data):  # each odd byte takes three in quoted-printable; base64 takes a third more of all
        quoted = binascii.b2a_qp(data)
        if _fits(quoted):
            return b"quoted-printable", quoted.replace(b"\n", b"\r\n")
    lines = base64.encodebytes(data.replace(b"\n", b"\r\n"))
    return b"base64", lines.replace(b"\n", b"\r\n")


def _fits(data: bytes) -> bool:
    """Whether lines are short enough, and none begins with `From `, which old stores change (and a signature does not survive)."""
    if data.startswith(b"From ") or b"\nFrom " in data:
        return False
    start = 0
    while len(data) - start >= _MAX_LINE:  # from one line end to the last one within reach
        start = data.rfind(b"\n", start, start + _MAX_LINE) + 1
        if not start:
            return False
    return True
