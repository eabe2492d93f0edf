"""How each try to hand in a delivery went: what a person on call reads when somebody asks where a mail is."""

from datetime import datetime

import msgspec
from litestar import Controller, get
from litestar.params import FromPath

from cleanmails.api.auth import Principal
from cleanmails.api.given import Given
from cleanmails.errors import NotFoundError
from cleanmails.ledger import attempts
from cleanmails.ledger.db import Database


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One SMTP transaction. `stage` is how far it came, `text` what the server said or how it broke; `rule` names the row that judged it."""

    sender_id: int
    sender: str | None
    outcome: str
    stage: str
    code: int | None
    enhanced: str | None
    text: str
    failure: str | None
    rule: str | None
    marked_at: datetime | None
    started_at: datetime
    finished_at: datetime


class Attempts(Controller):
    """`/v1/outreach/deliveries/{id}/attempts`."""

    path = "/v1/outreach/deliveries/{delivery_id:int}/attempts"
    tags = ("campaigns",)

    @get(sync_to_thread=True)
    def list_all(
        self, delivery_id: FromPath[int], database: Given[Database], principal: Given[Principal]
    ) -> list[Attempt]:
        """List every attempt of one delivery, the oldest first: an empty list until the first one has an end."""
        with database.transaction() as db:
            rows = attempts.of_delivery(db, principal.workspace_id, delivery_id)
        if rows is None:
            raise NotFoundError("There is no such delivery.")
        return [msgspec.convert(row, Attempt) for row in rows]
