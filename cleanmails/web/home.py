"""Home: what is going on today, what needs somebody, and what has just happened."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import msgspec
from litestar import Response, get

from cleanmails.api.events import Events
from cleanmails.api.given import Given
from cleanmails.api.statistics import Statistics, WorkspaceStatistics
from cleanmails.api.status import Statuses
from cleanmails.ledger import overview, workers
from cleanmails.ledger.db import Row
from cleanmails.rules import duties
from cleanmails.rules.health import FLOOR
from cleanmails.web import activity, charts
from cleanmails.web.desk import Desk, Page
from cleanmails.web.render import plural

_DAYS: Final = 30
_EVENTS: Final = 200
_LINES: Final = 12
_OF_A_KIND: Final = 20
_RUNNING: Final = 200


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Something that waits for a person, and the one next thing to do about it."""

    title: str
    note: str
    button: str
    href: str
    grave: bool = False


class Home(Page):
    """The first page."""

    @get("/", sync_to_thread=True)
    def home(self, desk: Given[Desk]) -> Response[str]:
        """Today, thirty days, what needs attention, and the latest events."""
        workspace, today = desk.principal.workspace_id, desk.now.date()
        figures: WorkspaceStatistics = desk.ask(
            Statistics.of_workspace, since=today - timedelta(days=_DAYS - 1), until=today
        )
        with desk.database.transaction() as db:
            waiting = overview.attention(db, workspace, limit=_OF_A_KIND)
            begun = overview.beginnings(db, workspace)
            room = overview.room(db, workspace, today, floor=FLOOR)
            running = overview.running(db, workspace, limit=_RUNNING)
            events = overview.latest(db, workspace, limit=_EVENTS)
            late = [duty.sentence for duty in duties.judged(workers.duty_ages(db)) if duty.late]
        walks = desk.walks(running)
        days = [each.day for each in figures.days]
        return desk.page(
            "home.html",
            here="home",
            calls=(Statistics.of_workspace, Statuses.read, Events.stream),
            tasks=[*_late(late), *_tasks(waiting)],
            begun=begun,
            fresh=not (begun["sender"] and begun["lead"] and begun["campaign"]),
            room=room,
            running=len(running),
            waits=sum(each["waiting"] + each["in_flight"] for each in walks.values()),
            today=figures.days[-1].figures,
            totals=figures.totals,
            sent=charts.bars(days, ("Sent", "sent", [each.figures.sent for each in figures.days])),
            answers=charts.lines(
                days,
                ("Replies", "replied", [each.figures.replied.count for each in figures.days]),
                ("Bounces", "bounced", [each.figures.bounced.count for each in figures.days]),
            ),
            activity=activity.told(events, _LINES),
            types=activity.ALL,
        )


def _late(sentences: list[str]) -> list[Task]:
    return [
        Task(title="Part of cleanmails is silent", note=each, button="See the state", href="/v1/status", grave=True)
        for each in sentences
    ]


def _tasks(rows: list[Row]) -> Iterator[Task]:
    """What the ledger says waits, as tasks."""
    for row in rows:
        yield _TASKS[row["kind"]](row)


def _unknown(row: Row) -> Task:
    return Task(
        title=f"{plural(row['many'], 'mail')} may or may not have been accepted",
        note="The servers' answers were never seen. They are not sent again before somebody decides.",
        button="Decide",
        href="/unknown",
        grave=True,
    )


def _restricted(row: Row) -> Task:
    return Task(
        title=f"{row['name']} is restricted and sends nothing",
        note=row["detail"] or "Its server refused to let it in.",
        button="Test it",
        href=f"/senders/{row['id']}",
        grave=True,
    )


def _paused(row: Row) -> Task:
    return Task(
        title=f"{row['name']} was paused to protect its senders",
        note=row["detail"] or "",
        button="Look at the bounces",
        href=f"/campaigns/{row['id']}/leads?outcome=bounced",
    )


def _faulty(row: Row) -> Task:
    return Task(
        title=f"The DNS records of {row['name']} are faulty",
        note="Mail from it would not pass as yours; campaigns cannot be launched with its senders.",
        button="See the records",
        href=f"/domains/{row['id']}",
        grave=True,
    )


def _webhook(row: Row) -> Task:
    return Task(
        title=f"The webhook {row['name']} fails",
        note=row["detail"] or "",
        button="See its log",
        href=f"/webhooks/{row['id']}",
    )


def _integration(row: Row) -> Task:
    return Task(
        title=f"The integration {row['name']} fails",
        note=row["detail"] or "",
        button="See its log",
        href=f"/integrations/{row['id']}",
    )


def _held(row: Row) -> Task:
    return Task(
        title=f"{plural(row['many'], 'lead')} of {row['name']} {'is' if row['many'] == 1 else 'are'} held",
        note="A field is missing that the mail needs."
        if row["detail"] == "missing_field"
        else str(row["detail"]).replace("_", " "),
        button="See the leads",
        href=f"/campaigns/{row['id']}/leads?state=held",
    )


_TASKS: Final[dict[str, Any]] = {
    "unknown": _unknown,
    "sender_restricted": _restricted,
    "campaign_paused": _paused,
    "domain_faulty": _faulty,
    "webhook": _webhook,
    "integration": _integration,
    "leads_held": _held,
}
