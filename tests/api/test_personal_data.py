"""What a person may ask for: all that is known, and to be forgotten, for good."""

import hashlib
import hmac
import json

import pytest

from cleanmails.ledger import invariants, suppressions
from tests.ledger.conftest import Rows
from tests.stream import count_all

PATH = "/v1/outreach/personal-data"


@pytest.fixture
def house(database_url, owner):
    made = Rows(database_url)
    made.workspace = owner
    yield made
    made.db.close()


@pytest.fixture
def mailed(house):
    """Ada, with a mail that was sent and opened; another that waits; and traces of her everywhere."""
    [ada] = house.leads("ada@example.com", city="London")
    campaign = house.campaign_on(house.list(ada), leads=[ada])
    sender = house.sender()
    sent = house.planned(campaign, ada, "sent", sender=sender)
    house.run("DELETE FROM mails")
    house.run("UPDATE deliveries SET subject = 'Hello Ada', links = '{https://a.example/?who=ada@example.com}'")
    house.run(
        """INSERT INTO hits (workspace_id, delivery_id, kind, at, method, remote, user_agent, verdict)
           VALUES (%s, %s, 'open', now(), 'GET', '198.51.100.7', 'Ada''s browser', 'human')""",
        house.workspace, sent,
    )  # fmt: skip
    data = {"step": 0, "email": "ada@example.com", "subject": "Hello Ada", "verdict": "human"}
    for kind in ("email.sent", "email.opened"):
        house.run(
            "INSERT INTO events (at, workspace_id, type, campaign_id, lead_id, delivery_id, data) VALUES (now(), %s, %s, %s, %s, %s, %s)",
            house.workspace, kind, campaign, ada, sent, json.dumps(data),
        )  # fmt: skip
    house.planned(campaign, ada, "rendered", sender=sender, step=1)
    wrote(house, campaign, ada, sender, sent)
    return campaign, ada


def wrote(house, campaign, ada, sender, sent):
    """She answered, was answered, and was noted on; another message of hers waits in review."""
    thread = house.one(
        """INSERT INTO threads (workspace_id, campaign_id, lead_id, sender_id, subject, snippet, last_kind, last_at, last_message_id)
           VALUES (%s, %s, %s, %s, 'Re: Hello Ada', 'Come to London', 'reply', now(), 1) RETURNING id""",
        house.workspace, campaign, ada, sender,
    )  # fmt: skip
    for n, (state, where) in enumerate([("settled", thread), ("review", None)]):
        house.run(
            """INSERT INTO inbox_messages (workspace_id, sender_id, digest, folder, uid, state, kind, meaning, thread_id, lead_id, delivery_id, from_address,
                                           body, reply, settled_at)
               VALUES (%s, %s, %s, 'INBOX', 1, %s, 'reply', '{}', %s, %s, %s, 'ada@example.com', 'Come to London', 'Come to London', now())""",
            house.workspace, sender, bytes([n]) * 32, state, where, ada if where else None, sent if where else None,
        )  # fmt: skip
    house.run(
        """INSERT INTO answers (workspace_id, thread_id, sender_id, state, to_address, subject, body, message_id, created_at, settled_at)
           VALUES (%s, %s, %s, 'sent', 'ada@example.com', 'Re: Hello Ada', 'See you in London', '<a@b>', now(), now())""",
        house.workspace, thread, sender,
    )  # fmt: skip
    house.run(
        "INSERT INTO notes (workspace_id, thread_id, text, created_at) VALUES (%s, %s, 'Lives in London', now())", house.workspace, thread
    )  # fmt: skip
    outlet = house.one(
        "INSERT INTO outlets (workspace_id, kind, url, types, xact, event_id) VALUES (%s, 'webhook', 'https://r.example/', '{}', 0, 0) RETURNING id", house.workspace
    )  # fmt: skip
    message = house.one(
        """INSERT INTO outlet_messages (workspace_id, outlet_id, event_id, event_at, type, thread, lane, state, done_at)
           VALUES (%s, %s, 1, now(), 'email.sent', %s, 0, 'delivered', now()) RETURNING id""",
        house.workspace, outlet, ada,
    )  # fmt: skip
    house.run(
        "INSERT INTO outlet_attempts (outlet_id, message_id, at, outcome, ms, answer) VALUES (%s, %s, now(), 'delivered', 1, 'thanks for ada@example.com')",
        outlet, message,
    )  # fmt: skip


def test_everything_known_is_handed_out(api, stranger, viewer, mailed):
    found = api.post(f"{PATH}/export", json={"email": " Ada@Example.com"}).json()
    assert found["lead"]["fields"] == {"city": "London"}
    assert found["mails"][0]["subject"] == "Hello Ada"
    assert found["hits"][0]["remote"] == "198.51.100.7"
    assert [event["type"] for event in found["events"]] == ["email.sent", "email.opened"]
    assert [each["text"] for each in (*found["messages"], *found["answers"], *found["notes"])] == [
        "Come to London", "Come to London", "See you in London", "Lives in London",
    ]  # fmt: skip
    assert (len(found["lists"]), len(found["campaigns"]), found["erased"]) == (1, 1, False)
    assert stranger.post(f"{PATH}/export", json={"email": "ada@example.com"}).json()["lead"] is None
    assert viewer.post(f"{PATH}/export", json={"email": "ada@example.com"}).status_code == 403


