"""The guide's whole walk in a real browser, from the first start to the mail in the catcher. Everything is real: the processes, the mail server, the DNS.

On the way: a file of a hundred thousand rows, a reload in the middle of writing, a reply, an unsubscribe, an answer, a pause.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from cleanmails.api.owner import first_owner
from cleanmails.ledger.db import Database
from tests.ports import free_port
from tests.web.browser import FLAGS, until

PATIENCE = 60_000
"""Milliseconds, for a machine that does much else; nothing here takes more than a few seconds on an idle one."""

WORKERS = ("plan", "render", "send", "upkeep", "inbox", "imports")


@contextmanager
def process(*line, environment, until):
    """A process of ours; yields what waits until its log says so, and gives that line's fields."""
    running = subprocess.Popen(
        [sys.executable, "-m", *line], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    readers = []

    def started():
        told = next(each for each in running.stdout if until in each)
        # What it writes from here on is for nobody, and must not fill the pipe.
        readers.append(subprocess.Popen(["cat"], stdin=running.stdout, stdout=subprocess.DEVNULL))
        return json.loads(told)

    try:
        yield started
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(timeout=90)
        running.stdout.close()
    for reader in readers:
        reader.wait(timeout=90)


@pytest.fixture
def world(database_url, redis_url, tmp_path):
    """The running whole: the dashboard's address, the owner's password, and the stand-in for the world."""
    with Database(database_url, size=1) as database:
        password = first_owner(database, "owner@agency.example")
    port = free_port()
    plain = {**os.environ, "CLEANMAILS_LOG": "json", "PYTHONUNBUFFERED": "1"}
    with ExitStack() as stack:
        catcher = stack.enter_context(
            process(
                "cleanmails.demo.catcher", f"--folder={tmp_path}", "--smtp-port=0", "--http-port=0", "--dns-port=0", "--imap-port=0",
                environment=plain, until="catcher.started",
            )
        )()  # fmt: skip
        ours = plain | {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PORT": str(port),
            "CLEANMAILS_DNS_SERVERS": f"127.0.0.1:{catcher['dns']}",
            "CLEANMAILS_CA_FILE": str(tmp_path / "certificates" / "authority.pem"),
            "CLEANMAILS_STATE_DIR": str(tmp_path / "state"),
        }
        lines = [("web", "web.started"), *((f"worker {name}", "worker.started") for name in WORKERS)]
        begun = [
            stack.enter_context(process("cleanmails.cli", *line.split(), environment=ours, until=until))
            for line, until in lines
        ]
        for started in begun:
            started()
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
    base, password, outside, catcher = world
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
    page.locator("[name=imap_host]").fill("localhost")
    page.locator("[name=imap_port]").fill(str(catcher["imap"]))
    page.locator("[name=imap_security]").select_option("starttls")
    page.get_by_label("Shortest gap").fill("0")
    page.get_by_label("Longest gap").fill("0")
    press(page, "Add the sender")
    expect(page.get_by_role("heading", name="ann@north.example")).to_be_visible()

    # A list, filled by a file of a hundred thousand rows; and one of three people.
    page.goto("/lists")
    page.get_by_role("button", name="New list").first.click()
    page.get_by_role("dialog").get_by_label("Name").fill("Everybody")
    press(page, "Make the list")
    rows = "".join(f"Person {n},p{n}@everybody.example,\n" for n in range(100_000))
    file = f"Who,Mail,\n{rows}nobody at all,nowhere,\n".encode()
    page.locator("#file").set_input_files({"name": "everybody.csv", "mimeType": "text/csv", "buffer": file})
    press(page, "Upload")
    expect(page.get_by_role("heading", name="What the columns mean")).to_be_visible()
    expect(page.get_by_label("Meaning of Mail")).to_have_value("email")
    page.get_by_label("Meaning of Who").select_option("first_name")
    expect(page.get_by_label("Put them on")).to_have_value(re.compile(r"\d+"))
    press(page, "Start")
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_text("Every row is accounted for.")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="nowhere")).to_contain_text("invalid")
    with page.expect_download() as refused:
        page.get_by_role("link", name="Rows not taken").click()
    assert "nobody at all,nowhere" in Path(refused.value.path()).read_text()
    page.get_by_role("link", name="To the list").click()
    expect(page.get_by_text("100,000 leads")).to_be_visible()
    page.goto("/lists")
    page.get_by_role("button", name="New list").first.click()
    page.get_by_role("dialog").get_by_label("Name").fill("Visitors")
    press(page, "Make the list")
    page.wait_for_url(re.compile(r"/lists/\d+"))
    for name in ("Ada", "Ben", "Cy"):
        page.goto("/leads/new")
        page.get_by_label("E-mail address").fill(f"{name.lower()}@company.example")
        page.get_by_label("First name").fill(name)
        page.get_by_label("List").select_option(label="Visitors")
        press(page, "Add the lead")
        expect(page.get_by_text("The lead was added.")).to_be_visible()

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
    until(page, "Object.keys(localStorage).some(key => localStorage[key].includes('quick question'))")
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
    expect(page.get_by_text("Mails per day as a table")).to_be_visible()
    press(page, "Launch")
    expect(page.get_by_text("Launched. The first mails go out")).to_be_visible()
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('keep:'))") == []

    # The mails are out, which the page shows by itself, and in the catcher.
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_text("3 mails were sent")).to_be_visible()
    caught = {each["recipient"].partition("@")[0]: each for each in outside.get("/api/mails").json()}
    assert {name: each["subject"] for name, each in caught.items()} == {
        "ada": "Hey Ada, quick question",
        "ben": "Hey Ben, quick question",
        "cy": "Hey Cy, quick question",
    }

    # Ada replies, and Ben leaves by the link in his mail: neither is written to again.
    outside.post(f"/api/mails/{caught['ada']['id']}/answer", json={"kind": "reply", "text": "Tell me more."})
    letter = message_from_bytes(outside.get(f"/api/mails/{caught['ben']['id']}/raw").content, policy=policy.default)
    [link] = re.findall(r"\S+/unsubscribe/\S+", letter.get_body(("plain",)).get_content())
    leaving = page.context.new_page()
    leaving.goto(f"{base}{urlsplit(link).path}")
    leaving.get_by_role("button", name="Unsubscribe").click()
    expect(leaving.get_by_role("heading", name="You are unsubscribed")).to_be_visible()
    leaving.close()
    expect(page.get_by_text("ben@company.example unsubscribed")).to_be_visible()
    expect(page.get_by_text("ada@company.example replied")).to_be_visible()
    page.get_by_role("link", name="Leads").last.click()
    for name, stands in (("ada", "replied"), ("ben", "unsubscribed"), ("cy", "waiting")):
        expect(page.get_by_role("row").filter(has_text=f"{name}@")).to_contain_text(stands)

    # Ada is answered from the inbox, by keys.
    leads = page.url
    page.goto("/inbox")
    until(page, "performance.getEntriesByName('begun').length")
    page.keyboard.press("j")
    page.wait_for_url(re.compile(r"/inbox/\d+"))
    expect(page.get_by_text("Tell me more.").first).to_be_visible()
    until(page, "performance.getEntriesByName('begun').length")
    page.keyboard.press("r")
    page.keyboard.type("With pleasure.")
    press(page, "Send the answer")
    expect(page.get_by_text("Sent to ada@company.example.")).to_be_visible()
    assert outside.get("/api/mails").json()[-1]["recipient"] == "ada@company.example"

    # Why nothing more goes to Cy now, in a drawer, by keyboard; and a pause that means now.
    page.goto(leads)
    explain = page.get_by_role("row").filter(has_text="cy@").get_by_role("link", name="Explain", exact=True)
    explain.focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name="cy@company.example")
    expect(drawer.get_by_text("The campaign is running.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(explain).to_be_focused()
    page.get_by_role("button", name="Pause").click()
    press(page, "Pause it")
    expect(page.get_by_text("Paused. 0 more will go.")).to_be_visible()
