"""Campaigns: made, changed under a hold, started and paused; what was mailed stays."""

import threading
from functools import partial

import pytest

from cleanmails.errors import NotFoundError, StateError
from cleanmails.ledger import campaigns, imports
from cleanmails.records import CampaignStatus, DeliveryState, OnSenderLoss, Step, Trigger

SETTINGS = {
    "name": "Spring", "check_reply": True, "stop_company_on_reply": False, "track_opens": False, "track_clicks": False, "schedule": None, "launch_at": None,
    "max_new_leads_per_day": None, "on_sender_loss": "wait", "missing_field": "hold", "promote_winner": None,
    "skip_validation": ["disposable"],
}  # fmt: skip


def step(position, body="<p>Hi</p>", **rest):
    return Step(position=position, subjects=("Hello",), body=body, **rest)


@pytest.fixture
def made(database, house):
    """A draft with one step, one list of two leads and one sender."""
    sender = house.sender()
    prospects = house.list(*house.leads("ada@example.com", "bob@example.com"))
    with database.transaction() as db:
        campaign = campaigns.create(db, house.workspace, "Spring")
        campaigns.write(db, campaign, SETTINGS)
        campaigns.put_steps(db, campaign, [step(0)])
        current = campaigns.hold(db, house.workspace, campaign, [prospects])
        campaigns.put_lists(db, house.workspace, current, [prospects])
        campaigns.put_senders(db, house.workspace, campaign, [sender], OnSenderLoss.WAIT)
    return campaign


def read(database, house, campaign):
    with database.transaction() as db:
        return campaigns.read(db, house.workspace, campaign)


def start(database, house, campaign):
    with database.transaction() as db:
        campaigns.hold(db, house.workspace, campaign)
        campaigns.start(db, house.workspace, campaign, user_id=3)


def pause(database, house, campaign):
    with database.transaction() as db:
        campaigns.hold_marks(db, house.workspace, campaign)
        campaigns.hold(db, house.workspace, campaign)
        campaigns.pause(db, house.workspace, campaign, user_id=3)


def test_a_campaign_is_read_whole(database, house, made):
    row = read(database, house, made)
    assert (row["name"], row["status"], row["version"], row["run"], row["started_at"]) == (
        "Spring",
        "draft",
        1,
        0,
        None,
    )
    assert [(each["name"], row["senders"][0]["address"]) for each in row["lists"]] == [
        ("Prospects", "ann@acme.example")
    ]
    assert row["steps"] == [
        {
            "position": 0,
            "subjects": ["Hello"],
            "body": "<p>Hi</p>",
            "wait_days": 0,
            "wait_hours": 0,
            "trigger_condition": "always",
        }
    ]


def test_a_campaign_of_another_workspace_is_not_there(database, house, made):
    for attempt in (campaigns.read, campaigns.hold, campaigns.hold_marks, partial(campaigns.delete, user_id=None)):
        with database.transaction() as db, pytest.raises(NotFoundError):
            attempt(db, house.workspace + 1, made)
    with database.transaction() as db:
        assert campaigns.page(db, house.workspace + 1, status=None, after=None, limit=9) == []
        assert campaigns.deliveries(db, house.workspace + 1, made, state=None, after=None, limit=9) == []


def test_campaigns_come_in_pages_and_by_status(database, house, made):
    others = [house.campaign_on(), house.campaign_on(status="draft")]
    with database.transaction() as db:
        assert [row["id"] for row in campaigns.page(db, house.workspace, status=None, after=made, limit=9)] == others
        drafts = campaigns.page(db, house.workspace, status=CampaignStatus.DRAFT, after=None, limit=9)
        assert [row["id"] for row in drafts] == [made, others[1]]


def test_a_step_that_changes_gets_a_version_that_its_place_never_had(database, house, made):
    seen = set()
    for steps in ([step(0), step(1)], [step(0, "new"), step(1)], [step(0, "new")], [step(0, "new"), step(1)]):
        with database.transaction() as db:
            campaigns.write(db, made, SETTINGS)
            campaigns.put_steps(db, made, steps)
        rows = house.all("SELECT position, body, version FROM steps ORDER BY position")
        assert [(row["position"], row["body"]) for row in rows] == [(each.position, each.body) for each in steps]
        seen |= {(row["position"], row["version"], row["body"]) for row in rows}
    places = [(position, version) for position, version, _ in seen]
    assert len(places) == len(set(places))
    assert len([place for place in places if place[0] == 0]) == 2


