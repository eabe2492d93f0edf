"""Every page in a browser: for readers of screens, by keyboard alone, on a phone, in the dark, in an empty workspace, and with names that are far too long."""

import json
import secrets
from contextlib import ExitStack
from importlib.resources import files

import psycopg
import pytest
from axe_playwright_python import sync_playwright as axe

from cleanmails.api import passwords
from cleanmails.api.auth import token_hash
from cleanmails.ledger import users
from cleanmails.ledger.db import Database
from tests.api.conftest import dear_hasher  # noqa: F401 - a fixture
from tests.conftest import new_database
from tests.web.browser import DESKTOP, PHONE, Reader, chromium, until, web
from tests.web.conftest import Filled
from tests.web.everywhere import FIXED, addresses
from tests.web.test_everywhere import RIGHT_TO_LEFT, live, write

EMAIL = "owner@agency.example"
AXE = (files(axe.__package__) / "axe.min.js").read_text()
RULES = {
    "resultTypes": ["violations"],
    "iframes": False,
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
}
CONTRAST = {"resultTypes": ["violations"], "iframes": False, "runOnly": {"type": "rule", "values": ["color-contrast"]}}
AXE_RUN = "([at, options]) => axe.run(at === 'html' ? document : document.querySelector(at), options)"
AT_ONCE = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("*, *::before, *::after { transition: none !important; animation: none !important; }");
    document.adoptedStyleSheets = [sheet];
}"""
"""Colours change at once: a contrast must not be measured half-way."""

WHOLE = {"/", "/inbox", "/settings/people"}
"""Pages of which what stands on all of them is looked at too."""

ALIKE = {path for path in FIXED if "q=" in path or "?campaign_id=" in path}
"""Pages that look as they do without a search, or say that nothing was found."""

SAME = {"/settings/appearance", "/settings/account", "/settings/ai", "/senders/new", "/leads/new", "/webhooks/new"}
"""Pages that look the same in an empty workspace."""

LONG = (
    "/",
    "/leads",
    "/leads/1",
    "/lists",
    "/lists/1",
    "/uploads",
    "/inbox",
    "/senders",
    "/senders/1",
    "/unknown",
    "/webhooks",
    "/webhooks/1",
    "/settings",
)
"""Pages with names of things."""

GRAVE = {"serious", "critical"}


class World:
    """A running web process on a workspace that is lived in and an empty one, and one browser for all tests."""

    def __init__(self, browser, base, house, password, empty):
        self.browser, self.base, self.house, self.password, self.empty = browser, base, house, password, empty
        self.pages = addresses(house)

    def reader(self, workspace=None, **look):
        """The owner, in the workspace that is lived in or in another one."""
        token = secrets.token_urlsafe(32)
        self.house.run("DELETE FROM memberships WHERE workspace_id = %s", self.empty)
        if workspace:
            self.house.run(
                "INSERT INTO memberships (workspace_id, user_id, role) SELECT %s, id, 'owner' FROM users", workspace
            )
        self.house.run(
            """INSERT INTO sessions (token_hash, user_id, workspace_id, expires_at) SELECT %s, id, %s, now() + interval '1 hour' FROM users""",
            token_hash(token),
            workspace or self.house.workspace,
        )
        return Reader(self.browser, self.base, token, **look)


@pytest.fixture(scope="module")
def world(servers, worker_id, dear_hasher):  # noqa: F811
    with ExitStack() as stack:
        url = stack.enter_context(new_database(servers, worker_id))
        password = secrets.token_hex(12)
        database = stack.enter_context(Database(url, size=2))
        with database.transaction() as db:
            users.first_owner(db, email=EMAIL, password_hash=passwords.hash_password(password), workspace="Agency")
            owner = users.read_by_email(db, EMAIL)
        house = Filled(url, users_home(database, owner["id"]))
        stack.enter_context(house.db)
        live(house, database)
        empty = house.one("INSERT INTO workspaces (name) VALUES ('Empty workspace') RETURNING id")
        base = stack.enter_context(web(url, servers.redis_url))
        yield World(stack.enter_context(chromium()), base, house, password, empty)


TRIES = """<script>document.title='ran'</script><img src=x onerror="document.title='ran'"><svg onload="document.title='ran'">"""
"""What runs, or is kept from it by the policy, which says so in the console, if it gets into a page as anything but text."""

OURS = {"users.password_hash", "threads.last_kind"}
"""Texts that nobody can write."""


def write_all(house, word):
    """A word in every text of the ledger that takes it: what is free of rules, and addresses and names whose rules it fits. How many."""
    columns = house.all(
        """SELECT c.table_name AS t, c.column_name AS c FROM information_schema.columns c JOIN information_schema.tables USING (table_schema, table_name)
           WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND data_type = 'text' AND is_generated = 'NEVER' ORDER BY 1, 2"""
    )
    written = 0
    for t, c in ((row["t"], row["c"]) for row in columns if f"{row['t']}.{row['c']}" not in OURS):
        for value in (word, f"{word.lower()}@x.example"):
            try:
                written += (
                    house.db.execute(
                        f'UPDATE "{t}" SET "{c}" = %s || ctid::text WHERE "{c}" IS NOT NULL', [value]
                    ).rowcount
                    > 0
                )
                break
            except psycopg.Error:
                pass
    return written


def users_home(database, user_id):
    with database.transaction() as db:
        return users.home(db, user_id)["workspace_id"]


def findings(page, options, *, whole=False):
    """What axe minds, in words: the rule, and where. Rows are alike, so a few of each list are looked at; and of pages that are not `whole`, what is not on all of them."""
    page.evaluate(
        "document.querySelectorAll('tbody tr:nth-child(n+4), ol > li:nth-child(n+5)').forEach((row) => row.remove())"
    )
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate(AXE_RUN, ["html" if whole else "main", options])["violations"]
    return [
        f"{page.url}: {each['id']} ({each['impact']}) at {each['nodes'][0]['target']} and {len(each['nodes']) - 1} more"
        for each in found
        if each["impact"] in GRAVE
    ]


def too_wide(page):
    """By how many pixels a page can be scrolled sideways."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def test_every_page_is_for_everybody(world):
    """For readers of screens; and, the same page turned into that of a phone in the dark, nothing out of sight and nothing hard to see."""
    reader, found = world.reader(), []
    for path in (path for path in world.pages if path not in ALIKE):
        page = reader.open(path)
        page.evaluate(AT_ONCE)
        found += findings(page, RULES, whole=path in WHOLE)
        page.set_viewport_size(PHONE)
        page.emulate_media(color_scheme="dark")
        found += [f"{path} is {over} pixels too wide" for over in (too_wide(page),) if over > 0]
        found += findings(page, CONTRAST, whole=path in WHOLE)
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="light")
    assert found == []
    assert reader.complaints == []


