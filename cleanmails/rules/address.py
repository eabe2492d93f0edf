"""E-mail addresses: whether one can be mailed by its syntax (RFC 5321, RFC 5322, RFC 6531 and the IDNA of its domain), and its one written form."""

import re
import unicodedata
from collections.abc import Sequence

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

# Nearly all addresses look like this and need no closer look. What matches is right by the full check as well (a test holds that): no label can be
# too long in so few characters, "--" may be Punycode, and the names left out at the end are never deliverable (RFC 6761, RFC 6762, RFC 7686).
_COMMON = re.compile(
    r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+(?!(?:arpa|invalid|local|localhost|onion)\Z)[a-z]{2,}",
    re.ASCII | re.IGNORECASE,
)
_LABEL = 63  # characters of a label (RFC 1035, 2.3.1), and so of a whole address that cannot break a limit
_LONGEST = 320  # beyond it nobody meant an address, and the full check would take its time


class AddressError(ValueError):
    """The text is no address that can be mailed; the message says why, in a sentence."""


def normal(text: str) -> str:
    """The address in lower case, an international domain in its ASCII form, without white space around it. AddressError if it is none.

    The part before the @ is taken as case-insensitive: the standard leaves that to the receiver, and no receiver that matters tells them apart.
    It must be ASCII and unquoted. Names under `.test` are taken: they are for trying things out.
    """
    text = text.strip()
    if len(text) <= _LABEL and _COMMON.fullmatch(text):
        return text.lower()
    found = _checked(text, international=False)
    assert found.ascii_email is not None
    return found.ascii_email.lower()


def recipient(text: str) -> str:
    """As `normal`, for whom we write to: the part before the @ may be in any script (RFC 6531), in composed characters (RFC 6532, 3.1).

    Such a mail goes out where the sender's server offers SMTPUTF8. AddressError if it is no address.
    """
    text = text.strip()
    if text.isascii():
        return normal(text)
    found = _checked(text, international=True)
    if found.ascii_email is not None:
        return normal(text)
    local = unicodedata.normalize("NFC", found.local_part.lower())
    if local.isascii():  # a letter that lower case turns into a plain one: the address of somebody else
        raise AddressError("The part before the @-sign holds a letter that cannot be told from a plain one.")
    return f"{local}@{found.ascii_domain}"


def recipients(texts: Sequence[str]) -> list["str | AddressError"]:
    """`recipient` of each, with its error in its place: a column of a table, at a fraction of the cost."""
    plain = [text if text.isascii() else "" for text in texts]  # a letter that lower case makes a plain one is none
    common = _COMMON.fullmatch
    return [
        low if len(low) <= _LABEL and common(low) else _recipient(text)
        for low, text in zip(map(str.lower, map(str.strip, plain)), texts, strict=True)
    ]


def _recipient(text: str) -> "str | AddressError":
    try:
        return recipient(text)
    except AddressError as error:
        return error


def _checked(text: str, *, international: bool) -> ValidatedEmail:
    if not text or len(text) > _LONGEST:
        raise AddressError("The e-mail address is empty." if not text else "The e-mail address is too long.")
    try:
        found = validate_email(
            text, check_deliverability=False, allow_smtputf8=international, strict=True, test_environment=True
        )
    except EmailNotValidError as error:
        raise AddressError(str(error)) from None
    if "." not in found.ascii_domain:
        raise AddressError("The part after the @-sign is not valid. It should have a period.")
    return found


def domain(text: str) -> str:
    """A domain name in the form that `normal` gives it; a leading @ is ignored. AddressError if no address can be at it."""
    return normal("a@" + text.strip().removeprefix("@")).removeprefix("a@")
