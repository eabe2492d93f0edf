"""Leads in any number, for the planner's benchmark and for tests of how statements are carried out."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import msgspec

from cleanmails.ledger.db import Connection, Database, Row
from cleanmails.ledger.statements import sql


class Crowd(msgspec.Struct, frozen=True):
    """A workspace with senders without gaps, which all of its campaigns use."""

    workspace_id: int
    senders: list[int]


def make_crowd(database: Database, leads: int, senders: int) -> Crowd:
    """So many leads and senders in an empty database."""
    with database.transaction() as db:
        db.execute(sql("bench.unchecked"))
        row = db.execute(sql("bench.make_workspace")).fetchone()
        assert row is not None
        workspace = row["id"]
        made = db.execute(sql("bench.make_senders"), {"workspace_id": workspace, "senders": senders}).fetchall()
        db.execute(sql("bench.make_leads"), {"workspace_id": workspace, "leads": leads})
    return Crowd(workspace, [row["id"] for row in made])


def make_campaigns(
    database: Database, crowd: Crowd, campaigns: int, due_at: datetime, *, walked: bool = False
) -> list[int]:
    """Running campaigns among which all leads are dealt out, due from a time on; `walked`: most of them have come to their end."""
    values = {"workspace_id": crowd.workspace_id, "campaigns": campaigns, "senders": crowd.senders}
    with database.transaction() as db:
        db.execute(sql("bench.unchecked"))
        ids = [row["id"] for row in db.execute(sql("bench.make_campaigns"), values)]
        walks = sql("bench.make_walked") if walked else sql("bench.make_walks")
        db.execute(walks, {"campaigns": ids, "senders": crowd.senders, "due_at": due_at})
    with database.transaction() as db:
        db.execute(sql("bench.analyze"))
    return ids


def calm(database: Database) -> None:
    """The server has done what a million new rows leave it to do; it would do it beside whatever is measured next."""
    with database.session() as db:
        db.execute(sql("bench.vacuum"))
        db.execute(sql("bench.checkpoint"))


def make_list(database: Database, crowd: Crowd) -> None:
    """A list of all leads, and a tag that each tenth has."""
    with database.transaction() as db:
        db.execute(sql("bench.unchecked"))
        db.execute(sql("bench.make_list"), {"workspace_id": crowd.workspace_id})
        db.execute(sql("bench.make_tags"))


def make_threads(database: Database) -> None:
    """A conversation with each fiftieth lead that was mailed."""
    with database.transaction() as db:
        db.execute(sql("bench.unchecked"))
        db.execute(sql("bench.make_threads"))
    with database.transaction() as db:
        db.execute(sql("bench.analyze"))


def use_up(database: Database) -> None:
    """Every sender has sent what it may today (and tomorrow, should midnight come)."""
    with database.transaction() as db:
        db.execute(sql("bench.use_up"))


def rest(database: Database, campaigns: list[int]) -> None:
    """These campaigns are paused."""
    with database.transaction() as db:
        db.execute(sql("bench.rest"), {"campaigns": campaigns})


def make_sent(database: Database, senders: int) -> list[int]:
    """The mail of every walk, sent; their ids."""
    with database.transaction() as db:
        db.execute(sql("bench.unchecked"))
        db.execute(sql("bench.make_sent"), {"senders": senders})
    with database.transaction() as db:
        db.execute(sql("bench.analyze"))
        return [row["id"] for row in db.execute(sql("bench.sent_ids"))]


def make_events(database: Database, ids: list[int], events: int, chunk: int = 250_000) -> None:
    """So many events about these mails, whose ids follow each other; over two connections, because one keeps one processor busy."""

    def make(first: int) -> None:
        values = {"first": first, "last": min(first + chunk, events) - 1, "base": ids[0], "mails": len(ids)}
        with database.transaction() as db:
            db.execute(sql("bench.make_events"), values)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(make, range(0, events, chunk)))


def count_hits(database: Database) -> int:
    """Hits in the ledger, counted ones included."""
    with database.transaction() as db:
        row = db.execute(sql("bench.count_hits")).fetchone()
    assert row is not None
    return int(row["n"])


def count_left(database: Database, ids: list[int]) -> int:
    """To how many of these mails' leads no more is sent."""
    with database.transaction() as db:
        row = db.execute(sql("bench.count_left"), {"ids": ids}).fetchone()
    assert row is not None
    return int(row["n"])


def sent_mails(database: Database) -> list[Row]:
    """`message_id`, `email` and `address` (whose mailbox) of everything that was sent."""
    with database.transaction() as db:
        return db.execute(sql("bench.sent_mails")).fetchall()


def make_mailboxes(database: Database, mailboxes: int) -> None:
    """So many more senders."""
    with database.transaction() as db:
        db.execute(sql("bench.make_mailboxes"), {"mailboxes": mailboxes})


def open_mailboxes(database: Database, port: int) -> None:
    """All senders' mailboxes are to be read, at `localhost`."""
    with database.transaction() as db:
        db.execute(sql("bench.open_mailboxes"), {"port": port})


def count_read(database: Database) -> int:
    """Messages of inboxes that were read, as far as the cursors stand."""
    with database.transaction() as db:
        row = db.execute(sql("bench.count_read")).fetchone()
    assert row is not None
    return int(row["n"])


def read_upto(database: Database, addresses: Sequence[str]) -> dict[str, int]:
    """Up to which number the messages of each of these senders' inboxes are facts."""
    with database.transaction() as db:
        rows = db.execute(sql("bench.read_upto"), {"addresses": list(addresses)}).fetchall()
    return {row["address"]: row["uid"] for row in rows}


def count_settled(database: Database) -> int:
    """Received messages that were made facts about mails of ours."""
    with database.transaction() as db:
        row = db.execute(sql("bench.count_settled")).fetchone()
    assert row is not None
    return int(row["n"])


def make_addresses(database: Database, leads: int, domains: int) -> tuple[int, int]:
    """A list of so many leads at so many domains that nobody has looked up; the ids of its workspace and of the list."""
    with database.transaction() as db:
        db.execute(sql("bench.unchecked"))
        workspace = db.execute(sql("bench.make_workspace")).fetchone()
        assert workspace is not None
        values = {"workspace_id": workspace["id"], "leads": leads, "domains": domains}
        made = db.execute(sql("bench.make_addresses"), values).fetchone()
        assert made is not None
    with database.transaction() as db:
        db.execute(sql("bench.analyze"))
    return workspace["id"], made["id"]


def sending_time(db: Connection, campaign_id: int) -> float:
    """Seconds from the planning of a campaign's first mail to the settling of its last."""
    row = db.execute(sql("bench.sending_time"), {"campaign_id": campaign_id}).fetchone()
    assert row is not None
    return float(row["seconds"])
