"""What a campaign will send, day by day: the planner on virtual time (`rules/forecast.py`), on what the ledger holds and what a request supposes."""

import threading
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from cleanmails.api import apart
from cleanmails.api.auth import Permission, Principal
from cleanmails.api.body import Id
from cleanmails.api.drafts import CampaignChange
from cleanmails.api.given import Given
from cleanmails.api.reference import also
from cleanmails.errors import BusyError, Fault, InvalidError
from cleanmails.ledger import campaigns, forecast, planning, workers
from cleanmails.ledger.db import Connection, Database
from cleanmails.records import CampaignView, MissingField, SenderView, Step, WalkView
from cleanmails.rules import content, launch, providers, ramp, schedule, wording
from cleanmails.rules.content import parser
from cleanmails.rules.forecast import HORIZON_DAYS, Cohort, Forecast
from cleanmails.rules.virtual import Assumed
from cleanmails.settings import Settings

BODY_LIMIT: Final = 10_000_000
LONGEST_DAYS: Final = 366
PATIENCE_SECONDS: Final = 20
_ONE = threading.Semaphore()
"""Forecasts of one web process follow each other: a great one is many seconds of computing (`api/apart.py`), and a machine has few cores."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class SupposedSender(msgspec.Struct, frozen=True, kw_only=True):
    """A sender of the campaign, and what it would be like; what is left out is as it is."""

    id: Id
    daily_limit: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | UnsetType = UNSET
    min_gap_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] | UnsetType = UNSET
    max_gap_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] | UnsetType = UNSET


class Supposed(CampaignChange, frozen=True, kw_only=True):
    """Settings that the campaign does not have: the fields of a change of it. Senders may be others, or the same with another daily limit or gap."""

    senders: Annotated[list[SupposedSender], msgspec.Meta(max_length=1_000)] | UnsetType = UNSET  # type: ignore[assignment]


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """What people are taken to do, as shares of the mails from 0 to 1. With the same `seed` the same dice fall."""

    reply_rate: Share = 0.0
    bounce_rate: Share = 0.0
    open_rate: Share = 0.0
    click_rate: Share = 0.0
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**32)] = 0


class ForecastQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What to foretell: how far, with which settings in place of the campaign's own, and what people are taken to do."""

    horizon_days: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_DAYS)] = HORIZON_DAYS
    changes: Supposed = Supposed()
    assumed: Assumptions = Assumptions()


class SenderMails(msgspec.Struct, frozen=True, kw_only=True):
    """How many mails a sender sends on a day."""

    sender_id: int
    address: str
    mails: int


