"""Leads over HTTP: made, found, changed, and forgotten while nothing was mailed to them."""

import csv
import io

import pytest

LEADS = "/v1/outreach/leads"


@pytest.fixture
def ada(api):
    return api.post(
        LEADS, json={"email": "ada@example.com", "first_name": "Ada", "fields": {"city": "London", "plan": "old"}}
    ).json()


def test_a_lead_is_made_read_and_forgotten(api, ada):
    assert (ada["email"], ada["status"], ada["validation"], ada["lists"]) == (
        "ada@example.com",
        "active",
        "pending",
        [],
    )
    path = f"{LEADS}/{ada['id']}"
    assert api.get(path).json() == ada
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == api.delete(path).status_code == 404


def test_an_address_is_one_lead(api, ada):
    again = api.post(LEADS, json={"email": "ADA@example.com", "first_name": "Eve"})
    assert (again.status_code, again.json()["code"]) == (409, "lead_exists")
    assert api.get(f"{LEADS}/{ada['id']}").json()["first_name"] == "Ada"


def test_a_suppressed_address_is_no_lead(api):
    api.post("/v1/outreach/suppressions", json={"value": "example.com"})
    refused = api.post(LEADS, json={"email": "ada@example.com"})
    assert (refused.status_code, refused.json()["code"]) == (409, "suppressed")


def test_an_address_that_cannot_be_mailed_is_refused(api):
    refused = api.post(LEADS, json={"email": "ada@nowhere"})
    assert refused.status_code == 400
    assert [(fault["field"], fault["code"]) for fault in refused.json()["faults"]] == [("email", "address")]


def test_what_is_changed_is_changed_and_nothing_else(api, ada):
    changed = api.patch(
        f"{LEADS}/{ada['id']}", json={"company": " Engines ", "fields": {"Plan": "new", "CITY": None}}
    ).json()
    assert (changed["first_name"], changed["company"], changed["fields"]) == ("Ada", "Engines", {"plan": "new"})
    assert api.patch(f"{LEADS}/{ada['id']}", json={}).json()["fields"] == {"plan": "new"}
    assert api.patch(f"{LEADS}/{ada['id']}", json={"first_name": "", "fields": {"plan": ""}}).json()["fields"] == {}


def test_an_address_is_not_changed_nor_is_what_the_lead_did(api, ada):
    refused = api.patch(
        f"{LEADS}/{ada['id']}", json={"email": "eve@example.com", "status": "active", "fields": {"email": "x", "": "y"}}
    )
    assert {(fault["field"], fault["code"]) for fault in refused.json()["faults"]} >= {
        ("email", "unknown_field"),
        ("status", "unknown_field"),
    }
    refused = api.patch(f"{LEADS}/{ada['id']}", json={"fields": {"email": "x"}})
    assert [(fault["field"], fault["code"]) for fault in refused.json()["faults"]] == [("fields.email", "own_field")]


def test_leads_are_found(api, ada):
    api.post(LEADS, json={"email": "bob@example.org", "last_name": "Ada"})

    def found(**asked):
        return [lead["email"] for lead in api.get(LEADS, params=asked).json()["items"]]

    assert found() == found(search="ada") == ["ada@example.com", "bob@example.org"]
    assert found(search="EXAMPLE.ORG") == ["bob@example.org"]
    assert found(status="unsubscribed") == []


def test_a_nul_is_refused_wherever_it_stands(api):
    refused = api.post(LEADS, json={"email": "ada@example.com", "company": "a\0b", "fields": {"city": "\0"}})
    assert {(fault["field"], fault["code"]) for fault in refused.json()["faults"]} == {
        ("company", "nul"),
        ("fields.city", "nul"),
    }


def test_a_stranger_sees_and_changes_nothing(stranger, api, ada):
    path = f"{LEADS}/{ada['id']}"
    assert stranger.get(LEADS).json()["items"] == []
    answers = [stranger.get(path), stranger.patch(path, json={"company": "Mine"}), stranger.delete(path)]
    assert {answer.status_code for answer in answers} == {404}
    assert stranger.post(LEADS, json={"email": "ada@example.com"}).status_code == 201
    assert api.get(path).json() == ada


def test_a_viewer_changes_nothing(viewer, ada):
    path = f"{LEADS}/{ada['id']}"
    assert viewer.get(path).status_code == 200
    answers = [
        viewer.post(LEADS, json={"email": "x@example.com"}),
        viewer.patch(path, json={"company": "x"}),
        viewer.delete(path),
    ]
    assert {answer.status_code for answer in answers} == {403}


