"""Looking at a list is begun, watched and ended over HTTP; what a campaign does with the classes is its own choice."""

import pytest

from cleanmails.ledger import walks

PATH = "/v1/outreach/validations"


@pytest.fixture
def listed(api):
    made = api.post("/v1/outreach/lists", json={"name": "Prospects"}).json()["id"]
    leads = [{"email": email} for email in ("ann@firm.example", "bob@firm.example", "cy@firm.example")]
    assert api.post(f"/v1/outreach/lists/{made}/leads", json=leads).status_code == 201
    return made


def test_a_validation_is_begun_watched_and_cancelled(api, listed, viewer, stranger):
    begun = api.post(PATH, json={"list_id": listed})
    assert begun.status_code == 201
    job = begun.json()
    assert (job["state"], job["total"], job["looked"], job["seconds_left"]) == ("queued", 3, 0, None)
    assert job["counts"] == {"valid": 0, "invalid": 0, "disposable": 0, "role": 0, "catchall": 0, "pending": 0}
    twice = api.post(PATH, json={"list_id": listed})
    assert (twice.status_code, twice.json()["code"]) == (409, "validation_running")
    assert viewer.get(f"{PATH}/{job['id']}").json() == job
    assert api.get(f"{PATH}?list_id={listed}").json()["items"] == [job]
    ended = api.post(f"{PATH}/{job['id']}/cancel").json()
    assert (ended["state"], ended["seconds_left"]) == ("cancelled", 0)
    assert api.post(f"{PATH}/{job['id']}/cancel").status_code == 409
    assert api.post(PATH, json={"list_id": listed}).status_code == 201, "the list is free again"
    for answer in (stranger.get(f"{PATH}/{job['id']}"), stranger.post(f"{PATH}/{job['id']}/cancel")):
        assert answer.status_code == 404
    assert stranger.post(PATH, json={"list_id": listed}).status_code == 404
    assert stranger.get(PATH).json()["items"] == []


def test_the_time_that_is_left_goes_by_the_pace_so_far(api, listed, database, clock):
    job = api.post(PATH, json={"list_id": listed}).json()
    with database.transaction() as db:
        db.execute(
            "UPDATE validations SET state = 'running', worker_id = 1, token = 1, begun_at = %s, looked = 1, total = 4",
            (clock.now,),
        )
    clock.forward(seconds=10)
    assert api.get(f"{PATH}/{job['id']}").json()["seconds_left"] == 30


def test_every_reason_has_a_meaning(api):
    codes = {each["code"]: each["meaning"] for each in api.get(f"{PATH}/reasons").json()}
    assert {"syntax", "disposable", "role", "did_you_mean"} <= codes.keys()


def test_a_campaign_leaves_out_the_classes_it_says_and_never_mails_an_invalid_one(api, listed, database):
    with database.transaction() as db:
        for name, found in (("ann", "role"), ("bob", "disposable"), ("cy", "invalid")):
            db.execute("UPDATE leads SET validation = %s WHERE email = %s", (found, f"{name}@firm.example"))

    def taken_in(**settings):
        made = api.post(
            "/v1/outreach/campaigns",
            json={
                "name": "Spring",
                "lists": [{"id": listed}],
                "steps": [{"position": 0, "subjects": "Hi", "body": "<p>Hi</p>"}],
                **settings,
            },
        ).json()
        with database.transaction() as db:
            db.execute(
                "UPDATE campaigns SET status = 'running', run = 1, started_at = now() WHERE id = %s", (made["id"],)
            )
            walks.enroll(db, made["id"])
        leads = api.get(f"/v1/outreach/campaigns/{made['id']}/leads").json()["items"]
        return made["skip_validation"], {lead["email"].partition("@")[0] for lead in leads}

    assert taken_in() == (["disposable"], {"ann"})
    assert taken_in(skip_validation=[]) == ([], {"ann", "bob"})
    assert taken_in(skip_validation=["role", "disposable"]) == (["role", "disposable"], set())
    refused = api.post("/v1/outreach/campaigns", json={"name": "x", "skip_validation": ["invalid"]})
    assert refused.json()["faults"][0]["field"] == "skip_validation[0]"
