"""Hits on pixels and links: written in batches as they come, read again to be judged."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql

LONGEST_AGENT = 400
"""Characters of a User-Agent that are kept."""


class NewHit(msgspec.Struct, frozen=True, gc=False):
    """A hit as it came. `link` is None for the pixel; `remote` is an address without a zone, if it is known; `age` is how many seconds ago it came."""

    delivery_id: int
    link: int | None
    age: float
    method: str
    remote: str | None
    user_agent: str


def links(db: Connection, delivery_ids: Iterable[int]) -> dict[int, list[str | None]]:
    """Where the links of these mails lead, by their number less one; a mail that is unknown or has none is left out."""
    found = db.execute(sql("hits.links"), {"ids": list(delivery_ids)})
    return {row["id"]: row["links"] for row in found if row["links"] is not None}


def record(db: Connection, hits: Sequence[NewHit]) -> None:
    """Writes hits down, unjudged. Those of mails that are not there any more are left out; a flood on one mail is counted, not kept."""
    rows = [
        (
            hit.delivery_id,
            "open" if hit.link is None else "click",
            hit.link,
            hit.age,
            hit.method,
            hit.remote,
            hit.user_agent[:LONGEST_AGENT],
        )
        for hit in hits
    ]
    names = ("deliveries", "kinds", "links", "ages", "methods", "remotes", "agents")
    db.execute(sql("hits.record"), columns(names, rows))


def try_judge(db: Connection) -> bool:
    """Whether this transaction is the one judge now."""
    row = db.execute(sql("hits.try_judge")).fetchone()
    return row is not None and bool(row["mine"])


def ripe(db: Connection, *, before: datetime, limit: int) -> list[int]:
    """Mails with hits from before that time that nobody has judged."""
    return [row["delivery_id"] for row in db.execute(sql("hits.ripe"), {"before": before, "limit": limit})]


def next_deliveries(db: Connection, *, after: int, limit: int) -> list[int]:
    """Mails with hits, in the order of their ids, those after `after`."""
    return [row["delivery_id"] for row in db.execute(sql("hits.next_deliveries"), {"after": after, "limit": limit})]


def lock_deliveries(db: Connection, ids: Sequence[int]) -> list[Row]:
    """Locks the mails; what judging needs of each."""
    return db.execute(sql("hits.lock_deliveries"), {"ids": list(ids)}).fetchall()


def of_deliveries(db: Connection, ids: Sequence[int]) -> dict[int, list[Row]]:
    """All hits of these mails in the order they came, by mail."""
    found: dict[int, list[Row]] = {}
    for row in db.execute(sql("hits.of_deliveries"), {"ids": list(ids)}):
        found.setdefault(row["delivery_id"], []).append(row)
    return found


def write_verdicts(db: Connection, verdicts: Iterable[tuple[int, str, Sequence[str]]]) -> None:
    """What is thought of hits: (id, verdict, reasons)."""
    rows = [(id, verdict, msgspec.json.encode(reasons).decode()) for id, verdict, reasons in verdicts]
    if rows:
        db.execute(sql("hits.write_verdicts"), columns(("ids", "verdicts", "reasons"), rows))


def write_engagement(db: Connection, firsts: Mapping[int, tuple[datetime | None, datetime | None]]) -> None:
    """The first human open and click of mails, by id. Their rows must be locked."""
    rows = [(id, opened, clicked) for id, (opened, clicked) in firsts.items()]
    if rows:
        db.execute(sql("hits.write_engagement"), columns(("ids", "opened", "clicked"), rows))
