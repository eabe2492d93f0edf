from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from cleanmails.records import (
    CampaignStatus,
    DomainStatus,
    OnSenderLoss,
    ProviderView,
    SenderStatus,
    Trigger,
    WalkOutcome,
    WalkState,
)
from cleanmails.rules import gates, wording
from tests.rules.views import NOW, WORKDAYS, campaign, follow_up, sender, step, walk

HOUR = timedelta(hours=1)
MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "code", "opens_at"),
    [
        ({}, None, None),
        ({"status": CampaignStatus.DRAFT}, "campaign_draft", None),
        ({"status": CampaignStatus.PAUSED}, "campaign_paused", None),
        ({"status": CampaignStatus.COMPLETED}, "campaign_completed", None),
        ({"launch_at": NOW + HOUR}, "launch_at_not_reached", NOW + HOUR),
        ({"launch_at": NOW}, None, None),
        ({"schedule": WORKDAYS}, None, None),
        ({"schedule": replace(WORKDAYS, days=frozenset({2}))}, "out_of_schedule", datetime(2026, 11, 3, 9, tzinfo=UTC)),
        ({"sent": 100, "bounced": 6}, "bounce_protect", None),
        ({"sent": 100, "bounced": 5}, None, None),
        ({"sent": 19, "bounced": 19}, None, None),
        ({"sent": 100, "bounced": 6, "status": CampaignStatus.PAUSED}, "bounce_protect", None),
        ({"sent": 100, "bounced": 6, "status": CampaignStatus.COMPLETED}, "campaign_completed", None),
    ],
)
def test_a_campaign_sends_when_it_runs_is_launched_is_in_its_window_and_does_not_bounce(changes, code, opens_at):
    gate = gates.shut_campaign(campaign(**changes), NOW)
    assert (gate and gate.code, gate and gate.opens_at) == (code, opens_at)


@pytest.mark.parametrize(
    ("lead", "code", "opens_at"),
    [
        (walk(), None, None),
        (walk(state=WalkState.ENDED, outcome=WalkOutcome.REPLIED), "walk_ended", None),
        (walk(state=WalkState.IN_FLIGHT), "in_flight", None),
        (walk(state=WalkState.HELD, hold_reason="unknown"), "unknown_delivery", None),
        (walk(state=WalkState.HELD, hold_reason="missing_field"), "missing_field", None),
        (walk(state=WalkState.HELD, hold_reason="anything else"), "lead_held", None),
        (walk(stopped=WalkOutcome.UNSUBSCRIBED), "unsubscribed", None),
        (walk(stopped=WalkOutcome.SUPPRESSED), "suppressed", None),
        (walk(stopped=WalkOutcome.INVALID), "invalid", None),
        (walk(step=2), "sequence_finished", None),
        (walk(due_at=NOW + HOUR), "start_delay_not_met", NOW + HOUR),
        (walk(due_at=NOW), None, None),
        (follow_up(due_at=NOW + HOUR), "follow_up_delay_not_met", NOW + HOUR),
        (follow_up(due_at=NOW + HOUR, attempt=1), "retry_not_due", NOW + HOUR),
    ],
)
def test_a_lead_is_mailed_when_it_may_be_waits_and_its_wait_is_over(lead, code, opens_at):
    gate = gates.shut_lead(campaign(), lead, NOW)
    assert (gate and gate.code, gate and gate.opens_at) == (code, opens_at)


def test_a_wait_that_was_made_longer_holds_leads_that_were_due_already():
    longer = campaign(steps=(step(0), step(1, wait_days=5)))
    gate = gates.shut_lead(longer, follow_up(), NOW)
    assert gate is not None
    assert (gate.code, gate.opens_at) == ("follow_up_delay_not_met", NOW + timedelta(days=1))


def test_a_retry_keeps_its_own_time_whatever_the_wait_of_its_step():
    longer = campaign(steps=(step(0), step(1, wait_days=5)))
    assert gates.shut_lead(longer, follow_up(attempt=1), NOW) is None


