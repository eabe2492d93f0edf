"""A mail in a browser: somebody opens it, follows its links by mouse and by keyboard, and leaves, all without JavaScript. The web process is the real one."""

import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import sync_playwright

from cleanmails import settings as configuration
from cleanmails.actors import hits
from cleanmails.mail import html
from cleanmails.mail.tokens import Purpose, Tokens, link_url, pixel_url
from cleanmails.records import LinkSlot, Resolved
from cleanmails.vault import Vault
from tests.ports import free_port
from tests.web.browser import FLAGS


@pytest.fixture
def server(database_url, redis_url):
    """The address of a running web process; it stops when told, and what it held is in the ledger then."""
    port = free_port()
    environment = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "cleanmails.cli", "web"], env=environment, stdout=subprocess.PIPE, text=True
    )

    def stop():
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=90)
        return process.returncode

    try:
        assert "web.started" in process.stdout.readline()
        base = f"http://127.0.0.1:{port}"
        with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=90) as http:
            http.get(f"{base}/healthz").raise_for_status()
        yield base, stop
    finally:
        stop()


@pytest.fixture
def mail(house, server):
    """A mail of an hour ago with two links to this machine: its HTML as it went out, and its delivery."""
    base, _ = server
    [ada] = house.leads("ada@example.com")
    sender = house.sender()
    campaign = house.campaign([ada], [sender])
    house.sent(campaign, ada, sender)
    delivery = house.one("SELECT id FROM deliveries")
    led = [f"{base}/docs/api", f"{base}/healthz"]
    house.run("UPDATE deliveries SET links = %s, sending_at = now() - interval '1 hour'", led)
    tokens = Tokens(Vault.from_settings(configuration.load({})).derive_all("tokens"))
    body = Resolved(
        pieces=('<p>Hi Ada, <a href="', led[0], '">the guide</a> and <a href="', led[1], '">its state</a></p>'),
        text="",
        links=(LinkSlot(1, led[0], 1), LinkSlot(2, led[1], 3)),
    )
    dressed = html.dress(
        body,
        unsubscribe_url=f"{base}/unsubscribe/{tokens.sign(Purpose.UNSUBSCRIBE, delivery)}",
        wrap=lambda number, _: link_url(base, tokens, delivery, number),
        pixel_url=pixel_url(base, tokens, delivery),
        decoy_url=link_url(base, tokens, delivery, 0),
    )
    return dressed.html, delivery


def test_somebody_opens_a_mail_follows_its_links_and_leaves(mail, server, house, database):
    base, stop = server
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        agent = browser.new_page().evaluate("navigator.userAgent").replace("Headless", "")
        context = browser.new_context(java_script_enabled=False, user_agent=agent)
        page = context.new_page()
        with page.expect_response(re.compile("pixel.png")) as pixel:
            page.set_content(mail[0])
        assert pixel.value.status == 200
        assert page.get_by_role("link").count() == 3
        reached = []
        for _ in range(4):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            reached += [focused.inner_text()] if focused.count() else []
        assert set(reached) <= {"the guide", "its state", "Unsubscribe"}
        page.get_by_role("link", name="the guide").click()
        page.wait_for_url(f"{base}/docs/api")
        page.set_content(mail[0])
        page.get_by_role("link", name="Unsubscribe").click()
        page.wait_for_url(f"{base}/unsubscribe/**")
        assert "ada@example.com" in page.locator("main").inner_text()
        assert house.one("SELECT status FROM leads") == "active"
        page.get_by_role("button", name="Unsubscribe").click()
        page.get_by_role("heading", name="You are unsubscribed").wait_for()
        browser.close()
    assert house.one("SELECT status FROM leads") == "unsubscribed"
    assert stop() == 0
    hits.judge_ripe(database, ripe=timedelta(0))
    [row] = house.all("SELECT opened_at, clicked_at FROM deliveries")
    assert row["opened_at"] is not None
    assert row["clicked_at"] is not None
    kinds = house.all("SELECT DISTINCT kind, link, verdict, host(remote) AS remote FROM hits ORDER BY kind, link")
    assert [tuple(each.values()) for each in kinds] == [
        ("click", 1, "human", "127.0.0.1"),
        ("open", None, "human", "127.0.0.1"),
    ]
