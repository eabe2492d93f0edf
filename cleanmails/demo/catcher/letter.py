"""A caught mail read for people: headers, parts, and whether its DKIM signatures hold."""

import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage

import dkim
import msgspec

Texts = Callable[[str], list[bytes]]
"""The TXT records at a name: `Zone.texts`."""


class Signature(msgspec.Struct, frozen=True):
    """One DKIM signature: whose (`d=`), whether it holds, and why not."""

    domain: str
    holds: bool
    reason: str


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A mail, decoded. A part that is not there is None."""

    headers: list[tuple[str, str]]
    text: str | None
    html: str | None
    signatures: list[Signature]

    def header(self, name: str) -> str:
        """The first header of this name, or nothing."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def read(raw: bytes, texts: Texts) -> Letter:
    """Reads a mail of any quality: what cannot be decoded is shown as it is."""
    message = email.message_from_bytes(raw, _class=EmailMessage, policy=email.policy.default)
    return Letter(
        headers=[(name, _printable(value)) for name, value in _headers(message)],
        text=_part(message, "plain"),
        html=_part(message, "html"),
        signatures=_signatures(raw, message, texts),
    )


def _headers(message: EmailMessage) -> list[tuple[str, str]]:
    try:
        return [(name, str(value)) for name, value in message.items()]
    except (ValueError, IndexError, AttributeError):  # what the parser of structured headers stumbles over
        return [(name, str(value)) for name, value in message.raw_items()]


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _part(message: EmailMessage, kind: str) -> str | None:
    """The first part of a kind that is no attachment."""
    for part in message.walk():
        if part.get_content_type() == f"text/{kind}" and not part.is_attachment():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            try:
                return payload.decode(part.get_content_charset("utf-8"), "replace")
            except LookupError:
                return payload.decode("latin-1")
    return None


def _signatures(raw: bytes, message: EmailMessage, texts: Texts) -> list[Signature]:
    signed = message.get_all("DKIM-Signature", [])
    return [_signature(raw, place, str(value), texts) for place, value in enumerate(signed)]


def _signature(raw: bytes, place: int, value: str, texts: Texts) -> Signature:
    tags = dict(part.strip().partition("=")[::2] for part in value.split(";"))
    domain = tags.get("d", "")
    try:
        verifier = dkim.DKIM(raw)
        holds = verifier.verify(idx=place, dnsfunc=lambda name, **_: next(iter(texts(name.decode())), None))
    except (dkim.DKIMException, ValueError) as error:
        return Signature(domain, holds=False, reason=str(error))
    return Signature(domain, holds, "" if holds else "body or headers were changed, or there is no key")
