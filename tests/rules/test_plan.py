from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from msgspec.structs import replace

from cleanmails.records import (
    Ends,
    OnSenderLoss,
    Planned,
    ProviderView,
    Skipped,
    Trigger,
    Waits,
    WalkOutcome,
    WalkState,
)
from cleanmails.rules import gates
from cleanmails.rules.plan import plan
from tests.rules.views import NOW, WORKDAYS, campaign, follow_up, sender, snapshot, snapshots, step, walk

NO_GAP = {"min_gap": 0, "max_gap": 0}


def planned(seen, **filters):
    mails = [decision for decision in plan(seen) if isinstance(decision, Planned)]
    return [mail for mail in mails if all(getattr(mail, name) == value for name, value in filters.items())]


def test_a_due_lead_is_planned_until_the_window_closes():
    seen = snapshot([walk()], [campaign(schedule=WORKDAYS)])
    assert plan(seen) == [
        Planned(
            campaign_id=1,
            lead_id=1,
            step=0,
            sender_id=1,
            provider="other",
            not_after=datetime(2026, 11, 2, 17, tzinfo=UTC),
        )
    ]


def test_without_a_schedule_a_mail_may_go_at_any_time():
    assert planned(snapshot([walk()]))[0].not_after is None


def test_a_shut_window_keeps_a_lead_waiting_until_it_opens():
    tuesdays = replace(WORKDAYS, days=frozenset({2}))
    opens_at = datetime(2026, 11, 3, 9, tzinfo=UTC)
    assert plan(snapshot([walk()], [campaign(schedule=tuesdays)])) == [
        Waits(campaign_id=1, lead_id=1, step=0, reason="out_of_schedule", until=opens_at)
    ]


def test_follow_ups_come_before_first_mails():
    seen = snapshot([walk(1), walk(2), follow_up(3)])
    assert [mail.lead_id for mail in planned(seen)] == [3]


def test_follow_ups_keep_their_sender():
    seen = snapshot(
        [follow_up(lead_id, sender_id=2) for lead_id in (1, 2, 3)],
        [campaign(sender_ids=frozenset({1, 2}))],
        [sender(1, **NO_GAP), sender(2, **NO_GAP)],
    )
    assert [mail.sender_id for mail in planned(seen)] == [2, 2, 2]


def test_a_step_whose_trigger_is_not_met_is_skipped_and_the_next_wait_counts_from_now():
    steps = (step(0), step(1, trigger=Trigger.NOT_OPENED), step(2, wait_days=2, wait_hours=1))
    seen = snapshot([follow_up(opened_at=NOW)], [campaign(steps=steps)])
    due_at = NOW + timedelta(days=2, hours=1)
    assert plan(seen) == [
        Skipped(campaign_id=1, lead_id=1, step=1, reason="already_opened", next_step=2, due_at=due_at)
    ]


def test_a_walk_whose_last_step_is_skipped_is_finished():
    seen = snapshot([follow_up()], [campaign(steps=(step(0), step(1, trigger=Trigger.ON_CLICK)))])
    assert plan(seen) == [
        Skipped(campaign_id=1, lead_id=1, step=1, reason="never_clicked", next_step=None, due_at=None)
    ]


def test_a_skip_leaves_the_room_to_the_next_lead():
    steps = (step(0), step(1, trigger=Trigger.NOT_OPENED))
    seen = snapshot([follow_up(1, opened_at=NOW), follow_up(2)], [campaign(steps=steps)])
    assert [type(decision) for decision in plan(seen)] == [Skipped, Planned]


@pytest.mark.parametrize("reason", ["unsubscribed", "suppressed", "invalid", "bounced"])
def test_a_lead_that_may_not_be_mailed_any_more_ends(reason):
    seen = snapshot([walk(stopped=WalkOutcome(reason))])
    assert plan(seen) == [Ends(campaign_id=1, lead_id=1, outcome=WalkOutcome(reason))]


def test_a_walk_behind_the_end_of_a_shortened_sequence_is_finished():
    seen = snapshot([follow_up()], [campaign(steps=(step(0),))])
    assert plan(seen) == [Ends(campaign_id=1, lead_id=1, outcome=WalkOutcome.FINISHED)]


def test_a_sender_with_a_gap_gets_one_mail_a_round():
    assert len(planned(snapshot([walk(1), walk(2), walk(3)]))) == 1


