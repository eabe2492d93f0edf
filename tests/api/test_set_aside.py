"""How reading a sender's inbox goes, and the messages that could not be handled."""

from datetime import timedelta

import pytest

from cleanmails.ledger import erasures, mailboxes
from cleanmails.ledger.mailboxes import Checked, Failed

SENDERS = "/v1/outreach/senders"


@pytest.fixture
def sender(api):
    body = {"address": "ann@agency.example", "smtp_host": "127.0.0.1", "imap_host": "127.0.0.1", "test": False}
    answer = api.post(SENDERS, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def dealt(database, sender):
    """The mailbox is a worker's."""
    with database.transaction() as db:
        return mailboxes.deal(db, 7, lease=8)[0]


def shown(api, sender):
    return api.get(f"{SENDERS}/{sender['id']}").json()["imap"]


def test_a_sender_tells_how_its_inbox_is_read(api, sender, database, dealt, clock):
    assert sender["imap"]["state"] == "new"
    for idle, state in ((True, "idle"), (False, "polled")):
        with database.transaction() as db:
            mailboxes.write(db, 7, [Checked(sender["id"], clock.now, idle)], [])
        assert shown(api, sender)["state"] == state
    due = clock.now + timedelta(minutes=5)
    with database.transaction() as db:
        mailboxes.write(db, 7, [], [Failed(sender["id"], clock.now, due, 3, "imap_login", "The server refused.")])
    found = shown(api, sender)
    assert (found["state"], found["error_code"], found["error"]) == ("failing", "imap_login", "The server refused.")
    assert found["next_try_at"] == due.isoformat().replace("+00:00", "Z")
    assert [each["imap"]["state"] for each in api.get(SENDERS).json()["items"]] == ["failing"]
    assert api.patch(f"{SENDERS}/{sender['id']}", json={"imap_host": None}).json()["imap"] is None


def test_a_person_who_is_forgotten_is_forgotten_there_too(api, owner, sender, database, dealt, clock):
    with database.transaction() as db:
        for uid, who in ((1, b"bob@b.example"), (2, b"eve@b.example")):
            raw = b"From: Somebody <" + who + b">\r\n\r\nx"
            mailboxes.set_aside(db, dealt, role="inbox", validity=1, uid=uid, reason="No.", raw=raw, now=clock.now)
        erasures.erase(db, owner, "bob@b.example", note="", user_id=None)
        rows = mailboxes.list_set_aside(db, owner, sender["id"], after=0, limit=10)
    assert [(row["kept"], row["reason"]) for row in rows] == [(False, "erased"), (True, "No.")]


def test_what_was_set_aside_is_listed_with_its_reason_and_tried_again(
    api, sender, database, dealt, clock, viewer, stranger
):
    with database.transaction() as db:
        for uid in (4, 9):
            mailboxes.set_aside(
                db, dealt, role="spam", validity=1, uid=uid, reason="No.", raw=b"x" if uid == 4 else None, now=clock.now
            )
    path = f"{SENDERS}/{sender['id']}/set-aside"
    assert shown(api, sender)["set_aside"] == 2
    first, second = api.get(path).json()["items"]
    assert (first["folder"], first["uid"], first["reason"], first["kept"]) == ("spam", 4, "No.", True)
    assert second["kept"] is False
    assert len(api.get(path, params={"limit": 1}).json()["items"]) == 1
    assert viewer.post(f"{path}/{first['id']}/again").status_code == 403
    assert stranger.get(path).status_code == 404
    assert stranger.post(f"{path}/{first['id']}/again").status_code == 404
    assert api.post(f"{path}/{first['id']}/again").json()["again"] is True
    with database.transaction() as db:
        assert [row["uid"] for row in mailboxes.wanted_again(db, sender["id"])] == [4]
