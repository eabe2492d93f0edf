"""The planner: what becomes of each due walk of a round, decided on a snapshot alone.

Every gate of `gates` is asked, in order. What is planned takes its room at once, in the round's own copy of the sender, the provider and the
campaign: the gates see it when they are asked for the next walk, so no room is given out twice. The same snapshot gives the same answer.
"""

from collections import deque
from datetime import UTC, datetime
from operator import attrgetter
from typing import Final

from msgspec.structs import replace

from cleanmails.records import (
    CampaignView,
    Decision,
    Ends,
    Planned,
    SenderView,
    Skipped,
    Snapshot,
    Waits,
    WalkOutcome,
    WalkView,
)
from cleanmails.rules import gates, rotation, waits
from cleanmails.rules.content.seed import Seed, draw
from cleanmails.rules.gates import Gate

LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)

ASIDE: Final = frozenset({"domain_limit_reached", "follow_up_delay_not_met", "retry_not_due", "start_delay_not_met"})
"""Why a walk waits for its own sake, or for its provider: it falls due anew when that is over, and must not stand before others until then."""

READ_WITH_GAP: Final = 5
"""A sender with a gap takes one mail a round; some more walks are read because each step that is skipped leaves its room to the next walk."""


def reads(sender: SenderView) -> int:
    """How many due walks, oldest first, are to be read for a usable sender and one of its campaigns."""
    return READ_WITH_GAP if sender.max_gap else gates.PIPE_LIMIT


def plan(snapshot: Snapshot) -> list[Decision]:
    """A decision for every walk of the snapshot, in the order in which they were taken.

    Campaigns take turns, and a turn is one mail; who was served longest ago begins. So a campaign of a million leads delays a small one by no more
    than one mail of each sender they share. Within a campaign follow-ups come before first mails, each in the order of the snapshot.
    """
    table, queues = _Round(snapshot), _queues(snapshot)
    order = list(queues)
    if len(order) > 1:
        order.sort(key=lambda key: _precedence(snapshot, key, queues[key][0]))
    decisions: list[Decision] = []
    while order:
        for campaign_id in order:
            table.turn(queues[campaign_id], decisions)
        order = [campaign_id for campaign_id in order if queues[campaign_id]]
    return decisions


def _queues(snapshot: Snapshot) -> dict[int, deque[WalkView]]:
    """The walks of each campaign, follow-ups first."""
    queues: dict[int, deque[WalkView]] = {}
    walks = snapshot.walks
    for walk in sorted(walks, key=attrgetter("is_new")) if len(walks) > 1 else walks:
        queues.setdefault(walk.campaign_id, deque()).append(walk)
    return queues


def _precedence(snapshot: Snapshot, campaign_id: int, head: WalkView) -> tuple[datetime, bool, int]:
    """Served longest ago; else with a follow-up; else by lot, anew each round."""
    served = snapshot.campaigns[campaign_id].last_planned_at or LONG_AGO
    return served, head.is_new, draw(Seed.of(campaign_id, int(snapshot.now.timestamp()), 0), "turn", 1 << 32)


