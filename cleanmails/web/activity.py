"""What has happened, in sentences: events for people, runs of the same thing as one."""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Any, Final

import msgspec

from cleanmails.ledger.db import Row

ALL: Final = "email.sent,email.replied,email.bounced,email.clicked,email.opened,lead.unsubscribed,campaign.started,campaign.paused,campaign.resumed,campaign.completed"
"""What a live page of activity listens to."""

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "email.sent": ("was sent a mail", "mails were sent"),
    "email.replied": ("replied", "replies came"),
    "email.bounced": ("could not be reached: the mail bounced", "mails bounced"),
    "email.opened": ("opened a mail", "mails were opened"),
    "email.clicked": ("followed a link", "links were followed"),
    "lead.unsubscribed": ("unsubscribed", "leads unsubscribed"),
    "lead.created": ("was added", "leads were added"),
    "lead.validated": ("was validated", "addresses were validated"),
    "lead.labelled": ("was labelled", "conversations were labelled"),
    "campaign.started": ("The campaign was started", "campaigns were started"),
    "campaign.resumed": ("The campaign was resumed", "campaigns were resumed"),
    "campaign.paused": ("The campaign was paused", "campaigns were paused"),
    "campaign.completed": ("The campaign is completed", "campaigns were completed"),
    "campaign.created": ("The campaign was made", "campaigns were made"),
    "campaign.changed": ("The campaign was changed", "changes were made"),
    "campaign.deleted": ("The campaign was deleted", "campaigns were deleted"),
    "domain.changed": ("The DNS records of a domain changed", "domains changed"),
    "email.auto_replied": ("answered by a machine", "machines answered"),
    "email.complained": ("complained of spam", "complaints of spam came"),
    "email.returned": ("sent a mail back", "mails came back"),
    "webhook.test": ("A webhook was tried out", "webhooks were tried out"),
    "webhook.disabled": ("A webhook was switched off", "webhooks were switched off"),
    "suppression.removed": ("was taken off the suppressions", "suppressions were taken back"),
}
_RUNS: Final = frozenset({"email.sent", "email.opened", "email.clicked", "lead.created", "lead.validated"})
"""What comes in masses and is told as one."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line: `lead` did or met with `words`; of a run there is only how `many`. `note` is what else is known."""

    id: int
    at: datetime
    type: str
    words: str
    many: int = 1
    email: str | None = None
    lead_id: int | None = None
    campaign: str | None = None
    campaign_id: int | None = None
    note: str = ""


def told(rows: Iterable[Row], limit: int) -> list[Item]:
    """The first lines of a list of events, newest first."""
    items = []
    for _, group in groupby(rows, _kind):
        run = list(group)
        items.append(_item(run))
        if len(items) == limit:
            break
    return items


def _kind(row: Row) -> tuple[Any, ...]:
    return (row["type"], row["campaign_id"]) if row["type"] in _RUNS else (row["id"],)


def _item(run: list[Row]) -> Item:
    row = run[0]
    one, many = _WORDS.get(row["type"], (row["type"].replace(".", " "), row["type"].replace(".", " ")))
    alone = len(run) == 1
    return Item(
        id=row["id"],
        at=row["at"],
        type=row["type"],
        words=one if alone else many,
        many=len(run),
        email=(row["email"] or row["data"].get("email")) if alone else None,
        lead_id=row["lead_id"] if alone else None,
        campaign=row["campaign"],
        campaign_id=row["campaign_id"],
        note=_note(row) if alone else "",
    )


def _note(row: Row) -> str:
    data = row["data"]
    if row["type"] == "email.bounced":
        return str(data.get("text") or "")
    if row["type"] in {"campaign.paused", "webhook.disabled"}:
        return str(data.get("reason") or "")
    if row["type"] == "email.clicked":
        return str(data.get("url") or "")
    if row["type"] == "lead.unsubscribed":
        return str(data.get("reason") or "").replace("_", " ")
    return str(data.get("subject") or data.get("label") or "")
