"""Counting reads what is new, however many events there are."""

import psycopg

from cleanmails.ledger.statements import sql
from tests.ledger.test_planning import scans
from tests.stream import count_all

SENT = """INSERT INTO events (at, workspace_id, type, campaign_id, lead_id, delivery_id, sender_id)
          SELECT now(), %s, 'email.sent', campaign_id, lead_id, id, sender_id FROM deliveries, generate_series(1, %s)"""


def test_a_count_reads_the_events_that_are_new_and_not_those_of_years(house, database):
    sender = house.sender("ann@acme.example")
    (lead,) = house.leads("bob@lead.example")
    house.planned(house.campaign_on(leads=[lead]), lead, "sent", sender=sender)
    house.run(SENT, house.workspace, 20_000)
    count_all(database)
    house.run(SENT, house.workspace, 10)
    with house.db.transaction():
        house.db.execute(sql("figures.by_index"))
        query = b"EXPLAIN (ANALYZE, FORMAT JSON) " + sql("figures.count")
        [row] = psycopg.ClientCursor(house.db).execute(query, {"limit": 100_000}).fetchall()
    found = list(scans(row["QUERY PLAN"][0]["Plan"]))
    counted = [n for table, _, n in found if table.startswith("events_")]
    assert counted, found
    assert sum(counted) <= 30
