"""Conversations over the API: what came in and what we sent, labels, notes, answers; and messages that a person has to place."""

from datetime import UTC, datetime, timedelta

import pytest

from cleanmails.actors import inbox
from cleanmails.actors.work import Kit
from cleanmails.demo import catcher
from cleanmails.demo.catcher import Rule, by_rules
from cleanmails.vault import Vault
from tests.ledger.conftest import Rows

PATH = "/v1/outreach/conversations"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def environ():
    return {"CLEANMAILS_ALLOW_PRIVATE_HOSTS": "true"}


@pytest.fixture
def house(database_url, owner):
    made = Rows(database_url)
    made.workspace = owner
    yield made
    made.db.close()


@pytest.fixture
def put(database, settings, house):
    """Puts a message into a mailbox: `put(raw, sender)`."""
    kit = Kit(settings=settings, database=database, vault=Vault.from_settings(settings))
    place = iter(range(1, 1_000))

    def put(raw, sender, now=NOW):
        return inbox.settle(kit, sender, "INBOX", next(place), raw.encode(), now)

    return put


@pytest.fixture
def mailed(house):
    """Bob and Eve, each with a mail that was sent: (campaign, sender, {name: (lead, Message-ID)})."""
    bob, eve = house.leads("bob@b.example", "eve@e.example")
    campaign = house.campaign_on(house.list(bob, eve), leads=[bob, eve])
    sender = house.sender()
    found = {}
    for name, lead in (("bob", bob), ("eve", eve)):
        delivery = house.planned(campaign, lead, "sent", sender=sender)
        house.run(
            "UPDATE deliveries SET subject = 'Hello Bob', message_id = %s, sending_at = %s WHERE id = %s",
            f"<{name}@acme.example>",
            NOW - timedelta(days=1),
            delivery,
        )
        house.run("UPDATE campaign_leads SET state = 'waiting', due_at = now(), step = 0 WHERE lead_id = %s", lead)
        found[name] = lead, f"<{name}@acme.example>", delivery
    house.run("DELETE FROM mails")
    return campaign, sender, found


def letter(about, words="Sounds good.", *, sender="bob@b.example", n=1, html=None, more=""):
    head = (
        f"From: Bob <{sender}>\nTo: ann@acme.example\nSubject: Re: Hello Bob\nMessage-ID: <r{n}@b.example>\nDate: Thu, 26 Nov 2026 11:00:00 +0000\n"
        f"In-Reply-To: {about}\nReferences: {about}\n{more}"
    )
    if html is None:
        return f"{head}\n{words}\n"
    return (
        f'{head}Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/html\n\n{html}\n--b\n'
        'Content-Type: application/pdf; name="x.pdf"\nContent-Disposition: attachment; filename="offer.pdf"\n\nJVBE\n--b--\n'
    )


@pytest.fixture
def thread(put, mailed):
    _, sender, found = mailed
    return put(letter(found["bob"][1]), sender).thread_id


def test_a_conversation_is_listed_and_read_with_both_sides(api, viewer, stranger, mailed, thread):
    [shown] = viewer.get(PATH).json()["items"]
    assert (shown["lead"]["email"], shown["unread"], shown["snippet"]) == ("bob@b.example", True, "Sounds good.")
    assert shown["lead"]["outcome"] == "replied"
    whole = viewer.get(f"{PATH}/{thread}").json()
    assert [(entry["type"], entry["direction"]) for entry in whole["entries"]] == [("mail", "out"), ("message", "in")]
    mail, came = whole["entries"]
    assert "Initech" in mail["text"]
    assert mail["exact"] is False
    assert (came["text"], came["kind"], came["html"]) == ("Sounds good.", "reply", None)
    assert viewer.get(PATH).json()["items"][0]["unread"] is True
    assert stranger.get(PATH).json()["items"] == []
    assert stranger.get(f"{PATH}/{thread}").status_code == 404


def test_html_is_made_harmless_and_attachments_are_listed(api, put, mailed):
    _, sender, found = mailed
    markup = '<p onclick="x()">Hi <b>Ann</b><script>x()</script><img src="https://t.example/p.gif"><a href="javascript:x()">a</a><a href="https://b.example/">b</a></p><form></form>'
    settled = put(letter(found["bob"][1], html=markup), sender)
    entry = api.get(f"{PATH}/{settled.thread_id}").json()["entries"][-1]
    assert entry["html"].strip() == (
        '<p>Hi <b>Ann</b><a target="_blank" rel="noopener noreferrer nofollow">a</a>'
        '<a href="https://b.example/" target="_blank" rel="noopener noreferrer nofollow">b</a></p>'
    )
    assert entry["text"] == "Hi Annab"
    assert [(each["name"], each["type"]) for each in entry["attachments"]] == [("offer.pdf", "application/pdf")]


