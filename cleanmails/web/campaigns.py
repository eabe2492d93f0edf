"""The campaigns: where each stands, what became of its mails, and what holds it back."""

from collections.abc import Iterator
from typing import Any, Final

from litestar import Response, get
from litestar.response import Stream

from cleanmails.api import explain
from cleanmails.api.campaigns import Campaigns
from cleanmails.api.given import Given
from cleanmails.ledger import overview
from cleanmails.ledger.db import Row
from cleanmails.records import CampaignStatus
from cleanmails.rules import csvtext
from cleanmails.web.desk import Desk, Page

SHOWN: Final = 25
_AT_ONCE: Final = 200
_SAMPLE: Final = 6

TABS: Final = (
    ("", "All"),
    ("running", "Running"),
    ("draft", "Drafts"),
    ("paused", "Paused"),
    ("completed", "Completed"),
    ("archived", "Archived"),
)

_COLUMNS: Final = (
    "id", "name", "status", "pause_reason", "steps", "enrolled", "waiting", "in_flight", "held", "ended", "sent", "bounced", "opened", "clicked",
    "replied", "unsubscribed", "launch_at", "started_at", "completed_at", "created_at", "archived_at",
)  # fmt: skip


class CampaignPages(Page):
    """`/campaigns`."""

    @get("/campaigns", sync_to_thread=True)
    def list_all(self, desk: Given[Desk]) -> Response[str]:
        """All campaigns, the newest first, of one status, with a text in their name."""
        window = desk.window(limit=SHOWN)
        with desk.database.transaction() as db:
            rows = overview.campaigns(
                db, desk.principal.workspace_id, **_wanted(desk), before=window.after, limit=window.fetch
            )
            shown = rows[:SHOWN]
            counts = overview.statuses(db, desk.principal.workspace_id)
            running = [row["id"] for row in shown if row["status"] == CampaignStatus.RUNNING]
            holds = explain.statuses(db, desk.settings, desk.principal.workspace_id, running, sample=_SAMPLE)
        return desk.page(
            "campaigns.html",
            here="campaigns",
            calls=(Campaigns.list_all, Campaigns.create),
            campaigns=shown,
            walks=desk.walks([row["id"] for row in shown if row["status"] != CampaignStatus.DRAFT]),
            holds=holds,
            tab=desk.param("status"),
            tabs=[
                (code, label, counts.get(code, 0) if code else sum(counts.values()) - counts.get("archived", 0))
                for code, label in TABS
            ],
            next=desk.cursor(shown[-1]["id"]) if len(rows) > SHOWN else None,
            q=desk.param("q"),
            anything=bool(counts),
        )

    @get("/campaigns.csv", sync_to_thread=True)
    def table(self, desk: Given[Desk]) -> Stream:
        """The same list, whole, as CSV."""
        return Stream(
            _csv(desk),
            media_type="text/csv",
            headers={"Content-Disposition": 'attachment; filename="campaigns.csv"'},
        )


def _wanted(desk: Desk) -> dict[str, Any]:
    """The list that the address asks for."""
    tab = desk.param("status")
    status = CampaignStatus(tab) if tab in set(CampaignStatus) else None
    return {"status": status, "archived": tab == "archived", "q": desk.param("q")[:200]}


def _csv(desk: Desk) -> Iterator[str]:
    yield csvtext.written([_COLUMNS])
    before: int | None = None
    while True:
        with desk.database.transaction() as db:
            rows = overview.campaigns(db, desk.principal.workspace_id, **_wanted(desk), before=before, limit=_AT_ONCE)
        if not rows:
            return
        before = rows[-1]["id"]
        walks = desk.walks([row["id"] for row in rows])
        yield csvtext.written(_line(row | walks[row["id"]]) for row in rows)


def _line(row: Row) -> list[object]:
    return [
        value.isoformat() if hasattr(value, "isoformat") else "" if value is None else value
        for value in (row[name] for name in _COLUMNS)
    ]
