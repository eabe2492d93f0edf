"""Who changed what of a campaign; copies, and campaigns that are put away."""

import pytest

CAMPAIGNS = "/v1/outreach/campaigns"


@pytest.fixture
def campaign(api):
    steps = [
        {"position": 0, "subjects": ["Hi"], "body": "<p>Hi</p>"},
        {"position": 1, "body": "<p>Again</p>", "wait_days": 2},
    ]
    return api.post(CAMPAIGNS, json={"name": "Spring", "steps": steps, "track_opens": True}).json()


def test_each_change_is_written_down_with_who_made_it_and_what(api, campaign):
    path = f"{CAMPAIGNS}/{campaign['id']}"
    steps = campaign["steps"]
    steps[1]["body"] = "<p>Once more</p>"
    api.patch(path, json={"steps": steps, "name": "Summer"})
    api.patch(path, json={"name": "Summer"})  # which changes nothing
    api.patch(path, json={"schedule_config": {"days": [1], "start": "09:00", "end": "17:00", "timezone": "UTC"}})
    told = api.get(f"{path}/changes").json()["items"]
    assert [(each["version"], each["fields"], each["who"]) for each in told] == [
        (4, ["schedule_config"], "API key admin"),
        (2, ["name", "steps[1]"], "API key admin"),
        (1, ["track_opens", "steps[0]", "steps[1]"], "API key admin"),
    ]
    after = api.get(f"{path}/changes?limit=1").json()
    assert api.get(f"{path}/changes?limit=1&after={after['next']}").json()["items"] == told[1:2]


def test_a_stale_change_is_told_who_was_first(api, campaign):
    path = f"{CAMPAIGNS}/{campaign['id']}"
    api.patch(path, json={"name": "Theirs", "check_reply": False, "skip_validation": ["role"], "version": 1})
    refused = api.patch(path, json={"name": "Mine", "version": 1})
    assert (refused.status_code, refused.json()["code"]) == (409, "stale")
    assert (
        "API key admin changed the name, the check reply and the classes of addresses left out since you read the campaign"
        in refused.json()["detail"]
    )


def test_a_copy_is_a_draft_with_everything_but_the_launch(api, campaign):
    wanted = api.post("/v1/outreach/lists", json={"name": "A"}).json()["id"]
    path = f"{CAMPAIGNS}/{campaign['id']}"
    api.patch(path, json={"lists": [{"id": wanted}], "launch_at": "2030-01-01T09:00:00Z", "name": "N" * 200})
    answer = api.post(f"{path}/duplicate")
    copy = answer.json()
    assert answer.status_code == 201
    assert (copy["status"], copy["launch_at"], copy["version"]) == ("draft", None, 1)
    assert copy["name"] == "Copy of " + "N" * 192
    assert [each["id"] for each in copy["lists"]] == [wanted]
    assert (copy["steps"], copy["track_opens"]) == (campaign["steps"], True)


def test_what_is_put_away_is_left_out_and_cannot_be_started(api, campaign):
    path = f"{CAMPAIGNS}/{campaign['id']}"
    assert api.post(f"{path}/archive").json()["archived_at"] is not None
    assert api.get(CAMPAIGNS).json()["items"] == []
    assert [each["id"] for each in api.get(f"{CAMPAIGNS}?archived=true").json()["items"]] == [campaign["id"]]
    for refused in (api.post(f"{path}/start"), api.patch(path, json={"status": "running"})):
        assert (refused.status_code, refused.json()["code"]) == (409, "campaign_archived")
    assert api.post(f"{path}/restore").json()["archived_at"] is None
    assert [each["id"] for each in api.get(f"{CAMPAIGNS}?q=SPRI").json()["items"]] == [campaign["id"]]
    assert api.get(f"{CAMPAIGNS}?q=spring_").json()["items"] == []


def test_the_campaigns_of_others_are_unknown(stranger, campaign):
    path = f"{CAMPAIGNS}/{campaign['id']}"
    for method, end in (("get", "changes"), ("post", "duplicate"), ("post", "archive"), ("post", "restore")):
        assert stranger.request(method, f"{path}/{end}").status_code == 404


def test_a_preview_shows_words_that_are_not_saved(api, campaign, database, owner):
    with database.transaction() as db:
        sender = db.execute(
            "INSERT INTO senders (workspace_id, address, smtp_host, smtp_port, smtp_security) VALUES (%s, 'a@x.example', 'h', 25, 'plain') RETURNING id",
            (owner,),
        ).fetchone()["id"]
    lead = api.post("/v1/outreach/leads", json={"email": "b@y.example", "first_name": "Ben"}).json()["id"]
    asked = {
        "lead_id": lead,
        "sender_id": sender,
        "subjects": ["Typed {{FIRST_NAME}}"],
        "body": "<p>New {{AI:words|fallen back}}</p>",
    }
    shown = api.post(f"{CAMPAIGNS}/{campaign['id']}/preview", json=asked).json()
    assert shown["subject"] == "Typed Ben"
    assert "New fallen back" in shown["html"]
    saved = api.post(f"{CAMPAIGNS}/{campaign['id']}/preview", json={"lead_id": lead, "sender_id": sender}).json()
    assert saved["subject"] == "Hi"
