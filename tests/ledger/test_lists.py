"""Lists: named, renamed, put away; and who leaves a list leaves what only that list fed."""

import pytest

from cleanmails.errors import ConflictError, NotFoundError, StateError
from cleanmails.ledger import lists


def test_a_list_counts_its_leads(db, house):
    made = house.list(*house.leads("ada@example.com", "bob@example.com"))
    row = lists.read(db, house.workspace, made)
    assert (row["name"], row["leads"], row["archived_at"]) == ("Prospects", 2, None)


def test_two_lists_in_use_have_two_names(database, house):
    house.list(name="Prospects")
    with pytest.raises(ConflictError) as caught, database.transaction() as db:
        lists.create(db, house.workspace, "PROSPECTS")
    assert caught.value.code == "name_taken"
    other = house.list(name="Others")
    with pytest.raises(ConflictError), database.transaction() as db:
        lists.rename(db, house.workspace, other, "prospects")


def test_an_archived_list_frees_its_name_and_keeps_its_leads(db, house):
    made = house.list(*house.leads("ada@example.com"))
    lists.archive(db, house.workspace, made)
    lists.archive(db, house.workspace, made)
    again = lists.create(db, house.workspace, "Prospects")
    assert [row["id"] for row in lists.page(db, house.workspace, archived=False, after=None, limit=10)] == [again["id"]]
    [old, _] = lists.page(db, house.workspace, archived=True, after=None, limit=10)
    assert (old["id"], old["leads"]) == (made, 1)


@pytest.mark.parametrize("status", ["draft", "running", "paused"])
def test_a_list_in_use_is_not_put_away(db, house, status):
    made = house.list()
    house.campaign_on(made, status=status)
    with pytest.raises(StateError) as caught:
        lists.archive(db, house.workspace, made)
    assert caught.value.code == "list_in_use"
    assert "Spring" in caught.value.message


def test_lists_come_in_pages(db, house):
    made = [house.list(name=f"L{n}") for n in range(5)]
    first = lists.page(db, house.workspace, archived=False, after=None, limit=2)
    rest = lists.page(db, house.workspace, archived=False, after=first[-1]["id"], limit=10)
    assert [row["id"] for row in [*first, *rest]] == made


def test_a_list_of_another_workspace_is_not_there(db, house):
    made = house.list()
    for attempt in (
        lambda: lists.read(db, house.workspace + 1, made),
        lambda: lists.rename(db, house.workspace + 1, made, "Mine"),
        lambda: lists.archive(db, house.workspace + 1, made),
        lambda: lists.remove_leads(db, house.workspace + 1, made, [1]),
    ):
        with pytest.raises(NotFoundError):
            attempt()
    assert lists.page(db, house.workspace + 1, archived=True, after=None, limit=10) == []


def test_who_leaves_a_list_leaves_the_campaigns_that_it_alone_fed(database, house):
    ada, bob = house.leads("ada@example.com", "bob@example.com")
    one, two = house.list(ada, bob, name="One"), house.list(ada, name="Two")
    both = house.campaign_on(one, two, leads=[ada, bob])
    alone = house.campaign_on(one, leads=[ada, bob])
    with database.transaction() as db:
        assert lists.remove_leads(db, house.workspace, one, [ada, 999]) == 1
    assert house.walkers(both) == {"ada@example.com": "waiting", "bob@example.com": "waiting"}
    assert house.walkers(alone) == {"ada@example.com": "ended", "bob@example.com": "waiting"}
    assert house.walk(alone, ada)["outcome"] == "removed"


def test_who_was_not_on_the_list_walks_on(database, house):
    [ada] = house.leads("ada@example.com")
    empty = house.list()
    campaign = house.campaign_on(empty, leads=[ada])
    with database.transaction() as db:
        assert lists.remove_leads(db, house.workspace, empty, [ada]) == 0
    assert house.walkers(campaign) == {"ada@example.com": "waiting"}


def test_who_comes_by_another_list_is_mailed_and_whoever_the_campaign_leaves_out_is_not(database, house):
    ada, bob, cid, dee = house.leads("ada@example.com", "bob@example.com", "cid@example.org", "dee@throwaway.example")
    target, source = house.list(name="A"), house.list(ada, bob, name="B")
    house.run("UPDATE leads SET validation = 'disposable' WHERE id = %s", dee)
    house.run(
        "INSERT INTO suppressions (workspace_id, kind, value, reason) VALUES (%s, 'address', 'bob@example.com', 'manual')",
        house.workspace,
    )
    campaign = house.campaign_on(target)
    with database.transaction() as db:
        assert lists.merge(db, house.workspace, target, [source]) == 2
        assert lists.add_leads(db, house.workspace, target, [ada, cid, dee]) == 2
    assert house.walkers(campaign) == {"ada@example.com": "waiting", "cid@example.org": "waiting"}
