"""Suppressions: one transaction makes them true for the entry, the lead, its walks and the events; and nothing that starts later gets round them."""

import pytest

from cleanmails.errors import NotFoundError
from cleanmails.ledger import suppressions, walks
from cleanmails.ledger.suppressions import Entry
from cleanmails.records import WalkOutcome


def suppress(database, house, kind, value, reason="manual", **rest):
    with database.transaction() as db:
        return suppressions.suppress(db, house.workspace, kind, value, reason, **rest)


@pytest.mark.parametrize(
    ("reason", "status", "outcome", "validation"),
    [
        ("unsubscribed", "unsubscribed", "unsubscribed", "pending"),
        ("complained", "unsubscribed", "unsubscribed", "pending"),
        ("bounced", "bounced", "bounced", "invalid"),
        ("manual", "active", "suppressed", "pending"),
        ("imported", "active", "suppressed", "pending"),
    ],
)
def test_an_entry_for_an_address_ends_what_concerns_it(database, house, reason, status, outcome, validation):
    ada, bob = house.leads("ada@example.com", "bob@example.com")
    campaign = house.campaign_on(leads=[ada, bob])
    house.planned(campaign, ada, "rendered", sender=house.sender())
    row = suppress(database, house, "address", "ada@example.com", reason, source="test", note="because")
    assert (row["kind"], row["value"], row["reason"], row["source"], row["note"]) == (
        "address",
        "ada@example.com",
        reason,
        "test",
        "because",
    )
    [lead] = house.all("SELECT status, validation FROM leads WHERE id = %s", ada)
    assert lead == {"status": status, "validation": validation}
    assert house.walk(campaign, ada)["outcome"] == outcome
    assert house.delivery(campaign, ada)["state"] == "cancelled"
    assert house.walkers(campaign)["bob@example.com"] == "waiting"


def test_an_entry_for_a_domain_ends_the_walks_of_all_who_are_there_and_of_no_subdomain(database, house):
    made = house.leads("ada@example.com", "bob@example.com", "cid@mail.example.com")
    campaign = house.campaign_on(leads=made)
    suppress(database, house, "domain", "example.com")
    assert house.walkers(campaign) == {
        "ada@example.com": "ended",
        "bob@example.com": "ended",
        "cid@mail.example.com": "waiting",
    }
    assert {row["status"] for row in house.all("SELECT status FROM leads")} == {"active"}


def test_twice_is_once_and_the_first_reason_stays(database, house):
    house.leads("ada@example.com")
    first = suppress(database, house, "address", "ada@example.com", "manual", note="asked by phone")
    again = suppress(database, house, "address", "ada@example.com", "unsubscribed")
    suppress(database, house, "address", "ada@example.com", "unsubscribed")
    assert again == first
    assert len(house.events("lead.unsubscribed")) == 1
    assert house.all("SELECT status FROM leads") == [{"status": "unsubscribed"}]


def test_who_has_left_stays_so_whatever_bounces_later(database, house):
    house.leads("ada@example.com")
    suppress(database, house, "address", "ada@example.com", "unsubscribed")
    suppress(database, house, "address", "ada@example.com", "bounced")
    assert house.all("SELECT status FROM leads") == [{"status": "unsubscribed"}]


def test_many_entries_come_at_once_and_in_their_order(database, house):
    house.leads("ada@example.com", "bob@b.example")
    entries = [
        Entry(kind="domain", value="b.example", reason="manual"),
        Entry(kind="address", value="nobody@example.com", reason="imported"),
        Entry(kind="address", value="ada@example.com", reason="unsubscribed", campaign_id=7, delivery_id=8),
    ]
    with database.transaction() as db:
        rows = suppressions.suppress_all(db, house.workspace, entries)
    assert [row["value"] for row in rows] == ["b.example", "nobody@example.com", "ada@example.com"]
    [event] = house.events("lead.unsubscribed")
    assert (event["campaign_id"], event["delivery_id"], event["data"]["reason"]) == (7, 8, "unsubscribed")


def test_another_workspace_does_not_notice(database, house):
    other = house.one("INSERT INTO workspaces (name) VALUES ('Other') RETURNING id")
    house.run("INSERT INTO leads (workspace_id, email) VALUES (%s, 'ada@example.com')", other)
    row = suppress(database, house, "address", "ada@example.com", "unsubscribed")
    assert house.all("SELECT status FROM leads") == [{"status": "active"}]
    with database.transaction() as db, pytest.raises(NotFoundError):
        suppressions.read(db, other, row["id"])
    with database.transaction() as db, pytest.raises(NotFoundError):
        suppressions.remove(db, other, row["id"], note="no", user_id=None)


def test_entries_are_found_by_kind_reason_and_a_part(database, house):
    for kind, value, reason in (
        ("address", "ada@example.com", "bounced"),
        ("address", "a_b@example.org", "manual"),
        ("domain", "example.net", "manual"),
    ):
        suppress(database, house, kind, value, reason)

    def found(**asked):
        with database.transaction() as db:
            return [row["value"] for row in suppressions.page(db, house.workspace, after=None, limit=10, **asked)]

    assert found() == ["ada@example.com", "a_b@example.org", "example.net"]
    assert found(kind="domain") == ["example.net"]
    assert found(reason="bounced") == found(search="ADA@") == ["ada@example.com"]
    assert found(search="a_b") == ["a_b@example.org"]


