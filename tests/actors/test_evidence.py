"""The ways out of `unknown`: what proves that a mail arrived, or a person. Nothing else, and never a timer."""

import pytest

from cleanmails.actors import evidence, plan, sweep
from cleanmails.demo import catcher
from cleanmails.demo.catcher import Rule, by_rules
from cleanmails.ledger import invariants

PROOFS = ["a copy in Sent", "a reply", "a bounce", "opened", "clicked"]


@pytest.fixture
def unknown(house, work, drain):
    """A mail that the server kept without saying so, the first of two steps: (campaign, lead, server)."""
    with catcher.running(script=by_rules([Rule(match="*", do="drop-stored", times=1)])) as server:
        house.knows("b.example")
        (lead,) = house.leads("bob@b.example")
        campaign = house.campaign([lead], [house.sender(port=server.port)], steps=({}, {"wait_days": 3}))
        plan.plan(work)
        drain()
        assert house.delivery(campaign, lead)["state"] == "unknown"
        yield campaign, lead, server


def prove(work, house, act, proof, *, workspace=None):
    with work.database.transaction() as db:
        return act(db, workspace or house.workspace, [house.one("SELECT id FROM deliveries")], proof)


def sound(work):
    with work.database.transaction() as db:
        return not [each for each in invariants.INVARIANTS if invariants.violations(db, each)]


@pytest.mark.parametrize("proof", PROOFS)
def test_a_proof_makes_it_sent_from_the_time_it_was_handed_over(house, work, unknown, proof):
    campaign, lead, server = unknown
    before = house.delivery(campaign, lead)
    assert prove(work, house, evidence.assume_sent, proof) == [before["id"]]
    after, walk = house.delivery(campaign, lead), house.walk(campaign, lead)
    assert (after["state"], after["evidence"], after["sending_at"]) == ("sent", proof, before["sending_at"])
    assert (walk["state"], walk["step"], walk["settled_at"]) == ("waiting", 1, before["sending_at"])
    assert house.one("SELECT count(*) FROM events WHERE type = 'email.sent'") == 1
    assert prove(work, house, evidence.assume_sent, proof) == []
    assert house.one("SELECT count(*) FROM events WHERE type = 'email.sent'") == 1
    assert len(server.mails()) == 1
    assert sound(work)


def test_a_proof_does_not_begin_a_walk_that_has_ended_again(house, work, unknown):
    campaign, lead, _ = unknown
    house.run(
        "UPDATE campaign_leads SET state = 'ended', outcome = 'replied', hold_reason = NULL, ended_at = clock_timestamp()"
    )
    prove(work, house, evidence.assume_sent, "a reply")
    assert (house.delivery(campaign, lead)["state"], house.walk(campaign, lead)["outcome"]) == ("sent", "replied")
    assert sound(work)


def test_another_workspace_decides_nothing(house, work, unknown):
    campaign, lead, _ = unknown
    other = house.one("INSERT INTO workspaces (name) VALUES ('Other') RETURNING id")
    for act in (evidence.assume_sent, evidence.resend):
        assert prove(work, house, act, "a guess", workspace=other) == []
    assert house.delivery(campaign, lead)["state"] == "unknown"


def test_no_time_leads_out(house, work, drain, unknown):
    campaign, lead, server = unknown
    house.run(
        "UPDATE deliveries SET sending_at = sending_at - interval '1 year', planned_at = planned_at - interval '1 year'"
    )
    house.run("UPDATE sender_days SET day = day - 365")
    for _ in range(3):
        sweep.sweep(work)
        plan.plan(work)
        drain()
    assert (house.delivery(campaign, lead)["state"], len(server.mails())) == ("unknown", 1)


def test_a_person_who_wants_it_sent_again_gets_the_same_bytes_sent(house, work, drain, unknown):
    campaign, lead, server = unknown
    prove(work, house, evidence.resend, "resend by user 1")
    plan.plan(work)
    drain()
    assert house.delivery(campaign, lead)["state"] == "sent"
    first, second = (server.raw(mail.id) for mail in server.mails())
    assert first == second
    assert sound(work)
