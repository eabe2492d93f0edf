"""Why a lead is mailed or not, and what holds a campaign back: the gates of the planner, asked for people (product page, "Explain").

`plan` plans a walk that stands alone exactly if `explain` finds every gate open: both ask the functions of `gates`, on the same snapshot.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from cleanmails.records import CampaignView, SenderView, Snapshot, WalkCounts, WalkView
from cleanmails.rules import duties, gates, plan, ramp, triggers, wording
from cleanmails.rules.gates import Gate

JUMPS: Final = 200
"""How often the clock is put forward in search of the next mail. Each jump opens a gate, so a few are enough for every campaign that ever sends."""

PACE: Final = frozenset({"sender_gap_not_over", "sender_busy", "trigger_not_met"})
"""Gates that shut for moments while a campaign sends as it should, and steps that are skipped in the next round."""

AMISS: Final = frozenset(
    {
        "bounce_protect",
        "no_leads",
        "leads_held",
        "no_senders_available",
        "sender_gone",
        "sender_paused",
        "sender_warmup",
        "sender_restricted",
        "sender_domain_not_verified",
        "sender_unhealthy",
        "sender_cooling_down",
    }
)
"""Codes of a sending status that somebody should look into; all others are part of a campaign's life."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Every gate of a walk in order, the first shut one, and the earliest time of the next mail, as far as it can be known now.

    `next_mail_at` is None when no mail will follow, or none before something happens that has no known time. It supposes that nobody else takes
    the room, and that a trigger which is not judged yet will be met if it still can be.
    """

    gates: tuple[Gate, ...]
    blocking: Gate | None
    next_mail_at: datetime | None
    sentence: str


class SendingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The one thing that holds a campaign back now (`healthy`: nothing does), whether that is part of its life, and until when it lasts."""

    code: str
    sentence: str
    normal: bool
    until: datetime | None


def explain(snapshot: Snapshot, walk: WalkView) -> Explanation:
    """Every gate between a walk and its next mail. The snapshot holds the walk's campaign with all its senders, and the lead's provider."""
    campaign = snapshot.campaigns[walk.campaign_id]
    asked = tuple(wording.worded(gate, campaign.timezone) for gate in all_gates(snapshot, walk))
    blocking = next((gate for gate in asked if gate.code), None)
    at = next_mail_at(snapshot, walk)
    if blocking is None:
        sentence = f"Step {walk.step + 1} goes out in the next round."
    elif at is None:
        # Time opens the gate that is named first, perhaps, and not this one.
        never = next(
            (gate for gate in asked if gate.code and gate.opens_at is None and gate.name != "trigger"), blocking
        )
        more = f": {never.sentence}" if never is not blocking else "."
        sentence = f"{blocking.sentence} No time of a next mail is known{more}"
    else:
        sentence = (
            f"{blocking.sentence} The next mail goes out on {wording.clock(at, campaign.timezone)} at the earliest."
        )
    return Explanation(gates=asked, blocking=blocking, next_mail_at=at, sentence=sentence)


def all_gates(snapshot: Snapshot, walk: WalkView) -> tuple[Gate, ...]:
    """Every gate of a walk, in the order in which the planner asks."""
    campaign, now = snapshot.campaigns[walk.campaign_id], snapshot.now
    return (
        *gates.campaign_gates(campaign, now),
        *gates.lead_gates(campaign, walk, now),
        *gates.sender_side(campaign, walk, snapshot.senders, now),
        gates.provider(snapshot.providers.get(walk.provider), now),
    )


