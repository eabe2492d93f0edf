"""HubSpot, Pipedrive and Slack, as small servers that speak their public APIs: what they hold in the end is what happened, whatever breaks on the way."""

import itertools
import random
import re
from datetime import UTC, datetime, timedelta

import pytest

from cleanmails.actors import outlets as sending
from cleanmails.actors.crm import TELLERS
from cleanmails.actors.outlets import Post
from cleanmails.ledger import events, outlets
from cleanmails.ledger.events import Event
from cleanmails.mail.connector import Connector
from cleanmails.mail.http import Client
from cleanmails.rules import crm, retries
from tests.receiver import Receiver
from tests.stream import await_readable

TOKEN = "pat-eu1-secret"


class Clock:
    def __init__(self):
        self.now = datetime.now(UTC)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def post(work, clock):
    return Post(
        database=work.database, vault=work.vault, connect=Connector(allow_private=True).connect, clock=clock, dice=random.Random(1), patience=5.0
    )  # fmt: skip


@pytest.fixture
def connect(house, work):
    """Makes an integration; its id."""

    def make(kind, url, credential=TOKEN, **options):
        await_readable(house.db)
        with work.database.transaction() as db:
            made = outlets.create(
                db, house.workspace, kind=kind, name="", url=url, types=list(crm.DEFAULT_TYPES[kind]), campaign_ids=None, options=options
            )  # fmt: skip
            sealed = work.vault.seal(credential.encode(), sending.secret_name(made))
            outlets.seal(db, house.workspace, made, sealed)
        return made

    return make


@pytest.fixture
def happened(house, work):
    """Writes an event of Bob of Initech in the campaign Spring."""
    (lead,) = house.leads("bob@initech.example", city="Rome")
    campaign = house.campaign([lead], [])

    def write(kind, **data):
        with work.database.transaction() as db:
            events.append(
                db, [Event(type=kind, workspace_id=house.workspace, lead_id=lead, campaign_id=campaign, data=data)]
            )
        await_readable(house.db)

    return write


class HubSpot:
    """Contacts, emails and deals by https://developers.hubspot.com/docs/api-reference: upsert by address, create with associations, search."""

    def __init__(self):
        self.ids = itertools.count(101)
        self.contacts, self.made = {}, {"emails": [], "deals": []}
        self.breaks = []

    def __call__(self, request):
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, {}, b'{"status":"error","category":"INVALID_AUTHENTICATION"}'
        if self.breaks and (broken := self.breaks.pop(0)):
            if broken != "after":
                return broken
            self.answer(request)
            return 502, {}, b"{}"
        return self.answer(request)

    def answer(self, request):
        if request.path.endswith("/contacts/batch/upsert"):
            (given,) = request.json()["inputs"]
            assert given["idProperty"] == "email"
            known = self.contacts.setdefault(given["id"], {"id": str(next(self.ids))})
            known |= given["properties"]
            return said({"status": "COMPLETE", "results": [{"id": known["id"], "properties": given["properties"]}]})
        if match := re.fullmatch(r"/crm/v3/objects/(emails|deals)(/search)?", request.path):
            body, objects = request.json(), self.made[match[1]]
            if match[2]:
                contact, wanted = body["filterGroups"][0]["filters"]
                found = [
                    each for each in objects
                    if each["associations"][0]["to"]["id"] == contact["value"] and each["properties"][wanted["propertyName"]] == wanted["value"]
                ]  # fmt: skip
                return said({"total": len(found), "results": []})
            objects.append(body)
            return said({"id": str(next(self.ids))}, 201)
        if request.path == "/crm/v3/objects/contacts?limit=1":
            return said({"results": []})
        return 404, {}, b"{}"


class Pipedrive:
    """Persons, activities and deals by https://developers.pipedrive.com/docs/api/v1 (version 2 of each)."""

    def __init__(self):
        self.ids = itertools.count(7)
        self.persons, self.activities, self.deals = {}, [], []
        self.breaks = []

    def __call__(self, request):
        if request.headers["x-api-token"] != TOKEN:
            return 401, {}, b'{"success":false}'
        broken = self.breaks.pop(0) if self.breaks else None
        answer = None if broken and broken != "after" else self.answer(request)
        return answer if not broken else (502, {}, b"{}") if broken == "after" else broken

    def answer(self, request):
        path, _, query = request.path.partition("?")
        if path == "/api/v2/persons/search":
            known = [
                {"item": {"id": id_}}
                for id_, each in self.persons.items()
                if each["emails"][0]["value"].replace("@", "%40") in query
            ]
            return said({"success": True, "data": {"items": known}})
        if path == "/api/v2/persons":
            made = next(self.ids)
            self.persons[made] = request.json()
            return said({"success": True, "data": {"id": made}}, 201)
        if path.startswith("/api/v2/persons/"):
            self.persons[int(path.rpartition("/")[2])] |= request.json()
            return said({"success": True, "data": {}})
        kept = {"/api/v2/activities": self.activities, "/api/v2/deals": self.deals}.get(path)
        if kept is None:
            return (200, {}, b'{"success":true}') if path == "/api/v1/users/me" else (404, {}, b"{}")
        if request.method == "POST":
            kept.append(request.json())
            return said({"success": True, "data": {"id": next(self.ids)}}, 201)
        return said({"success": True, "data": kept or None})


