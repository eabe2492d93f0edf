"""Leads: read, searched, changed; and one that was mailed is not forgotten."""

import pytest

from cleanmails.errors import NotFoundError, StateError
from cleanmails.ledger import leads
from cleanmails.ledger.leads import Filter
from cleanmails.records import LeadStatus
from cleanmails.rules.search import words


def emails(rows):
    return [row["email"] for row in rows]


def test_a_lead_tells_its_lists(db, house):
    [ada] = house.leads("ada@example.com", city="London")
    lists = [house.list(ada, name=f"L{n}") for n in range(2)]
    row = leads.read(db, house.workspace, ada)
    assert (row["email"], row["fields"], row["status"], row["validation"]) == (
        "ada@example.com",
        {"city": "London"},
        "active",
        "pending",
    )
    assert row["lists"] == lists


def test_leads_are_found_by_a_part_of_what_is_known(db, house):
    house.leads("ada@example.com", "bob@example.org")
    house.run("UPDATE leads SET first_name = 'Ada', last_name = '100%%_sure' WHERE email = 'ada@example.com'")
    for search in ("ADA", "example.com", "sure", "100%"):
        assert emails(leads.page(db, house.workspace, Filter(words=tuple(words(search))), after=None, limit=10)) == [
            "ada@example.com"
        ]
    assert emails(leads.page(db, house.workspace, Filter(words=("initech",)), after=None, limit=10)) == [
        "ada@example.com",
        "bob@example.org",
    ]


def test_leads_are_found_by_status_and_list(db, house):
    ada, _, cid = house.leads("ada@example.com", "bob@example.com", "cid@example.com")
    made = house.list(ada, cid)
    house.run("UPDATE leads SET status = 'bounced' WHERE id = %s", cid)
    of_list = leads.page(db, house.workspace, Filter(list_id=made), after=None, limit=10)
    assert emails(of_list) == ["ada@example.com", "cid@example.com"]
    assert emails(
        leads.page(db, house.workspace, Filter(list_id=made, status=LeadStatus.BOUNCED), after=None, limit=10)
    ) == ["cid@example.com"]
    assert emails(leads.page(db, house.workspace, Filter(status=LeadStatus.ACTIVE), after=ada, limit=10)) == [
        "bob@example.com"
    ]


def test_what_is_changed_is_changed_and_nothing_else(db, house):
    [ada] = house.leads("ada@example.com", city="London", plan="old")
    row = leads.update(db, house.workspace, ada, first_name="Ada", fields={"plan": "new"}, removed=["city"])
    assert (row["first_name"], row["company"], row["fields"]) == ("Ada", "Initech", {"plan": "new"})
    assert leads.update(db, house.workspace, ada, company="")["company"] == ""


def test_a_lead_of_another_workspace_is_not_there(db, house):
    [ada] = house.leads("ada@example.com")
    made = house.list(ada)
    for attempt in (
        lambda: leads.read(db, house.workspace + 1, ada),
        lambda: leads.update(db, house.workspace + 1, ada, first_name="Eve"),
        lambda: leads.delete(db, house.workspace + 1, ada),
    ):
        with pytest.raises(NotFoundError):
            attempt()
    assert leads.page(db, house.workspace + 1, after=None, limit=10) == []
    assert leads.page(db, house.workspace + 1, Filter(list_id=made), after=None, limit=10) == []
    assert leads.read(db, house.workspace, ada)["first_name"] == "Bob"


def test_a_lead_that_was_never_mailed_is_forgotten_with_its_walks(database, house):
    [ada] = house.leads("ada@example.com")
    campaign = house.campaign_on(house.list(ada), leads=[ada])
    house.planned(campaign, ada, "rendered", sender=house.sender())
    with database.transaction() as db:
        leads.delete(db, house.workspace, ada)
    for table in ("leads", "list_leads", "campaign_leads", "deliveries", "mails"):
        assert house.all(f"SELECT * FROM {table}") == []


@pytest.mark.parametrize("state", ["sending", "sent", "unknown"])
def test_a_lead_that_was_mailed_is_kept(database, house, state):
    [ada] = house.leads("ada@example.com")
    campaign = house.campaign_on(house.list(ada), leads=[ada])
    house.planned(campaign, ada, state, sender=house.sender())
    with pytest.raises(StateError) as caught, database.transaction() as db:
        leads.delete(db, house.workspace, ada)
    assert caught.value.code == "was_mailed"
