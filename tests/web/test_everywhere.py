"""What holds of every page: full, empty, and with the worst that strangers can write in every field."""

import json
import re

import msgspec

from cleanmails.demo import lived
from cleanmails.demo.past import Mailbox
from cleanmails.ledger import past, workers
from cleanmails.rules import event_types
from tests.web.everywhere import DOWNLOADS, FIXED, addresses

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{1237*1741}}'
RIGHT_TO_LEFT = "\N{RIGHT-TO-LEFT OVERRIDE}\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627"
FEW = tuple(msgspec.structs.replace(plot, leads=min(plot.leads, 40), nameless=1, a_day=1) for plot in lived.PLOTS[-5:])


def live(house, database):
    """A workspace with something of everything."""
    boxes = [Mailbox(house.sender(f"{name}@north.example"), f"{name}@north.example") for name in ("emma", "henry")]
    lived.remember(database, boxes, house.workspace, FEW)
    mine = house.workspace
    # Of so few mails by chance none may be unknown.
    house.run(
        "UPDATE deliveries SET state = 'unknown', settled_at = NULL, reason = 'The answer was never seen.'"
        " WHERE id = (SELECT min(id) FROM deliveries WHERE state = 'sent')"
    )
    house.run(
        "INSERT INTO imports (workspace_id, list_id, filename, rows, created, updated, duplicate, suppressed, invalid, ended_at)"
        " SELECT workspace_id, min(id), 'Autumn.csv', 9, 5, 1, 1, 1, 1, now() FROM lists GROUP BY workspace_id"
    )
    finding = {
        "kind": "spf",
        "name": "north.example",
        "expected": "v=spf1 ~all",
        "found": ["v=spf1 -all"],
        "state": "wrong",
        "sentence": "Mend it.",
    }
    domain = house.one(
        "INSERT INTO domains (workspace_id, name, status, findings, checked_at) VALUES (%s, 'north.example', 'faulty', %s, now()) RETURNING id",
        mine, json.dumps([finding | {"kind": kind} for kind in ("spf", "dkim", "dmarc")]),
    )  # fmt: skip
    for selector, state in (("cm", "active"), ("cm2", "waiting")):
        house.run(
            "INSERT INTO dkim_keys (workspace_id, domain_id, selector, state, private_sealed, public_key) VALUES (%s, %s, %s, %s, '', 'MIIB')",
            mine, domain, selector, state,
        )  # fmt: skip
    house.run(
        "UPDATE senders SET domain_id = %s, last_error = 'refused', last_error_at = now() WHERE workspace_id = %s",
        domain,
        mine,
    )
    hook = house.one(
        "INSERT INTO outlets (workspace_id, kind, name, url, types, sealed, xact, event_id) VALUES (%s, 'webhook', 'CRM', 'http://127.0.0.1:9/x', '{email.replied}', '', 0, 0) RETURNING id",
        mine,
    )
    crm = house.one(
        "INSERT INTO outlets (workspace_id, kind, name, url, types, options, sealed, xact, event_id) VALUES (%s, 'hubspot', 'Sales', 'http://127.0.0.1:9', '{email.replied}', %s, '', 0, 0) RETURNING id",
        mine, json.dumps({"fields": {"city": "city"}, "pipeline": "default", "stage": "1"}),
    )  # fmt: skip
    with database.transaction() as db:
        now = workers.now(db)
        for outlet in (hook, crm):
            past.break_webhook(db, mine, outlet, at=now, delivered_at=now, created_at=now)


def test_the_history_that_is_shown_fits_the_published_schemas(house, database):
    live(house, database)
    told = house.all("SELECT type, data FROM events")
    assert len({each["type"] for each in told}) > 8
    assert {wrong for each in told if (wrong := event_types.misfit(each["type"], each["data"]))} == set()


def check(answer):
    """A page that is whole, and in which nothing can run."""
    assert answer.status_code == 200, answer.url
    assert not re.findall(
        r"<script(?! type=\"module\" src=\"/assets/)|<style|\sstyle=|\son[a-z]+=\"|javascript:", answer.text
    )
    ids = re.findall(r'\sid="([^"]+)"', answer.text)
    assert len(ids) == len(set(ids)), (answer.url, [each for each in ids if ids.count(each) > 1])
    assert answer.text.count("<h1") == 1, answer.url


