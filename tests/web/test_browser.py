"""Every page in a browser: for readers of screens, by keyboard alone, on a phone, in the dark, in an empty workspace, and with names that are far too long."""

import secrets
from contextlib import ExitStack
from importlib.resources import files

import psycopg
import pytest
from axe_playwright_python import sync_playwright as axe

from cleanmails.api import passwords
from cleanmails.ledger import users
from cleanmails.ledger.db import Database
from tests.api.conftest import dear_hasher  # noqa: F401 - a fixture
from tests.conftest import new_database
from tests.web.browser import DESKTOP, PHONE, Reader, chromium, web
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
AT_ONCE = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("*, *::before, *::after { transition: none !important; animation: none !important; }");
    document.adoptedStyleSheets = [sheet];
}"""
"""Colours change at once: a contrast must not be measured half-way."""

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

    def reader(self, **look):
        """Somebody in the workspace that is lived in."""
        self.house.run("DELETE FROM memberships WHERE workspace_id = %s", self.empty)
        self.house.run("UPDATE users SET name = ''")
        reader = Reader(self.browser, self.base, EMAIL, self.password, **look)
        self.house.run(
            "INSERT INTO memberships (workspace_id, user_id, role) SELECT %s, id, 'owner' FROM users", self.empty
        )
        return reader


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


def findings(page, options):
    """What axe minds, in words: the rule, and where. Rows are alike, so a few of each list are looked at."""
    page.evaluate(
        "document.querySelectorAll('tbody tr:nth-child(n+4), ol > li:nth-child(n+5)').forEach((row) => row.remove())"
    )
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
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
    for path in world.pages:
        page = reader.open(path)
        page.evaluate(AT_ONCE)
        found += findings(page, RULES)
        page.set_viewport_size(PHONE)
        page.emulate_media(color_scheme="dark")
        found += [f"{path} is {over} pixels too wide" for over in (too_wide(page),) if over > 0]
        found += findings(page, CONTRAST)
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="light")
    assert found == []
    assert reader.complaints == []


def test_an_empty_workspace_is_as_good_to_read(world):
    reader, found = world.reader(), []
    world.house.run("UPDATE sessions SET workspace_id = %s", world.empty)
    for path in (path for path in FIXED if "?" not in path and path not in SAME):
        found += findings(reader.open(path), RULES)
    world.house.run("DELETE FROM sessions")
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
