"""The gates between a due step and its mail, each one a pure function of what is known and the time.

The planner, explain, the sending status and the forecast ask these and nothing else, so that they cannot disagree. A mail goes out when every
gate is open; the first shut one, in the order of this file, is the reason why not. Sources: product page, "Campaigns", "Steps, waits, triggers" and
"Rotation and limits".
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from cleanmails.records import (
    CampaignStatus,
    CampaignView,
    DomainStatus,
    OnSenderLoss,
    ProviderView,
    Schedule,
    SenderStatus,
    SenderView,
    Step,
    WalkState,
    WalkView,
)
from cleanmails.rules import health, lifecycle, ramp, triggers, waits, zones
from cleanmails.rules import schedule as windows

ROUND_SECONDS: Final = 10
"""A provider may have as many mails on their way as it takes in this time: enough for the five seconds between two rounds, and a late one."""

PIPE_LIMIT: Final = 200
"""How many mails of one sender without a gap may be on their way at once."""

SOON: Final = timedelta(seconds=5)
"""When to look again at what opens as soon as mails on their way are settled: the next round."""

FAR: Final = datetime.max.replace(tzinfo=UTC)

Figure = int | float | str | None


class Gate(msgspec.Struct, frozen=True, gc=False):
    """One condition of a mail. `code` says why it is shut, and is None when it is open.

    `figure` is what was measured, `limit` what it is measured against; `opens_at` is when the gate opens, if that is known. `sentence` says all
    this to people; it is empty until `wording.worded` fills it, because the planner needs no words.
    """

    name: str
    code: str | None = None
    figure: Figure = None
    limit: Figure = None
    opens_at: datetime | None = None
    sentence: str = ""

    @property
    def passed(self) -> bool:
        """Whether a mail may pass."""
        return self.code is None


def campaign_gates(campaign: CampaignView, now: datetime) -> tuple[Gate, ...]:
    """What must be open for any mail of a campaign, in order."""
    return tuple([gate(campaign, now) for gate in CAMPAIGN_GATES])


def lead_gates(campaign: CampaignView, walk: WalkView, now: datetime) -> tuple[Gate, ...]:
    """What must be open for the next step of a campaign lead, in order."""
    return tuple(gate(campaign, walk, now) for gate in LEAD_GATES)


def sender_gates(sender: SenderView, now: datetime) -> tuple[Gate, ...]:
    """What must be open for any mail of a sender, in order."""
    return tuple([gate(sender, now) for gate in SENDER_GATES])


# The three below are loops because they are asked for every mail, and most of what a plan costs is theirs.


def shut_campaign(campaign: CampaignView, now: datetime) -> Gate | None:
    """The first shut gate of a campaign, None when it may send."""
    for ask in CAMPAIGN_GATES:
        gate = ask(campaign, now)
        if gate.code is not None:
            return gate
    return None


def shut_lead(campaign: CampaignView, walk: WalkView, now: datetime) -> Gate | None:
    """The first shut gate of a campaign lead, None when its step may go."""
    for ask in LEAD_GATES:
        gate = ask(campaign, walk, now)
        if gate.code is not None:
            return gate
    return None


def shut_sender(sender: SenderView, now: datetime) -> Gate | None:
    """The first shut gate of a sender, None when it is usable now."""
    for ask in SENDER_GATES:
        gate = ask(sender, now)
        if gate.code is not None:
            return gate
    return None


def opening(gates: Iterable[Gate]) -> datetime | None:
    """When the last of the shut gates opens; None when all are open, or when one of them has no known time."""
    last: datetime | None = None
    for gate in gates:
        if gate.code is not None:
            if gate.opens_at is None:
                return None
            last = gate.opens_at if last is None else max(last, gate.opens_at)
    return last


# Gates of a campaign.


def bounces(campaign: CampaignView, _now: datetime) -> Gate:
    """Not more hard bounces than the limit since launch or the last resume. Only a person opens it again."""
    begun = campaign.status is CampaignStatus.RUNNING or campaign.status is CampaignStatus.PAUSED
    over = (
        begun
        and campaign.bounced > 0
        and lifecycle.over_bounce_limit(
            campaign.sent, campaign.bounced, campaign.bounce_limit_percent, campaign.bounce_min_sent
        )
    )
    return Gate("bounces", "bounce_protect" if over else None, campaign.bounced, campaign.sent)


def status(campaign: CampaignView, _now: datetime) -> Gate:
    """Running, not a draft, paused or completed."""
    if campaign.status is CampaignStatus.RUNNING:
        return Gate("status", None, "running")
    return Gate("status", f"campaign_{campaign.status}", campaign.pause_reason or "a person paused it.")


def launch(campaign: CampaignView, now: datetime) -> Gate:
    """Not before `launch_at`."""
    early = campaign.launch_at is not None and now < campaign.launch_at
    return Gate("launch", "launch_at_not_reached" if early else None, opens_at=campaign.launch_at if early else None)


def window(campaign: CampaignView, now: datetime) -> Gate:
    """Inside the sending window."""
    schedule = campaign.schedule
    if schedule is None:
        return Gate("schedule", None, None, "always")
    if _span(schedule).holds(now):
        return Gate("schedule", None, None, _spelled(schedule))
    shown = f"{zones.reading(now, schedule.timezone):%a %H:%M}"
    return Gate("schedule", "out_of_schedule", shown, _spelled(schedule), windows.next_open(schedule, now))


def closes_at(campaign: CampaignView, now: datetime) -> datetime | None:
    """When the window that is open now closes; None if it never does."""
    return _span(campaign.schedule).end(now) if campaign.schedule else None


class _Span:
    """The stretch for which a window was last found open: rounds follow each other, and nearly all of them fall into the same one."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.known: tuple[datetime, datetime, datetime | None] = (FAR, FAR, None)

    def holds(self, now: datetime) -> bool:
        """Whether the window is open."""
        begins, ends, _ = self.known
        return begins <= now < ends or self._look(now)

    def end(self, now: datetime) -> datetime | None:
        """When the window, open now, closes; `now` itself if it is shut, None if it never closes."""
        return self.known[2] if self.holds(now) else now

    def _look(self, now: datetime) -> bool:
        if not windows.is_open(self.schedule, now):
            return False
        closes = windows.closes_at(self.schedule, now)
        self.known = now, closes or FAR, closes
        return True