def said(value, status=200):
    import msgspec

    return status, {"Content-Type": "application/json"}, msgspec.json.encode(value)


def place(receiver):
    return receiver.url.removesuffix("/hook")


def until_told(post, clock, times=20):
    """Sends until nothing waits, going on in time where something is to be tried again."""
    for _ in range(times):
        sending.pump(post)
        clock.now += timedelta(minutes=10)


class TestHubSpot:
    def test_contact_mails_and_a_deal(self, connect, happened, post):
        with Receiver(HubSpot()) as server:
            connect(
                "hubspot",
                place(server),
                fields={"first_name": "firstname", "company": "company", "city": "city"},
                stage="qualified",
            )
            happened("email.sent", subject="Hello", step=0)
            happened("email.replied", subject="Re: Hello")
            happened("lead.labelled", label="interested")
            happened("lead.labelled", label="meeting_booked")
            sending.pump(post)
            hub = server.answer
            (contact,) = hub.contacts.values()
            assert (contact["email"], contact["firstname"], contact["company"], contact["city"]) == (
                "bob@initech.example",
                "Bob",
                "Initech",
                "Rome",
            )
            assert [mail["properties"]["hs_email_direction"] for mail in hub.made["emails"]] == [
                "EMAIL",
                "INCOMING_EMAIL",
            ]
            assert {mail["associations"][0]["to"]["id"] for mail in hub.made["emails"]} == {contact["id"]}
            (deal,) = hub.made["deals"]
            assert deal["properties"] == {
                "dealname": "Initech: Spring",
                "pipeline": "default",
                "dealstage": "qualified",
            }

    @pytest.mark.parametrize("breaks", [["after"], [None, "after"], [None, (500, {}, b"")], [(429, {"Retry-After": "11"}, b"")], [None, (429, {"Retry-After": "11"}, b"")], [None, (200, {}, b"<html>")]])  # fmt: skip
    def test_what_breaks_is_told_again_and_nothing_is_there_twice(self, connect, happened, post, clock, breaks):
        with Receiver(HubSpot()) as server:
            connect("hubspot", place(server))
            happened("email.sent", subject="Hello", step=0)
            happened("lead.labelled", label="meeting_booked")
            server.answer.breaks = list(breaks)
            until_told(post, clock)
            assert [len(server.answer.made[kind]) for kind in ("emails", "deals")] == [1, 1]
            assert len(server.answer.contacts) == 1

    def test_a_token_that_holds_no_more_switches_it_off_and_loses_nothing(
        self, connect, happened, post, clock, work, house
    ):
        with Receiver(HubSpot()) as server:
            made = connect("hubspot", place(server), credential="revoked")
            happened("email.sent", subject="Hello", step=0)
            for gap in (*retries.GAPS, *[retries.LAST_GAP] * 3):
                sending.pump(post)
                clock.now += timedelta(seconds=1.2 * gap)
            with work.database.transaction() as db:
                row = outlets.read(db, house.workspace, made, webhook=False)
                assert (row["state"], row["pending"]) == ("off", 1)
                assert "status 401" in row["off_reason"]


class TestPipedrive:
    def test_person_activities_and_a_deal(self, connect, happened, post):
        with Receiver(Pipedrive()) as server:
            connect("pipedrive", place(server), fields={"city": "abc123"}, pipeline="2", stage="5")
            happened("email.sent", subject="Hello", step=0)
            happened("email.replied", subject="Re: Hello")
            happened("lead.labelled", label="meeting_booked")
            sending.pump(post)
            pipe = server.answer
            ((id_, person),) = pipe.persons.items()
            assert (person["name"], person["emails"][0]["value"], person["custom_fields"]) == (
                "Bob",
                "bob@initech.example",
                {"abc123": "Rome"},
            )
            assert [each["subject"] for each in pipe.activities] == ["Sent: Hello", "Reply: Re: Hello"]
            assert all(each["participants"][0]["person_id"] == id_ for each in pipe.activities)
            assert pipe.deals == [{"title": "Initech: Spring", "person_id": id_, "pipeline_id": 2, "stage_id": 5}]

    @pytest.mark.parametrize(
        "breaks", [["after"], [None, "after"], [None, None, "after"], [(429, {}, b"")], [None, (503, {}, b"")]]
    )
    def test_what_breaks_is_told_again_and_nothing_is_there_twice(self, connect, happened, post, clock, breaks):
        with Receiver(Pipedrive()) as server:
            connect("pipedrive", place(server))
            happened("email.sent", subject="Hello", step=0)
            happened("lead.labelled", label="meeting_booked")
            server.answer.breaks = list(breaks)
            until_told(post, clock)
            assert [len(kept) for kept in (server.answer.persons, server.answer.activities, server.answer.deals)] == [
                1,
                1,
                1,
            ]


