"""Who changed what of a campaign, and campaigns that are copied or put away."""

from datetime import datetime
from typing import Final

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath

from cleanmails import log
from cleanmails.api import edits
from cleanmails.api.auth import Principal
from cleanmails.api.campaigns import Campaign, shaped
from cleanmails.api.drafts import CampaignChange, Chosen, WrittenStep
from cleanmails.api.given import Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.api.reference import also
from cleanmails.ledger import campaign_changes, campaigns
from cleanmails.ledger.db import Connection, Database, Row

_LONGEST_NAME: Final = 200
_log = log.get(__name__)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `fields` are those of the API, a step as `steps[0]`; `version` is the campaign's after it. `who` is null once that user or key is gone."""

    version: int
    at: datetime
    who: str | None
    user_id: int | None
    api_key_id: int | None
    fields: list[str]


class Changes(Controller):
    """`/v1/outreach/campaigns/{id}/changes`, `/duplicate`, `/archive` and `/restore`."""

    path = "/v1/outreach/campaigns/{campaign_id:int}"
    tags = ("campaigns",)

    @get("/changes", sync_to_thread=True)
    def list_all(
        self, campaign_id: FromPath[int], database: Given[Database], principal: Given[Principal], window: Given[Window]
    ) -> Page[Change]:
        """List who changed what of the campaign, the newest first."""
        with database.transaction() as db:
            campaigns.read(db, principal.workspace_id, campaign_id)
            rows = campaign_changes.read(
                db, principal.workspace_id, campaign_id, before=window.after, limit=window.fetch
            )
        return page(rows, window, lambda row: msgspec.convert(row, Change), key="version")

    @post("/duplicate", sync_to_thread=True)
    def duplicate(
        self, campaign_id: FromPath[int], database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> Campaign:
        """Make a draft with the same settings, lists, senders and steps. Lists and senders that are gone are left out, and so is the launch date."""
        with database.transaction() as db:
            row = campaigns.read(db, principal.workspace_id, campaign_id)
            copy = campaigns.create(db, principal.workspace_id, row["name"])
            edits.write(db, principal, copy, _copied(db, principal.workspace_id, row), now)
            answer = shaped(campaigns.read(db, principal.workspace_id, copy))
        _log.info("campaign.duplicated", campaign_id=campaign_id, copy=answer.id)
        return answer

    @post("/archive", sync_to_thread=True, status_code=200, responses=also(409))
    def archive(self, campaign_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> Campaign:
        """Put a campaign away: it is left out of lists, keeps everything, and cannot be started. Not while it is running (`campaign_running`)."""
        return _put(database, principal, campaign_id, away=True)

    @post("/restore", sync_to_thread=True, status_code=200)
    def restore(self, campaign_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> Campaign:
        """Take a campaign back that was put away."""
        return _put(database, principal, campaign_id, away=False)


def _put(database: Database, principal: Principal, campaign_id: int, *, away: bool) -> Campaign:
    with database.transaction() as db:
        campaigns.put_away(db, principal.workspace_id, campaign_id, away=away)
        edits.note(db, principal, campaign_id, ["archived_at"])
        return shaped(campaigns.read(db, principal.workspace_id, campaign_id))


def _copied(db: Connection, workspace_id: int, row: Row) -> CampaignChange:
    """What a copy begins with."""
    lists = campaigns.known_lists(db, workspace_id, [each["id"] for each in row["lists"]])
    senders = campaigns.known_senders(db, workspace_id, [each["id"] for each in row["senders"]])
    return CampaignChange(
        name=f"Copy of {row['name']}"[:_LONGEST_NAME],
        check_reply=row["check_reply"],
        stop_company_on_reply=row["stop_company_on_reply"],
        track_opens=row["track_opens"],
        track_clicks=row["track_clicks"],
        schedule_config=row["schedule"],
        max_new_leads_per_day=row["max_new_leads_per_day"],
        on_sender_loss=row["on_sender_loss"],
        missing_field=row["missing_field"],
        promote_winner=row["promote_winner"],
        lists=[Chosen(id=each) for each in sorted(lists)],
        senders=[Chosen(id=each) for each in sorted(senders)],
        steps=msgspec.convert(row["steps"], list[WrittenStep]),
    )
