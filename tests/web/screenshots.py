"""`make screenshots`: pictures of every page of a workspace that has been lived in, on a desktop, on a phone and in the dark, into docs/screenshots.

Everything runs on servers of its own in a throwaway folder. Those that stand in the README are kept in the repository; the others are for looking at.
"""

import sys
import tempfile
from pathlib import Path

from cleanmails.demo.lived import live
from cleanmails.demo.seed import demonstrate
from cleanmails.demo.stage import Stage, stage
from cleanmails.ledger.db import Database
from tests.web.browser import DESKTOP, PHONE, chromium, until

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"

PICTURES = {
    "home": ("/", ""),
    "campaigns": ("/campaigns", ""),
    "campaign": ("/campaigns/{}", "SELECT id FROM campaigns WHERE name LIKE 'SaaS founders%'"),
    "campaign-leads": ("/campaigns/{}/leads", "SELECT id FROM campaigns WHERE name LIKE 'SaaS founders%'"),
    "campaign-forecast": ("/campaigns/{}/forecast", "SELECT id FROM campaigns WHERE name LIKE 'SaaS founders%'"),
    "new-campaign": ("/campaigns/new", ""),
    "leads": ("/leads?q=amber", ""),
    "lead": (
        "/leads/{}",
        "SELECT lead_id FROM events WHERE type = 'email.replied' GROUP BY 1 ORDER BY max(id) DESC LIMIT 1",
    ),
    "lists": ("/lists", ""),
    "list": ("/lists/{}", "SELECT id FROM lists WHERE name LIKE 'SaaS founders%'"),
    "upload": ("/uploads/{}", "SELECT max(id) FROM imports"),
    "inbox": ("/inbox/{}", "SELECT id FROM threads WHERE last_kind = 'reply' ORDER BY last_at DESC LIMIT 1"),
    "senders": ("/senders", ""),
    "sender": ("/senders/{}", "SELECT id FROM senders WHERE address LIKE 'henry@%'"),
    "domains": ("/domains", ""),
    "domain": ("/domains/{}", "SELECT id FROM domains WHERE status = 'faulty'"),
    "suppressions": ("/suppressions", ""),
    "unknown": ("/unknown", ""),
    "webhooks": ("/webhooks", ""),
    "webhook": ("/webhooks/{}", "SELECT id FROM outlets WHERE state = 'off'"),
    "settings": ("/settings", ""),
    "people": ("/settings/people", ""),
    "api-keys": ("/settings/keys", ""),
    "audit": ("/settings/audit", ""),
}
"""By name: the address, and where the thing is found that it is about."""

LOOKS = {
    "": {"viewport": DESKTOP, "color_scheme": "light"},
    "-dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "-phone": {"viewport": PHONE, "color_scheme": "light"},
}


def story(stage: Stage) -> int:
    """Fills the workspace over the API, then looks at every page."""
    wanted = set(sys.argv[1:])
    stage.start_catcher()
    stage.start_processes()
    stage.sign_in()
    demonstrate(stage.user)
    with Database(stage.servers.database_url, size=2, name="screenshots") as database:
        live(database, stage.user, stage.user.get("/v1/workspace")["id"])
        with database.transaction() as db:
            found = {
                name: db.execute(query.encode()).fetchone() if query else {} for name, (_, query) in PICTURES.items()
            }
    base = str(stage.user.http.base_url)
    cookies = [{"name": name, "value": value, "url": base} for name, value in stage.user.http.cookies.items()]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for suffix, look in LOOKS.items():
            context = browser.new_context(**look, reduced_motion="reduce", timezone_id="Europe/Berlin", locale="en-GB")
            context.add_cookies(cookies)
            page = context.new_page()
            page.goto(base)  # the browser tells its zone
            for name, (path, _) in PICTURES.items():
                thing = found[name]
                if (wanted and name not in wanted) or thing is None:
                    continue
                answer = page.goto(base.rstrip("/") + path.format(*thing.values()), wait_until="load")
                if answer is None or answer.status != 200:
                    continue
                until(
                    page, "performance.getEntriesByName('begun').length && !document.querySelector('[aria-busy=true]')"
                )
                file = FOLDER / f"{name}{suffix}.png"
                page.screenshot(path=file)
                print(file.relative_to(FOLDER.parents[1]), file.stat().st_size // 1024, "KB", flush=True)
            context.close()
    return 0


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory(prefix="cleanmails-screenshots-") as folder,
        stage(Path(folder), fast=True) as made,
    ):
        sys.exit(made.play(story))
