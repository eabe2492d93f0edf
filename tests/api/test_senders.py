"""Senders: tried out before they are saved, paused, restricted, and silent about their passwords."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from cleanmails.demo import certificates
from cleanmails.demo.catcher import imap
from cleanmails.demo.catcher import server as catcher
from cleanmails.demo.catcher.boxes import Boxes
from cleanmails.ledger import domains
from cleanmails.vault import Vault

PASSWORD = "p4ssw0rd of the mailbox"
PATH = "/v1/outreach/senders"


class Users(dict):
    """Who may sign in at the mail server, and how often somebody tried."""

    tries = 0

    def get(self, name):
        self.tries += 1
        return super().get(name)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(authority):
    """A real mail server that wants STARTTLS and a sign-in."""
    users = Users()
    with catcher.running(certificates=authority, credentials=users) as running:
        running.users = users
        yield running


@pytest.fixture(scope="module")
def inbox(authority):
    """A real IMAP server that wants a sign-in; its mailboxes have a password of their own."""
    boxes = Boxes()
    boxes.open("ann@agency.example")
    with imap.serving(
        boxes, certificates=authority, credentials={"ann@agency.example": f"inbox {PASSWORD}"}
    ) as running:
        yield running
    boxes.close()


@pytest.fixture
def reading(inbox):
    """What a request says of the inbox."""
    return {"imap_host": "127.0.0.1", "imap_port": inbox.tls_port, "imap_password": f"inbox {PASSWORD}"}


@pytest.fixture
def environ(server, authority):
    server.users["ann@agency.example"] = PASSWORD
    return {"CLEANMAILS_CA_FILE": str(authority.authority)}


@pytest.fixture
def new(server):
    """A request for a sender."""
    return {
        "address": "Ann@Agency.example",
        "name": "Ann of Agency",
        "smtp_host": "127.0.0.1",
        "smtp_port": server.port,
        "smtp_password": PASSWORD,
    }


@pytest.fixture
def sender(api, new):
    answer = api.post(PATH, json=new)
    assert answer.status_code == 201, answer.text
    return answer.json()


def of(sender):
    return f"{PATH}/{sender['id']}"


def faults(answer):
    assert answer.status_code == 400, answer.text
    return {fault["field"]: fault for fault in answer.json()["faults"]}


def test_a_sender_is_saved_once_its_server_has_let_it_in(api, sender, server, clock):
    assert sender["address"] == sender["smtp_username"] == "ann@agency.example"
    assert (sender["status"], sender["health"]) == ("ready", 100)
    assert (sender["smtp_security"], sender["imap_host"], sender["imap_port"]) == ("starttls", None, None)
    assert (sender["daily_limit"], sender["min_gap_seconds"], sender["max_gap_seconds"]) == (50, 30, 90)
    assert datetime.fromisoformat(sender["tested_at"]) == clock.now
    assert api.get(of(sender)).json() == sender
    assert api.get(PATH).json()["items"] == [sender]


def test_a_wrong_password_refuses_the_request_with_the_servers_words(api, new, database):
    found = faults(api.post(PATH, json={**new, "smtp_password": "wrong"}))
    assert set(found) == {"smtp_password"}
    assert found["smtp_password"]["code"] == "smtp_auth"
    assert "535" in found["smtp_password"]["message"]
    assert api.get(PATH).json()["items"] == [], "nothing was saved"


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"smtp_port": 1}, "smtp_host", "connection_refused"),
        ({"smtp_host": "x" * 64 + ".example"}, "smtp_host", "unknown_host"),
        ({"smtp_security": "plain"}, "smtp_password", "smtp_auth"),
    ],
)
def test_whatever_breaks_on_the_way_is_told_apart(api, new, change, field, code):
    assert {name: fault["code"] for name, fault in faults(api.post(PATH, json=new | change)).items()} == {field: code}


def test_where_private_hosts_are_not_allowed_none_is_reached(database, owner, key_of, new, server):
    from litestar.testing import TestClient

    from cleanmails.api.app import create_app
    from cleanmails.settings import load

    before = server.users.tries
    app = create_app(load({"CLEANMAILS_ALLOW_PRIVATE_HOSTS": "false"}), database)
    with TestClient(app) as client:
        found = faults(client.post(PATH, json=new, headers=key_of(owner)))
    assert found["smtp_host"]["code"] == "address_refused"
    assert server.users.tries == before


def test_all_faults_of_a_sender_come_at_once(api, server):
    before = server.users.tries
    answer = api.post(
        PATH,
        json={
            "address": "nobody",
            "name": "Ann\r\nBcc: x@y.example",
            "reply_to": "@",
            "smtp_port": 70000,
            "smtp_security": "ssl",
            "daily_limit": -1,
            "min_gap_seconds": 91,
            "colour": "red",
        },
    )
    assert {name: fault["code"] for name, fault in faults(answer).items()} == {
        "address": "address",
        "name": "line",
        "reply_to": "address",
        "smtp_host": "required",
        "smtp_port": "too_large",
        "smtp_security": "choice",
        "daily_limit": "too_small",
        "max_gap_seconds": "gap",
        "colour": "unknown_field",
    }
    assert server.users.tries == before, "no server is asked for a request with faults"


def test_an_address_is_a_sender_once(api, sender, new):
    assert api.post(PATH, json=new | {"address": "ANN@agency.example"}).status_code == 409


def test_a_password_is_sealed_for_its_row_and_never_comes_out(api, new, reading, database, settings, lines):
    made = api.post(PATH, json=new | reading)
    sender = made.json()
    refused = api.post(PATH, json=new | {"address": "bob@agency.example", "smtp_password": PASSWORD + "!"})
    api.post(f"{of(sender)}/test")
    shown = [
        made,
        refused,
        api.get(of(sender)),
        api.get(PATH),
        api.patch(of(sender), json={"smtp_password": PASSWORD}),
    ]
    assert not any(PASSWORD in answer.text for answer in shown)
    assert PASSWORD not in repr(lines())
    assert "password" not in sender
    with database.transaction() as db:
        row = db.execute("SELECT * FROM senders").fetchone()
    vault = Vault.from_settings(settings)
    assert vault.open(row["smtp_sealed"], f"sender:{sender['id']}:smtp_password") == PASSWORD.encode()
    assert vault.open(row["imap_sealed"], f"sender:{sender['id']}:imap_password") == f"inbox {PASSWORD}".encode()
    shown = (sender["imap_host"], sender["imap_port"], sender["imap_security"])
    assert shown == ("127.0.0.1", reading["imap_port"], "tls")


def steps(trial):
    return {step["step"]: step["ok"] for step in trial["steps"]}


def test_a_test_tells_step_by_step_how_far_it_came_with_mail_and_with_the_inbox(api, new, reading):
    found = api.post(f"{PATH}/test", json=new | reading).json()
    assert found["passed"]
    assert steps(found) == dict.fromkeys(["dns", "tcp", "greeting", "tls", "login", "capabilities"], True)
    assert steps(found["inbox"]) == dict.fromkeys(["dns", "tcp", "tls", "greeting", "login", "capabilities"], True)
    wrong = api.post(f"{PATH}/test", json=new | reading | {"imap_password": "wrong", "smtp_password": "wrong"}).json()
    assert (wrong["passed"], wrong["inbox"]["passed"], wrong["inbox"]["code"]) == (False, False, "imap_login")
    assert steps(wrong["inbox"]) == {"dns": True, "tcp": True, "tls": True, "greeting": True, "login": False}
    assert all(step["sentence"] for step in wrong["steps"] + wrong["inbox"]["steps"])
    assert api.post(f"{PATH}/test", json=new).json()["inbox"] is None


def test_all_that_both_servers_have_against_a_sender_comes_at_once(api, new, reading):
    found = faults(api.post(PATH, json=new | reading | {"smtp_password": "wrong", "imap_port": 1}))
    assert {name: fault["code"] for name, fault in found.items()} == {
        "smtp_password": "smtp_auth",
        "imap_host": "connection_refused",
    }
    assert api.get(PATH).json()["items"] == [], "nothing was saved"


def test_an_inbox_that_is_added_later_is_tested_alone(api, sender, server, reading):
    before = server.users.tries
    assert set(faults(api.patch(of(sender), json=reading | {"imap_password": "wrong"}))) == {"imap_password"}
    assert api.patch(of(sender), json=reading).json()["imap_host"] == "127.0.0.1"
    assert server.users.tries == before, "the other server was not asked"
    untested = api.patch(of(sender), json={"imap_password": "wrong", "test": False}).json()
    assert untested["status"] == "ready", "an inbox that cannot be read keeps no mail from being sent"
    assert api.patch(of(sender), json={"imap_host": None}).json()["imap_host"] is None


def test_an_inbox_without_a_password_of_its_own_is_read_with_the_same(api, new, server, reading):
    server.users["ann@agency.example"] = reading.pop("imap_password")
    made = api.post(PATH, json=new | reading | {"smtp_password": f"inbox {PASSWORD}"})
    assert made.status_code == 201, made.text


def test_a_sender_belongs_to_the_domain_of_its_address(api, new, server):
    domain = api.post("/v1/outreach/domains", json={"name": "agency.example"}).json()
    sender = api.post(PATH, json=new).json()
    assert sender["domain"] == {"id": domain["id"], "name": "agency.example", "status": "pending"}
    assert sender["signed_by"] == "domain"
    assert api.get(f"/v1/outreach/domains/{domain['id']}").json()["senders"] == 1
    refused = api.delete(f"/v1/outreach/domains/{domain['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "domain_in_use")
    api.delete(of(sender))
    assert api.delete(f"/v1/outreach/domains/{domain['id']}").status_code == 204


def test_a_sender_that_was_here_first_joins_its_domain_when_that_is_verified(api, sender, owner, database, clock):
    assert (sender["domain"], sender["signed_by"]) == (None, "provider")
    domain = api.post("/v1/outreach/domains", json={"name": "agency.example"}).json()
    assert api.get(of(sender)).json()["domain"] is None, "an unverified domain stops no sender"
    with database.transaction() as db:
        domains.record_check(db, owner, domain["id"], findings=[], status="verified", now=clock.now)
    assert api.get(of(sender)).json()["domain"]["status"] == "verified"


def test_saved_without_a_test_a_sender_is_restricted_until_it_passes_one(api, new, server):
    server.users["ann@agency.example"] = "another"
    sender = api.post(PATH, json=new | {"test": False}).json()
    assert (sender["status"], sender["status_reason"], sender["tested_at"]) == ("restricted", "not_tested", None)
    assert api.patch(of(sender), json={"status": "ready"}).json()["code"] == "sender_restricted"
    failed = api.post(f"{of(sender)}/test").json()
    assert (failed["trial"]["passed"], failed["trial"]["stage"]) == (False, "auth")
    assert failed["sender"]["status"] == "restricted"
    server.users["ann@agency.example"] = PASSWORD
    passed = api.post(f"{of(sender)}/test").json()
    assert passed["trial"]["passed"]
    assert "STARTTLS" in passed["trial"]["offers"] or "AUTH" in passed["trial"]["offers"]
    assert (passed["sender"]["status"], passed["sender"]["status_reason"]) == ("ready", None)


def test_a_passed_test_ends_restriction_and_cooldown_but_no_pause(api, sender, database):
    with database.transaction() as db:
        db.execute(
            "UPDATE senders SET status = 'restricted', status_reason = '535 no', errors_in_row = 3, cooldown_until = now() + interval '1 hour'"
        )
    tested = api.post(f"{of(sender)}/test").json()["sender"]
    assert (tested["status"], tested["status_reason"], tested["cooldown_until"]) == ("ready", None, None)
    api.patch(of(sender), json={"status": "paused"})
    assert api.post(f"{of(sender)}/test").json()["sender"]["status"] == "paused"


def test_a_server_can_be_tried_out_without_saving(api, new):
    assert api.post(f"{PATH}/test", json=new).json()["passed"]
    refused = api.post(f"{PATH}/test", json=new | {"smtp_password": "wrong"}).json()
    assert (refused["passed"], refused["stage"], refused["code"]) == (False, "auth", "smtp_auth")
    assert api.get(PATH).json()["items"] == []


def test_a_change_keeps_what_it_leaves_out_and_asks_no_server_without_need(api, sender, server):
    before = server.users.tries
    changed = api.patch(
        of(sender), json={"daily_limit": 7, "signature": "Ann", "reply_to": "Sales@Agency.example"}
    ).json()
    kept = {name: value for name, value in sender.items() if name not in {"updated_at", "today"}}
    assert changed | kept | {"daily_limit": 7, "signature": "Ann", "reply_to": "sales@agency.example"} == changed
    assert changed["today"]["limit"] == 7
    assert server.users.tries == before
    assert api.patch(of(sender), json={"reply_to": None}).json()["reply_to"] is None


def test_new_smtp_settings_are_tested_before_they_are_saved(api, sender, server):
    assert "smtp_password" in faults(api.patch(of(sender), json={"smtp_password": "wrong"}))
    assert api.post(f"{of(sender)}/test").json()["trial"]["passed"], "the old password is still there"
    untested = api.patch(of(sender), json={"smtp_password": "wrong", "test": False}).json()
    assert untested["status"] == "restricted"
    again = api.patch(of(sender), json={"smtp_password": PASSWORD}).json()
    assert (again["status"], again["status_reason"]) == ("ready", None)


@pytest.mark.parametrize(
    "change", [{"address": "b@agency.example"}, {"status": "restricted"}, {"smtp_host": None}, {"min_gap_seconds": 100}]
)
def test_what_cannot_be_changed_is_refused(api, sender, change):
    assert api.patch(of(sender), json=change).status_code == 400


def test_a_sender_is_paused_and_resumed(api, sender):
    assert api.patch(of(sender), json={"status": "paused"}).json()["status"] == "paused"
    assert api.patch(of(sender), json={"status": "ready"}).json()["status"] == "ready"


@pytest.mark.parametrize("stop", ["pause", "untested", "delete"])
def test_a_pause_answers_only_when_no_mail_is_about_to_go_out(api, sender, database, stop):
    """The send path holds the shared lock while it commits that a mail may be accepted."""
    calls = {
        "pause": lambda: api.patch(of(sender), json={"status": "paused"}),
        "untested": lambda: api.patch(of(sender), json={"smtp_port": 1, "test": False}),
        "delete": lambda: api.delete(of(sender)),
    }
    order = []

    def act():
        assert calls[stop]().status_code in {200, 204}
        order.append("answered")

    thread = threading.Thread(target=act)
    with database.transaction() as db:
        db.execute("SELECT pg_advisory_xact_lock_shared(2, %s::integer)", (sender["id"],))
        thread.start()
        while not db.execute(
            "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ).fetchone()["n"]:
            pass
        order.append("mail went out")
    thread.join(20)
    assert order == ["mail went out", "answered"]


def test_todays_usage_stands_beside_the_limit(api, sender, database, clock):
    today = clock.now.astimezone(UTC).date()
    with database.transaction() as db:
        for day, used in ((today, 12), (today - timedelta(days=1), 50)):
            db.execute("INSERT INTO sender_days (sender_id, day, used) VALUES (%s, %s, %s)", (sender["id"], day, used))
    shown = api.get(of(sender)).json()["today"]
    resets = datetime.fromisoformat(shown.pop("resets_at"))
    assert shown == {"used": 12, "answers": 0, "limit": 50, "left": 38}
    assert (resets.date() - today, resets.hour, resets.utcoffset()) == (timedelta(days=1), 0, timedelta())
    assert api.patch(of(sender), json={"daily_limit": 5}).json()["today"]["left"] == 0


def test_a_deleted_sender_is_gone_and_forgets_its_password(api, sender, new, database):
    assert api.delete(of(sender)).status_code == 204
    assert api.get(of(sender)).status_code == api.delete(of(sender)).status_code == 404
    assert api.patch(of(sender), json={"name": "x"}).status_code == api.post(f"{of(sender)}/test").status_code == 404
    with database.transaction() as db:
        assert db.execute("SELECT smtp_sealed FROM senders").fetchone()["smtp_sealed"] is None
    assert api.post(PATH, json=new).status_code == 201, "the address is free again"


def test_a_sender_of_another_workspace_is_unknown(stranger, sender, new):
    assert stranger.get(of(sender)).status_code == 404
    assert stranger.patch(of(sender), json={"status": "paused"}).status_code == 404
    assert stranger.post(f"{of(sender)}/test").status_code == 404
    assert stranger.delete(of(sender)).status_code == 404
    assert stranger.get(PATH).json()["items"] == []
    assert stranger.post(PATH, json=new).status_code == 201, "and another workspace may have the same mailbox"


def test_a_viewer_may_look_and_nothing_else(viewer, sender, new):
    assert viewer.get(of(sender)).json() == sender
    for answer in (
        viewer.post(PATH, json=new),
        viewer.post(f"{PATH}/test", json=new),
        viewer.patch(of(sender), json={"status": "paused"}),
        viewer.post(f"{of(sender)}/test"),
        viewer.delete(of(sender)),
    ):
        assert answer.status_code == 403


def test_a_new_mailbox_grows_into_its_limit(api, new, database, clock):
    """Two mails on the first day, three more for each day on which it has sent."""
    sender = api.post(PATH, json=new | {"ramp_up": {"start": 2, "step_per_day": 3}}).json()
    today = clock.now.astimezone(UTC).date()
    plan = {"start": 2, "step_per_day": 3, "ceiling": None, "begins_on": today.isoformat()}
    assert sender["ramp_up"] == plan | {"limit_today": 2, "days_left": 16}
    assert (sender["daily_limit"], sender["today"]["limit"], sender["today"]["left"]) == (50, 2, 2)
    with database.transaction() as db:
        db.execute("INSERT INTO sender_days VALUES (%s, %s, 2)", (sender["id"], today))
    clock.forward(days=1)
    assert api.get(of(sender)).json()["today"]["limit"] == 5
    changed = api.patch(of(sender), json={"ramp_up": {"start": 2, "step_per_day": 4, "ceiling": 6}}).json()
    assert changed["ramp_up"] == plan | {"step_per_day": 4, "ceiling": 6, "limit_today": 6, "days_left": 0}, (
        "it goes on"
    )
    assert api.patch(of(sender), json={"name": "Ann"}).json()["ramp_up"] == changed["ramp_up"]
    ended = api.patch(of(sender), json={"ramp_up": None}).json()
    assert (ended["ramp_up"], ended["today"]["limit"]) == (None, 50)


def test_all_faults_of_a_ramp_up_come_at_once(api, new):
    plan = {"start": 9, "step_per_day": 0, "ceiling": 8, "begins_on": "soon"}
    found = faults(api.post(PATH, json=new | {"ramp_up": plan}))
    assert {name: fault["code"] for name, fault in found.items()} == {
        "ramp_up.step_per_day": "too_small",
        "ramp_up.begins_on": "date",
        "ramp_up.ceiling": "ramp_up",
    }


def test_pausing_and_resuming_may_be_asked_for_twice(api, sender, viewer, stranger):
    for action, status in (("pause", "paused"), ("pause", "paused"), ("resume", "ready"), ("resume", "ready")):
        answer = api.post(f"{of(sender)}/{action}")
        assert (answer.status_code, answer.json()["status"]) == (200, status)
        assert viewer.post(f"{of(sender)}/{action}").status_code == 403
        assert stranger.post(f"{of(sender)}/{action}").status_code == 404


def test_health_is_read_day_by_day(api, sender, database, clock, stranger):
    with database.transaction() as db:
        db.execute("UPDATE senders SET created_at = created_at - interval '2 days'")
        day = clock.now.astimezone(UTC).date() - timedelta(days=1)
        db.execute("INSERT INTO sender_health VALUES (%s, %s, 85, 80, 1, '451 later')", (sender["id"], day))
    found = api.get(f"{of(sender)}/health?days=2").json()
    assert found == [
        {"date": day.isoformat(), "health": 85, "lowest": 80, "errors": 1, "last_error": "451 later", "used": 0},
        {
            "date": (day + timedelta(days=1)).isoformat(),
            "health": 85,
            "lowest": 85,
            "errors": 0,
            "last_error": None,
            "used": 0,
        },
    ]
    assert len(api.get(f"{of(sender)}/health").json()) == 3, "no day before it was here"
    assert stranger.get(f"{of(sender)}/health").status_code == 404