@pytest.fixture
def three(api):
    """Three leads, two of them on a list; their ids by name, and the list's."""
    prospects = api.post("/v1/outreach/lists", json={"name": "Prospects"}).json()["id"]
    people = [{"email": f"{name}@example.com", "first_name": name} for name in ("ada", "bob")]
    api.post(f"/v1/outreach/lists/{prospects}/leads", json=people)
    api.post(LEADS, json={"email": "cid@example.com", "first_name": "cid", "fields": {"city": "Ulm"}})
    return {lead["first_name"]: lead["id"] for lead in api.get(LEADS).json()["items"]} | {"list": prospects}


def names(api, **asked):
    return [lead["first_name"] for lead in api.get(LEADS, params=asked).json()["items"]]


def bulk(api, **said):
    answer = api.post(f"{LEADS}/bulk", json=said)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_many_leads_are_changed_at_once(api, three, woken):
    both = [three["ada"], three["bob"]]
    assert bulk(api, action="add_tags", ids=both, tags=["vip", "2030"]) == {"found": 2, "changed": 2, "more": False}
    assert bulk(api, action="add_tags", ids=[*both, 10**9], tags=["vip"])["changed"] == 0
    assert names(api, tag="vip") == ["ada", "bob"]
    assert bulk(api, action="remove_tags", filter={"tag": "vip", "search": "bob"}, tags=["vip"])["changed"] == 1
    assert api.get(f"{LEADS}/tags").json() == [{"tag": "2030", "leads": 2}, {"tag": "vip", "leads": 1}]
    assert bulk(api, action="set_fields", filter={"list_id": three["list"]}, fields={"City": "Bonn"})["changed"] == 2
    assert names(api, field="city", value="Bonn") == ["ada", "bob"]
    assert api.get(f"{LEADS}/fields").json() == ["city"]
    assert bulk(api, action="set_fields", ids=[three["ada"]], fields={"city": None})["changed"] == 1
    assert names(api, field="city", value="Bonn") == ["bob"]
    assert "plan" in woken


def test_what_another_service_found_is_said_of_many_leads(api, three, database):
    """It is told once, and undoes no bounce."""
    with database.transaction() as db:
        db.execute("UPDATE leads SET status = 'bounced', validation = 'invalid' WHERE id = %s", [three["cid"]])
    said = {"action": "set_validation", "validation": "catchall"}
    assert bulk(api, filter={}, **said)["changed"] == 2
    assert bulk(api, filter={}, **said)["changed"] == 0
    assert names(api, validation="catchall") == ["ada", "bob"]
    assert names(api, validation="invalid") == ["cid"]
    with database.transaction() as db:
        told = db.execute("SELECT lead_id FROM events WHERE type = 'lead.validated' ORDER BY id").fetchall()
    assert [row["lead_id"] for row in told] == [three["ada"], three["bob"]]
    answer = api.post(f"{LEADS}/bulk", json={"action": "set_validation", "ids": [three["ada"]]})
    assert [(fault["field"], fault["code"]) for fault in answer.json()["faults"]] == [("validation", "required")]


def test_many_leads_join_and_leave_a_list_and_suppressed_ones_do_not(api, three):
    api.post("/v1/outreach/suppressions", json={"value": "ada@example.com"})
    other = api.post("/v1/outreach/lists", json={"name": "Other"}).json()["id"]
    assert bulk(api, action="add_to_list", filter={}, list_id=other) == {"found": 3, "changed": 2, "more": False}
    assert names(api, list_id=other) == ["bob", "cid"]
    assert bulk(api, action="remove_from_list", ids=[three["bob"], three["ada"]], list_id=other)["changed"] == 1
    assert names(api, list_id=other) == ["cid"]


def test_many_leads_are_suppressed_or_deleted(api, three):
    assert bulk(api, action="suppress", ids=[three["ada"]], note="asked")["changed"] == 1
    [entry] = api.get("/v1/outreach/suppressions").json()["items"]
    assert (entry["value"], entry["note"]) == ("ada@example.com", "asked")
    assert bulk(api, action="delete", ids=[three["bob"], three["cid"]])["changed"] == 2
    assert names(api) == ["ada"]


def test_what_a_bulk_request_lacks_is_told(api, three):
    def faults(**said):
        return [(fault["field"], fault["code"]) for fault in api.post(f"{LEADS}/bulk", json=said).json()["faults"]]

    assert faults(action="add_tags", ids=[1], filter={}) == [("ids", "either"), ("tags", "required")]
    assert faults(action="add_to_list", ids=[1]) == [("list_id", "required")]
    assert faults(action="delete", filter={"field": "city", "walk": "held"}) == [
        ("filter.value", "together"), ("filter.campaign_id", "together"),
    ]  # fmt: skip
    assert api.post(f"{LEADS}/bulk", json={"action": "add_to_list", "ids": [1], "list_id": 999}).status_code == 404


