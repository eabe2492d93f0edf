"""Why a lead is mailed or not, and what holds a campaign back: answered by the functions that plan (`rules/explain.py`)."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from litestar import Controller, get
from litestar.params import FromPath

from cleanmails.api.auth import Principal
from cleanmails.api.given import Given
from cleanmails.ledger import campaigns, overview, planning, workers
from cleanmails.ledger.db import Connection, Database
from cleanmails.records import ProviderView, Snapshot, WalkView
from cleanmails.rules import explain, providers
from cleanmails.rules.gates import Figure, Gate
from cleanmails.settings import Settings


class GateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of a mail: passed or not (then with its code), what was measured against which limit, when it opens, in a sentence."""

    name: str
    passed: bool
    code: str | None
    figure: Figure
    limit: Figure
    opens_at: datetime | None
    sentence: str


class LeadExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """Every gate before a lead's next mail, in the order in which they are asked; the first that is shut; the earliest time of that mail."""

    now: datetime
    step: int
    gates: list[GateAnswer]
    blocking: GateAnswer | None
    next_mail_at: datetime | None
    sentence: str


class CampaignSendingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The one thing that holds a campaign back now (`healthy`: nothing does), whether that is part of its life, and until when it lasts."""

    code: str
    sentence: str
    normal: bool
    until: datetime | None


class Explain(Controller):
    """`/v1/outreach/campaigns/{id}/...`: the questions that begin with why."""

    path = "/v1/outreach/campaigns/{campaign_id:int}"
    tags = ("campaigns",)

    @get("/leads/{lead_id:int}/explain", sync_to_thread=True)
    def lead(
        self,
        campaign_id: FromPath[int],
        lead_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        settings: Given[Settings],
    ) -> LeadExplanation:
        """Explain why a lead's next mail goes out or does not: every gate with its figure, its limit and when it opens."""
        with database.transaction() as db:
            campaigns.read(db, principal.workspace_id, campaign_id)
            walk = planning.walk(db, principal.workspace_id, campaign_id, lead_id)
            told = explain.explain(_snapshot(db, settings, [campaign_id], [walk]), walk)
            now = workers.now(db)
        blocking = None if told.blocking is None else _gate(told.blocking)
        return LeadExplanation(
            now=now,
            step=walk.step,
            gates=[_gate(gate) for gate in told.gates],
            blocking=blocking,
            next_mail_at=told.next_mail_at,
            sentence=told.sentence,
        )

    @get("/sending-status", sync_to_thread=True)
    def sending_status(
        self,
        campaign_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        settings: Given[Settings],
    ) -> CampaignSendingStatus:
        """Say the one thing that holds the campaign back now, and until when."""
        with database.transaction() as db:
            campaigns.read(db, principal.workspace_id, campaign_id)
            return statuses(db, settings, principal.workspace_id, [campaign_id])[campaign_id]


def statuses(
    db: Connection, settings: Settings, workspace_id: int, ids: Sequence[int], *, sample: int = 50
) -> dict[int, CampaignSendingStatus]:
    """What holds each of these campaigns back now, by at most `sample` leads of each that are due."""
    now = workers.now(db)
    signs = {each.campaign_id: each for each in overview.walk_signs(db, workspace_id, ids, now)}
    due = planning.due_sample(db, [id for id, sign in signs.items() if sign.due], now, sample)
    snapshot, ages = _snapshot(db, settings, list(signs), due), workers.duty_ages(db)
    told = {campaign_id: explain.sending_status(snapshot, sign) for campaign_id, sign in signs.items()}
    return {
        campaign_id: _status(explain.unless_silent(each, ages) if signs[campaign_id].due else each)
        for campaign_id, each in told.items()
    }


def _status(told: explain.SendingStatus) -> CampaignSendingStatus:
    return CampaignSendingStatus(code=told.code, sentence=told.sentence, normal=told.normal, until=told.until)


def _snapshot(db: Connection, settings: Settings, ids: list[int], walks: list[WalkView]) -> Snapshot:
    """What the planner would know of campaigns, all their senders included."""
    now = workers.now(db)
    by_sender, by_provider = planning.pipe(db)
    rates = {
        walk.provider: providers.rate_of(walk.provider, settings.provider_rates) for walk in walks if walk.provider
    }
    protected = {"bounce_limit_percent": settings.bounce_limit_percent, "bounce_min_sent": settings.bounce_min_sent}
    views = planning.campaigns(db, now, ids)
    return Snapshot(
        now=now,
        campaigns={id: msgspec.structs.replace(view, **protected) for id, view in views.items()},
        senders=planning.senders(db, now, ids, by_sender),
        providers={name: ProviderView(name, rate, by_provider.get(name, 0)) for name, rate in rates.items()},
        walks=tuple(walks),
    )


def _gate(gate: Gate) -> GateAnswer:
    return GateAnswer(
        name=gate.name,
        passed=gate.passed,
        code=gate.code,
        figure=gate.figure,
        limit=gate.limit,
        opens_at=gate.opens_at,
        sentence=gate.sentence,
    )
