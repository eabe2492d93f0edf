"""The pages: who may see them, what they say, and that nothing in them runs."""

import re
from html import unescape

import pytest

from cleanmails.ledger import workers, workspaces
from cleanmails.web.render import STATIC
from tests.api.conftest import EMAIL, PASSWORD

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


def text(answer):
    """What a person reads, without tags, blanks as one."""
    assert answer.headers["content-type"].startswith("text/html")
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text.replace("<wbr>", ""))).split())


def test_whoever_is_not_signed_in_is_led_to_the_sign_in_and_back(visitor, owner):
    led = visitor.get("/campaigns/7")
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?next=/campaigns/7")
    page = visitor.get(led.headers["location"])
    assert 'name="next" value="/campaigns/7"' in page.text
    back = visitor.post("/sign-in", data={"email": EMAIL, "password": PASSWORD, "next": "/campaigns/7"})
    assert (back.status_code, back.headers["location"]) == (303, "/campaigns/7")
    assert "HttpOnly" in back.headers["set-cookie"]


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/\r\nX: y"]
)
@pytest.mark.asvs("1.2.2", "3.7.2")
def test_signing_in_leads_to_no_other_site(visitor, owner, elsewhere):
    back = visitor.post("/sign-in", data={"email": EMAIL, "password": PASSWORD, "next": elsewhere})
    assert back.headers["location"] == "/"


def test_a_wrong_password_says_so_and_keeps_the_address_only(visitor, owner):
    page = visitor.post("/sign-in", data={"email": EMAIL, "password": "wrong one"})
    assert page.status_code == 401
    assert "The e-mail address or the password is wrong." in text(page)
    assert f'value="{EMAIL}"' in page.text
    assert "wrong one" not in page.text


def test_an_empty_form_is_answered_like_a_wrong_one(visitor, owner):
    assert visitor.post("/sign-in", data={}).status_code == 401


def test_too_many_tries_say_how_long_to_wait(visitor, owner):
    for _ in range(6):
        page = visitor.post("/sign-in", data={"email": EMAIL, "password": "wrong one"})
    assert page.status_code == 429
    assert "wait" in text(page)


