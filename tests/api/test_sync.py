"""Lists that programs keep copies of: what changed since a time, in pages that miss nothing."""

import re
from datetime import datetime

import pytest

from cleanmails.ledger.statements import STATEMENTS

BASE = "/v1/outreach"
START = "2020-01-01T00:00:00Z"
LISTS = ("campaigns", "leads", "lists", "senders", "domains", "suppressions", "webhooks", "integrations")
CHANGES = {
    "campaigns": "UPDATE campaigns SET pause_reason = NULL WHERE id = (SELECT min(id) FROM campaigns)",
    "lists": "UPDATE lists SET archived_at = now() WHERE id = (SELECT min(id) FROM lists)",
    "senders": "UPDATE senders SET health = health - 1 WHERE id = (SELECT min(id) FROM senders)",
    "domains": "UPDATE dkim_keys SET state = 'retired', retired_at = now() WHERE domain_id = (SELECT max(id) FROM domains) AND state = 'waiting'",
    "webhooks": "UPDATE outlets SET state = 'off', off_at = now() WHERE kind = 'webhook'",
    "integrations": "UPDATE outlets SET state = 'off', off_at = now() WHERE kind = 'slack'",
}
"""What happens to a thing without a request; entries of suppressions never change, and leads by statements alone."""

QUIET = {
    "senders": "UPDATE senders SET free_at = now(), smtp_sealed = 'x'",
    "webhooks": "UPDATE outlets SET xact = xact + 1, delivered_at = now(), failures_in_row = 1",
}
"""What happens with each mail or delivery, and is no change of the thing."""


@pytest.fixture
def full(api, database):
    """Three of each."""
    with database.transaction() as db:
        for n in range(3):
            db.execute("INSERT INTO lists (workspace_id, name) VALUES (1, %s)", [f"List {n}"])
            db.execute("INSERT INTO campaigns (workspace_id, name) VALUES (1, %s)", [f"Campaign {n}"])
            db.execute("INSERT INTO leads (workspace_id, email) VALUES (1, %s)", [f"ada{n}@example.com"])
            db.execute(
                "INSERT INTO suppressions (workspace_id, kind, value, reason) VALUES (1, 'address', %s, 'manual')",
                [f"gone{n}@example.com"],
            )
            db.execute(
                "INSERT INTO senders (workspace_id, address, smtp_host, smtp_port, smtp_security) VALUES (1, %s, '127.0.0.1', 1, 'plain')",
                [f"ann{n}@agency.example"],
            )
            db.execute("INSERT INTO domains (workspace_id, name) VALUES (1, %s)", [f"agency{n}.example"])
            for kind in ("webhook", "slack"):
                db.execute(
                    "INSERT INTO outlets (workspace_id, kind, url, types, xact, event_id) VALUES (1, %s, 'https://x.example', '{}', 0, 0)",
                    [kind],
                )
        for state in ("active", "waiting"):
            db.execute(
                "INSERT INTO dkim_keys (workspace_id, domain_id, selector, state, private_sealed, public_key) SELECT 1, id, %s, %s, '', '' FROM domains",
                [state, state],
            )
    return api


def pages(api, noun, since, limit=2):
    """All that changed after a time, page by page."""
    found, after = [], None
    while True:
        asked = {"updated_after": since, "limit": limit} | ({} if after is None else {"after": after})
        answer = api.get(f"{BASE}/{noun}", params=asked)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        after = answer.json()["next"]
        if after is None:
            return found


@pytest.mark.parametrize("noun", LISTS)
def test_what_changed_comes_in_the_order_of_the_changes_and_once(full, noun):
    found = pages(full, noun, START)
    assert len({each["id"] for each in found}) == len(found) == 3
    times = [datetime.fromisoformat(each["updated_at"]) for each in found]
    assert times == sorted(times)
    assert pages(full, noun, found[-1]["updated_at"]) == []
    assert [each["id"] for each in pages(full, noun, found[0]["updated_at"])] == [each["id"] for each in found[1:]]