def test_an_empty_workspace_is_as_good_to_read(world):
    reader, found = world.reader(world.empty), []
    for path in (path for path in FIXED if "?" not in path and path not in SAME):
        found += findings(reader.open(path), RULES)
    assert found == []
    assert reader.complaints == []


def test_the_keyboard_reaches_and_does_everything(world):
    reader = world.reader()
    page = reader.open("/leads")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Lists and uploads", "what follows is in the content"
    page.keyboard.press("/")
    assert page.locator(":focus").get_attribute("name") == "q"
    page.locator("[data-all]").focus()
    page.keyboard.press("Space")
    ticked = page.locator("tbody input:checked").count()
    assert ticked == page.locator("tbody input").count() > 1
    assert page.locator("[data-count]").inner_text() == f"{ticked} ticked"
    opener = page.get_by_role("button", name="Never mail again").first
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Never mail these again?")
    assert dialog.is_visible()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.locator(":focus").inner_text() == "Never mail again"
    page = reader.open("/suppressions")
    page.get_by_role("link", name="Take back").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_label("Why it may be mailed again").fill("asked for it")
    page.keyboard.press("Enter")
    page.get_by_text("It may be mailed again.").wait_for()
    assert reader.complaints == []


def begun(page):
    """The page, once every module that it needs has begun."""
    until(page, "performance.getEntriesByName('begun').length")
    return page


def draft(house):
    return house.one("SELECT min(id) FROM campaigns WHERE status = 'draft'")


def wording(page, n=0):
    """The body of a step, as it is being written."""
    return page.get_by_label("Body").nth(n)


def kept(page, words):
    """Waits until the browser keeps these words."""
    until(page, f"Object.keys(localStorage).some(key => localStorage[key].includes({json.dumps(words)}))")


def test_a_lost_connection_is_said_and_nothing_typed_is_lost(world):
    reader = world.reader()
    page = reader.open(f"/campaigns/{draft(world.house)}/steps")
    said = page.locator("#said")
    wording(page).fill("<p>Written on a train.</p>")
    reader.context.set_offline(True)
    said.get_by_text("No connection. What you type is kept in this browser.").wait_for()
    page.get_by_role("button", name="Save", exact=True).last.click()
    said.get_by_text("The server does not answer. Nothing was sent; what you typed stays here.").wait_for()
    assert wording(page).input_value() == "<p>Written on a train.</p>"
    reader.context.set_offline(False)
    said.get_by_text("Connected again.").wait_for()
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_text("Saved.").wait_for()
    assert "on a train" in world.house.one("SELECT body FROM steps WHERE campaign_id = %s", draft(world.house))