def test_leads_of_strangers_are_not_touched(api, stranger, viewer, three):
    assert bulk(stranger, action="delete", ids=[three["ada"]])["changed"] == 0
    assert stranger.post(f"{LEADS}/{three['ada']}/erase").status_code == 404
    assert viewer.post(f"{LEADS}/bulk", json={"action": "delete", "ids": [three["ada"]]}).status_code == 403
    assert names(api) == ["ada", "bob", "cid"]


def test_leads_are_downloaded_with_a_column_for_each_field(api, three):
    api.patch(f"{LEADS}/{three['ada']}", json={"first_name": "=1+1", "tags": ["b", "a"], "source": "Fair"})
    answer = api.get(f"{LEADS}/download")
    assert answer.headers["content-type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["email"], row["first_name"], row["city"]) for row in table] == [
        ("ada@example.com", "'=1+1", ""), ("bob@example.com", "bob", ""), ("cid@example.com", "cid", "Ulm"),
    ]  # fmt: skip
    assert (table[0]["tags"], table[0]["source"]) == ("a, b", "Fair")
    assert len(api.get(f"{LEADS}/download", params={"list_id": three["list"]}).text.splitlines()) == 3


def test_source_basis_and_tags_are_changed(api, three):
    path = f"{LEADS}/{three['ada']}"
    changed = api.patch(path, json={"source": "Fair", "lawful_basis": "consent", "tags": ["x"]}).json()
    assert (changed["source"], changed["lawful_basis"], changed["tags"]) == ("Fair", "consent", ["x"])
    assert api.patch(path, json={"lawful_basis": None, "tags": []}).json()["lawful_basis"] is None
    assert api.get(path).json()["tags"] == []


def test_a_lead_is_erased_by_its_id(api, three):
    assert api.post(f"{LEADS}/{three['ada']}/erase").json() == {"erased": True, "was_lead": True}
    again = api.post("/v1/outreach/leads", json={"email": "ada@example.com"})
    assert (again.status_code, again.json()["code"]) == (409, "suppressed")


def test_a_timeline_tells_what_is_no_event_too_and_each_thing_once(api, database):
    made = api.post("/v1/outreach/leads", json={"email": "ada@example.com"}).json()
    other = api.post("/v1/outreach/leads", json={"email": "bob@example.com"}).json()
    prospects = api.post("/v1/outreach/lists", json={"name": "Prospects"}).json()["id"]
    api.post(
        "/v1/outreach/leads/bulk",
        json={"ids": [made["id"], other["id"]], "action": "add_to_list", "list_id": prospects},
    )
    api.patch(f"/v1/outreach/leads/{made['id']}", json={"company": "Engines"})
    with database.transaction() as db:
        db.execute(
            """INSERT INTO events (at, workspace_id, type, lead_id, data)
               SELECT now(), workspace_id, 'lead.validated', id, '{"validation": "valid"}' FROM leads WHERE id = %s""",
            (made["id"],),
        )
        [thread] = db.execute(
            """INSERT INTO threads (workspace_id, campaign_id, lead_id, sender_id, last_kind, last_at, last_message_id)
               SELECT workspace_id, 1, id, 1, 'reply', now(), 1 FROM leads WHERE id = %s RETURNING id, workspace_id""",
            (made["id"],),
        )
        db.execute(
            "INSERT INTO notes (workspace_id, thread_id, text, created_at) VALUES (%s, %s, 'Met in Ulm', clock_timestamp())",
            (thread["workspace_id"], thread["id"]),
        )
        db.execute(
            """INSERT INTO inbox_messages (workspace_id, sender_id, digest, folder, uid, state, kind, meaning, thread_id, lead_id, delivery_id, from_address,
                                           settled_at)
               VALUES (%s, 1, sha256('x'), 'INBOX', 1, 'settled', 'auto_reply', '{}', %s, %s, 1, 'ada@example.com', clock_timestamp())""",
            (thread["workspace_id"], thread["id"], made["id"]),
        )
    path = f"/v1/outreach/leads/{made['id']}/timeline"
    whole = api.get(path).json()["items"]
    told = {each["type"]: each for each in whole}
    assert len(whole) == len(told)
    assert set(told) == {
        "lead.created", "list.joined", "lead.changed", "lead.validated", "note.written", "message.received",
    }  # fmt: skip
    assert told["note.written"]["data"] == {"by": None, "text": "Met in Ulm"}
    assert told["list.joined"]["data"] == {"list_id": prospects, "list": "Prospects"}
    assert whole == sorted(whole, key=lambda each: each["at"], reverse=True)
    seen, after = [], None
    while True:
        page = api.get(path, params={"limit": 1} | ({} if after is None else {"after": after})).json()
        seen += page["items"]
        if (after := page["next"]) is None:
            break
    assert seen == whole
