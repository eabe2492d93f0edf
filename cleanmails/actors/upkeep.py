"""upkeep: the hourly duties. Each may run any number of times."""

from datetime import UTC, timedelta

from cleanmails import log
from cleanmails.actors.domains import look_again
from cleanmails.actors.promote import promote
from cleanmails.actors.resolve import look_up
from cleanmails.actors.work import Work, stopwatch
from cleanmails.ledger import (
    events,
    idempotency,
    imports,
    invariants,
    mailboxes,
    outlets,
    planning,
    recipient_domains,
    workers,
)

logger = log.get(__name__)

LOOK_UPS = 2_000
"""Domains looked up again in one round."""

RECEIVED, MAPPED = timedelta(days=1), timedelta(days=7)
"""After so long a file of leads that did not come to its end is forgotten, and one that nobody said a word about is cancelled."""

OUTLET_DAYS = 30
"""For how long the log of what went to webhooks and CRMs is kept."""

SET_ASIDE_DAYS = 90
"""For how long a message that could not be handled is kept."""


def upkeep(work: Work) -> None:
    """Everything that is due hourly; one line when it is done."""
    begun = stopwatch()
    senders = true_up(work)
    broken = examine(work)
    promoted = promote(work)
    looked = look_again(work)
    with work.database.transaction() as db:
        workers.bury(db)
        events.make_months(db)
        if work.settings.event_months:
            events.drop_months(db, work.settings.event_months)
        idempotency.forget(db, work.clock(db) - timedelta(days=1))
        outlets.forget(db, work.clock(db) - timedelta(days=OUTLET_DAYS))
        imports.tidy(db, received_before=work.clock(db) - RECEIVED, mapped_before=work.clock(db) - MAPPED)
        mailboxes.forget_set_aside(db, work.clock(db) - timedelta(days=SET_ASIDE_DAYS))
        stale = recipient_domains.oldest(db, LOOK_UPS)
        workers.did(db, "upkeep")
    if stale:
        look_up(work, stale)
    logger.info(
        "upkeep.done",
        senders=senders,
        domains=len(stale),
        broken=broken,
        promoted=promoted,
        looked=looked,
        ms=round(1000 * (stopwatch() - begun), 1),
    )


def examine(work: Work) -> int:
    """Asks every invariant of the ledger; a line of alarm for each that is broken, with one of the rows that break it. How many are."""
    broken = 0
    for invariant in invariants.INVARIANTS:
        with work.database.transaction() as db:
            rows = invariants.violations(db, invariant)
        if rows:
            broken += 1
            logger.error(
                "invariant.broken", invariant=invariant.name, promise=invariant.promise, rows=len(rows), first=rows[0]
            )
    return broken


def true_up(work: Work) -> int:
    """Sets Redis' daily counters to the ledger's figures; under the planner's lock, so that nobody stands between a reservation and its commit."""
    with work.database.transaction() as db:
        now = planning.try_lock(db)
        if now is None:
            return 0
        by_sender, _ = planning.pipe(db)
        campaigns = planning.campaigns(db, now)
        senders = planning.senders(db, now, list(campaigns), by_sender)
        work.daily.replace({id: sender.used_today for id, sender in senders.items()}, now.astimezone(UTC).date())
    return len(senders)
