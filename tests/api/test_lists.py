"""Lists over HTTP: named, renamed and put away; leads join and leave them, each with a verdict."""

import pytest

LISTS = "/v1/outreach/lists"


@pytest.fixture
def prospects(api):
    return api.post(LISTS, json={"name": "Prospects"}).json()["id"]


def faults(response):
    assert response.status_code == 400, response.text
    return {(fault["field"], fault["code"]) for fault in response.json()["faults"]}


def test_a_list_is_made_read_renamed_and_put_away(api):
    made = api.post(LISTS, json={"name": "  Prospects "})
    assert made.status_code == 201
    body = made.json()
    assert (body["name"], body["leads"], body["archived_at"]) == ("Prospects", 0, None)
    path = f"{LISTS}/{body['id']}"
    assert api.get(path).json() == body
    assert api.patch(path, json={"name": "Customers"}).json()["name"] == "Customers"
    assert api.delete(path).status_code == 204
    assert api.get(LISTS).json() == {"items": [], "next": None}
    [archived] = api.get(LISTS, params={"archived": True}).json()["items"]
    assert archived["archived_at"] is not None


def test_a_name_is_wanted_and_only_once(api, prospects):
    assert faults(api.post(LISTS, json={"name": "  "})) == {("name", "blank")}
    assert faults(api.post(LISTS, json={"name": 3, "colour": "red"})) == {("name", "type"), ("colour", "unknown_field")}
    taken = api.post(LISTS, json={"name": "prospects"})
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")


def test_lists_come_in_pages(api):
    made = [api.post(LISTS, json={"name": f"L{n}"}).json()["id"] for n in range(3)]
    first = api.get(LISTS, params={"limit": 2}).json()
    rest = api.get(LISTS, params={"limit": 2, "after": first["next"]}).json()
    assert [each["id"] for each in [*first["items"], *rest["items"]]] == made
    assert rest["next"] is None


def test_a_lead_joins_a_list(api, prospects):
    answer = api.post(
        f"{LISTS}/{prospects}/leads",
        json={"email": "Ada@Example.com", "first_name": " Ada ", "fields": {"Job Title": "Analyst", "empty": " "}},
    )
    assert answer.status_code == 201
    body = answer.json()
    [outcome] = body.pop("leads")
    assert body == {"rows": 1, "created": 1, "updated": 0, "duplicate": 0, "suppressed": 0, "invalid": 0}
    assert (outcome["email"], outcome["verdict"], outcome["reason"]) == ("ada@example.com", "created", None)
    [lead] = api.get(f"{LISTS}/{prospects}/leads").json()["items"]
    assert (lead["id"], lead["email"], lead["first_name"]) == (outcome["lead_id"], "ada@example.com", "Ada")
    assert (lead["fields"], lead["lists"], lead["status"]) == ({"job_title": "Analyst"}, [prospects], "active")
    assert api.get(f"{LISTS}/{prospects}").json()["leads"] == 1


def test_many_leads_join_at_once_each_with_its_verdict(api, prospects):
    api.post("/v1/outreach/suppressions", json={"value": "left@example.com"})
    api.post("/v1/outreach/leads", json={"email": "known@example.com"})
    emails = ["new@example.com", "known@example.com", "left@example.com", "NEW@example.com"]
    body = api.post(f"{LISTS}/{prospects}/leads", json=[{"email": email} for email in emails]).json()
    assert [(each["email"], each["verdict"]) for each in body["leads"]] == [
        ("new@example.com", "created"),
        ("known@example.com", "updated"),
        ("left@example.com", "suppressed"),
        ("new@example.com", "duplicate"),
    ]
    assert body["leads"][2]["lead_id"] is None
    assert body["leads"][2]["reason"] == "The address is suppressed (manual)."
    assert body["leads"][3]["reason"] == "The same address stands in line 1."


