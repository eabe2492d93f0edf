"""Waiting for the stream of events: other tests' transactions on the same server hold it up for moments."""

import time


def await_readable(connection):
    """Returns once every event that has committed can be read; `connection` is in autocommit."""
    deadline = time.monotonic() + 60
    question = "SELECT FROM events WHERE xact >= pg_snapshot_xmin(pg_current_snapshot())"
    while connection.execute(question).fetchone() is not None:
        assert time.monotonic() < deadline, "a transaction stays open"
