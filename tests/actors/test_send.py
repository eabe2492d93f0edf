import email
import email.policy

import pytest

from cleanmails.actors import plan, sweep
from cleanmails.demo import catcher
from cleanmails.ledger import walks


@pytest.fixture
def server():
    with catcher.running() as running:
        yield running


@pytest.fixture
def lane(house, server):
    """A campaign of one step to these addresses at known domains, by one sender at the local server; returns the campaign and the leads."""

    def make(*emails, steps=({},), **sender):
        house.knows(*{each.rpartition("@")[2] for each in emails})
        leads = house.leads(*emails)
        return house.campaign(leads, [house.sender(port=server.port, **sender)], steps=steps), leads

    return make


def test_a_mail_goes_out_once_and_the_walk_is_finished(house, work, drain, lane, server):
    campaign, (lead,) = lane("bob@b.example")
    plan.plan(work)
    drain()
    (mail,) = server.mails()
    delivery = house.delivery(campaign, lead)
    assert (delivery["state"], delivery["message_id"]) == ("sent", mail.message_id)
    assert house.walk(campaign, lead)["outcome"] == "finished"
    assert [event["type"] for event in house.all("SELECT type FROM events ORDER BY id")] == ["email.sent"]
    assert house.one("SELECT used FROM sender_days") == 1
    assert house.all("SELECT * FROM mails") == []


def test_an_address_in_any_script_is_written_to(house, work, drain, lane, server):
    campaign, (lead,) = lane("jürgen@b.example")
    plan.plan(work)
    drain()
    (mail,) = server.mails()
    assert house.delivery(campaign, lead)["state"] == "sent"
    assert "<jürgen@b.example>".encode() in server.raw(mail.id)
    assert mail.recipient == "jürgen@b.example"


def test_a_message_that_comes_twice_sends_nothing_the_second_time(house, work, drain, lane, server):
    lane("bob@b.example")
    plan.plan(work)
    twice = list(work.queues.messages)
    drain()
    work.queues.messages.extend(twice)
    work.queues.messages.append(("send", (house.one("SELECT id FROM senders"),)))
    drain()
    assert len(server.mails()) == 1


def test_a_follow_up_without_a_subject_continues_the_thread(work, drain, lane, server):
    lane("bob@b.example", steps=({}, {"subjects": []}))
    for _ in range(2):
        plan.plan(work)
        drain()
    first, second = (
        email.message_from_bytes(server.raw(mail.id), policy=email.policy.default) for mail in server.mails()
    )
    assert second["Subject"] == "Re: Hello Bob"
    assert second["In-Reply-To"] == first["Message-ID"]
    assert second["References"] == first["Message-ID"]
    assert second["From"] == first["From"]


def test_a_temporary_refusal_puts_the_walk_back_for_its_retry(house, work, drain, lane, server):
    campaign, (lead,) = lane("later+refuse-rcpt-451@b.example")
    plan.plan(work)
    drain()
    walk, delivery = house.walk(campaign, lead), house.delivery(campaign, lead)
    assert (delivery["state"], walk["state"], walk["step"]) == ("deferred", "waiting", 0)
    assert walk["due_at"] > delivery["planned_at"]
    assert house.one("SELECT coalesce(sum(used), 0) FROM sender_days") == 0


