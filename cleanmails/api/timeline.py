"""One lead's history: where it stands in its campaigns, and everything that happened to it."""

from datetime import datetime
from typing import Any, Final

import msgspec
from litestar import Controller, get
from litestar.params import FromPath

from cleanmails.api.auth import Principal
from cleanmails.api.given import Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.ledger import leads, timeline
from cleanmails.ledger.db import Database
from cleanmails.records import CampaignStatus, WalkOutcome, WalkState

MOST_WALKS: Final = 200
MOST_BESIDE: Final = 200


class LeadWalk(msgspec.Struct, frozen=True, kw_only=True):
    """A lead in one campaign: `step` of `steps` comes next (from 0), `sent` mails it got. `outcome` says how the walk ended."""

    campaign_id: int
    campaign_name: str
    campaign_status: CampaignStatus
    state: WalkState
    step: int
    steps: int
    due_at: datetime | None
    sender_id: int | None
    sender_address: str | None
    hold_reason: str | None
    outcome: WalkOutcome | None
    sent: int
    enrolled_at: datetime
    ended_at: datetime | None


class LeadEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the stream that is about a lead, with the names of what it is about. `step` and `subject` are those of its mail.

    Without an id: what is no event, but happened to the lead too. `list.joined`, `lead.changed` (by a person or an API key), `message.received` (automatic
    replies and complaints), `note.written`, `answer.written`.
    """

    at: datetime
    type: str
    campaign_id: int | None
    campaign_name: str | None
    sender_id: int | None
    sender_address: str | None
    data: dict[str, Any]
    id: int | None = None
    delivery_id: int | None = None
    step: int | None = None
    subject: str | None = None


class Timelines(Controller):
    """`/v1/outreach/leads/{id}`, as it went."""

    path = "/v1/outreach/leads/{lead_id:int}"
    tags = ("leads",)

    @get("/campaigns", sync_to_thread=True)
    def list_walks(
        self, lead_id: FromPath[int], database: Given[Database], principal: Given[Principal]
    ) -> list[LeadWalk]:
        """List the campaigns that a lead is or was in, the newest first; at most 200."""
        with database.transaction() as db:
            leads.read(db, principal.workspace_id, lead_id)
            rows = timeline.walks(db, principal.workspace_id, lead_id, limit=MOST_WALKS)
        return msgspec.convert(rows, list[LeadWalk])

    @get("/timeline", sync_to_thread=True)
    def list_events(
        self, lead_id: FromPath[int], database: Given[Database], principal: Given[Principal], window: Given[Window]
    ) -> Page[LeadEvent]:
        """List everything that happened to a lead, the newest first: so many events, and what happened between them besides."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            leads.read(db, workspace, lead_id)
            rows = timeline.events(db, workspace, lead_id, before=window.after, limit=window.fetch)
            oldest = rows[window.limit - 1]["id"] if len(rows) > window.limit else None
            others = timeline.beside(db, workspace, lead_id, since=oldest, until=window.after, limit=MOST_BESIDE)
        found = page(rows, window, lambda row: msgspec.convert(row, LeadEvent))
        items = sorted(
            [*found.items, *msgspec.convert(others, list[LeadEvent])], key=lambda each: each.at, reverse=True
        )
        return Page(items, found.next)
