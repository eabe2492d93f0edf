"""Opens and clicks over HTTP: where a link leads, what is written down, and what is nobody's business."""

import random
import string
import struct
import zlib

import pytest

from cleanmails.actors import hits
from cleanmails.api.tracking import PIXEL
from cleanmails.mail.tokens import Purpose, Tokens
from cleanmails.vault import Vault
from tests.ledger.conftest import Rows

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
PERSON = {"User-Agent": CHROME, "X-Forwarded-For": "198.51.100.7"}


@pytest.fixture
def house(database_url, owner):
    made = Rows(database_url)
    made.workspace = owner
    yield made
    made.db.close()


@pytest.fixture
def mail(house):
    """A delivery of an hour ago with two links, the second of the template not used; its id."""
    [ada] = house.leads("ada@example.com")
    campaign = house.campaign_on(house.list(ada), leads=[ada])
    sent = house.planned(campaign, ada, "sent", sender=house.sender())
    house.run(
        "UPDATE deliveries SET links = %s, sending_at = now() - interval '1 hour' WHERE id = %s",
        ["https://shop.example/a?b=1&c=2#d", None, "https://bücher.example/ä"],
        sent,
    )
    return sent


@pytest.fixture
def tokens(settings):
    return Tokens(Vault.from_settings(settings).derive_all("tokens"))


@pytest.fixture
def pixel(tokens, mail):
    return f"/t/{tokens.sign(Purpose.OPEN, mail)}/pixel.png"


@pytest.fixture
def link(tokens, mail):
    return f"/t/{tokens.sign(Purpose.CLICK, mail)}/link"


@pytest.mark.asvs("3.5.4")
def test_under_a_tracking_domain_there_is_nothing_to_sign_in_to(anonymous, api, house, pixel):
    house.run(
        "UPDATE workspaces SET tracking_domain = 'go.agency.example', tracking_verified_at = now() WHERE id = %s",
        house.workspace,
    )
    there = {"Host": "Go.Agency.Example:8000"}
    for path in ("/", "/sign-in", "/v1/outreach/campaigns", "/openapi.json", "/nowhere"):
        answer = anonymous.get(path, headers=there)
        assert answer.status_code == 404, path
        assert "set-cookie" not in answer.headers
    assert api.get("/v1/outreach/campaigns", headers=there).status_code == 404
    assert anonymous.head("/sign-in", headers=there).content == b""
    assert anonymous.get(pixel, headers=there).status_code == 200
    assert api.get("/v1/outreach/campaigns", headers={"Host": "elsewhere.example"}).status_code == 200
    assert api.get("/v1/outreach/campaigns").status_code == 200


@pytest.fixture
def follow(anonymous):
    """Asks like a person's browser; redirects are shown, not followed."""

    def ask(path, method="GET", **headers):
        return anonymous.request(method, path, headers=PERSON | headers, follow_redirects=False)

    return ask


@pytest.fixture
def stored(app, house):
    """All hits, once the recorder has written what it holds."""

    def read():
        app.state.recorder.close()
        return house.all("SELECT * FROM hits ORDER BY id")

    return read


def judged(database):
    from datetime import timedelta

    return hits.judge_ripe(database, ripe=timedelta(0))


def test_the_pixel_is_a_picture_that_nobody_keeps(follow, pixel):
    answer = follow(pixel)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.content == PIXEL
    width, height = struct.unpack(">II", PIXEL[16:24])
    at, name = PIXEL.index(b"IDAT"), PIXEL[12:16]
    [length] = struct.unpack(">I", PIXEL[at - 4 : at])
    assert (width, height, name) == (1, 1, b"IHDR")
    assert zlib.decompress(PIXEL[at + 4 : at + 4 + length]) == bytes(5)


def test_a_range_is_answered_by_the_whole_and_head_by_no_body(follow, pixel, stored):
    assert follow(pixel, Range="bytes=0-3").content == PIXEL
    head = follow(pixel, method="HEAD")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(PIXEL)))
    assert [row["method"] for row in stored()] == ["GET", "HEAD"]