_span = lru_cache(maxsize=1024)(_Span)


@lru_cache(maxsize=1024)
def _spelled(schedule: Schedule) -> str:
    """A window for people: `Mon Tue Wed 09:00-17:00 Europe/Berlin`, the week beginning with Sunday."""
    days = " ".join(
        name for day, name in enumerate(("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")) if day in schedule.days
    )
    start, end = (f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (schedule.start, schedule.end))
    return f"{days} {start}-{end} {schedule.timezone}"


CAMPAIGN_GATES: Final[tuple[Callable[[CampaignView, datetime], Gate], ...]] = (bounces, status, launch, window)


# Gates of a campaign lead.


def step_of(campaign: CampaignView, position: int) -> Step | None:
    """The step at a position, if the sequence has one."""
    steps = campaign.steps
    if 0 <= position < len(steps) and steps[position].position == position:  # nearly always: they come in order
        return steps[position]
    for step in steps:
        if step.position == position:
            return step
    return None


def step_after(campaign: CampaignView, position: int) -> Step | None:
    """The step that follows a position, None after the last."""
    following: Step | None = None
    for step in campaign.steps:
        if step.position > position and (following is None or step.position < following.position):
            following = step
    return following


def standing(_campaign: CampaignView, walk: WalkView, _now: datetime) -> Gate:
    """The walk is waiting: it has not ended, nothing of it is on its way, and it needs nothing of a person."""
    if walk.state is WalkState.WAITING:
        return Gate("walk")
    if walk.state is WalkState.ENDED:
        return Gate("walk", "walk_ended", walk.outcome)
    if walk.state is WalkState.IN_FLIGHT:
        return Gate("walk", "in_flight")
    return Gate("walk", HOLDS.get(walk.hold_reason or "", "lead_held"), walk.hold_reason)


HOLDS: Final[Mapping[str, str]] = {"unknown": "unknown_delivery", "missing_field": "missing_field"}
"""Why a walk may be held, as the code of its gate; any other reason is `lead_held`."""


def lead(_campaign: CampaignView, walk: WalkView, _now: datetime) -> Gate:
    """The lead may be mailed: not unsubscribed, not suppressed, not marked invalid."""
    return Gate("lead", walk.stopped)


def sequence(campaign: CampaignView, walk: WalkView, _now: datetime) -> Gate:
    """There is a step left. A sequence that was shortened leaves walks behind its end."""
    left = step_of(campaign, walk.step) is not None
    return Gate("sequence", None if left else "sequence_finished", walk.step + 1, len(campaign.steps))