def test_another_site_cannot_sign_a_person_in(visitor, owner):
    answer = visitor.post(
        "/sign-in", data={"email": EMAIL, "password": PASSWORD}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_where_nobody_is_known_the_page_says_how_to_begin(visitor):
    assert "cleanmails owner --email" in text(visitor.get("/sign-in"))


def test_signing_out_ends_the_session(browser):
    assert browser.get("/").status_code == 200
    assert browser.post("/sign-out").headers["location"] == "/sign-in"
    assert browser.get("/").status_code == 303


def test_an_empty_workspace_says_what_to_do_first(browser):
    page = text(browser.get("/"))
    assert "On the way to the first campaign" in page
    assert "Nothing was sent in the last 30 days." in page
    assert "There is no campaign yet." in text(browser.get("/campaigns"))


def test_home_says_what_waits_for_a_person_and_what_to_do_about_it(browser, house):
    sender = house.sender()
    leads = house.leads("a@x.example", "b@x.example")
    campaign = house.campaign(leads, [sender])
    house.run("UPDATE senders SET status = 'restricted', last_error = '535 no such user' WHERE id = %s", sender)
    house.run(
        "UPDATE campaign_leads SET state = 'held', due_at = NULL, hold_reason = 'missing_field' WHERE lead_id = %s",
        leads[0],
    )
    house.run("INSERT INTO domains (workspace_id, name, status) VALUES (%s, 'bad.example', 'faulty')", house.workspace)
    paused = house.campaign([], [], status="paused", pause_reason="6 of 80 mails bounced hard")
    answer = browser.get("/")
    page = text(answer)
    for sentence, href in (
        ("ann@acme.example is restricted and sends nothing 535 no such user", f"/senders/{sender}"),
        ("1 lead of Spring is held", f"/campaigns/{campaign}/leads?state=held"),
        ("The DNS records of bad.example are faulty", "/domains/"),
        ("Spring was paused to protect its senders 6 of 80 mails bounced hard", f"/campaigns/{paused}/"),
    ):
        assert sentence in page
        assert href in answer.text
    assert "1 leads in 1 running campaign" in page


def test_the_list_shows_each_campaign_with_its_figures_and_what_holds_it_back(browser, house):
    sender = house.sender()
    leads = house.leads("a@x.example", "b@x.example", "c@x.example", "d@x.example")
    campaign = house.campaign(leads, [sender])
    house.sent(campaign, leads[0], sender)
    house.failed(campaign, leads[1], sender, "no such user")
    house.run("UPDATE senders SET status = 'paused'")
    draft = house.campaign([], [], status="draft", started_at=None, run=0)
    house.run("UPDATE campaigns SET name = 'Next 100%%' WHERE id = %s", draft)
    page = text(browser.get("/campaigns"))
    assert re.search(r"Spring 1 step · started .* running 2 of 4 ended 2 waiting 0", page)
    assert "No sender of the campaign can send" in page
    assert "Finish and launch it" in page
    assert "Spring" not in text(browser.get("/campaigns?q=100%25"))
    assert "Next 100%" not in text(browser.get("/campaigns?status=running"))
    assert "No campaign is like this." in text(browser.get("/campaigns?q=100_"))
    lines = browser.get("/campaigns.csv").text.splitlines()
    assert [line.split(",")[1] for line in lines] == ["name", "Next 100%", "Spring"]


def test_a_long_list_of_campaigns_comes_in_pages(browser, house):
    made = [house.campaign([], [], status="draft", started_at=None, run=0) for _ in range(26)]
    first = browser.get("/campaigns").text
    (onward,) = re.findall(r'href="(/campaigns\?after=[^"]+)"', first)
    second = browser.get(onward).text
    shown = [re.findall(r'<th scope="row"><a href="/campaigns/(\d+)"', page) for page in (first, second)]
    assert [int(each) for page in shown for each in page] == made[::-1]


def test_long_lists_are_searched_whole_and_come_in_pages(browser, house):
    """Every second one is sought, so that the page after the first begins far behind its hundredth row."""
    names = "SELECT CASE WHEN n %% 2 = 0 THEN 'East' ELSE 'West' END || n FROM generate_series(1, 120) n"
    house.run(
        f"""INSERT INTO senders (workspace_id, address, name, smtp_host, smtp_port, smtp_security, cooldown_until)
            SELECT %s, lower(name) || '@acme.example', name, 'localhost', 25, 'plain',
                   CASE WHEN name LIKE 'East%%' THEN now() + interval '1 hour' END FROM ({names}) t (name)""",
        house.workspace,
    )
    house.run(f"INSERT INTO lists (workspace_id, name) SELECT %s, name FROM ({names}) t (name)", house.workspace)
    house.run(
        f"INSERT INTO outlets (workspace_id, kind, url, types, xact, event_id) SELECT %s, 'webhook', 'https://x.example/' || name, '{{}}', 0, 0 FROM ({names}) t (name)",
        house.workspace,
    )
    for path, row in (
        ("/senders?q=EAST", r"/senders/\d+"),
        ("/senders?status=cooling_down", r"/senders/\d+"),
        ("/lists?q=eAst", r"/lists/\d+"),
        ("/webhooks?q=/east", r"/webhooks/\d+"),
    ):
        first = browser.get(path)
        (onward,) = re.findall(r'href="([^"]+after=[^"]+)"', first.text)
        second = browser.get(unescape(onward))
        pages = [re.findall(rf'<th scope="row"><a href="({row})"', page.text) for page in (first, second)]
        assert [len(page) for page in pages] == [50, 10], path
        assert len({*pages[0], *pages[1]}) == 60
        assert "West" not in text(first) + text(second)
    assert len(browser.get("/senders.csv?q=east&status=cooling_down").text.splitlines()) == 61
    assert "No sender matches." in text(browser.get("/senders?q=east&status=ready"))


def test_a_campaign_of_another_workspace_is_a_page_that_is_not_there(browser, house, database):
    with database.transaction() as db:
        house.workspace = workspaces.create(db, name="Others")
    theirs = house.campaign([], [])
    for path in (f"/campaigns/{theirs}", "/campaigns/999999", "/campaigns/x", "/nowhere"):
        answer = browser.get(path)
        assert answer.status_code == 404
        assert "Not Found" in text(answer)


def test_a_program_gets_a_problem_where_a_person_gets_a_page(visitor):
    for path in ("/nowhere", "/"):
        answer = visitor.get(path, headers={"Accept": "*/*"})
        assert answer.headers["content-type"] == "application/problem+json"
    assert visitor.get("/v1/nowhere").headers["content-type"] == "application/problem+json"


@pytest.mark.asvs("1.2.1", "1.1.2", "3.2.2")
def test_what_strangers_write_is_shown_and_never_runs(browser, house):
    sender = house.sender()
    leads = house.leads("a@x.example", "b@x.example")
    campaign = house.campaign(leads, [sender])
    house.sent(campaign, leads[0], sender, subject=EVIL)
    house.failed(campaign, leads[1], sender, EVIL)
    house.run("UPDATE campaigns SET name = %s, status = 'paused', pause_reason = %s", EVIL, EVIL)
    house.run("UPDATE senders SET status = 'restricted', status_reason = %s", EVIL)
    house.run("UPDATE workspaces SET name = %s", EVIL)
    for path in ("/", "/campaigns", f"/campaigns/{campaign}"):
        answer = browser.get(path)
        assert EVIL not in answer.text
        assert answer.text.count("<script") == 1, "our own module"
        assert answer.text.count("<img") == 1, "our own mark"
        assert "alert(1)" in answer.text
    refused = browser.post("/sign-in", data={"email": EVIL, "password": EVIL, "next": EVIL})
    assert EVIL not in refused.text


def test_no_page_holds_script_or_style_or_anything_from_elsewhere(browser, house):
    campaign = house.campaign([], [])
    for path in ("/sign-in", "/", f"/campaigns/{campaign}", "/docs/api", "/nowhere", "/dev/components"):
        answer = browser.get(path)
        scripts = re.findall(r"<script[^>]*>[^<]*</script>", answer.text)
        assert all(
            re.fullmatch(r'<script type="module" src="/assets/[0-9a-f]{12}/app.js"></script>', each) for each in scripts
        )
        assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", answer.text), path
        assert len(scripts) == answer.text.count("<script"), path
        linked = re.findall(r"(?:src|href|action)=\"([^\"]*)\"", answer.text)
        assert all(re.match(r"/(?!/)|#", address) for address in linked), path
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy


@pytest.mark.asvs("14.3.2", "13.4.3")
def test_pages_are_kept_by_nobody_and_static_files_for_ever(browser):
    page = browser.get("/")
    assert page.headers["cache-control"] == "no-store"
    (style,) = re.findall(r'href="(/assets/[0-9a-f]{12}/style.css)"', page.text)
    answer = browser.get(style)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert browser.get("/static/../server.py").status_code == 404
    assert "immutable" not in browser.get("/static/style.css").headers["cache-control"]


def test_modules_find_each_other_and_are_small(browser):
    (app,) = re.findall(r'src="(/assets/[0-9a-f]{12}/app.js)"', browser.get("/").text)
    sizes = {}
    asked = [app]
    for path in asked:
        answer = browser.get(path)
        assert answer.status_code == 200, path
        assert "javascript" in answer.headers["content-type"]
        sizes[path] = len(answer.content)
        found = re.findall(r'"\./([a-z]+\.js)"', answer.text)
        asked += [other for each in found if (other := f"{app.rpartition('/')[0]}/{each}") not in asked]
    assert {path.rpartition("/")[2] for path in asked} == {file.name for file in STATIC.glob("*.js")}
    assert sum(sizes.values()) < 60_000


def test_every_element_id_is_there_once_and_every_inner_link_leads_somewhere(browser):
    for path in ("/", "/docs/api", "/dev/components"):
        page = browser.get(path).text
        ids = re.findall(r'\sid="([^"]+)"', page)
        assert len(ids) == len(set(ids)), path
        assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids), path