def test_every_fault_of_every_lead_is_told_at_once_and_none_is_added(api, prospects):
    leads = [
        {"email": "ada@example.com"},
        {"email": "nonsense", "fields": {"???": "x", "First-Name": "y"}},
        {"first_name": "Bob", "age": 7},
        {"email": "cid@example.com", "fields": {"plan": 1, "a b": "1", "A_B": "2"}},
    ]
    answer = api.post(f"{LISTS}/{prospects}/leads", json=leads)
    assert faults(answer) == {
        ("[1].email", "address"), ("[1].fields.???", "field_name"), ("[1].fields.First-Name", "own_field"),
        ("[2].email", "required"), ("[2].age", "unknown_field"), ("[3].fields.plan", "type"),
    }  # fmt: skip
    assert faults(
        api.post(f"{LISTS}/{prospects}/leads", json={"email": "a@example.com", "fields": {"a b": "1", "A_B": "2"}})
    ) == {("fields.A_B", "same_field")}
    assert api.get("/v1/outreach/leads").json()["items"] == []


def test_a_thousand_leads_are_the_most(api, prospects):
    leads = [{"email": f"p{n}@example.com"} for n in range(1_001)]
    assert ("", "too_long") in faults(api.post(f"{LISTS}/{prospects}/leads", json=leads))
    assert api.post(f"{LISTS}/{prospects}/leads", json=leads[:-1]).json()["created"] == 1_000
    assert faults(api.post(f"{LISTS}/{prospects}/leads", json=[])) == {("", "too_short")}


def test_a_lead_leaves_a_list(api, prospects):
    [outcome] = api.post(f"{LISTS}/{prospects}/leads", json={"email": "ada@example.com"}).json()["leads"]
    path = f"{LISTS}/{prospects}/leads/{outcome['lead_id']}"
    assert api.delete(path).status_code == 204
    assert api.delete(path).status_code == 404
    assert api.get(f"/v1/outreach/leads/{outcome['lead_id']}").json()["lists"] == []


def test_the_leads_of_a_list_are_searched(api, prospects):
    api.post(
        f"{LISTS}/{prospects}/leads",
        json=[{"email": "ada@example.com", "company": "Engines"}, {"email": "bob@example.com"}],
    )
    api.post("/v1/outreach/leads", json={"email": "cid@example.com", "company": "Engines"})

    def found(**asked):
        return [lead["email"] for lead in api.get(f"{LISTS}/{prospects}/leads", params=asked).json()["items"]]

    assert found() == ["ada@example.com", "bob@example.com"]
    assert found(search="engines") == ["ada@example.com"]
    assert found(status="bounced") == []
    assert api.get(f"{LISTS}/{prospects}/leads", params={"search": "\0"}).status_code == 400
    assert api.get(f"{LISTS}/{prospects}/leads", params={"status": "dead"}).status_code == 400


def test_a_stranger_sees_and_changes_nothing(api, stranger, prospects):
    [outcome] = api.post(f"{LISTS}/{prospects}/leads", json={"email": "ada@example.com"}).json()["leads"]
    path = f"{LISTS}/{prospects}"
    assert stranger.get(LISTS).json()["items"] == []
    answers = [
        stranger.get(path), stranger.patch(path, json={"name": "Mine"}), stranger.delete(path), stranger.get(f"{path}/leads"),
        stranger.post(f"{path}/leads", json={"email": "eve@example.com"}), stranger.delete(f"{path}/leads/{outcome['lead_id']}"),
        stranger.post(f"{path}/upload", content=b"email\neve@example.com\n", headers={"Content-Type": "text/csv"}),
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} == {404}
    assert api.get(path).json()["leads"] == 1


def test_a_viewer_sees_and_changes_nothing(api, viewer, prospects):
    path = f"{LISTS}/{prospects}"
    assert viewer.get(path).status_code == 200
    answers = [
        viewer.post(LISTS, json={"name": "Mine"}), viewer.patch(path, json={"name": "Mine"}), viewer.delete(path),
        viewer.post(f"{path}/leads", json={"email": "eve@example.com"}),
        viewer.post(f"{path}/upload", content=b"email\neve@example.com\n", headers={"Content-Type": "text/csv"}),
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} == {403}


@pytest.mark.parametrize("wrong", [0, 2**31, 2**62])
def test_an_id_that_never_was_is_not_there(api, wrong):
    assert api.get(f"{LISTS}/{wrong}").status_code == 404
    assert api.delete(f"{LISTS}/{wrong}").status_code == 404
    assert api.post(f"{LISTS}/{wrong}/leads", json={"email": "ada@example.com"}).status_code == 404


