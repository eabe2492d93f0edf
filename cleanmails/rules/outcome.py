"""What an SMTP attempt came to, and what follows for its delivery. `health` says what follows for the sender.

A temporary refusal is tried again after 15 minutes (5 when greylisted), 1 hour and 4 hours; then the delivery has failed. Only a bad recipient
touches the lead; every other end leaves the lead as it is.

Which tries count. A try counts only if the recipient had been named by then (from RCPT on): a server that is down, a login that is refused, or a
greeting that turns us away says nothing of the lead, so a day's outage costs no lead a try; the sender's cooldown keeps the attempts rare. Nor
does a try count if the sender's own account is refused (quota, blocked, wrong login), at whatever stage. A refusal for policy by the other side
does count, though the sender rests as well: else one lead behind a filter that never lets us in would hold its sender for ever. It costs the
lead nothing but this mail.

The mail may have been accepted without our hearing of it (nothing was read after the final dot, or something that is no reply to it): that is
`Unknown`, and it is never sent again by itself (RFC 1047).
"""

from datetime import UTC, datetime, time, timedelta

import msgspec

from cleanmails.records import Answer, FailureClass, Stage
from cleanmails.rules.failures import Remedy, Row, classify

RETRIES = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4))
GREYLISTED_RETRY = timedelta(minutes=5)
REST = timedelta(minutes=30)

_RECIPIENT_NAMED = frozenset({Stage.RCPT, Stage.DATA, Stage.BODY, Stage.DOT})


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """The server took the responsibility for the mail."""


class Unknown(msgspec.Struct, frozen=True, tag=True):
    """The mail may or may not have been accepted; only evidence or a person settles it."""

    reason: str = "The mail was handed over, and the connection broke before the server's answer. Evidence or a person has to settle whether it arrived."


class Retry(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The delivery is tried again at `at`. `counts`: whether this try is one of the four."""

    failure: FailureClass
    at: datetime
    counts: bool
    reason: str
    row: str


class HoldSender(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The sender is held, the lead is spared: the delivery goes on at `at`, or when the sender is back if that is later.

    `failure` says how: `policy` lets the sender cool down, `authentication` restricts it until it is tested again. `until` is set for a used-up
    quota: the sender has nothing to send before then. What else is ready for this sender is better not tried now.
    """

    failure: FailureClass
    at: datetime
    counts: bool
    reason: str
    row: str
    until: datetime | None = None


class Failed(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The delivery is over, and the recipient is not to blame. `exhausted`: every try was used up; else the answer was final."""

    failure: FailureClass
    exhausted: bool
    reason: str
    row: str


class Bounced(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The delivery is over, and so is the address: the lead is marked invalid and suppressed."""

    reason: str
    row: str

    @property
    def failure(self) -> FailureClass:
        """Always `recipient_bad`."""
        return FailureClass.RECIPIENT_BAD


Verdict = Accepted | Unknown | Retry | HoldSender | Failed | Bounced


def judge(answer: Answer, attempt: int, now: datetime) -> Verdict:
    """What follows from an answer. `attempt` counts the tries of this delivery, this one included and those that do not count left out; from 1."""
    assert attempt >= 1
    if answer.accepted:
        return Accepted()
    if answer.unknown or _is_no_reply_to_the_dot(answer):
        return Unknown()
    row = classify(answer.code, answer.enhanced, answer.text, answer.stage)
    if row.remedy is Remedy.STOP:
        return _final(row)
    counts = row.remedy in (Remedy.RETRY, Remedy.HOLD) and answer.stage in _RECIPIENT_NAMED
    if counts and attempt > len(RETRIES):
        return Failed(
            failure=row.failure, exhausted=True, reason=f"{row.reason} Given up after {attempt} tries.", row=row.id
        )
    wait = _wait(row.failure, attempt if counts else 1)
    if row.remedy is Remedy.RETRY:
        return Retry(failure=row.failure, at=now + wait, counts=counts, reason=row.reason, row=row.id)
    until = _tomorrow(now) if row.remedy is Remedy.QUOTA else None
    at = until or now + max(wait, REST)
    return HoldSender(failure=row.failure, at=at, counts=counts, reason=row.reason, row=row.id, until=until)


def returned(row: Row, now: datetime) -> Verdict | None:
    """What follows for the sender from a mail that was accepted and came back later with an answer of this row; None: nothing.

    Nobody tries it again: what was accepted once is never sent again. What is said of a login or of an account is said of somebody else's.
    """
    match row.remedy:
        case Remedy.STOP:
            return _final(row)
        case Remedy.HOLD:
            return HoldSender(failure=row.failure, at=now + REST, counts=True, reason=row.reason, row=row.id)
        case Remedy.RETRY:
            return Failed(failure=row.failure, exhausted=True, reason=row.reason, row=row.id)
        case _:
            return None


def _is_no_reply_to_the_dot(answer: Answer) -> bool:
    """A 1yz or 3yz after the final dot belongs to an earlier command: the real answer is still to come, and nobody reads it."""
    return answer.stage is Stage.DOT and answer.code is not None and answer.code < 400


def _final(row: Row) -> Bounced | Failed:
    if row.failure is FailureClass.RECIPIENT_BAD:
        return Bounced(reason=row.reason, row=row.id)
    return Failed(failure=row.failure, exhausted=False, reason=row.reason, row=row.id)


def _wait(failure: FailureClass, attempt: int) -> timedelta:
    if failure is FailureClass.GREYLISTED and attempt == 1:
        return GREYLISTED_RETRY
    return RETRIES[attempt - 1]


def _tomorrow(now: datetime) -> datetime:
    """The next midnight UTC, when the daily limits start anew, and no sooner than a rest from now."""
    midnight = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    return max(midnight, now + REST)
