"""Walks: who begins one, and how all of one lead's walks end at once."""

import threading
from datetime import UTC, datetime

import pytest

from cleanmails.ledger import campaigns, deliveries, imports, leads, lists, walks
from cleanmails.ledger.deliveries import Rendered
from cleanmails.records import WalkOutcome, WalkState


def test_everybody_on_the_lists_begins_once(db, house):
    ada, bob = house.leads("ada@example.com", "bob@example.com")
    campaign = house.campaign_on(house.list(ada, bob, name="One"), house.list(bob, name="Two"))
    assert walks.enroll(db, campaign) == 2
    assert walks.enroll(db, campaign) == 0
    [first, _] = walks.page(db, house.workspace, campaign, state=None, after=None, limit=10)
    assert (first["email"], first["state"], first["step"], first["sender_id"]) == (
        "ada@example.com",
        "waiting",
        0,
        None,
    )


def test_who_may_not_be_mailed_does_not_begin(db, house):
    house.leads(
        "left@example.com",
        "bad@example.com",
        "wrong@example.com",
        "named@example.com",
        "ada@banned.example",
        "ada@example.com",
    )
    house.run("UPDATE leads SET status = 'unsubscribed' WHERE email = 'left@example.com'")
    house.run("UPDATE leads SET status = 'bounced' WHERE email = 'bad@example.com'")
    house.run("UPDATE leads SET validation = 'invalid' WHERE email = 'wrong@example.com'")
    for kind, value in (("address", "named@example.com"), ("domain", "banned.example")):
        house.run(
            "INSERT INTO suppressions (workspace_id, kind, value, reason) VALUES (%s, %s, %s, 'manual')",
            house.workspace,
            kind,
            value,
        )
    everybody = [row["id"] for row in house.all("SELECT id FROM leads")]
    campaign = house.campaign_on(house.list(*everybody))
    assert walks.enroll(db, campaign) == 1
    assert [row["email"] for row in walks.page(db, house.workspace, campaign, state=None, after=None, limit=9)] == [
        "ada@example.com"
    ]


def test_a_launch_in_the_future_is_waited_for(db, house):
    campaign = house.campaign_on(house.list(*house.leads("ada@example.com")), launch_at="2090-01-01")
    walks.enroll(db, campaign)
    assert walks.page(db, house.workspace, campaign, state=None, after=None, limit=9)[0]["due_at"].year == 2090


@pytest.mark.parametrize("state", ["planned", "rendered", "deferred", "held"])
def test_an_end_cancels_what_was_prepared(database, house, state):
    [ada] = house.leads("ada@example.com")
    campaign = house.campaign_on(leads=[ada])
    house.planned(campaign, ada, state, sender=house.sender())
    with database.transaction() as db:
        assert walks.end(db, [ada], WalkOutcome.UNSUBSCRIBED, house.workspace) == 1
    walk, delivery = house.walk(campaign, ada), house.delivery(campaign, ada)
    assert (walk["state"], walk["outcome"], walk["due_at"], walk["ended_at"] is None) == (
        "ended",
        "unsubscribed",
        None,
        False,
    )
    assert (delivery["state"], delivery["reason"], delivery["settled_at"] is None) == (
        "cancelled",
        "unsubscribed",
        False,
    )
    assert house.all("SELECT * FROM mails") == []


@pytest.mark.parametrize("state", ["sending", "sent", "unknown"])
def test_a_mail_that_may_be_out_is_left_alone(database, house, state):
    [ada] = house.leads("ada@example.com")
    campaign = house.campaign_on(leads=[ada])
    house.planned(campaign, ada, state, sender=house.sender())
    with database.transaction() as db:
        assert walks.end(db, [ada], WalkOutcome.REPLIED, house.workspace) == 1
    assert house.delivery(campaign, ada)["state"] == state
    assert house.all("SELECT * FROM mails") != []


def test_an_end_is_for_all_campaigns_of_the_workspace_and_for_good(database, house):
    ada, bob = house.leads("ada@example.com", "bob@example.com")
    campaigns = [house.campaign_on(leads=[ada, bob]) for _ in range(3)]
    with database.transaction() as db:
        assert walks.end(db, [ada], WalkOutcome.SUPPRESSED, house.workspace + 1) == 0
        assert walks.end(db, [ada], WalkOutcome.SUPPRESSED, house.workspace) == 3
        assert walks.end(db, [ada], WalkOutcome.BOUNCED, house.workspace) == 0
    for campaign in campaigns:
        assert house.walkers(campaign) == {"ada@example.com": "ended", "bob@example.com": "waiting"}
        assert house.walk(campaign, ada)["outcome"] == "suppressed"


def test_a_held_walk_ends_like_any_other(database, house):
    [ada] = house.leads("ada@example.com")
    campaign = house.campaign_on(leads=[ada])
    house.run("UPDATE campaign_leads SET state = 'held', due_at = NULL, hold_reason = 'missing_field: COMPANY'")
    with database.transaction() as db:
        walks.end(db, [ada], WalkOutcome.UNSUBSCRIBED, house.workspace)
    assert house.walk(campaign, ada)["hold_reason"] is None


def test_strays_end_when_no_list_of_the_campaign_has_them(database, house):
    ada, bob = house.leads("ada@example.com", "bob@example.com")
    campaign = house.campaign_on(house.list(ada), leads=[ada, bob])
    house.planned(campaign, bob, "planned", sender=house.sender())
    with database.transaction() as db:
        assert walks.end_strays(db, [campaign]) == 1
    assert house.walkers(campaign) == {"ada@example.com": "waiting", "bob@example.com": "ended"}
    assert house.delivery(campaign, bob)["reason"] == "removed"