def test_a_sender_without_a_gap_gets_as_many_as_its_pipe_and_its_day_hold():
    leads = [walk(lead_id) for lead_id in range(1, 301)]
    assert len(planned(snapshot(leads, senders=[sender(daily_limit=1000, **NO_GAP)]))) == gates.PIPE_LIMIT
    assert len(planned(snapshot(leads, senders=[sender(daily_limit=60, used_today=20, **NO_GAP)]))) == 40


def test_a_provider_gets_what_it_takes_in_a_round_and_others_pass_by():
    leads = [walk(lead_id, provider="google" if lead_id <= 30 else "other") for lead_id in range(1, 41)]
    seen = snapshot(leads, senders=[sender(**NO_GAP)], providers=[ProviderView("google", 2.0, 5)])
    assert len(planned(seen, provider="google")) == 15
    assert len(planned(seen, provider="other")) == 10


def test_new_leads_a_day_bind_first_mails_and_not_their_retries():
    leads = [walk(1), walk(2), walk(3, sender_id=1, attempt=1, judged=True)]
    seen = snapshot(leads, [campaign(max_new_leads_per_day=5, new_today=4)], [sender(**NO_GAP)])
    assert [mail.lead_id for mail in planned(seen)] == [3, 1]


def test_a_campaign_of_very_many_leads_delays_a_small_one_by_one_mail():
    many = [walk(lead_id, campaign_id=1) for lead_id in range(1, 201)]
    few = [walk(lead_id, campaign_id=2) for lead_id in (201, 202)]
    seen = snapshot(many + few, [campaign(1), campaign(2)], [sender(daily_limit=10, **NO_GAP)])
    assert Counter(mail.campaign_id for mail in planned(seen)) == {1: 8, 2: 2}
    assert {mail.campaign_id for mail in planned(seen)[:2]} == {1, 2}


def test_campaigns_that_share_a_sender_take_turns_from_round_to_round():
    ours = {1: campaign(1), 2: campaign(2), 3: campaign(3)}
    served = []
    for number in range(9):
        now = NOW + number * timedelta(minutes=1)
        leads = [walk(lead_id, campaign_id=lead_id % 3 + 1) for lead_id in range(1, 31)]
        (mail,) = planned(snapshot(leads, ours.values(), now=now))
        ours[mail.campaign_id] = replace(ours[mail.campaign_id], last_planned_at=now)
        served.append(mail.campaign_id)
    assert served == served[:3] * 3
    assert set(served) == {1, 2, 3}


def test_of_campaigns_that_were_never_served_the_one_with_a_follow_up_begins():
    for first, second in ((1, 2), (2, 1)):
        seen = snapshot([walk(1, campaign_id=first), follow_up(2, campaign_id=second)], [campaign(1), campaign(2)])
        assert [mail.campaign_id for mail in planned(seen)] == [second]


def test_pairs_of_domains_are_not_repeated_while_another_sender_is_left():
    senders = [sender(id, address=f"a{id}@{name}.example", **NO_GAP) for id, name in enumerate("aabb", 1)]
    ours = campaign(sender_ids=frozenset({1, 2, 3, 4}))
    for first in range(1, 40):
        leads = [walk(lead_id, email=f"l{lead_id}@same.test") for lead_id in (first, first + 1)]
        domains = {senders[mail.sender_id - 1].domain for mail in planned(snapshot(leads, [ours], senders))}
        assert domains == {"a.example", "b.example"}


def test_first_mails_are_shared_by_health():
    senders = [sender(1, health=90, daily_limit=10**6, **NO_GAP), sender(2, health=30, daily_limit=10**6, **NO_GAP)]
    ours = campaign(sender_ids=frozenset({1, 2}))
    counts = Counter()
    for first in range(1, 2001, 100):
        leads = [walk(lead_id) for lead_id in range(first, first + 100)]
        counts.update(mail.sender_id for mail in planned(snapshot(leads, [ours], senders)))
    assert counts[1] == pytest.approx(1500, rel=0.05)


def test_follow_ups_of_a_lost_sender_wait_or_are_taken_over():
    senders = [sender(1, gone=True), sender(2)]
    ours = campaign(sender_ids=frozenset({1, 2}))
    waiting = Waits(campaign_id=1, lead_id=1, step=1, reason="sender_gone", until=None)
    assert plan(snapshot([follow_up()], [ours], senders)) == [waiting]
    taken_over = planned(snapshot([follow_up()], [replace(ours, on_sender_loss=OnSenderLoss.REASSIGN)], senders))
    assert [mail.sender_id for mail in taken_over] == [2]


