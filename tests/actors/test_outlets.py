"""Webhooks: everything arrives, in order, signed, whatever the receiver does; and nobody else waits for it."""

import hmac
import os
import random
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from cleanmails.actors import outlets as sending
from cleanmails.actors.outlets import Post
from cleanmails.ledger import events, outlets
from cleanmails.ledger.events import Event
from cleanmails.mail.connector import Connector
from cleanmails.rules import retries, signing
from tests.receiver import Receiver, raw
from tests.stream import await_readable


class Clock:
    def __init__(self):
        self.now = datetime.now(UTC)

    def __call__(self):
        return self.now

    def forward(self, **span):
        self.now += timedelta(**span)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def post(work, clock):
    return Post(
        database=work.database,
        vault=work.vault,
        connect=Connector(allow_private=True).connect,
        clock=clock,
        dice=random.Random(1),
        patience=5.0,
    )


@pytest.fixture
def tell(house, work):
    """Writes events of leads, each in a transaction of its own: `tell(1, 1, 2)`."""

    def write(*leads, kind="email.sent", **values):
        for lead in leads:
            with work.database.transaction() as db:
                event = Event(type=kind, workspace_id=house.workspace, lead_id=lead, data={"n": lead}, **values)
                events.append(db, [event])
        await_readable(house.db)

    return write


@pytest.fixture
def outlet(house, work):
    """Makes a webhook; its id and secret."""

    def make(url, types=("email.sent",), campaign_ids=None):
        await_readable(house.db)
        secret = signing.secret_of(os.urandom(24))
        with work.database.transaction() as db:
            made = outlets.create(
                db,
                house.workspace,
                kind="webhook",
                name="",
                url=url,
                types=types,
                campaign_ids=campaign_ids,
                options={},
            )
            outlets.seal(db, house.workspace, made, work.vault.seal(secret.encode(), sending.secret_name(made)))
        return made, secret

    return make


@pytest.fixture
def state(house):
    return lambda id: house.all("SELECT * FROM outlets WHERE id = %s", id)[0]


