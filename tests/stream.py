"""Waiting for the stream of events: other tests' transactions on the same server hold it up for moments."""

import time

from cleanmails.actors import figures


def await_readable(connection):
    """Returns once every event that has committed can be read; `connection` is in autocommit."""
    deadline = time.monotonic() + 60
    question = "SELECT FROM events WHERE xact >= pg_snapshot_xmin(pg_current_snapshot())"
    while connection.execute(question).fetchone() is not None:
        assert time.monotonic() < deadline, "a transaction stays open"


def count_all(database, limit=figures.LIMIT):
    """Adds every event that has committed to the statistics."""
    with database.transaction() as db:
        last = db.execute("SELECT coalesce(max(xact), '0')::text::bigint AS xact FROM events").fetchone()["xact"]
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, "a transaction stays open"
        with database.transaction() as db:
            readable = db.execute(
                "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > %s AS all", (last,)
            ).fetchone()["all"]
        if readable:
            break
    while figures.count(database, limit):
        pass
