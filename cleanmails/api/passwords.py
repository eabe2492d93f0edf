"""Passwords: Argon2id with OWASP's parameters (47 MiB, one pass, one lane), the same work whether or not there is such a user."""

import functools
import secrets
import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cleanmails.api.problems import TOO_MANY
from cleanmails.errors import BusyError

SHORTEST: Final = 10
LONGEST: Final = 1024
"""Characters of a password; the longest bounds the work of hashing, nothing else."""

_PATIENCE: Final = 5.0

_hasher = PasswordHasher(time_cost=1, memory_cost=47_104, parallelism=1)

# Each check takes 47 MiB: as many at once as there are request threads would exhaust a small machine.
_turns = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """What the ledger keeps of a password, with its salt and its parameters."""
    return _hasher.hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Whether a password is the one that was hashed. Without a hash (there is no such user) False after the same work.

    BusyError if too many are being checked at once.
    """
    if not _turns.acquire(timeout=_PATIENCE):
        raise BusyError("Too many people are signing in at once; try again.", code=TOO_MANY, retry_after=5)
    try:
        _hasher.verify(password_hash or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    else:
        return password_hash is not None
    finally:
        _turns.release()


def outdated(password_hash: str) -> bool:
    """Whether a hash was made with weaker parameters than today's, and should be made anew at the next sign-in."""
    return _hasher.check_needs_rehash(password_hash)


def random_password() -> str:
    """A password nobody has to think of: 120 random bits."""
    return secrets.token_urlsafe(15)


@functools.cache
def _nobodys_hash() -> str:
    return _hasher.hash(random_password())