def on_list(api, list_id):
    return [lead["email"].split("@")[0] for lead in api.get(f"{LISTS}/{list_id}/leads").json()["items"]]


def made(api, name, *people):
    list_id = api.post(LISTS, json={"name": name}).json()["id"]
    if people:
        api.post(f"{LISTS}/{list_id}/leads", json=[{"email": f"{each}@gmail.com"} for each in people])
    return list_id


def test_lists_are_merged_and_put_away(api):
    first, second, third = made(api, "A", "ada", "bob"), made(api, "B", "bob", "cid"), made(api, "C", "dan")
    body = api.post(f"{LISTS}/{first}/merge", json={"lists": [second, third, first], "archive": True}).json()
    assert (body["leads"], body["list"]["leads"]) == (2, 4)
    assert on_list(api, first) == ["ada", "bob", "cid", "dan"]
    assert [each["id"] for each in api.get(LISTS).json()["items"]] == [first]
    into_archived = api.post(f"{LISTS}/{second}/merge", json={"lists": [first]})
    assert (into_archived.status_code, into_archived.json()["code"]) == (409, "list_archived")


def test_a_list_is_split_evenly(api):
    whole = made(api, "All", *(f"p{n}" for n in range(10)))
    parts = api.post(f"{LISTS}/{whole}/split", json={"names": ["One", "Two", "Three"]}).json()
    assert [part["leads"] for part in parts] == [4, 3, 3]
    dealt = [name for part in parts for name in on_list(api, part["id"])]
    assert sorted(dealt) == sorted(on_list(api, whole))
    assert dealt != sorted(dealt)
    again = api.post(f"{LISTS}/{whole}/split", json={"names": ["one", "Four"]})
    assert (again.status_code, again.json()["code"]) == (409, "name_taken")
    assert faults(api.post(f"{LISTS}/{whole}/split", json={"names": ["X", "x "]})) == {("names[1]", "same_name")}
    assert len(api.get(LISTS).json()["items"]) == 4


def test_a_list_is_freed_of_those_who_are_on_others(api):
    first, second, third = made(api, "A", "ada", "bob", "cid"), made(api, "B", "bob"), made(api, "C", "cid")
    path = f"{LISTS}/{first}/dedupe"
    assert api.post(path, json={"dry_run": True}).json()["leads"] == 2
    assert api.post(path, json={"lists": [second]}).json()["list"]["leads"] == 2
    assert on_list(api, first) == ["ada", "cid"]
    api.delete(f"{LISTS}/{third}")
    assert api.post(path, json={}).json()["leads"] == 0


def test_a_list_is_freed_of_other_spellings_of_one_mailbox(api):
    spelt = made(api, "A", "ada.king", "adaking", "ada.king+news", "bob")
    api.post(
        f"{LISTS}/{spelt}/leads",
        json=[{"email": "x.y@example.com"}, {"email": "xy@example.com"}, {"email": "xy+a@example.com"}],
    )
    assert api.post(f"{LISTS}/{spelt}/dedupe", json={"by": "mailbox"}).json()["leads"] == 3
    assert on_list(api, spelt) == ["ada.king", "bob", "x.y", "xy"]


def test_a_list_comes_back_unless_its_name_is_taken(api):
    first = made(api, "A", "ada")
    api.delete(f"{LISTS}/{first}")
    second = made(api, "A")
    refused = api.post(f"{LISTS}/{first}/restore")
    assert (refused.status_code, refused.json()["code"]) == (409, "name_taken")
    api.patch(f"{LISTS}/{second}", json={"name": "B"})
    assert api.post(f"{LISTS}/{first}/restore").json()["archived_at"] is None
    assert on_list(api, first) == ["ada"]


def test_a_stranger_merges_splits_and_dedupes_nothing(api, stranger):
    first, theirs = made(api, "A", "ada"), made(stranger, "T", "eve")
    for path, said in (
        ("merge", {"lists": [theirs]}),
        ("split", {"names": ["X", "Y"]}),
        ("dedupe", {}),
        ("restore", {}),
    ):
        assert stranger.post(f"{LISTS}/{first}/{path}", json=said).status_code == 404
    assert stranger.post(f"{LISTS}/{theirs}/merge", json={"lists": [first]}).status_code == 404
    assert on_list(api, first) == ["ada"]
