from collections import Counter
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cleanmails.records import (
    CampaignStatus,
    OnSenderLoss,
    Planned,
    Schedule,
    SenderStatus,
    Skipped,
    Trigger,
    WalkOutcome,
    WalkState,
)
from cleanmails.rules import gates, rotation, waits
from cleanmails.rules.content.seed import Seed
from cleanmails.rules.forecast import Cohort, forecast
from cleanmails.rules.plan import plan, reads
from cleanmails.rules.virtual import Assumed
from tests.rules.views import NOW, WORKDAYS, campaign, follow_up, sender, snapshot, step, walk

MONDAY = NOW.replace(hour=0)
NO_GAP = {"min_gap": 0, "max_gap": 0}
OPEN = campaign(schedule=WORKDAYS)
ANNA = sender()


def run(leads, ours=OPEN, senders=(ANNA,), rates=None, start=MONDAY, **assumed):
    cohorts = [lead if isinstance(lead, Cohort) else Cohort(lead) for lead in leads]
    return forecast(ours.id, [ours], senders, cohorts, rates or {}, start, assumed=Assumed(**assumed))


def fresh(count):
    return [walk(lead_id, due_at=MONDAY) for lead_id in range(1, count + 1)]


def told(result):
    return [(day.date.day, day.first, day.follow_ups, day.binding) for day in result.days]


def test_a_sender_sends_its_limit_a_day_and_follow_ups_come_first():
    assert told(run(fresh(120))) == [
        (2, 50, 0, "daily_limit_met"),
        (3, 50, 0, "daily_limit_met"),
        (4, 20, 0, "follow_up_delay_not_met"),
        (5, 0, 50, "follow_up_delay_not_met"),
        (6, 0, 50, "follow_up_delay_not_met"),
        (7, 0, 0, "out_of_schedule"),
        (8, 0, 0, "out_of_schedule"),
        (9, 0, 20, "nothing_left"),
    ]


def test_the_finish_is_when_the_last_walk_ends():
    result = run(fresh(1))
    assert result.finish == MONDAY + timedelta(days=3, hours=9)
    assert (result.never, result.beyond) == ({}, 0)


def test_each_mail_is_counted_by_its_sender_and_its_provider():
    leads = [replace(lead, provider="google" if lead.lead_id % 4 else "yahoo") for lead in fresh(40)]
    result = run(leads, campaign(sender_ids=frozenset({1, 2})), [sender(1), sender(2)])
    assert result.days[0].by_provider == {"google": 30, "yahoo": 10}
    assert result.days[0].by_sender == {1: pytest.approx(20, abs=2), 2: pytest.approx(20, abs=2)}


def test_a_long_gap_binds_before_the_limit_does():
    (day, *_) = run(fresh(100), senders=[sender(min_gap=3600, max_gap=3600)]).days
    assert (day.first, day.binding) == (8, "sender_gap_not_over")


def test_a_providers_rate_binds_senders_without_a_gap():
    ours = campaign(schedule=replace(WORKDAYS, start=9 * 60, end=9 * 60 + 1), steps=(step(0),))
    senders = [sender(daily_limit=10_000, **NO_GAP)]
    leads = [replace(lead, provider="google") for lead in fresh(300)]
    (day, *_) = run(leads, ours, senders, {"google": 2.0}).days
    assert day.first == pytest.approx(2 * 60 + 20, abs=10)
    assert day.binding == "domain_limit_reached"


def test_new_leads_a_day_bind_first_mails():
    days = told(run(fresh(12), replace(OPEN, max_new_leads_per_day=5)))
    assert days[:3] == [
        (2, 5, 0, "new_leads_limit_met"),
        (3, 5, 0, "new_leads_limit_met"),
        (4, 2, 0, "follow_up_delay_not_met"),
    ]


def test_a_campaign_waits_for_its_launch():
    result = run(fresh(1), replace(OPEN, launch_at=MONDAY + timedelta(days=2)))
    assert told(result)[:3] == [
        (2, 0, 0, "launch_at_not_reached"),
        (3, 0, 0, "launch_at_not_reached"),
        (4, 1, 0, "follow_up_delay_not_met"),
    ]


@pytest.mark.parametrize("status", [CampaignStatus.DRAFT, CampaignStatus.PAUSED])
def test_a_campaign_that_does_not_run_is_taken_as_started(status):
    bounced_before = replace(OPEN, status=status, sent=100, bounced=50)
    assert told(run(fresh(60), bounced_before)) == told(run(fresh(60)))


def test_mails_on_their_way_are_due_at_once_and_use_the_day_once():
    on_its_way = walk(1, state=WalkState.IN_FLIGHT, due_at=None, sender_id=1)
    busy = sender(used_today=40, in_pipe=1)
    (day, *_) = run([on_its_way, *fresh(60)[1:]], senders=[busy], start=MONDAY + timedelta(hours=10)).days
    assert day.first + day.follow_ups == 11


