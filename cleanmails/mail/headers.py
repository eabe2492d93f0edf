"""Header fields (RFC 5322): text in any language (RFC 2047), addresses, folding. Whatever comes in, one field comes out."""

import binascii
import re
from contextlib import suppress
from functools import lru_cache

import idna

from cleanmails.errors import Fault, InvalidError

MAX_TEXT = 1_000  # characters of a subject or a name that are kept
MAX_DOMAIN = 253  # octets (RFC 1035, 2.3.4, without the length bytes)
LINE = 76  # characters before a fold, as encoded words want it (RFC 2047, 2)

_WORD = 52  # encoded characters in one encoded word: with `=?utf-8?q?`, `?=` and a field's name they fit in a line
_BREAKING = re.compile("[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff]+")
_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_TOKENS = re.compile(r"[\x21-\x7e]{1,900}(?: [\x21-\x7e]{1,900})*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_Q_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/")
_Q = [chr(byte) if byte in _Q_PLAIN else "_" if byte == 0x20 else f"={byte:02X}" for byte in range(256)]


def one_line(text: str) -> str:
    """Text as a header can carry it: line breaks, controls and runs of blanks become one space, lone surrogates too."""
    return _BREAKING.sub(" ", text[:MAX_TEXT]).strip()


def text_field(name: str, text: str) -> str:
    """A field of free text, without the CRLF at its end. Encoded if it is not ASCII, could be taken for an encoded word, or cannot be folded."""
    text = one_line(text)
    if text.isascii() and "=?" not in text:
        if len(name) + 2 + len(text) <= LINE:
            return f"{name}: {text}"
        if max(map(len, text.split(" "))) < LINE - len(name) - 2:
            return _folded(name, text)
    return f"{name}: {encoded_words(text)}"


def token_field(name: str, tokens: str) -> str:
    """A field of printable ASCII tokens with single spaces between them. Raises InvalidError for anything else: such values are ours."""
    if not _TOKENS.fullmatch(tokens):
        raise InvalidError(
            [Fault(name, "header", f"{name} can only hold printable ASCII, in words of at most 900 characters.")]
        )
    return f"{name}: {tokens}" if len(name) + 2 + len(tokens) <= LINE else _folded(name, tokens)


def mailbox_field(name: str, display: str, address: str) -> str:
    """A field of one mailbox. Raises InvalidError for an address that is none."""
    return f"{name}: {_mailbox(one_line(display), address)}"


@lru_cache(maxsize=2_048)
def _mailbox(display: str, address: str) -> str:
    """`Name <address>`, or the bare address if there is no name. Kept, because a few senders write most mails."""
    address = wire_address(address)
    if not display:
        return address
    return f"{_phrase(display)}{_gap(display, address)}<{address}>"


def wire_address(address: str) -> str:
    """An address as SMTP and headers carry it: its domain in A-labels (RFC 5890), its local part as it is (non-ASCII needs SMTPUTF8, RFC 6531).

    Raises InvalidError for what is no plain address: quoted local parts and comments are refused, which no list of leads holds in earnest.
    """
    local, at, domain = address.rpartition("@")
    if not at or len(local) > 64 or not _LOCAL.fullmatch(local) or len(local.encode()) > 64:
        raise _no_address(address)
    return f"{local}@{ascii_domain(domain)}"


def ascii_domain(domain: str) -> str:
    """A domain in A-labels, lower case. Raises InvalidError for one that cannot exist."""
    labels = domain.lower()
    if not domain.isascii() and len(domain) <= MAX_DOMAIN:
        with suppress(idna.IDNAError):
            labels = idna.encode(labels, uts46=True).decode()
    if len(labels) > MAX_DOMAIN or not _DOMAIN.fullmatch(labels):
        raise _no_address(domain)
    return labels


def encoded_words(text: str) -> str:
    """Text as encoded words (RFC 2047) in UTF-8, folded; the shorter of the two encodings; no character is cut in two."""
    data = text.encode()
    quoted = sum(len(_Q[byte]) for byte in data) <= len(data) * 4 / 3
    words: list[str] = []
    room = 0
    for character in text:
        piece = character.encode()
        size = sum(len(_Q[byte]) for byte in piece) if quoted else len(piece)
        if size > room:
            words.append("")
            room = _WORD if quoted else _WORD * 3 // 4
        words[-1] += character
        room -= size
    return "\r\n ".join(map(_quoted_word if quoted else _base64_word, words))


def _quoted_word(text: str) -> str:
    return f"=?utf-8?q?{''.join(_Q[byte] for byte in text.encode())}?="


def _base64_word(text: str) -> str:
    return f"=?utf-8?b?{binascii.b2a_base64(text.encode(), newline=False).decode()}?="


def _phrase(display: str) -> str:
    if display.isascii() and "=?" not in display and len(display) < _WORD:
        if _ATOMS.fullmatch(display):
            return display
        escaped = display.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return encoded_words(display)


def _gap(display: str, address: str) -> str:
    return " " if len(display) + len(address) < LINE - 16 and display.isascii() else "\r\n "


def _folded(name: str, text: str) -> str:
    """The field with line breaks put in at spaces."""
    lines, line = [], f"{name}:"
    for word in text.split(" "):
        if len(line) + 1 + len(word) > LINE and line != f"{name}:":
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line])


def _no_address(address: str) -> InvalidError:
    return InvalidError(
        [Fault("address", "address", f"“{one_line(address)[:80]}” is no address that a mail can be sent to.")]
    )
