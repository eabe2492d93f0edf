"""A campaign's ledger as a file: exactly who was sent what, when, by whom, with which Message-ID and hash; and who was not, and why."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

import msgspec
from litestar import Controller, get
from litestar.params import FromPath
from litestar.response import Stream

from cleanmails.api.auth import Principal
from cleanmails.api.given import Given
from cleanmails.ledger import campaigns, exports
from cleanmails.ledger.db import Database, Row
from cleanmails.rules import csvtext

_PEOPLE_AT_ONCE: Final = 500


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One step to one person. `hash`: SHA-256 of the mail's bytes before its signature and without Date, as the preview shows it."""

    lead_id: int
    email: str
    step: int
    sent: Annotated[str, msgspec.Meta(description="`yes`, `no`, or `unknown`: the server's answer was never seen.")]
    state: str | None
    why: Annotated[str, msgspec.Meta(description="Why it was not sent, or not yet; empty for what was.")]
    due_at: datetime | None
    sender: str | None
    message_id: str | None
    hash: str | None
    subject: str | None
    mail_date: datetime | None
    sent_at: datetime | None
    settled_at: datetime | None
    attempts: int | None
    reply_code: int | None
    reply_text: str | None
    evidence: str | None
    delivery_id: int | None


class Exports(Controller):
    """`/v1/outreach/campaigns/{id}/ledger.csv` and `.jsonl`."""

    path = "/v1/outreach/campaigns/{campaign_id:int}"
    tags = ("campaigns",)

    @get("/ledger.csv", sync_to_thread=True, media_type="text/csv")
    def ledger_csv(self, campaign_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> Stream:
        """Download who was sent what, and who was not and why, as CSV: a row for each person and step.

        It is read in portions, so that a campaign of any size can be downloaded while it runs; each row is true when it is read.
        """
        _known(database, principal, campaign_id)
        lines = _csv(_lines(database, campaign_id))
        return Stream(lines, media_type="text/csv", headers=_named(campaign_id, "csv"))

    @get("/ledger.jsonl", sync_to_thread=True, media_type="application/jsonl")
    def ledger_jsonl(
        self, campaign_id: FromPath[int], database: Given[Database], principal: Given[Principal]
    ) -> Stream:
        """Download the same as JSON lines: an object for each person and step."""
        _known(database, principal, campaign_id)
        encode = msgspec.json.Encoder().encode
        lines = (b"".join(encode(line) + b"\n" for line in lines) for lines in _lines(database, campaign_id))
        return Stream(lines, media_type="application/jsonl", headers=_named(campaign_id, "jsonl"))


def _known(database: Database, principal: Principal, campaign_id: int) -> None:
    with database.transaction() as db:
        campaigns.read(db, principal.workspace_id, campaign_id)


def _named(campaign_id: int, kind: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="campaign-{campaign_id}-ledger.{kind}"'}


def _lines(database: Database, campaign_id: int) -> Iterator[list[Line]]:
    """Portion by portion, so that neither memory nor a transaction grows with the campaign."""
    after = 0
    while True:
        with database.transaction() as db:
            rows: list[Row] = exports.portion(db, campaign_id, after=after, limit=_PEOPLE_AT_ONCE)
        if not rows:
            return
        after = rows[-1]["lead_id"]
        yield [msgspec.convert(row, Line) for row in rows]


def _csv(portions: Iterator[list[Line]]) -> Iterator[str]:
    names = Line.__struct_fields__
    yield csvtext.written([names])
    for lines in portions:
        yield csvtext.written([_cell(getattr(line, name)) for name in names] for line in lines)


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else value