def test_after_an_erasure_no_table_knows_her_and_statistics_stand(api, house, database, mailed):
    count_all(database)
    answer = api.post(f"{PATH}/erase", json={"email": "ada@example.com", "note": "asked by letter"})
    assert answer.json() == {"erased": True, "was_lead": True}
    names = [row["relname"] for row in house.all(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace"
    )]  # fmt: skip
    knowing = [
        name
        for name in names
        if house.all(f"SELECT FROM {name} t WHERE t::text ~* 'ada@|ada''s|Hello Ada|London|198.51.100.7'")
    ]
    assert knowing == []
    assert house.walk(*mailed)["outcome"] == "unsubscribed"
    count_all(database)
    totals = api.get(f"/v1/outreach/campaigns/{mailed[0]}/statistics").json()["totals"]
    assert (totals["sent"], totals["opened"]["count"]) == (1, 1)
    with database.transaction() as db:
        add_up = next(each for each in invariants.INVARIANTS if each.name == "figures_add_up")
        assert invariants.violations(db, add_up) == []


def test_who_was_erased_is_never_taken_again(api, stranger, house, mailed):
    api.post(f"{PATH}/erase", json={"email": "ada@example.com"})
    prospects = house.one("SELECT id FROM lists")
    upload = api.post(
        f"/v1/outreach/lists/{prospects}/upload",
        content=b"email\nADA@example.com\nbob@example.com\n",
        headers={"Content-Type": "text/csv"},
    ).json()
    assert (upload["created"], upload["suppressed"]) == (1, 1)
    assert "erased" in upload["rejects"][0]["reason"]
    assert api.post("/v1/outreach/leads", json={"email": "ada@example.com"}).status_code >= 400
    assert house.one("SELECT count(*) FROM leads WHERE email = 'ada@example.com'") == 0
    assert stranger.post("/v1/outreach/leads", json={"email": "ada@example.com"}).status_code == 201


def test_an_address_that_was_never_a_lead_can_be_erased_too(api, house):
    for _ in range(2):
        answer = api.post(f"{PATH}/erase", json={"email": "nobody@example.com"})
        assert answer.json() == {"erased": True, "was_lead": False}
    assert api.post(f"{PATH}/export", json={"email": "nobody@example.com"}).json()["erased"] is True
    assert house.one("SELECT count(*) FROM erased") == 1


def test_the_hash_is_an_hmac(house):
    [pads] = house.all("SELECT inner_pad, outer_pad FROM erasure_key")
    key = bytes(byte ^ 0x36 for byte in pads["inner_pad"])
    assert key == bytes(byte ^ 0x5C for byte in pads["outer_pad"])
    assert key[32:] == bytes(32)
    made = bytes(house.one("SELECT erased_hash('ada@example.com')"))
    assert made == hmac.digest(key, b"ada@example.com", hashlib.sha256)


def test_a_mail_on_its_way_is_waited_for(api, house, mailed):
    house.run("UPDATE deliveries SET state = 'sending', sending_at = now(), token = 1 WHERE state = 'rendered'")
    answer = api.post(f"{PATH}/erase", json={"email": "ada@example.com"})
    assert (answer.status_code, answer.json()["code"]) == (503, "mail_on_its_way")
    assert house.one("SELECT email FROM leads") == "ada@example.com"


def test_a_file_of_suppressions_is_taken_and_handed_out(api, house, mailed, stranger):
    text = b"Note,Email\nx,ada@example.com\ny,ADA@example.com\nz,rival.example\n,not an address\n,@other.example\n"
    answer = api.post("/v1/outreach/suppressions/upload", content=text, headers={"Content-Type": "text/csv"}).json()
    assert (answer["rows"], answer["added"], answer["known"], answer["invalid"]) == (5, 3, 1, 1)
    assert answer["bad_lines"][0]["line"] == 5
    assert house.walk(*mailed)["state"] == "ended"
    file = api.get("/v1/outreach/suppressions/download")
    assert file.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[:3] for line in file.text.splitlines()] == [
        ["value", "kind", "reason"],
        ["ada@example.com", "address", "imported"],
        ["other.example", "domain", "imported"],
        ["rival.example", "domain", "imported"],
    ]
    assert len(stranger.get("/v1/outreach/suppressions/download").text.splitlines()) == 1
    plain = api.post(
        "/v1/outreach/suppressions/upload", content=b"eve@example.com\n", headers={"Content-Type": "text/plain"}
    ).json()
    assert (plain["rows"], plain["added"]) == (1, 1)


def test_who_writes_that_he_wants_no_more_leaves_and_so_does_who_was_mailed(database, house, mailed):
    delivery = house.delivery(*mailed)["id"]
    with database.transaction() as db:
        assert suppressions.leave_by_mail(db, house.workspace, "ada@private.example", delivery)
    entries = house.all("SELECT value, reason, source FROM suppressions ORDER BY value")
    assert [(each["value"], each["reason"], each["source"]) for each in entries] == [
        ("ada@example.com", "unsubscribed", "mailto"),
        ("ada@private.example", "unsubscribed", "mailto"),
    ]
    assert house.walk(*mailed)["outcome"] == "unsubscribed"
    with database.transaction() as db:
        assert not suppressions.leave_by_mail(db, house.workspace, "ada@private.example", delivery)