def test_the_home_page_says_when_nobody_ticks(browser, database):
    with database.transaction() as db:
        for duty in ("tick", "plan", "sweep", "inbox", "upkeep"):
            workers.did(db, duty)
    assert "No scheduler has ticked" not in text(browser.get("/"))
    with database.transaction() as db:
        db.execute("UPDATE duties SET done_at = done_at - interval '1 hour' WHERE name = 'tick'")
    assert "No scheduler has ticked for 60 minutes" in text(browser.get("/"))


def test_a_sender_that_sends_nothing_for_now_says_why_and_is_not_counted_on(browser, house):
    """Its status is ready, and yet: its health is at the floor, its domain is faulty."""
    house.sender("well@acme.example", limit=40)
    tired = house.sender("tired@acme.example")
    house.run("UPDATE senders SET health = 20, last_error_at = now() WHERE id = %s", tired)
    faulty = house.one(
        "INSERT INTO domains (workspace_id, name, status) VALUES (%s, 'broken.example', 'faulty') RETURNING id",
        house.workspace,
    )
    house.sender("lost@broken.example", domain=faulty)
    page = text(browser.get("/senders"))
    assert "resting its health is low; until" in page
    assert "domain faulty nothing is sent by it; see the records" in page
    assert "It comes back by itself, slowly." in text(browser.get(f"/senders/{tired}"))
    assert "of 40 that 1 sender may" in text(browser.get("/"))
    campaign = house.campaign([], [], status="draft", started_at=None, run=0)
    assert "resting" in text(browser.get(f"/campaigns/{campaign}/senders"))
