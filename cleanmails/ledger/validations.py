"""Jobs that look at the addresses of a list: begun by a person, taken by one worker at a time, and gone on with from where the last one came."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from cleanmails.errors import ConflictError, NotFoundError, StateError
from cleanmails.ledger import events, lists
from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.events import Event
from cleanmails.ledger.statements import sql


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job in a worker's hands. `cursor`: the lead up to which it has come; `again`: those that have a class already are looked at too."""

    id: int
    workspace_id: int
    list_id: int
    again: bool
    cursor: int
    token: int


class Found(msgspec.Struct, frozen=True):
    """What was found out about a lead's address."""

    lead_id: int
    validation: str
    reasons: tuple[str, ...]


def create(db: Connection, workspace_id: int, list_id: int, *, again: bool, now: datetime) -> Row:
    """A job that waits for a worker. NotFoundError; ConflictError (`validation_running`) if one is at this list already."""
    lists.read(db, workspace_id, list_id)
    values = {"workspace_id": workspace_id, "list_id": list_id, "again": again, "now": now}
    row = db.execute(sql("validations.insert"), values).fetchone()
    if row is None:
        raise ConflictError("The addresses of this list are being looked at already.", code="validation_running")
    return read(db, workspace_id, row["id"])


def read(db: Connection, workspace_id: int, validation_id: int) -> Row:
    """A job with all its columns. NotFoundError."""
    row = db.execute(sql("validations.read"), {"workspace_id": workspace_id, "id": validation_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such validation.")
    return row


def page(db: Connection, workspace_id: int, *, list_id: int | None, after: int | None, limit: int) -> list[Row]:
    """Jobs in order of their ids, of one list or all."""
    values = {"workspace_id": workspace_id, "list_id": list_id, "after": after or 0, "limit": limit}
    return db.execute(sql("validations.page"), values).fetchall()


def cancel(db: Connection, workspace_id: int, validation_id: int, *, now: datetime) -> Row:
    """Ends a job; what it has found stays. NotFoundError; StateError if it has ended."""
    read(db, workspace_id, validation_id)
    values = {"workspace_id": workspace_id, "id": validation_id, "now": now}
    if db.execute(sql("validations.cancel"), values).fetchone() is None:
        raise StateError("The validation has ended already.")
    return read(db, workspace_id, validation_id)


def take(db: Connection, worker_id: int, *, lease: float) -> Job | None:
    """The oldest job that nobody is at, now this worker's; None if there is none."""
    row = db.execute(sql("validations.take"), {"worker_id": worker_id, "lease": lease}).fetchone()
    return msgspec.convert(row, Job) if row else None


def put_back(db: Connection, job: Job) -> None:
    """The worker stops; the next one goes on."""
    db.execute(sql("validations.put_back"), {"id": job.id, "token": job.token})


def leads(db: Connection, job: Job, after: int, limit: int) -> list[Row]:
    """The leads behind `after`: `id`, `email`, `domain`, `validation`, and whether they are `open` to be looked at."""
    values = {"list_id": job.list_id, "again": job.again, "after": after, "limit": limit}
    return db.execute(sql("validations.leads"), values).fetchall()


def write(
    db: Connection, job: Job, found: Sequence[Found], counts: Mapping[str, int], cursor: int, *, now: datetime
) -> bool:
    """Writes what was found, and how far the job has come; `counts` are all leads of the batch by class. False: it is this worker's no more, and nothing was written."""
    if db.execute(sql("validations.hold"), {"id": job.id, "token": job.token}).fetchone() is None:
        return False
    changed = classify(db, job.workspace_id, found, now=now)
    values = {
        "id": job.id,
        "token": job.token,
        "looked": sum(counts.values()),
        "changed": changed,
        "cursor": cursor,
        "counts": msgspec.json.encode(dict(counts)).decode(),
    }
    db.execute(sql("validations.advance"), values)
    return True


def classify(db: Connection, workspace_id: int, found: Sequence[Found], *, now: datetime) -> int:
    """Writes what somebody found of these leads and tells of those that have another class now; how many."""
    rows = db.execute(sql("validations.write"), _columns(found) | {"workspace_id": workspace_id, "now": now})
    told = [
        Event(
            type="lead.validated",
            workspace_id=workspace_id,
            lead_id=row["id"],
            data={"email": row["email"], "validation": row["validation"]},
        )
        for row in rows.fetchall()
        if row["validation"] != row["was"]
    ]
    events.append(db, told)
    return len(told)


def finish(db: Connection, job: Job) -> bool:
    """The job is done. False: it was cancelled, or another worker has it."""
    return db.execute(sql("validations.finish"), {"id": job.id, "token": job.token}).fetchone() is not None


def _columns(found: Sequence[Found]) -> Row:
    rows = [(each.lead_id, each.validation, msgspec.json.encode(each.reasons).decode()) for each in found]
    return columns(("ids", "classes", "reasons"), rows)
