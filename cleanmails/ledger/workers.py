"""Worker processes with their leases, and when each recurring duty was last done."""

from datetime import datetime

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def register(db: Connection, kind: str, host: str, pid: int) -> int:
    """The id under which a new process takes deliveries."""
    row = db.execute(sql("workers.register"), {"kind": kind, "host": host, "pid": pid}).fetchone()
    assert row is not None
    return int(row["id"])


def beat(db: Connection, worker_id: int) -> bool:
    """Renews the worker's lease; False if it has been buried and must register anew."""
    return db.execute(sql("workers.beat"), {"id": worker_id}).fetchone() is not None


def leave(db: Connection, worker_id: int) -> None:
    """The process stops with nothing in its hands."""
    db.execute(sql("workers.leave"), {"id": worker_id})


def bury(db: Connection) -> None:
    """Forgets workers that died long ago."""
    db.execute(sql("workers.bury"))


def all_workers(db: Connection) -> list[Row]:
    """Every process that is known, with the age of its last beat in seconds."""
    return db.execute(sql("workers.all_workers")).fetchall()


def did(db: Connection, duty: str) -> None:
    """Notes that a recurring duty (`tick`, `plan`, `sweep`, `upkeep`) was done now."""
    db.execute(sql("workers.did"), {"name": duty})


def duty_ages(db: Connection) -> dict[str, float]:
    """Seconds since each duty was last done, and since the `installation` was made."""
    return {row["name"]: row["age"] for row in db.execute(sql("workers.duty_ages"))}


def now(db: Connection) -> datetime:
    """The ledger's clock: the only one that times are compared by."""
    row = db.execute(sql("workers.now")).fetchone()
    assert row is not None
    moment: datetime = row["now"]
    return moment


def try_sweep(db: Connection, apart: float = 0.0) -> bool:
    """Whether this transaction is the one sweep now; no if the last one was less than `apart` seconds ago."""
    row = db.execute(sql("workers.try_sweep"), {"apart": apart}).fetchone()
    return row is not None and bool(row["mine"])