def test_a_trigger_is_judged_once():
    asks = campaign(steps=(step(0), step(1, trigger=Trigger.NOT_OPENED)))
    opened = follow_up(opened_at=NOW - HOUR)
    gate = gates.shut_lead(asks, opened, NOW)
    assert gate is not None
    assert (gate.code, gate.figure) == ("trigger_not_met", "already_opened")
    assert gates.shut_lead(asks, replace(opened, judged=True), NOW) is None
    assert gates.shut_lead(asks, replace(opened, attempt=1), NOW) is None


@pytest.mark.parametrize(
    ("timezone", "opens_at"),
    [("UTC", MIDNIGHT), ("America/New_York", datetime(2026, 11, 3, 5, tzinfo=UTC))],
)
def test_new_leads_keep_to_the_days_limit_and_follow_ups_do_not(timezone, opens_at):
    full = campaign(max_new_leads_per_day=3, new_today=3, schedule=replace(WORKDAYS, timezone=timezone))
    gate = gates.shut_lead(full, walk(), NOW)
    assert gate is not None
    assert (gate.code, gate.figure, gate.limit, gate.opens_at) == ("new_leads_limit_met", 3, 3, opens_at)
    assert gates.shut_lead(full, follow_up(), NOW) is None
    assert gates.shut_lead(replace(full, new_today=2), walk(), NOW) is None


@pytest.mark.parametrize("day", [datetime(2026, 3, 8, 12, tzinfo=UTC), datetime(2026, 11, 1, 12, tzinfo=UTC)])
def test_the_next_day_of_a_zone_begins_after_23_and_after_25_hours(day):
    first = gates.next_midnight("America/New_York", day)
    assert first.day == day.day + 1
    assert gates.next_midnight("America/New_York", first) == first + timedelta(days=1)


@pytest.mark.parametrize(
    ("changes", "code", "opens_at"),
    [
        ({}, None, None),
        ({"gone": True}, "sender_gone", None),
        ({"status": SenderStatus.WARMUP}, "sender_warmup", None),
        ({"status": SenderStatus.PAUSED}, "sender_paused", None),
        ({"status": SenderStatus.RESTRICTED}, "sender_restricted", None),
        ({"domain_status": DomainStatus.PENDING}, "sender_domain_not_verified", None),
        ({"domain_status": DomainStatus.FAULTY}, "sender_domain_not_verified", None),
        ({"domain_status": DomainStatus.VERIFIED}, None, None),
        ({"health": 20}, "sender_unhealthy", None),
        ({"health": 20, "last_error_at": NOW}, "sender_unhealthy", NOW + timedelta(hours=6)),
        ({"health": 0, "last_error_at": NOW}, "sender_unhealthy", NOW + timedelta(hours=126)),
        ({"health": 21}, None, None),
        ({"used_today": 50}, "daily_limit_met", MIDNIGHT),
        ({"used_today": 49}, None, None),
        ({"daily_limit": 0}, "daily_limit_met", None),
        ({"cooldown_until": NOW + HOUR}, "sender_cooling_down", NOW + HOUR),
        ({"cooldown_until": NOW}, None, None),
        ({"free_at": NOW + HOUR}, "sender_gap_not_over", NOW + HOUR),
        ({"in_pipe": 1}, "sender_busy", NOW + timedelta(seconds=30)),
        ({"in_pipe": 199, "min_gap": 0, "max_gap": 0}, None, None),
        ({"in_pipe": 200, "min_gap": 0, "max_gap": 0}, "sender_busy", NOW + timedelta(seconds=5)),
    ],
)
def test_a_sender_is_usable_when_it_is_ready_healthy_and_has_room(changes, code, opens_at):
    gate = gates.shut_sender(sender(**changes), NOW)
    assert (gate and gate.code, gate and gate.opens_at) == (code, opens_at)