def test_every_page_is_whole_in_a_workspace_that_is_lived_in(browser, house, database):
    live(house, database)
    for address in addresses(house):
        check(browser.get(address))
    for address in DOWNLOADS:
        answer = browser.get(address)
        assert answer.headers["content-type"].startswith("text/csv")
        assert len(answer.text.splitlines()) > 1


def test_every_page_is_whole_in_an_empty_workspace(browser, house):
    for address in FIXED:
        check(browser.get(address))
    for address in DOWNLOADS:
        rows = browser.get(address).text.splitlines()
        assert len(rows) == 1 or address == "/settings/audit.csv", "who signed in stands there"


def write(house, word):
    """The same word in every text that people and strangers write."""
    house.run(
        "UPDATE leads SET first_name = %s, last_name = %s, company = %s, fields = jsonb_build_object('city', %s::text)",
        word,
        word,
        word,
        word,
    )
    house.run("UPDATE lists SET name = id || %s", word)
    house.run("UPDATE campaigns SET name = %s", word)
    house.run(
        "UPDATE deliveries SET subject = %s, reply_text = %s, reason = CASE WHEN reason IS NOT NULL THEN %s END",
        word,
        word,
        word,
    )
    house.run(
        "UPDATE events SET data = data || jsonb_build_object('subject', %s::text, 'text', %s::text, 'url', %s::text)",
        word,
        word,
        word,
    )
    house.run("UPDATE suppressions SET source = %s, note = %s", word, word)
    house.run("UPDATE imports SET filename = %s", word)
    house.run(
        "UPDATE senders SET name = %s, signature = %s, last_error = %s, status_reason = %s, cooldown_reason = %s",
        word,
        word,
        word,
        word,
        word,
    )
    house.run(
        "UPDATE domains SET findings = jsonb_set(jsonb_set(findings, '{0,found,0}', to_jsonb(%s::text)), '{0,sentence}', to_jsonb(%s::text))",
        word,
        word,
    )
    house.run(
        "UPDATE outlets SET name = %s, off_reason = %s, options = jsonb_build_object('fields', jsonb_build_object(%s::text, %s::text), 'stage', %s::text)",
        word,
        word,
        word[:90],
        word,
        word,
    )
    house.run("UPDATE outlet_attempts SET answer = %s, error = %s", word, word)
    house.run("UPDATE users SET name = %s", word)
    house.run("UPDATE sessions SET user_agent = %s", word)
    house.run("UPDATE audit SET path = %s", word)
    house.run("UPDATE workspaces SET name = %s", word)


def test_nothing_that_strangers_wrote_runs_anywhere_or_breaks_a_page(browser, house, database):
    live(house, database)
    for word in (EVIL, EVIL + "W" * 10_000, RIGHT_TO_LEFT * 60):
        write(house, word)
        for address in addresses(house):
            answer = browser.get(address)
            check(answer)
            assert "<script>alert" not in answer.text
            assert "<img src=x" not in answer.text
            assert "2153617" not in answer.text


def test_other_workspaces_things_are_not_there(browser, house, database):
    live(house, database)
    house.run("INSERT INTO imports (workspace_id, list_id, filename, rows, created, updated, duplicate, suppressed, invalid, ended_at)"
              " SELECT workspace_id, min(id), 'x', 0, 0, 0, 0, 0, 0, now() FROM lists GROUP BY workspace_id")  # fmt: skip
    pages = [address for address in addresses(house) if address not in FIXED]
    elsewhere = house.one("INSERT INTO workspaces (name) VALUES ('Elsewhere') RETURNING id")
    house.run("UPDATE sessions SET workspace_id = %s", elsewhere)
    house.run("INSERT INTO memberships (workspace_id, user_id, role) SELECT %s, id, 'owner' FROM users", elsewhere)
    assert pages
    for address in pages:
        assert browser.get(address).status_code == 404, address
