from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from cleanmails.records import (
    CampaignStatus,
    Planned,
    ProviderView,
    SenderStatus,
    Trigger,
    WalkCounts,
    WalkState,
)
from cleanmails.rules import gates, wording
from cleanmails.rules.explain import all_gates, explain, later, next_mail_at, sending_status
from cleanmails.rules.plan import plan
from tests.rules.views import NOW, WORKDAYS, campaign, follow_up, sender, snapshot, snapshots, step, walk

COUNTS = WalkCounts(campaign_id=1, waiting=5, due=5, in_flight=0, held=0, ended=0, next_due_at=None)
TOMORROW_AT_NINE = datetime(2026, 11, 3, 9, tzinfo=UTC)


def test_a_lead_that_is_not_held_back_goes_in_the_next_round():
    told = explain(snapshot([walk()]), walk())
    assert told.blocking is None
    assert told.next_mail_at == NOW
    assert told.sentence == "Step 1 goes out in the next round."
    assert all(gate.passed and gate.sentence for gate in told.gates)


def test_the_first_shut_gate_is_the_reason_and_the_last_opening_is_the_time():
    full = sender(used_today=50)
    told = explain(
        snapshot(campaigns=[campaign(schedule=WORKDAYS)], senders=[full]), walk(due_at=NOW + timedelta(hours=2))
    )
    assert told.blocking is not None
    assert told.blocking.code == "start_delay_not_met"
    assert [gate.code for gate in told.gates if gate.code] == ["start_delay_not_met", "daily_limit_met"]
    assert told.next_mail_at == TOMORROW_AT_NINE
    assert told.sentence.endswith("The next mail goes out on Tue 03 Nov 2026, 09:00 UTC at the earliest.")


def test_a_gate_that_only_a_person_opens_leaves_the_time_open():
    told = explain(snapshot(campaigns=[campaign(status=CampaignStatus.PAUSED)]), walk())
    assert told.next_mail_at is None
    assert told.sentence == "The campaign is paused: a person paused it. No time of a next mail is known."


def test_what_no_time_opens_is_told_beside_what_time_does():
    """The wait is what is asked first, and yet waiting alone helps nothing: the only sender is locked out."""
    out = sender(status=SenderStatus.RESTRICTED)
    told = explain(snapshot(senders=[out]), walk(due_at=NOW + timedelta(hours=2)))
    assert told.blocking is not None
    assert told.blocking.code == "start_delay_not_met"
    [locked] = [gate for gate in told.gates if gate.code and gate.opens_at is None]
    assert told.sentence == f"{told.blocking.sentence} No time of a next mail is known: {locked.sentence}"


def test_the_wait_after_a_skipped_step_is_part_of_the_time():
    steps = (step(0), step(1, trigger=Trigger.ON_CLICK), step(2, wait_days=2), step(3, wait_days=9))
    told = explain(snapshot(campaigns=[campaign(steps=steps)]), follow_up())
    assert told.blocking is not None
    assert told.blocking.code == "trigger_not_met"
    assert told.next_mail_at == NOW + timedelta(days=2)


def test_a_lead_whose_last_step_will_be_skipped_gets_no_further_mail():
    steps = (step(0), step(1, trigger=Trigger.ON_CLICK))
    assert explain(snapshot(campaigns=[campaign(steps=steps)]), follow_up()).next_mail_at is None


def test_a_trigger_is_taken_as_met_until_it_is_judged():
    ours = campaign(steps=(step(0), step(1, trigger=Trigger.ON_OPEN)))
    due_at = NOW + timedelta(hours=4)
    assert explain(snapshot(campaigns=[ours]), follow_up(due_at=due_at)).next_mail_at == due_at


def test_a_trigger_that_cannot_be_met_any_more_is_not():
    ours = campaign(steps=(step(0), step(1, trigger=Trigger.NOT_OPENED)))
    opened = follow_up(due_at=NOW + timedelta(hours=4), opened_at=NOW)
    assert explain(snapshot(campaigns=[ours]), opened).next_mail_at is None


def test_new_leads_over_the_limit_wait_for_the_next_day():
    ours = campaign(schedule=WORKDAYS, max_new_leads_per_day=1, new_today=1)
    assert explain(snapshot(campaigns=[ours]), walk()).next_mail_at == TOMORROW_AT_NINE


@given(snapshots)
def test_a_walk_that_stands_alone_is_planned_exactly_if_all_gates_are_open(seen):
    for view in seen.walks:
        alone = plan(replace(seen, walks=(view,)))
        told = explain(seen, view)
        assert isinstance(alone[0], Planned) is (told.blocking is None)
        assert told.blocking is not None or told.next_mail_at == seen.now


@given(snapshots)
def test_a_wait_names_the_gate_that_explain_names(seen):
    for view in seen.walks:
        (decision,) = plan(replace(seen, walks=(view,)))
        told = explain(seen, view)
        if hasattr(decision, "until"):
            assert told.blocking is not None
            assert (decision.reason, decision.until) == (told.blocking.code, told.blocking.opens_at)


