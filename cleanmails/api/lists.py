"""Lists, and the leads that join and leave them one by one or by the hundred; files come by `api/imports.py`."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec.structs import replace

from cleanmails.api.auth import Principal
from cleanmails.api.body import Id
from cleanmails.api.fields import Title
from cleanmails.api.given import Given
from cleanmails.api.leads import FILTERED, Lead, LeadFilter, NewLead, lead
from cleanmails.api.pages import SYNCED, Page, Window, page
from cleanmails.api.reference import also
from cleanmails.errors import Fault, NotFoundError
from cleanmails.ledger import imports, leads, lists
from cleanmails.ledger.db import Database

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


class ListMerge(msgspec.Struct, frozen=True, kw_only=True):
    """Which lists are merged into one, and whether they are put away then."""

    lists: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=100)]
    archive: bool = False


class ListSplit(msgspec.Struct, frozen=True, kw_only=True):
    """What the new lists are called, two or more."""

    names: Annotated[list[Title], msgspec.Meta(min_length=2, max_length=50)]

    def faults(self) -> Iterator[Fault]:
        """Each has a name of its own."""
        seen: set[str] = set()
        for index, name in enumerate(self.names):
            if name.strip().lower() in seen:
                yield Fault(f"names[{index}]", "same_name", "Another of the new lists is called like this.")
            seen.add(name.strip().lower())

    def called(self) -> list[str]:
        """The names as they are kept."""
        return [name.strip() for name in self.names]


class ListDedupe(msgspec.Struct, frozen=True, kw_only=True):
    """Who goes: `lists` are those who are on other lists too (on these, or without any named on every other in use); `mailbox` those whose
    address is another spelling of one that stays: a tag behind a plus sign, or other dots at Gmail.
    """

    by: Literal["lists", "mailbox"] = "lists"
    lists: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=100)] | None = None
    dry_run: bool = False


class ListChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A list as it is now, and how many leads came or went (with `dry_run`: would go)."""

    list: LeadList
    leads: int


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

    @get(sync_to_thread=True, dependencies=SYNCED)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        archived: FromQuery[bool] = False,
        q: Annotated[str, QueryParameter(max_length=200, description="A part of the name.")] = "",
    ) -> Page[LeadList]:
        """List the lists, oldest first; with `archived=true` those too that were put away."""
        with database.transaction() as db:
            rows = lists.page(
                db,
                principal.workspace_id,
                archived=archived,
                q=q,
                since=window.since,
                after=window.after,
                limit=window.fetch,
            )
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

    @post("/{list_id:int}/restore", sync_to_thread=True, status_code=200, responses=also(409))
    def restore(self, list_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> LeadList:
        """Take a list that was put away into use again. Not if another has its name by now (`name_taken`)."""
        with database.transaction() as db:
            return _list(lists.restore(db, principal.workspace_id, list_id))

    @post("/{list_id:int}/merge", sync_to_thread=True, status_code=200, responses=also(409))
    def merge(
        self, list_id: FromPath[int], data: JSONBody[ListMerge], database: Given[Database], principal: Given[Principal]
    ) -> ListChanged:
        """Put everybody who is on other lists on this one, each once; these are put away after it where that is asked for."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            others = sorted(set(data.lists) - {list_id})
            joined = lists.merge(db, workspace, list_id, others)
            for each in others if data.archive else ():
                lists.archive(db, workspace, each)
            return ListChanged(list=_list(lists.read(db, workspace, list_id)), leads=joined)

    @post("/{list_id:int}/split", sync_to_thread=True, status_code=201, responses=also(409))
    def split(
        self, list_id: FromPath[int], data: JSONBody[ListSplit], database: Given[Database], principal: Given[Principal]
    ) -> list[LeadList]:
        """Deal the leads of a list out over new lists, evenly and mixed; the list itself stays as it is."""
        with database.transaction() as db:
            return [_list(row) for row in lists.split(db, principal.workspace_id, list_id, data.called())]

    @post("/{list_id:int}/dedupe", sync_to_thread=True, status_code=200)
    def dedupe(
        self, list_id: FromPath[int], data: JSONBody[ListDedupe], database: Given[Database], principal: Given[Principal]
    ) -> ListChanged:
        """Take those off a list that are on other lists too, or that have the mailbox of another lead on it; or only count them (`dry_run`).

        An address is on a list once in any case. Campaigns that have those who go by no other list end their walks for good.
        """
        workspace = principal.workspace_id
        with database.transaction() as db:
            lists.read(db, workspace, list_id)
            if data.by == "mailbox":
                found = lists.same_mailbox(db, workspace, list_id)
            else:
                found = lists.on_others(db, workspace, list_id, data.lists)
            if found and not data.dry_run:
                lists.remove_leads(db, workspace, list_id, found)
            return ListChanged(list=_list(lists.read(db, workspace, list_id)), leads=len(found))

    @get("/{list_id:int}/leads", sync_to_thread=True, dependencies=FILTERED)
    def list_leads(
        self,
        list_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        among: Given[LeadFilter],
    ) -> Page[Lead]:
        """List the leads on a list, or find those of them that fit all that is asked for."""
        wanted = replace(among, list_id=list_id).wanted()
        with database.transaction() as db:
            lists.read(db, principal.workspace_id, list_id)
            rows = leads.page(db, principal.workspace_id, wanted, after=window.after, limit=window.fetch)
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
