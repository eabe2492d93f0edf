"""Lists, and the leads that join and leave them one by one or by the hundred; files come by `api/imports.py`."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from cleanmails.api.auth import Principal
from cleanmails.api.fields import Title
from cleanmails.api.given import Given
from cleanmails.api.leads import Lead, NewLead, lead, sought
from cleanmails.api.pages import Page, Window, page
from cleanmails.api.reference import also
from cleanmails.errors import NotFoundError
from cleanmails.ledger import imports, leads, lists
from cleanmails.ledger.db import Database
from cleanmails.records import LeadStatus

MOST_LEADS = 1_000
BODY_LIMIT = 10_000_000
"""Bytes of a thousand leads with many fields."""


class ListName(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is called; no two that are in use have the same name."""

    name: Title


class LeadList(msgspec.Struct, frozen=True, kw_only=True):
    """A list; `leads` is how many are on it."""

    id: int
    name: str
    leads: int
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one lead of a request, in the order of the request. `reason` says why it was not taken."""

    email: str
    lead_id: int | None
    verdict: Literal["created", "updated", "duplicate", "suppressed"]
    reason: str | None


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the leads of a request: rows = created + updated + duplicate + suppressed + invalid."""

    rows: int
    created: int
    updated: int
    duplicate: int
    suppressed: int
    invalid: int
    leads: list[Outcome]


class Lists(Controller):
    """`/v1/outreach/lists`."""

    path = "/v1/outreach/lists"
    tags = ("lists",)

    @post(sync_to_thread=True, responses=also(409))
    def create(self, data: JSONBody[ListName], database: Given[Database], principal: Given[Principal]) -> LeadList:
        """Make a list."""
        with database.transaction() as db:
            return _list(lists.create(db, principal.workspace_id, data.name.strip()))

    @get(sync_to_thread=True)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        archived: FromQuery[bool] = False,
    ) -> Page[LeadList]:
        """List the lists, oldest first; with `archived=true` those too that were put away."""
        with database.transaction() as db:
            rows = lists.page(db, principal.workspace_id, archived=archived, after=window.after, limit=window.fetch)
        return page(rows, window, _list)

    @get("/{list_id:int}", sync_to_thread=True)
    def read(self, list_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> LeadList:
        """Read one list."""
        with database.transaction() as db:
            return _list(lists.read(db, principal.workspace_id, list_id))

    @patch("/{list_id:int}", sync_to_thread=True, responses=also(409))
    def rename(
        self, list_id: FromPath[int], data: JSONBody[ListName], database: Given[Database], principal: Given[Principal]
    ) -> LeadList:
        """Give a list another name."""
        with database.transaction() as db:
            return _list(lists.rename(db, principal.workspace_id, list_id, data.name.strip()))

    @delete("/{list_id:int}", sync_to_thread=True, responses=also(409))
    def archive(self, list_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> None:
        """Put a list away: its leads stay, its name is free. Not while a campaign that is not completed uses it (`list_in_use`)."""
        with database.transaction() as db:
            lists.archive(db, principal.workspace_id, list_id)

    @get("/{list_id:int}/leads", sync_to_thread=True)
    def list_leads(
        self,
        list_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        status: FromQuery[LeadStatus | None] = None,
        search: FromQuery[str | None] = None,
    ) -> Page[Lead]:
        """List the leads on a list. `search` finds a part of an address, a name or a company."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            lists.read(db, workspace, list_id)
            rows = leads.page(
                db,
                workspace,
                list_id=list_id,
                status=status,
                search=sought(search),
                after=window.after,
                limit=window.fetch,
            )
        return page(rows, window, lead)

    @post("/{list_id:int}/leads", sync_to_thread=True, responses=also(409), request_max_body_size=BODY_LIMIT)
    def join(
        self,
        list_id: FromPath[int],
        data: JSONBody[NewLead | Annotated[list[NewLead], msgspec.Meta(min_length=1, max_length=MOST_LEADS)]],
        database: Given[Database],
        principal: Given[Principal],
    ) -> Joined:
        """Add a lead to a list, or up to a thousand at once.

        A known address is updated by what the request says of it, and left as it is in what the request leaves out. Suppressed addresses are counted and
        not added. Running campaigns that use the list begin with the new leads at once.
        """
        given = [data] if isinstance(data, NewLead) else data
        with database.transaction() as db:
            arrivals = (each.arrival(number) for number, each in enumerate(given, 1))
            totals = imports.take(db, principal.workspace_id, list_id, arrivals)
            rows = imports.outcomes(db)
        return Joined(**msgspec.structs.asdict(totals), leads=[msgspec.convert(row, Outcome) for row in rows])

    @delete("/{list_id:int}/leads/{lead_id:int}", sync_to_thread=True)
    def leave(
        self, list_id: FromPath[int], lead_id: FromPath[int], database: Given[Database], principal: Given[Principal]
    ) -> None:
        """Take a lead off a list. Campaigns that have it by no other list end its walk for good."""
        with database.transaction() as db:
            if not lists.remove_leads(db, principal.workspace_id, list_id, [lead_id]):
                raise NotFoundError("There is no such lead on this list.")


def _list(row: dict[str, Any]) -> LeadList:
    return msgspec.convert(row, LeadList)
