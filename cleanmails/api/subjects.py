"""A campaign's subjects against each other: what each met with, which is the best, and how sure that is."""

from datetime import datetime
from itertools import groupby

import msgspec
from litestar import Controller, get
from litestar.params import FromPath

from cleanmails.api.auth import Principal
from cleanmails.api.given import Given
from cleanmails.ledger import campaigns, subjects
from cleanmails.ledger.db import Database, Row
from cleanmails.records import PromoteWinner
from cleanmails.rules.subjects import Tally, Verdict, judge


class SubjectFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One subject of a step. `sent`: accepted mails since the step has these subjects; `open_rate` and `reply_rate` are of these, from 0 to 1.

    `opened` counts people, not machines.
    """

    index: int
    subject: str
    sent: int
    opened: int
    open_rate: float
    replied: int
    reply_rate: float


class StepSubjects(msgspec.Struct, frozen=True, kw_only=True):
    """The subjects of a step. `by_opens` and `by_replies` say which is the best (`best`, an index), how sure that is (`confidence`, 0 to 1), and why.

    They are null for a single subject. `winner`: the subject that all later mails get, since `winner_at`.
    """

    step: int
    subjects: list[SubjectFigures]
    by_opens: Verdict | None
    by_replies: Verdict | None
    winner: int | None
    winner_at: datetime | None


class CampaignSubjects(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's subjects by step. `promote_winner`: on what the best is chosen for all later mails, or null."""

    promote_winner: PromoteWinner | None
    steps: list[StepSubjects]


class Subjects(Controller):
    """`/v1/outreach/campaigns/{id}/subjects`."""

    path = "/v1/outreach/campaigns"
    tags = ("campaigns",)

    @get("/{campaign_id:int}/subjects", sync_to_thread=True)
    def read(
        self, campaign_id: FromPath[int], database: Given[Database], principal: Given[Principal]
    ) -> CampaignSubjects:
        """Compare the subjects of each step: mails, human opens, replies, the best one and how sure that is."""
        with database.transaction() as db:
            wanted = campaigns.read(db, principal.workspace_id, campaign_id)["promote_winner"]
            rows = subjects.figures(db, principal.workspace_id, campaign_id)
        steps = [_step(step, list(group)) for step, group in groupby(rows, lambda row: row["step"])]
        return CampaignSubjects(promote_winner=wanted, steps=steps)


def _step(step: int, rows: list[Row]) -> StepSubjects:
    return StepSubjects(
        step=step,
        subjects=[
            SubjectFigures(
                index=row["index"],
                subject=row["subject"],
                sent=row["sent"],
                opened=row["opened"],
                open_rate=Tally(row["sent"], row["opened"]).rate,
                replied=row["replied"],
                reply_rate=Tally(row["sent"], row["replied"]).rate,
            )
            for row in rows
        ],
        by_opens=_verdict(rows, "opened"),
        by_replies=_verdict(rows, "replied"),
        winner=rows[0]["winner"],
        winner_at=rows[0]["winner_at"],
    )


def _verdict(rows: list[Row], counted: str) -> Verdict | None:
    return judge([Tally(row["sent"], row[counted]) for row in rows]) if len(rows) > 1 else None
