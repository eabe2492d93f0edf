"""Statistics: what became of mails, by campaign, step, subject, sender and day. Every share says of what it is a share.

Every figure counts mails. People, machines and what nobody can tell stand apart: `opened` and `clicked` are people's alone. Figures follow the
events by a few seconds. Days are UTC, and a mail's open counts on the day it was opened.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, get
from litestar.params import FromPath, QueryParameter

from cleanmails.api.auth import Principal
from cleanmails.api.given import Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.errors import Fault, InvalidError
from cleanmails.ledger import campaigns, figures
from cleanmails.ledger.db import Database

LONGEST = 366
"""Days that one request may ask for."""

_COUNTS = (
    "sent", "bounced", "opened", "opened_machine", "opened_unknown", "clicked", "clicked_machine", "clicked_unknown", "replied", "unsubscribed",
)  # fmt: skip


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """`count` mails out of `of`, which are those that the denominator names; `percent` is null where there are none."""

    count: int
    of: int
    denominator: Literal["sent", "delivered"]
    percent: float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What became of mails. `sent` were handed in; `delivered` are those that did not bounce.

    `opened` and `clicked` were so by a person; `opened_by_machines` and `opened_by_unknown` count mails that only machines, or nobody knows who, looked at.
    """

    sent: int
    delivered: Share
    bounced: Share
    opened: Share
    opened_by_machines: int
    opened_by_unknown: int
    clicked: Share
    clicked_by_machines: int
    clicked_by_unknown: int
    replied: Share
    unsubscribed: Share


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What happened on a day (UTC). Shares are of the mails sent on that same day, so a quiet day may have more opens than mails."""

    day: date
    figures: Figures


class SubjectFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One subject of a step: `index` is its place, null for mails that went on with a thread; `subject` is its text as it stands now."""

    index: int | None
    subject: str | None
    figures: Figures


class StepFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One step, and its subjects."""

    step: int
    figures: Figures
    subjects: list[SubjectFigures]


class SenderFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the mails of one sender. `gone`: the sender was deleted."""

    sender_id: int
    address: str | None
    gone: bool = False
    figures: Figures


class CampaignStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """All of one campaign. Without `track_opens` or `track_clicks` nothing of that kind can be seen, which is not the same as nothing."""

    campaign_id: int
    track_opens: bool
    track_clicks: bool
    totals: Figures
    steps: list[StepFigures]
    senders: list[SenderFigures]
    days: list[Day]


class WorkspaceStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """All campaigns of the workspace from `since` to `until`, both included; every day is there."""

    since: date
    until: date
    totals: Figures
    days: list[Day]


class Statistics(Controller):
    """Statistics of campaigns, senders and the workspace."""

    path = "/v1/outreach"
    tags = ("statistics",)

    @get("/campaigns/{campaign_id:int}/statistics", sync_to_thread=True)
    def of_campaign(
        self, campaign_id: FromPath[int], database: Given[Database], principal: Given[Principal]
    ) -> CampaignStatistics:
        """Read a campaign's figures: in all, by step and subject, by sender, and by day."""
        with database.transaction() as db:
            campaign = campaigns.read(db, principal.workspace_id, campaign_id)
            rows = figures.of_campaign(db, principal.workspace_id, campaign_id)
        by_scope = {scope: [row for row in rows if row["scope"] == scope] for scope in ("day", "subject", "sender")}
        return CampaignStatistics(
            campaign_id=campaign_id,
            track_opens=campaign["track_opens"],
            track_clicks=campaign["track_clicks"],
            totals=_figures(by_scope["day"]),
            steps=_steps(by_scope["subject"]),
            senders=[
                SenderFigures(sender_id=row["sender_id"], address=row["address"], figures=_figures([row]))
                for row in by_scope["sender"]
            ],
            days=[Day(day=row["day"], figures=_figures([row])) for row in by_scope["day"]],
        )

    @get("/statistics", sync_to_thread=True)
    def of_workspace(
        self,
        database: Given[Database],
        principal: Given[Principal],
        now: Given[datetime],
        since: Annotated[date | None, QueryParameter(description="The first day (UTC); 30 days by default.")] = None,
        until: Annotated[date | None, QueryParameter(description="The last day (UTC); today by default.")] = None,
    ) -> WorkspaceStatistics:
        """Read the figures of all campaigns together, day by day."""
        last = until or now.date()
        first = since or last - timedelta(days=29)
        if not 0 <= (last - first).days < LONGEST:
            raise InvalidError([Fault("since", "span", f"From since to until must be 1 to {LONGEST} days.")])
        with database.transaction() as db:
            rows = figures.by_day(db, principal.workspace_id, first, last)
        known = {row["day"]: row for row in rows}
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        return WorkspaceStatistics(
            since=first,
            until=last,
            totals=_figures(rows),
            days=[Day(day=day, figures=_figures([known[day]] if day in known else [])) for day in days],
        )

    @get("/statistics/senders", sync_to_thread=True)
    def of_senders(
        self, database: Given[Database], principal: Given[Principal], window: Given[Window]
    ) -> Page[SenderFigures]:
        """List the figures of every sender over all campaigns."""
        with database.transaction() as db:
            rows = figures.by_sender(db, principal.workspace_id, after=window.after, limit=window.fetch)
        return page(rows, window, _sender, key="sender_id")


def _sender(row: dict[str, Any]) -> SenderFigures:
    return SenderFigures(sender_id=row["sender_id"], address=row["address"], gone=row["gone"], figures=_figures([row]))


def _steps(rows: Iterable[Mapping[str, Any]]) -> list[StepFigures]:
    by_step: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_step.setdefault(row["step"], []).append(row)
    return [
        StepFigures(step=step, figures=_figures(of_step), subjects=[_subject(row) for row in of_step])
        for step, of_step in sorted(by_step.items())
    ]


def _subject(row: Mapping[str, Any]) -> SubjectFigures:
    index = None if row["subject"] < 0 else row["subject"]
    return SubjectFigures(
        index=index, subject=row["subject_text"] if index is not None else None, figures=_figures([row])
    )


def _figures(rows: Iterable[Mapping[str, Any]]) -> Figures:
    """Rows of figures added up. The one place where shares are made."""
    total = dict.fromkeys(_COUNTS, 0)
    for row in rows:
        for name in _COUNTS:
            total[name] += row[name]
    sent, delivered = total["sent"], total["sent"] - total["bounced"]

    def of_sent(count: int) -> Share:
        return _share(count, sent, "sent")

    def of_delivered(count: int) -> Share:
        return _share(count, delivered, "delivered")

    return Figures(
        sent=sent,
        delivered=of_sent(delivered),
        bounced=of_sent(total["bounced"]),
        opened=of_delivered(total["opened"]),
        opened_by_machines=total["opened_machine"],
        opened_by_unknown=total["opened_unknown"],
        clicked=of_delivered(total["clicked"]),
        clicked_by_machines=total["clicked_machine"],
        clicked_by_unknown=total["clicked_unknown"],
        replied=of_delivered(total["replied"]),
        unsubscribed=of_delivered(total["unsubscribed"]),
    )


def _share(count: int, of: int, denominator: Literal["sent", "delivered"]) -> Share:
    percent = round(100 * count / of, 2) if of > 0 else None
    return Share(count=count, of=of, denominator=denominator, percent=percent)
