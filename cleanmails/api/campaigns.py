"""Campaigns: made and changed as drafts or while they run, launched, paused and resumed; their leads and deliveries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from cleanmails import log
from cleanmails.api import edits, launch
from cleanmails.api.auth import Principal
from cleanmails.api.drafts import CampaignChange, NewCampaign, Skippable
from cleanmails.api.given import Enqueue, Given
from cleanmails.api.pages import SYNCED, Page, Window, page
from cleanmails.api.reference import also
from cleanmails.errors import StateError
from cleanmails.ledger import campaigns, walks
from cleanmails.ledger.db import Database, Row
from cleanmails.records import (
    CampaignStatus,
    DeliveryState,
    FailureClass,
    MissingField,
    OnSenderLoss,
    PromoteWinner,
    Trigger,
    WalkOutcome,
    WalkState,
)
from cleanmails.rules.launch import Checks, LaunchWarning
from cleanmails.rules.lifecycle import check_move

BODY_LIMIT = 5_000_000
_log = log.get(__name__)


class SendingWindow(msgspec.Struct, frozen=True):
    """When mail may be sent. Days with Sunday = 0; `end` is exclusive, and before `start` it is on the next day."""

    days: list[int]
    start: str
    end: str
    timezone: str


class AttachedList(msgspec.Struct, frozen=True):
    """A list of a campaign."""

    id: int
    name: str


class AttachedSender(msgspec.Struct, frozen=True):
    """A sender of a campaign."""

    id: int
    address: str


class CampaignStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a campaign's sequence."""

    position: int
    subjects: list[str]
    body: str
    wait_days: int
    wait_hours: int
    trigger_condition: Trigger


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """A whole campaign, in the one form in which it is always answered: JSON throughout, steps by position.

    `run` counts launch and resumes; `version` every change. `warnings` stand in the answer to a request that launched or changed a running campaign.
    """

    id: int
    name: str
    status: CampaignStatus
    check_reply: bool
    stop_company_on_reply: bool
    track_opens: bool
    track_clicks: bool
    schedule_config: SendingWindow | None
    launch_at: datetime | None
    max_new_leads_per_day: int | None
    on_sender_loss: OnSenderLoss
    missing_field: MissingField
    promote_winner: PromoteWinner | None
    skip_validation: list[Skippable]
    lists: list[AttachedList]
    senders: list[AttachedSender]
    steps: list[CampaignStep]
    pause_reason: str | None
    run: int
    started_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None
    version: int
    warnings: list[LaunchWarning] = []


class CampaignLead(msgspec.Struct, frozen=True, kw_only=True):
    """One lead's walk through a campaign: the step it waits for and when, its sender, why it is held, how it ended.

    `delivery` is the state of that step's delivery, if there is one already, and `reason` what is written in it.
    """

    lead_id: int
    email: str
    first_name: str
    last_name: str
    company: str
    state: WalkState
    step: int
    due_at: datetime | None
    sender_id: int | None
    sender: str | None
    settled_at: datetime | None
    hold_reason: str | None
    outcome: WalkOutcome | None
    delivery: DeliveryState | None
    reason: str | None
    enrolled_at: datetime
    ended_at: datetime | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One step to one lead. `attempts` counts all attempts; `hash` is the SHA-256 of the mail's bytes, in hexadecimal."""

    id: int
    lead_id: int
    email: str
    step: int
    state: DeliveryState
    attempts: int
    sender_id: int | None
    sender: str | None
    provider: str | None
    subject: str | None
    subject_index: int | None
    starts_thread: bool | None
    message_id: str | None
    mail_date: datetime | None
    hash: str | None
    planned_at: datetime | None
    not_after: datetime | None
    rendered_at: datetime | None
    sending_at: datetime | None
    settled_at: datetime | None
    reason: str | None
    failure: FailureClass | None
    reply_code: int | None
    reply_text: str | None
    opened_at: datetime | None
    clicked_at: datetime | None
    replied_at: datetime | None