def wait(campaign: CampaignView, walk: WalkView, now: datetime) -> Gate:
    """The wait before the step, or before its next attempt, is over."""
    due_at = due(campaign, walk)
    if due_at is None or due_at <= now:
        return Gate("wait")
    if walk.attempt:
        return Gate("wait", "retry_not_due", walk.attempt, None, due_at)
    return Gate(
        "wait", "start_delay_not_met" if walk.settled_at is None else "follow_up_delay_not_met", opens_at=due_at
    )


def due(campaign: CampaignView, walk: WalkView) -> datetime | None:
    """When the wait is over: at the walk's `due_at`, or later if the step's wait was made longer since that was written down."""
    step = step_of(campaign, walk.step)
    if step is None or walk.due_at is None or walk.settled_at is None or walk.judged or walk.attempt:
        return walk.due_at
    return max(walk.due_at, wait_over(walk.settled_at, step, campaign.timezone))


@lru_cache(maxsize=16_384)
def wait_over(settled_at: datetime, step: Step, timezone: str) -> datetime:
    """When a step falls due after the one before it settled. Kept, because leads of one round wait alike and are asked again when they are due."""
    return waits.due_at(settled_at, step.wait_days, step.wait_hours, timezone)


def trigger(campaign: CampaignView, walk: WalkView, _now: datetime) -> Gate:
    """What the step asks of the last mail is met. Shut for good once the wait is over: the step is skipped then."""
    step = step_of(campaign, walk.step)
    if step is None or walk.judged or walk.attempt:
        return Gate("trigger")
    unmet = triggers.unmet(step.trigger, walk)
    return Gate("trigger", "trigger_not_met" if unmet else None, unmet, step.trigger)


def new_leads(campaign: CampaignView, walk: WalkView, now: datetime) -> Gate:
    """A first mail keeps to the campaign's new leads a day, counted from midnight to midnight in its zone."""
    limit = campaign.max_new_leads_per_day
    if limit is None or not walk.is_new:
        return Gate("new_leads")
    if campaign.new_today < limit:
        return Gate("new_leads", None, campaign.new_today, limit)
    opens_at = next_midnight(campaign.timezone, now)
    return Gate("new_leads", "new_leads_limit_met", campaign.new_today, limit, opens_at)


LEAD_GATES: Final[tuple[Callable[[CampaignView, WalkView, datetime], Gate], ...]] = (
    standing,
    lead,
    sequence,
    wait,
    trigger,
    new_leads,
)


# Gates of a sender.


def is_lost(campaign: CampaignView, walk: WalkView, senders: Mapping[int, SenderView]) -> bool:
    """Whether the sender that a walk keeps is gone for good. One that is merely not among `senders` is not."""
    if walk.sender_id is None:
        return False
    sender = senders.get(walk.sender_id)
    return walk.sender_id not in campaign.sender_ids or (sender is not None and sender.gone)


def keeps_sender(campaign: CampaignView, walk: WalkView, senders: Mapping[int, SenderView]) -> bool:
    """Whether a walk is mailed by the sender it has and by no other; else any sender of the campaign will do."""
    if walk.sender_id is None:
        return False
    return campaign.on_sender_loss is OnSenderLoss.WAIT or not is_lost(campaign, walk, senders)


def sender_side(
    campaign: CampaignView, walk: WalkView, senders: Mapping[int, SenderView], now: datetime
) -> tuple[Gate, ...]:
    """What must be open on the side of the senders for this walk, in order."""
    if not keeps_sender(campaign, walk, senders):
        return (any_sender(campaign, senders, now),)
    own = own_sender(campaign, walk, senders)
    sender = senders.get(walk.sender_id or 0)
    return (own, *sender_gates(sender, now)) if sender else (own,)


def own_sender(campaign: CampaignView, walk: WalkView, senders: Mapping[int, SenderView]) -> Gate:
    """The sender of the walk's mails is there. One that is missing from `senders` has no room, or is gone."""
    if is_lost(campaign, walk, senders):
        return Gate("sender", "sender_gone", walk.sender_id)
    return Gate("sender", None if walk.sender_id in senders else "no_senders_available", walk.sender_id)


def any_sender(campaign: CampaignView, senders: Mapping[int, SenderView], now: datetime) -> Gate:
    """At least one sender of the campaign is usable. Shut, it bears the code and the time of the one that opens first."""
    asked = [sender_gates(senders[key], now) for key in sorted(campaign.sender_ids & senders.keys())]
    shut = [gates for gates in asked if any(gate.code for gate in gates)]
    usable, attached = len(asked) - len(shut), len(campaign.sender_ids)
    if usable:
        return Gate("senders", None, usable, attached)
    times = [(opens_at, gates) for gates in shut if (opens_at := opening(gates)) is not None]
    if not times:
        return Gate("senders", "no_senders_available", 0, attached)
    opens_at, gates = min(times, key=lambda pair: pair[0])
    return Gate("senders", next(gate.code for gate in gates if gate.code), 0, attached, opens_at)


