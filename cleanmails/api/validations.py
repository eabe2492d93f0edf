"""Looking at the addresses of a list, as a job with progress: syntax, domain, disposable and role addresses, slips."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from cleanmails import log
from cleanmails.api.auth import Principal
from cleanmails.api.body import Id
from cleanmails.api.given import Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.api.reference import also
from cleanmails.ledger import validations
from cleanmails.ledger.db import Database, Row
from cleanmails.rules.validation import REASONS

_log = log.get(__name__)


class NewValidation(msgspec.Struct, frozen=True, kw_only=True):
    """A list whose addresses are to be looked at; with `again` also those that have a class already."""

    list_id: Id
    again: bool = False


class ValidationCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Leads by class. `pending`: DNS could not say. `catchall` is never found here: no mail server is asked whether it knows an address. Whoever knows it from elsewhere says so
    (`POST /v1/outreach/leads/bulk`, `set_validation`)."""

    valid: int = 0
    invalid: int = 0
    disposable: int = 0
    role: int = 0
    catchall: int = 0
    pending: int = 0


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """A job that looks at a list: how many of its leads it has looked at, what it found (`counts`, which add up to `looked`), how many have another class now
    (`changed`), and the seconds that it will still take, null before that can be told.
    """

    id: int
    list_id: int
    state: Literal["queued", "running", "done", "cancelled"]
    again: bool
    total: int
    looked: int
    changed: int
    counts: ValidationCounts
    seconds_left: int | None
    created_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None


class ReasonMeaning(msgspec.Struct, frozen=True):
    """A code among a lead's `validation_reasons`, and what it says. `did_you_mean` is followed by a colon and an address."""

    code: str
    meaning: str


class Validations(Controller):
    """`/v1/outreach/validations`."""

    path = "/v1/outreach/validations"
    tags = ("lists",)

    @post(sync_to_thread=True, responses=also(404, 409))
    def begin(
        self,
        data: JSONBody[NewValidation],
        database: Given[Database],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Validation:
        """Look at the addresses of a list. A worker begins within seconds; each lead then has its class (`validation`) and the reasons.

        The syntax is judged, the domain looked up (answers are kept for a week), and known lists say which domains are disposable or free and which names are
        roles. No mail server is asked for an address. An invalid address is never mailed; what a campaign does with the other classes says its
        `skip_validation`.
        """
        with database.transaction() as db:
            row = validations.create(db, principal.workspace_id, data.list_id, again=data.again, now=now)
        _log.info("validation.begun", validation=row["id"], list_id=data.list_id, leads=row["total"])
        return _validation(row, now)

    @get(sync_to_thread=True)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        now: Given[datetime],
        list_id: Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1)] = None,
    ) -> Page[Validation]:
        """List the validations, oldest first, of one list or all."""
        with database.transaction() as db:
            found = validations.page(
                db, principal.workspace_id, list_id=list_id, after=window.after, limit=window.fetch
            )
        return page(found, window, lambda row: _validation(row, now))

    @get("/reasons", sync_to_thread=False)
    def reasons(self) -> list[ReasonMeaning]:
        """List the codes that may stand among a lead's `validation_reasons`."""
        return [ReasonMeaning(code, meaning) for code, meaning in REASONS.items()]

    @get("/{validation_id:int}", sync_to_thread=True)
    def read(
        self, validation_id: FromPath[int], database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> Validation:
        """Read how far a validation has come."""
        with database.transaction() as db:
            return _validation(validations.read(db, principal.workspace_id, validation_id), now)

    @post("/{validation_id:int}/cancel", sync_to_thread=True, status_code=200, responses=also(409))
    def cancel(
        self, validation_id: FromPath[int], database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> Validation:
        """End a validation; what it has found stays."""
        with database.transaction() as db:
            return _validation(validations.cancel(db, principal.workspace_id, validation_id, now=now), now)


def _validation(row: Row, now: datetime) -> Validation:
    return msgspec.convert(row | {"seconds_left": _seconds_left(row, now)}, Validation)


def _seconds_left(row: Row, now: datetime) -> int | None:
    """As long as the rest takes at the pace so far."""
    if row["state"] in {"done", "cancelled"}:
        return 0
    if row["begun_at"] is None or not row["looked"]:
        return None
    passed: float = (now - row["begun_at"]).total_seconds()
    looked, total = int(row["looked"]), int(row["total"])
    return max(0, round(passed / looked * (total - looked)))