def test_an_entry_is_taken_back_for_a_reason_that_is_kept(database, house):
    [ada] = house.leads("ada@example.com")
    campaign = house.campaign_on(leads=[ada])
    row = suppress(database, house, "address", "ada@example.com", "bounced")
    with database.transaction() as db:
        suppressions.remove(db, house.workspace, row["id"], note="the mailbox is back", user_id=3)
    assert house.all("SELECT status, validation FROM leads") == [{"status": "active", "validation": "pending"}]
    assert house.walk(campaign, ada)["state"] == "ended"
    [event] = house.events("suppression.removed")
    assert event["lead_id"] == ada
    assert event["data"] == {
        "kind": "address",
        "value": "ada@example.com",
        "reason": "bounced",
        "note": "the mailbox is back",
        "user_id": 3,
    }
    with database.transaction() as db, pytest.raises(NotFoundError):
        suppressions.read(db, house.workspace, row["id"])


def test_a_deliverys_recipient_leaves(database, house):
    [ada] = house.leads("ada@example.com")
    campaign = house.campaign_on(leads=[ada])
    delivery = house.planned(campaign, ada, "sent", sender=house.sender())
    for _ in range(2):
        with database.transaction() as db:
            suppressions.unsubscribe(db, suppressions.recipient(db, delivery), "link")
    [event] = house.events("lead.unsubscribed")
    assert (event["campaign_id"], event["lead_id"], event["delivery_id"]) == (campaign, ada, delivery)
    assert house.walk(campaign, ada)["outcome"] == "unsubscribed"
    with database.transaction() as db:
        assert suppressions.recipient(db, delivery + 1) is None


def test_a_walk_that_began_unseen_is_ended_by_a_second_look(database, house):
    """A campaign enrolls from a reading of before the entry, and commits after it: neither sees the other. What begins later sees the entry."""
    [ada] = house.leads("ada@example.com")
    prospects = house.list(ada)
    campaign, later = house.campaign_on(prospects), house.campaign_on(prospects)
    with database.transaction() as enrolling:
        assert walks.enroll(enrolling, campaign) == 1
        suppress(database, house, "address", "ada@example.com", "unsubscribed")
    assert house.walkers(campaign) == {"ada@example.com": "waiting"}
    with database.transaction() as db:
        assert walks.end(db, [ada], WalkOutcome.UNSUBSCRIBED, house.workspace) == 1
        assert walks.enroll(db, later) == 0


def test_who_leaves_in_many_campaigns_at_once_waits_for_nobody_for_ever(database, house, together):
    """Locks in one order: entries, ends and sends of the same leads at the same moment all come through, each mail marked before or not at all."""
    sender = house.sender()
    made = house.leads(*(f"p{n}@example.com" for n in range(12)))
    campaigns = [house.campaign_on(leads=made) for _ in range(3)]
    deliveries = [
        (campaign, lead, house.planned(campaign, lead, "rendered", sender=sender))
        for campaign in campaigns
        for lead in made
    ]

    def leave(leads):
        for lead in leads:
            suppress(database, house, "address", f"p{made.index(lead)}@example.com", "unsubscribed")

    def ban():
        suppress(database, house, "domain", "example.com")

    def mark(order):
        for campaign, lead, delivery in order:
            with database.transaction() as db:
                walk = db.execute(
                    "SELECT state FROM campaign_leads WHERE campaign_id = %s AND lead_id = %s AND state = 'in_flight' FOR NO KEY UPDATE",
                    (campaign, lead),
                ).fetchone()
                if walk:
                    db.execute(
                        "UPDATE deliveries SET state = 'sending', sending_at = now() WHERE id = %s AND state = 'rendered'",
                        (delivery,),
                    )

    together(
        lambda: leave(made), lambda: leave(made[::-1]), ban, lambda: mark(deliveries), lambda: mark(deliveries[::-1]),
    )  # fmt: skip
    states = {row["state"] for row in house.all("SELECT state FROM deliveries")}
    assert states <= {"sending", "cancelled"}
    assert house.all("SELECT * FROM campaign_leads WHERE state <> 'ended'") == []


def test_a_mail_is_marked_before_the_answer_or_never(database, house, together):
    """The send path's own mark against an unsubscribe, many times: after the unsubscribe has committed, no mark succeeds."""
    sender = house.sender(limit=1_000)
    made = house.leads(*(f"p{n}@example.com" for n in range(30)))
    campaign = house.campaign_on(leads=made)
    for n, lead in enumerate(made):
        delivery = house.planned(campaign, lead, "rendered", sender=sender)

        def mark(delivery=delivery, lead=lead):
            with database.transaction() as db:
                db.execute(
                    "SELECT FROM campaign_leads WHERE campaign_id = %s AND lead_id = %s FOR NO KEY UPDATE",
                    (campaign, lead),
                )
                return db.execute(
                    """UPDATE deliveries d SET state = 'sending', sending_at = clock_timestamp()
                       FROM campaign_leads cl JOIN leads l ON l.id = cl.lead_id
                       WHERE d.id = %s AND cl.campaign_id = d.campaign_id AND cl.lead_id = d.lead_id AND cl.state = 'in_flight' AND d.state = 'rendered'
                         AND NOT EXISTS (SELECT FROM suppressions s WHERE s.value = l.email)
                       RETURNING d.sending_at""",
                    (delivery,),
                ).fetchone()

        def leave(n=n):
            suppress(database, house, "address", f"p{n}@example.com", "unsubscribed")
            return house.one("SELECT clock_timestamp()")

        marked, answered = together(mark, leave)
        assert marked is None or marked["sending_at"] < answered
        assert house.delivery(campaign, lead)["state"] == ("sending" if marked else "cancelled")