def test_a_campaign_without_a_usable_sender_names_what_opens_first():
    views = {
        1: sender(1, status=SenderStatus.RESTRICTED),
        2: sender(2, used_today=50),
        3: sender(3, cooldown_until=NOW + HOUR),
    }
    ours = campaign(sender_ids=frozenset(views))
    gate = gates.any_sender(ours, views, NOW)
    assert (gate.code, gate.figure, gate.limit, gate.opens_at) == ("sender_cooling_down", 0, 3, NOW + HOUR)
    gate = gates.any_sender(ours, {1: views[1]}, NOW)
    assert (gate.code, gate.opens_at) == ("no_senders_available", None)
    assert gates.any_sender(ours, views | {2: sender(2)}, NOW).passed


def test_a_sender_that_is_shut_twice_opens_with_the_later_gate():
    rests = sender(used_today=50, cooldown_until=MIDNIGHT + HOUR)
    assert gates.opening(gates.sender_gates(rests, NOW)) == MIDNIGHT + HOUR
    assert gates.opening(gates.sender_gates(replace(rests, health=5), NOW)) is None


@pytest.mark.parametrize(
    ("loss", "sender_ids", "gone", "code"),
    [
        (OnSenderLoss.WAIT, {1, 2}, False, None),
        (OnSenderLoss.WAIT, {1, 2}, True, "sender_gone"),
        (OnSenderLoss.WAIT, {2}, False, "sender_gone"),
        (OnSenderLoss.REASSIGN, {1, 2}, True, None),
        (OnSenderLoss.REASSIGN, {2}, False, None),
    ],
)
def test_a_lead_whose_sender_is_gone_waits_or_gets_another(loss, sender_ids, gone, code):
    ours = campaign(sender_ids=frozenset(sender_ids), on_sender_loss=loss)
    side = gates.sender_side(ours, follow_up(), {1: sender(1, gone=gone), 2: sender(2)}, NOW)
    assert next((gate.code for gate in side if gate.code), None) == code


def test_a_sender_that_is_merely_not_at_hand_is_not_gone():
    ours = campaign(sender_ids=frozenset({1, 2}), on_sender_loss=OnSenderLoss.REASSIGN)
    side = gates.sender_side(ours, follow_up(), {2: sender(2)}, NOW)
    assert [gate.code for gate in side] == ["no_senders_available"]


@pytest.mark.parametrize(
    ("rate", "in_pipe", "passed"),
    [(2.0, 19, True), (2.0, 20, False), (0.05, 0, True), (0.05, 1, False)],
)
def test_a_provider_has_no_more_on_the_way_than_it_takes_in_a_round(rate, in_pipe, passed):
    assert gates.provider(ProviderView("google", rate, in_pipe), NOW).passed is passed


def test_a_full_provider_opens_when_one_of_its_mails_has_gone():
    gate = gates.provider(ProviderView("google", 2.0, 23), NOW)
    assert (gate.code, gate.opens_at) == ("domain_limit_reached", NOW + timedelta(seconds=2))


def test_a_provider_without_a_rate_is_left_to_the_limiter_at_the_wire():
    assert gates.provider(None, NOW).passed


def test_every_gate_has_words_for_both_cases():
    ours = campaign(schedule=WORKDAYS)
    asked = [
        *gates.campaign_gates(ours, NOW),
        *gates.lead_gates(ours, walk(), NOW),
        *gates.sender_side(ours, walk(), {1: sender()}, NOW),
        *gates.sender_side(ours, follow_up(), {1: sender()}, NOW),
        gates.provider(None, NOW),
    ]
    assert {gate.name for gate in asked} == set(wording.OPEN)
    assert all(wording.sentence(gate, "UTC") for gate in asked)
    assert wording.FIRST_TO_OPEN.keys() <= wording.SHUT.keys()


def test_times_are_told_as_a_clock_of_the_campaigns_zone_shows_them():
    gate = gates.shut_sender(sender(cooldown_until=NOW + HOUR), NOW)
    assert gate is not None
    said = wording.sentence(gate, "America/New_York")
    assert said == "The sender rests after three errors in a row. Opens Mon 02 Nov 2026, 08:00 America/New_York."
