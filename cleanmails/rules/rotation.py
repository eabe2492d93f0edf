"""Rotation: which sender a first mail gets, and how long a sender rests after a mail (product page, "Rotation and limits")."""

from collections.abc import Collection, Sequence
from typing import Final

from cleanmails.records import SenderView
from cleanmails.rules.content.seed import Seed, draw

GOLDEN: Final = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio: its multiples, modulo 2**64, lie more evenly than chance would have it, for numbers in a row and in steps."""


def choose(usable: Sequence[SenderView], lead_id: int, avoid: Collection[str] = ()) -> SenderView:
    """One of the usable senders (at least one), each as often as its health says; among the same senders a lead always gets the same one.

    Senders whose domain is in `avoid` are left out where another choice exists. The lead's id is the seed: it falls on a multiple of the golden
    ratio, so that over ids in a row the shares are right to a few choices, where independent dice would be right only on average.
    """
    fresh = [sender for sender in usable if sender.domain not in avoid] if avoid else usable
    choice = fresh or usable
    point = (lead_id * GOLDEN) % (1 << 64) * sum([weight(sender) for sender in choice]) >> 64
    for sender in choice:
        point -= weight(sender)
        if point < 0:
            return sender
    raise ValueError("nobody to choose from")


def weight(sender: SenderView) -> int:
    """A sender's share: its health. One that comes back after a rest begins with a small one."""
    return max(1, sender.health)


def gap(seed: Seed, min_gap: int, max_gap: int) -> int:
    """How many seconds a sender rests after a mail: from `min_gap` to `max_gap`, both included, drawn from the delivery's seed."""
    return min_gap + draw(seed, "gap", max_gap - min_gap + 1)
