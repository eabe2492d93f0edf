"""A history that is brought along whole: rows with their ids and times, written table by table. For an empty workspace."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from cleanmails.ledger.db import Connection
from cleanmails.ledger.statements import sql

Rows = list[tuple[Any, ...]]

NOUNS: Final = ("lists", "leads", "campaigns", "deliveries", "hits", "threads", "inbox_messages")
"""Tables whose rows have ids that others refer to."""

_LONGEST_TRIES: Final = timedelta(hours=2)
"""For which a webhook's waiting messages were tried."""

_IDS_AT_ONCE: Final = {"lists": 1, "campaigns": 1}
"""Of these there are few; of anything else a thousand ids are drawn together."""


class Past(msgspec.Struct, kw_only=True):
    """Rows by table, each in the order of the columns of its COPY in `sql/past.sql`. Events come in the order in which they happened."""

    lists: Rows = []
    leads: Rows = []
    list_leads: Rows = []
    campaigns: Rows = []
    steps: Rows = []
    campaign_lists: Rows = []
    campaign_senders: Rows = []
    campaign_runs: Rows = []
    campaign_days: Rows = []
    campaign_leads: Rows = []
    deliveries: Rows = []
    mails: Rows = []
    attempts: Rows = []
    hits: Rows = []
    suppressions: Rows = []
    threads: Rows = []
    inbox_messages: Rows = []
    sender_days: Rows = []
    events: Rows = []


class SenderState(msgspec.Struct, frozen=True, kw_only=True):
    """How a mailbox stands at the end of a history, and since when it is there."""

    id: int
    created_at: datetime
    status: str = "ready"
    reason: str | None = None
    health: int = 100
    cooldown_until: datetime | None = None
    error: str | None = None
    error_at: datetime | None = None


def ids(db: Connection, noun: str) -> Iterator[int]:
    """Ids of a table, drawn as they are asked for."""
    while True:
        for row in db.execute(sql("past.take_ids"), {"noun": noun, "n": _IDS_AT_ONCE.get(noun, 1_000)}).fetchall():
            yield row["id"]


def write(db: Connection, past: Past) -> None:
    """Writes it all; statistics are counted from the events afterwards, as ever."""
    if past.events:
        db.execute(sql("past.make_months"), {"since": past.events[0][0]})
    _copy(db, sql("past.copy_lists"), past.lists)
    _copy(db, sql("past.copy_leads"), past.leads)
    _copy(db, sql("past.copy_list_leads"), past.list_leads)
    _copy(db, sql("past.copy_campaigns"), past.campaigns)
    _copy(db, sql("past.copy_steps"), past.steps)
    _copy(db, sql("past.copy_campaign_lists"), past.campaign_lists)
    _copy(db, sql("past.copy_campaign_senders"), past.campaign_senders)
    _copy(db, sql("past.copy_campaign_runs"), past.campaign_runs)
    _copy(db, sql("past.copy_campaign_days"), past.campaign_days)
    _copy(db, sql("past.copy_campaign_leads"), past.campaign_leads)
    _copy(db, sql("past.copy_deliveries"), past.deliveries)
    _copy(db, sql("past.copy_mails"), past.mails)
    _copy(db, sql("past.copy_attempts"), past.attempts)
    _copy(db, sql("past.copy_hits"), past.hits)
    _copy(db, sql("past.copy_suppressions"), past.suppressions)
    _copy(db, sql("past.copy_threads"), past.threads)
    _copy(db, sql("past.copy_inbox_messages"), past.inbox_messages)
    _copy(db, sql("past.copy_sender_days"), past.sender_days)
    _copy(db, sql("past.copy_events"), past.events)


def know_domains(db: Connection, domains: Iterable[tuple[str, str, str]]) -> None:
    """Recipients' domains as if just looked up: (name, provider, mail exchanger) each."""
    names, providers, exchangers = zip(*domains, strict=True)
    values = {"names": list(names), "providers": list(providers), "mx": list(exchangers)}
    db.execute(sql("past.know_domains"), values)


def dress_senders(db: Connection, workspace_id: int, states: Sequence[SenderState]) -> None:
    """Sets how these mailboxes stand, and how they came to that."""
    values = {
        "workspace_id": workspace_id,
        "ids": [state.id for state in states],
        "statuses": [state.status for state in states],
        "reasons": [state.reason for state in states],
        "healths": [state.health for state in states],
        "cooldowns": [state.cooldown_until for state in states],
        "errors": [state.error for state in states],
        "error_ats": [state.error_at for state in states],
        "createds": [state.created_at for state in states],
    }
    db.execute(sql("past.dress_senders"), values)
    db.execute(sql("past.health_days"), {"workspace_id": workspace_id, "ids": values["ids"]})


def break_webhook(
    db: Connection, workspace_id: int, webhook_id: int, *, at: datetime, delivered_at: datetime, created_at: datetime
) -> None:
    """A webhook that took events for a while, then failed until it was switched off: with its messages and the log of its attempts."""
    values = {"id": webhook_id, "workspace_id": workspace_id}
    reason = "Ten runs in a row have failed. The last answer: 503."
    times = {"at": at, "delivered_at": delivered_at, "created_at": created_at}
    db.execute(sql("past.break_webhook"), values | times | {"reason": reason, "failures": 10})
    db.execute(sql("past.log_messages"), values | {"waiting": 9, "limit": 60, "until": at - _LONGEST_TRIES})
    db.execute(sql("past.log_attempts"), {"id": webhook_id})


def _copy(db: Connection, statement: bytes, rows: Rows) -> None:
    with db.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
