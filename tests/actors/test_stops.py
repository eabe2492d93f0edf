"""Whatever stops a mail has answered, or the mail was marked before: there is no third case. The real mark against every real stop, at the same moment."""

import pytest

from cleanmails.ledger import campaigns, deliveries, senders, suppressions, walks
from cleanmails.ledger.deliveries import Mark
from cleanmails.records import WalkOutcome

ROUNDS = 12


@pytest.fixture
def ready(house, new_work):
    """Rendered mails in one worker's hands, to leads of one domain each, with a campaign and a sender each: (worker, marks)."""
    work = new_work()
    marks = []
    for n in range(ROUNDS):
        domain = f"c{n}.example"
        house.knows(domain)
        sender = house.sender(f"ann{n}@acme.example")
        (lead,) = house.leads(f"bob@{domain}")
        campaign = house.campaign([lead], [sender])
        house.run("UPDATE campaign_leads SET state = 'in_flight', due_at = NULL WHERE campaign_id = %s", campaign)
        row = house.all(
            """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, planned_at, queued_at, rendered_at, message_id, hash,
                                       token, worker_id)
               VALUES (%s, %s, %s, 0, %s, 'other', 'rendered', now(), now(), now(), %s, 'x', nextval('fences'), %s) RETURNING id, token""",
            house.workspace, campaign, lead, sender, f"<{n}@acme.example>", work.worker_id,
        )[0]  # fmt: skip
        marks.append(
            Mark(
                id=row["id"],
                token=row["token"],
                campaign_id=campaign,
                lead_id=lead,
                sender_id=sender,
                worker_id=work.worker_id,
                gap=0.0,
                lease=60.0,
            )
        )
    return work, marks


def unsubscribe(db, house, mark):
    suppressions.suppress(db, house.workspace, "address", email(house, mark), "unsubscribed")


def suppress_domain(db, house, mark):
    suppressions.suppress(db, house.workspace, "domain", email(house, mark).partition("@")[2], "manual")


def bounce(db, house, mark):
    suppressions.suppress(db, house.workspace, "address", email(house, mark), "bounced")


def reply(db, house, mark):
    walks.end(db, [mark.lead_id], WalkOutcome.REPLIED, house.workspace)


def pause(db, house, mark):
    campaigns.hold_marks(db, house.workspace, mark.campaign_id)
    campaigns.hold(db, house.workspace, mark.campaign_id)
    campaigns.pause(db, house.workspace, mark.campaign_id, user_id=None)


def pause_sender(db, house, mark):
    senders.lock(db, house.workspace, mark.sender_id, stop=True)
    db.execute("UPDATE senders SET status = 'paused' WHERE id = %s", [mark.sender_id])


def email(house, mark):
    return house.one("SELECT email FROM leads WHERE id = %s", mark.lead_id)


STOPS = [unsubscribe, suppress_domain, bounce, reply, pause, pause_sender]


@pytest.mark.parametrize("stop", STOPS)
def test_a_mail_is_marked_before_the_answer_to_a_stop_or_never(house, ready, together, stop):
    work, marks = ready
    ledger = work.database.own()
    for mark in marks:

        def answered(mark=mark):
            with work.database.transaction() as db:
                stop(db, house, mark)
            return house.one("SELECT clock_timestamp()")

        granted, at = together(lambda mark=mark: deliveries.mark_sending(ledger, mark), answered)
        marked_at = house.one("SELECT sending_at FROM deliveries WHERE id = %s", mark.id)
        assert granted == (marked_at is not None)
        assert marked_at is None or marked_at < at
    ledger.close()


@pytest.mark.parametrize("stop", STOPS)
def test_after_the_answer_to_a_stop_no_mail_is_marked(house, ready, stop):
    work, (mark, other, *_) = ready
    ledger = work.database.own()
    with work.database.transaction() as db:
        stop(db, house, mark)
    assert not deliveries.mark_sending(ledger, mark)
    assert deliveries.mark_sending(ledger, other)
    ledger.close()
