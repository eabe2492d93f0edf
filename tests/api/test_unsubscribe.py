"""Leaving: scanners that look change nothing, one click leaves for good, and whoever guesses learns nothing."""

import pytest

from cleanmails.mail.tokens import Purpose, Tokens
from cleanmails.vault import Vault
from tests.ledger.conftest import Rows

ONE_CLICK = {"data": {"List-Unsubscribe": "One-Click"}}


@pytest.fixture
def house(database_url, owner):
    made = Rows(database_url)
    made.workspace = owner
    yield made
    made.db.close()


@pytest.fixture
def mailed(house):
    """A lead that got a first mail, and whose second is rendered; the campaign, the lead and the first delivery."""
    [ada] = house.leads("ada@example.com")
    campaign = house.campaign_on(house.list(ada), leads=[ada])
    sender = house.sender()
    first = house.planned(campaign, ada, "sent", sender=sender)
    house.planned(campaign, ada, "rendered", sender=sender, step=1)
    return campaign, ada, first


@pytest.fixture
def tokens(settings):
    return Tokens({1: Vault.from_settings(settings).derive("tokens")})


@pytest.fixture
def link(tokens, mailed):
    return f"/unsubscribe/{tokens.sign(Purpose.UNSUBSCRIBE, mailed[2])}"


def left(house):
    return [row["status"] for row in house.all("SELECT status FROM leads")] == ["unsubscribed"]


def test_the_page_says_which_address_and_has_one_button(anonymous, link):
    page = anonymous.get(link)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-store"
    assert "ada@example.com" in page.text
    assert page.text.count("<button>") == page.text.count('<form method="post">') == 1
    assert "<script" not in page.text
    assert "style=" not in page.text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_changes_nothing(anonymous, house, link, method):
    assert anonymous.request(method, link).status_code == 200
    assert not left(house)
    assert house.all("SELECT * FROM suppressions") == []


def test_one_click_leaves_for_good(anonymous, house, link, mailed):
    campaign, ada, first = mailed
    answer = anonymous.post(link, **ONE_CLICK)
    assert answer.status_code == 200
    assert not answer.history
    assert "set-cookie" not in answer.headers
    assert "ada@example.com" in answer.text
    assert left(house)
    [entry] = house.all("SELECT kind, value, reason, source FROM suppressions")
    assert entry == {"kind": "address", "value": "ada@example.com", "reason": "unsubscribed", "source": "link"}
    assert house.walk(campaign, ada)["outcome"] == "unsubscribed"
    assert house.delivery(campaign, ada, step=1)["state"] == "cancelled"
    assert house.delivery(campaign, ada)["state"] == "sent"
    [event] = house.events("lead.unsubscribed")
    assert (event["campaign_id"], event["lead_id"], event["delivery_id"]) == (campaign, ada, first)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        ONE_CLICK,
        {"content": b"\xff\x00nonsense", "headers": {"Content-Type": "multipart/form-data"}},
        {"json": {"x": 1}},
        {"headers": {"Sec-Fetch-Site": "cross-site", "Origin": "https://mail.example", "Cookie": "auth_token=nobody"}},
    ],
)
def test_whatever_the_post_carries_it_acts(anonymous, house, link, sent):
    assert anonymous.post(link, **sent).status_code == 200
    assert left(house)


def test_a_second_click_is_the_same(anonymous, house, link):
    answers = [anonymous.post(link, **ONE_CLICK).text for _ in range(3)]
    assert len(set(answers)) == 1
    assert len(house.events("lead.unsubscribed")) == len(house.all("SELECT * FROM suppressions")) == 1


def test_an_unknown_link_answers_the_post_like_any_and_shows_no_form(anonymous, house, tokens, mailed):
    for token in (
        "x",
        "A" * 35,
        tokens.sign(Purpose.OPEN, mailed[2]),
        tokens.sign(Purpose.UNSUBSCRIBE, mailed[2] + 99),
        tokens.sign(Purpose.UNSUBSCRIBE, mailed[2])[:-1],
        "%F0%9F%98%80" * 12,
    ):
        answer = anonymous.post(f"/unsubscribe/{token}", **ONE_CLICK)
        assert (answer.status_code, answer.history) == (200, [])
        assert "@" not in answer.text
        page = anonymous.get(f"/unsubscribe/{token}")
        assert page.status_code == 404
        assert "<form" not in page.text
    assert not left(house)


def test_a_name_cannot_break_the_page(anonymous, house, link):
    house.run("""UPDATE leads SET email = 'a"<b>&''@example.com'""")
    page = anonymous.get(link).text
    assert "<b>" not in page
    assert "a&#34;&lt;b&gt;&amp;&#39;@example.com" in page


def test_who_has_left_does_not_come_back_by_a_file(anonymous, api, house, link, mailed):
    anonymous.post(link, **ONE_CLICK)
    prospects = house.one("SELECT id FROM lists")
    answer = api.post(
        f"/v1/outreach/lists/{prospects}/upload",
        content=b"email\nada@example.com\n",
        headers={"Content-Type": "text/csv"},
    )
    assert (answer.json()["suppressed"], answer.json()["updated"]) == (1, 0)
    assert left(house)
    assert house.walk(mailed[0], mailed[1])["state"] == "ended"