def test_a_click_leads_where_the_mail_led_and_is_written_down_before_its_answer(follow, link, house):
    answer = follow(f"{link}/1")
    assert (answer.status_code, answer.headers["location"]) == (302, "https://shop.example/a?b=1&c=2#d")
    assert answer.headers["cache-control"] == "no-store"
    [hit] = house.all("SELECT kind, link, user_agent, verdict FROM hits")
    assert hit == {"kind": "click", "link": 1, "user_agent": CHROME, "verdict": None}


def test_a_link_in_another_script_stands_in_the_header_as_it_may(follow, link):
    assert follow(f"{link}/3").headers["location"] == "https://xn--bcher-kva.example/%C3%A4"


def test_nothing_but_what_was_in_the_mail_is_led_to(follow, link, pixel, tokens, mail, stored):
    stem = link.removesuffix("/link")
    for path in (
        f"{link}/2",
        f"{link}/4",
        f"{link}/01",
        f"{link}/-1",
        f"{link}/99999",
        f"{link}/",
        f"{stem}/pixel.png",
        f"{link}/https://evil.example",
        pixel.replace("pixel.png", "link/1"),
        f"/t/{tokens.sign(Purpose.CLICK, mail + 1)}/link/1",
        f"/t/{tokens.sign(Purpose.CLICK, 2**63)}/link/1",
        "/t",
        "/t/",
        "/t/x/pixel.png",
        "/t//pixel.png",
        f"{pixel}/more",
    ):
        answer = follow(path)
        assert (path, answer.status_code) == (path, 404)
        assert "location" not in answer.headers
    assert "This link does not work" in follow(f"{link}/2?url=https://evil.example").text
    assert stored() == []


def test_mutated_tokens_lead_nowhere_and_change_nothing(follow, tokens, mail, house, stored):
    """A sample over HTTP; a hundred thousand are tried on the function itself (`tests/mail/test_tokens.py`)."""
    dice = random.Random(2)
    letters = string.ascii_letters + string.digits + "-_%/.?#~"
    for _ in range(200):
        token = tokens.sign(dice.choice(list(Purpose)), mail)
        at = dice.randrange(len(token))
        mutant = token[:at] + dice.choice(letters.replace(token[at], "")) + token[at + 1 :]
        for path in (f"/t/{mutant}/pixel.png", f"/t/{mutant}/link/1", f"/unsubscribe/{mutant}"):
            answer = follow(path)
            assert (answer.status_code, "location" in answer.headers) == (404, False), path
    assert stored() == []
    assert house.all("SELECT * FROM suppressions") == []