def test_filters_search_and_pages(api, put, house, mailed, thread):
    _, sender, found = mailed
    away = letter(
        found["eve"][1], "I am out of the office.", sender="eve@e.example", n=2, more="Auto-Submitted: auto-replied\n"
    )
    other = put(away, sender).thread_id
    api.patch(f"{PATH}/{thread}", json={"label": "interested"})

    def ids(query):
        return [each["id"] for each in api.get(f"{PATH}?{query}").json()["items"]]

    assert ids("") == [other, thread]
    assert (ids("unread=true"), ids("label=out_of_office"), ids("label=none")) == ([thread], [other], [])
    assert (ids("kind=auto_reply"), ids("unassigned=true"), ids("campaign_id=999")) == ([other], [other, thread], [])
    assert (ids("search=BOB%40b"), ids("search=office"), ids("search=%25")) == ([thread], [other], [])
    first = api.get(f"{PATH}?limit=1").json()
    assert [each["id"] for each in first["items"]] == [other]
    assert ids(f"limit=1&after={first['next']}") == [thread]
    counts = api.get(f"{PATH}/counts").json()
    assert (counts["total"], counts["unread"], counts["interested"], counts["review"]) == (2, 1, 1, 0)


def test_labels_reading_and_whose_it_is(api, viewer, stranger, house, thread):
    user = house.one("SELECT user_id FROM memberships")
    changed = api.patch(
        f"{PATH}/{thread}", json={"label": "meeting_booked", "unread": False, "assigned_to": user}
    ).json()
    assert (changed["label"], changed["unread"], changed["assigned_to"]["id"]) == ("meeting_booked", False, user)
    assert [event["data"]["label"] for event in house.events("lead.labelled")] == ["meeting_booked"]
    cleared = api.patch(f"{PATH}/{thread}", json={"label": None, "assigned_to": None}).json()
    assert (cleared["label"], cleared["assigned_to"], cleared["unread"]) == (None, None, False)
    assert api.patch(f"{PATH}/{thread}", json={"assigned_to": 999}).json()["faults"][0]["field"] == "assigned_to"
    assert api.patch(f"{PATH}/{thread}", json={"label": "great"}).status_code == 400
    assert viewer.patch(f"{PATH}/{thread}", json={"unread": True}).status_code == 403
    assert stranger.patch(f"{PATH}/{thread}", json={"unread": True}).status_code == 404


def test_notes_are_kept(api, stranger, thread):
    note = api.post(f"{PATH}/{thread}/notes", json={"text": "Call on Monday"}).json()
    assert [each["text"] for each in api.get(f"{PATH}/{thread}").json()["notes"]] == ["Call on Monday"]
    assert stranger.delete(f"{PATH}/{thread}/notes/{note['id']}").status_code == 404
    assert api.delete(f"{PATH}/{thread}/notes/{note['id']}").status_code == 204
    assert api.get(f"{PATH}/{thread}").json()["notes"] == []


def test_an_answer_goes_out_once_in_the_same_thread(api, house, mailed, thread):
    with catcher.running() as server:
        house.run("UPDATE senders SET smtp_port = %s, signature = 'Ann, Acme'", server.port)
        answer = api.post(f"{PATH}/{thread}/answer", json={"text": "Tuesday at ten?\n\nBest"}).json()
        assert (answer["state"], answer["to_address"], answer["subject"]) == ("sent", "bob@b.example", "Re: Hello Bob")
        [mail] = server.mails()
        raw = server.raw(mail.id).decode()
        assert "In-Reply-To: <r1@b.example>" in raw
        assert "References: <bob@acme.example> <r1@b.example>" in raw
        assert "Tuesday at ten?" in raw
        assert "> Sounds good." in raw
        again = api.post(f"{PATH}/{thread}/answer", json={"text": "Tuesday at ten?\n\nBest"})
        assert (again.status_code, again.json()["code"], len(server.mails())) == (409, "answered_already", 1)
    [entry] = [each for each in api.get(f"{PATH}/{thread}").json()["entries"] if each["type"] == "answer"]
    assert (entry["state"], entry["direction"]) == ("sent", "out")
    assert api.get(PATH).json()["items"][0]["unread"] is False


def test_an_answer_of_which_nothing_was_heard_is_not_sent_again(api, house, thread):
    with catcher.running(script=by_rules([Rule(match="*", do="drop-stored", times=1)])) as server:
        house.run("UPDATE senders SET smtp_port = %s", server.port)
        assert api.post(f"{PATH}/{thread}/answer", json={"text": "Hello"}).json()["state"] == "unknown"
        assert api.post(f"{PATH}/{thread}/answer", json={"text": "Hello"}).json()["code"] == "answered_already"
        assert len(server.mails()) == 1


