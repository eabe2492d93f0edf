"""validate: looks at the addresses of a list, batch by batch; a worker that dies is followed by another, which goes on where it came to."""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Final

from cleanmails import log
from cleanmails.actors import resolve
from cleanmails.actors.work import Work, stopwatch
from cleanmails.errors import BusyError
from cleanmails.ledger import recipient_domains, validations
from cleanmails.ledger.db import Row
from cleanmails.ledger.validations import Found, Job
from cleanmails.rules import validation

EVERY_SECONDS: Final = 1.0
BATCH: Final = 2_000
"""Leads a transaction: few enough that its locks are short, and a cancel is heeded within a second."""

logger = log.get(__name__)


def start(work: Work) -> threading.Thread:
    """Starts the thread."""
    thread = threading.Thread(target=keep, args=(work,), name="validate", daemon=True)
    thread.start()
    return thread


def keep(work: Work) -> None:
    """The thread of every upkeep worker: a job after another, until the process stops."""
    while not work.stop.wait(EVERY_SECONDS):
        try:
            while not work.stop.is_set() and next_job(work):
                pass
        except BusyError as error:
            logger.warning("validation.waits", reason=error.message)
        except Exception:
            logger.exception("validation.failed")


def next_job(work: Work) -> bool:
    """Takes a job and does it; whether there was one."""
    with work.database.transaction() as db:
        job = validations.take(db, work.worker_id, lease=work.settings.worker_lease_seconds)
    if job is None:
        return False
    begun, looked = stopwatch(), 0
    try:
        done, looked = _do(work, job)
    except BaseException:
        work.until_done(lambda: _put_back(work, job))
        raise
    logger.info("list.validated", validation=job.id, done=done, leads=looked, ms=round(1000 * (stopwatch() - begun), 1))
    return True


def _do(work: Work, job: Job) -> tuple[bool, int]:
    """Looks at batch after batch. Whether the job is done, and at how many leads it looked."""
    cursor, looked = job.cursor, 0
    while not work.stop.is_set():
        with work.database.transaction() as db:
            leads = validations.leads(db, job, cursor, BATCH)
        if not leads:
            with work.database.transaction() as db:
                return validations.finish(db, job), looked
        # No transaction is held while name servers are asked.
        accepts = _accepts_mail(work, sorted({lead["domain"] for lead in leads if lead["open"]}))
        found, counts = _judge(leads, accepts)
        cursor = leads[-1]["id"]
        with work.database.transaction() as db:
            if not validations.write(db, job, found, counts, cursor, now=work.clock(db)):
                return False, looked
        looked += len(leads)
    _put_back(work, job)
    return False, looked


def _judge(leads: Sequence[Row], accepts: dict[str, bool | None]) -> tuple[list[Found], Counter[str]]:
    """What is found of those that are open, and all of the batch by class."""
    found: list[Found] = []
    counts = Counter[str]()
    for lead in leads:
        if not lead["open"]:
            counts[lead["validation"]] += 1
            continue
        judged = validation.judge(lead["email"], accepts[lead["domain"]])
        counts[judged.validation.value] += 1
        found.append(Found(lead["id"], judged.validation.value, judged.reasons))
    return found, counts


def _accepts_mail(work: Work, names: Sequence[str]) -> dict[str, bool | None]:
    """Whether each domain takes mail: what was found out in the last week, else what DNS says now, which is kept."""
    if not names:
        return {}
    with work.database.transaction() as db:
        known: dict[str, bool | None] = dict(recipient_domains.known(db, names))
    missing = [name for name in names if name not in known]
    return known | {each.name: each.accepts_mail for each in resolve.look_up(work, missing)} if missing else known


def _put_back(work: Work, job: Job) -> None:
    with work.database.transaction() as db:
        validations.put_back(db, job)