@settings(max_examples=50)
@given(snapshots)
def test_what_explain_announces_is_when_the_planner_first_plans(seen):
    """Unless a trigger has a say: asked again at any time before, the planner refuses; at that time it plans."""
    for view in seen.walks:
        at = next_mail_at(seen, view)
        if (
            at is None
            or view.state is not WalkState.WAITING
            or gates.trigger(seen.campaigns[view.campaign_id], view, NOW).code
        ):
            continue
        assert isinstance(plan(replace(later(seen, at), walks=(view,)))[0], Planned)
        for share in (0.01, 0.5, 0.99):
            sooner = seen.now + (at - seen.now) * share
            if sooner < at:
                assert not isinstance(plan(replace(later_but_busy(seen, sooner), walks=(view,)))[0], Planned)


def later_but_busy(seen, at):
    """Later, with the mails that are on their way still on it."""
    then = later(seen, at)
    senders = {key: replace(view, in_pipe=seen.senders[key].in_pipe) for key, view in then.senders.items()}
    return replace(then, senders=senders, providers=seen.providers)


@given(snapshots)
def test_every_gate_of_every_walk_can_be_told(seen):
    for view in seen.walks:
        for gate in all_gates(seen, view):
            assert "{" not in wording.sentence(gate, "UTC")


def status(counts=COUNTS, leads=None, **views):
    return sending_status(snapshot([walk()] if leads is None else leads, **views), counts)


@pytest.mark.parametrize(
    ("changes", "code", "normal", "until"),
    [
        ({}, "healthy", True, None),
        ({"status": CampaignStatus.DRAFT}, "campaign_draft", True, None),
        ({"status": CampaignStatus.PAUSED}, "campaign_paused", True, None),
        ({"status": CampaignStatus.PAUSED, "pause_reason": "by the system"}, "campaign_paused", False, None),
        ({"status": CampaignStatus.PAUSED, "sent": 100, "bounced": 9}, "bounce_protect", False, None),
        ({"status": CampaignStatus.COMPLETED}, "campaign_completed", True, None),
        ({"launch_at": TOMORROW_AT_NINE}, "launch_at_not_reached", True, TOMORROW_AT_NINE),
        ({"schedule": replace(WORKDAYS, days=frozenset({2}))}, "out_of_schedule", True, TOMORROW_AT_NINE),
        ({"max_new_leads_per_day": 1, "new_today": 1}, "new_leads_limit_met", True, datetime(2026, 11, 3, tzinfo=UTC)),
    ],
)
def test_the_campaign_itself_may_hold_its_mails_back(changes, code, normal, until):
    told = status(campaigns=[campaign(**changes)])
    assert (told.code, told.normal, told.until) == (code, normal, until)
    assert told.sentence


@pytest.mark.parametrize(
    ("changes", "code", "normal", "until"),
    [
        ({"used_today": 50}, "daily_limit_met", True, datetime(2026, 11, 3, tzinfo=UTC)),
        ({"free_at": NOW + timedelta(seconds=40)}, "healthy", True, None),
        ({"in_pipe": 1}, "healthy", True, None),
        ({"status": SenderStatus.RESTRICTED}, "no_senders_available", False, None),
        ({"cooldown_until": TOMORROW_AT_NINE}, "sender_cooling_down", False, TOMORROW_AT_NINE),
    ],
)
def test_its_senders_may_hold_a_campaign_back(changes, code, normal, until):
    told = status(senders=[sender(**changes)])
    assert (told.code, told.normal, told.until) == (code, normal, until)
    without_a_sample = status(leads=(), senders=[sender(**changes)])
    assert without_a_sample == told


def test_a_provider_may_hold_a_campaign_back():
    told = status(leads=[walk(provider="google")], providers=[ProviderView("google", 2.0, 20)])
    assert (told.code, told.normal) == ("domain_limit_reached", True)


def test_what_holds_most_of_the_due_leads_back_is_told():
    leads = [follow_up(lead_id, sender_id=2) for lead_id in (1, 2, 3)] + [walk(4)]
    told = status(leads=leads, senders=[sender(used_today=50)])
    assert (told.code, told.normal) == ("sender_gone", False)


def test_one_lead_that_may_go_makes_a_campaign_healthy():
    leads = [follow_up(lead_id, sender_id=2) for lead_id in (1, 2, 3)] + [walk(4)]
    assert status(leads=leads).code == "healthy"


@pytest.mark.parametrize(
    ("changes", "code", "normal"),
    [
        ({"in_flight": 2}, "healthy", True),
        ({"next_due_at": TOMORROW_AT_NINE}, "follow_up_delay_not_met", True),
        ({"waiting": 0, "held": 3}, "leads_held", False),
        ({"waiting": 0, "ended": 3}, "campaign_completed", True),
        ({"waiting": 0}, "no_leads", False),
    ],
)
def test_without_anybody_due_the_leads_themselves_are_the_reason(changes, code, normal):
    told = status(replace(COUNTS, due=0, **changes), leads=())
    assert (told.code, told.normal, told.until) == (code, normal, changes.get("next_due_at"))
