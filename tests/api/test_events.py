"""The stream of events over the API."""

import re
from pathlib import Path

import msgspec
import psycopg
import pytest

from cleanmails.api import reference
from cleanmails.ledger import events, workspaces
from cleanmails.ledger.events import Event
from cleanmails.rules import event_types
from tests.stream import await_readable

SOURCE = Path(__file__).parents[2] / "cleanmails"


@pytest.fixture
def tell(database, database_url, owner):
    """Writes an event of the first workspace, and waits until it can be read."""

    def write(kind="lead.created", workspace=owner, **values):
        with database.transaction() as db:
            events.append(db, [Event(type=kind, workspace_id=workspace, **values)])
        with psycopg.connect(database_url, autocommit=True) as connection:
            await_readable(connection)

    return write


def test_a_reader_goes_on_where_it_was(api, tell):
    for email in ("a@x.example", "b@x.example", "c@x.example"):
        tell(data={"email": email})
    first = api.get("/v1/outreach/events", params={"limit": 2}).json()
    assert [each["data"]["email"] for each in first["items"]] == ["a@x.example", "b@x.example"]
    assert first["more"] is True
    second = api.get("/v1/outreach/events", params={"after": first["next"]}).json()
    assert [each["data"]["email"] for each in second["items"]] == ["c@x.example"]
    assert second["more"] is False
    assert api.get("/v1/outreach/events", params={"after": second["next"]}).json() == {**second, "items": []}


def test_the_id_of_the_last_event_is_a_place(api, tell):
    tell()
    tell("lead.validated")
    first = api.get("/v1/outreach/events", params={"after": 0, "limit": 1}).json()["items"][0]
    rest = api.get("/v1/outreach/events", params={"after": first["id"]}).json()["items"]
    assert [(each["type"], each["version"]) for each in rest] == [("lead.validated", 1)]


def test_types_are_chosen_and_unknown_ones_named(api, tell):
    tell()
    tell("email.sent", campaign_id=7)
    listed = api.get("/v1/outreach/events", params={"types": "email.sent, email.replied"}).json()["items"]
    assert [each["type"] for each in listed] == ["email.sent"]
    assert len(api.get("/v1/outreach/events", params={"campaign_id": 7}).json()["items"]) == 1
    refused = api.get("/v1/outreach/events", params={"types": "email.send,lead.create"})
    assert (refused.status_code, len(refused.json()["faults"])) == (400, 2)


@pytest.mark.parametrize("after", ["x", "-1", "1.2.3", "1.", ".", "9" * 30, "99999999", "²"])
def test_a_place_that_was_never_given_out_is_refused(api, tell, after):
    tell()
    assert api.get("/v1/outreach/events", params={"after": after}).status_code == 400


def test_nothing_of_another_workspace_is_told(stranger, tell, database, owner):
    tell()
    assert stranger.get("/v1/outreach/events").json()["items"] == []
    assert "lead.created" not in stranger.get("/v1/outreach/events/stream?seconds=0&after=0").text
    with database.transaction() as db:
        assert workspaces.read(db, owner)


def test_the_stream_tells_what_is_behind_a_place(api, tell):
    tell(data={"email": "a@x.example"})
    tell("email.sent")
    answer = api.get("/v1/outreach/events/stream", params={"after": 0, "seconds": 0, "types": "email.sent"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: email.sent" in answer.text
    assert "lead.created" not in answer.text
    place = re.findall(r"id: (\S+)", answer.text)[-1]
    tell("email.sent", campaign_id=9)
    more = api.get("/v1/outreach/events/stream?seconds=0", headers={"Last-Event-ID": place}).text
    assert [msgspec.json.decode(line.strip())["campaign_id"] for line in re.findall(r"data: (.*)", more)] == [9]


def test_the_stream_begins_now_without_a_place(api, tell):
    tell()
    assert "data:" not in api.get("/v1/outreach/events/stream?seconds=0").text


def test_every_type_has_a_schema_with_its_version(app):
    schemas = reference.document(app)["components"]["schemas"]
    for name, kind in event_types.TYPES.items():
        schema = schemas[schemas["Event"]["discriminator"]["mapping"][name].rpartition("/")[2]]
        assert schema["properties"]["type"]["const"] == name
        assert schema["properties"]["version"]["const"] == kind.version
        assert schema["properties"]["data"]["$ref"].rpartition("/")[2] in schemas


def test_what_a_statement_tells_by_itself_fits_too(api, database):
    made = api.post("/v1/outreach/lists", json={"name": "A"}).json()["id"]
    api.post("/v1/outreach/leads", json={"email": "ada@example.com"})
    file = b"email\nbob@example.com\n"
    api.post(f"/v1/outreach/lists/{made}/upload", content=file, headers={"content-type": "text/csv"})
    with database.transaction() as db:
        rows = db.execute("SELECT type, data FROM events ORDER BY id").fetchall()
    assert [row["data"] for row in rows] == [{}, {"list_id": made}]
    assert [event_types.misfit(row["type"], row["data"]) for row in rows] == [None, None]


@pytest.mark.parametrize(
    ("type_", "data", "sentence"),
    [
        ("email.sent", {"step": "first"}, "email.sent: Expected `int`"),
        ("email.sent", {}, "missing required field `step`"),
        ("lead.created", {"list": 1}, "there is no list in its schema"),
        ("lead.invented", {}, "not listed"),
    ],
)
def test_a_misfit_is_named(type_, data, sentence):
    assert sentence in event_types.misfit(type_, data)


def test_every_type_that_is_written_is_listed():
    written = {
        name
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r"Event\(\s*(?:[^()]*?,\s*)?type=\"([a-z.]+)\"", path.read_text())
    }
    assert written
    assert written <= set(event_types.TYPES)
