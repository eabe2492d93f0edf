"""A browser on a real web process: what the tests of pages and the command for their pictures look through."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from cleanmails.api.auth import COOKIE
from tests.ports import free_port

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip

DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}

# What a server that is asked for nothing may say, and what a page that was left has not waited for.
HARMLESS = re.compile(
    r"Failed to load resource: the server responded with a status of 40[0349]|net::ERR_ABORTED|net::ERR_NETWORK_CHANGED"
)


@contextmanager
def web(database_url: str, redis_url: str, **environment: str) -> Iterator[str]:
    """A web process; yields its address."""
    port = free_port()
    given = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "PORT": str(port), **environment}
    process = subprocess.Popen([sys.executable, "-m", "cleanmails.cli", "web"], env=given, stdout=subprocess.DEVNULL)
    try:
        base = f"http://127.0.0.1:{port}"
        answers(base)
        yield base
    finally:
        process.terminate()
        process.wait(timeout=90)


def answers(base: str) -> None:
    """Waits until the process serves."""
    with httpx.Client(transport=httpx.HTTPTransport(retries=12), timeout=90) as http:
        http.get(f"{base}/healthz").raise_for_status()


def until(page: Page, condition: str) -> None:
    """Waits until an expression is true in a page. Playwright's own way looks a second time by `eval`, which the policy of our pages forbids."""
    page.evaluate(
        f"""async () => {{
            for (const ends = performance.now() + 60_000; !({condition}); await new Promise(requestAnimationFrame))
                if (performance.now() > ends) throw Error("It never was so.");
        }}"""
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


class Reader:
    """Somebody at a browser, signed in by a session's token. What the console says, and what the policy kept from happening, is gathered in `complaints`."""

    def __init__(
        self,
        browser: Browser,
        base: str,
        token: str,
        *,
        viewport: dict[str, int] = DESKTOP,
        dark: bool = False,
    ) -> None:
        self.base, self.complaints = base, list[str]()
        self.context = browser.new_context(
            viewport=viewport, color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        self.context.add_cookies([{"name": COOKIE, "value": token, "url": base}])
        self.page: Page = self.context.new_page()
        self.page.on(
            "console",
            lambda message: (
                self._heard(f"{message.type}: {message.text}") if message.type in {"error", "warning"} else None
            ),
        )
        self.page.on("pageerror", lambda error: self._heard(f"error: {error}"))

    def _heard(self, said: str) -> None:
        if not HARMLESS.search(said):
            self.complaints.append(f"{self.page.url}: {said}")

    def open(self, path: str) -> Page:
        """A page, once its modules have run."""
        self.page.goto(self.base + path, wait_until="load")
        return self.page
