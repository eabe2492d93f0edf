"""Virtual time: the planner's own rounds, run on a model of the world in which every mail is accepted at once.

The clock jumps from one instant at which something can go to the next: a sender is free again, a lead falls due, a window opens, a day begins. At
each of them the walks are gathered as the ledger would gather them, `plan` decides, and what it decided becomes true. Rounds lie on a grid of
`ROUND`, as the real ones do.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from heapq import heappop, heappush
from math import ceil
from typing import Final

import msgspec
from msgspec.structs import replace

from cleanmails.records import (
    CampaignView,
    Decision,
    Ends,
    Planned,
    ProviderView,
    SenderView,
    Skipped,
    Snapshot,
    Trigger,
    WalkView,
)
from cleanmails.rules import gates, health, ramp, rotation
from cleanmails.rules.content.seed import Seed, draw
from cleanmails.rules.line import Line, due
from cleanmails.rules.plan import ASIDE, plan, reads

ROUND: Final = timedelta(seconds=5)
"""How far apart rounds are."""

FOREVER: Final = datetime.max.replace(tzinfo=UTC)
CROWDED: Final = "domain_limit_reached"
NOBODY: Final = 0
"""Stands for the sender of walks that may have any."""


_seconds = lru_cache(maxsize=1024)(partial(timedelta, 0))


class Assumed(msgspec.Struct, frozen=True, kw_only=True):
    """What people are taken to do with the mails they get: shares from 0 to 1, thrown with the dice of `seed`.

    A bounce is a hard one, of a first mail. A reply ends the walk if the campaign checks replies. A click is an open as well.
    """

    reply_rate: float = 0.0
    bounce_rate: float = 0.0
    open_rate: float = 0.0
    click_rate: float = 0.0
    seed: int = 0


class Mail(msgspec.Struct, frozen=True, gc=False):
    """A mail that goes out in virtual time."""

    planned: Planned
    is_new: bool


class World:
    """Campaigns, senders and walks as virtual time passes. All walks are waiting, with a time at which they are due."""

    def __init__(
        self,
        campaigns: Iterable[CampaignView],
        senders: Iterable[SenderView],
        walks: Iterable[WalkView],
        rates: Mapping[str, float],
        start: datetime,
        end: datetime,
        assumed: Assumed,
    ) -> None:
        self.start = self.now = start
        self.end = end
        self.assumed = assumed
        self.campaigns = {campaign.id: campaign for campaign in campaigns}
        self.senders = {sender.id: sender for sender in senders}
        self.gapless = {key for key, sender in self.senders.items() if not sender.max_gap}
        self.gone = {key: sender for key, sender in self.senders.items() if sender.gone}
        self.providers = {name: _Level(name, rate, start) for name, rate in rates.items()}
        self.day_ends = gates.utc_midnight(start)
        self.new_leads_until = {
            key: gates.next_midnight(campaign.timezone, start)
            for key, campaign in self.campaigns.items()
            if campaign.max_new_leads_per_day is not None
        }
        self.counts_end = start
        self.windows = {key: _windows(campaign, start, end) for key, campaign in self.campaigns.items()}
        self.open_span: dict[int, tuple[datetime, datetime]] = {}
        self.skipping = {
            key
            for key, campaign in self.campaigns.items()
            if any(step.trigger is not Trigger.ALWAYS for step in campaign.steps)
        }
        self.crowded: set[int] = set()
        self.why: defaultdict[int, dict[int, str]] = defaultdict(dict)
        self.left: Counter[int] = Counter()
        self.lines: defaultdict[tuple[int, int], Line] = defaultdict(Line)
        for walk in sorted(walks, key=lambda walk: (due(walk), walk.lead_id)):
            self.left[walk.campaign_id] += 1
            self.lines[walk.campaign_id, self._keeper(walk)].push(walk)
        self.attached = {
            key: [campaign.id for campaign in self.campaigns.values() if key in campaign.sender_ids]
            for key in self.senders
        }
        self.agenda = sorted((start, key) for key in self.senders)

    def _keeper(self, walk: WalkView) -> int:
        """In whose line a walk stands."""
        kept = gates.keeps_sender(self.campaigns[walk.campaign_id], walk, self.senders)
        return walk.sender_id if kept and walk.sender_id is not None else NOBODY

    def next_at(self) -> datetime | None:
        """When the next round is; None if there is none before the end."""
        return self.agenda[0][0] if self.agenda and self.agenda[0][0] < self.end else None

    def round(self) -> list[Mail]:
        """The next round, and the mails that go out in it. It may be empty: somebody was free, and found nothing to send."""
        self.now = self.agenda[0][0]
        ready: list[int] = []
        while self.agenda and self.agenda[0][0] == self.now:
            ready.append(heappop(self.agenda)[1])
        if self.now >= self.counts_end:
            self._begin_days()
        mails = self._let_go(ready)
        sent = {mail.planned.sender_id for mail in mails}
        for sender_id in ready:
            # Who has sent looks again once it is free. It need not look ahead before it finds nothing to send.
            at = self.senders[sender_id].free_at if sender_id in sent else self._look_ahead(sender_id)
            if at is not None and at < self.end:
                heappush(self.agenda, (self.grid(at if at > self.now else self.now + ROUND), sender_id))
        return mails

    def _begin_days(self) -> None:
        """Counts of days that are over begin anew."""
        if self.now >= self.day_ends:
            self.day_ends = gates.utc_midnight(self.now)
            self.senders = {key: ramp.next_day(sender) for key, sender in self.senders.items()}
        for key, until in self.new_leads_until.items():
            if self.now >= until:
                self.new_leads_until[key] = gates.next_midnight(self.campaigns[key].timezone, self.now)
                self.campaigns[key] = replace(self.campaigns[key], new_today=0)
        self.counts_end = min([self.day_ends, *self.new_leads_until.values()])

    def _let_go(self, ready: list[int]) -> list[Mail]:
        """Gather the walks that are due for these senders, have the planner decide on them, and let that come true."""
        rooms = self._rooms(ready)
        walks = self._follow_ups(ready, rooms)
        if self._is_full(ready, rooms, walks):
            # Follow-ups come before first mails, so the planner need not look at these unless it leaves one of the senders free.
            decisions = plan(self._snapshot(ready, walks))
            if [type(decision) for decision in decisions].count(Planned) == len(ready):
                return self._come_true(walks, decisions, ready)
        for campaign_id, room in rooms.items():
            self._read(campaign_id, NOBODY, room, room, walks)
        return self._come_true(walks, plan(self._snapshot(ready, walks)), ready) if walks else []

    def _snapshot(self, ready: list[int], walks: list[WalkView]) -> Snapshot:
        """What the planner decides on."""
        senders = {key: self.senders[key] for key in ready}
        campaigns: dict[int, CampaignView] = {}
        providers: dict[str, ProviderView] = {}
        for walk in walks:
            campaigns[walk.campaign_id] = self.campaigns[walk.campaign_id]
            if walk.provider not in providers and walk.provider in self.providers:
                providers[walk.provider] = self.providers[walk.provider].view(self.now)
        return Snapshot(
            now=self.now,
            campaigns=campaigns,
            senders=senders | self.gone if self.gone else senders,
            providers=providers,
            walks=tuple(walks),
        )

    def _rooms(self, ready: list[int]) -> dict[int, int]:
        """How many mails each open campaign of these senders may send."""
        rooms: dict[int, int] = {}
        for sender_id in ready:
            room = _room(self.senders[sender_id])
            for campaign_id in self.attached[sender_id]:
                if campaign_id in rooms or self._is_open(campaign_id):
                    rooms[campaign_id] = rooms.get(campaign_id, 0) + max(0, room)
        return rooms

    def _follow_ups(self, ready: list[int], rooms: dict[int, int]) -> list[WalkView]:
        """The walks of these senders that are due, no more than they have room for, and those before them that will be skipped."""
        walks: list[WalkView] = []
        for sender_id in ready:
            sender = self.senders[sender_id]
            room = _room(sender)
            if room > 0:
                for campaign_id in self.attached[sender_id]:
                    if campaign_id in rooms:
                        self._read(campaign_id, sender_id, room, reads(sender), walks)
        return walks

    def _is_full(self, ready: list[int], rooms: dict[int, int], walks: list[WalkView]) -> bool:
        """Whether the follow-ups of the one campaign that is open may leave no room for its first mails."""
        return len(rooms) == 1 and len(walks) >= len(ready) and self.gapless.isdisjoint(ready)

    def _read(self, campaign_id: int, keeper: int, room: int, most: int, walks: list[WalkView]) -> None:
        """Take walks that are due out of a line: as many as there is room for, and of those that are read besides what will be skipped."""
        campaign, line = self.campaigns[campaign_id], self.lines[campaign_id, keeper]
        behind: list[WalkView] = []
        while most > 0 and (room > 0 or campaign_id in self.skipping) and (walk := line.take(self.now)) is not None:
            most -= 1
            skipped = campaign_id in self.skipping and gates.trigger(campaign, walk, self.now).code is not None
            if skipped or room > 0:
                walks.append(walk)
                room -= not skipped
            else:
                behind.append(walk)
        for walk in reversed(behind):
            line.put_back(walk)

    def _come_true(self, walks: list[WalkView], decisions: list[Decision], ready: list[int]) -> list[Mail]:
        """Do what the planner says."""
        taken = {(walk.campaign_id, walk.lead_id): walk for walk in walks}
        mails: list[Mail] = []
        refused: list[WalkView] = []
        self.crowded.clear()
        for decision in decisions:
            walk = taken[decision.campaign_id, decision.lead_id]
            if isinstance(decision, Planned):
                mails.append(Mail(decision, walk.is_new))
                self._send(walk, self.senders[decision.sender_id])
            elif isinstance(decision, Skipped):
                self._go_on(walk, self._keeper(walk), decision.next_step, decision.due_at)
            elif isinstance(decision, Ends):
                self.left[walk.campaign_id] -= 1
            elif decision.reason in ASIDE and decision.until is not None:
                self.lines[walk.campaign_id, self._keeper(walk)].push(replace(walk, due_at=self.grid(decision.until)))
                if decision.reason == CROWDED:
                    self.crowded.add(walk.campaign_id)
            else:
                refused.append(walk)
        for walk in reversed(refused):
            self.lines[walk.campaign_id, self._keeper(walk)].put_back(walk)
        for campaign_id in self.crowded:
            self.why[campaign_id].update(dict.fromkeys(self.why[campaign_id].keys() & ready, CROWDED))
        return mails

    def _send(self, walk: WalkView, sender: SenderView) -> None:
        """A mail is accepted, or bounces. Its sender rests, and the walk goes on or ends."""
        seed = Seed.of(walk.campaign_id, walk.lead_id, walk.step)
        bounces = not walk.mailed and self._chance(seed, "bounce", self.assumed.bounce_rate)
        self._count(walk, sender, seed, bounces=bounces)
        campaign = self.campaigns[walk.campaign_id]
        following = gates.step_after(campaign, walk.step)
        replies = campaign.check_reply and self._chance(seed, "reply", self.assumed.reply_rate)
        if bounces or replies or following is None:
            self.left[campaign.id] -= 1
            return
        clicks = self._chance(seed, "click", self.assumed.click_rate)
        opens = clicks or self._chance(seed, "open", self.assumed.open_rate)
        got = replace(
            walk,
            step=following.position,
            due_at=gates.wait_over(self.now, following, campaign.timezone),
            settled_at=self.now,
            sender_id=sender.id,
            attempt=0,
            judged=False,
            mailed=True,
            opened_at=self.now if opens else None,
            clicked_at=self.now if clicks else None,
        )
        self.lines[campaign.id, sender.id].push(got)

    def _count(self, walk: WalkView, sender: SenderView, seed: Seed, *, bounces: bool) -> None:
        """What a mail uses up, and what it does to its sender's health."""
        free_at, pace = self.now, "sender_busy"
        if sender.max_gap:
            free_at += _seconds(rotation.gap(seed, sender.min_gap, sender.max_gap))
            pace = "sender_gap_not_over"
        level = sender.health
        if bounces or level < health.BEST:
            points = health.BAD_RECIPIENT if bounces else health.ACCEPTED
            level = min(health.BEST, max(0, health.recovered(sender.health, sender.last_error_at, self.now) + points))
        self.senders[sender.id] = replace(
            sender,
            used_today=sender.used_today + 1,
            health=level,
            last_error_at=self.now if bounces else sender.last_error_at,
            free_at=free_at,
        )
        campaign = self.campaigns[walk.campaign_id]
        campaign = self.campaigns[campaign.id] = replace(
            campaign,
            new_today=campaign.new_today + walk.is_new,
            sent=campaign.sent + 1,
            bounced=campaign.bounced + bounces,
            last_planned_at=self.now,
        )
        self.why[campaign.id][sender.id] = pace
        if campaign.bounced and gates.bounces(campaign, self.now).code:
            self.windows[campaign.id] = [FOREVER], [FOREVER]
            self.open_span.pop(campaign.id, None)
        if walk.provider in self.providers:
            self.providers[walk.provider].level += 1

    def _chance(self, seed: Seed, name: str, rate: float) -> bool:
        """Whether something with this probability happens to a mail."""
        return rate > 0 and draw(seed, f"{name} {self.assumed.seed}", 1 << 32) < rate * (1 << 32)

    def _go_on(self, walk: WalkView, keeper: int, step: int | None, due_at: datetime | None) -> None:
        """The walk waits for a step, or ends."""
        if step is None:
            self.left[walk.campaign_id] -= 1
            return
        walk = replace(walk, step=step, due_at=due_at, settled_at=self.now, attempt=0, judged=False)
        self.lines[walk.campaign_id, keeper].push(walk)

    def _look_ahead(self, sender_id: int) -> datetime | None:
        """When a sender could send next; None: never. Notes what each of its open campaigns waits for."""
        asked = gates.sender_gates(self.senders[sender_id], self.now)
        shut = [gate for gate in asked if gate.code is not None]
        free_at = gates.opening(shut) if shut else self.now
        times: list[datetime] = []
        for campaign_id in self.attached[sender_id]:
            ready_at, reason = self._next_of(campaign_id, sender_id)
            if self._is_open(campaign_id):
                self.why[campaign_id][sender_id] = reason or (str(shut[0].code) if shut else "sender_busy")
            if ready_at is not None and free_at is not None:
                times.append(self.opens(campaign_id, max(ready_at, free_at)))
        return min(times, default=None)

    def _next_of(self, campaign_id: int, sender_id: int) -> tuple[datetime | None, str | None]:
        """When a campaign next has something for a sender, and what it waits for until then: None if it has something now."""
        campaign = self.campaigns[campaign_id]
        found: list[tuple[datetime, str]] = []
        for keeper in (sender_id, NOBODY):
            head = self.lines[campaign_id, keeper].head()
            if head is None:
                continue
            found.append((due(head), "follow_up_delay_not_met"))
            if gates.new_leads(campaign, head, self.now).code:
                found[-1] = max(found[-1], (self.new_leads_until[campaign_id], "new_leads_limit_met"))
        if not found:
            return None, "nothing_left"
        ready_at, reason = min(found)
        if campaign_id in self.crowded:
            return ready_at, CROWDED
        return ready_at, reason if ready_at > self.now else None

    def _is_open(self, campaign_id: int) -> bool:
        begins, ends = self.open_span.get(campaign_id, (FOREVER, FOREVER))
        if begins <= self.now < ends:
            return True
        opens, closes = self.windows[campaign_id]
        index = bisect_right(closes, self.now)
        self.open_span[campaign_id] = opens[index], closes[index]
        return opens[index] <= self.now

    def opens(self, campaign_id: int, at: datetime) -> datetime:
        """The first instant from `at` on at which a campaign's gates are open; FOREVER if there is none before the end."""
        opens, closes = self.windows[campaign_id]
        index = bisect_right(closes, at)
        return max(at, opens[index])

    def grid(self, at: datetime) -> datetime:
        """The first round from an instant on."""
        return self.start - (self.start - at) // ROUND * ROUND

    def hopeless(self, campaign_id: int) -> Counter[str]:
        """The leads of a campaign that wait for something that will not happen by itself, by the code of that."""
        campaign, found = self.campaigns[campaign_id], Counter[str]()
        halted = gates.bounces(campaign, self.now).code
        for (owner, _), line in self.lines.items():
            if owner == campaign_id:
                for walk in line:
                    asked = gates.sender_side(campaign, walk, self.senders, self.now)
                    shut = next((gate.code for gate in asked if gate.code and gate.opens_at is None), None)
                    if halted or shut:
                        found[str(halted or shut)] += 1
        return found