def test_an_event_arrives_as_the_official_library_wants_it(post, tell, outlet):
    with Receiver() as receiver:
        _, secret = outlet(receiver.url)
        tell(7)
        assert sending.pump(post) == 1
    (request,) = receiver.requests
    seen = Webhook(secret).verify(request.body, {k.lower(): v for k, v in request.headers.items()})
    assert (seen["type"], seen["lead_id"], seen["version"]) == ("email.sent", 7, 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(request.body + b" ", {k.lower(): v for k, v in request.headers.items()})


def test_both_secrets_sign_while_they_are_changed_and_then_only_the_new_one(post, tell, outlet, house, work, clock):
    new = signing.secret_of(os.urandom(32))
    with Receiver() as receiver:
        made, old = outlet(receiver.url)
        with work.database.transaction() as db:
            sealed = work.vault.seal(new.encode(), sending.secret_name(made))
            outlets.seal(db, house.workspace, made, sealed, old_until=clock() + timedelta(hours=1))
        tell(1)
        sending.pump(post)
        first = receiver.requests[0]
        headers = {name.lower(): value for name, value in first.headers.items()}
        assert Webhook(old).verify(first.body, headers) == Webhook(new).verify(first.body, headers)
        clock.forward(hours=2)
        tell(2)
        sending.pump(post)
    plain = {name.lower(): value for name, value in receiver.requests[1].headers.items()}
    assert plain["webhook-signature"].count("v1,") == 1
    mark = hmac.new(new.encode(), receiver.requests[1].body, "sha256").hexdigest()
    assert plain["x-webhook-signature"] == f"sha256={mark}"


def test_only_what_was_asked_for_arrives(post, tell, outlet):
    with Receiver() as receiver:
        outlet(receiver.url, types=("email.replied",), campaign_ids=[5])
        tell(1, kind="email.replied", campaign_id=5)
        tell(2, kind="email.replied", campaign_id=6)
        tell(3, kind="email.sent", campaign_id=5)
        sending.pump(post)
    assert [body["lead_id"] for body in receiver.bodies()] == [1]


def test_what_is_refused_holds_up_its_lead_alone_and_keeps_its_order(post, tell, outlet, clock):
    """The first event of lead 4 is refused twice; lead 8 is in the same lane."""
    refusals = iter([500, 500])
    with Receiver(lambda request: next(refusals, 200) if request.json()["lead_id"] == 4 else 200) as receiver:
        outlet(receiver.url)
        tell(4, 4, 8, 4)
        sending.pump(post)
        assert [body["lead_id"] for body in receiver.bodies()] == [4, 8]
        for _ in range(3):
            clock.forward(seconds=70)
            sending.pump(post)
    ids = [body["id"] for body in receiver.bodies() if body["lead_id"] == 4]
    assert ids == sorted(ids)
    assert len(ids) == 5
    assert len(set(ids)) == 3
    assert len({r.headers["webhook-id"] for r in receiver.requests}) == 4


def test_a_receiver_that_was_down_for_72_hours_gets_every_event_once_it_is_back(
    post, tell, outlet, clock, state, house, work
):
    """Hour by hour events come; after ten failures in a row it is switched off; a person switches it on when it is back."""
    down = True
    with Receiver(lambda _: 503 if down else 200) as receiver:
        made, _ = outlet(receiver.url)
        for hour in range(72):
            tell(1 + hour % 5)
            sending.pump(post)
            clock.forward(hours=1)
        assert state(made)["state"] == "off"
        assert "10 attempts failed in a row, the last with status 503" in state(made)["off_reason"]
        assert len(receiver.requests) == retries.OFF_AFTER
        tried = {request.headers["webhook-id"] for request in receiver.requests}
        receiver.requests.clear()
        down = False
        with work.database.transaction() as db:
            outlets.change(db, house.workspace, made, webhook=True, now=clock(), state="on")
        sending.pump(post)
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert len(ids) == len(set(ids)) == 72
    assert tried <= set(ids)
    for lead in range(1, 6):
        mine = [body["id"] for body in receiver.bodies() if body["lead_id"] == lead]
        assert mine == sorted(mine)
    (told,) = house.all("SELECT data FROM events WHERE type = 'webhook.disabled'")
    assert told["data"]["webhook_id"] == made


def test_410_switches_off_at_once(post, tell, outlet, state):
    with Receiver(lambda _: 410) as receiver:
        made, _ = outlet(receiver.url)
        tell(1)
        sending.pump(post)
    assert state(made)["state"] == "off"
    assert "410" in state(made)["off_reason"]


def test_who_asks_for_patience_gets_it_and_it_is_no_failure(post, tell, outlet, clock, state):
    answers = iter([(429, {"Retry-After": "120"}, b"")])
    with Receiver(lambda _: next(answers, 200)) as receiver:
        made, _ = outlet(receiver.url)
        tell(1)
        sending.pump(post)
        clock.forward(seconds=100)
        sending.pump(post)
        assert len(receiver.requests) == 1
        clock.forward(seconds=30)
        sending.pump(post)
    assert len(receiver.requests) == 2
    assert state(made)["failures_in_row"] == 0


@pytest.mark.asvs("15.3.2")
def test_a_redirect_is_not_followed(post, tell, outlet, house):
    with Receiver() as hidden, Receiver(lambda _: (302, {"Location": hidden.url}, b"")) as receiver:
        outlet(receiver.url)
        tell(1)
        sending.pump(post)
        assert hidden.requests == []
    assert house.one("SELECT status FROM outlet_attempts") == 302


def test_every_attempt_is_logged_with_the_first_kilobyte(post, tell, outlet, house):
    with Receiver(lambda _: (500, {}, b"no\0" + b"x" * 5_000)) as receiver:
        outlet(receiver.url)
        tell(1)
        sending.pump(post)
    (logged,) = house.all("SELECT status, outcome, answer, ms FROM outlet_attempts")
    assert (logged["status"], logged["outcome"]) == (500, "failed")
    assert logged["answer"].startswith("no\ufffdxxx")
    assert len(logged["answer"]) == 1_024


def test_a_receiver_that_hangs_gets_one_lane_and_delays_nobody(post, tell, outlet):
    """Its request is still open when all of the other's have been answered."""
    dispatch = sending.Dispatch()
    with raw(lambda _, ends: ends.wait(60)) as port, Receiver() as receiver:
        hanging, _ = outlet(f"http://127.0.0.1:{port}/")
        outlet(receiver.url)
        tell(1, 2, 3, 4)
        sending.fan_out(post)
        while len(receiver.requests) < 4:
            dispatch.turn(post)
            assert len([lane for lane in sending.open_lanes(post) if lane[0] == hanging]) in {0, 4}
    dispatch.close()


def test_a_replay_sends_the_same_ids_again(post, tell, outlet, house, work):
    with Receiver() as receiver:
        made, _ = outlet(receiver.url)
        tell(1, 2, 3)
        sending.pump(post)
        before = [(r.headers["webhook-id"], r.body) for r in receiver.requests]
        first = min(body["id"] for body in receiver.bodies())
        with work.database.transaction() as db:
            values = {"first_id": first, "last_id": first + 1, "since": None, "until": None, "limit": 100}
            assert outlets.replay(db, made, **values) == 2
        sending.pump(post)
    after = [(r.headers["webhook-id"], r.body) for r in receiver.requests][3:]
    assert sorted(after) == sorted(before)[:2]


def test_two_workers_send_each_event_once(post, tell, outlet, together):
    with Receiver() as receiver:
        outlet(receiver.url)
        tell(*range(40))
        together(lambda: sending.pump(post), lambda: sending.pump(post))
        sending.pump(post)
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert len(ids) == len(set(ids)) == 40


def test_what_a_dead_worker_had_is_sent_again_under_the_same_id(post, tell, outlet, work, clock):
    with Receiver() as receiver:
        made, _ = outlet(receiver.url)
        tell(4)
        sending.fan_out(post)
        with work.database.transaction() as db:
            assert outlets.take_lane(db, made, 0, now=clock(), lease=sending.LEASE_SECONDS)
        assert sending.pump(post) == 0
        clock.forward(seconds=sending.LEASE_SECONDS + 1)
        assert sending.pump(post) == 1


def test_the_cursor_stops_when_too_much_waits_and_goes_on_later(post, tell, outlet, house):
    made, _ = outlet("http://127.0.0.1:9/")
    tell(1, 2)
    with post.database.transaction() as db:
        assert outlets.behind(db, 5) == [made]
        assert outlets.fan_out(db, made, 1) == 1
        assert outlets.behind(db, 1) == []
        assert outlets.behind(db, 2) == [made]


def test_a_secret_that_does_not_open_is_a_failed_attempt_that_says_so(post, tell, outlet, house, work, state):
    with Receiver() as receiver:
        made, _ = outlet(receiver.url)
        other, _ = outlet(receiver.url)
        house.run(
            "UPDATE outlets SET sealed = %s WHERE id = %s", work.vault.seal(b"x", sending.secret_name(other)), made
        )
        tell(7)
        sending.pump(post)
        assert [body["lead_id"] for body in receiver.bodies()] == [7]
    assert (state(made)["failures_in_row"], state(other)["failures_in_row"]) == (1, 0)
    assert "sealed: " in house.one("SELECT error FROM outlet_attempts WHERE outlet_id = %s", made)
