"""The guide's whole walk in a real browser, from the first start to the mail in the catcher. Everything is real: the processes, the mail server, the DNS.

The second half is what goes wrong in real life: a reload in the middle of writing, a form that is sent twice, a pause.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from cleanmails.api.owner import first_owner
from cleanmails.ledger.db import Database
from tests.web.test_recipient import FLAGS

PATIENCE = 120_000
"""Milliseconds, for a machine that does much else; nothing here takes more than a few seconds on an idle one."""

WORKERS = ("plan", "render", "send", "upkeep")


@contextmanager
def process(*line, environment, until):
    """A process of ours, once its log says so; the line's fields."""
    running = subprocess.Popen(
        [sys.executable, "-m", *line], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        with running.stdout:
            told = next(each for each in running.stdout if until in each)
            # What it writes from here on is for nobody, and must not fill the pipe.
            reader = subprocess.Popen(["cat"], stdin=running.stdout, stdout=subprocess.DEVNULL)
        yield json.loads(told)
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(timeout=90)
    reader.wait(timeout=90)


@pytest.fixture
def world(database_url, redis_url, tmp_path):
    """The running whole: the dashboard's address, the owner's password, and the stand-in for the world."""
    with Database(database_url, size=1) as database:
        password = first_owner(database, "owner@agency.example")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    plain = {**os.environ, "CLEANMAILS_LOG": "json", "PYTHONUNBUFFERED": "1"}
    with ExitStack() as stack:
        catcher = stack.enter_context(
            process(
                "cleanmails.demo.catcher", f"--folder={tmp_path}", "--smtp-port=0", "--http-port=0", "--dns-port=0",
                environment=plain, until="catcher.started",
            )
        )  # fmt: skip
        ours = plain | {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PORT": str(port),
            "CLEANMAILS_DNS_SERVERS": f"127.0.0.1:{catcher['dns']}",
            "CLEANMAILS_CA_FILE": str(tmp_path / "certificates" / "authority.pem"),
            "CLEANMAILS_STATE_DIR": str(tmp_path / "state"),
        }
        stack.enter_context(process("cleanmails.cli", "web", environment=ours, until="web.started"))
        for name in WORKERS:
            stack.enter_context(process("cleanmails.cli", "worker", name, environment=ours, until="worker.started"))
        outside = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{catcher['http']}", timeout=60))
        base = f"http://127.0.0.1:{port}"
        with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=90) as http:
            http.get(f"{base}/healthz").raise_for_status()
        yield base, password, outside, catcher


