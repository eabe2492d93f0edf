"""What has changed since a time, in the order of the changes and without gaps."""

from datetime import datetime

from cleanmails.ledger.db import Connection
from cleanmails.ledger.statements import sql


def span(db: Connection, since: datetime | None) -> dict[str, datetime | None]:
    """What statements ask with: rows behind `since`, up to `until`, before which nothing can appear any more. None: all rows, in the order of their ids.

    A row whose transaction commits late is read late, never passed over; so a transaction that runs long holds the reading up, as it does the stream of events.
    """
    if since is None:
        return {"since": None, "until": None}
    row = db.execute(sql("sync.settled_until")).fetchone()
    assert row is not None  # this transaction is one of them
    return {"since": since, "until": row["at"]}
