"""figures: what events add up to, counted seconds after them and apart from them, so that statistics cost the pipeline nothing."""

import argparse
import os
import threading
from collections.abc import Sequence
from typing import Final

from cleanmails import log, settings
from cleanmails.actors.work import Work
from cleanmails.errors import BusyError, SettingsError
from cleanmails.ledger import figures
from cleanmails.ledger.db import Database

logger = log.get(__name__)

EVERY_SECONDS: Final = 2.0
LIMIT: Final = 20_000
"""Events of one workspace in a transaction."""


def keep(work: Work) -> None:
    """The thread of every upkeep worker; one counts at a time."""
    while not work.stop.wait(EVERY_SECONDS):
        try:
            while count(work.database) and not work.stop.is_set():
                pass
        except BusyError as error:
            logger.warning("figures.wait", reason=error.message)
        except Exception:
            # Nothing is lost: the next round begins where the last one ended.
            logger.exception("figures.failed")


def start(work: Work) -> threading.Thread:
    """Starts the thread."""
    thread = threading.Thread(target=keep, args=(work,), name="figures", daemon=True)
    thread.start()
    return thread


def count(database: Database, limit: int = LIMIT) -> bool:
    """Counts what came since; whether there is more."""
    with database.transaction() as db:
        if not figures.try_count(db):
            return False
        _, most = figures.count(db, limit)
    return most >= limit


def recount(argv: Sequence[str]) -> int:
    """`cleanmails recount`: counts all statistics anew from the events that are kept.."""
    argparse.ArgumentParser(prog="cleanmails recount", description=recount.__doc__).parse_args(argv)
    configured = settings.load(os.environ)
    log.configure("console", level="WARNING")
    if configured.database_url is None:
        raise SettingsError("DATABASE_URL must be set: there are no events to count.")
    with Database(configured.database_url, size=1, name="cleanmails recount") as database:
        print(f"{recount_all(database)} events were counted.")
    return 0


def recount_all(database: Database, limit: int = LIMIT) -> int:
    """Counts anew, in one transaction: readers see the old figures until the new ones are there. How many events there were."""
    total = 0
    with database.transaction() as db:
        figures.forget(db)
        while True:
            events, most = figures.count(db, limit)
            total += events
            if most < limit:
                return total
