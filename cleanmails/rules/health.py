"""What an SMTP attempt does to its sender: health, cooldown, status.

Health goes from 0 to 100: accepted +1, a temporary refusal -5, a final one -10, a bad recipient -15. A refusal for policy is a final one even
where its code is temporary: it is about the sender. What says nothing of how the sender's mail is received costs no health: greylisting, a
connection that fails, a login that is refused, a quota that is used up, an outcome that is unknown.

Three errors in a row, of whatever kind but greylisting (which every new sender meets), make a cooldown of 30 minutes; so does each further one
until a mail is accepted again. A server that is down is thus tried twice an hour.

A refusal for policy makes a cooldown at once: 30 minutes, and twice as long for each error that came before it in the row, up to a day. A
used-up quota: until the next midnight UTC, when the daily limits start anew. A refused login makes the sender `restricted` until it is tested
again.

At 20 or below a sender sends nothing, so no accepted mail could lift it: rest does. It rests from its last error on, six hours for each point that it
lacks to 21: a quarter of a day at 20, more than five days at 0. Then it stands at 21 and sends again, with the small share that rotation gives to
such health; the next soft refusal but one brings a longer rest. So a domain is not burnt further, and nobody has to remember a sender.
"""

from datetime import datetime, timedelta

import msgspec

from cleanmails.records import FailureClass, SenderStatus
from cleanmails.rules.outcome import REST, Accepted, Bounced, Failed, HoldSender, Retry, Unknown, Verdict

BEST = 100
FLOOR = 20
"""A sender sends while its health is above this."""

REST_PER_POINT = timedelta(hours=6)
ERRORS_TO_COOL_DOWN = 3
LONGEST_REST = timedelta(days=1)

ACCEPTED, TEMPORARY, FINAL, BAD_RECIPIENT = 1, -5, -10, -15

_SAYS_NOTHING = (FailureClass.GREYLISTED, FailureClass.CONNECTION, FailureClass.AUTHENTICATION)


class SenderChange(msgspec.Struct, frozen=True, kw_only=True):
    """The sender after an attempt. `cooldown_until` and `status` are None where they stay as they are: an accepted mail ends no cooldown."""

    health: int
    errors_in_row: int
    cooldown_until: datetime | None = None
    status: SenderStatus | None = None


def after(verdict: Verdict, health: int, errors_in_row: int, now: datetime) -> SenderChange:
    """What a verdict makes of a sender with this health and so many errors in a row before it."""
    health = min(BEST, max(0, health + _points(verdict)))
    if isinstance(verdict, Accepted):
        return SenderChange(health=health, errors_in_row=0)
    if isinstance(verdict, Retry | Failed) and verdict.failure is FailureClass.GREYLISTED:
        return SenderChange(health=health, errors_in_row=errors_in_row)
    if isinstance(verdict, HoldSender) and verdict.failure is FailureClass.AUTHENTICATION:
        return SenderChange(health=health, errors_in_row=errors_in_row + 1, status=SenderStatus.RESTRICTED)
    return SenderChange(
        health=health, errors_in_row=errors_in_row + 1, cooldown_until=_cooldown(verdict, errors_in_row, now)
    )


def complained(health: int) -> int:
    """The health of a sender after a recipient called its mail unwanted: no less bad than a bad address."""
    return max(0, health + BAD_RECIPIENT)


def rests_until(health: int, last_error_at: datetime | None) -> datetime | None:
    """When the rest of a sender with bad health is over; None if it does not rest, or if it is not known since when."""
    if health > FLOOR or last_error_at is None:
        return None
    return last_error_at + (FLOOR + 1 - health) * REST_PER_POINT


def recovered(health: int, last_error_at: datetime | None, now: datetime) -> int:
    """The health from which a sender goes on: just above the floor once its rest is over."""
    until = rests_until(health, last_error_at)
    return health if until is None or now < until else FLOOR + 1


def _points(verdict: Verdict) -> int:
    match verdict:
        case Accepted():
            return ACCEPTED
        case Bounced():
            return BAD_RECIPIENT
        case Unknown() | HoldSender(until=datetime()):
            return 0
        case Retry() | HoldSender() | Failed() if verdict.failure in _SAYS_NOTHING:
            return 0
        case Retry() | Failed(exhausted=True, failure=FailureClass.SOFT):
            return TEMPORARY
        case HoldSender() | Failed():
            return FINAL


def _cooldown(verdict: Verdict, errors_before: int, now: datetime) -> datetime | None:
    if isinstance(verdict, HoldSender) and verdict.until is not None:
        return verdict.until
    if _is_refused_for_policy(verdict):
        return now + min(LONGEST_REST, REST * (1 << min(errors_before, 10)))
    return now + REST if errors_before + 1 >= ERRORS_TO_COOL_DOWN else None


def _is_refused_for_policy(verdict: Verdict) -> bool:
    """Also when the delivery is given up over it. Not when a single recipient takes no mail from us: that is no word on the sender."""
    return isinstance(verdict, HoldSender) or (
        isinstance(verdict, Failed) and verdict.exhausted and verdict.failure is FailureClass.POLICY
    )
