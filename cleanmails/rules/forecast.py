"""Forecast: the planner run on virtual time, told day by day (product page, "Forecast").

It supposes that every mail is accepted when it is planned, without temporary failures; that senders stay as they are but for their health; and of
people what `Assumed` says. With rates of nothing it says what the planner will do, mail by mail.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from math import ceil
from typing import Final

import msgspec
from msgspec.structs import replace

from cleanmails.records import CampaignStatus, CampaignView, SenderView, WalkState, WalkView
from cleanmails.rules import gates, ramp, zones
from cleanmails.rules.virtual import Assumed, Mail, World

HORIZON_DAYS: Final = 90
"""How far a forecast looks if nothing else is asked."""


class Cohort(msgspec.Struct, frozen=True):
    """So many leads that stand as `walk` does. Those of a cohort of many get ids of their own and are mixed evenly with those of others."""

    walk: WalkView
    count: int = 1


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What goes out on a calendar day of the campaign's zone, by sender id and by provider. `binding` is the code of what let no more through."""

    date: date
    first: int
    follow_ups: int
    by_sender: dict[int, int]
    by_provider: dict[str, int]
    binding: str


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What will be sent, and what was assumed. `finish` is when the last walk ends, None if that is beyond the horizon or never.

    `never` counts the leads that get no further mail, by the code of the reason; `beyond` those who wait for one when the horizon is reached.
    """

    days: list[Day]
    finish: datetime | None
    never: dict[str, int]
    beyond: int
    assumed: Assumed


def forecast(
    campaign_id: int,
    campaigns: Sequence[CampaignView],
    senders: Sequence[SenderView],
    cohorts: Iterable[Cohort],
    rates: Mapping[str, float],
    start: datetime,
    *,
    horizon_days: int = HORIZON_DAYS,
    assumed: Assumed | None = None,
) -> Forecast:
    """What one campaign will send from `start` on, beside the other campaigns that are given because they share its senders.

    A draft or a paused campaign is taken as started at `start`. `cohorts` are the leads of all these campaigns, each alone or many together. `rates`
    are mails a second by provider; a provider without one has no limit.
    """
    assumed = assumed or Assumed()
    views = {campaign.id: _started(campaign) for campaign in campaigns}
    never, waiting = Counter[str](), defaultdict[int, list[Cohort]](list)
    for cohort in cohorts:
        code = _over(views[cohort.walk.campaign_id], cohort.walk, start)
        if code is None:
            waiting[cohort.walk.campaign_id].append(cohort)
        elif cohort.walk.campaign_id == campaign_id and cohort.walk.state is not WalkState.ENDED:
            never[code] += cohort.count
    walks = [
        walk for key, view in views.items() for walk in _expand(waiting[key], _most(view, senders, horizon_days), start)
    ]
    world = World(
        views.values(), map(_at_rest, senders), walks, rates, start, start + timedelta(days=horizon_days), assumed
    )
    before = world.left[campaign_id]
    diary = _Diary(world, campaign_id)
    finish = diary.write()
    hopeless = world.hopeless(campaign_id)
    left = sum(cohort.count for cohort in waiting[campaign_id]) - (before - world.left[campaign_id])
    return Forecast(
        days=diary.days(),
        finish=finish,
        never=dict(never + hopeless),
        beyond=left - hopeless.total(),
        assumed=assumed,
    )


def _started(campaign: CampaignView) -> CampaignView:
    """A campaign that has not begun, or rests, as if it were started now: bounces count anew from then on."""
    if campaign.status not in {CampaignStatus.DRAFT, CampaignStatus.PAUSED}:
        return campaign
    return replace(campaign, status=CampaignStatus.RUNNING, pause_reason=None, sent=0, bounced=0)


def _at_rest(sender: SenderView) -> SenderView:
    """A sender without the mails that are on their way: their walks are taken as due at once, and use up its day when they go."""
    return replace(sender, in_pipe=0, used_today=sender.used_today - sender.in_pipe)


def _over(campaign: CampaignView, walk: WalkView, now: datetime) -> str | None:
    """Why a walk gets no further mail, as the code of its gate; None if it may."""
    standing = None if walk.state is WalkState.IN_FLIGHT else gates.standing(campaign, walk, now).code
    return standing or gates.lead(campaign, walk, now).code


def _most(campaign: CampaignView, senders: Sequence[SenderView], days: int) -> int:
    """More mails than a campaign's senders can send before the horizon."""
    return (days + 1) * sum(ramp.most(sender) for sender in senders if sender.id in campaign.sender_ids)


