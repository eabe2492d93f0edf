"""Campaigns over HTTP: the product's request as it stands, launches that are refused as one list, changes while they run, and every move of status."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from cleanmails.ledger.db import Database
from tests.ledger.conftest import Rows

CAMPAIGNS = "/v1/outreach/campaigns"
LISTS = "/v1/outreach/lists"

VERBATIM = r"""{"name": "Q2 Outreach", "status": "running", "check_reply": true, "track_opens": true, "track_clicks": true,
       "schedule_config": "{\"days\":[1,2,3,4,5],\"start\":\"09:00\",\"end\":\"17:00\",\"timezone\":\"UTC\"}",
       "lists": [{"id": 1}], "senders": [{"id": 1}, {"id": 2}],
       "steps": [
         {"position": 0, "subjects": "[\"Hey {{FIRST_NAME}}, quick question\", \"{{FIRST_NAME}} — saw your work at {{COMPANY}}\"]",
          "body": "<p>Hi {{FIRST_NAME}},</p><p>{I noticed|I saw} your work at {{COMPANY}}...</p>",
          "wait_days": 0, "trigger_condition": "always"},
         {"position": 1, "subjects": "[\"Following up\"]",
          "body": "<p>Hey {{FIRST_NAME}}, just bumping this to the top...</p>",
          "wait_days": 3, "trigger_condition": "not_opened"}]}"""


@pytest.fixture
def house(database_url, owner):
    """The workspace of `api`, with two senders and a list of two leads, which have the ids 1 and 2 and 1."""
    made = Rows(database_url)
    made.workspace = owner
    made.senders = [made.sender("ann@acme.example"), made.sender("ben@acme.example")]
    made.prospects = made.list(*made.leads("ada@example.com", "bob@example.com"))
    yield made
    made.db.close()


@pytest.fixture
def whole(house):
    """A request that can be launched."""
    return {
        "name": "Spring",
        "lists": [{"id": house.prospects}],
        "senders": [{"id": house.senders[0]}],
        "steps": [{"position": 0, "subjects": ["Hello {{FIRST_NAME}}"], "body": "<p>Hi {{FIRST_NAME}}</p>"}],
    }


@pytest.fixture
def draft(api, whole):
    return api.post(CAMPAIGNS, json=whole).json()


@pytest.fixture
def running(api, whole):
    return api.post(CAMPAIGNS, json=whole | {"status": "running"}).json()


def path(campaign, *more):
    return "/".join([CAMPAIGNS, str(campaign["id"]), *more])


def faults(response):
    assert response.status_code == 400, response.text
    return {(fault["field"], fault["code"]) for fault in response.json()["faults"]}


def refusal(response):
    return response.status_code, response.json()["code"]


def test_the_products_request_is_taken_as_it_stands(api, house, woken):
    answer = api.post(CAMPAIGNS, content=VERBATIM.encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["name"], body["status"], body["run"]) == ("Q2 Outreach", "running", 1)
    assert body["schedule_config"] == {"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "17:00", "timezone": "UTC"}
    assert body["lists"] == [{"id": 1, "name": "Prospects"}]
    assert body["senders"] == [{"id": 1, "address": "ann@acme.example"}, {"id": 2, "address": "ben@acme.example"}]
    first, second = body["steps"]
    assert first["subjects"] == ["Hey {{FIRST_NAME}}, quick question", "{{FIRST_NAME}} — saw your work at {{COMPANY}}"]
    assert (first["wait_days"], first["wait_hours"], first["trigger_condition"]) == (0, 0, "always")
    assert (second["subjects"], second["wait_days"], second["trigger_condition"]) == (["Following up"], 3, "not_opened")
    assert body["started_at"] is not None
    assert house.walkers(body["id"]) == {"ada@example.com": "waiting", "bob@example.com": "waiting"}
    assert [event["campaign_id"] for event in house.events("campaign.started")] == [body["id"]]
    assert woken == ["plan"]
    assert api.get(path(body)).json() == body | {"warnings": []}


def test_plain_json_is_the_same_as_text_that_holds_it(api, house):
    texts = json.loads(VERBATIM)
    plain = texts | {
        "schedule_config": json.loads(texts["schedule_config"]),
        "steps": [each | {"subjects": json.loads(each["subjects"])} for each in texts["steps"]],
    }
    one, two = (api.post(CAMPAIGNS, json=body).json() for body in (texts, plain))
    for name in ("id", "created_at", "updated_at", "started_at"):
        assert one.pop(name)
        assert two.pop(name)
    assert one == two


def test_what_is_left_out_is_as_the_product_says(api):
    body = api.post(CAMPAIGNS, json={"name": " Bare "}).json()
    assert {name: body[name] for name in body if name not in {"id", "created_at", "updated_at"}} == {
        "name": "Bare", "status": "draft", "promote_winner": None, "skip_validation": ["disposable"], "check_reply": True, "stop_company_on_reply": False, "track_opens": False, "track_clicks": False, "schedule_config": None,
        "launch_at": None, "max_new_leads_per_day": None, "on_sender_loss": "wait", "missing_field": "hold", "lists": [], "senders": [],
        "steps": [], "pause_reason": None, "run": 0, "started_at": None, "completed_at": None, "archived_at": None,
        "version": 1, "warnings": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["One", "Two"], ["One", "Two"]), ('["One", "Two"]', ["One", "Two"]), ("One", ["One"]), ("[Quick] question", ["[Quick] question"]),
        ("{Hi|Hello} you", ["{Hi|Hello} you"]), ("", []), ("  ", []), ("[]", []), ([], []),
    ],
)  # fmt: skip
def test_subjects_come_in_every_form(api, given, kept):
    body = api.post(CAMPAIGNS, json={"name": "x", "steps": [{"position": 0, "subjects": given}]}).json()
    assert body["steps"][0]["subjects"] == kept


def test_steps_come_in_any_order(api, whole):
    steps = [{"position": number, "subjects": "S", "body": str(number)} for number in (2, 0, 1)]
    body = api.post(CAMPAIGNS, json=whole | {"steps": steps}).json()
    assert [step["body"] for step in body["steps"]] == ["0", "1", "2"]


def test_every_fault_of_a_request_is_told_at_once(api, house):
    answer = api.post(
        CAMPAIGNS,
        json={
            "name": " ", "status": "sleeping", "colour": "red", "track_opens": "yes", "launch_at": "tomorrow", "max_new_leads_per_day": 0,
            "schedule_config": {"days": [7], "start": "9", "end": "17:00", "timezone": "Mars/Base"}, "lists": [{"id": "1"}], "senders": [{}],
            "steps": [{"position": 0, "wait_days": -1, "subjects": '["broken'}, {"position": 0, "trigger_condition": "never", "body": 7}, {}],
        },
    )  # fmt: skip
    assert faults(answer) == {
        ("name", "blank"), ("status", "choice"), ("colour", "unknown_field"), ("track_opens", "type"), ("launch_at", "time"),
        ("max_new_leads_per_day", "too_small"), ("schedule_config.days", "days"), ("schedule_config.start", "time"),
        ("schedule_config.timezone", "timezone"), ("lists[0].id", "type"), ("senders[0].id", "required"),
        ("steps[0].wait_days", "too_small"), ("steps[0].subjects", "json"), ("steps[1].trigger_condition", "choice"), ("steps[1].body", "type"),
        ("steps[2].position", "required"),
    }  # fmt: skip
    assert api.get(CAMPAIGNS).json()["items"] == []


def test_two_steps_cannot_have_one_position(api):
    answer = api.post(CAMPAIGNS, json={"name": "x", "steps": [{"position": 0}, {"position": 1}, {"position": 0}]})
    assert faults(answer) == {("steps[2].position", "same_position")}


def test_a_schedule_in_a_text_is_judged_like_any(api):
    answer = api.post(
        CAMPAIGNS, json={"name": "x", "schedule_config": '{"days":[],"start":"09:00","end":"09:00","timezone":"UTC"}'}
    )
    assert faults(answer) == {("schedule_config.days", "days"), ("schedule_config.end", "equal")}
    assert faults(api.post(CAMPAIGNS, json={"name": "x", "schedule_config": "nonsense"})) == {
        ("schedule_config", "json")
    }
    assert api.post(CAMPAIGNS, json={"name": "x", "schedule_config": ""}).json()["schedule_config"] is None


@pytest.mark.parametrize("status", ["paused", "completed"])
def test_no_campaign_begins_paused_or_completed(api, status):
    assert faults(api.post(CAMPAIGNS, json={"name": "x", "status": status})) == {("status", "choice")}


def test_ids_of_another_workspace_are_as_unknown_as_those_that_never_were(api, house, whole, stranger):
    foreign = stranger.post(LISTS, json={"name": "Theirs"}).json()["id"]
    other = house.one("SELECT workspace_id FROM lists WHERE id = %s", foreign)
    sender = house.sender("eve@others.example")
    house.run("UPDATE senders SET workspace_id = %s WHERE id = %s", other, sender)
    request = whole | {
        "lists": [*whole["lists"], {"id": foreign}, {"id": 2**40}],
        "senders": [{"id": sender}, *whole["senders"], {"id": 2**62}],
    }
    for status in ("draft", "running"):
        answer = api.post(CAMPAIGNS, json=request | {"status": status})
        assert faults(answer) == {
            ("lists[1].id", "unknown_id"), ("lists[2].id", "unknown_id"), ("senders[0].id", "unknown_id"), ("senders[2].id", "unknown_id"),
        }  # fmt: skip
        assert "Theirs" not in answer.text
        assert "others.example" not in answer.text
    assert api.get(CAMPAIGNS).json()["items"] == []


@pytest.mark.asvs("2.3.3", "16.5.3")
def test_a_launch_that_cannot_be_is_refused_as_one_list_and_nothing_is_made(api, house):
    steps = [
        {"position": 2, "subjects": [" "], "body": "{{FIRST_NAME"},
        {"position": 0, "body": " ", "trigger_condition": "on_click"},
    ]
    answer = api.post(CAMPAIGNS, json={"name": "x", "status": "running", "steps": steps})
    found = faults(answer)
    assert found >= {
        ("steps", "positions"), ("steps[0].subjects", "empty_subject"), ("steps[0].body", "template"),
        ("steps[1].subjects", "no_subject"), ("steps[1].body", "no_body"), ("steps[1].trigger_condition", "first_trigger"),
        ("lists", "no_lists"), ("senders", "no_senders"),
    }  # fmt: skip
    assert api.get(CAMPAIGNS).json()["items"] == []
    assert house.events("campaign.started") == []


def test_triggers_need_their_tracking_and_senders_must_be_usable(api, house, whole):
    house.run("UPDATE senders SET status = 'restricted'")
    steps = [*whole["steps"], {"position": 1, "body": "x", "trigger_condition": "not_opened"}]
    answer = api.post(CAMPAIGNS, json=whole | {"status": "running", "steps": steps})
    assert faults(answer) == {("steps[1].trigger_condition", "needs_track_opens"), ("senders", "no_usable_sender")}


def test_a_launch_tells_what_one_should_know(api, house, whole):
    house.run("""UPDATE leads SET company = '', fields = '{"city": "Rome"}' WHERE email = 'ada@example.com'""")
    steps = [
        {"position": 0, "subjects": "Hello", "body": '{{COMPANY}} {{City}} {{LAST_NAME | "there"}} {{FIRST_NAME}}'}
    ]
    body = api.post(CAMPAIGNS, json=whole | {"status": "running", "steps": steps}).json()
    warnings = {(warning["code"], warning["count"]) for warning in body["warnings"]}
    assert warnings == {("missing_field", 1), ("no_postal_address", 2)}
    assert len([warning for warning in body["warnings"] if warning["code"] == "missing_field"]) == 2
    assert body["status"] == "running"


def test_a_field_that_no_lead_has_at_all_is_a_slip_unless_the_lists_are_empty(api, house, whole):
    steps = [{"position": 0, "subjects": "Hello", "body": "{{CITTY}}"}]
    assert faults(api.post(CAMPAIGNS, json=whole | {"status": "running", "steps": steps})) == {
        ("steps[0].body", "unknown_tag")
    }
    empty = house.list(name="Empty")
    body = api.post(CAMPAIGNS, json=whole | {"status": "running", "steps": steps, "lists": [{"id": empty}]}).json()
    assert "no_leads" in {warning["code"] for warning in body["warnings"]}


def test_what_stands_against_a_launch_can_be_asked_before(api, whole, draft):
    assert api.get(path(draft, "launch-checks")).json()["faults"] == []
    bare = api.post(CAMPAIGNS, json={"name": "Bare"}).json()
    codes = {fault["code"] for fault in api.get(path(bare, "launch-checks")).json()["faults"]}
    assert codes == {"no_steps", "no_lists", "no_senders"}


def test_a_draft_is_started_paused_and_resumed(api, house, draft, woken):
    assert woken == []
    started = api.post(path(draft, "start"))
    assert (started.status_code, started.json()["status"], started.json()["run"]) == (200, "running", 1)
    paused = api.post(path(draft, "pause"))
    assert (paused.status_code, paused.json()["status"], paused.json()["pause_reason"]) == (200, "paused", None)
    resumed = api.post(path(draft, "resume"))
    assert (resumed.status_code, resumed.json()["status"], resumed.json()["run"]) == (200, "running", 2)
    assert woken == ["plan", "plan"]
    assert [event["type"] for event in house.events("campaign.started", "campaign.paused", "campaign.resumed")] == [
        "campaign.started", "campaign.paused", "campaign.resumed",
    ]  # fmt: skip


def test_whoever_follows_campaigns_hears_of_all_that_is_done_to_them(api, house, draft):
    api.patch(path(draft), json={"name": "Summer", "check_reply": False})
    api.patch(path(draft), json={"name": "Summer"})
    api.delete(path(draft))
    told = house.all("SELECT type, data FROM events WHERE campaign_id = %s ORDER BY id", draft["id"])
    assert [each["type"] for each in told] == ["campaign.created", "campaign.changed", "campaign.deleted"]
    assert set(told[1]["data"]["fields"]) == {"name", "check_reply"}
    assert told[2]["data"]["name"] == "Summer"


def test_status_is_changed_by_its_field_too(api, draft, woken):
    for status in ("running", "running", "paused", "running"):
        assert api.patch(path(draft), json={"status": status}).json()["status"] == status
    assert api.get(path(draft)).json()["run"] == 2
    assert "plan" in woken


@pytest.mark.parametrize(
    ("status", "move", "code"),
    [
        ("draft", "pause", "not_started"), ("draft", "resume", "not_started"), ("running", "start", "already_running"),
        ("running", "resume", "already_running"), ("paused", "start", "already_started"), ("paused", "pause", "already_paused"),
        ("completed", "start", "campaign_completed"), ("completed", "pause", "campaign_completed"), ("completed", "resume", "campaign_completed"),
    ],
)  # fmt: skip
@pytest.mark.asvs("2.3.1")
def test_an_illegal_move_is_refused_with_a_code(api, house, draft, status, move, code):
    house.run(
        "UPDATE campaigns SET status = %s, started_at = CASE WHEN %s <> 'draft' THEN now() END, completed_at = CASE WHEN %s = 'completed' THEN now() END",
        status, status, status,
    )  # fmt: skip
    assert refusal(api.post(path(draft, move))) == (409, code)
    assert api.get(path(draft)).json()["status"] == status


def test_no_field_makes_a_draft_of_what_runs_nor_completes_it(api, running):
    assert refusal(api.patch(path(running), json={"status": "draft"})) == (409, "already_started")
    assert refusal(api.patch(path(running), json={"status": "completed"})) == (409, "completed_by_system")


def test_a_completed_campaign_is_not_changed(api, house, running):
    house.run("UPDATE campaigns SET status = 'completed', completed_at = now()")
    assert refusal(api.patch(path(running), json={"name": "New"})) == (409, "campaign_completed")


def test_a_start_that_cannot_be_leaves_the_draft(api, house):
    bare = api.post(CAMPAIGNS, json={"name": "Bare"}).json()
    assert {code for _, code in faults(api.post(path(bare, "start")))} == {"no_steps", "no_lists", "no_senders"}
    assert api.get(path(bare)).json() == bare


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-12:00", "2100-01-01T00:00:00Z", "0001-01-01T00:00:00+12:00"])
def test_a_launch_at_the_ends_of_the_calendar_is_refused(api, draft, at):
    """The ledger takes such a time, and gives none back that Python could read: neither a page nor the planner could go on."""
    refused = api.patch(path(draft), json={"launch_at": at})
    assert refused.status_code == 400
    assert [(fault["field"], fault["code"]) for fault in refused.json()["faults"]] == [("launch_at", "far")]


def test_a_stale_change_is_refused(api, draft):
    first = api.patch(path(draft), json={"name": "One", "version": draft["version"]})
    assert first.json()["version"] > draft["version"]
    second = api.patch(path(draft), json={"name": "Two", "version": draft["version"]})
    assert refusal(second) == (409, "stale")
    assert api.get(path(draft)).json()["name"] == "One"


def test_what_is_left_out_of_a_change_stays(api, draft):
    changed = api.patch(path(draft), json={"track_opens": True}).json()
    same = {name: value for name, value in draft.items() if name not in {"track_opens", "version", "updated_at"}}
    assert {name: changed[name] for name in same} == same
    window = {"days": [0, 6], "start": "22:00", "end": "06:00", "timezone": "Europe/Berlin"}
    assert api.patch(path(draft), json={"schedule_config": window}).json()["schedule_config"] == window
    assert api.patch(path(draft), json={"name": "x"}).json()["schedule_config"] == window
    assert api.patch(path(draft), json={"schedule_config": None}).json()["schedule_config"] is None


def test_a_running_campaign_is_only_changed_to_what_could_be_launched(api, running):
    broken = {"steps": [{"position": 0, "subjects": "S", "body": "{{FIRST_NAME"}]}
    assert faults(api.patch(path(running), json=broken)) == {("steps[0].body", "template")}
    assert api.get(path(running)).json()["steps"] == running["steps"]
    assert api.patch(path(running), json={"status": "paused", **broken}).status_code == 200
    assert faults(api.post(path(running, "resume"))) == {("steps[0].body", "template")}


def test_the_text_of_a_running_campaign_changes(api, running):
    steps = [{"position": 0, "subjects": "New", "body": "New"}, {"position": 1, "body": "And again", "wait_days": 2}]
    changed = api.patch(path(running), json={"steps": steps}).json()
    assert [(step["body"], step["wait_days"]) for step in changed["steps"]] == [("New", 0), ("And again", 2)]


def test_lists_of_a_running_campaign_come_and_go(api, house, running):
    more = house.list(*house.leads("cid@example.com"), name="More")
    api.patch(path(running), json={"lists": [{"id": house.prospects}, {"id": more}]})
    assert set(house.walkers(running["id"]).values()) == {"waiting"}
    api.patch(path(running), json={"lists": [{"id": more}]})
    assert house.walkers(running["id"]) == {
        "ada@example.com": "ended",
        "bob@example.com": "ended",
        "cid@example.com": "waiting",
    }


def test_a_list_in_use_is_not_put_away(api, house, draft):
    assert refusal(api.delete(f"{LISTS}/{house.prospects}")) == (409, "list_in_use")


def test_leads_that_join_by_the_api_walk_at_once(api, house, running):
    api.post(f"{LISTS}/{house.prospects}/leads", json={"email": "cid@example.com"})
    assert house.walkers(running["id"])["cid@example.com"] == "waiting"


def test_senders_of_a_running_campaign_come_and_go(api, house, running):
    old, new = house.senders
    house.run("UPDATE campaign_leads SET sender_id = %s", old)
    api.patch(path(running), json={"senders": [{"id": new}]})
    assert {row["sender_id"] for row in house.all("SELECT sender_id FROM campaign_leads")} == {old}
    changed = api.patch(path(running), json={"senders": [{"id": new}], "on_sender_loss": "reassign"}).json()
    assert {row["sender_id"] for row in house.all("SELECT sender_id FROM campaign_leads")} == {None}
    assert changed["senders"] == [{"id": new, "address": "ben@acme.example"}]


def test_a_launch_that_is_moved_moves_who_waits_for_it(api, house, whole):
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    body = api.post(CAMPAIGNS, json=whole | {"status": "running", "launch_at": later.isoformat()}).json()
    assert datetime.fromisoformat(body["launch_at"]) == later
    assert {row["due_at"] for row in house.all("SELECT due_at FROM campaign_leads")} == {later}
    api.patch(path(body), json={"launch_at": (later + timedelta(days=1)).isoformat()})
    assert {row["due_at"] for row in house.all("SELECT due_at FROM campaign_leads")} == {later + timedelta(days=1)}
    api.patch(path(body), json={"launch_at": None})
    assert all(row["due_at"] <= datetime.now(UTC) for row in house.all("SELECT due_at FROM campaign_leads"))


def test_a_draft_is_deleted_and_what_runs_or_mailed_is_not(api, house, draft, running):
    assert api.delete(path(draft)).status_code == 204
    assert api.get(path(draft)).status_code == 404
    assert refusal(api.delete(path(running))) == (409, "campaign_running")
    ada = house.one("SELECT id FROM leads WHERE email = 'ada@example.com'")
    house.planned(running["id"], ada, "unknown", sender=house.senders[0])
    api.post(path(running, "pause"))
    assert refusal(api.delete(path(running))) == (409, "was_mailed")


def test_the_leads_of_a_campaign_say_where_they_stand(api, house, running):
    ada, _bob = (row["id"] for row in house.all("SELECT id FROM leads ORDER BY id"))
    house.planned(running["id"], ada, "deferred", sender=house.senders[0])
    house.run("UPDATE deliveries SET reason = 'daily_limit_met'")
    first, second = api.get(path(running, "leads")).json()["items"]
    assert (first["email"], first["state"], first["step"], first["delivery"], first["reason"]) == (
        "ada@example.com", "in_flight", 0, "deferred", "daily_limit_met",
    )  # fmt: skip
    assert (second["state"], second["delivery"], second["outcome"], second["due_at"] is None) == (
        "waiting",
        None,
        None,
        False,
    )
    waiting = api.get(path(running, "leads"), params={"state": "waiting"}).json()["items"]
    assert [each["email"] for each in waiting] == ["bob@example.com"]
    page = api.get(path(running, "leads"), params={"limit": 1}).json()
    assert [
        each["email"] for each in api.get(path(running, "leads"), params={"after": page["next"]}).json()["items"]
    ] == ["bob@example.com"]
    assert api.get(path(running, "leads"), params={"state": "lost"}).status_code == 400


def test_the_deliveries_of_a_campaign_are_listed(api, house, running):
    ada, bob = (row["id"] for row in house.all("SELECT id FROM leads ORDER BY id"))
    house.planned(running["id"], ada, "sent", sender=house.senders[0])
    house.planned(running["id"], bob, "held", sender=house.senders[1])
    first, second = api.get(path(running, "deliveries")).json()["items"]
    assert (first["email"], first["state"], first["sender"], first["step"]) == (
        "ada@example.com",
        "sent",
        "ann@acme.example",
        0,
    )
    assert (second["state"], second["reason"], second["hash"]) == ("held", "why", None)
    page = api.get(path(running, "deliveries"), params={"limit": 1}).json()
    rest = api.get(path(running, "deliveries"), params={"after": page["next"]}).json()
    assert [each["id"] for each in [*page["items"], *rest["items"]]] == [first["id"], second["id"]]
    assert [each["id"] for each in api.get(path(running, "deliveries"), params={"state": "held"}).json()["items"]] == [
        second["id"]
    ]


def test_campaigns_are_listed_by_status(api, draft, running):
    assert [each["id"] for each in api.get(CAMPAIGNS).json()["items"]] == [draft["id"], running["id"]]
    assert [each["id"] for each in api.get(CAMPAIGNS, params={"status": "running"}).json()["items"]] == [running["id"]]


def test_a_stranger_sees_and_changes_nothing(stranger, api, running):
    assert stranger.get(CAMPAIGNS).json()["items"] == []
    answers = [stranger.get(path(running, *more)) for more in ((), ("leads",), ("deliveries",), ("launch-checks",))]
    answers += [stranger.post(path(running, move)) for move in ("start", "pause", "resume")]
    answers += [
        stranger.patch(path(running), json={"name": "Mine"}),
        stranger.patch(path(running), json={"status": "paused"}),
        stranger.delete(path(running)),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert api.get(path(running)).json() == running | {"warnings": []}


def test_a_viewer_sees_and_changes_nothing(viewer, running):
    assert viewer.get(path(running)).status_code == 200
    answers = [
        viewer.post(CAMPAIGNS, json={"name": "x"}),
        viewer.patch(path(running), json={"name": "x"}),
        viewer.delete(path(running)),
    ]
    answers += [viewer.post(path(running, move)) for move in ("start", "pause", "resume")]
    assert {answer.status_code for answer in answers} == {403}


def test_two_who_start_one_campaign_start_it_once(api, house, draft, together):
    codes = sorted(answer.status_code for answer in together(*[lambda: api.post(path(draft, "start"))] * 4))
    assert codes == [200, 409, 409, 409]
    assert len(house.events("campaign.started")) == 1


def test_no_lead_falls_between_an_upload_and_a_start(api, house, draft, together):
    def join():
        for n in range(12):
            answer = api.post(
                f"{LISTS}/{house.prospects}/upload",
                content=f"email\np{n}@example.com\n".encode(),
                headers={"Content-Type": "text/csv"},
            )
            assert answer.status_code == 201

    together(join, lambda: api.post(path(draft, "start")))
    assert len(house.walkers(draft["id"])) == 14


def test_pauses_of_every_kind_at_once_wait_for_nobody_for_ever(api, house, running, together, database_url):
    """By route, by field, and by the system, with changes between: locks are taken in one order."""

    def by_the_system():
        from cleanmails.ledger import campaign_runs

        with Database(database_url, size=1) as database, database.transaction() as db:
            if campaign_runs.hold_for_pause(db, running["id"]):
                campaign_runs.pause(db, running["id"], "too many bounces")

    for _ in range(5):
        answers = together(
            lambda: api.post(path(running, "pause")).status_code,
            lambda: api.patch(path(running), json={"status": "paused"}).status_code,
            lambda: api.patch(path(running), json={"name": "New"}).status_code,
            by_the_system,
        )
        assert set(answers) <= {200, 409, None}
        assert api.post(path(running, "resume")).status_code == 200
