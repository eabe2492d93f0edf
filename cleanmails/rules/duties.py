"""The recurring duties, and how old the last time of each may be before somebody has to look.

The scheduler ticks each minute and every tick brings a minute of plans, so a plan that is a minute old is late whatever the reason. Nothing is lost while a
duty is late: the next one finds everything in the ledger.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

LATE: Final[Mapping[str, tuple[int, str]]] = {
    "tick": (150, "No scheduler has ticked for {age}; is the scheduler process running? Until it does, mails go out slowly or not at all."),
    "plan": (60, "Nothing has been planned for {age}; are the plan workers running, and is Redis within reach? No mail goes out until one plans."),
    "sweep": (60, "Nothing has been swept up for {age}; is any worker process running? What dead workers held waits until then."),
    "inbox": (120, "No mailbox has been looked at for {age}; is an inbox worker running? Replies and bounces stop nobody until one runs."),
    "upkeep": (9_000, "The hourly upkeep has not been done for {age}; is an upkeep worker running?"),
}  # fmt: skip
"""By duty: the seconds after which it is late, and what to look for then."""

INSTALLATION: Final = "installation"
"""Under this name the ages have that of the installation itself."""

_HOURLY: Final = 3_600


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """A duty with the seconds since it was last done (None: it never was), and what is amiss if it is late."""

    name: str
    age: float | None
    late: bool
    sentence: str


def judged(ages: Mapping[str, float]) -> list[Duty]:
    """Every duty, given the seconds since each was last done, and since the installation was made."""
    return [_judged(name, ages.get(name), ages.get(INSTALLATION)) for name in LATE]


def _judged(name: str, age: float | None, installed: float | None) -> Duty:
    most, sentence = LATE[name]
    if age is None and most > _HOURLY and installed is not None and installed <= most:
        return Duty(name=name, age=None, late=False, sentence="")  # an hourly duty has its first turn yet to come
    if age is not None and age <= most:
        return Duty(name=name, age=age, late=False, sentence="")
    return Duty(name=name, age=age, late=True, sentence=sentence.format(age=_spelled(age)))


def _spelled(age: float | None) -> str:
    """An age for people."""
    if age is None:
        return "as long as this installation exists"
    return (
        f"{age:.0f} seconds"
        if age < 120
        else f"{age // 60:.0f} minutes"
        if age < 7_200
        else f"{age // 3_600:.0f} hours"
    )