class TestSlack:
    def test_a_message_says_who_where_and_what(self, connect, happened, post):
        with Receiver() as server:
            connect("slack", "https://hooks.slack.com", credential=server.url)
            happened("email.replied", subject="Re: <!channel> & you")
            sending.pump(post)
            (message,) = server.bodies()
            assert message["text"] == "There is a reply: Bob (Initech)"
            section, context = message["blocks"]
            assert section["text"] == {"type": "mrkdwn", "text": "*There is a reply*: Bob (Initech)"}
            said = context["elements"][0]["text"]
            assert "bob@initech.example · Spring · Re: &lt;!channel&gt; &amp; you · <!date^" in said

    def test_a_limit_is_heeded(self, connect, happened, post, clock):
        answers = [(429, {"Retry-After": "30"}, b""), 200]
        with Receiver(lambda _: answers.pop(0)) as server:
            connect("slack", "https://hooks.slack.com", credential=server.url)
            happened("email.replied", subject="Hi")
            sending.pump(post)
            sending.pump(post)
            assert len(server.requests) == 1
            clock.now += timedelta(seconds=40)
            sending.pump(post)
            assert len(server.requests) == 2


def test_a_lead_that_was_erased_meanwhile_is_told_to_nobody(connect, happened, post, house):
    with Receiver(HubSpot()) as server:
        connect("hubspot", place(server))
        happened("email.sent", subject="Hello", step=0)
        house.run("UPDATE events SET lead_id = NULL")
        sending.pump(post)
        assert server.requests == []
        (row,) = house.all("SELECT state FROM outlet_messages")
        assert row["state"] == "delivered"


@pytest.mark.parametrize(("kind", "crm_of"), [("hubspot", HubSpot), ("pipedrive", Pipedrive)])
def test_what_is_told_once_more_is_not_made_again(connect, happened, post, work, kind, crm_of):
    with Receiver(crm_of()) as server:
        made = connect(kind, place(server))
        happened("email.sent", subject="Hello", step=0)
        happened("lead.labelled", label="meeting_booked")
        sending.pump(post)
        asked = len(server.requests)
        with work.database.transaction() as db:
            assert outlets.replay(db, made, first_id=1, last_id=None, since=None, until=None, limit=10) == 2
        sending.pump(post)
        assert len(server.requests) > asked
        there = server.answer
        kept = there.made.values() if kind == "hubspot" else (there.activities, there.deals)
        assert [len(each) for each in kept] == [1, 1]


@pytest.mark.parametrize(("kind", "crm_of"), [("hubspot", HubSpot), ("pipedrive", Pipedrive)])
def test_what_a_dead_worker_had_told_is_not_made_again(connect, happened, post, clock, work, kind, crm_of):
    """It died between the CRM's answer and the ledger, which knows of no attempt."""
    with Receiver(crm_of()) as server:
        made = connect(kind, place(server))
        happened("email.sent", subject="Hello", step=0)
        sending.fan_out(post)
        [(_, lane)] = sending.open_lanes(post)
        with work.database.transaction() as db:
            outlet = outlets.take_lane(db, made, lane, now=clock(), lease=sending.LEASE_SECONDS)
            [row] = outlets.read_lane(db, made, lane, now=clock(), limit=sending.RUN)
        with Client(post.connect) as client:
            assert TELLERS[kind](client, outlet, [TOKEN], row, clock()).status == 201
        clock.now += timedelta(seconds=sending.LEASE_SECONDS + 1)
        assert sending.pump(post) == 1
        there = server.answer
        assert len(there.made["emails"] if kind == "hubspot" else there.activities) == 1


def test_no_event_takes_more_requests_than_its_lease_has_time_for(connect, happened, post):
    """The most: a person who is known, with fields, for whom a meeting was booked."""
    with Receiver(Pipedrive()) as server:
        connect("pipedrive", place(server), fields={"city": "abc123"})
        happened("email.sent", subject="Hello", step=0)
        sending.pump(post)
        before = len(server.requests)
        happened("lead.labelled", label="meeting_booked")
        sending.pump(post)
        assert len(server.requests) - before == sending.EXCHANGES


def test_a_lane_of_an_outlet_that_rests_is_not_taken(connect, post, house, clock, work):
    made = connect("slack", "https://hooks.slack.com")
    house.run("UPDATE outlets SET rest_until = %s WHERE id = %s", clock() + timedelta(seconds=5), made)
    with work.database.transaction() as db:
        assert outlets.take_lane(db, made, 0, now=clock(), lease=sending.LEASE_SECONDS) is None
        assert outlets.take_lane(db, made, 0, now=clock() + timedelta(seconds=6), lease=sending.LEASE_SECONDS)
