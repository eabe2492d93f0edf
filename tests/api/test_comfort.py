"""What makes the API good to sync with: repeated writes, ETags, rate limits."""

import threading

import pytest

from cleanmails.api.comfort import Meter
from cleanmails.ledger import idempotency

LISTS = "/v1/outreach/lists"


def test_a_repeated_write_is_done_once_and_answers_the_same(api):
    first, second = (api.post(LISTS, json={"name": "A"}, headers={"Idempotency-Key": "k1"}) for _ in range(2))
    assert (second.status_code, second.json()) == (201, first.json())
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert len(api.get(LISTS).json()["items"]) == 1


def test_a_refusal_for_its_faults_is_repeated_too(api):
    answers = [api.post(LISTS, json={"name": ""}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[1].headers["content-type"] == "application/problem+json"


def test_another_body_or_address_with_the_same_key_is_refused(api):
    api.post(LISTS, json={"name": "A"}, headers={"Idempotency-Key": "k"})
    other = api.post(LISTS, json={"name": "B"}, headers={"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert api.delete(f"{LISTS}/1", headers={"Idempotency-Key": "k"}).status_code == 422


def test_keys_belong_to_who_gave_them(api, stranger):
    for acting in (api, stranger):
        assert acting.post(LISTS, json={"name": "A"}, headers={"Idempotency-Key": "k"}).status_code == 201
    assert len(stranger.get(LISTS).json()["items"]) == 1


def test_a_key_is_forgotten_after_a_day(api, clock):
    api.post(LISTS, json={"name": "A"}, headers={"Idempotency-Key": "k"})
    clock.forward(hours=25)
    assert api.post(LISTS, json={"name": "B"}, headers={"Idempotency-Key": "k"}).json()["name"] == "B"


def test_while_the_first_is_being_done_the_second_is_refused_and_a_lost_one_gives_way(database, clock):
    with database.transaction() as db:
        assert idempotency.begin(db, "o", "k", b"r", now=clock()) is None
        assert idempotency.begin(db, "o", "k", b"r", now=clock())["answer"] is None
        clock.forward(minutes=3)
        assert idempotency.begin(db, "o", "k", b"r", now=clock()) is None


def test_many_at_once_do_it_once(api, together):
    def one():
        return api.post(LISTS, json={"name": "A"}, headers={"Idempotency-Key": "k"}).status_code

    statuses = together(*[one] * 6)
    assert set(statuses) <= {201, 409}
    assert len(api.get(LISTS).json()["items"]) == 1


@pytest.mark.asvs("14.2.2")
def test_a_secret_in_a_kept_answer_is_sealed(api, database):
    made = api.post("/v1/api-keys", json={"name": "CI"}, headers={"Idempotency-Key": "k"}).json()["key"]
    with database.transaction() as db:
        (row,) = db.execute("SELECT answer FROM idempotency_keys").fetchall()
    assert made.encode() not in bytes(row["answer"])
    assert api.post("/v1/api-keys", json={"name": "CI"}, headers={"Idempotency-Key": "k"}).json()["key"] == made


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x7f"])
def test_a_key_that_is_none_is_refused(api, key):
    assert api.post(LISTS, json={"name": "A"}, headers={"Idempotency-Key": key}).status_code == 400


def test_strangers_take_no_room(anonymous, database):
    headers = {"Idempotency-Key": "k", "Authorization": "Bearer cm_live_nobody"}
    assert anonymous.post(LISTS, json={"name": "A"}, headers=headers).status_code == 401
    with database.transaction() as db:
        assert db.execute("SELECT FROM idempotency_keys").fetchone() is None


def test_what_has_not_changed_is_304(api):
    first = api.get(LISTS)
    tag = first.headers["etag"]
    again = api.get(LISTS, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    api.post(LISTS, json={"name": "A"})
    assert api.get(LISTS, headers={"If-None-Match": tag}).status_code == 200


def test_what_is_left_is_said(api):
    answer = api.get(LISTS)
    assert answer.headers["ratelimit-limit"] == "600"
    assert int(answer.headers["ratelimit-remaining"]) <= 599
    assert "ratelimit-limit" not in api.client.get("/healthz").headers


class TestASmallAllowance:
    """Three requests a minute."""

    @pytest.fixture
    def environ(self):
        return {"CLEANMAILS_API_RATE": "3"}

    @pytest.mark.asvs("2.4.1")
    def test_who_asks_too_much_is_told_when_to_come_back(self, api, viewer):
        answers = [api.get(LISTS) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[3].json()["code"] == "too_many_requests"
        assert 1 <= int(answers[3].headers["retry-after"]) <= 20
        assert viewer.get(LISTS).status_code == 200


def test_requests_come_back_evenly():
    now = [0.0]
    meter = Meter(60, clock=lambda: now[0])
    assert [meter.take(b"a").wait for _ in range(61)] == [0] * 60 + [1]
    now[0] = 1.0
    assert meter.take(b"a").wait == 0
    assert meter.take(b"a").wait == 1
    now[0] = 120.0
    assert meter.take(b"a").left == 59


def test_a_crowd_gets_no_more_than_there_is(together):
    meter, granted, lock = Meter(100, clock=lambda: 0.0), [], threading.Lock()

    def ask():
        for _ in range(50):
            allowance = meter.take(b"a")
            with lock:
                granted.append(allowance.wait == 0)

    together(*[ask] * 4)
    assert sum(granted) == 100


def test_a_change_of_what_is_as_it_was_read_is_done_and_another_refused(api):
    made = f"{LISTS}/{api.post(LISTS, json={'name': 'A'}).json()['id']}"
    tag = api.get(made).headers["etag"]
    assert api.patch(made, json={"name": "B"}, headers={"If-Match": f'"other", {tag}'}).status_code == 200
    late = api.patch(made, json={"name": "C"}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["code"]) == (412, "stale")
    assert "Read it again" in late.json()["detail"]
    assert api.delete(made, headers={"If-Match": tag}).status_code == 412
    assert api.get(made).json()["name"] == "B"
    assert api.delete(made, headers={"If-Match": "*"}).status_code == 204


@pytest.mark.parametrize("noun", ["leads", "campaigns", "suppressions", "webhooks"])
def test_every_noun_can_be_held_to_what_was_read(api, noun):
    body = {
        "leads": {"email": "ada@example.com"},
        "campaigns": {"name": "A", "steps": [{"position": 0, "subjects": ["Hi"], "body": "<p>Hi</p>"}]},
        "suppressions": {"value": "gone@example.com"},
        "webhooks": {"url": "https://127.0.0.1/hook"},
    }[noun]
    answer = api.post(f"/v1/outreach/{noun}", json=body).json()
    made = answer[0] if isinstance(answer, list) else answer.get("items", [answer.get("webhook", answer)])[0]
    path = f"/v1/outreach/{noun}/{made['id']}"
    tag = api.get(path).headers["etag"]
    assert api.delete(path, params={"note": "wrong"}, headers={"If-Match": '"stale"'}).status_code == 412
    assert api.get(path).headers["etag"] == tag
    assert api.delete(path, params={"note": "wrong"}, headers={"If-Match": tag}).status_code in {200, 204}


def test_of_two_who_read_the_same_one_changes_it(api, together):
    made = f"{LISTS}/{api.post(LISTS, json={'name': 'A'}).json()['id']}"
    tag = api.get(made).headers["etag"]

    def change(name):
        return lambda: api.patch(made, json={"name": name}, headers={"If-Match": tag}).status_code

    statuses = together(*map(change, "BCDE"))
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 409, 412}


def test_a_stale_write_may_be_tried_again_with_its_key(api):
    made = f"{LISTS}/{api.post(LISTS, json={'name': 'A'}).json()['id']}"
    once = {"Idempotency-Key": "k"}
    assert api.patch(made, json={"name": "B"}, headers=once | {"If-Match": '"stale"'}).status_code == 412
    again = {"If-Match": api.get(made).headers["etag"]}
    for _ in range(2):
        assert api.patch(made, json={"name": "B"}, headers=once | again).status_code == 200


def test_what_is_not_there_or_cannot_be_read_is_told_as_ever(api, anonymous):
    tagged = {"If-Match": '"x"'}
    assert api.patch(f"{LISTS}/999", json={"name": "B"}, headers=tagged).status_code == 404
    assert anonymous.patch(f"{LISTS}/1", json={"name": "B"}, headers=tagged).status_code == 401
    nobody = tagged | {"Authorization": "Bearer cm_live_nobody"}
    assert anonymous.patch(f"{LISTS}/1", json={"name": "B"}, headers=nobody).status_code == 401
