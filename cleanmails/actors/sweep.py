"""sweep: finds what was left behind, in the ledger and on this machine's disk, without Redis' help. Every worker process does it; one at a time."""

import threading
from collections import Counter
from collections.abc import Mapping

from cleanmails import log
from cleanmails.actors import journal, record
from cleanmails.actors.work import Work
from cleanmails.errors import BusyError
from cleanmails.ledger import deliveries, workers
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.deliveries import Attempt
from cleanmails.records import DeliveryState, Stage
from cleanmails.rules import duties

logger = log.get(__name__)

EVERY_SECONDS = 1.0
PATIENCE = 8.0
"""Seconds that work may stand in the pipe with nobody at it, before its message is taken for lost."""

LIMIT = 5_000
LATE_PLAN = 15.0
"""Seconds without a plan after which the trigger is taken for dead, and any worker wakes the planner."""

ALARM_SECONDS = 60

BLIND = "The worker stopped between the final dot and the answer: the server may or may not have taken the mail."


def keep(work: Work) -> None:
    """The sweep's thread: every second until the process stops."""
    while not work.stop.wait(EVERY_SECONDS):
        try:
            sweep(work, apart=0.75 * EVERY_SECONDS)
        except BusyError as error:
            logger.warning("sweep.waits", reason=error.message)
        except Exception:
            # Whatever it is, nobody else takes over what dead workers held.
            logger.exception("sweep.failed")


def start(work: Work) -> threading.Thread:
    """Starts the thread."""
    thread = threading.Thread(target=keep, args=(work,), name="sweep", daemon=True)
    thread.start()
    return thread


def sweep(work: Work, apart: float = 0.0) -> None:
    """One round: answers in orphaned journals first, because they know what the ledger does not; then abandoned work; then a late planner.

    The ledger is not looked through again within `apart` seconds, whichever process did it.
    """
    for orphan in journal.orphans(work.journals):
        _settle(work, orphan)
    with work.database.transaction() as db:
        if not workers.try_sweep(db, apart):
            return
        workers.did(db, "sweep")
        ages = workers.duty_ages(db)
        back, unknown = _take_over(work, db)
    work.queues.render([row["id"] for row in back if row["state"] == DeliveryState.PLANNED])
    work.queues.send(row["sender_id"] for row in back if row["state"] == DeliveryState.RENDERED)
    if ages.get("plan", LATE_PLAN) >= LATE_PLAN:
        work.queues.plan()
    alarm(ages)
    if back or unknown:
        logger.warning("work.abandoned", **Counter(row["state"] for row in back), unknown=unknown)


def _settle(work: Work, orphan: journal.Orphan) -> None:
    """A dead worker's answers become facts. What cannot be settled, for a reason that nobody foresaw, is kept for a person, and holds up nothing else."""
    try:
        if orphan.ended:
            record.settle(work, orphan.ended)
            logger.info("journal.settled", answers=len(orphan.ended))
    except BusyError:
        raise
    except Exception:
        logger.exception("journal.unsettled", journal=orphan.path.name, answers=len(orphan.ended))
    else:
        orphan.settled()


def alarm(ages: Mapping[str, float]) -> None:
    """A line for each duty that is late, about once a minute while it is."""
    for duty in duties.judged(ages):
        if duty.late and duty.age is not None and duty.age % ALARM_SECONDS < EVERY_SECONDS:
            logger.error("duty.late", duty=duty.name, age=round(duty.age), reason=duty.sentence)


def _take_over(work: Work, db: Connection) -> tuple[list[Row], int]:
    """Deliveries whose worker is gone, or whose message was lost: back to their queue (those rows), or to `unknown` (how many)."""
    found = deliveries.abandoned(db, patience=PATIENCE, lease=work.settings.worker_lease_seconds, limit=LIMIT)
    if not found:
        return [], 0
    deliveries.lock_walks(
        db, ((row["campaign_id"], row["lead_id"]) for row in found if row["state"] == DeliveryState.SENDING)
    )
    lost = deliveries.make_unknown(
        db, [(row["id"], row["token"]) for row in found if row["state"] == DeliveryState.SENDING], BLIND
    )
    now = workers.now(db)
    deliveries.write_attempts(
        db,
        (
            Attempt(
                id=row["id"],
                token=row["token"],
                workspace_id=row["workspace_id"],
                sender_id=row["sender_id"],
                outcome="unknown",
                stage=Stage.DOT,
                code=None,
                enhanced=None,
                text=BLIND,
                failure=None,
                rule=None,
                marked_at=row["sending_at"],
                started_at=row["sending_at"],
                finished_at=now,
            )
            for row in lost
        ),
    )
    return deliveries.requeue(
        db, ((row["id"], row["token"]) for row in found if row["state"] != DeliveryState.SENDING)
    ), len(lost)
