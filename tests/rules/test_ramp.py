"""A new mailbox grows into its limit by the days on which it sends."""

from datetime import timedelta

from msgspec.structs import replace

from cleanmails.records import Ramp
from cleanmails.rules import gates, ramp, wording
from cleanmails.rules.explain import next_mail_at
from cleanmails.rules.forecast import Cohort, forecast
from tests.rules.views import NOW, campaign, sender, snapshot, step, walk

MONDAY = NOW.replace(hour=0)
FRESH = sender(daily_limit=5, ramp=Ramp(step=5, most=20), min_gap=0, max_gap=0)


def mails(*, leads, senders=(FRESH,), ours=None):
    ours = ours or campaign(steps=(step(0),))
    cohorts = [Cohort(walk(lead_id, due_at=MONDAY)) for lead_id in range(1, leads + 1)]
    told = forecast(ours.id, [ours], senders, cohorts, {}, MONDAY)
    return [(day.first, day.binding) for day in told.days]


def test_each_day_with_a_mail_raises_the_limit_up_to_the_end_of_the_plan():
    limits, now = [], FRESH
    for used in (1, 0, 5, 9, 9, 9):
        now = ramp.next_day(replace(now, used_today=used))
        limits.append(now.daily_limit)
    assert limits == [10, 10, 15, 20, 20, 20], "the second day was without a mail"
    assert now.used_today == 0


def test_a_limit_without_a_plan_stays():
    assert ramp.next_day(sender(used_today=50)) == sender(used_today=0)


def test_a_day_of_a_plan_that_is_used_up_says_so_and_opens_at_midnight():
    gate = gates.daily_limit(replace(FRESH, used_today=5), NOW)
    assert (gate.code, gate.figure, gate.limit) == ("ramp_up_limit_met", 5, 5)
    assert gate.opens_at == MONDAY + timedelta(days=1)
    assert "ramping up" in wording.sentence(gate, "UTC")
    grown = replace(FRESH, daily_limit=20, used_today=20)
    assert gates.daily_limit(grown, NOW).code == "daily_limit_met"


def test_explain_knows_the_day_on_which_a_mail_goes():
    full = replace(FRESH, used_today=5)
    assert next_mail_at(snapshot([walk()], senders=[full]), walk()) == MONDAY + timedelta(days=1)


def test_the_forecast_sends_more_each_day_until_the_end_of_the_plan():
    assert mails(leads=75) == [
        (5, "ramp_up_limit_met"),
        (10, "ramp_up_limit_met"),
        (15, "ramp_up_limit_met"),
        (20, "daily_limit_met"),
        (20, "daily_limit_met"),
        (5, "nothing_left"),
    ]


def test_a_forecast_of_very_many_lays_out_as_many_as_the_plan_can_reach():
    """Of many leads that stand alike only as many are laid out as the senders can send: by what they grow to, not by what they send today."""
    cohorts = [Cohort(walk(1, due_at=MONDAY), count=100_000)]
    ours = campaign(steps=(step(0),))
    told = forecast(ours.id, [ours], [FRESH], cohorts, {}, MONDAY, horizon_days=10)
    assert [day.first for day in told.days] == [5, 10, 15, *[20] * 7]


def test_another_limit_can_be_supposed_and_the_plan_leads_there():
    assert ramp.supposed(FRESH, 100) == replace(FRESH, ramp=Ramp(5, 100))
    assert ramp.supposed(FRESH, 3) == replace(FRESH, daily_limit=3, ramp=Ramp(5, 3))
    assert ramp.supposed(sender(), 7).daily_limit == 7
