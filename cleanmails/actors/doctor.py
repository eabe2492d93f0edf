"""`cleanmails doctor`: asks the ledger whether all that must be true of it is true, and says what to do where it is not."""

import argparse
import os
from collections.abc import Sequence

from cleanmails import log, settings
from cleanmails.errors import SettingsError
from cleanmails.ledger import invariants
from cleanmails.ledger.db import Database, Row
from cleanmails.ledger.invariants import LIMIT, Invariant

SHOWN = 5
"""Rows of a broken invariant that are printed."""


def main(argv: Sequence[str]) -> int:
    """Prints every invariant with the number of rows that break it; 1 if there are any. Reads only, and may run beside everything."""
    argparse.ArgumentParser(prog="cleanmails doctor", description=main.__doc__).parse_args(argv)
    configured = settings.load(os.environ)
    log.configure("console", level="WARNING")
    if configured.database_url is None:
        raise SettingsError("DATABASE_URL must be set: there is no ledger to look at.")
    with Database(configured.database_url, size=1, name="cleanmails doctor") as database:
        broken = examine(database)
    print(f"{broken} of {len(invariants.INVARIANTS)} invariants are broken." if broken else "The ledger is sound.")
    return 1 if broken else 0


def examine(database: Database) -> int:
    """Prints what is found; how many invariants are broken. Each is asked in a transaction of its own, so that none holds back a vacuum for long."""
    broken = 0
    for invariant in invariants.INVARIANTS:
        with database.transaction() as db:
            rows = invariants.violations(db, invariant)
        broken += bool(rows)
        show(invariant, rows)
    return broken


def show(invariant: Invariant, rows: Sequence[Row]) -> None:
    """One line if all is well; else some of the rows, and what to do."""
    count = f"{LIMIT} or more" if len(rows) >= LIMIT else str(len(rows))
    print(f"{'BROKEN' if rows else 'ok':<6} {count:>4}  {invariant.promise}")
    for row in rows[:SHOWN]:
        print(f"{'':13}{', '.join(f'{name} {value}' for name, value in row.items())}")
    if rows:
        print(f"{'':13}What to do: {invariant.remedy}")