class _Round:
    """What is left of every room while a round is decided."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.now = snapshot.now
        self.campaigns = dict(snapshot.campaigns)
        self.senders = dict(snapshot.senders)
        self.providers = dict(snapshot.providers)
        self.shut_campaigns: dict[int, Gate | None] = {}
        self.asked: dict[int, Gate | None] = {}
        self.free: dict[int, dict[int, SenderView]] = {}
        self.given: list[int] = []
        self.seen: dict[int, int] = {}
        self.nobody: dict[int, Gate] = {}
        self.pairs: dict[str, set[str]] = {}

    def turn(self, queue: deque[WalkView], decisions: list[Decision]) -> None:
        """Decide on walks from the head of a campaign's queue, until one of them is planned or none is left."""
        while queue:
            decision = self.decide(queue.popleft())
            decisions.append(decision)
            if isinstance(decision, Planned):
                return

    def decide(self, walk: WalkView) -> Decision:
        """What becomes of a walk, and its room taken if it is planned."""
        campaign = self.campaigns[walk.campaign_id]
        shut = self._shut_campaign(campaign) or gates.shut_lead(campaign, walk, self.now)
        if shut is not None:
            return self._turn_away(campaign, walk, shut)
        usable = self._usable(campaign, walk)
        if isinstance(usable, Gate):
            return self._turn_away(campaign, walk, usable)
        provider = gates.provider(self.providers.get(walk.provider), self.now)
        if provider.code:
            return self._turn_away(campaign, walk, provider)
        return self._give(campaign, walk, usable)

    def _turn_away(self, campaign: CampaignView, walk: WalkView, gate: Gate) -> Decision:
        """What a shut gate means for a walk: most of them open again, three never do."""
        code, lead_id = str(gate.code), walk.lead_id
        if gate.name == "lead":
            return Ends(campaign_id=campaign.id, lead_id=lead_id, outcome=WalkOutcome(code))
        if gate.name == "sequence":
            return Ends(campaign_id=campaign.id, lead_id=lead_id, outcome=WalkOutcome.FINISHED)
        if gate.name == "trigger":
            return skip(campaign, walk, str(gate.figure), self.now)
        return Waits(campaign_id=campaign.id, lead_id=lead_id, step=walk.step, reason=code, until=gate.opens_at)

    def _shut_campaign(self, campaign: CampaignView) -> Gate | None:
        """The first shut gate of a campaign: none of them shuts or opens within a round."""
        if campaign.id not in self.shut_campaigns:
            self.shut_campaigns[campaign.id] = gates.shut_campaign(campaign, self.now)
        return self.shut_campaigns[campaign.id]

    def _usable(self, campaign: CampaignView, walk: WalkView) -> list[SenderView] | Gate:
        """The senders that may take a walk now; at least one, or the gate that is shut before them."""
        if gates.keeps_sender(campaign, walk, self.senders):
            own = gates.own_sender(campaign, walk, self.senders)
            sender_id = walk.sender_id or 0
            return own if own.code else self._shut(sender_id) or [self.senders[sender_id]]
        free = self._free(campaign)
        return list(free.values()) if free else self._nobody(campaign)

    def _free(self, campaign: CampaignView) -> dict[int, SenderView]:
        """The senders of a campaign that are still usable; those that were given a mail since it last asked are asked anew."""
        free = self.free.get(campaign.id)
        if free is None:
            attached = sorted(campaign.sender_ids & self.senders.keys())
            free = {key: self.senders[key] for key in attached if self._shut(key) is None}
            self.free[campaign.id] = free
        else:
            for key in self.given[self.seen[campaign.id] :]:
                if key in free:
                    free[key] = self.senders[key]
                    if self._shut(key) is not None:
                        del free[key]
        self.seen[campaign.id] = len(self.given)
        return free

    def _shut(self, sender_id: int) -> Gate | None:
        """The first shut gate of a sender, asked anew once it has been given a mail."""
        if sender_id not in self.asked:
            self.asked[sender_id] = gates.shut_sender(self.senders[sender_id], self.now)
        return self.asked[sender_id]

    def _nobody(self, campaign: CampaignView) -> Gate:
        """Why no sender of a campaign is usable; true until the end of the round, because rooms only shrink."""
        if campaign.id not in self.nobody:
            self.nobody[campaign.id] = gates.any_sender(campaign, self.senders, self.now)
        return self.nobody[campaign.id]

    def _give(self, campaign: CampaignView, walk: WalkView, usable: list[SenderView]) -> Planned:
        """Plan a mail by one of the usable senders, off the pairs of domains that this round has had, and take its room."""
        used = self.pairs.setdefault(walk.domain, set())
        sender = usable[0] if len(usable) == 1 else rotation.choose(usable, walk.lead_id, used)
        used.add(sender.domain)
        self.senders[sender.id] = replace(sender, used_today=sender.used_today + 1, in_pipe=sender.in_pipe + 1)
        self.given.append(sender.id)
        del self.asked[sender.id]
        provider = self.providers.get(walk.provider)
        if provider is not None:
            self.providers[walk.provider] = replace(provider, in_pipe=provider.in_pipe + 1)
        if walk.is_new:
            self.campaigns[campaign.id] = replace(campaign, new_today=campaign.new_today + 1)
        return Planned(
            campaign_id=campaign.id,
            lead_id=walk.lead_id,
            step=walk.step,
            sender_id=sender.id,
            provider=walk.provider,
            not_after=gates.closes_at(campaign, self.now),
        )


def skip(campaign: CampaignView, walk: WalkView, reason: str, now: datetime) -> Skipped:
    """Leave a step out for good. The next step's wait counts from now; without a next step the walk is finished."""
    following = gates.step_after(campaign, walk.step)
    due_at = None
    if following is not None:
        due_at = waits.due_at(now, following.wait_days, following.wait_hours, campaign.timezone)
    return Skipped(
        campaign_id=walk.campaign_id,
        lead_id=walk.lead_id,
        step=walk.step,
        reason=reason,
        next_step=following.position if following is not None else None,
        due_at=due_at,
    )