@pytest.mark.parametrize("noun", CHANGES)
def test_what_the_system_changes_is_a_change(full, database, noun):
    seen = pages(full, noun, START)[-1]["updated_at"]
    with database.transaction() as db:
        changed = db.execute(CHANGES[noun])
        assert changed.rowcount > 0
    assert pages(full, noun, seen) != []


@pytest.mark.parametrize("noun", QUIET)
def test_what_each_mail_writes_is_none(full, database, noun):
    seen = pages(full, noun, START)[-1]["updated_at"]
    with database.transaction() as db:
        db.execute(QUIET[noun])
    assert pages(full, noun, seen) == []


def test_every_statement_that_changes_leads_says_when():
    changing = {
        name: text.decode()
        for name, text in STATEMENTS.items()
        if re.search(rb"UPDATE leads\b", text) and not name.startswith("bench.")
    }
    assert len(changing) >= 6
    silent = [name for name, text in changing.items() if "updated_at = clock_timestamp()" not in text]
    assert silent == ["imports.arrive"]  # it indexes what was added before, and changes nothing that anybody reads
    asked = (name for name, text in STATEMENTS.items() if b"INSERT INTO leads" in text and b"DO UPDATE" in text)
    assert list(asked) == ["imports.create_leads"]  # its DO UPDATE only waits, and changes nothing


def test_a_change_that_commits_late_is_read_late_and_not_passed_over(full, database):
    with database.session() as slow:
        with slow.transaction():
            slow.execute("UPDATE leads SET first_name = 'Slow', updated_at = clock_timestamp() WHERE id = 1")
            with database.transaction() as db:
                db.execute("UPDATE leads SET first_name = 'Fast', updated_at = clock_timestamp() WHERE id = 2")
            meanwhile = pages(full, "leads", START)
            assert [(each["id"], each["first_name"]) for each in meanwhile] == [(1, ""), (3, "")]
        rest = pages(full, "leads", meanwhile[-1]["updated_at"])
    assert [each["first_name"] for each in rest] == ["Slow", "Fast"]


def test_what_was_put_away_is_told_too(full):
    seen = pages(full, "lists", START)[-1]["updated_at"]
    assert full.delete(f"{BASE}/lists/1").status_code == 204
    [found] = pages(full, "lists", seen)
    assert (found["id"], found["archived_at"] is not None) == (1, True)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"updated_after": "2026-01-01T00:00:00"}, "updated_after"),
        ({"updated_after": "2026-01-01T00:00:00 00:00"}, "updated_after"),
        ({"updated_after": "0001-01-01T00:00:00+10:00"}, "updated_after"),
        ({"updated_after": "yesterday"}, "updated_after"),
        ({"updated_after": START, "after": "azE"}, "after"),
        ({"after": "dTEuMQ"}, "after"),
        ({"updated_after": START, "status": "active"}, "updated_after"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(api, asked, field):
    answer = api.get(f"{BASE}/leads", params=asked)
    assert (answer.status_code, [fault["field"] for fault in answer.json()["faults"]]) == (400, [field]), answer.text


def test_the_document_says_which_lists_can_be_asked(api):
    document = api.get("/openapi.json").json()
    told = {
        path.rpartition("/")[2]
        for path, operations in document["paths"].items()
        for parameter in operations.get("get", {}).get("parameters", [])
        if parameter["name"] == "updated_after"
    }
    assert told == set(LISTS)


def test_changes_are_read_by_the_index_however_many_leads_there_are(database):
    with database.transaction() as db:
        db.execute("SET LOCAL enable_seqscan = off")
        values = {"workspace_id": 1, "since": START, "until": "2030-01-01T00:00:00Z", "after": 0, "limit": 50}
        plan = "\n".join(str(row) for row in db.execute(b"EXPLAIN " + STATEMENTS["leads.changed"], values))
    assert "leads_by_change" in plan
    assert "l.updated_at" not in plan.partition("Sort Key")[2]