def test_all_of_a_step_is_kept(database, house, made):
    full = Step(position=1, subjects=(), body="<p>Again</p>", wait_days=3, wait_hours=4, trigger=Trigger.NOT_OPENED)
    with database.transaction() as db:
        campaigns.put_steps(db, made, [step(0), full])
    [_, row] = read(database, house, made)["steps"]
    assert row == {
        "position": 1,
        "subjects": [],
        "body": "<p>Again</p>",
        "wait_days": 3,
        "wait_hours": 4,
        "trigger_condition": "not_opened",
    }


def test_a_start_begins_a_run_and_everybodys_walk(database, house, made):
    start(database, house, made)
    row = read(database, house, made)
    assert (row["status"], row["run"], row["version"], row["started_at"] is None) == ("running", 1, 2, False)
    assert house.walkers(made) == {"ada@example.com": "waiting", "bob@example.com": "waiting"}
    assert house.all("SELECT run, sent, bounced FROM campaign_runs") == [{"run": 1, "sent": 0, "bounced": 0}]
    [event] = house.events("campaign.started")
    assert (event["campaign_id"], event["data"]) == (made, {"run": 1, "enrolled": 2, "user_id": 3})


def test_a_running_campaign_is_not_started_again(database, house, made):
    start(database, house, made)
    with pytest.raises(StateError):
        start(database, house, made)


def test_a_resume_counts_anew_and_takes_who_came_meanwhile(database, house, made, arrival):
    start(database, house, made)
    house.run("UPDATE campaign_runs SET sent = 30, bounced = 5")
    pause(database, house, made)
    assert read(database, house, made)["status"] == "paused"
    [prospects] = [row["id"] for row in read(database, house, made)["lists"]]
    with database.transaction() as db:
        imports.take(db, house.workspace, prospects, [arrival("cid@example.com")])
    assert "cid@example.com" not in house.walkers(made)
    start(database, house, made)
    assert house.walkers(made)["cid@example.com"] == "waiting"
    assert house.all("SELECT run, sent FROM campaign_runs ORDER BY run") == [
        {"run": 1, "sent": 30},
        {"run": 2, "sent": 0},
    ]
    assert [event["data"]["run"] for event in house.events("campaign.started", "campaign.resumed")] == [1, 2]
    assert [event["data"]["user_id"] for event in house.events("campaign.paused")] == [3]


def test_a_list_that_comes_brings_its_leads_and_one_that_goes_takes_its_own(database, house, made):
    start(database, house, made)
    ada = house.one("SELECT id FROM leads WHERE email = 'ada@example.com'")
    more = house.list(ada, *house.leads("cid@example.com"), name="More")
    with database.transaction() as db:
        current = campaigns.hold(db, house.workspace, made, [more])
        campaigns.put_lists(db, house.workspace, current, [more])
    assert house.walkers(made) == {
        "ada@example.com": "waiting",
        "bob@example.com": "ended",
        "cid@example.com": "waiting",
    }


def test_a_draft_attaches_lists_and_nobody_walks(database, house, made):
    assert house.walkers(made) == {}


@pytest.mark.parametrize(("loss", "left"), [(OnSenderLoss.REASSIGN, None), (OnSenderLoss.WAIT, "its own")])
def test_follow_ups_of_a_sender_that_goes(database, house, made, loss, left):
    start(database, house, made)
    old, new = house.one("SELECT sender_id FROM campaign_senders"), house.sender("new@acme.example")
    house.run("UPDATE campaign_leads SET sender_id = %s", old)
    with database.transaction() as db:
        campaigns.hold(db, house.workspace, made)
        campaigns.put_senders(db, house.workspace, made, [new], loss)
    assert {row["sender_id"] for row in house.all("SELECT sender_id FROM campaign_leads")} == {old if left else None}


def test_known_is_what_the_workspace_has_and_uses(database, house):
    mine, old = house.list(name="Mine"), house.list(name="Old")
    house.run("UPDATE lists SET archived_at = now() WHERE id = %s", old)
    sender, gone = house.sender("a@acme.example"), house.sender("b@acme.example")
    house.run("UPDATE senders SET deleted_at = now() WHERE id = %s", gone)
    with database.transaction() as db:
        assert campaigns.known_lists(db, house.workspace, [mine, old, 999]) == {mine}
        assert campaigns.known_senders(db, house.workspace, [sender, gone, 999]) == {sender}
        assert (
            campaigns.known_lists(db, house.workspace + 1, [mine])
            == campaigns.known_senders(db, house.workspace + 1, [sender])
            == set()
        )