def next_mail_at(snapshot: Snapshot, walk: WalkView) -> datetime | None:
    """The earliest time at which all gates are open: the clock is put forward to the last opening of those shut, as often as it takes."""
    begun = snapshot.now
    for _ in range(JUMPS):
        shut = [gate for gate in all_gates(snapshot, walk) if gate.code]
        if shut and shut[0].name == "trigger" and (snapshot.now == begun or shut[0].figure in triggers.FOR_GOOD):
            skipped = plan.skip(snapshot.campaigns[walk.campaign_id], walk, str(shut[0].figure), snapshot.now)
            if skipped.next_step is None:
                return None
            walk = replace(walk, step=skipped.next_step, due_at=skipped.due_at, settled_at=snapshot.now)
            continue
        others = [gate for gate in shut if gate.name != "trigger"]
        if not others:
            return snapshot.now
        opens_at = gates.opening(others)
        if opens_at is None:
            return None
        snapshot = later(snapshot, opens_at)
    return None


def later(snapshot: Snapshot, at: datetime) -> Snapshot:
    """The snapshot as it will be if nothing happens but that time passes: days begin anew, and what is on its way arrives."""
    day_over = at >= gates.utc_midnight(snapshot.now)
    return replace(
        snapshot,
        now=at,
        campaigns={key: _campaign_later(view, snapshot.now, at) for key, view in snapshot.campaigns.items()},
        senders={key: _sender_later(view, day_over=day_over) for key, view in snapshot.senders.items()},
        providers={key: replace(view, in_pipe=0) for key, view in snapshot.providers.items()},
    )


def _campaign_later(campaign: CampaignView, now: datetime, at: datetime) -> CampaignView:
    return replace(campaign, new_today=0) if at >= gates.next_midnight(campaign.timezone, now) else campaign


def _sender_later(sender: SenderView, *, day_over: bool) -> SenderView:
    return replace(ramp.next_day(sender) if day_over else sender, in_pipe=0)


def sending_status(snapshot: Snapshot, counts: WalkCounts) -> SendingStatus:
    """What holds a campaign back now. The snapshot holds it with all its senders, and as `walks` a sample of those that are due, oldest first."""
    campaign = snapshot.campaigns[counts.campaign_id]
    gate = gates.shut_campaign(campaign, snapshot.now) or _without_due(counts) or _with_due(snapshot, campaign)
    amiss = gate.code in AMISS or (gate.code == "campaign_paused" and campaign.pause_reason is not None)
    return SendingStatus(
        code=str(gate.code),
        sentence=wording.sentence(gate, campaign.timezone),
        normal=not amiss,
        until=gate.opens_at,
    )


def unless_silent(told: SendingStatus, ages: Mapping[str, float]) -> SendingStatus:
    """The same, unless nothing holds the campaign back and nobody plans: then that is what does. `ages` are those of the duties, in seconds."""
    plan_duty = next(duty for duty in duties.judged(ages) if duty.name == "plan")
    if told.code != "healthy" or not plan_duty.late:
        return told
    return SendingStatus(code="planner_silent", sentence=plan_duty.sentence, normal=False, until=None)


def _without_due(counts: WalkCounts) -> Gate | None:
    """What is said of a campaign in which nobody is due; None when somebody is."""
    if counts.due:
        return None
    if counts.in_flight:
        return HEALTHY
    if counts.waiting:
        return Gate("wait", "follow_up_delay_not_met", opens_at=counts.next_due_at)
    if counts.held:
        return Gate("walk", "leads_held", counts.held)
    return Gate("status", "campaign_completed" if counts.ended else "no_leads")


def _with_due(snapshot: Snapshot, campaign: CampaignView) -> Gate:
    """What shuts most of the due leads out; nothing, when one of them passes or waits for moments only."""
    sample = [walk for walk in snapshot.walks if walk.campaign_id == campaign.id]
    firsts = [next((gate for gate in all_gates(snapshot, walk) if gate.code), HEALTHY) for walk in sample]
    firsts = firsts or [gates.any_sender(campaign, snapshot.senders, snapshot.now)]
    if any(gate.code in PACE or gate.code in {None, "healthy"} for gate in firsts):
        return HEALTHY
    code = Counter(gate.code for gate in firsts).most_common(1)[0][0]
    alike = [gate for gate in firsts if gate.code == code]
    return min(alike, key=lambda gate: (gate.opens_at is None, gate.opens_at or snapshot.now))


HEALTHY: Final = Gate("status", "healthy")
