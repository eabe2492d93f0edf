"""The vault: credentials sealed at rest, and one key per purpose, all out of the one secret key of the settings.

A sealed value is `version (1) | key id (1) | nonce (12) | AES-256-GCM ciphertext and tag`. It is bound to its record: what is
sealed for `sender:7:smtp_password` does not open for sender 8, so that a row copied in the database gains nothing.

A key's id is made of the key itself: whoever changes keys has nothing to number, and the order in which old ones are given means nothing.
"""

import os
from collections.abc import Mapping
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cleanmails.errors import SealError, SettingsError
from cleanmails.settings import Settings

_VERSION: Final = 1
_FIRST: Final = 1
_NONCE: Final = 12
_HEAD: Final = 2 + _NONCE


class Vault:
    """Seals and opens with AES-256-GCM. `keys` are 32 bytes each, by id (0-255); `current` seals, all of them open."""

    def __init__(self, keys: Mapping[int, bytes], current: int) -> None:
        if any(len(key) != 32 or not 0 <= number <= 255 for number, key in keys.items()):
            raise ValueError("a key is 32 bytes, its id 0-255")
        self._keys = dict(keys)
        self._current = current
        self._ciphers = {number: AESGCM(_subkey(key, "vault")) for number, key in keys.items()}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The vault of this installation: its secret key seals, the old ones open. SettingsError if two of them have the same id, one pair in 256."""
        keys: dict[int, bytes] = {}
        for key in (settings.secret_key, *settings.old_keys):
            if keys.setdefault(key_id(key), key) != key:
                raise SettingsError(
                    "CLEANMAILS_SECRET_KEY and the CLEANMAILS_OLD_KEYS cannot be told apart; make another secret key."
                )
        # What was sealed, and links that were signed, before a key's id was made of the key say 1: the first key that there was.
        keys.setdefault(_FIRST, (*settings.old_keys, settings.secret_key)[0])
        return cls(keys, current=key_id(settings.secret_key))

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        """Encrypt `plain` for the record and field that `bound_to` names. Twice the same gives different bytes."""
        head = bytes([_VERSION, self._current])
        nonce = os.urandom(_NONCE)
        return head + nonce + self._ciphers[self._current].encrypt(nonce, plain, head + bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """Decrypt what `seal` made for the same `bound_to`. SealError for everything else."""
        if len(sealed) < _HEAD or sealed[0] != _VERSION or sealed[1] not in self._ciphers:
            raise SealError(
                "A stored credential was sealed with a key that this installation does not have: name it in CLEANMAILS_OLD_KEYS, or enter the credential anew."
            )
        head, nonce = sealed[:2], sealed[2:_HEAD]
        try:
            return self._ciphers[sealed[1]].decrypt(nonce, sealed[_HEAD:], head + bound_to.encode())
        except InvalidTag as error:
            raise SealError(
                "A stored credential does not open: it was sealed with another CLEANMAILS_SECRET_KEY, or changed. Enter it anew."
            ) from error

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose (`session`, `unsubscribe` ...), always the same for the current key (HKDF, RFC 5869)."""
        return _subkey(self._keys[self._current], f"derive:{purpose}")

    @property
    def ids(self) -> frozenset[int]:
        """The ids of all keys, each of which is made of its key."""
        return frozenset(number for number, key in self._keys.items() if number == key_id(key))

    @property
    def current(self) -> int:
        """The id of the key that seals."""
        return self._current

    def derive_all(self, purpose: str) -> dict[int, bytes]:
        """`derive` for every key by its id: what was signed before a key was changed can still be read."""
        return {number: _subkey(key, f"derive:{purpose}") for number, key in self._keys.items()}


def key_id(key: bytes) -> int:
    """The id of a key, 0-255; it says nothing of the key."""
    return _subkey(key, "key-id")[0]


def _subkey(key: bytes, info: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=f"cleanmails:{info}".encode()).derive(key)