def test_only_looking_is_answered(follow, pixel, link, stored):
    for path in (pixel, f"{link}/1"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            answer = follow(path, method=method)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert stored() == []


def test_the_link_that_nobody_sees_leads_nowhere_and_says_why(follow, link, stored):
    answer = follow(f"{link}/0")
    assert answer.status_code == 200
    assert "nothing has changed" in answer.text
    assert [row["link"] for row in stored()] == [0]


@pytest.mark.asvs("4.1.3", "15.3.4")
def test_who_asks_is_believed_only_to_proxies_that_are_trusted():
    import ipaddress

    from cleanmails.api.client import address

    trusted = [ipaddress.ip_network(text) for text in ("127.0.0.1", "10.0.0.0/8", "::1")]
    assert address("198.51.100.7", ["1.1.1.1"], trusted) == "198.51.100.7"
    assert address("127.0.0.1", ["1.1.1.1, 198.51.100.7"], trusted) == "198.51.100.7"
    assert address("127.0.0.1", ["1.1.1.1", "198.51.100.7, 10.2.3.4"], trusted) == "198.51.100.7"
    assert address("::1", ["[2001:db8::1]:443"], trusted) == "2001:db8::1"
    assert address("::ffff:127.0.0.1", ["198.51.100.7:5060"], trusted) == "198.51.100.7"
    assert address("127.0.0.1", ["unknown"], trusted) == "127.0.0.1"
    assert address("127.0.0.1", [], trusted) == "127.0.0.1"
    assert address("fe80::1%eth0", [], trusted) == "fe80::1"
    assert address(None, ["1.1.1.1"], trusted) is None


def test_a_person_opens_and_clicks(follow, pixel, link, house, database, stored, mail):
    follow(pixel)
    follow(f"{link}/1")
    assert [row["verdict"] for row in stored()] == [None, None]
    assert judged(database).mails == 1
    assert [(row["verdict"], row["reasons"]) for row in stored()] == [("human", ["browser"])] * 2
    [row] = house.all("SELECT opened_at, clicked_at FROM deliveries")
    assert row["opened_at"] is not None
    assert row["clicked_at"] is not None
    [opened] = house.events("email.opened")
    [clicked] = house.events("email.clicked")
    assert (opened["delivery_id"], opened["data"]["verdict"], opened["data"]["was"]) == (mail, "human", None)
    assert clicked["data"]["url"] == "https://shop.example/a?b=1&c=2#d"


def test_a_scanner_opens_no_trigger_and_a_person_after_it_does(follow, pixel, house, database, stored):
    follow(pixel, **{"User-Agent": "Barracuda Sentinel (EE)"})
    stored()
    judged(database)
    assert house.one("SELECT opened_at FROM deliveries") is None
    follow(pixel)
    stored()
    judged(database)
    assert house.one("SELECT opened_at FROM deliveries") is not None
    told = [(event["data"]["was"], event["data"]["verdict"]) for event in house.events("email.opened")]
    assert told == [(None, "machine"), ("machine", "human")]
    assert judged(database).mails == 0


def test_who_follows_the_hidden_link_is_a_machine_in_all_it_did(follow, link, house, database, stored):
    follow(f"{link}/1")
    stored()
    judged(database)
    assert house.one("SELECT clicked_at FROM deliveries") is not None
    follow(f"{link}/0")
    stored()
    judged(database)
    assert house.one("SELECT clicked_at FROM deliveries") is None
    assert [row["reasons"] for row in stored()] == [["followed_hidden_link"], ["hidden_link"]]


def test_a_flood_is_counted_and_not_kept(follow, pixel, house, database, stored):
    for _ in range(230):
        follow(pixel)
    rows = stored()
    assert sum(1 + row["repeats"] for row in rows) == 230
    assert len([row for row in rows if row["minute"] is None]) == 100
    assert len(rows) <= 102  # a minute may turn meanwhile
    for _ in range(5):
        follow(pixel)
    assert sum(1 + row["repeats"] for row in stored()) == 235


def test_other_rules_judge_history_anew(follow, pixel, house, database, stored):
    follow(pixel)
    stored()
    judged(database)
    house.run("UPDATE hits SET user_agent = 'curl/8.5.0'")
    done = hits.reclassify_all(database, step=1)
    assert (done.mails, done.hits, done.changed) == (1, 1, 1)
    assert house.one("SELECT opened_at FROM deliveries") is None
    [_, again] = house.events("email.opened")
    assert (again["data"]["was"], again["data"]["verdict"]) == ("human", "machine")
    assert hits.reclassify_all(database).hits == 0


def test_a_mail_of_unknown_outcome_that_a_person_opened_was_sent(follow, pixel, house, database, stored, mail):
    house.run("UPDATE deliveries SET state = 'unknown', settled_at = NULL, reason = 'why' WHERE id = %s", mail)
    house.run("UPDATE campaign_leads SET state = 'held', hold_reason = 'unknown', due_at = NULL")
    follow(pixel)
    stored()
    judged(database)
    [row] = house.all("SELECT state, evidence FROM deliveries")
    assert (row["state"], row["evidence"]) == ("sent", "opened")
    assert house.one("SELECT state FROM campaign_leads") == "ended"
