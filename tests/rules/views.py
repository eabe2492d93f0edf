"""Campaigns, senders and leads as the planner sees them, with what a test does not care about filled in. NOW is a Monday noon in UTC."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

from cleanmails.records import (
    CampaignStatus,
    CampaignView,
    DomainStatus,
    OnSenderLoss,
    ProviderView,
    Schedule,
    SenderStatus,
    SenderView,
    Snapshot,
    Step,
    Trigger,
    WalkOutcome,
    WalkState,
    WalkView,
)

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
WORKDAYS = Schedule(days=frozenset({1, 2, 3, 4, 5}), start=9 * 60, end=17 * 60, timezone="UTC")


def step(position: int = 0, **changes: Any) -> Step:
    values = {"position": position, "subjects": () if position else ("Hello",), "body": "<p>Hello</p>"}
    return Step(**(values | changes))


def campaign(id: int = 1, **changes: Any) -> CampaignView:
    values = {
        "id": id,
        "workspace_id": 1,
        "name": f"Campaign {id}",
        "status": CampaignStatus.RUNNING,
        "launch_at": None,
        "schedule": None,
        "steps": (step(0), step(1, wait_days=3)),
        "sender_ids": frozenset({1}),
    }
    return CampaignView(**(values | changes))


def sender(id: int = 1, **changes: Any) -> SenderView:
    values = {
        "id": id,
        "workspace_id": 1,
        "address": f"anna@sender{id}.example",
        "status": SenderStatus.READY,
        "health": 100,
        "daily_limit": 50,
        "used_today": 0,
        "in_pipe": 0,
        "min_gap": 30,
        "max_gap": 90,
        "free_at": None,
        "cooldown_until": None,
        "domain_status": None,
    }
    return SenderView(**(values | changes))


def walk(lead_id: int = 1, **changes: Any) -> WalkView:
    values = {
        "campaign_id": 1,
        "lead_id": lead_id,
        "email": f"lead{lead_id}@company{lead_id}.test",
        "provider": "other",
        "state": WalkState.WAITING,
        "step": 0,
        "due_at": NOW - timedelta(hours=1),
        "settled_at": None,
        "sender_id": None,
    }
    return WalkView(**(values | changes))


def follow_up(lead_id: int = 1, **changes: Any) -> WalkView:
    """A lead that got the first mail by sender 1 four days ago, and waits for the second."""
    values = {"step": 1, "sender_id": 1, "mailed": True, "settled_at": NOW - timedelta(days=4), "due_at": NOW}
    return walk(lead_id, **(values | changes))


def snapshot(
    walks: Iterable[WalkView] = (),
    campaigns: Iterable[CampaignView] = (campaign(),),
    senders: Iterable[SenderView] = (sender(),),
    providers: Iterable[ProviderView] = (),
    now: datetime = NOW,
) -> Snapshot:
    return Snapshot(
        now=now,
        campaigns={view.id: view for view in campaigns},
        senders={view.id: view for view in senders},
        providers={view.name: view for view in providers},
        walks=tuple(walks),
    )


# Anything that can be, for properties: few values each, so that gates are often shut and often meet. One number stands for a whole snapshot,
# because drawing its hundred fields one by one would cost more than all that is tested with them.

MOMENTS = [NOW + timedelta(minutes=minutes) for minutes in (-3000, -60, -1, 0, 1, 60, 3000)]


def any_campaign(dice: Random, id: int) -> CampaignView:
    schedule = Schedule(
        days=frozenset(dice.sample(range(7), dice.randint(4, 7))),
        start=dice.choice([0, 540, 720, 1320]),
        end=dice.choice([360, 721, 1020, 1440]),
        timezone=dice.choice(["UTC", "America/New_York", "Asia/Kolkata"]),
    )
    steps = [
        step(
            position,
            trigger=dice.choice(list(Trigger)) if position else Trigger.ALWAYS,
            wait_days=dice.randint(0, 3),
            wait_hours=dice.randint(0, 5),
        )
        for position in range(dice.randint(1, 4))
    ]
    return campaign(
        id,
        status=dice.choice([CampaignStatus.RUNNING] * 9 + list(CampaignStatus)),
        launch_at=dice.choice([None, None, None, *MOMENTS]),
        schedule=dice.choice([None, schedule]),
        steps=tuple(steps),
        sender_ids=frozenset(dice.sample(range(1, 5), dice.randint(1, 4))),
        on_sender_loss=dice.choice(list(OnSenderLoss)),
        max_new_leads_per_day=dice.choice([None, None, 1, 2, 3]),
        new_today=dice.randint(0, 3),
        last_planned_at=dice.choice([None, *MOMENTS]),
        sent=dice.choice([0, 19, 20, 100]),
        bounced=dice.choice([0, 0, 0, 0, 2]),
    )


def any_sender(dice: Random, id: int) -> SenderView:
    min_gap, max_gap = dice.choice([(0, 0), (0, 0), (30, 90), (0, 10)])
    return sender(
        id,
        address=f"s{id}@{dice.choice(['one', 'two'])}.example",
        status=dice.choice([SenderStatus.READY] * 12 + list(SenderStatus)),
        health=dice.choice([100, 80, 50, 21, 20]),
        daily_limit=dice.choice([0, 2, 5, 50, 50]),
        used_today=dice.randint(0, 5),
        in_pipe=dice.choice([0, 0, 0, 0, 1, 199, 200]),
        min_gap=min_gap,
        max_gap=max_gap,
        free_at=dice.choice([None, *MOMENTS]),
        cooldown_until=dice.choice([None, None, None, *MOMENTS]),
        domain_status=dice.choice([None, DomainStatus.VERIFIED, DomainStatus.VERIFIED, *DomainStatus]),
        gone=dice.random() < 0.1,
    )


def any_walk(dice: Random, lead_id: int) -> WalkView:
    return walk(
        lead_id,
        campaign_id=dice.randint(1, 3),
        email=f"lead@{dice.choice(['one', 'two', 'three'])}.test",
        provider=dice.choice(["google", "other"]),
        state=dice.choice([WalkState.WAITING] * 15 + list(WalkState)),
        step=dice.randint(0, 3),
        due_at=dice.choice([None, *MOMENTS]),
        settled_at=dice.choice([None, *MOMENTS]),
        sender_id=dice.choice([None, None, None, 1, 2, 3, 4, 5]),
        attempt=dice.choice([0, 0, 1]),
        judged=dice.random() < 0.3,
        mailed=dice.random() < 0.5,
        opened_at=dice.choice([None, *MOMENTS]),
        clicked_at=dice.choice([None, None, None, *MOMENTS]),
        stopped=dice.choice([None] * 10 + [WalkOutcome.UNSUBSCRIBED, WalkOutcome.SUPPRESSED]),
        hold_reason=dice.choice(["unknown", "missing_field", "other"]),
        outcome=WalkOutcome.FINISHED,
    )


def any_snapshot(seed: int, leads: int) -> Snapshot:
    dice = Random(seed)
    return snapshot(
        [any_walk(dice, lead_id) for lead_id in range(1, leads + 1)],
        [any_campaign(dice, id) for id in (1, 2, 3)],
        [any_sender(dice, id) for id in (1, 2, 3, 4)],
        [ProviderView(name, dice.choice([0.1, 0.3, 2.0]), dice.randint(0, 3)) for name in ("google", "other")],
    )


snapshots = st.builds(any_snapshot, st.integers(0, 2**64), st.integers(0, 20))