def test_a_page_that_lives_says_when_it_does_not_and_goes_on_by_itself(world):
    """Its stream breaks off and cannot be opened again, as when a server is started anew; then it can."""
    reader = world.reader()
    reader.context.route("**/events/stream*", lambda route: route.abort("connectionrefused"))
    page = reader.open("/")
    said = page.locator("#said")
    page.evaluate(
        "import(document.querySelector('script[type=module]').src).then(app => { app.met(false); app.met(false); })"
    )
    said.get_by_text("The server does not answer.").wait_for()
    reader.context.unroute_all()
    page.evaluate("import(document.querySelector('script[type=module]').src).then(app => app.met(true))")
    said.get_by_text("Connected again.").wait_for()


def test_an_expired_session_is_begun_anew_where_it_ended(world):
    reader, at = world.reader(), f"/campaigns/{draft(world.house)}/steps"
    page = reader.open(at)
    wording(page).fill("<p>Written over lunch.</p>")
    world.house.run("DELETE FROM sessions")
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(world.password)
    page.keyboard.press("Enter")
    page.get_by_text("was brought back; it is not saved yet").wait_for()
    assert page.url == f"{world.base}{at}"
    assert wording(page).input_value() == "<p>Written over lunch.</p>"
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_text("Saved.").wait_for()
    assert reader.complaints == []


def test_what_is_sent_twice_is_done_once(world):
    page = world.reader().open("/campaigns/new")
    page.get_by_label("Name").fill("Pressed twice")
    page.get_by_role("button", name="Save as a draft and go on").dblclick()
    page.wait_for_url("**/lists")
    assert world.house.one("SELECT count(*) FROM campaigns WHERE name = 'Pressed twice'") == 1


def test_an_error_of_the_server_leads_back_to_what_was_typed(world):
    reader, at = world.reader(), f"/campaigns/{draft(world.house)}/steps"
    page = reader.open(at)
    wording(page).fill("<p>Written in vain?</p>")
    world.house.run("ALTER TABLE campaign_changes RENAME TO gone")
    try:
        page.get_by_role("button", name="Save", exact=True).last.click()
        page.get_by_text("What you had typed is kept in this browser").wait_for()
        assert "campaign_changes" not in page.content(), "nobody is told how it is made"
    finally:
        world.house.run("ALTER TABLE gone RENAME TO campaign_changes")
    page.get_by_role("link", name="Go back").click()
    page.get_by_text("was brought back; it is not saved yet").wait_for()
    assert wording(page).input_value() == "<p>Written in vain?</p>"


def test_two_people_in_two_browsers_lose_nothing(world):
    """At different steps both are right; at the same one the second is shown who was first, and both versions."""
    house, at = world.house, f"/campaigns/{draft(world.house)}/steps"
    ada, ben = (world.reader() for _ in range(2))
    page = ada.open(at)
    while wording(page, 1).count() == 0:
        page.get_by_role("button", name="Add a step").click()
        wording(page, 1).wait_for()
    wording(page, 1).fill("<p>Two.</p>")
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_text("Saved.").wait_for()
    other = ben.open(at)
    wording(page).fill("<p>By Ada.</p>")
    wording(other, 1).fill("<p>By Ben.</p>")
    for each in (page, other):
        each.get_by_role("button", name="Save", exact=True).last.click()
        each.get_by_text("Saved.").wait_for()
    other.get_by_text("changed step 1 meanwhile; that is kept too.").wait_for()
    bodies = "SELECT string_agg(body, ' ' ORDER BY position) FROM steps WHERE campaign_id = %s AND position < 2"
    assert house.one(bodies, draft(house)) == "<p>By Ada.</p> <p>By Ben.</p>"
    page.reload()
    wording(page, 1).fill("<p>Ada again.</p>")
    wording(other, 1).fill("<p>Ben again.</p>")
    other.get_by_role("button", name="Save", exact=True).last.click()
    other.get_by_text("Saved.").wait_for()
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_role("heading", name=f"{EMAIL} changed step 2 at").wait_for()
    assert wording(page, 1).input_value() == "<p>Ada again.</p>"
    page.get_by_text("What is saved now").click()
    page.get_by_text("<p>Ben again.</p>").wait_for()
    assert [*ada.complaints, *ben.complaints] == []


def test_the_inbox_is_worked_through_by_keys(world):
    reader = world.reader()
    world.house.run("UPDATE threads SET label = NULL")
    page = begun(reader.open("/inbox"))
    newest, second = (each.get_attribute("href") for each in page.locator(".threads ol a").all()[:2])
    page.keyboard.press("j")
    page.wait_for_url(f"**{newest}*")
    begun(page).keyboard.press("j")
    page.wait_for_url(f"**{second}*")
    begun(page).keyboard.press("k")
    page.wait_for_url(f"**{newest}*")
    one = int(newest.partition("?")[0].rpartition("/")[2])
    for key, label in (("2", "meeting_booked"), ("1", "interested")):
        begun(page)
        with page.expect_navigation():
            page.keyboard.press(key)
        assert world.house.one("SELECT label FROM threads WHERE id = %s", one) == label
    begun(page).keyboard.press("r")
    page.keyboard.type("jk1 are letters here")
    assert page.locator(":focus").input_value() == "jk1 are letters here"
    assert page.url.partition("?")[0].endswith(f"/{one}")
    assert reader.complaints == []