def _expand(cohorts: Sequence[Cohort], most: int, start: datetime) -> Iterator[WalkView]:
    """A walk for each lead. Of cohorts of many only as large a share as can be reached is laid out; the rest would never have its turn."""
    total = sum(cohort.count for cohort in cohorts)
    share = min(1.0, most / total) if total else 1.0
    many: list[tuple[float, int]] = []
    for index, cohort in enumerate(cohorts):
        if cohort.count == 1:
            yield _due(cohort.walk, start)
        else:
            size = ceil(cohort.count * share)
            many.extend(((place + 0.5) / size, index) for place in range(size))
    first_free = 1 + max((cohort.walk.lead_id for cohort in cohorts), default=0)
    for lead_id, (_, index) in enumerate(sorted(many), first_free):
        yield replace(_due(cohorts[index].walk, start), lead_id=lead_id)


def _due(walk: WalkView, start: datetime) -> WalkView:
    """A walk that waits; what is on its way is due at once."""
    return replace(walk, state=WalkState.WAITING, due_at=walk.due_at or start)


class _Page:
    """What is counted of a day."""

    def __init__(self) -> None:
        self.first = 0
        self.follow_ups = 0
        self.by_sender = Counter[int]()
        self.by_provider = Counter[str]()
        self.binding: str | None = None

    def note(self, mail: Mail) -> None:
        """Count a mail."""
        if mail.is_new:
            self.first += 1
        else:
            self.follow_ups += 1
        self.by_sender[mail.planned.sender_id] += 1
        self.by_provider[mail.planned.provider] += 1


class _Diary:
    """The days of one campaign, written while virtual time passes."""

    def __init__(self, world: World, campaign_id: int) -> None:
        self.world = world
        self.campaign_id = campaign_id
        self.timezone = world.campaigns[campaign_id].timezone
        self.pages: dict[date, _Page] = {}

    def write(self) -> datetime | None:
        """Let time pass to the end of the horizon, or to that of the campaign, and say when that was."""
        world, page, page_ends = self.world, _Page(), self.world.start
        while world.left[self.campaign_id] and (at := world.next_at()) is not None:
            if at >= page_ends:
                page.binding = self._binding()
                page = self.pages[zones.reading(at, self.timezone).date()] = _Page()
                page_ends = gates.next_midnight(self.timezone, at)
            for mail in world.round():
                if mail.planned.campaign_id == self.campaign_id:
                    page.note(mail)
        page.binding = self._binding() if world.left[self.campaign_id] else "nothing_left"
        return None if world.left[self.campaign_id] else world.now

    def _binding(self) -> str | None:
        """What bound most senders last on the day that ends."""
        reasons = Counter(self.world.why[self.campaign_id].values())
        self.world.why[self.campaign_id].clear()
        return max(sorted(reasons), key=reasons.__getitem__, default=None)

    def _shut_on(self, day: date) -> str | None:
        """The code of what keeps the campaign shut all day; None if it opens."""
        begins = zones.instant(datetime.combine(day, time()), self.timezone)
        if self.world.opens(self.campaign_id, begins) < gates.next_midnight(self.timezone, begins):
            return None
        shut = gates.shut_campaign(self.world.campaigns[self.campaign_id], begins)
        return shut.code if shut else None

    def days(self) -> list[Day]:
        """The days from the first to the last on which something is sent, those without a mail among them included."""
        busy = [day for day, page in self.pages.items() if page.by_sender]
        if not busy:
            return []
        day, told, binding = (
            zones.reading(self.world.start, self.timezone).date(),
            list[Day](),
            "follow_up_delay_not_met",
        )
        while day <= max(busy):
            page = self.pages.get(day, _Page())
            binding = page.binding or self._shut_on(day) or binding
            told.append(
                Day(
                    date=day,
                    first=page.first,
                    follow_ups=page.follow_ups,
                    by_sender=dict(page.by_sender),
                    by_provider=dict(page.by_provider),
                    binding=binding,
                )
            )
            day += timedelta(days=1)
        return told
