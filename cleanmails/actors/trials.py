"""trials: tries out the senders that came by a file, several at once, and lets those send whose server takes them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cleanmails import log
from cleanmails.actors import trial
from cleanmails.actors.work import Work
from cleanmails.errors import BusyError, CleanmailsError, Fault
from cleanmails.ledger import sender_uploads, senders
from cleanmails.ledger.db import Row

EVERY_SECONDS: Final = 2.0
AT_ONCE: Final = 8
"""Servers tried at once; they wait, and cost nothing."""

logger = log.get(__name__)


def start(work: Work) -> threading.Thread:
    """Starts the thread."""
    thread = threading.Thread(target=keep, args=(work,), name="trials", daemon=True)
    thread.start()
    return thread


def keep(work: Work) -> None:
    """The thread of every upkeep worker. What it took and could not end is taken again once its two minutes are over."""
    while not work.stop.wait(EVERY_SECONDS):
        try:
            while not work.stop.is_set() and next_few(work):
                pass
        except BusyError as error:
            logger.warning("trials.wait", reason=error.message)
        except Exception:
            logger.exception("trials.failed")


def next_few(work: Work) -> int:
    """Tries the next few out; how many."""
    with work.database.transaction() as db:
        waiting = sender_uploads.take(db, AT_ONCE)
    if waiting:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="trial") as pool:
            list(pool.map(lambda row: _try(work, row), waiting))
    return len(waiting)


def _try(work: Work, row: Row) -> None:
    """No transaction is held while the server is asked. A sender that is gone meanwhile has failed its test."""
    workspace, sender_id = row["workspace_id"], row["sender_id"]
    handed_in = False
    try:
        with work.database.transaction() as db:
            sender = senders.read(db, workspace, sender_id, today=work.clock(db).date())
        found = trial.both(trial.mailbox_of(sender), sender["address"], sender_id, work.vault, work.settings)
        faults, handed_in = found.faults(), found.handed_in
    except BusyError:
        raise
    except CleanmailsError as error:
        faults = [Fault("", error.code, error.message)]
    with work.database.transaction() as db:
        if handed_in:
            senders.record_pass(db, workspace, sender_id, now=work.clock(db))
        sender_uploads.tested(db, row["upload_id"], row["line"], faults)
    logger.info("sender.tested", sender=sender_id, passed=not faults)
