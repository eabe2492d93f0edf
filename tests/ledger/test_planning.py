"""How statements are carried out, the planner's above all: by a few index entries, whatever waits behind them."""

from datetime import timedelta

import psycopg
import pytest

from cleanmails.ledger import bench, imports, planning, workers
from cleanmails.ledger.db import Database
from cleanmails.records import WalkOutcome
from tests.conftest import new_database
from tests.ledger.test_statements import PARAMETER, STATEMENTS, preparable

LEADS, CAMPAIGNS, SENDERS = 50_000, 4, 5
BIG = {"campaign_leads", "deliveries", "leads"}


@pytest.fixture(scope="module")
def crowd(servers, worker_id):
    """Fifty thousand leads that are due in four campaigns, and as many in four others that are not and have a delivery behind them."""
    with new_database(servers, worker_id) as url, Database(url, size=2) as database:
        with database.transaction() as db:
            now = workers.now(db)
        made = bench.make_crowd(database, LEADS, SENDERS)
        later = bench.make_campaigns(database, made, CAMPAIGNS, now + timedelta(days=1))
        with database.transaction() as db:
            db.execute(
                """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, state, settled_at, reason)
                   SELECT workspace_id, campaign_id, lead_id, 0, 'skipped', now(), 'never_opened' FROM campaign_leads"""
            )
        due = bench.make_campaigns(database, made, CAMPAIGNS, now - timedelta(days=1))
        yield database, made, due, later, now


def looked_at(database, name, values, *, generic=True):
    """The scans of a statement as (table, way, rows it read), and the pages that it touched; `generic`: as one that was prepared long ago."""
    text, _ = preparable(name)
    order = list(dict.fromkeys(PARAMETER.findall(STATEMENTS[name].decode())))
    given = "(" + ", ".join(f"%({each})s" for each in order) + ")" if order else ""
    with database.transaction() as db, db.transaction(force_rollback=True):
        db.execute(f"SET LOCAL plan_cache_mode = force_{'generic' if generic else 'custom'}_plan")
        db.execute(f"PREPARE looked_at AS {text}", prepare=False)
        query = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE looked_at{given}"
        [row] = psycopg.ClientCursor(db).execute(query, values).fetchall()
        db.execute("DEALLOCATE looked_at")
    plan = row["QUERY PLAN"][0]["Plan"]
    return list(scans(plan)), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def scans(node):
    if "Relation Name" in node:
        yield node["Relation Name"], node["Node Type"], node["Actual Rows"] * node["Actual Loops"]
    for child in node.get("Plans", ()):
        yield from scans(child)


def read(found, *tables):
    return sum(rows for table, _, rows in found if table in tables)


def test_a_round_enters_the_many_due_by_few_index_entries(crowd):
    """Pages touched do not depend on how many are due: 50,000 walks are several hundred pages."""
    database, made, due, later, now = crowd
    pairs = [(campaign, sender) for campaign in (*due, *later) for sender in (0, *made.senders)]
    both = {"campaigns": [campaign for campaign, _ in pairs], "senders": [sender for _, sender in pairs], "now": now}
    found = {
        "planning.due_pairs": looked_at(database, "planning.due_pairs", both),
        "planning.due_walks": looked_at(database, "planning.due_walks", both | {"limit": 5}, generic=False),
        "planning.over": looked_at(database, "planning.over", {"now": now}),
        "planning.pipe": looked_at(database, "planning.pipe", {}),
        "planning.lost_pairs": looked_at(database, "planning.lost_pairs", {"campaigns": [*due, *later]}),
    }
    for name, (tables, pages) in found.items():
        assert [table for table, way, _ in tables if table in BIG and way == "Seq Scan"] == [], name
        assert pages < 100 * len(pairs), name
    lanes = len(due) * (1 + SENDERS)
    assert read(found["planning.due_pairs"][0], "campaign_leads") == lanes
    assert read(found["planning.due_walks"][0], "campaign_leads") <= 5 * lanes
    assert read(found["planning.lost_pairs"][0], "campaign_leads") <= len(pairs)
    assert read(found["planning.over"][0], "campaign_leads") <= len(due) + len(later)
    assert read(found["planning.pipe"][0], "deliveries") == 0

    with database.transaction() as db:
        asked = [(due[0], 0), (later[0], 0), (due[1], made.senders[0])]
        assert set(planning.due_pairs(db, now, asked)) == {asked[0], asked[2]}
        walks = planning.due_walks(db, now, asked, 3)
    assert [walk.campaign_id for walk in walks].count(due[0]) == 3
    assert [walk.due_at for walk in walks] == sorted(walk.due_at for walk in walks)
    assert {walk.sender_id for walk in walks} == {None, made.senders[0]}


