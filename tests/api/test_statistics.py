"""Statistics over HTTP: what events add up to, with denominators, for one's own workspace only."""

import json

import pytest

from cleanmails.actors import figures
from cleanmails.ledger import figures as kept
from cleanmails.ledger import invariants
from tests.ledger.conftest import Rows
from tests.stream import count_all


@pytest.fixture
def house(database_url, owner):
    made = Rows(database_url)
    made.workspace = owner
    yield made
    made.db.close()


@pytest.fixture
def campaign(house):
    """A campaign whose four first mails were sent, two under each subject, by two senders; the campaign and the deliveries."""
    leads = house.leads("a@x.example", "b@x.example", "c@x.example", "d@x.example")
    made = house.campaign_on(house.list(*leads), leads=leads, track_opens=True)
    house.run("UPDATE steps SET subjects = ARRAY['One', 'Two'] WHERE campaign_id = %s", made)
    senders = [house.sender("ann@acme.example"), house.sender("ben@acme.example")]
    sent = [house.planned(made, lead, "sent", sender=senders[n // 2]) for n, lead in enumerate(leads)]
    for n, delivery in enumerate(sent):
        house.run("UPDATE deliveries SET subject_index = %s WHERE id = %s", n % 2, delivery)
    return made, sent, leads


@pytest.fixture
def tell(house, campaign):
    """Writes an event of the nth mail."""

    def event(kind, n, at="now", **data):
        made, sent, leads = campaign
        house.run(
            "INSERT INTO events (at, workspace_id, type, campaign_id, lead_id, delivery_id, data) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            at, house.workspace, kind, made, leads[n], sent[n], json.dumps(data),
        )  # fmt: skip

    return event


def counts(figures):
    names = ("delivered", "bounced", "opened", "clicked", "replied", "unsubscribed")
    shares = {name: figures[name]["count"] for name in names if figures[name]["count"]}
    return {"sent": figures["sent"]} | shares


def sound(database):
    with database.transaction() as db:
        return invariants.violations(db, next(i for i in invariants.INVARIANTS if i.name == "figures_add_up")) == []


def test_a_campaign_is_counted_by_step_subject_sender_and_day(api, database, campaign, tell):
    for n in range(4):
        tell("email.sent", n)
    tell("email.opened", 0, verdict="human", was=None)
    tell("email.clicked", 0, verdict="human", was=None)
    tell("email.opened", 1, verdict="machine", was=None)
    tell("email.opened", 2, verdict="unknown", was=None)
    tell("email.replied", 0)
    tell("email.replied", 0)
    tell("lead.unsubscribed", 2)
    tell("email.bounced", 3)
    count_all(database, limit=3)
    found = api.get(f"/v1/outreach/campaigns/{campaign[0]}/statistics").json()
    expected = {"sent": 4, "delivered": 3, "bounced": 1, "opened": 1, "clicked": 1, "replied": 1, "unsubscribed": 1}
    assert counts(found["totals"]) == expected
    assert found["totals"]["opened"] == {"count": 1, "of": 3, "denominator": "delivered", "percent": 33.33}
    assert found["totals"]["bounced"] == {"count": 1, "of": 4, "denominator": "sent", "percent": 25.0}
    assert (found["totals"]["opened_by_machines"], found["totals"]["opened_by_unknown"]) == (1, 1)
    [step] = found["steps"]
    assert counts(step["figures"]) == expected
    assert [(each["index"], each["subject"], each["figures"]["sent"]) for each in step["subjects"]] == [
        (0, "One", 2),
        (1, "Two", 2),
    ]
    assert [(each["address"], each["figures"]["replied"]["count"]) for each in found["senders"]] == [
        ("ann@acme.example", 1),
        ("ben@acme.example", 0),
    ]
    assert [counts(each["figures"]) for each in found["days"]] == [expected]
    assert (found["track_opens"], found["track_clicks"]) == (True, False)
    assert sound(database)


def test_a_verdict_that_changes_moves_the_mail(api, database, campaign, tell):
    tell("email.sent", 0)
    tell("email.opened", 0, verdict="machine", was=None)
    count_all(database)
    tell("email.opened", 0, verdict="human", was="machine")
    count_all(database)
    totals = api.get(f"/v1/outreach/campaigns/{campaign[0]}/statistics").json()["totals"]
    assert (totals["opened"]["count"], totals["opened_by_machines"]) == (1, 0)


def test_a_bounce_at_the_door_was_handed_in_too(api, database, campaign, tell):
    tell("email.bounced", 0)
    tell("email.sent", 1)
    tell("email.bounced", 1)
    tell("email.bounced", 1)
    count_all(database)
    totals = api.get(f"/v1/outreach/campaigns/{campaign[0]}/statistics").json()["totals"]
    assert counts(totals) == {"sent": 2, "bounced": 2}
    assert totals["opened"]["percent"] is None


def test_counting_again_counts_nothing_twice(database, house, campaign, tell):
    for n in range(4):
        tell("email.sent", n)
    count_all(database)
    count_all(database)
    before = house.all("SELECT * FROM figures ORDER BY scope, step, subject, sender_id, day")
    house.run("UPDATE figures SET sent = sent + 1 WHERE scope = 'day'")
    assert not sound(database)
    assert figures.recount_all(database, limit=2) == 4
    assert house.all("SELECT * FROM figures ORDER BY scope, step, subject, sender_id, day") == before
    assert sound(database)


def test_what_an_open_transaction_may_get_in_front_of_waits(database, house, database_url, campaign, tell):
    import psycopg

    with psycopg.connect(database_url) as slow:
        slow.execute("SELECT pg_current_xact_id()")
        tell("email.sent", 0)
        figures.count(database)
        assert house.all("SELECT * FROM figures") == []
    count_all(database)
    assert house.one("SELECT sent FROM figures WHERE scope = 'day'") == 1


def test_the_workspace_has_every_day_of_a_span(api, database, house, campaign, tell):
    tell("email.sent", 0, at="2026-03-02T23:59:59Z")
    tell("email.sent", 1, at="2026-03-03T00:00:00Z")
    tell("email.opened", 0, at="2026-03-04T10:00:00Z", verdict="human", was=None)
    count_all(database)
    found = api.get("/v1/outreach/statistics?since=2026-03-01&until=2026-03-04").json()
    assert [(each["day"], counts(each["figures"])) for each in found["days"]] == [
        ("2026-03-01", {"sent": 0}),
        ("2026-03-02", {"sent": 1, "delivered": 1}),
        ("2026-03-03", {"sent": 1, "delivered": 1}),
        ("2026-03-04", {"sent": 0, "opened": 1}),
    ]
    assert counts(found["totals"]) == {"sent": 2, "delivered": 2, "opened": 1}
    assert len(api.get("/v1/outreach/statistics").json()["days"]) == 30
    assert api.get("/v1/outreach/statistics?since=2026-03-05&until=2026-03-04").status_code == 400


def test_every_sender_is_listed(api, database, campaign, tell):
    tell("email.sent", 0)
    count_all(database)
    first = api.get("/v1/outreach/statistics/senders?limit=1").json()
    rest = api.get(f"/v1/outreach/statistics/senders?after={first['next']}").json()
    assert [(each["address"], each["figures"]["sent"]) for each in (*first["items"], *rest["items"])] == [
        ("ann@acme.example", 1),
        ("ben@acme.example", 0),
    ]


def test_strangers_see_nothing(stranger, database, campaign, tell):
    tell("email.sent", 0)
    count_all(database)
    assert stranger.get(f"/v1/outreach/campaigns/{campaign[0]}/statistics").status_code == 404
    assert stranger.get("/v1/outreach/statistics").json()["totals"]["sent"] == 0
    assert stranger.get("/v1/outreach/statistics/senders").json()["items"] == []


def test_one_counts_at_a_time(database, tell):
    tell("email.sent", 0)
    with database.transaction() as db:
        assert kept.try_count(db)
        assert not figures.count(database, limit=1)
