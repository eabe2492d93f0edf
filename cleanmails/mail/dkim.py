"""DKIM signatures (RFC 6376), RSA with SHA-256, relaxed/relaxed, by OpenSSL; dkimpy is the oracle in the tests.

Signing is nearly all of what a mail costs, and RSA nearly all of that; the canonical forms here are byte searches, without patterns.
"""

import base64
import hashlib
from collections.abc import Callable, Hashable
from functools import lru_cache
from threading import Lock

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cleanmails.errors import SettingsError
from cleanmails.mail.headers import ascii_domain

SIGNED = (
    *(
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "mime-version",
        "content-type",
        "in-reply-to",
        "references",
        "reply-to",
    ),
    *("list-unsubscribe", "list-unsubscribe-post", "feedback-id"),  # RFC 8058, 4: the pair must be under the signature
)
OVERSIGNED = ("from", "to", "subject")  # named once more than they stand there, so that nobody can add a second one

_PADDING = padding.PKCS1v15()
_SHA256 = hashes.SHA256()


class Key(msgspec.Struct, frozen=True):
    """A signing key, read: the domain it speaks for, and the selector under which DNS has its public half."""

    domain: str
    selector: str
    private: rsa.RSAPrivateKey


def load_key(pem: bytes, *, domain: str, selector: str) -> Key:
    """Read a private key. OpenSSL checks it thoroughly (27 ms), so keep what comes back. SettingsError if it is no RSA key."""
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise SettingsError(f"The DKIM key of {domain} cannot be read: an RSA private key in PEM is needed.")
    return Key(ascii_domain(domain), selector, private)


class Keyring:
    """The keys that a process has read, by id; safe between threads. The one unused for the longest time goes when there are too many."""

    def __init__(self, size: int = 1_000) -> None:
        self._keys: dict[Hashable, Key] = {}
        self._size = size
        self._lock = Lock()

    def get(self, key_id: Hashable, load: Callable[[], Key]) -> Key:
        """The key with this id, read by `load` the first time. A key that is replaced needs a new id."""
        with self._lock:
            key = self._keys.pop(key_id, None) or load()
            self._keys[key_id] = key
            if len(self._keys) > self._size:
                del self._keys[next(iter(self._keys))]
            return key


def sign(raw: bytes, key: Key, *, signed_at: int) -> bytes:
    """The mail with its DKIM-Signature on top. `raw` has CRLF line ends throughout; `signed_at` is in seconds since 1970 (tag `t`)."""
    head, _, body = raw.partition(b"\r\n\r\n")
    names, canonical = _signed_fields(head)
    body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
    unsigned = (
        f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={key.domain};\r\n s={key.selector}; t={signed_at};\r\n"
        f" h={_folded_names(names)};\r\n bh={body_hash};\r\n b="
    )
    canonical.append(b"dkim-signature:" + unsigned.replace("\r\n", "").encode())
    signature = key.private.sign(b"\r\n".join(canonical), _PADDING, _SHA256)
    return f"DKIM-Signature: {unsigned}{_folded_signature(signature)}\r\n".encode() + raw


def _signed_fields(head: bytes) -> tuple[tuple[str, ...], list[bytes]]:
    """The names for the tag `h` and the fields in canonical form (RFC 6376, 3.4.2). Of fields with one name the last counts first (5.4.2)."""
    fields: dict[bytes, list[bytes]] = {}
    for line in _blanks(head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")).split(b"\r\n"):
        field, _, value = line.partition(b":")
        fields.setdefault(field.rstrip(b" ").lower(), []).append(value.strip(b" "))
    names: list[str] = []
    canonical: list[bytes] = []
    for name in SIGNED:
        key = name.encode()
        values = fields.get(key, ())
        names += [name] * (len(values) + (name in OVERSIGNED))
        canonical += [key + b":" + value for value in reversed(values)]
    return tuple(names), canonical


def relaxed_body(body: bytes) -> bytes:
    """A body (RFC 6376, 3.4.4): blanks as one, none at the ends of lines, no empty lines at the end, and a CRLF if there is anything."""
    body = _blanks(body)
    if b" \r\n" in body:
        body = body.replace(b" \r\n", b"\r\n")
    body = body.rstrip(b" ").rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def _blanks(data: bytes) -> bytes:
    if b"\t" in data:
        data = data.replace(b"\t", b" ")
    while b"  " in data:  # halves every run: 10 MB of blanks take 24 rounds
        data = data.replace(b"  ", b" ")
    return data


@lru_cache(maxsize=64)
def _folded_names(names: tuple[str, ...]) -> str:
    return ":\r\n ".join(":".join(names[start : start + 5]) for start in range(0, len(names), 5))


def _folded_signature(signature: bytes) -> str:
    encoded = base64.b64encode(signature).decode()
    return "\r\n ".join(encoded[start : start + 72] for start in range(0, len(encoded), 72))


def generate_key() -> tuple[bytes, str]:
    """A new 2048-bit key: the private half as PKCS #8 PEM, to be kept sealed, and the public half in base64, for DNS."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem, base64.b64encode(public).decode()


def dns_record(public: str) -> str:
    """The TXT record of a public key (RFC 6376, 3.6.1), to be published at `selector._domainkey.domain`."""
    return f"v=DKIM1; k=rsa; p={public}"


def dns_strings(record: str) -> tuple[str, ...]:
    """The same as the character strings of at most 255 octets that a TXT record consists of (RFC 1035, 3.3.14)."""
    return tuple(record[start : start + 255] for start in range(0, len(record), 255))
