from datetime import timedelta

import pytest
from msgspec.structs import replace

from cleanmails.actors import plan
from cleanmails.rules import gates


def test_due_walks_become_planned_deliveries_and_their_ids_go_to_render(house, work):
    house.knows("b.example")
    leads = house.leads("x@b.example", "y@b.example")
    campaign = house.campaign(leads, [house.sender()])

    assert plan.plan(work) == 2

    assert house.states(campaign) == ["planned", "planned"]
    assert [house.walk(campaign, lead)["state"] for lead in leads] == ["in_flight", "in_flight"]
    assert [actor for actor, _ in work.queues.messages] == ["render"]


def test_a_second_plan_finds_nothing_left(house, work):
    house.knows("b.example")
    house.campaign(house.leads("x@b.example"), [house.sender()])
    plan.plan(work)
    assert plan.plan(work) == 0


def test_a_daily_limit_holds_over_rounds_and_a_flushed_redis(house, work, redis_url):
    house.knows("b.example")
    leads = house.leads(*(f"x{n}@b.example" for n in range(10)))
    campaign = house.campaign(leads, [house.sender(limit=3)])
    assert plan.plan(work) == 3
    work.daily._script._redis.flushdb()
    assert plan.plan(work) == 0
    assert len(house.states(campaign)) == 3


def test_a_ramp_up_holds_over_rounds_and_a_flushed_redis(house, work):
    house.knows("b.example")
    leads = house.leads(*(f"x{n}@b.example" for n in range(10)))
    sender = house.sender(limit=50)
    house.run("UPDATE senders SET ramp_from = (now() AT TIME ZONE 'UTC')::date - 5, ramp_start = 3, ramp_step = 2")
    house.run("INSERT INTO sender_days VALUES (%s, (now() AT TIME ZONE 'UTC')::date - 2, 1)", sender)
    house.campaign(leads, [sender])
    assert plan.plan(work) == 5, "three, and two more for the day on which it has sent"
    work.daily._script._redis.flushdb()
    assert plan.plan(work) == 0


def test_a_domain_nobody_knows_is_looked_up_before_it_is_mailed(house, work):
    house.campaign(house.leads("x@new.example"), [house.sender()])
    assert plan.plan(work) == 0
    assert ("resolve", (["new.example"],)) in work.queues.messages


def test_a_campaign_whose_walks_have_all_ended_is_completed(house, work):
    (lead,) = house.leads("x@b.example")
    campaign = house.campaign([lead], [house.sender()])
    house.run("UPDATE campaign_leads SET state = 'ended', outcome = 'finished', ended_at = now(), due_at = NULL")
    plan.plan(work)
    assert house.one("SELECT status FROM campaigns WHERE id = %s", campaign) == "completed"
    assert house.one("SELECT type FROM events") == "campaign.completed"


def test_a_campaign_without_any_lead_waits_for_its_lists_to_grow(house, work):
    """It was started first and is fed afterwards; only who was mailed, or could not be, makes it complete."""
    house.knows("b.example")
    campaign = house.campaign([], [house.sender()])
    plan.plan(work)
    assert house.one("SELECT status FROM campaigns") == "running"
    house.run(
        "INSERT INTO campaign_leads (campaign_id, lead_id, workspace_id, due_at) VALUES (%s, %s, %s, now())",
        campaign,
        *house.leads("x@b.example"),
        house.workspace,
    )
    assert plan.plan(work) == 1


def test_nothing_goes_before_the_launch_and_everything_at_it(house, work):
    house.knows("b.example")
    now = house.one("SELECT now()")
    launch = now + timedelta(days=2)
    campaign = house.campaign(house.leads("x@b.example", "y@b.example"), [house.sender()], launch_at=launch)
    assert [plan.plan_round(work, at=at) for at in (now, launch - timedelta(seconds=1))] == [0, 0]
    assert house.one("SELECT status FROM campaigns") == "running"
    assert plan.plan_round(work, at=launch) == 2
    assert house.states(campaign) == ["planned", "planned"]


def test_a_clock_that_jumps_brings_nothing_twice_and_no_burst(house, new_work, configured):
    """An hour ahead, a day back, and on again: a sender without a gap keeps its day, one with a gap its one mail, a provider its rate."""
    work = new_work(settings=replace(configured, provider_rates={"other": 2.0}))
    house.knows("slow.example", "b.example")
    now = house.one("SELECT date_trunc('day', now()) + interval '12 hours'")
    calm, fast = house.sender("calm@acme.example", gap=(30, 90)), house.sender("fast@acme.example", limit=1000)
    small = house.sender("small@acme.example", limit=3)
    paced = house.campaign(house.leads(*(f"p{n}@b.example" for n in range(20))), [calm])
    limited = house.campaign(house.leads(*(f"p{n}@slow.example" for n in range(50))), [fast])
    short = house.campaign(house.leads(*(f"q{n}@b.example" for n in range(10))), [small])
    house.run("UPDATE campaign_leads SET due_at = %s", now - timedelta(days=2))
    hours = (0, 1, -24, 0, 1)
    sent = [plan.plan_round(work, at=now + timedelta(hours=hour)) for hour in hours]
    assert sent == [1 + 2 * gates.ROUND_SECONDS + 3, 0, 0, 0, 0]
    assert [len(house.states(each)) for each in (paced, limited, short)] == [1, 2 * gates.ROUND_SECONDS, 3]


def test_a_suppressed_lead_ends_without_a_mail(house, work):
    house.knows("b.example")
    (lead,) = house.leads("x@b.example")
    campaign = house.campaign([lead], [house.sender()])
    house.run(
        "INSERT INTO suppressions (workspace_id, kind, value, reason) VALUES (%s, 'domain', 'b.example', 'manual')",
        house.workspace,
    )
    assert plan.plan(work) == 0
    assert house.walk(campaign, lead)["outcome"] == "suppressed"


