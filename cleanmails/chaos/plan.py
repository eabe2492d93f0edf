"""What breaks, in which order: drawn from a seed, so that a run can be repeated. When exactly a fault falls is up to the machine."""

import itertools
import random
from typing import Final

import msgspec

from cleanmails.chaos.points import POINTS

ANYWHERE: Final = "anywhere"
"""A kill from outside, at whatever the process does just then."""

OTHERS: Final = ("freeze", "flush", "valkey", "postgres", "mail server", "inbox")
"""`freeze`: SIGSTOP of a worker, and SIGCONT later; `flush`: FLUSHALL; `inbox`: SIGKILL of the worker that reads the mailboxes; the others are servers that end without a word and come again."""

BETWEEN: Final = 8
"""Kills from one of the others to the next."""

MISBEHAVIOUR: Final = {
    "drop-data": 0.02,
    "drop-body": 0.02,
    "drop-dot": 0.01,
    "drop-stored": 0.01,
    "silence-stored": 0.004,
    "refuse-dot-451": 0.02,
    "refuse-dot-421": 0.01,
    "refuse-rcpt-451": 0.02,
    "refuse-rcpt-550": 0.01,
    "tarpit-dot-1": 0.02,
}
"""How the mail server meets which share of the tries. `dot`: the mail is whole and thrown away; `stored`: it is kept, and the sender does not hear of it."""

PATIENT_TRIES: Final = 2
"""A recipient's tries by one sender that may meet with it: fewer than a delivery has, so that none is given up."""


class Fault(msgspec.Struct, frozen=True):
    """Something that breaks. A `kill` has its point; the others have none."""

    kind: str
    point: str = ""


def faults(seed: int, kills: int) -> list[Fault]:
    """So many kills, at every point and anywhere in equal parts, with all others among them from the start."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    points = list(itertools.islice(itertools.cycle([*POINTS, ANYWHERE]), kills))
    dice.shuffle(points)
    others = itertools.cycle(dice.sample(OTHERS, len(OTHERS)))
    planned: list[Fault] = []
    for number, point in enumerate(points, 1):
        planned.append(Fault("kill", point))
        if number % BETWEEN == 0:
            planned.append(Fault(next(others)))
    return planned


def rules(seed: int) -> dict[str, object]:
    """The behaviours of the mail server, as its door takes them."""
    shares = [{"match": "*", "do": do, "share": share, "times": PATIENT_TRIES} for do, share in MISBEHAVIOUR.items()]
    return {"rules": shares, "seed": seed}