def test_who_gets_no_further_mail_is_counted_with_the_reason():
    leads = [
        walk(1, stopped=WalkOutcome.SUPPRESSED),
        walk(2, state=WalkState.HELD, hold_reason="missing_field"),
        walk(3, state=WalkState.ENDED, outcome=WalkOutcome.REPLIED),
        follow_up(4, sender_id=7),
        walk(5),
    ]
    result = run(leads)
    assert result.never == {"suppressed": 1, "missing_field": 1, "sender_gone": 1}
    assert (result.finish, result.beyond) == (None, 0)


def test_without_a_usable_sender_nobody_is_ever_mailed():
    result = run(fresh(3), senders=[sender(status=SenderStatus.RESTRICTED)])
    assert (result.days, result.never) == ([], {"no_senders_available": 3})


def test_a_lost_senders_leads_go_on_with_another_where_the_campaign_says_so():
    ours = campaign(schedule=WORKDAYS, on_sender_loss=OnSenderLoss.REASSIGN, sender_ids=frozenset({1, 2}))
    result = run([follow_up(1)], ours, [sender(1, gone=True), sender(2)])
    assert [day.by_sender for day in result.days] == [{2: 1}]


def test_what_does_not_fit_before_the_horizon_is_counted():
    result = forecast(1, [OPEN], [sender()], [Cohort(walk(1, due_at=MONDAY), 1_000_000)], {}, MONDAY, horizon_days=7)
    sent = sum(day.first for day in result.days)
    ended = sum(day.follow_ups for day in result.days)
    assert 150 <= sent <= 250
    assert result.beyond == 1_000_000 - ended
    assert result.finish is None


def test_cohorts_of_many_are_mixed_evenly():
    leads = [Cohort(walk(1, provider="google"), 300), Cohort(walk(1, provider="yahoo"), 100)]
    assert run(leads).days[0].by_provider == {"google": pytest.approx(37, abs=1), "yahoo": pytest.approx(13, abs=1)}


def test_a_cohort_is_as_many_leads_alone():
    one_by_one = run(fresh(100))
    together = run([Cohort(walk(0, due_at=MONDAY), 100)])
    assert [(day.date, day.first, day.follow_ups) for day in together.days] == [
        (day.date, day.first, day.follow_ups) for day in one_by_one.days
    ]


def test_other_campaigns_take_their_part_of_a_sender():
    other = campaign(2, schedule=WORKDAYS)
    leads = [*fresh(200), *(replace(lead, campaign_id=2, lead_id=1000 + lead.lead_id) for lead in fresh(200))]
    result = forecast(1, [OPEN, other], [sender()], [Cohort(lead) for lead in leads], {}, MONDAY)
    assert (result.days[0].first, result.days[0].by_sender) == (25, {1: 25})


def test_replies_end_walks_if_they_are_checked():
    ours = replace(OPEN, schedule=None)
    assert sum(day.follow_ups for day in run(fresh(1000), ours, reply_rate=0.2).days) == pytest.approx(800, abs=40)
    unchecked = replace(ours, check_reply=False)
    assert sum(day.follow_ups for day in run(fresh(1000), unchecked, reply_rate=0.2).days) == 1000


def test_opens_decide_on_triggers():
    steps = (step(0), step(1, wait_days=1, trigger=Trigger.ON_OPEN), step(2, wait_days=1, trigger=Trigger.NOT_OPENED))
    result = run(fresh(1000), campaign(steps=steps), [sender(daily_limit=1000, **NO_GAP)], open_rate=0.4)
    first, second, third = result.days
    assert first.first == 1000
    assert second.follow_ups == pytest.approx(400, abs=50)
    assert third.follow_ups == pytest.approx(1000 - 400 * 0.4, abs=50)


def test_a_wait_that_was_made_longer_holds_up_nobody_behind():
    """Their times were written down before the change; as many wait as a round reads."""
    ours = campaign(schedule=WORKDAYS, steps=(step(0), step(1, wait_days=7)))
    waiting = [follow_up(n, due_at=MONDAY, settled_at=MONDAY - timedelta(days=3)) for n in range(1, 11)]
    behind = follow_up(11, due_at=MONDAY + timedelta(hours=10), settled_at=MONDAY - timedelta(days=7))
    days = {day.date.day: day.follow_ups for day in run([*waiting, behind], ours).days}
    assert {day: mails for day, mails in days.items() if mails} == {2: 1, 6: 10}


def test_too_many_bounces_stop_a_campaign():
    result = run(fresh(500), bounce_rate=0.2)
    assert result.finish is None
    assert result.never["bounce_protect"] > 400
    assert result.beyond == 0


def test_the_same_seed_throws_the_same_dice():
    assert run(fresh(200), reply_rate=0.3, seed=1) == run(fresh(200), reply_rate=0.3, seed=1)
    assert run(fresh(200), reply_rate=0.3, seed=1) != run(fresh(200), reply_rate=0.3, seed=2)


def test_nobody_to_mail_is_an_empty_forecast():
    result = run([])
    assert (result.days, result.finish, result.beyond) == ([], MONDAY, 0)


