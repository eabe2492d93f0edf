"""Connecting a mailbox by its owner's consent, at a local authorization server, and what the API refuses on the way."""

from urllib.parse import parse_qs, urlsplit

import pytest

from cleanmails.demo import certificates
from cleanmails.demo.catcher import imap, server
from cleanmails.demo.catcher.boxes import Boxes
from cleanmails.mail.oauth import challenge
from tests import authority as provider

SENDERS = "/v1/outreach/senders"
ANN = "ann@agency.example"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def world(made):
    """An authorization server, and mail servers that believe its tokens and no password."""
    boxes = Boxes()
    with (
        provider.running() as authority,
        server.running(credentials={}, tokens=authority.good, certificates=made) as smtp,
        imap.serving(boxes, credentials={}, tokens=authority.good, certificates=made) as mailboxes,
    ):
        yield authority, smtp, mailboxes
    boxes.close()


@pytest.fixture
def authority(world):
    authority, _, _ = world
    authority.answer, authority.lives = None, 3_600
    return authority


@pytest.fixture
def environ(world, made):
    authority, smtp, mailboxes = world
    return provider.environ(authority, smtp.port, mailboxes.port) | {"CLEANMAILS_CA_FILE": str(made.authority)}


def start(api, at="google", **body):
    answer = api.post(f"/v1/oauth/{at}/start", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["authorize_url"]


def callback(api, asked, name="google"):
    return api.get(f"/v1/oauth/{name}/callback", params=asked, follow_redirects=False)


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_the_consent_page_is_asked_with_state_and_challenge(api):
    url = start(api)
    asked = {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}
    assert url.startswith("https://consent.example/page?")
    assert asked["redirect_uri"] == "http://testserver.localhost/v1/oauth/google/callback"
    assert "https://mail.google.com/" in asked["scope"]
    assert asked["access_type"] == "offline"
    assert len(asked["state"]) >= 43
    assert parse_qs(urlsplit(start(api)).query)["state"] != [asked["state"]]


def test_the_challenge_is_that_of_the_standard():
    """The example of RFC 7636, appendix B."""
    assert challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_who_consents_gets_a_sender_that_works(api, authority, database):
    answer = callback(api, authority.consent(start(api, name="Ann"), "Ann@Agency.example"))
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["provider"], made["account"], made["status"]) == ("google", ANN, "ready")
    sender = api.get(f"{SENDERS}/{made['sender_id']}").json()
    assert (sender["address"], sender["name"], sender["imap_host"]) == (ANN, "Ann", "127.0.0.1")
    assert (sender["oauth"]["account"], sender["oauth"]["final"], sender["imap"]["state"]) == (ANN, False, "new")
    tried = api.post(f"{SENDERS}/{made['sender_id']}/test").json()["trial"]
    assert tried["passed"], tried
    with database.transaction() as db:
        row = db.execute("SELECT refresh_sealed, access_sealed FROM oauth_grants").fetchone()
    assert b"refresh-" not in bytes(row["refresh_sealed"])
    assert b"access-" not in bytes(row["access_sealed"])
    assert "refresh-" not in answer.text + str(sender)


def test_a_sender_with_a_password_goes_over_to_consent_and_back(api, authority, world):
    _, smtp, mailboxes = world
    body = {
        "address": ANN, "smtp_host": "127.0.0.1", "smtp_port": smtp.port, "smtp_password": "x",
        "imap_host": "127.0.0.1", "imap_port": mailboxes.port, "imap_security": "starttls", "imap_password": "x", "test": False,
    }  # fmt: skip
    sender = api.post(SENDERS, json=body).json()
    assert sender["status"] == "restricted"
    url = start(api, sender_id=sender["id"])
    assert parse_qs(urlsplit(url).query)["login_hint"] == [ANN]
    assert callback(api, authority.consent(url, ANN)).json()["sender_id"] == sender["id"]
    connected = api.get(f"{SENDERS}/{sender['id']}").json()
    assert (connected["status"], connected["oauth"]["provider"]) == ("ready", "google")
    back = api.patch(f"{SENDERS}/{sender['id']}", json={"smtp_password": "again", "test": False}).json()
    assert back["oauth"] is None


def test_the_browser_ends_on_the_page_that_was_asked_for(api, authority):
    asked = authority.consent(start(api, return_to="/senders?tab=mine"), ANN)
    answer = callback(api, asked)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/senders?tab=mine&oauth=connected&sender_id=")
    url = start(api, return_to="/senders")
    state = parse_qs(urlsplit(url).query)["state"][0]
    answer = callback(api, {"state": state, "error": "access_denied"})
    assert answer.headers["location"] == "/senders?oauth=oauth_denied"


