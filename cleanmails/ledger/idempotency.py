"""Writes that may be repeated: what a request with an Idempotency-Key answered, for a day."""

from datetime import datetime

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def begin(db: Connection, owner: str, key: str, request: bytes, *, now: datetime) -> Row | None:
    """None: the caller does it, and says `finish` or `release`. Else what is known: `request` (a hash) and `answer` (None: it is being done)."""
    values = {"owner": owner, "key": key, "request": request, "now": now}
    if db.execute(sql("idempotency.begin"), values).fetchone() is not None:
        return None
    return db.execute(sql("idempotency.read"), {"owner": owner, "key": key}).fetchone()


def finish(db: Connection, owner: str, key: str, answer: bytes, *, now: datetime) -> None:
    """Keeps the answer, sealed."""
    db.execute(sql("idempotency.finish"), {"owner": owner, "key": key, "answer": answer, "now": now})


def release(db: Connection, owner: str, key: str) -> None:
    """Nothing was done: the key may be tried again."""
    db.execute(sql("idempotency.release"), {"owner": owner, "key": key})


def forget(db: Connection, before: datetime) -> None:
    """Drops keys that were begun before that time."""
    db.execute(sql("idempotency.forget"), {"before": before})