def test_walks_without_their_sender_are_free_to_take_another(database, house):
    ada, bob = house.leads("ada@example.com", "bob@example.com")
    kept, gone = house.sender("kept@acme.example"), house.sender("gone@acme.example")
    campaign = house.campaign_on(leads=[ada, bob])
    house.run("INSERT INTO campaign_senders VALUES (%s, %s, %s)", house.workspace, campaign, kept)
    house.run("UPDATE campaign_leads SET sender_id = %s WHERE lead_id = %s", kept, ada)
    house.run("UPDATE campaign_leads SET sender_id = %s WHERE lead_id = %s", gone, bob)
    with database.transaction() as db:
        assert walks.free_of_senders(db, campaign) == 1
    assert (house.walk(campaign, ada)["sender_id"], house.walk(campaign, bob)["sender_id"]) == (kept, None)


def test_walks_are_listed_by_state_in_pages(db, house):
    made = house.leads(*(f"p{n}@example.com" for n in range(5)))
    campaign = house.campaign_on(leads=made)
    house.run("UPDATE campaign_leads SET state = 'held', due_at = NULL, hold_reason = 'x' WHERE lead_id = %s", made[1])
    [held] = walks.page(db, house.workspace, campaign, state=WalkState.HELD, after=None, limit=9)
    assert (held["lead_id"], held["hold_reason"]) == (made[1], "x")
    first = walks.page(db, house.workspace, campaign, state=None, after=None, limit=2)
    rest = walks.page(db, house.workspace, campaign, state=None, after=first[-1]["lead_id"], limit=9)
    assert [row["lead_id"] for row in [*first, *rest]] == made
    assert walks.page(db, house.workspace + 1, campaign, state=None, after=None, limit=9) == []


def test_no_lead_falls_between_a_growing_list_and_a_starting_campaign(database, house, together, arrival):
    """Forty times: a lead joins while its list's campaign starts; whoever is first, the lead walks."""
    for n in range(40):
        made = house.list(name=f"L{n}")
        campaign = house.campaign_on(made, status="draft")

        def start(campaign=campaign, made=made):
            with database.transaction() as db:
                lists.hold_exclusive(db, house.workspace, [made])
                db.execute(
                    "UPDATE campaigns SET status = 'running', started_at = now(), run = 1 WHERE id = %s", (campaign,)
                )
                return walks.enroll(db, campaign)

        def join(made=made, n=n):
            with database.transaction() as db:
                return imports.take(db, house.workspace, made, [arrival(f"p{n}@example.com")])

        together(start, join)
        assert house.walkers(campaign) == {f"p{n}@example.com": "waiting"}


def test_whoever_goes_takes_the_mails_that_were_made_along(house):
    sender = house.sender("ann@acme.example")
    ada, bob = house.leads("ada@b.example", "bob@b.example")
    campaign = house.campaign_on(status="paused", leads=[ada, bob])
    for lead in (ada, bob):
        house.planned(campaign, lead, "rendered", sender=sender)
    house.run(
        "INSERT INTO attempts SELECT id, 1, workspace_id, sender_id, 'refused', 'rcpt', 451, NULL, '', NULL, NULL, NULL, now(), now() FROM deliveries"
    )
    with house.db.transaction():
        leads.delete(house.db, house.workspace, ada)
    assert [house.one(f"SELECT count(*) FROM {table}") for table in ("deliveries", "mails", "attempts")] == [1, 1, 1]
    with house.db.transaction():
        campaigns.delete(house.db, house.workspace, campaign, user_id=None)
    assert [house.one(f"SELECT count(*) FROM {table}") for table in ("deliveries", "mails", "attempts")] == [0, 0, 0]


@pytest.mark.parametrize("goes", ["walk", "lead", "campaign"])
def test_bytes_that_were_being_written_go_too(database, house, goes):
    """A render worker holds the delivery alone: whoever ends or deletes its walk waits for it, and must see what it wrote meanwhile."""
    [ada] = house.leads("ada@b.example")
    campaign = house.campaign_on(status="paused", leads=[ada])
    delivery = house.planned(campaign, ada, sender=house.sender("ann@acme.example"))
    now = datetime.now(UTC)
    mail = Rendered(
        id=delivery, token=1, raw=b"bytes", hash=b"", message_id="<1@acme.example>", mail_date=now, subject="Hi", subject_index=0, starts_thread=True
    )  # fmt: skip
    acts = {
        "walk": lambda db: walks.end(db, [ada], WalkOutcome.UNSUBSCRIBED, house.workspace),
        "lead": lambda db: leads.delete(db, house.workspace, ada),
        "campaign": lambda db: campaigns.delete(db, house.workspace, campaign, user_id=None),
    }

    def go():
        with database.transaction() as db:
            acts[goes](db)

    going = threading.Thread(target=go)
    with database.transaction() as db:
        deliveries.write_rendered(db, now, [mail])
        going.start()
        while not house.one("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            assert going.is_alive()
    going.join(timeout=30)
    assert house.all("SELECT state FROM deliveries") == ([{"state": "cancelled"}] if goes == "walk" else [])
    assert house.all("SELECT * FROM mails") == []
