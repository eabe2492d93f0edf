"""Dice that fall the same way for ever: everything random in a mail is drawn from (campaign, lead, step)."""

from hashlib import blake2b
from typing import Self

import msgspec


class Seed(msgspec.Struct, frozen=True):
    """What one delivery's dice are thrown with: 32 bytes."""

    key: bytes

    @classmethod
    def of(cls, campaign_id: int, lead_id: int, step: int) -> Self:
        """The seed of one step to one lead: BLAKE2b-256 over `campaign:lead:step` in decimal.

        Stored mails depend on it: Python's `hash()` differs between processes, and another formula would change every preview.
        """
        return cls(blake2b(f"{campaign_id}:{lead_id}:{step}".encode(), digest_size=32).digest())


def draw(seed: Seed, name: str, n: int) -> int:
    """One of `n`, from 0, evenly (to within n / 2**64). Each `name` is a die of its own: adding one changes no other."""
    digest = blake2b(name.encode(), key=seed.key, digest_size=8).digest()
    return int.from_bytes(digest) * n >> 64


def pick_subject(seed: Seed, n: int) -> int:
    """Which of a step's `n` subjects this lead gets."""
    return draw(seed, "subject", n)