def test_an_answer_that_failed_may_be_tried_again(api, house, thread):
    house.run("UPDATE senders SET smtp_port = 1")
    assert api.post(f"{PATH}/{thread}/answer", json={"text": "Hello"}).json()["state"] == "failed"
    with catcher.running() as server:
        house.run("UPDATE senders SET smtp_port = %s", server.port)
        assert api.post(f"{PATH}/{thread}/answer", json={"text": "Hello"}).json()["state"] == "sent"


def test_answers_count_against_the_day_and_no_limit_holds_them_up(api, house, mailed, thread):
    _, sender, _ = mailed
    path = f"/v1/outreach/senders/{sender}"
    api.patch(path, json={"daily_limit": 1})
    with catcher.running() as server:
        house.run("UPDATE senders SET smtp_port = %s", server.port)
        sent = [api.post(f"{PATH}/{thread}/answer", json={"text": text}).json()["state"] for text in ("One", "Two")]
    failed = api.post(f"{PATH}/{thread}/answer", json={"text": "Three"}).json()["state"]
    today = api.get(path).json()["today"]
    assert (sent, failed) == (["sent", "sent"], "failed")
    assert (today["used"], today["answers"], today["limit"], today["left"]) == (2, 2, 1, 0)
    assert house.all("SELECT used, answers FROM sender_days") == [{"used": 2, "answers": 2}]


def test_a_reply_to_an_answer_is_part_of_the_conversation(api, house, put, mailed, thread):
    with catcher.running() as server:
        house.run("UPDATE senders SET smtp_port = %s", server.port)
        api.post(f"{PATH}/{thread}/answer", json={"text": "When?"})
    own = house.one("SELECT message_id FROM answers")
    assert put(letter(own, "Now.", sender="bob@phone.example", n=3), mailed[1]).thread_id == thread
    copy = f"From: ann@acme.example\nMessage-ID: {own}\nSubject: Re: Hello Bob\n\nWhen?\n"
    assert put(copy, mailed[1]).state == "ignored"


def test_who_left_is_not_answered(api, stranger, put, mailed, thread):
    put(letter(mailed[2]["bob"][1], "Please remove me from your list.", n=2), mailed[1])
    answer = api.post(f"{PATH}/{thread}/answer", json={"text": "But why?"})
    assert (answer.status_code, answer.json()["code"]) == (409, "suppressed")
    assert api.post(f"{PATH}/{thread}/answer", json={"text": "  "}).status_code == 400
    assert stranger.post(f"{PATH}/{thread}/answer", json={"text": "Hi"}).status_code == 404


def test_a_message_in_review_waits_for_a_person(api, viewer, stranger, house, put, mailed):
    campaign, sender, found = mailed
    bounce = (
        "From: MAILER-DAEMON@b.example\nSubject: Undelivered Mail Returned to Sender\n\nThis is the mail system at host b.example.\n\n"
        "<bob@b.example>: host mx said: 550 5.1.1 User unknown\n"
    )
    assert put(bounce, sender).state == "review"
    [shown] = viewer.get("/v1/outreach/reviews").json()["items"]
    assert (shown["kind"], shown["why"]) == ("bounce", "unproven")
    assert [each["delivery_id"] for each in shown["candidates"]] == [found["bob"][2]]
    decide = f"/v1/outreach/reviews/{shown['id']}/decide"
    assert stranger.post(decide, json={"delivery_id": None}).status_code == 404
    assert api.post(decide, json={"delivery_id": 2**40}).json()["faults"][0]["field"] == "delivery_id"
    assert api.post(decide, json={"delivery_id": found["bob"][2]}).json()["state"] == "settled"
    assert house.delivery(campaign, found["bob"][0])["state"] == "bounced"
    assert api.post(decide, json={"delivery_id": None}).status_code == 404
    assert put(bounce.replace("550", "551"), sender).state == "review"
    [shown] = api.get("/v1/outreach/reviews").json()["items"]
    assert (
        api.post(f"/v1/outreach/reviews/{shown['id']}/decide", json={"delivery_id": None}).json()["state"] == "ignored"
    )


def test_a_campaign_says_whether_a_reply_stops_the_company(api):
    made = api.post("/v1/outreach/campaigns", json={"name": "A", "stop_company_on_reply": True}).json()
    assert made["stop_company_on_reply"] is True
    assert api.post("/v1/outreach/campaigns", json={"name": "B"}).json()["stop_company_on_reply"] is False