def test_the_audience_is_who_may_be_mailed_and_what_they_lack(database, house, made):
    house.run(
        """UPDATE leads SET first_name = ' ', fields = '{"city": "Rome", "plan": ""}' WHERE email = 'ada@example.com'"""
    )
    house.run("INSERT INTO list_leads SELECT l.id, x.id FROM lists l, leads x ON CONFLICT DO NOTHING")
    with database.transaction() as db:
        found = campaigns.audience(db, house.workspace, made, ["city", "plan", "nothing"])
        assert found == {
            "leads": 2,
            "first_name": 1,
            "last_name": 0,
            "company": 2,
            "fields": {"city": 1, "plan": 0, "nothing": 0},
        }
    house.run("UPDATE leads SET status = 'bounced' WHERE email = 'bob@example.com'")
    house.run(
        "INSERT INTO suppressions (workspace_id, kind, value, reason) VALUES (%s, 'address', 'ada@example.com', 'manual')",
        house.workspace,
    )
    with database.transaction() as db:
        assert campaigns.audience(db, house.workspace, made, ["city"]) == {
            "leads": 0,
            "first_name": 0,
            "last_name": 0,
            "company": 0,
            "fields": {},
        }


def test_a_campaign_that_never_mailed_is_forgotten(database, house, made):
    start(database, house, made)
    with database.transaction() as db, pytest.raises(StateError) as caught:
        campaigns.delete(db, house.workspace, made, user_id=None)
    assert caught.value.code == "campaign_running"
    pause(database, house, made)
    with database.transaction() as db:
        campaigns.delete(db, house.workspace, made, user_id=None)
    assert house.all("SELECT * FROM campaign_leads") == house.all("SELECT * FROM campaigns") == []


def test_a_campaign_that_mailed_is_kept(database, house, made):
    start(database, house, made)
    ada = house.one("SELECT id FROM leads WHERE email = 'ada@example.com'")
    house.planned(made, ada, "sent", sender=house.one("SELECT id FROM senders"))
    pause(database, house, made)
    with database.transaction() as db, pytest.raises(StateError) as caught:
        campaigns.delete(db, house.workspace, made, user_id=None)
    assert caught.value.code == "was_mailed"


def test_deliveries_come_in_pages_by_lead_and_step(database, house, made):
    start(database, house, made)
    sender = house.one("SELECT id FROM senders")
    leads = [row["id"] for row in house.all("SELECT id FROM leads ORDER BY id")]
    for lead in leads:
        for position, state in ((0, "sent"), (1, "held")):
            house.planned(made, lead, state, sender=sender, step=position)
    places = [(lead, position) for lead in leads for position in (0, 1)]
    seen, after = [], None
    with database.transaction() as db:
        while rows := campaigns.deliveries(db, house.workspace, made, state=None, after=after, limit=3):
            seen += [(row["lead_id"], row["step"]) for row in rows]
            after = rows[-1]["cursor"]
        assert seen == places
        held = campaigns.deliveries(db, house.workspace, made, state=DeliveryState.HELD, after=None, limit=9)
    assert [(row["email"], row["step"], row["sender"], row["reason"]) for row in held] == [
        ("ada@example.com", 1, "ann@acme.example", "why"),
        ("bob@example.com", 1, "ann@acme.example", "why"),
    ]


def test_a_pause_waits_for_the_mark_that_is_being_made_and_holds_off_the_next(database, house, made):
    start(database, house, made)
    marking, go_on, order = threading.Event(), threading.Event(), []

    def mark():
        with database.transaction() as db:
            db.execute("SELECT pg_advisory_xact_lock_shared(1, %s::integer)", (made,))
            marking.set()
            go_on.wait(timeout=30)
            order.append("marked")

    marker = threading.Thread(target=mark)
    pauser = threading.Thread(target=lambda: (pause(database, house, made), order.append("paused")))
    marker.start()
    marking.wait(timeout=30)
    pauser.start()
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while not house.one(waiting):
        assert pauser.is_alive()
    go_on.set()
    marker.join(timeout=30)
    pauser.join(timeout=30)
    assert order == ["marked", "paused"]


def test_no_lead_falls_between_a_growing_list_and_a_starting_campaign(database, house, made, together, arrival):
    """The campaign's own start and pause, against leads that join one by one."""
    [prospects] = [row["id"] for row in read(database, house, made)["lists"]]

    def join(numbers):
        for n in numbers:
            with database.transaction() as db:
                imports.take(db, house.workspace, prospects, [arrival(f"p{n}@example.com")])

    def start_and_pause():
        for _ in range(10):
            start(database, house, made)
            pause(database, house, made)
        start(database, house, made)

    together(start_and_pause, lambda: join(range(30)), lambda: join(range(30, 60)))
    assert len(house.walkers(made)) == 62