# The planner on a plain model of the ledger, round by round: what the forecast must foretell.


def lived(campaigns, senders, leads, start, days):
    """Mails by campaign and day: (first mails, follow-ups). Every five seconds; nothing is left out but rounds in which all windows are shut."""
    campaigns = {view.id: view for view in campaigns}
    senders = {view.id: view for view in senders}
    walks = {(lead.campaign_id, lead.lead_id): lead for lead in leads}
    sent = Counter()
    now = start
    while now < start + timedelta(days=days):
        if now.hour == now.minute == now.second == 0:
            senders = {key: replace(view, used_today=0) for key, view in senders.items()}
            campaigns = {key: replace(view, new_today=0) for key, view in campaigns.items()}
        if all(gates.shut_campaign(view, now) for view in campaigns.values()):
            now += timedelta(minutes=1)
            continue
        live_a_round(campaigns, senders, walks, sent, now)
        now += timedelta(seconds=5)
    return sent


def live_a_round(campaigns, senders, walks, sent, now):
    free = {key for key, view in senders.items() if gates.shut_sender(view, now) is None}
    if not free:
        return
    open_now = {key: view for key, view in campaigns.items() if gates.shut_campaign(view, now) is None}
    due = sorted((lead for lead in walks.values() if lead.due_at <= now), key=lambda lead: (lead.due_at, lead.lead_id))
    read = []
    for key, id in ((key, id) for key in open_now for id in (*free, None)):
        most = 200 if id is None else reads(senders[id])
        read += [lead for lead in due if (lead.campaign_id, lead.sender_id) == (key, id)][:most]
    seen = snapshot(read, open_now.values(), senders.values(), now=now)
    for decision in plan(seen):
        key = decision.campaign_id, decision.lead_id
        if isinstance(decision, Skipped):
            lead = walks.pop(key)
            if decision.next_step is not None:
                walks[key] = replace(lead, step=decision.next_step, due_at=decision.due_at, settled_at=now)
        elif isinstance(decision, Planned):
            lead = walks.pop(key)
            ours, by = campaigns[lead.campaign_id], senders[decision.sender_id]
            sent[ours.id, now.date(), lead.is_new] += 1
            rest = rotation.gap(Seed.of(ours.id, lead.lead_id, lead.step), by.min_gap, by.max_gap)
            senders[by.id] = replace(
                by, used_today=by.used_today + 1, health=min(100, by.health + 1), free_at=now + timedelta(seconds=rest)
            )
            campaigns[ours.id] = replace(ours, new_today=ours.new_today + lead.is_new, last_planned_at=now)
            following = gates.step_after(ours, lead.step)
            if following:
                due_at = waits.due_at(now, following.wait_days, following.wait_hours, ours.timezone)
                walks[key] = replace(
                    lead, step=following.position, due_at=due_at, settled_at=now, sender_id=by.id, mailed=True
                )


def any_world(seed):
    dice = Random(seed)
    campaigns = []
    for id in range(1, dice.randint(1, 3) + 1):
        start = dice.choice([9 * 60, 10 * 60, 23 * 60])
        end = (start + dice.choice([5, 10, 30])) % 1440 or 1440
        window = Schedule(frozenset(dice.sample(range(7), 5)), start, end, "UTC")
        steps = [step(0)]
        for position in range(1, dice.randint(1, 4)):
            trigger = dice.choice(list(Trigger))
            steps.append(step(position, trigger=trigger, wait_days=dice.randint(0, 1), wait_hours=dice.randint(0, 2)))
        campaigns.append(
            campaign(
                id,
                schedule=window,
                steps=tuple(steps),
                sender_ids=frozenset(dice.sample(range(1, 4), dice.randint(1, 3))),
                max_new_leads_per_day=dice.choice([None, 5, 20]),
            )
        )
    senders = []
    for id in range(1, 4):
        min_gap, max_gap = dice.choice([(0, 0), (30, 90), (60, 60), (0, 240)])
        health, limit = dice.choice([100, 60, 30]), dice.choice([3, 10, 25])
        senders.append(sender(id, min_gap=min_gap, max_gap=max_gap, daily_limit=limit, health=health))
    leads = [
        walk(number * 10 + ours.id, campaign_id=ours.id, due_at=MONDAY + timedelta(minutes=dice.choice([0, 0, 610])))
        for ours in campaigns
        for number in range(dice.randint(1, 60))
    ]
    return campaigns, senders, leads


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32))
def test_without_replies_the_forecast_is_what_the_planner_sends_day_by_day(seed):
    campaigns, senders, leads = any_world(seed)
    sent = lived(campaigns, senders, leads, MONDAY, days=4)
    for ours in campaigns:
        result = forecast(ours.id, campaigns, senders, [Cohort(lead) for lead in leads], {}, MONDAY, horizon_days=4)
        foretold = {day.date: (day.first, day.follow_ups) for day in result.days if day.by_sender}
        days = {day for key, day, _ in sent if key == ours.id}
        assert foretold == {day: (sent[ours.id, day, True], sent[ours.id, day, False]) for day in days}
