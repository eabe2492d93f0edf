"""hits: what was written down by the web processes is judged, mail by mail, and has its consequences: triggers, events, ways out of `unknown`."""

import argparse
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from cleanmails import log, settings
from cleanmails.actors import evidence
from cleanmails.actors.work import Work
from cleanmails.errors import BusyError, SettingsError
from cleanmails.ledger import events, hits, workers
from cleanmails.ledger.db import Connection, Database, Row
from cleanmails.ledger.events import Event
from cleanmails.records import DeliveryState
from cleanmails.rules import hits as rules
from cleanmails.rules.hits import Hit, Judged, Verdict

logger = log.get(__name__)

EVERY_SECONDS: Final = 1.0
RIPE: Final = timedelta(seconds=1.5)
"""How long a hit waits, so that the rest of a scanner's burst is seen with it."""

LIMIT: Final = 5_000

Kind = Literal["open", "click"]
_KINDS: Final[tuple[Kind, Kind]] = ("open", "click")


class Done(msgspec.Struct, frozen=True):
    """What one round judged: mails looked at, hits whose verdict is new, and mails that were opened or clicked by a person for all we knew, or were not."""

    mails: int = 0
    hits: int = 0
    changed: int = 0


def keep(work: Work) -> None:
    """The judge's thread: every second until the process stops. Every upkeep worker has one; one judges at a time."""
    while not work.stop.wait(EVERY_SECONDS):
        try:
            while judge_ripe(work.database).mails:
                pass
        except BusyError as error:
            logger.warning("hits.wait", reason=error.message)
        except Exception:
            # The next round may well go through, and nobody else opens the triggers.
            logger.exception("hits.failed")


def start(work: Work) -> threading.Thread:
    """Starts the thread."""
    thread = threading.Thread(target=keep, args=(work,), name="hits", daemon=True)
    thread.start()
    return thread


def judge_ripe(database: Database, *, ripe: timedelta = RIPE, limit: int = LIMIT) -> Done:
    """Judges what has waited long enough. Nothing, if another process is at it."""
    with database.transaction() as db:
        if not hits.try_judge(db):
            return Done()
        ids = hits.ripe(db, before=workers.now(db) - ripe, limit=limit)
        if not ids:
            return Done()
        done, settled = _judge(db, ids)
    _prove(database, settled)
    logger.info("hits.judged", mails=done.mails, hits=done.hits, changed=done.changed)
    return done


def reclassify(argv: Sequence[str]) -> int:
    """`cleanmails reclassify`: judges every hit again by the rules of this version, and mends triggers and statistics where a verdict changed."""
    argparse.ArgumentParser(prog="cleanmails reclassify", description=reclassify.__doc__).parse_args(argv)
    configured = settings.load(os.environ)
    log.configure("console", level="WARNING")
    if configured.database_url is None:
        raise SettingsError("DATABASE_URL must be set: there are no hits to judge.")
    with Database(configured.database_url, size=1, name="cleanmails reclassify") as database:
        done = reclassify_all(database)
    print(f"{done.mails} mails looked at, {done.hits} hits judged otherwise, {done.changed} mails changed.")
    return 0


def reclassify_all(database: Database, *, step: int = 1_000) -> Done:
    """Judges every hit of every mail again, in transactions of `step` mails; may be broken off and begun anew at any time."""
    after, total = 0, Done()
    while True:
        with database.transaction() as db:
            ids = hits.next_deliveries(db, after=after, limit=step)
            if not ids:
                return total
            done, settled = _judge(db, ids)
        _prove(database, settled)
        after = ids[-1]
        total = Done(total.mails + done.mails, total.hits + done.hits, total.changed + done.changed)


def _judge(db: Connection, ids: Sequence[int]) -> tuple[Done, list[Row]]:
    """Judges all hits of these mails; the mails of unknown outcome that a person has had in hands."""
    rows = hits.lock_deliveries(db, ids)
    found = hits.of_deliveries(db, [row["id"] for row in rows])
    verdicts: list[tuple[int, str, Sequence[str]]] = []
    firsts: dict[int, tuple[datetime | None, datetime | None]] = {}
    told: list[Event] = []
    proven: list[Row] = []
    for row in rows:
        its = found.get(row["id"], [])
        judged = rules.judge([_hit(each) for each in its], sent_at=row["sent_at"], links=_count(row))
        verdicts += [(each["id"], *_plain(judged[each["id"]])) for each in its if _differs(each, judged[each["id"]])]
        opened, clicked = (_first(its, judged, kind) for kind in _KINDS)
        if (opened, clicked) != (row["opened_at"], row["clicked_at"]):
            firsts[row["id"]] = opened, clicked
        told += _news(row, its, judged)
        if row["state"] == DeliveryState.UNKNOWN and (opened or clicked):
            proven.append(row)
    hits.write_verdicts(db, verdicts)
    hits.write_engagement(db, firsts)
    events.append(db, told)
    return Done(len(rows), len(verdicts), len(told)), proven


def _hit(row: Row) -> Hit:
    return Hit(
        id=row["id"],
        kind=row["kind"],
        at=row["at"],
        link=row["link"],
        method=row["method"],
        remote=row["remote"],
        user_agent=row["user_agent"],
    )


def _count(row: Row) -> int:
    return sum(link is not None for link in row["links"] or ())


def _plain(judged: Judged) -> tuple[str, Sequence[str]]:
    return judged.verdict.value, judged.reasons


def _differs(row: Row, judged: Judged) -> bool:
    return (row["verdict"], tuple(row["reasons"])) != (judged.verdict.value, judged.reasons)


def _first(its: Sequence[Row], judged: Mapping[int, Judged], kind: Kind) -> datetime | None:
    """When a person first did it."""
    return next(
        (each["at"] for each in its if each["kind"] == kind and judged[each["id"]].verdict is Verdict.HUMAN), None
    )


def _news(row: Row, its: Sequence[Row], judged: Mapping[int, Judged]) -> Iterator[Event]:
    """An event for each kind of hit of which something else is thought now than before: its verdict, and what it was (`was`), if anything.

    So a mail has one event when a machine opens it and one more when a person does; whoever counts adds the one and takes off the other.
    """
    for kind in _KINDS:
        of_kind = [each for each in its if each["kind"] == kind]
        was = rules.best([Verdict(each["verdict"]) for each in of_kind if each["verdict"] is not None])
        now = rules.best([judged[each["id"]].verdict for each in of_kind])
        if now is None or now is was:
            continue
        hit = next(each for each in of_kind if judged[each["id"]].verdict is now)
        data = {
            "step": row["step"],
            "email": row["email"],
            "verdict": now.value,
            "was": was.value if was else None,
            "reasons": list(judged[hit["id"]].reasons),
            "at": hit["at"].isoformat(),
        }
        if kind == "click" and hit["link"]:
            data["url"] = row["links"][hit["link"] - 1]
        yield Event(
            type="email.opened" if kind == "open" else "email.clicked",
            workspace_id=row["workspace_id"],
            campaign_id=row["campaign_id"],
            lead_id=row["lead_id"],
            delivery_id=row["id"],
            sender_id=row["sender_id"],
            data=data,
        )


def _prove(database: Database, rows: Sequence[Row]) -> None:
    """Who has opened a mail has got it: what was unknown counts as sent. In transactions of their own, because walks are locked before deliveries."""
    by_workspace: dict[int, list[int]] = {}
    for row in rows:
        by_workspace.setdefault(row["workspace_id"], []).append(row["id"])
    for workspace_id, ids in by_workspace.items():
        with database.transaction() as db:
            evidence.assume_sent(db, workspace_id, ids, "opened")