def test_no_page_walks_past_the_leads_that_it_does_not_show(crowd):
    """Nobody has ended, is held, or has a tag, so there is nothing to find: a few pages of the indexes are touched."""
    database, made, [campaign, *_], *_ = crowd
    asked = {"workspace_id": made.workspace_id, "campaign_id": campaign, "after": 0, "q": None, "limit": 51}
    for name, values in (
        ("walks.page_ended", asked | {"outcomes": list(WalkOutcome)}),
        ("walks.page", asked | {"state": "held"}),
        ("leads.tag_names", asked),
        ("overview.lists", asked | {"q": "", "archived": True, "limit": None}),
        ("overview.attention", asked),
    ):
        tables, pages = looked_at(database, name, values, generic=False)
        assert [table for table, way, _ in tables if table in BIG and way == "Seq Scan"] == [], name
        assert pages < 100, name


def test_a_lost_sender_is_found_by_the_walks_that_wait_for_it(db, house):
    leads = house.leads(*(f"p{n}@b.example" for n in range(4)))
    here, deleted, detached = (house.sender(f"{name}@acme.example") for name in ("here", "deleted", "detached"))
    campaign = house.campaign(leads, [here, deleted])
    for lead, sender in zip(leads, (here, deleted, detached), strict=False):
        house.run("UPDATE campaign_leads SET sender_id = %s WHERE lead_id = %s", sender, lead)
    house.run("UPDATE senders SET deleted_at = now() WHERE id = %s", deleted)
    assert set(planning.lost_pairs(db, [campaign])) == {(campaign, deleted), (campaign, detached)}


def test_a_campaign_is_not_completed_while_a_list_of_it_grows(database, house, arrival):
    """The walk that an open transaction begins cannot be seen yet; it must not find its campaign over."""
    prospects = house.list()
    campaign = house.campaign_on(prospects)
    with database.transaction() as growing:
        imports.take(growing, house.workspace, prospects, [arrival("ada@b.example")])
        with database.transaction() as db:
            assert planning.complete(db, workers.now(db)) == []
    with database.transaction() as db:
        assert planning.complete(db, workers.now(db)) == []
    house.run("UPDATE campaign_leads SET state = 'ended', outcome = 'finished', ended_at = now(), due_at = NULL")
    with database.transaction() as db:
        assert [row["id"] for row in planning.complete(db, workers.now(db))] == [campaign]


def test_a_lead_that_joins_while_its_campaign_completes_walks_or_finds_it_over(database, house, together, arrival):
    """Forty times, whoever is first: never a completed campaign in which somebody still waits."""
    for n in range(40):
        prospects = house.list(name=f"L{n}")
        campaign = house.campaign_on(prospects)

        def complete():
            with database.transaction() as db:
                return planning.complete(db, workers.now(db))

        def join(prospects=prospects, n=n):
            with database.transaction() as db:
                return imports.take(db, house.workspace, prospects, [arrival(f"p{n}@b.example")])

        together(complete, join)
        status = house.one("SELECT status FROM campaigns WHERE id = %s", campaign)
        assert (status, list(house.walkers(campaign).values())) in [("running", ["waiting"]), ("completed", [])]