def test_the_part_that_is_shown_is_in_sight_on_a_phone(world):
    """Parts of a campaign, of the settings: a row that is wider than the phone."""
    reader = world.reader(viewport=PHONE)
    for path in (f"/campaigns/{draft(world.house)}/review", "/settings/data"):
        page = begun(reader.open(path))
        box = page.locator("main [aria-current]").bounding_box()
        assert box["x"] >= 0, path
        assert box["x"] + box["width"] <= PHONE["width"], path
    assert reader.complaints == []


def test_lists_can_be_read_whole_on_a_small_desktop(world):
    """What is done to a row stands at its end, which must not be out of sight. The campaign has long addresses, in every state."""
    reader = world.reader()
    campaign = world.house.one("SELECT min(campaign_id) FROM deliveries")
    wide = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.ariaLabel)"
    for path in ("/campaigns", f"/campaigns/{campaign}", f"/campaigns/{campaign}/leads", "/senders", "/leads"):
        assert reader.open(path).evaluate(wide) == [], path


def test_a_date_that_is_given_is_the_date_of_the_launch(world):
    """Whoever fills it in, and leaves "now" ticked that was ticked before, does not mean now."""
    page = begun(world.reader().open(f"/campaigns/{draft(world.house)}/review"))
    assert page.get_by_label("Now").is_checked()
    page.get_by_label("Date and time").fill("2036-05-01T09:00")
    assert page.get_by_label("At a date").is_checked()


def test_the_list_of_conversations_stays_beside_the_one_that_is_read(world):
    reader = world.reader()
    last = reader.open("/inbox").locator(".threads ol a").last.get_attribute("href")
    page = begun(reader.open(last))
    page.locator("#answer").scroll_into_view_if_needed()
    box = page.locator(".threads [aria-current]").bounding_box()
    assert 0 <= box["y"] <= DESKTOP["height"] - box["height"]
    assert reader.complaints == []


def test_a_page_with_fifty_rows_can_be_used_within_200_ms_of_its_answer(world):
    """From the last byte of the answer until its modules have begun, in the best of five: what else the machine does is not the page's."""
    world.house.run(
        "INSERT INTO leads (workspace_id, email, first_name) SELECT %s, 'row' || n || '@many.example', 'Row' FROM generate_series(1, 60) n",
        world.house.workspace,
    )
    reader = world.reader()
    took = []
    for _ in range(5):
        page = begun(reader.open("/leads?q=row"))
        assert page.locator("tbody tr").count() == 50
        took.append(
            page.evaluate(
                "performance.getEntriesByName('begun')[0].startTime - performance.getEntriesByType('navigation')[0].responseEnd"
            )
        )
        page.locator("[data-all]").check()
        assert page.locator("[data-count]").inner_text() == "50 ticked"
    assert min(took) < 200, took


def test_names_that_are_far_too_long_or_run_the_other_way_widen_no_page(world):
    house, reader = world.house, world.reader(viewport=PHONE)
    for word in ("W" * 10_000, RIGHT_TO_LEFT * 400):
        house.run(
            "UPDATE leads SET first_name = %s, company = %s, fields = jsonb_build_object('city', %s::text)",
            word,
            word,
            word,
        )
        house.run("UPDATE lists SET name = id || %s", word)
        house.run("UPDATE campaigns SET name = %s", word)
        house.run("UPDATE senders SET name = %s, last_error = %s", word, word)
        house.run("UPDATE workspaces SET name = %s", word)
        house.run("UPDATE outlets SET name = %s", word)
        found = [(path, over) for path in LONG if (over := too_wide(reader.open(path))) > 0]
        assert found == []
    assert reader.complaints == []


@pytest.mark.asvs("1.2.1", "1.3.1", "3.2.2")
def test_nothing_that_anybody_wrote_runs_on_any_page(world):
    """The last of this file: afterwards no text in the ledger is what it was."""
    reader = world.reader()
    write(world.house, TRIES)
    assert write_all(world.house, TRIES) > 60
    shown = 0
    for path in (path for path in world.pages if "?" not in path or "show=events" in path):
        page = reader.open(path)
        shown += "document.title" in page.locator("body").inner_text()
        assert page.title() != "ran", path
    assert shown > 20
    assert reader.complaints == []