class _Level:
    """How many mails wait at a provider's limiter: what was sent, less what its rate has let through since."""

    def __init__(self, name: str, rate: float, at: datetime) -> None:
        self.name, self.rate, self.level, self.at = name, rate, 0.0, at

    def view(self, now: datetime) -> ProviderView:
        """As the planner sees it."""
        self.level = max(0.0, self.level - (now - self.at).total_seconds() * self.rate)
        self.at = now
        return ProviderView(self.name, self.rate, ceil(self.level))


def _windows(campaign: CampaignView, start: datetime, end: datetime) -> tuple[list[datetime], list[datetime]]:
    """When a campaign's gates open, and when they shut again, each in order; the last one opens after all time."""
    opens: list[datetime] = []
    closes: list[datetime] = []
    at: datetime | None = start
    while at is not None and at < end:
        shut = [gate for gate in gates.campaign_gates(campaign, at) if gate.code]
        if shut:
            at = gates.opening(shut)
        else:
            opens.append(at)
            closes.append(gates.closes_at(campaign, at) or FOREVER)
            at = closes[-1]
    return [*opens, FOREVER], [*closes, FOREVER]


def _room(sender: SenderView) -> int:
    """How many mails a sender takes in a round, if it is usable."""
    return min(1 if sender.max_gap else gates.PIPE_LIMIT, max(0, sender.daily_limit - sender.used_today))