class ForecastDay(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar day of the campaign's zone. `binding` is the code of what let no more through on it, with its sentence."""

    date: date
    mails: int
    first: int
    follow_ups: int
    by_sender: list[SenderMails]
    by_provider: dict[str, int]
    binding: str
    sentence: str


class Never(msgspec.Struct, frozen=True, kw_only=True):
    """Leads that get no further mail, and why."""

    code: str
    leads: int
    sentence: str


class CampaignForecast(msgspec.Struct, frozen=True, kw_only=True):
    """What will be sent, if every mail is accepted when it is due and people do as assumed.

    `finish` is when the last lead's walk ends; null if that is beyond the horizon, or never. `waiting` leads still have mails before them at the
    horizon. `never` counts those who get no further mail, by reason.
    """

    now: datetime
    timezone: str
    horizon_days: int
    assumed: Assumptions
    mails: int
    days: list[ForecastDay]
    finish: datetime | None
    never: list[Never]
    waiting: int
    shares_senders_with: list[int]


class Forecasts(Controller):
    """`/v1/outreach/campaigns/{id}/forecast`."""

    path = "/v1/outreach/campaigns/{campaign_id:int}"
    tags = ("campaigns",)

    @post(
        "/forecast",
        sync_to_thread=True,
        status_code=200,
        needs=Permission.READ,
        reads=True,
        request_max_body_size=BODY_LIMIT,
        responses=also(503),
    )
    def forecast(
        self,
        campaign_id: FromPath[int],
        data: JSONBody[ForecastQuestion],
        database: Given[Database],
        principal: Given[Principal],
        settings: Given[Settings],
    ) -> CampaignForecast:
        """Foretell what the campaign will send day by day, also as a draft and with other settings; nothing is changed.

        It is the planner itself, on virtual time. Running campaigns that use the same senders take their part.
        """
        with database.transaction() as db:
            world = _gather(db, settings, principal.workspace_id, campaign_id, data.changes)
        if not _ONE.acquire(timeout=PATIENCE_SECONDS):
            raise BusyError("Other forecasts are being made; try again in a moment.", retry_after=PATIENCE_SECONDS)
        try:
            told = apart.foretell(
                apart.Question(
                    campaign_id=campaign_id,
                    campaigns=list(world.campaigns.values()),
                    senders=list(world.senders.values()),
                    cohorts=world.cohorts,
                    rates=world.rates,
                    start=world.now,
                    horizon_days=data.horizon_days,
                    assumed=msgspec.convert(msgspec.to_builtins(data.assumed), Assumed),
                )
            )
        finally:
            _ONE.release()
        return _answer(campaign_id, world, told, data)


class _World(msgspec.Struct, frozen=True, kw_only=True):
    """What a forecast begins from."""

    now: datetime
    campaigns: dict[int, CampaignView]
    senders: dict[int, SenderView]
    cohorts: list[Cohort]
    rates: dict[str, float]


def _gather(db: Connection, settings: Settings, workspace_id: int, campaign_id: int, changes: Supposed) -> _World:
    """The campaign with what is supposed of it, and all that shares its senders."""
    row = campaigns.read(db, workspace_id, campaign_id)
    lists = None if isinstance(changes.lists, UnsetType) else [each.id for each in changes.lists]
    now = workers.now(db)
    ours = _supposed(planning.campaigns(db, now, [campaign_id])[campaign_id], changes)
    _refuse(db, workspace_id, changes, ours)
    ids = {campaign_id, *forecast.sharing(db, workspace_id, ours.sender_ids)}
    protected = {"bounce_limit_percent": settings.bounce_limit_percent, "bounce_min_sent": settings.bounce_min_sent}
    views = planning.campaigns(db, now, sorted(ids)) | {campaign_id: ours}
    by_sender, _ = planning.pipe(db)
    wanted = {sender_id for view in views.values() for sender_id in view.sender_ids}
    missing = row["missing_field"] if changes.missing_field is UNSET else changes.missing_field
    rows = forecast.cohorts(
        db,
        workspace_id,
        campaign_id,
        ids,
        lists=lists,
        needs=_needs(ours.steps) if missing == MissingField.HOLD else [],
        skip_validation=row["skip_validation"] if changes.skip_validation is UNSET else changes.skip_validation,
        was=row["launch_at"],
        begin=max(now, ours.launch_at or now),
    )
    names = {each["provider"] for each in rows} - {providers.OTHER}
    return _World(
        now=now,
        campaigns={key: replace(view, **protected) for key, view in views.items()},
        senders=_as_supposed(forecast.senders(db, workspace_id, wanted, by_sender, now), changes),
        cohorts=[_cohort(each) for each in rows],
        rates={name: providers.rate_of(name, settings.provider_rates) for name in names},
    )


def _supposed(campaign: CampaignView, changes: Supposed) -> CampaignView:
    """The campaign with other settings."""
    other: dict[str, Any] = {
        name: value
        for name in (
            "track_opens",
            "track_clicks",
            "check_reply",
            "launch_at",
            "max_new_leads_per_day",
            "on_sender_loss",
        )
        if (value := getattr(changes, name)) is not UNSET
    }
    if not isinstance(changes.schedule_config, UnsetType):
        other["schedule"] = schedule.parse(changes.schedule_config)
    if not isinstance(changes.steps, UnsetType):
        other["steps"] = tuple(sorted((each.step() for each in changes.steps), key=lambda step: step.position))
    if not isinstance(changes.senders, UnsetType):
        other["sender_ids"] = frozenset(each.id for each in changes.senders)
    return replace(campaign, **other)


def _refuse(db: Connection, workspace_id: int, changes: Supposed, ours: CampaignView) -> None:
    """InvalidError for what cannot be supposed: lists and senders that are not there, triggers that could never be met, gaps upside down."""
    faults: list[Fault] = []
    if not isinstance(changes.steps, UnsetType):
        steps = tuple(each.step() for each in changes.steps)
        found = launch.trigger_faults(steps, track_opens=ours.track_opens, track_clicks=ours.track_clicks)
        faults += [Fault(f"changes.{each.field}", each.code, each.message) for each in found]
    lists = [] if isinstance(changes.lists, UnsetType) else [each.id for each in changes.lists]
    senders = [] if isinstance(changes.senders, UnsetType) else [each.id for each in changes.senders]
    for name, given, known in (
        ("lists", lists, campaigns.known_lists(db, workspace_id, lists)),
        ("senders", senders, campaigns.known_senders(db, workspace_id, senders)),
    ):
        faults += [
            Fault(f"changes.{name}[{index}].id", "unknown_id", f"There is no such {name[:-1]} in this workspace.")
            for index, each in enumerate(given)
            if each not in known
        ]
    if faults:
        raise InvalidError(faults)


def _as_supposed(views: Mapping[int, SenderView], changes: Supposed) -> dict[int, SenderView]:
    """Senders with other limits and gaps. A least gap above the greatest lifts that."""
    senders = dict(views)
    for each in [] if isinstance(changes.senders, UnsetType) else changes.senders:
        view = senders[each.id]
        least = view.min_gap if isinstance(each.min_gap_seconds, UnsetType) else each.min_gap_seconds
        most = view.max_gap if isinstance(each.max_gap_seconds, UnsetType) else each.max_gap_seconds
        if not isinstance(each.daily_limit, UnsetType):
            view = ramp.supposed(view, each.daily_limit)
        senders[each.id] = replace(view, min_gap=min(least, most), max_gap=most)
    return senders


def _needs(steps: tuple[Step, ...]) -> list[tuple[int, str]]:
    """Pairs of a step and a field that stands somewhere in it without a fallback."""
    found: list[tuple[int, str]] = []
    for step in steps:
        texts = [parser.read(subject, "subject")[0] for subject in step.subjects] + [parser.read(step.body, "body")[0]]
        found += [
            (step.position, name) for name in sorted({n for text in texts for n in content.required_fields(text)})
        ]
    return found


def _cohort(row: Mapping[str, Any]) -> Cohort:
    walk = {name: row[name] for name in WalkView.__struct_fields__ if name in row}
    return Cohort(msgspec.convert(walk | {"email": ""}, WalkView), row["count"])


def _answer(campaign_id: int, world: _World, told: Forecast, data: ForecastQuestion) -> CampaignForecast:
    days = [
        ForecastDay(
            date=day.date,
            mails=day.first + day.follow_ups,
            first=day.first,
            follow_ups=day.follow_ups,
            by_sender=[
                SenderMails(sender_id=key, address=world.senders[key].address, mails=mails)
                for key, mails in sorted(day.by_sender.items())
            ],
            by_provider=dict(sorted(day.by_provider.items())),
            binding=day.binding,
            sentence=wording.FORETOLD[day.binding],
        )
        for day in told.days
    ]
    return CampaignForecast(
        now=world.now,
        timezone=world.campaigns[campaign_id].timezone,
        horizon_days=data.horizon_days,
        assumed=data.assumed,
        mails=sum(day.mails for day in days),
        days=days,
        finish=told.finish,
        never=[
            Never(code=code, leads=leads, sentence=wording.FORETOLD[code]) for code, leads in sorted(told.never.items())
        ],
        waiting=told.beyond,
        shares_senders_with=sorted(world.campaigns.keys() - {campaign_id}),
    )