def test_what_another_sender_takes_over_is_made_anew_even_after_it_was_held(house, work, drain, lane, server):
    """The first sender's bytes were tried and are kept; they must not go out by the second one, under the first one's name."""
    campaign, (lead,) = lane("bob+refuse-rcpt-451@b.example")
    plan.plan(work)
    drain()
    other = house.sender("other@acme.example", port=server.port)
    house.run(
        "INSERT INTO campaign_senders (workspace_id, campaign_id, sender_id) VALUES (%s, %s, %s)",
        house.workspace,
        campaign,
        other,
    )
    house.run("UPDATE senders SET deleted_at = now() WHERE id <> %s", other)
    house.run("UPDATE campaigns SET on_sender_loss = 'reassign'")
    house.run("UPDATE leads SET email = 'bob@b.example', company = ''")
    house.run("UPDATE campaign_leads SET due_at = now()")
    plan.plan(work)
    drain()
    assert house.walk(campaign, lead)["hold_reason"] == "missing_field"
    with work.database.transaction() as db:
        walks.free_held(db, house.workspace)
        db.execute("UPDATE leads SET company = 'Initech'")
    plan.plan(work)
    drain()
    [mail] = server.mails()
    assert (
        email.message_from_bytes(server.raw(mail.id), policy=email.policy.default)["From"].addresses[0].addr_spec
        == "other@acme.example"
    )


def test_a_bad_recipient_bounces_and_is_suppressed(house, work, drain, lane, server):
    campaign, (lead,) = lane("nobody+refuse-rcpt-550@b.example")
    plan.plan(work)
    drain()
    assert house.delivery(campaign, lead)["state"] == "bounced"
    assert house.walk(campaign, lead)["outcome"] == "bounced"
    assert house.one("SELECT reason FROM suppressions WHERE value = 'nobody+refuse-rcpt-550@b.example'") == "bounced"
    assert house.one("SELECT status FROM leads") == "bounced"


def test_a_paused_campaign_sends_nothing_and_its_leads_keep_their_place(house, work, drain, lane, server):
    campaign, (lead,) = lane("bob@b.example")
    plan.plan(work)
    house.run("UPDATE campaigns SET status = 'paused'")
    drain()
    assert server.mails() == []
    assert (house.delivery(campaign, lead)["state"], house.walk(campaign, lead)["state"]) == ("deferred", "waiting")
    house.run("UPDATE campaigns SET status = 'running'")
    plan.plan(work)
    drain()
    assert len(server.mails()) == 1


def test_a_server_that_is_down_costs_no_lead_a_try_and_rests_the_sender(house, work, drain, lane):
    _campaign, (_lead, _) = lane("bob@b.example", "eve@b.example")
    house.run("UPDATE senders SET smtp_port = 9")
    for _ in range(5):
        house.run("UPDATE campaign_leads SET due_at = now() WHERE state = 'waiting'")
        plan.plan(work)
        drain()
    assert house.one("SELECT max(tries) FROM deliveries") == 0
    assert house.one("SELECT cooldown_until > now() FROM senders")
    assert {row["state"] for row in house.all("SELECT state FROM campaign_leads")} == {"waiting"}


def test_an_opt_out_between_rendering_and_sending_stops_the_mail(house, work, drain, lane, server):
    _campaign, (_lead,) = lane("bob@b.example")
    plan.plan(work)
    house.run("UPDATE campaign_leads SET state = 'ended', outcome = 'unsubscribed', ended_at = now()")
    drain()
    assert server.mails() == []


def test_what_a_dead_worker_held_is_taken_over(house, work, new_work, drain, lane, server):
    campaign, (lead,) = lane("bob@b.example")
    plan.plan(work)
    dead = new_work()
    house.run("UPDATE deliveries SET worker_id = %s, token = nextval('fences')", dead.worker_id)
    drain()
    assert server.mails() == []
    house.run("UPDATE workers SET seen_at = now() - interval '1 minute' WHERE id = %s", dead.worker_id)
    sweep.sweep(work)
    drain()
    assert len(server.mails()) == 1
    assert house.delivery(campaign, lead)["state"] == "sent"


