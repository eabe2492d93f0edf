"""What the chaos test reads of the ledger, and how it lets time pass there. Its statements are its own: the product has no use for them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec

from cleanmails.ledger.db import Connection

_DELIVERIES: Final = b"""
SELECT d.id, d.campaign_id, d.lead_id, d.step, d.sender_id, d.state, d.message_id, d.sending_at, d.evidence, l.email
FROM deliveries d JOIN leads l ON l.id = d.lead_id ORDER BY d.id
"""

_WALKS: Final = b"""
SELECT c.id AS campaign_id, l.id AS lead_id, l.email, cl.state, cl.outcome,
       (SELECT count(*) FROM steps s WHERE s.campaign_id = c.id) AS steps,
       ARRAY(SELECT concat_ws(' ', a.stage, a.code) FROM deliveries d JOIN attempts a ON a.delivery_id = d.id
             WHERE cl.outcome = 'failed' AND d.campaign_id = c.id AND d.lead_id = l.id ORDER BY a.finished_at) AS tries
FROM campaigns c
JOIN campaign_lists a ON a.campaign_id = c.id
JOIN list_leads ll ON ll.list_id = a.list_id
JOIN leads l ON l.id = ll.lead_id
LEFT JOIN campaign_leads cl ON cl.campaign_id = c.id AND cl.lead_id = l.id
"""

_RECEIVED: Final = b"""
SELECT d.message_id AS about, m.kind, m.campaign_id, l.email, count(*) AS settled, count(DISTINCT m.message_id) AS messages
FROM inbox_messages m JOIN deliveries d ON d.id = m.delivery_id JOIN leads l ON l.id = m.lead_id
WHERE m.state = 'settled' GROUP BY d.message_id, m.kind, m.campaign_id, l.email
"""

_SENT: Final = b"SELECT message_id FROM deliveries WHERE state = 'sent' AND message_id = ANY (%(ids)s::text[])"

_SENDERS: Final = b"SELECT id, address, daily_limit FROM senders ORDER BY id"

_OPEN: Final = b"""
SELECT (SELECT count(*) FROM campaign_leads WHERE state IN ('waiting', 'in_flight')) AS walks,
       (SELECT count(*) FROM deliveries WHERE (state IN ('planned', 'rendered', 'sending')) IS TRUE) AS mails
"""

_PIPE: Final = b"""
SELECT id, state, worker_id, queued_at FROM deliveries WHERE (state IN ('planned', 'rendered', 'sending')) IS TRUE
"""

# Rows that somebody works on are left for the next time.
_HURRY: Final = (
    b"""
    WITH waiting AS (SELECT campaign_id, lead_id FROM campaign_leads WHERE state = 'waiting' AND due_at > now() FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE campaign_leads cl SET due_at = now() FROM waiting w WHERE cl.campaign_id = w.campaign_id AND cl.lead_id = w.lead_id
    """,
    b"""
    WITH tired AS (SELECT id FROM senders WHERE cooldown_until > now() OR health < 100 FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE senders s SET cooldown_until = NULL, health = 100, errors_in_row = 0 FROM tired WHERE s.id = tired.id
    """,
)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger as the judge needs it."""

    id: int
    campaign_id: int
    lead_id: int
    step: int
    sender_id: int | None
    state: str
    message_id: str | None
    sending_at: datetime | None
    email: str
    evidence: str | None = None

    @property
    def was_unknown(self) -> bool:
        """Whether nobody knew whether it had gone out, be it that evidence has settled it since: a copy in its sender's Sent folder, a reply, a bounce."""
        return self.state == "unknown" or self.evidence is not None


class InPipe(msgspec.Struct, frozen=True, kw_only=True):
    """A mail on its way: in a queue since `queued_at`, or in the hands of a worker."""

    id: int
    state: str
    worker_id: int | None
    queued_at: datetime


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody on a campaign's list, and how far his walk came; `state` None: he has none. `steps` is how many mails he was to get.

    `tries` are the stages and codes at which the tries of a failed one ended.
    """

    campaign_id: int
    lead_id: int
    email: str
    state: str | None
    outcome: str | None
    steps: int
    tries: list[str] = []


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What came back `about` a mail, by its Message-ID: how often it was settled, and how many messages there were."""

    about: str
    kind: str
    campaign_id: int
    email: str
    settled: int
    messages: int


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox and what it may send in a day."""

    id: int
    address: str
    daily_limit: int


def deliveries(db: Connection) -> list[Delivery]:
    """All of them."""
    return msgspec.convert(db.execute(_DELIVERIES).fetchall(), list[Delivery])


def walks(db: Connection) -> list[Walk]:
    """Everybody on the lists, once for each campaign."""
    return msgspec.convert(db.execute(_WALKS).fetchall(), list[Walk])


def senders(db: Connection) -> list[Sender]:
    """All of them."""
    return msgspec.convert(db.execute(_SENDERS).fetchall(), list[Sender])


def received(db: Connection) -> list[Received]:
    """All that came back and was settled."""
    return msgspec.convert(db.execute(_RECEIVED).fetchall(), list[Received])


def sent(db: Connection, message_ids: Iterable[str]) -> set[str]:
    """Which of these the ledger holds as sent."""
    return {row["message_id"] for row in db.execute(_SENT, {"ids": list(message_ids)}).fetchall()}


def open_work(db: Connection) -> tuple[int, int]:
    """How many walks are not at their end and not held, and how many mails are on their way."""
    row = _one(db, _OPEN)
    return row["walks"], row["mails"]


def pipe(db: Connection) -> list[InPipe]:
    """All that is on its way."""
    return msgspec.convert(db.execute(_PIPE).fetchall(), list[InPipe])


def hurry(db: Connection) -> None:
    """Whatever is waited for is there: retries are due, waits are over, senders have rested and are well."""
    for statement in _HURRY:
        db.execute(statement)


def _one(db: Connection, statement: bytes) -> dict[str, Any]:
    row = db.execute(statement).fetchone()
    assert row is not None
    return row