def test_a_deferred_mail_is_planned_again_by_its_sender_whatever_was_opened_since():
    steps = (step(0), step(1, trigger=Trigger.NOT_OPENED))
    again = follow_up(attempt=1, judged=True, opened_at=NOW)
    assert [mail.step for mail in planned(snapshot([again], [campaign(steps=steps)]))] == [1]


@given(snapshots)
def test_the_same_snapshot_gives_the_same_answer(seen):
    assert plan(seen) == plan(seen)


@given(snapshots)
def test_every_walk_gets_exactly_one_decision(seen):
    decided = [(decision.campaign_id, decision.lead_id) for decision in plan(seen)]
    assert sorted(decided) == sorted((view.campaign_id, view.lead_id) for view in seen.walks)


@given(snapshots)
def test_no_room_is_ever_overdrawn(seen):
    by_sender, by_provider, new = Counter(), Counter(), Counter()
    walks = {view.lead_id: view for view in seen.walks}
    for mail in planned(seen):
        by_sender[mail.sender_id] += 1
        by_provider[mail.provider] += 1
        new[mail.campaign_id] += walks[mail.lead_id].is_new
    for id, count in by_sender.items():
        view = seen.senders[id]
        assert view.used_today + count <= view.daily_limit
        assert view.in_pipe + count <= (1 if view.max_gap else gates.PIPE_LIMIT)
    for name, count in by_provider.items():
        view = seen.providers[name]
        assert view.in_pipe + count < view.rate * gates.ROUND_SECONDS + 1
    for id, count in new.items():
        most = seen.campaigns[id].max_new_leads_per_day
        assert most is None or seen.campaigns[id].new_today + count <= max(most, seen.campaigns[id].new_today)


@given(snapshots)
def test_nobody_outside_the_gates_is_mailed(seen):
    walks = {view.lead_id: view for view in seen.walks}
    for mail in planned(seen):
        view, ours, by = walks[mail.lead_id], seen.campaigns[mail.campaign_id], seen.senders[mail.sender_id]
        assert view.state is WalkState.WAITING
        assert view.stopped is None
        assert view.due_at is None or view.due_at <= seen.now
        assert gates.shut_campaign(ours, seen.now) is None
        assert gates.shut_sender(by, seen.now) is None
        assert by.id in ours.sender_ids
        assert mail.step == view.step < len(ours.steps)
        assert by.id == view.sender_id or view.sender_id is None or ours.on_sender_loss is OnSenderLoss.REASSIGN


@given(snapshots)
def test_no_lead_waits_for_room_that_is_left(seen):
    """What remains after a round cannot be planned by a second one, once the first has taken its room."""
    decisions = plan(seen)
    waiting = {decision.lead_id for decision in decisions if isinstance(decision, Waits)}
    senders, providers, campaigns = dict(seen.senders), dict(seen.providers), dict(seen.campaigns)
    walks = {view.lead_id: view for view in seen.walks}
    for mail in (decision for decision in decisions if isinstance(decision, Planned)):
        by, to, ours = senders[mail.sender_id], providers[mail.provider], campaigns[mail.campaign_id]
        senders[by.id] = replace(by, used_today=by.used_today + 1, in_pipe=by.in_pipe + 1)
        providers[to.name] = replace(to, in_pipe=to.in_pipe + 1)
        campaigns[ours.id] = replace(ours, new_today=ours.new_today + walks[mail.lead_id].is_new)
    left = tuple(view for view in seen.walks if view.lead_id in waiting)
    again = plan(replace(seen, senders=senders, providers=providers, campaigns=campaigns, walks=left))
    assert not [decision for decision in again if not isinstance(decision, Waits)]


@given(snapshots)
def test_shares_of_campaigns_do_not_depend_on_the_order_in_which_they_were_read(seen):
    def mails(some):
        counts = defaultdict(int)
        for mail in planned(some):
            counts[mail.campaign_id] += 1
        return counts

    campaigns = dict(reversed(seen.campaigns.items()))
    by_campaign = sorted(seen.walks, key=lambda view: -view.campaign_id)
    assert mails(seen) == mails(replace(seen, campaigns=campaigns, walks=tuple(by_campaign)))
