"""record: what became of attempts. One transaction moves the delivery, its walk, the sender's health, the counts and the events together."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

import msgspec

from cleanmails import log
from cleanmails.actors.journal import Ended
from cleanmails.actors.work import Kit, Work
from cleanmails.errors import BusyError
from cleanmails.ledger import campaign_runs, deliveries, events, planning, suppressions, workers
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.deliveries import Attempt, Result
from cleanmails.ledger.events import Event
from cleanmails.ledger.suppressions import Entry
from cleanmails.records import CampaignView, DeliveryState, Move, SenderStatus
from cleanmails.rules import health, lifecycle, outcome, walks
from cleanmails.rules.outcome import Accepted, Bounced, Failed, HoldSender, Retry, Unknown, Verdict

logger = log.get(__name__)

SEALED = "sender_restricted"
"""Why mails go back whose sender has a credential that does not open (`hold_sender`)."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt with its verdict: the delivery as it stood, and what was decided of it."""

    ended: Ended
    row: Row
    verdict: Verdict
    now: datetime


def settle(work: Work, ended: Sequence[Ended]) -> None:
    """Makes facts of these answers. Deliveries that have moved on under another token are left alone: somebody else was first.

    BusyError: the ledger does not answer and nothing was changed; call it again.
    """
    epochs = _epochs(work)
    with work.database.transaction() as db:
        now = workers.now(db)
        bad = {each.lead_id for each in ended if isinstance(outcome.judge(each.answer, 1, now), Bounced)}
        deliveries.lock_walks(db, ((each.campaign_id, each.lead_id) for each in ended), all_of=bad)
        rows = deliveries.lock_results(db, [(each.id, each.token) for each in ended])
        judged = [_judge(each, rows[each.id], now) for each in ended if each.id in rows]
        settled = [one for one in judged if not _known(one)]
        over = _write(work, db, settled, now)
    _release(
        work, Counter((s.row["sender_id"], _day(s.row["planned_at"])) for s in settled if not _counts_today(s)), epochs
    )
    for campaign_id in over:
        protect(work, campaign_id)
    for one in settled:
        _tell(one)


def _known(s: Settled) -> bool:
    """Whether the ledger has it already: a journal may be read after its worker had settled from it, and there nobody knew more than the ledger does now."""
    return s.row["state"] == DeliveryState.UNKNOWN and isinstance(s.verdict, Unknown)


def _judge(ended: Ended, row: Row, now: datetime) -> Settled:
    verdict = outcome.judge(ended.answer, row["tries"] + 1, now)
    return Settled(ended=ended, row=row, verdict=verdict, now=now)


def _write(work: Work, db: Connection, settled: Sequence[Settled], now: datetime) -> list[int]:
    """Everything that follows, in the lock order; the campaigns whose bounces are too many now."""
    views = planning.campaigns(db, now, sorted({s.row["campaign_id"] for s in settled}))
    deliveries.write_results(db, (_result(s) for s in settled))
    deliveries.write_attempts(db, (_attempt(s) for s in settled))
    deliveries.move_walks(db, now, (_move(s, views) for s in settled))
    if again := [s.row["id"] for s in settled if isinstance(s.verdict, Retry | HoldSender)]:
        deliveries.cancel_stranded(db, now, again)
    deliveries.drop_bytes(db, [s.row["id"] for s in settled if isinstance(s.verdict, Accepted | Bounced | Failed)])
    refused = Counter(
        (s.row["sender_id"], _day(s.row["sending_at"])) for s in settled if s.row["sending_at"] and not _counts_today(s)
    )
    if refused:
        deliveries.give_back_day(db, refused)
    for sender_id in sorted({s.row["sender_id"] for s in settled}):
        write_sender(db, sender_id, [s.verdict for s in settled if s.row["sender_id"] == sender_id], now)
    events.append(db, (event for s in settled if (event := _event(s))))
    _suppress(db, [s for s in settled if isinstance(s.verdict, Bounced)])
    return _count(work, db, settled)


def _suppress(db: Connection, bounced: Sequence[Settled]) -> None:
    """Addresses that are bad are never mailed again. All walks of their leads are locked already (`settle`)."""
    for workspace_id in sorted({s.row["workspace_id"] for s in bounced}):
        entries = {
            s.row["email"]: Entry(
                kind="address",
                value=s.row["email"],
                reason="bounced",
                source=f"delivery {s.row['id']}: {s.ended.answer.text}"[:500],
            )
            for s in bounced
            if s.row["workspace_id"] == workspace_id
        }
        suppressions.suppress_all(db, workspace_id, list(entries.values()))


