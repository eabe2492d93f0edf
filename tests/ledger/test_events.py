"""The stream of events: in order, without gaps, whatever commits late."""

import random

import psycopg
import pytest

from cleanmails.ledger import events
from cleanmails.ledger.events import START, Event, Place
from tests.stream import await_readable


@pytest.fixture
def tell(house, database):
    """Writes an event in a transaction of its own."""

    def write(number, kind="lead.created"):
        with database.transaction() as db:
            events.append(db, [Event(type=kind, workspace_id=house.workspace, data={"n": number})])

    return write


def after(database, workspace, place=START, **wanted):
    """The numbers behind a place, and the place behind them."""
    with database.transaction() as db:
        rows = events.read_after(db, workspace, place, **{"limit": 100} | wanted)
    end = Place(rows[-1]["xact"], rows[-1]["id"]) if rows else place
    return [row["data"]["n"] for row in rows], end


def test_what_a_slow_transaction_wrote_first_is_read_though_it_commits_last(database, house, database_url, tell):
    with psycopg.connect(database_url) as slow:
        _append(slow, house.workspace, 1)  # has the smaller id and the older transaction
        tell(2)
        assert after(database, house.workspace)[0] == []
        slow.commit()
    await_readable(house.db)
    assert after(database, house.workspace)[0] == [1, 2]


def test_what_took_a_later_id_in_an_older_transaction_comes_in_its_transactions_place(
    database, house, database_url, tell
):
    with psycopg.connect(database_url) as old:
        old.execute("SELECT pg_current_xact_id()")
        tell(1)
        _append(old, house.workspace, 2)
        old.commit()
    await_readable(house.db)
    read, end = after(database, house.workspace)
    assert read == [2, 1]
    assert after(database, house.workspace, end)[0] == []


def test_a_transaction_that_is_rolled_back_holds_nothing_up(database, house, database_url, tell):
    with psycopg.connect(database_url) as broken:
        _append(broken, house.workspace, 1)
        tell(2)
        broken.rollback()
    await_readable(house.db)
    assert after(database, house.workspace)[0] == [2]


@pytest.mark.parametrize("seed", range(4))
def test_a_reader_that_polls_sees_every_event_once(database, house, database_url, seed):
    """Eight writers whose transactions open, write and end in any order, and a reader between any two of their moves."""
    dice = random.Random(seed)
    seen, written, end, number = [], set(), START, 0
    writers = [psycopg.connect(database_url) for _ in range(8)]
    pending = {writer: [] for writer in writers}
    for _ in range(150):
        writer = dice.choice(writers)
        match dice.choice(("write", "write", "commit", "rollback", "read")):
            case "write":
                number += 1
                _append(writer, house.workspace, number)
                pending[writer].append(number)
            case "commit":
                writer.commit()
                written.update(pending[writer])
                pending[writer] = []
            case "rollback":
                writer.rollback()
                pending[writer] = []
            case "read":
                read, end = after(database, house.workspace, end, limit=dice.randint(1, 7))
                seen += read
    for writer in writers:
        writer.commit()
        written.update(pending[writer])
        writer.close()
    await_readable(house.db)
    seen += after(database, house.workspace, end, limit=1_000)[0]
    assert sorted(seen) == sorted(written)


def test_types_and_campaigns_are_told_apart(database, house, tell):
    tell(1)
    tell(2, "lead.validated")
    await_readable(house.db)
    assert after(database, house.workspace, types=["lead.validated"])[0] == [2]
    assert after(database, house.workspace, campaigns=[7])[0] == []


def test_no_other_workspace_is_read(database, house, tell):
    tell(1)
    await_readable(house.db)
    assert after(database, house.workspace + 1)[0] == []


def test_an_id_is_a_place_too(database, house, tell):
    tell(1)
    tell(2)
    await_readable(house.db)
    first = house.one("SELECT min(id) FROM events")
    with database.transaction() as db:
        assert after(database, house.workspace, events.place_of(db, house.workspace, first))[0] == [2]
        assert events.place_of(db, house.workspace, first + 99) is None
        assert events.place_of(db, house.workspace + 1, first) == START


def test_the_end_is_behind_what_can_be_read_and_before_what_comes(database, house, tell):
    tell(1)
    await_readable(house.db)
    with database.transaction() as db:
        end = events.end(db)
    assert after(database, house.workspace, end)[0] == []
    tell(2)
    await_readable(house.db)
    assert after(database, house.workspace, end)[0] == [2]


def test_old_months_are_dropped_and_young_ones_kept(database, house, tell):
    house.run("CREATE TABLE events_202001 PARTITION OF events FOR VALUES FROM ('2020-01-01Z') TO ('2020-02-01Z')")
    house.run(
        "INSERT INTO events (at, workspace_id, type, data) VALUES ('2020-01-05Z', %s, 'lead.created', '{\"n\": 0}')",
        house.workspace,
    )
    tell(1)
    await_readable(house.db)
    with database.transaction() as db:
        assert events.drop_months(db, 3) == 1
        assert events.drop_months(db, 3) == 0
    assert after(database, house.workspace)[0] == [1]


def _append(connection, workspace, number):
    connection.execute(
        "INSERT INTO events (at, workspace_id, type, data) VALUES (now(), %s, 'lead.created', jsonb_build_object('n', %s::int))",
        (workspace, number),
    )
