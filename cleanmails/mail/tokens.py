"""Tokens in the links of a mail: signed, opaque, good for ever. What is in one was put there by us, or it is no token.

A token is `key id (1) | purpose (1) | delivery id (8) | MAC (16)` as base64url without padding; the MAC is HMAC-SHA256 over all before it, cut to
128 bits (RFC 2104, 5). Links live in people's mail for years: a retired key stays among `keys`, so that what it signed is still read.
"""

import base64
import binascii
import hmac
import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

_BODY: Final = struct.Struct(">BBQ")
_MAC: Final = 16
_LENGTH: Final = 35  # characters of 26 bytes

_LARGEST: Final = 2**63 - 1
DECOY: Final = 0
"""The number of the link that no person sees; those of the author begin at 1."""


class Purpose(IntEnum):
    """What a token is for; one that was made for another purpose is refused."""

    UNSUBSCRIBE = 1
    OPEN = 2
    CLICK = 3


def pixel_url(base: str, tokens: "Tokens", delivery_id: int) -> str:
    """The address of a mail's pixel."""
    return f"{base}/t/{tokens.sign(Purpose.OPEN, delivery_id)}/pixel.png"


def link_url(base: str, tokens: "Tokens", delivery_id: int, number: int) -> str:
    """The address that stands for link `number` of a mail; `DECOY` is the one that no person sees."""
    return f"{base}/t/{tokens.sign(Purpose.CLICK, delivery_id)}/link/{number}"


class Tokens:
    """Signs with the key `current`, reads what any of `keys` signed (by id, 0-255)."""

    def __init__(self, keys: Mapping[int, bytes], current: int = 1) -> None:
        self._keys = dict(keys)
        self._current = current
        _ = self._keys[current]

    def sign(self, purpose: Purpose, delivery_id: int) -> str:
        """The token of a delivery: always the same, 35 characters that need no escape in a URL or a mail address."""
        return self._sign(self._current, purpose, delivery_id)

    def read(self, token: str, purpose: Purpose) -> int | None:
        """The id of the delivery, or None for whatever `sign` did not make for this purpose."""
        if len(token) != _LENGTH:
            return None
        try:
            key_id, _, delivery_id = _BODY.unpack_from(base64.b64decode(token + "=", b"-_", validate=True))
        except (binascii.Error, ValueError):
            return None
        if key_id not in self._keys or delivery_id > _LARGEST:
            return None
        # The whole text is compared, not the MAC alone: other spellings of the same bytes (spare bits, the plain alphabet) are no tokens of ours.
        made = self._sign(key_id, purpose, delivery_id)
        return int(delivery_id) if hmac.compare_digest(made.encode(), token.encode()) else None

    def _sign(self, key_id: int, purpose: Purpose, delivery_id: int) -> str:
        body = _BODY.pack(key_id, purpose, delivery_id)
        mac = hmac.digest(self._keys[key_id], body, "sha256")[:_MAC]
        return base64.urlsafe_b64encode(body + mac).rstrip(b"=").decode()