def _result(s: Settled) -> Result:
    verdict, answer = s.verdict, s.ended.answer
    return Result(
        id=s.row["id"],
        token=s.row["token"],
        state=_STATES[type(verdict)],
        counts=verdict.counts if isinstance(verdict, Retry | HoldSender) else True,
        reason=None if isinstance(verdict, Accepted) else verdict.reason,
        failure=None if isinstance(verdict, Accepted | Unknown) else verdict.failure,
        code=answer.code,
        text=answer.text,
        at=s.now,
    )


_STATES: Mapping[type, DeliveryState] = {
    Accepted: DeliveryState.SENT,
    Retry: DeliveryState.DEFERRED,
    HoldSender: DeliveryState.DEFERRED,
    Failed: DeliveryState.FAILED,
    Bounced: DeliveryState.BOUNCED,
    Unknown: DeliveryState.UNKNOWN,
}


def _attempt(s: Settled) -> Attempt:
    verdict, answer = s.verdict, s.ended.answer
    how = (
        "accepted"
        if answer.accepted
        else "unknown"
        if answer.unknown
        else "broken"
        if answer.code is None
        else "refused"
    )
    return Attempt(
        id=s.row["id"],
        token=s.row["token"],
        workspace_id=s.row["workspace_id"],
        sender_id=s.row["sender_id"],
        outcome=how,
        stage=answer.stage,
        code=answer.code,
        enhanced=answer.enhanced,
        text=answer.text,
        failure=None if isinstance(verdict, Accepted | Unknown) else verdict.failure,
        rule=None if isinstance(verdict, Accepted | Unknown) else verdict.row,
        marked_at=s.row["sending_at"],
        started_at=s.ended.started_at,
        finished_at=s.ended.finished_at,
    )


def _move(s: Settled, views: Mapping[int, CampaignView]) -> Move:
    row = s.row
    return walks.judged(s.verdict, views[row["campaign_id"]], row["lead_id"], row["step"], row["id"], s.now)


def _counts_today(s: Settled) -> bool:
    """Whether the mail uses up its sender's day: it was accepted, or may have been."""
    return isinstance(s.verdict, Accepted | Unknown)


def write_sender(db: Connection, sender_id: int, verdicts: Sequence[Verdict], now: datetime) -> None:
    """The sender's health after these verdicts, in their order; written only if it changed."""
    row = deliveries.lock_sender(db, sender_id)
    if row is None:
        return
    level = health.recovered(row["health"], row["last_error_at"], now)
    errors, cooldown, restrict, why = row["errors_in_row"], None, False, None
    levels = []
    for verdict in verdicts:
        change = health.after(verdict, level, errors, now)
        level, errors = change.health, change.errors_in_row
        levels.append(level)
        cooldown = max(filter(None, (change.cooldown_until, cooldown)), default=None)
        restrict = restrict or change.status is not None
        why = why if isinstance(verdict, Accepted) else verdict.reason
    if (level, errors, why) == (row["health"], row["errors_in_row"], None):
        return
    state = deliveries.SenderState(
        id=sender_id,
        health=level,
        lowest=min(levels),
        errors=sum(not isinstance(verdict, Accepted) for verdict in verdicts),
        errors_in_row=errors,
        cooldown_until=cooldown,
        restrict=restrict,
        last_error=why,
        now=now,
    )
    deliveries.write_sender(db, state)


def _event(s: Settled) -> Event | None:
    if not isinstance(s.verdict, Accepted | Bounced):
        return None
    data = {
        "step": s.row["step"],
        "email": s.row["email"],
        "message_id": s.row["message_id"],
        "subject": s.row["subject"],
    }
    if isinstance(s.verdict, Bounced):
        data |= {"failure": s.verdict.failure, "code": s.ended.answer.code, "text": s.ended.answer.text}
    return Event(
        workspace_id=s.row["workspace_id"],
        type="email.sent" if isinstance(s.verdict, Accepted) else "email.bounced",
        campaign_id=s.row["campaign_id"],
        lead_id=s.row["lead_id"],
        delivery_id=s.row["id"],
        sender_id=s.row["sender_id"],
        data=data,
    )


