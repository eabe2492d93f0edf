"""Campaigns, senders and leads as the planner sees them, with what a test does not care about filled in. NOW is a Monday noon in UTC."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
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


# Anything that can be, for properties. Few values each, so that gates are often shut and often meet.

instants = st.sampled_from([NOW + timedelta(minutes=minutes) for minutes in (-3000, -60, -1, 0, 1, 60, 3000)])
maybe_instants = st.none() | instants
schedules = st.none() | st.builds(
    Schedule,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.sampled_from([0, 540, 720, 1320]),
    end=st.sampled_from([360, 721, 1020, 1440]),
    timezone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]),
)
sequences = st.lists(
    st.tuples(st.sampled_from(Trigger), st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=4
).map(
    lambda rows: tuple(
        step(position, trigger=trigger if position else Trigger.ALWAYS, wait_days=days, wait_hours=hours)
        for position, (trigger, days, hours) in enumerate(rows)
    )
)


def campaigns(id: int) -> st.SearchStrategy[CampaignView]:
    return st.builds(
        campaign,
        st.just(id),
        status=st.sampled_from([CampaignStatus.RUNNING] * 6 + list(CampaignStatus)),
        launch_at=maybe_instants,
        schedule=schedules,
        steps=sequences,
        sender_ids=st.frozensets(st.integers(1, 4)),
        on_sender_loss=st.sampled_from(OnSenderLoss),
        max_new_leads_per_day=st.none() | st.integers(1, 3),
        new_today=st.integers(0, 3),
        last_planned_at=maybe_instants,
        sent=st.sampled_from([0, 19, 20, 100]),
        bounced=st.sampled_from([0, 0, 0, 2]),
    )


def senders(id: int) -> st.SearchStrategy[SenderView]:
    gaps = st.sampled_from([(0, 0), (0, 0), (30, 90), (0, 10)])
    return st.builds(
        lambda gap, **values: sender(id, min_gap=gap[0], max_gap=gap[1], **values),
        gaps,
        address=st.sampled_from([f"s{id}@one.example", f"s{id}@two.example"]),
        status=st.sampled_from([SenderStatus.READY] * 8 + list(SenderStatus)),
        health=st.sampled_from([100, 80, 50, 21, 20]),
        daily_limit=st.sampled_from([0, 2, 5, 50]),
        used_today=st.integers(0, 5),
        in_pipe=st.sampled_from([0, 0, 0, 1, 199, 200]),
        free_at=maybe_instants,
        cooldown_until=st.none() | maybe_instants,
        domain_status=st.none() | st.sampled_from([DomainStatus.VERIFIED] * 3 + list(DomainStatus)),
        gone=st.sampled_from([False] * 6 + [True]),
    )


def walks(lead_id: int) -> st.SearchStrategy[WalkView]:
    return st.builds(
        walk,
        st.just(lead_id),
        campaign_id=st.integers(1, 3),
        email=st.sampled_from(["a@one.test", "b@two.test", "c@three.test"]),
        provider=st.sampled_from(["google", "other"]),
        state=st.sampled_from([WalkState.WAITING] * 9 + list(WalkState)),
        step=st.integers(0, 4),
        due_at=maybe_instants,
        settled_at=maybe_instants,
        sender_id=st.none() | st.integers(1, 5),
        attempt=st.sampled_from([0, 0, 1]),
        judged=st.booleans(),
        mailed=st.booleans(),
        opened_at=maybe_instants,
        clicked_at=st.none() | maybe_instants,
        stopped=st.none() | st.none() | st.sampled_from([WalkOutcome.UNSUBSCRIBED, WalkOutcome.SUPPRESSED]),
        hold_reason=st.sampled_from(["unknown", "missing_field", "other"]),
        outcome=st.just(WalkOutcome.FINISHED),
    )


def _snapshot(views: Any) -> Snapshot:
    campaign_views, sender_views, rates, walk_views = views
    providers = [ProviderView("google", *rates[0]), ProviderView("other", *rates[1])]
    return snapshot(walk_views, campaign_views, sender_views, providers)


_rates = st.tuples(st.sampled_from([0.1, 0.3, 2.0]), st.integers(0, 3))
snapshots = st.tuples(
    st.tuples(*(campaigns(id) for id in (1, 2, 3))),
    st.tuples(*(senders(id) for id in (1, 2, 3, 4))),
    st.tuples(_rates, _rates),
    st.integers(0, 12).flatmap(lambda count: st.tuples(*(walks(lead_id) for lead_id in range(1, count + 1)))),
).map(_snapshot)