def test_what_was_cut_between_dot_and_answer_is_unknown_and_stays_so(house, work, new_work, drain, lane, server):
    campaign, (lead,) = lane("bob@b.example")
    plan.plan(work)
    dead = new_work()
    house.run(
        """UPDATE deliveries SET state = 'sending', worker_id = %s, token = nextval('fences'), sending_at = now(), rendered_at = now(),
                  message_id = '<a@b>', hash = 'x'""",
        dead.worker_id,
    )
    house.run("UPDATE workers SET seen_at = now() - interval '1 minute' WHERE id = %s", dead.worker_id)
    sweep.sweep(work)
    plan.plan(work)
    drain()
    assert server.mails() == []
    assert house.delivery(campaign, lead)["state"] == "unknown"
    assert (house.walk(campaign, lead)["state"], house.walk(campaign, lead)["hold_reason"]) == ("held", "unknown")


def test_a_mail_beyond_the_day_of_a_ramp_up_is_refused_by_the_mark(house, work, drain, lane, server):
    """A plan that is made narrower holds for what is rendered already: the mark has the last word."""
    campaign, _ = lane("a@b.example", "b@b.example", "c@b.example")
    plan.plan(work)
    house.run("UPDATE senders SET ramp_from = now() AT TIME ZONE 'UTC', ramp_start = 2, ramp_step = 5")
    drain()
    assert len(server.mails()) == 2
    assert sorted(house.states(campaign)) == ["deferred", "sent", "sent"]
    assert house.one("SELECT reason FROM deliveries WHERE state = 'deferred'") == "daily_limit_met"


def test_a_password_that_no_key_opens_holds_its_sender_and_nobody_else(house, work, drain, server, caplog):
    """Sealed under a key that is gone: no server was asked, so no mail bears an attempt, and the sender says what to do."""
    house.knows("b.example", "c.example")
    (lost,), (good,) = house.leads("bob@b.example"), house.leads("cy@c.example")
    sender = house.sender(port=server.port, password="secret")
    house.run(
        "UPDATE senders SET smtp_sealed = set_byte(smtp_sealed, 20, 1 + get_byte(smtp_sealed, 20) %% 255) WHERE id = %s",
        sender,
    )
    held = house.campaign([lost], [sender])
    sent = house.campaign([good], [house.sender("zoe@acme.example", port=server.port)])
    plan.plan(work)
    drain()
    assert [mail.recipient for mail in server.mails()] == ["cy@c.example"]
    assert house.states(sent) == ["sent"]
    row = house.all("SELECT status, status_reason, health FROM senders WHERE id = %s", sender)[0]
    assert (row["status"], row["health"]) == ("restricted", 100)
    assert "Enter it anew" in row["status_reason"]
    assert (house.delivery(held, lost)["state"], house.walk(held, lost)["state"]) == ("deferred", "waiting")
    assert house.one("SELECT count(*) FROM attempts WHERE sender_id = %s", sender) == 0
    plan.plan(work)
    drain()
    assert house.states(held) == ["deferred"]
    assert caplog.text.count("sender.sealed") == 1


def test_a_signing_key_that_no_key_opens_holds_its_senders_and_nobody_else(house, work, drain, server, caplog):
    """Their mails stand in one chunk with those of others, which are made all the same."""
    house.knows("b.example", "c.example")
    lost, good = house.leads("bob@b.example", "cy@c.example")
    domain = house.domain()
    house.run(
        "UPDATE dkim_keys SET private_sealed = set_byte(private_sealed, 20, 1 + get_byte(private_sealed, 20) %% 255)"
    )
    sender = house.sender(port=server.port, domain=domain)
    held = house.campaign([lost], [sender])
    sent = house.campaign([good], [house.sender("zoe@other.example", port=server.port)])
    plan.plan(work)
    drain()
    assert house.states(sent) == ["sent"]
    assert (house.delivery(held, lost)["state"], house.walk(held, lost)["state"]) == ("deferred", "waiting")
    row = house.all("SELECT status, status_reason FROM senders WHERE id = %s", sender)[0]
    assert row["status"] == "restricted"
    assert row["status_reason"].startswith("The DKIM key of ")
    assert caplog.text.count("sender.sealed") == 1