class Campaigns(Controller):
    """`/v1/outreach/campaigns`."""

    path = "/v1/outreach/campaigns"
    tags = ("campaigns",)

    @post(sync_to_thread=True, request_max_body_size=BODY_LIMIT)
    def create(
        self,
        data: JSONBody[NewCampaign],
        database: Given[Database],
        principal: Given[Principal],
        now: Given[datetime],
        enqueue: Given[Enqueue],
    ) -> Campaign:
        """Make a campaign, as a draft or (with the status `running`) launched.

        All that stands against a launch is answered as one list of faults, and nothing is made then.
        """
        with database.transaction() as db:
            campaign_id = campaigns.create(db, principal.workspace_id, data.name.strip())
            warnings = edits.write(db, principal, campaign_id, data, now)
            answer = shaped(campaigns.read(db, principal.workspace_id, campaign_id), warnings)
        return _done("campaign.created", answer, enqueue)

    @get(sync_to_thread=True, dependencies=SYNCED)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        status: FromQuery[CampaignStatus | None] = None,
        q: Annotated[str, QueryParameter(max_length=200, description="A part of the name.")] = "",
        archived: Annotated[
            bool, QueryParameter(description="Those that were put away, in place of the others.")
        ] = False,
    ) -> Page[Campaign]:
        """List the campaigns, oldest first, of one status or all."""
        with database.transaction() as db:
            rows = campaigns.page(
                db,
                principal.workspace_id,
                status=status,
                q=q,
                archived=archived,
                since=window.since,
                after=window.after,
                limit=window.fetch,
            )
        return page(rows, window, shaped)

    @get("/{campaign_id:int}", sync_to_thread=True)
    def read(self, campaign_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> Campaign:
        """Read one campaign."""
        with database.transaction() as db:
            return shaped(campaigns.read(db, principal.workspace_id, campaign_id))

    @patch("/{campaign_id:int}", sync_to_thread=True, responses=also(409), request_max_body_size=BODY_LIMIT)
    def change(
        self,
        campaign_id: FromPath[int],
        data: JSONBody[CampaignChange],
        database: Given[Database],
        principal: Given[Principal],
        now: Given[datetime],
        enqueue: Given[Enqueue],
    ) -> Campaign:
        """Change a campaign, also while it runs, or launch, pause and resume it by its `status`.

        Mails that are not rendered yet use the new text. Leads of a list that goes end their walks unless another list has them; leads of one that comes
        begin theirs. A lead that stands at a step which is taken away is finished. A running campaign cannot be changed to what could not be launched.

        Leads that wait already have their time: a longer wait holds them until it is over, a shorter one is for those who come to it. Steps are their positions: where one
        in the middle is taken out, those behind it move up, and a lead that was past it goes on at the position where it stands.
        """
        with database.transaction() as db:
            warnings = edits.write(db, principal, campaign_id, data, now)
            answer = shaped(campaigns.read(db, principal.workspace_id, campaign_id), warnings)
        return _done("campaign.changed", answer, enqueue)

    @delete("/{campaign_id:int}", sync_to_thread=True, responses=also(409))
    def delete(self, campaign_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> None:
        """Delete a campaign that does not run (`campaign_running`) and never sent mail (`was_mailed`): the links in its mails must keep working."""
        with database.transaction() as db:
            campaigns.delete(db, principal.workspace_id, campaign_id, user_id=principal.user_id)
        _log.info("campaign.deleted", campaign_id=campaign_id)

    @get("/{campaign_id:int}/launch-checks", sync_to_thread=True)
    def launch_checks(
        self, campaign_id: FromPath[int], database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> Checks:
        """Say what stands against a launch (`faults`), and what one should know before (`warnings`)."""
        with database.transaction() as db:
            return launch.check(db, principal.workspace_id, campaign_id, now)

    @post("/{campaign_id:int}/start", sync_to_thread=True, status_code=200, responses=also(400, 409))
    def start(
        self,
        campaign_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        now: Given[datetime],
        enqueue: Given[Enqueue],
    ) -> Campaign:
        """Launch a draft. All that stands against it is answered as one list of faults."""
        with database.transaction() as db:
            current = campaigns.hold(db, principal.workspace_id, campaign_id)
            if current["status"] == CampaignStatus.PAUSED:
                raise StateError(
                    "The campaign has been started before and is paused: resume it.", code="already_started"
                )
            warnings = edits.begin(db, principal, current, now)
            answer = shaped(campaigns.read(db, principal.workspace_id, campaign_id), warnings)
        return _done("campaign.started", answer, enqueue)

    @post("/{campaign_id:int}/resume", sync_to_thread=True, status_code=200, responses=also(400, 409))
    def resume(
        self,
        campaign_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        now: Given[datetime],
        enqueue: Given[Enqueue],
    ) -> Campaign:
        """Let a paused campaign go on: every lead from where it stands, and bounces counted anew."""
        with database.transaction() as db:
            current = campaigns.hold(db, principal.workspace_id, campaign_id)
            if current["status"] == CampaignStatus.DRAFT:
                raise StateError("The campaign is a draft: start it.", code="not_started")
            warnings = edits.begin(db, principal, current, now)
            answer = shaped(campaigns.read(db, principal.workspace_id, campaign_id), warnings)
        return _done("campaign.resumed", answer, enqueue)

    @post("/{campaign_id:int}/pause", sync_to_thread=True, status_code=200, responses=also(409))
    def pause(
        self,
        campaign_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        enqueue: Given[Enqueue],
    ) -> Campaign:
        """Pause a running campaign. Once this has answered, only what is already inside an SMTP transaction still goes out."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            campaigns.hold_marks(db, workspace, campaign_id)
            current = campaigns.hold(db, workspace, campaign_id)
            check_move(CampaignStatus(current["status"]), CampaignStatus.PAUSED)
            campaigns.pause(db, workspace, campaign_id, user_id=principal.user_id)
            edits.note(db, principal, campaign_id, ["status"])
            answer = shaped(campaigns.read(db, workspace, campaign_id))
        return _done("campaign.paused", answer, enqueue)

    @get("/{campaign_id:int}/leads", sync_to_thread=True)
    def leads(
        self,
        campaign_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        standing: Annotated[WalkState | None, QueryParameter(name="state")] = None,
        outcome: FromQuery[WalkOutcome | None] = None,
        q: Annotated[str, QueryParameter(max_length=200, description="What the address begins with.")] = "",
    ) -> Page[CampaignLead]:
        """List where the campaign's leads stand, in one state or all, or how their walks ended."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            campaigns.read(db, workspace, campaign_id)
            rows = walks.page(
                db,
                workspace,
                campaign_id,
                state=standing,
                outcome=outcome,
                q=q,
                after=window.after,
                limit=window.fetch,
            )
        return page(rows, window, lambda row: msgspec.convert(row, CampaignLead), key="lead_id")

    @get("/{campaign_id:int}/deliveries", sync_to_thread=True)
    def deliveries(
        self,
        campaign_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        standing: Annotated[DeliveryState | None, QueryParameter(name="state")] = None,
    ) -> Page[Delivery]:
        """List the campaign's deliveries by lead and step, in one state or all."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            campaigns.read(db, workspace, campaign_id)
            rows = campaigns.deliveries(
                db, workspace, campaign_id, state=standing, after=window.after, limit=window.fetch
            )
        return page(rows, window, lambda row: msgspec.convert(row, Delivery), key="cursor")


def _done(event: str, campaign: Campaign, enqueue: Enqueue) -> Campaign:
    """After the commit: the log line, and the planner woken for a campaign that runs."""
    _log.info(event, campaign_id=campaign.id, status=campaign.status, version=campaign.version)
    if campaign.status == CampaignStatus.RUNNING:
        enqueue("plan")
    return campaign


def shaped(row: Row, warnings: Sequence[LaunchWarning] = ()) -> Campaign:
    """A row of `campaigns.read` as the API answers it."""
    return msgspec.convert(row | {"schedule_config": row["schedule"], "warnings": list(warnings)}, Campaign)
