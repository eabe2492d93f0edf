"""Whatever stops a mail has answered, or the mail was marked before: there is no third case. The real mark against every real stop, at the same moment."""

import pytest

from cleanmails.ledger import campaigns, deliveries, senders, suppressions, walks
from cleanmails.records import WalkOutcome


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
    for mark, company in zip(marks[::2], marks[1::2], strict=True):

        def answered(mark=mark):
            with work.database.transaction() as db:
                stop(db, house, mark)
            return house.one("SELECT clock_timestamp()")

        granted, at = together(lambda both=(mark, company): deliveries.mark_sending(ledger, both), answered)
        marked_at = house.one("SELECT sending_at FROM deliveries WHERE id = %s", mark.id)
        assert granted == ({company.id} if marked_at is None else {mark.id, company.id})
        assert marked_at is None or marked_at < at


@pytest.mark.parametrize("stop", STOPS)
def test_after_the_answer_to_a_stop_no_mail_is_marked(house, ready, stop):
    work, (mark, *others) = ready
    with work.database.transaction() as db:
        stop(db, house, mark)
    assert deliveries.mark_sending(work.database.own(), [mark, *others]) == {other.id for other in others}
