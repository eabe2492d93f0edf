"""Which of a step's subjects is the best, and how sure that is."""

import math
from collections.abc import Sequence
from typing import Final

import msgspec

ENOUGH: Final = 100
"""Accepted mails that every subject must have before any is judged."""

SURE: Final = 0.9
"""How sure it must be that the best is better than the next one, before all later mails get it."""


class Tally(msgspec.Struct, frozen=True):
    """A subject's mails, and how many of them met with what is counted (human opens, or replies)."""

    sent: int
    met: int

    @property
    def rate(self) -> float:
        """`met` of `sent`, 0 to 1; 0 while nothing was sent."""
        return self.met / self.sent if self.sent else 0.0


class Verdict(msgspec.Struct, frozen=True):
    """`best` is an index, None while all are alike. `confidence` (0 to 1): how likely it is really better than the next best. `decided`: enough to go on with it."""

    best: int | None
    confidence: float
    decided: bool
    sentence: str


def judge(tallies: Sequence[Tally]) -> Verdict:
    """The best of at least two subjects by rate.

    Each true rate is taken as Beta(met + 1, sent - met + 1), and the difference of two as normal: close for a hundred mails and more, and before
    that nothing is decided.
    """
    order = sorted(range(len(tallies)), key=lambda index: (-_mean(tallies[index]), index))
    best, second = order[0], order[1]
    spread = math.sqrt(_variance(tallies[best]) + _variance(tallies[second]))
    confidence = 0.5 * (1 + math.erf((_mean(tallies[best]) - _mean(tallies[second])) / spread / math.sqrt(2)))
    lacking = sum(tally.sent < ENOUGH for tally in tallies)
    if lacking:
        return Verdict(best, confidence, False, f"{lacking} of {len(tallies)} subjects have fewer than {ENOUGH} mails.")
    if tallies[best].rate <= tallies[second].rate:
        return Verdict(None, confidence, False, "No subject is ahead of all others.")
    if confidence < SURE:
        return Verdict(best, confidence, False, f"It is {confidence:.0%} sure; {SURE:.0%} are needed.")
    return Verdict(best, confidence, True, f"It is {confidence:.0%} sure that this subject is the best.")


def _mean(tally: Tally) -> float:
    return (tally.met + 1) / (tally.sent + 2)


def _variance(tally: Tally) -> float:
    mean = _mean(tally)
    return mean * (1 - mean) / (tally.sent + 3)