@pytest.fixture
def page(world):
    """A browser at the dashboard that complains about nothing."""
    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        context = browser.new_context(base_url=world[0], timezone_id="Europe/Berlin", locale="en-GB")
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page = context.new_page()
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        browser.close()
    assert not complaints, "no console error, and nothing that the policy had to stop"


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def test_the_guides_whole_walk_from_the_first_start_to_the_mail_in_the_catcher(world, page):
    _, password, outside, catcher = world
    page.goto("/")
    page.get_by_label("E-mail address").fill("owner@agency.example")
    page.get_by_label("Password").fill(password)
    press(page, "Sign in")
    expect(page.get_by_role("heading", name="On the way to the first campaign")).to_be_visible()

    # A verified domain.
    page.get_by_role("link", name="A verified domain").click()
    page.get_by_role("button", name="Add a domain").first.click()
    page.get_by_label("Domain", exact=True).fill("north.example")
    press(page, "Add the domain")
    expect(page.get_by_role("heading", name="north.example")).to_be_visible()
    for record in page.request.get("/v1/outreach/domains").json()["items"][0]["records"]:
        wanted = {"name": record["name"], "kind": record["type"], "values": [record["value"]]}
        outside.post("/api/zone", json=wanted).raise_for_status()
    press(page, "Verify now")
    expect(page.locator(".head .status").first).to_have_text("verified")

    # A sender, which is tested before it is saved.
    page.goto("/senders/new")
    page.get_by_label("Address", exact=True).fill("ann@north.example")
    page.locator("[name=smtp_host]").fill("localhost")
    page.locator("[name=smtp_port]").fill(str(catcher["smtp"]))
    page.locator("[name=smtp_password]").fill("anything")
    page.get_by_label("Shortest gap").fill("0")
    page.get_by_label("Longest gap").fill("0")
    press(page, "Add the sender")
    expect(page.get_by_role("heading", name="ann@north.example")).to_be_visible()

    # A list with a lead.
    page.goto("/lists")
    page.get_by_role("button", name="New list").first.click()
    page.get_by_role("dialog").get_by_label("Name").fill("Visitors")
    press(page, "Make the list")
    page.wait_for_url(re.compile(r"/lists/\d+"))
    page.goto("/leads/new")
    page.get_by_label("E-mail address").fill("ada@company.example")
    page.get_by_label("First name").fill("Ada")
    page.get_by_label("List").select_option(label="Visitors")
    press(page, "Add the lead")

    # Campaigns, New campaign.
    page.get_by_role("link", name="Campaigns", exact=True).first.click()
    page.get_by_role("link", name="New campaign").first.click()
    page.get_by_label("Name").fill("Q2 Outreach")
    press(page, "Save as a draft and go on")
    page.get_by_label("Visitors").check()
    press(page, "Save and go on")
    page.get_by_label("ann@north.example").check()
    press(page, "Save and go on")

    # Steps: written, looked at as the lead gets it, and not lost on a reload.
    page.get_by_label("Subject 1 of step 1").fill("Hey {{FIRST_NAME}}, quick question")
    page.get_by_label("Body").fill("<p>Hi ,</p><p>{I noticed|I saw} your work.</p>")
    page.get_by_label("Body").evaluate("area => area.setSelectionRange(6, 6)")
    press(page, "First name")
    expect(page.get_by_label("Body")).to_have_value(re.compile(r"<p>Hi {{FIRST_NAME}},</p>"))
    mail = page.frame_locator("iframe[title='The mail']")
    expect(mail.get_by_text("Hey Ada, quick question")).to_be_visible()
    expect(mail.get_by_text("Hi Ada,")).to_be_visible()
    page.wait_for_function("Object.keys(localStorage).some(key => localStorage[key].includes('quick question'))")
    page.reload()
    expect(page.get_by_text("was brought back; it is not saved yet")).to_be_visible()
    expect(page.get_by_label("Subject 1 of step 1")).to_have_value("Hey {{FIRST_NAME}}, quick question")
    press(page, "Add a step")
    expect(page.get_by_role("heading", name="Follow-up 1")).to_be_visible()
    expect(page.get_by_label("Body").nth(1)).to_be_focused()
    page.keyboard.type("<p>Just bumping this.</p>")
    press(page, "Save and go on")

    # Schedule, review, launch.
    page.get_by_label("Within a window").check()
    expect(page.locator("[data-day='1'] td.open")).to_have_count(8)
    page.get_by_label("At any time").check()
    press(page, "Save and go on")
    expect(page.get_by_text("Nothing stands against the launch.")).to_be_visible()
    expect(page.get_by_text("Mails per day as it is as a table")).to_be_visible()
    press(page, "Launch")
    expect(page.get_by_text("Launched. The first mails go out")).to_be_visible()
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('keep:'))") == []

    # The mail is out, which the page shows by itself, and in the catcher.
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_text("ada@company.example was sent a mail")).to_be_visible()
    [caught] = outside.get("/api/mails").json()
    assert caught["recipient"] == "ada@company.example"
    assert caught["subject"] == "Hey Ada, quick question"

    # Why nothing more goes now, in a drawer, by keyboard; and a pause that means now.
    page.get_by_role("link", name="Leads").last.click()
    page.get_by_role("link", name="Explain", exact=True).focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name="ada@company.example")
    expect(drawer.get_by_text("The campaign is running.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Explain", exact=True)).to_be_focused()
    page.get_by_role("button", name="Pause").click()
    press(page, "Pause it")
    expect(page.get_by_text("Paused. 0 more will go.")).to_be_visible()