def test_a_step_whose_trigger_is_not_met_is_skipped_and_the_walk_moves_on(house, work):
    house.knows("b.example")
    (lead,) = house.leads("x@b.example")
    campaign = house.campaign([lead], [house.sender()], steps=({"trigger_condition": "on_open"}, {"wait_days": 2}))
    plan.plan(work)
    walk = house.walk(campaign, lead)
    assert (walk["state"], walk["step"]) == ("waiting", 1)
    assert house.delivery(campaign, lead)["state"] == "skipped"


@pytest.mark.parametrize("loss", ["deleted", "detached"])
def test_follow_ups_of_a_lost_sender_are_taken_over_if_the_campaign_says_so(house, work, loss):
    """Also those that came to wait for it after it was lost, because a mail of it was on its way then."""
    house.knows("b.example")
    waits, moves = house.leads("x@b.example", "y@b.example")
    gone, other = house.sender("gone@acme.example"), house.sender("other@acme.example")
    waiting = house.campaign([waits], [gone, other])
    moving = house.campaign([moves], [gone, other], on_sender_loss="reassign")
    house.run("UPDATE campaign_leads SET sender_id = %s, settled_at = now()", gone)
    if loss == "deleted":
        house.run("UPDATE senders SET deleted_at = now() WHERE id = %s", gone)
    else:
        house.run("DELETE FROM campaign_senders WHERE sender_id = %s", gone)
    assert plan.plan(work) == 1
    assert house.delivery(moving, moves)["sender_id"] == other
    assert house.walk(waiting, waits)["state"] == "waiting"


def test_after_an_hour_without_a_scheduler_there_is_no_burst(house, new_work, configured):
    """A hundred leads have waited; whoever wakes the planner, and however often, no more go out than in any other round."""
    work = new_work(settings=replace(configured, provider_rates={"other": 2.0}))
    house.knows("slow.example", "b.example")
    calm = house.sender("calm@acme.example", gap=(30, 90))
    fast = house.sender("fast@acme.example", limit=1000)
    paced = house.campaign(house.leads(*(f"p{n}@b.example" for n in range(100))), [calm])
    limited = house.campaign(house.leads(*(f"p{n}@slow.example" for n in range(100))), [fast])
    house.run("UPDATE campaign_leads SET due_at = now() - interval '1 hour'")
    plan.tick(work)
    plan.tick(work)
    wakes = [actor for actor, _ in work.queues.messages].count("plan")
    assert wakes == 24
    for _ in range(wakes):
        plan.plan(work)
    assert len(house.states(paced)) == 1
    assert len(house.states(limited)) == 2 * gates.ROUND_SECONDS
    waiting = house.one("SELECT count(*) FROM campaign_leads WHERE state = 'waiting'")
    assert waiting + len(house.states(paced)) + len(house.states(limited)) == 200


def test_a_resume_brings_no_burst_and_nobody_twice(house, new_work, configured):
    work = new_work(settings=replace(configured, provider_rates={"other": 2.0}))
    house.knows("slow.example")
    campaign = house.campaign(house.leads(*(f"p{n}@slow.example" for n in range(100))), [house.sender(limit=1000)])
    plan.plan(work)
    for status in ("paused", "running"):
        house.run("UPDATE campaigns SET status = %s", status)
        plan.plan(work)
    assert len(house.states(campaign)) == 2 * gates.ROUND_SECONDS


def test_a_great_campaign_delays_a_small_one_by_no_more_than_a_round(house, work):
    """They share a sender with a gap: whoever was served longest ago has the next mail."""
    house.knows("b.example")
    sender = house.sender(gap=(60, 60))
    great = house.campaign(house.leads(*(f"g{n}@b.example" for n in range(300))), [sender])
    small = house.campaign(house.leads("s1@b.example", "s2@b.example"), [sender])
    house.run("UPDATE campaign_leads SET due_at = due_at - interval '1 day' WHERE campaign_id = %s", great)
    served = []
    for _ in range(4):
        plan.plan(work)
        [row] = house.all("SELECT id, campaign_id FROM deliveries WHERE state = 'planned'")
        served.append(row["campaign_id"])
        house.run(
            """UPDATE deliveries SET state = 'sent', rendered_at = now(), sending_at = now(), settled_at = now(), token = 1, hash = '',
                      message_id = id::text WHERE id = %s""",
            row["id"],
        )
    assert sorted(served[:2]) == sorted(served[2:]) == sorted([great, small])


def test_an_edit_of_a_running_sequence_holds_for_all_that_is_not_planned_yet(house, work):
    """A longer wait is waited for, a step that is added follows, and one that is taken away ends the walk."""
    house.knows("b.example")
    (lead,) = house.leads("x@b.example")
    sender = house.sender()
    campaign = house.campaign([lead], [sender], steps=({}, {"wait_days": 1}))
    house.run(
        """UPDATE campaign_leads SET step = 1, sender_id = %s, settled_at = now() - interval '25 hours', due_at = now() - interval '1 hour'""",
        sender,
    )
    house.run("UPDATE steps SET wait_days = 3 WHERE position = 1")
    assert plan.plan(work) == 0
    assert house.walk(campaign, lead)["due_at"] > house.one("SELECT now() + interval '40 hours'")
    house.run("DELETE FROM steps WHERE position = 1")
    house.run("UPDATE campaign_leads SET due_at = now()")
    assert plan.plan(work) == 0
    assert house.walk(campaign, lead)["outcome"] == "finished"
