"""Reports of campaigns for people without an account: a link that can be read, not guessed, and taken back."""

import secrets
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody

from cleanmails.api.auth import Permission, Principal, token_hash
from cleanmails.api.fields import Title
from cleanmails.api.given import Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.api.reference import also
from cleanmails.ledger import campaigns, overview, shares
from cleanmails.ledger.db import Database
from cleanmails.settings import Settings

_LONGEST_DAYS: Final = 366


class NewShare(msgspec.Struct, frozen=True, kw_only=True):
    """A report to be shared: for whom, and for how long."""

    name: Title
    days: Annotated[int, msgspec.Meta(ge=1, le=_LONGEST_DAYS)] = 30


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A link to a campaign's report."""

    id: int
    campaign_id: int
    name: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class FreshShare(msgspec.Struct, frozen=True, kw_only=True):
    """A link that was just made; it is shown this once."""

    link: str
    share: Share


class Ending(msgspec.Struct, frozen=True):
    """How walks ended, and how many."""

    outcome: str
    leads: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a shared link shows: figures, and no person's name or address. `enrolled` leads = waiting + in flight + held + ended."""

    workspace: str
    campaign: str
    status: str
    started_at: datetime | None
    completed_at: datetime | None
    enrolled: int
    waiting: int
    in_flight: int
    held: int
    ended: int
    sent: int
    endings: list[Ending]
    expires_at: datetime


class Shares(Controller):
    """`/v1/outreach/campaigns/{id}/shares`, and `/v1/shared/{token}`."""

    tags = ("campaigns",)

    @post("/v1/outreach/campaigns/{campaign_id:int}/shares", sync_to_thread=True, needs=Permission.MANAGE)
    def create(
        self,
        campaign_id: FromPath[int],
        data: JSONBody[NewShare],
        database: Given[Database],
        settings: Given[Settings],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> FreshShare:
        """Share a campaign's report by a link. Who has the link sees the figures, nothing else, until it expires or is revoked."""
        token = secrets.token_urlsafe(32)
        with database.transaction() as db:
            row = shares.create(
                db,
                principal.workspace_id,
                campaign_id,
                name=data.name.strip(),
                token_hash=token_hash(token),
                created_by=principal.user_id,
                now=now,
                expires_at=now + timedelta(days=data.days),
            )
        return FreshShare(link=f"{settings.public_url}/shared/{token}", share=msgspec.convert(row, Share))

    @get("/v1/outreach/campaigns/{campaign_id:int}/shares", sync_to_thread=True, needs=Permission.MANAGE)
    def list_all(
        self,
        campaign_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
    ) -> Page[Share]:
        """List the links to a campaign's report, oldest first."""
        with database.transaction() as db:
            campaigns.read(db, principal.workspace_id, campaign_id)
            rows = shares.list_all(db, principal.workspace_id, campaign_id, after=window.after, limit=window.fetch)
        return page(rows, window, lambda row: msgspec.convert(row, Share))

    @delete(
        "/v1/outreach/campaigns/{campaign_id:int}/shares/{share_id:int}", sync_to_thread=True, needs=Permission.MANAGE
    )
    def revoke(
        self,
        campaign_id: FromPath[int],
        share_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> None:
        """Revoke a link: it shows nothing any more, at once."""
        with database.transaction() as db:
            shares.revoke(db, principal.workspace_id, campaign_id, share_id, now=now)

    @get("/v1/shared/{token:str}", sync_to_thread=True, public=True, responses=also(404))
    def read(self, token: FromPath[str], database: Given[Database], now: Given[datetime]) -> Report:
        """Read a shared report. The token is all it takes."""
        return report(database, token, now)


def report(database: Database, token: str, now: datetime) -> Report:
    """What a token opens. NotFoundError if it does not hold."""
    with database.transaction() as db:
        row = shares.read(db, token_hash(token), now=now)
        figures = overview.campaign(db, row["workspace_id"], row["campaign_id"])
        figures |= overview.walk_states(db, row["campaign_id"])
    return msgspec.convert({**figures, **row, "campaign": row["name"]}, Report)
