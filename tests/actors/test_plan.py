import pytest

from cleanmails.actors import plan


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