def test_the_browser_is_sent_to_no_other_site(api):
    for page in ("https://evil.example/", "//evil.example", "/\\evil.example", "senders", "/a b"):
        refused(api.post("/v1/oauth/google/start", json={"return_to": page}), 400, "invalid")


def test_an_answer_is_taken_once_in_time_and_from_who_asked(api, authority, stranger, viewer, clock):
    asked = authority.consent(start(api), ANN)
    refused(callback(viewer, asked), 403, "forbidden")
    refused(callback(stranger, asked), 409, "oauth_unasked")
    refused(callback(api, asked | {"state": "made up"}), 409, "oauth_unasked")
    refused(callback(api, asked, "microsoft"), 409, "oauth_unset")
    assert callback(api, asked).status_code == 200
    refused(callback(api, asked), 409, "oauth_unasked")
    late = authority.consent(start(api), ANN)
    clock.forward(minutes=11)
    refused(callback(api, late), 409, "oauth_unasked")


def test_a_code_of_another_consent_brings_nothing(api, authority):
    """PKCE: whoever slips in a code that he got elsewhere has no verifier for it."""
    mine, other = start(api), start(api)
    foreign = authority.consent(other, "mallory@evil.example")
    asked = authority.consent(mine, ANN) | {"code": foreign["code"]}
    refused(callback(api, asked), 409, "oauth_failed")
    assert api.get(SENDERS).json()["items"] == []


def test_somebody_elses_consent_is_not_taken_for_the_owners(api, authority, world):
    _, smtp, _ = world
    body = {"address": ANN, "smtp_host": "127.0.0.1", "smtp_port": smtp.port, "test": False}
    sender = api.post(SENDERS, json=body).json()
    asked = authority.consent(start(api, sender_id=sender["id"]), "ben@agency.example")
    refused(callback(api, asked), 409, "oauth_other_account")
    assert api.get(f"{SENDERS}/{sender['id']}").json()["oauth"] is None


NONSENSE = [
    (500, b"oops"),
    (200, b"[]"),
    (200, b'{"access_token": ""}'),
    (200, b'{"access_token": "a"}'),
    (200, b'{"access_token": "a", "refresh_token": "r", "id_token": "x.!.z"}'),
    (400, b'{"error": "invalid_grant"}'),
]


def test_a_provider_that_answers_nonsense_connects_nobody(api, authority):
    for answer in NONSENSE:
        asked = authority.consent(start(api), ANN)
        authority.answer = answer
        refused(callback(api, asked), 409, "oauth_failed")
    assert api.get(SENDERS).json()["items"] == []


def test_a_connection_is_ended(api, authority, stranger, viewer):
    made = callback(api, authority.consent(start(api), ANN)).json()
    path = f"{SENDERS}/{made['sender_id']}/oauth"
    assert viewer.delete(path).status_code == 403
    assert stranger.delete(path).status_code == 404
    assert api.delete(path).status_code == 204
    assert api.delete(path).status_code == 404
    assert api.get(f"{SENDERS}/{made['sender_id']}").json()["oauth"] is None


def test_new_settings_of_a_connected_sender_are_tested_with_its_token(api, authority):
    made = callback(api, authority.consent(start(api), ANN)).json()
    path = f"{SENDERS}/{made['sender_id']}"
    changed = api.patch(path, json={"smtp_host": "localhost", "imap_host": "localhost"})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["status"], changed.json()["oauth"]["account"]) == ("ready", ANN)
    authority.expire()
    refused(api.patch(path, json={"smtp_host": "127.0.0.1"}), 400, "invalid")


def test_a_deleted_sender_forgets_its_tokens(api, authority, database):
    made = callback(api, authority.consent(start(api), ANN)).json()
    assert api.delete(f"{SENDERS}/{made['sender_id']}").status_code == 204
    with database.transaction() as db:
        assert db.execute("SELECT count(*) AS n FROM oauth_grants").fetchone()["n"] == 0


def test_a_sender_of_another_workspace_is_not_connected(api, stranger, authority):
    made = callback(api, authority.consent(start(api), ANN)).json()
    refused(stranger.post("/v1/oauth/google/start", json={"sender_id": made["sender_id"]}), 404, "not_found")
    refused(api.post("/v1/oauth/yahoo/start", json={}), 404, "not_found")