def _count(work: Work, db: Connection, settled: Sequence[Settled]) -> list[int]:
    """Counts for auto-pause. A hard bounce at the door was handed in too, so it counts as sent: the share stays a share."""
    bounced = Counter(s.row["campaign_id"] for s in settled if isinstance(s.verdict, Bounced))
    sent = Counter(s.row["campaign_id"] for s in settled if isinstance(s.verdict, Accepted | Bounced))
    if not sent:
        return []
    settings = work.settings
    counts = campaign_runs.count(db, sent, bounced)
    return [
        row["campaign_id"]
        for row in counts
        if lifecycle.over_bounce_limit(
            row["sent"], row["bounced"], settings.bounce_limit_percent, settings.bounce_min_sent
        )
    ]


def protect(work: Kit, campaign_id: int) -> None:
    """Pauses a campaign whose hard bounces are too many, with the figures. In a transaction of its own: a pause holds off marks, and waits for those that are on."""
    settings = work.settings
    with work.database.transaction() as db:
        run = campaign_runs.hold_for_pause(db, campaign_id)
        if run is None:
            return
        reason = lifecycle.auto_pause(
            run["sent"], run["bounced"], settings.bounce_limit_percent, settings.bounce_min_sent
        )
        if reason is None:
            return
        campaign_runs.pause(db, campaign_id, reason)
        data = {"reason": reason, "code": "bounce_protect", "sent": run["sent"], "bounced": run["bounced"]}
        events.append(
            db, [Event(type="campaign.paused", workspace_id=run["workspace_id"], campaign_id=campaign_id, data=data)]
        )
    logger.warning("campaign.paused", campaign=campaign_id, **data)


def hold_sender(work: Work, sender_id: int, why: str) -> None:
    """A credential of the sender does not open: it sends nothing until it is tested again, and its health, which is others' word, stays as it is."""
    with work.database.transaction() as db:
        row = deliveries.lock_sender(db, sender_id)
        if row is None or row["status"] != SenderStatus.READY:
            return
        state = deliveries.SenderState(
            id=sender_id,
            health=row["health"],
            lowest=row["health"],
            errors=0,
            errors_in_row=row["errors_in_row"],
            cooldown_until=None,
            restrict=True,
            last_error=why,
            now=workers.now(db),
        )
        deliveries.write_sender(db, state)
    logger.error("sender.sealed", sender=sender_id, reason=why)


def put_back(work: Work, back: Iterable[tuple[Row, str]]) -> None:
    """Deliveries in hand that were not sent go back to be planned again: (the row as it was taken, reason)."""
    back = list(back)
    epochs = _epochs(work)
    with work.database.transaction() as db:
        deliveries.lock_walks(db, ((row["campaign_id"], row["lead_id"]) for row, _ in back))
        locked = deliveries.lock_results(db, [(row["id"], row["token"]) for row, _ in back])
        # A mark whose commit was never confirmed may have been counted; no dot was written, so it is taken off again.
        marked = Counter(
            (row["sender_id"], _day(row["sending_at"]))
            for row in locked.values()
            if row["state"] == DeliveryState.SENDING
        )
        now = workers.now(db)
        returned = deliveries.put_back(db, now, ((row["id"], row["token"], reason) for row, reason in back))
        deliveries.cancel_stranded(db, now, list(locked))
        if marked:
            deliveries.give_back_day(db, marked)
    _release(work, returned, epochs)


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _epochs(work: Work) -> dict[date, str | None]:
    """What Redis must be shown to give mails back, read before the transaction that gives them up. Without Redis nothing is given back, and upkeep mends it."""
    today = datetime.now(UTC).date()
    try:
        return {today: work.daily.epoch(today)}
    except BusyError:
        return {}


def _release(work: Work, counts: Mapping[tuple[int, date], int], epochs: Mapping[date, str | None]) -> None:
    for day, epoch in epochs.items():
        freed = {sender_id: n for (sender_id, planned_on), n in counts.items() if planned_on == day}
        try:
            if freed and epoch:
                work.daily.release(freed, day, epoch)
        except BusyError:
            logger.warning("daily.not_released", senders=sorted(freed))


def _tell(s: Settled) -> None:
    """One line a mail: what happened to it, and why."""
    facts = {
        "delivery": s.row["id"],
        "campaign": s.row["campaign_id"],
        "sender": s.row["sender_id"],
        "step": s.row["step"],
    }
    if isinstance(s.verdict, Accepted):
        logger.info("delivery.sent", **facts)
        return
    event = f"delivery.{_STATES[type(s.verdict)]}"
    logger.warning(event, **facts, stage=s.ended.answer.stage, code=s.ended.answer.code, reason=s.verdict.reason)
