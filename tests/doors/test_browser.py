"""A real browser, signed in: pages of another origin change nothing with its cookie, and read nothing. That no script runs is held by tests/web."""

import os
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import uvicorn
from playwright.sync_api import sync_playwright

from cleanmails.api.auth import Role
from cleanmails.ledger.db import Database
from cleanmails.settings import load
from cleanmails.web.server import application

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]  # fmt: skip
DOORS = (
    ("post", "/v1/outreach/lists", '{"name": "Stolen"}'),
    ("post", "/v1/outreach/campaigns/{campaign_id}/start", ""),
    ("post", "/sign-out", ""),
)


@pytest.fixture(scope="module")
def site(ledger, module_url):
    """The whole application under uvicorn, on a port of its own."""
    settings = load({"CLEANMAILS_API_RATE": "1000000"})
    with Database(module_url, size=4) as database:
        app = application(settings, database, enqueue=lambda _: None)
        server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off")
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                thread.join(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}", app
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def elsewhere():
    """Another origin: `pages["/x"] = html`."""
    pages = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = pages.get(self.path, "<!doctype html><title>elsewhere</title>").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True).start()
    yield f"http://localhost:{server.server_port}", pages
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=FLAGS
        )
        yield browser
        browser.close()


@pytest.fixture
def context(chromium, site, ledger):
    """The owner's, with a cookie that goes everywhere: as if a browser knew no `SameSite`."""
    base, _ = site
    made = chromium.new_context()
    made.set_default_timeout(60_000)
    made.add_cookies(
        [{"name": "auth_token", "value": ledger.ours.sessions[Role.OWNER], "url": base, "sameSite": "Lax"}]
    )
    yield made
    made.close()


@pytest.mark.asvs("3.5.1", "3.5.2")
def test_pages_of_another_origin_change_nothing(context, site, elsewhere, ledger, count):
    base, _ = site
    place, pages = elsewhere
    page = context.new_page()
    assert page.goto(f"{base}/").url == f"{base}/", "signed in"
    before = ledger.prints()
    answers = []
    page.on(
        "response",
        lambda answer: (
            answers.append(answer) if answer.url.startswith(base) and answer.request.method == "POST" else None
        ),
    )
    for method, path, body in DOORS:
        at = base + re.sub(r"{(\w+)}", lambda found: str(ledger.ours.ids[found[1]]), path)
        for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
            pages["/form"] = (
                f"<form method={method} action='{at}' enctype='{kind}'><input name='name' value='Stolen'></form><script>document.forms[0].submit()</script>"
            )
            with page.expect_navigation(url=re.compile(re.escape(at))):
                page.goto(f"{place}/form")
            count("browser requests")
        for options in (
            {"mode": "no-cors"},
            {"mode": "cors"},
            {"mode": "cors", "headers": {"Content-Type": "application/json"}},
        ):
            page.goto(f"{place}/")
            given = {"method": "POST", "credentials": "include", "body": body, **options}
            page.evaluate(
                "([at, given]) => fetch(at, given).then(answer => answer.type, error => 'refused')", [at, given]
            )
            count("browser requests")
    read = page.evaluate(
        "at => fetch(at, {credentials: 'include'}).then(answer => answer.text(), () => 'refused')", f"{base}/v1/auth/me"
    )
    assert read == "refused"
    pages["/frame"] = (
        f"<iframe src='{base}/'></iframe><img src='{base}/v1/outreach/lists'><script src='{base}/v1/auth/me'></script>"
    )
    page.goto(f"{place}/frame")
    assert "Stolen" not in str(ledger.db.execute("SELECT name FROM lists").fetchall())
    assert {answer.status for answer in answers} <= {401, 403, 400, 405}, [
        (answer.url, answer.status) for answer in answers
    ]
    after = ledger.prints()
    assert [table for table in after if after[table] != before[table]] == []
    assert page.goto(f"{base}/").url == f"{base}/", "and still signed in"