def sender_exists(sender: SenderView, _now: datetime) -> Gate:
    """It was not deleted, and not taken away for good."""
    return Gate("sender_exists", "sender_gone" if sender.gone else None)


def sender_status(sender: SenderView, _now: datetime) -> Gate:
    """Ready: neither warming up, nor paused by a person, nor restricted after a refused sign-in."""
    ready = sender.status is SenderStatus.READY
    return Gate("sender_status", None if ready else f"sender_{sender.status}", sender.status)


def sender_domain(sender: SenderView, _now: datetime) -> Gate:
    """Its domain is verified, if it is one of ours; any other domain is signed by its provider."""
    proven = sender.domain_status is None or sender.domain_status is DomainStatus.VERIFIED
    return Gate("sender_domain", None if proven else "sender_domain_not_verified", sender.domain_status)


def sender_health(sender: SenderView, now: datetime) -> Gate:
    """Healthy enough, or rested for as long as its bad health asks."""
    level = health.recovered(sender.health, sender.last_error_at, now)
    if level > health.FLOOR:
        return Gate("sender_health", None, level, health.FLOOR)
    opens_at = health.rests_until(sender.health, sender.last_error_at)
    return Gate("sender_health", "sender_unhealthy", level, health.FLOOR, opens_at)


def daily_limit(sender: SenderView, now: datetime) -> Gate:
    """Today's limit is not used up, be it that of a day in a ramp-up. The day is UTC's. A limit of nothing is met every day."""
    if sender.used_today < sender.daily_limit:
        return Gate("daily_limit", None, sender.used_today, sender.daily_limit)
    opens_at = utc_midnight(now) if sender.daily_limit > 0 else None
    code = "ramp_up_limit_met" if ramp.growing(sender) else "daily_limit_met"
    return Gate("daily_limit", code, sender.used_today, sender.daily_limit, opens_at)


def cooldown(sender: SenderView, now: datetime) -> Gate:
    """It does not rest after errors in a row."""
    rests = sender.cooldown_until is not None and now < sender.cooldown_until
    return Gate("cooldown", "sender_cooling_down" if rests else None, opens_at=sender.cooldown_until if rests else None)


def gap(sender: SenderView, now: datetime) -> Gate:
    """The gap after its last mail is over."""
    rests = sender.free_at is not None and now < sender.free_at
    return Gate("gap", "sender_gap_not_over" if rests else None, opens_at=sender.free_at if rests else None)


def pipe(sender: SenderView, now: datetime) -> Gate:
    """Not too many of its mails are on their way: with a gap one alone, because the gap counts from when it went out."""
    limit = 1 if sender.max_gap else PIPE_LIMIT
    if sender.in_pipe < limit:
        return Gate("pipe", None, sender.in_pipe, limit)
    return Gate("pipe", "sender_busy", sender.in_pipe, limit, now + max(SOON, timedelta(seconds=sender.min_gap)))


SENDER_GATES: Final[tuple[Callable[[SenderView, datetime], Gate], ...]] = (
    sender_exists,
    sender_status,
    sender_domain,
    sender_health,
    daily_limit,
    cooldown,
    gap,
    pipe,
)


def utc_midnight(now: datetime) -> datetime:
    """The next midnight of UTC, when daily limits begin anew."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


def next_midnight(timezone: str, now: datetime) -> datetime:
    """When the zone's next calendar day begins. Days last 23 to 25 hours: a day and a half after one began the next one is on."""
    return windows.midnight(timezone, windows.midnight(timezone, now) + timedelta(hours=36))


# The gate of a recipient provider.


def provider(recipient: ProviderView | None, now: datetime) -> Gate:
    """Not more on their way to the provider than it takes in a round. One that is not known is left to the limiter at the wire."""
    if recipient is None:
        return Gate("provider")
    limit = recipient.rate * ROUND_SECONDS
    if recipient.in_pipe < limit:
        return Gate("provider", None, recipient.in_pipe, limit)
    opens_at = now + timedelta(seconds=(recipient.in_pipe - limit + 1) / recipient.rate)
    return Gate("provider", "domain_limit_reached", recipient.in_pipe, limit, opens_at)
