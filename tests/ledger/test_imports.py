"""Imports: every row gets a verdict, the totals add up, and nothing gets round a suppression."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanmails.errors import NotFoundError, StateError
from cleanmails.ledger import imports
from cleanmails.ledger.imports import Totals
from cleanmails.records import Arrival


def take(database, house, *arrivals, into=None):
    with database.transaction() as db:
        return imports.take(db, house.workspace, into, arrivals)


def members(house, list_id):
    return [
        row["lead_id"] for row in house.all("SELECT lead_id FROM list_leads WHERE list_id = %s ORDER BY 1", list_id)
    ]


def test_a_row_with_a_new_address_makes_a_lead(database, house, arrival):
    made = house.list()
    row = arrival(
        "ada@example.com", first_name="Ada", last_name="Lovelace", company="Engines", fields={"city": "London"}
    )
    assert take(database, house, row, into=made) == Totals(1, 1, 0, 0, 0, 0)
    [lead] = house.all("SELECT * FROM leads")
    assert (lead["email"], lead["domain"], lead["first_name"], lead["last_name"]) == (
        "ada@example.com",
        "example.com",
        "Ada",
        "Lovelace",
    )
    assert (lead["company"], lead["fields"], lead["status"]) == ("Engines", {"city": "London"}, "active")
    assert members(house, made) == [lead["id"]]


def test_a_new_lead_is_told_of_once(database, house, arrival):
    made = house.list()
    take(database, house, arrival("ada@example.com"), into=made)
    take(database, house, arrival("ada@example.com"), into=made)
    [event] = house.events("lead.created")
    assert event["data"] == {"list_id": made}


def test_what_a_row_says_goes_over_what_was_known_and_what_it_leaves_empty_stays(database, house, arrival):
    take(
        database,
        house,
        arrival("ada@example.com", first_name="A.", company="Engines", fields={"city": "London", "plan": "old"}),
    )
    again = arrival("ada@example.com", first_name="Ada", fields={"plan": "new"})
    assert take(database, house, again) == Totals(1, 0, 1, 0, 0, 0)
    [lead] = house.all("SELECT * FROM leads")
    assert (lead["first_name"], lead["company"], lead["fields"]) == (
        "Ada",
        "Engines",
        {"city": "London", "plan": "new"},
    )
    assert lead["updated_at"] > lead["created_at"]


def test_a_row_that_says_nothing_new_touches_nothing(database, house, arrival):
    row = arrival("ada@example.com", first_name="Ada", fields={"city": "London"})
    take(database, house, row)
    before = house.all("SELECT xmin::text, * FROM leads")
    assert take(database, house, row).updated == 1
    assert house.all("SELECT xmin::text, * FROM leads") == before


def test_the_first_of_two_rows_with_one_address_is_taken(database, house, arrival):
    rows = [arrival("ada@example.com", 7, first_name="Second"), arrival("ada@example.com", 3, first_name="First")]
    assert take(database, house, *rows) == Totals(2, 1, 0, 1, 0, 0)
    assert house.all("SELECT first_name FROM leads") == [{"first_name": "First"}]


@pytest.mark.parametrize(("kind", "value"), [("address", "ada@example.com"), ("domain", "example.com")])
def test_a_suppressed_address_or_domain_is_counted_and_not_added(database, house, arrival, kind, value):
    house.run(
        "INSERT INTO suppressions (workspace_id, kind, value, reason) VALUES (%s, %s, %s, 'manual')",
        house.workspace,
        kind,
        value,
    )
    made = house.list()
    assert take(database, house, arrival("ada@example.com"), into=made) == Totals(1, 0, 0, 0, 1, 0)
    assert house.all("SELECT id FROM leads") == []


def test_a_domain_stands_for_itself_alone(database, house, arrival):
    house.run(
        "INSERT INTO suppressions (workspace_id, kind, value, reason) VALUES (%s, 'domain', 'example.com', 'manual')",
        house.workspace,
    )
    assert take(database, house, arrival("ada@mail.example.com"), arrival("bob@notexample.com", 2)).created == 2


@pytest.mark.parametrize("status", ["unsubscribed", "bounced"])
def test_no_import_undoes_what_a_lead_is(database, house, arrival, status):
    [lead] = house.leads("ada@example.com")
    house.run("UPDATE leads SET status = %s", status)
    made = house.list()
    assert take(database, house, arrival("ada@example.com", first_name="Ada"), into=made) == Totals(1, 0, 0, 0, 1, 0)
    assert members(house, made) == []
    assert house.all("SELECT id, status, first_name FROM leads") == [
        {"id": lead, "status": status, "first_name": "Bob"}
    ]


def test_suppressions_of_another_workspace_are_nobodys_business(database, house, arrival):
    other = house.one("INSERT INTO workspaces (name) VALUES ('Other') RETURNING id")
    house.run(
        "INSERT INTO suppressions (workspace_id, kind, value, reason) VALUES (%s, 'address', 'ada@example.com', 'manual')",
        other,
    )
    house.run("INSERT INTO leads (workspace_id, email, status) VALUES (%s, 'ada@example.com', 'unsubscribed')", other)
    assert take(database, house, arrival("ada@example.com")) == Totals(1, 1, 0, 0, 0, 0)


def test_broken_rows_are_kept_with_line_reason_and_text(database, house):
    made = house.list()
    rows = [
        Arrival(line=2, email="ada@example.com", raw="ada@example.com,Ada"),
        Arrival(line=3, raw="nonsense", fault="An email address must have an @-sign."),
        Arrival(line=4, email="ada@example.com", raw="ada@example.com,Again"),
    ]
    with database.transaction() as db:
        totals = imports.take(db, house.workspace, made, rows)
        kept = imports.keep(db, house.workspace, made, "people.csv", totals)
    with database.transaction() as db:
        assert imports.read(db, house.workspace, kept)["filename"] == "people.csv"
        found = imports.rejects(db, house.workspace, kept, after=None, limit=10)
        assert [(row["line"], row["verdict"], row["raw"]) for row in found] == [
            (3, "invalid", "nonsense"),
            (4, "duplicate", "ada@example.com,Again"),
        ]
        assert found[1]["reason"] == "The same address stands in line 2."
        assert imports.rejects(db, house.workspace + 1, kept, after=None, limit=10) == []
        assert [row["id"] for row in imports.page(db, house.workspace, list_id=made, after=None, limit=10)] == [kept]
        with pytest.raises(NotFoundError):
            imports.read(db, house.workspace + 1, kept)


def test_a_list_of_another_workspace_takes_nothing(database, house, arrival):
    other = house.one("INSERT INTO workspaces (name) VALUES ('Other') RETURNING id")
    foreign = house.one("INSERT INTO lists (workspace_id, name) VALUES (%s, 'Theirs') RETURNING id", other)
    with pytest.raises(NotFoundError):
        take(database, house, arrival("ada@example.com"), into=foreign)
    assert house.all("SELECT id FROM leads") == []


def test_an_archived_list_takes_nothing(database, house, arrival):
    made = house.list()
    house.run("UPDATE lists SET archived_at = now()")
    with pytest.raises(StateError) as caught:
        take(database, house, arrival("ada@example.com"), into=made)
    assert caught.value.code == "list_archived"


def test_leads_that_join_a_running_campaigns_list_are_enrolled(database, house, arrival):
    made = house.list()
    running, paused, draft = (house.campaign_on(made, status=status) for status in ("running", "paused", "draft"))
    take(database, house, arrival("ada@example.com"), into=made)
    assert house.walkers(running) == {"ada@example.com": "waiting"}
    assert house.walkers(paused) == house.walkers(draft) == {}


def test_a_lead_that_joins_before_the_launch_waits_for_it(database, house, arrival):
    made = house.list()
    campaign = house.campaign_on(made, launch_at="2090-01-01")
    take(database, house, arrival("ada@example.com"), into=made)
    assert house.all("SELECT due_at FROM campaign_leads")[0]["due_at"].year == 2090
    assert house.walkers(campaign)


def test_a_lead_marked_invalid_joins_the_list_and_no_campaign(database, house, arrival):
    [lead] = house.leads("ada@example.com")
    house.run("UPDATE leads SET validation = 'invalid'")
    made = house.list()
    campaign = house.campaign_on(made)
    take(database, house, arrival("ada@example.com"), into=made)
    assert members(house, made) == [lead]
    assert house.walkers(campaign) == {}


def test_a_lead_that_walks_already_is_left_where_it_is(database, house, arrival):
    [lead] = house.leads("ada@example.com")
    made = house.list(lead)
    campaign = house.campaign_on(made, leads=[lead])
    house.run("UPDATE campaign_leads SET step = 3")
    take(database, house, arrival("ada@example.com"), into=made)
    assert house.walk(campaign, lead)["step"] == 3


def test_two_imports_of_one_file_at_once_make_each_lead_once(database, house, arrival, together):
    made = house.list()
    rows = [arrival(f"p{n}@example.com", n, first_name=f"P{n}") for n in range(1, 400)]
    backwards = [arrival(row.email, 400 - row.line, first_name="Q") for row in reversed(rows)]
    totals = together(
        *(lambda batch=batch: take(database, house, *batch, into=made) for batch in (rows, backwards) * 3)
    )
    assert sum(total.created for total in totals) == 399
    assert all(total.rows == total.created + total.updated == 399 for total in totals)
    assert len(members(house, made)) == 399


def test_a_connection_takes_one_import_after_another(database, house, arrival):
    for n in range(8):
        assert take(database, house, arrival(f"p{n}@example.com")) == Totals(1, 1, 0, 0, 0, 0)


def test_a_large_import_takes_the_same_way(database, house, arrival):
    made = house.list()
    campaign = house.campaign_on(made)
    rows = (arrival(f"p{n % 4_500}@example.com", n + 1) for n in range(5_000))
    assert take(database, house, *rows, into=made) == Totals(5_000, 4_500, 0, 500, 0, 0)
    assert len(house.walkers(campaign)) == 4_500


ADDRESSES = [f"p{n}@{domain}" for n in range(4) for domain in ("a.example", "b.example", "c.example")]


@given(
    known=st.dictionaries(st.sampled_from(ADDRESSES), st.sampled_from(["active", "unsubscribed", "bounced"])),
    banned=st.sets(st.sampled_from([*ADDRESSES, "a.example", "b.example"])),
    rows=st.lists(st.sampled_from([*ADDRESSES, None]), max_size=25),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_in_are_rows_accounted_for(database, house, known, banned, rows):
    house.run("TRUNCATE leads, list_leads, suppressions, imports, lists CASCADE")
    made = house.list()
    for email, status in known.items():
        [lead] = house.leads(email)
        house.run("UPDATE leads SET status = %s WHERE id = %s", status, lead)
    for value in banned:
        kind = "address" if "@" in value else "domain"
        house.run(
            "INSERT INTO suppressions (workspace_id, kind, value, reason) VALUES (%s, %s, %s, 'manual')",
            house.workspace,
            kind,
            value,
        )
    arrivals = [
        Arrival(line=n, email=email or "", raw="row", fault=None if email else "broken")
        for n, email in enumerate(rows, 1)
    ]
    with database.transaction() as db:
        totals = imports.take(db, house.workspace, made, arrivals)
        imports.keep(db, house.workspace, made, "", totals)

    def may(email):
        return email not in banned and email.split("@")[1] not in banned and known.get(email, "active") == "active"

    taken = {email for email in rows if email and may(email)}
    assert totals.rows == len(rows)
    assert totals.invalid == rows.count(None)
    assert totals.created == len(taken - set(known))
    assert totals.updated == len(taken & set(known))
    assert totals.suppressed + totals.duplicate == sum(email is not None for email in rows) - len(taken)
    on_list = house.all("SELECT email, status FROM list_leads JOIN leads ON leads.id = lead_id")
    assert {row["email"] for row in on_list} == taken
    assert all(row["status"] == "active" for row in on_list)
