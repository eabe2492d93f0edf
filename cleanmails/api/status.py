"""Whether the processes behind the API do their work: how long ago each recurring duty was last done, and which workers are alive."""

from datetime import datetime

import msgspec
from litestar import Controller, get

from cleanmails.api.given import Given
from cleanmails.ledger import workers
from cleanmails.ledger.db import Database
from cleanmails.rules import duties
from cleanmails.settings import Settings


class DutyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A recurring duty: seconds since it was last done (null: never), and what to look for if that is too long."""

    name: str
    age_seconds: float | None
    late: bool
    sentence: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The whole installation. `ok`: no duty is late. `workers` counts the living worker processes by kind."""

    now: datetime
    ok: bool
    duties: list[DutyStatus]
    workers: dict[str, int]


class Statuses(Controller):
    """`/v1/status`."""

    path = "/v1/status"
    tags = ("health",)

    @get(sync_to_thread=True)
    def read(self, database: Given[Database], settings: Given[Settings]) -> Status:
        """Say how long ago the scheduler ticked, the planner planned, and so on, and which workers are alive."""
        with database.transaction() as db:
            judged = duties.judged(workers.duty_ages(db))
            alive = [row["kind"] for row in workers.all_workers(db) if row["age"] <= settings.worker_lease_seconds]
            now = workers.now(db)
        return Status(
            now=now,
            ok=not any(duty.late for duty in judged),
            duties=[
                DutyStatus(
                    name=duty.name,
                    age_seconds=None if duty.age is None else round(duty.age, 1),
                    late=duty.late,
                    sentence=duty.sentence,
                )
                for duty in judged
            ],
            workers={kind: alive.count(kind) for kind in sorted(set(alive))},
        )
