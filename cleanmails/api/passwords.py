"""Passwords: Argon2id with OWASP's parameters (47 MiB, one pass, one lane), the same work whether or not there is such a user."""

import functools
import re
import secrets
import threading
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cleanmails.api.problems import TOO_MANY
from cleanmails.errors import BusyError, Fault, InvalidError

SHORTEST: Final = 10
LONGEST: Final = 1024
"""Characters of a password; the longest bounds the work of hashing, nothing else."""

_PATIENCE: Final = 5.0
_LITTLE: Final = 3
"""Letters of a word that is too short to be looked for."""

_hasher = PasswordHasher(time_cost=1, memory_cost=47_104, parallelism=1)

# Each check takes 47 MiB: as many at once as there are request threads would exhaust a small machine.
_turns = threading.BoundedSemaphore(2)


def check(password: str, field: str, *own: str) -> None:
    """Refuses what whoever guesses tries first: the most common passwords, with another end or in capitals too, and the words of this very place
    with little beside them: its name, and `own`, such as the person's address. InvalidError names `field`.
    """
    said = None
    plain = password.casefold()
    bare = re.sub(r"[^a-z]+$", "", plain) if plain.isascii() else plain
    if {plain, bare, plain.rstrip("!?.*#$")} & _common():
        said = "This password is among the first that are guessed; take a few words that only you would put together."
    else:
        words = {
            "cleanmails",
            *(word for text in own for word in re.split(r"[^\w]+", text.casefold()) if len(word) > _LITTLE),
        }
        rest = functools.reduce(lambda left, word: left.replace(word, ""), sorted(words, key=len, reverse=True), plain)
        if len(plain) - len(rest) >= _LITTLE and len(rest) <= SHORTEST // 2:
            said = "This password is little more than a name that others know; take a few words that only you would put together."
    if said is not None:
        raise InvalidError([Fault(field, "common", said)])


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
def _common() -> frozenset[str]:
    lines = (Path(__file__).parent / "common_passwords.txt").read_text().splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


@functools.cache
def _nobodys_hash() -> str:
    return _hasher.hash(random_password())
