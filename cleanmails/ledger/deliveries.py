"""The ledger's moves of a delivery: taken, rendered, marked, settled, put back. Each names the state it leaves and the token it holds.

Locks are taken in one order: campaign_leads, deliveries, sender_days, senders. What no row comes back for has moved on without us.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime

import msgspec

from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Own, Row
from cleanmails.ledger.statements import sql
from cleanmails.records import DeliveryState, FailureClass, Move

Held = tuple[int, int]
"""A delivery's id and the fencing token under which it is held."""


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that was made: its bytes, and what the ledger keeps of it. `subject_index` is the A/B choice, None in a continued thread.

    `links`: where its wrapped links lead, by their number (from 1; None for a number it does not use); None if nothing is wrapped.
    """

    id: int
    token: int
    raw: bytes
    hash: bytes
    message_id: str
    mail_date: datetime
    subject: str
    subject_index: int | None
    starts_thread: bool
    links: tuple[str | None, ...] | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The decided end of an attempt, as `write_results` puts it into the ledger. `counts` says whether it uses up one of the lead's tries."""

    id: int
    token: int
    state: DeliveryState
    counts: bool
    reason: str | None
    failure: FailureClass | None
    code: int | None
    text: str
    at: datetime


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one SMTP attempt. `outcome`: accepted, refused (an answer), broken (none, before the dot), unknown (none, after it).

    `marked_at`: when the ledger committed that its dot may be written; None if it never came so far.
    """

    id: int
    token: int
    workspace_id: int
    sender_id: int
    outcome: str
    stage: str
    code: int | None
    enhanced: str | None
    text: str
    failure: FailureClass | None
    rule: str | None
    marked_at: datetime | None
    started_at: datetime
    finished_at: datetime


def take_planned(db: Connection, ids: Sequence[int], worker_id: int) -> list[Held]:
    """Takes those of `ids` that are planned and free; the lease is the worker's."""
    rows = db.execute(sql("deliveries.take_planned"), {"ids": list(ids), "worker_id": worker_id})
    return [(row["id"], row["token"]) for row in rows]


def render_facts(db: Connection, held: Sequence[Held]) -> list[Row]:
    """Everything these mails are made of, a row a mail (see the statements for their columns)."""
    facts = db.execute(sql("deliveries.render_facts"), columns(("ids", "tokens"), held)).fetchall()
    steps = {(row["campaign_id"], row["step"]) for row in facts}
    found = db.execute(sql("deliveries.render_words"), columns(("campaigns", "steps"), sorted(steps)))
    words = {(row["campaign_id"], row["step"]): row for row in found}
    return [row | words[row["campaign_id"], row["step"]] for row in facts]


def dkim_key(db: Connection, key_id: int) -> bytes:
    """The sealed private key."""
    row = db.execute(sql("deliveries.dkim_key"), {"id": key_id}).fetchone()
    assert row is not None
    return bytes(row["private_sealed"])


def write_rendered(db: Connection, now: datetime, mails: Iterable[Rendered]) -> dict[int, list[int]]:
    """Keeps the bytes; returns the ids that are ready now, by sender."""
    rows = [
        (
            m.id,
            m.token,
            m.raw,
            m.hash,
            m.message_id,
            m.mail_date,
            m.subject,
            m.subject_index,
            m.starts_thread,
            None if m.links is None else msgspec.json.encode(m.links).decode(),
        )
        for m in mails
    ]
    names = ("ids", "tokens", "raws", "hashes", "message_ids", "dates", "subjects", "indexes", "starts", "links")
    ready: dict[int, list[int]] = {}
    for row in db.execute(sql("deliveries.write_rendered"), columns(names, rows) | {"now": now}):
        ready.setdefault(row["sender_id"], []).append(row["id"])
    return ready


def lock_walks(
    db: Connection, walks: Iterable[tuple[int, int]], *, all_of: Collection[int] = ()
) -> dict[tuple[int, int], Row]:
    """Locks the walks (campaign id, lead id), first of the lock order; `state` and `step` of each. `all_of`: every walk of these leads too."""
    values = columns(("campaigns", "leads"), sorted(set(walks)))
    if all_of:
        found = db.execute(sql("deliveries.lock_walks_and_all_of"), values | {"all_of": sorted(all_of)})
    else:
        found = db.execute(sql("deliveries.lock_walks"), values)
    return {(row["campaign_id"], row["lead_id"]): row for row in found}


def write_held(db: Connection, held: Iterable[tuple[int, int, str]]) -> None:
    """Mails that cannot be made: (id, token, reason). Their walks must be locked."""
    db.execute(sql("deliveries.write_held"), columns(("ids", "tokens", "reasons"), held))


def put_back(db: Connection, now: datetime, back: Iterable[tuple[int, int, str]]) -> dict[tuple[int, date], int]:
    """Deliveries that leave the pipe unsent (id, token, reason), to be planned again. Their walks must be locked.

    Returns how many came back by sender and the UTC day they had been planned on.
    """
    found = db.execute(sql("deliveries.put_back"), columns(("ids", "tokens", "reasons"), back) | {"now": now})
    return {(row["sender_id"], row["day"]): row["n"] for row in found}


def cancel_stranded(db: Connection, now: datetime, ids: Sequence[int]) -> None:
    """Cancels those of `ids` that wait for another attempt though their walk has ended meanwhile. Their walks must be locked."""
    db.execute(sql("deliveries.cancel_stranded"), {"ids": list(ids), "now": now})


def release(db: Connection, ids: Sequence[int], worker_id: int) -> None:
    """What this worker holds of `ids` and cannot finish belongs to nobody from here on."""
    db.execute(sql("deliveries.release"), {"ids": list(ids), "worker_id": worker_id})


def let_go(db: Connection, now: datetime, held: Iterable[Held]) -> None:
    """Gives rendered mails back to their queue untouched."""
    db.execute(sql("deliveries.let_go"), columns(("ids", "tokens"), held) | {"now": now})


def set_aside(db: Connection, held: Iterable[Held]) -> None:
    """Gives planned mails up until a model has answered what they ask."""
    db.execute(sql("deliveries.set_aside"), columns(("ids", "tokens"), held))


def release_sender(db: Connection, sender_id: int, worker_id: int) -> None:
    """What this worker holds of a sender's rendered mails and cannot finish belongs to nobody from here on."""
    db.execute(sql("deliveries.release_sender"), {"sender_id": sender_id, "worker_id": worker_id})


def take_rendered(db: Connection, sender_id: int, worker_id: int, limit: int) -> list[Row]:
    """Takes what is rendered and free of a sender, at most `limit`, with the bytes and what stands `against` each, if anything."""
    values = {"sender_id": sender_id, "worker_id": worker_id, "limit": limit}
    # As text, every byte of a mail would come as two digits.
    return db.execute(sql("deliveries.take_rendered"), values, binary=True).fetchall()


def sender(db: Connection, sender_id: int) -> Row | None:
    """Where a sender's mail is handed in, sealed password included, and what stands `against` sending by it now."""
    return db.execute(sql("deliveries.sender"), {"id": sender_id}).fetchone()


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What the last word before the dot is asked with. `gap` seconds keep the sender busy afterwards; `lease` is the worker's, in seconds."""

    id: int
    token: int
    campaign_id: int
    lead_id: int
    sender_id: int
    worker_id: int
    gap: float
    lease: float


def mark_sending(db: Own, marks: Sequence[Mark]) -> set[int]:
    """Commits that these mails, each of another sender, are about to be accepted; the ids of those whose dot may be written.

    Any error leaves it open whether the commit happened: no dot then.
    """
    names = ("ids", "tokens", "campaigns", "leads", "senders", "workers", "gaps")
    rows = [(m.id, m.token, m.campaign_id, m.lead_id, m.sender_id, m.worker_id, m.gap) for m in marks]
    values = columns(names, rows) | {"lease": max(m.lease for m in marks)}
    return {row["id"] for row in db.all(sql("deliveries.mark_sending"), values)}


def why_not(db: Connection, mark: Mark) -> str:
    """The reason code for which a mark was refused: `fenced` needs nothing more, any other puts the delivery back."""
    row = db.execute(sql("deliveries.why_not"), msgspec.structs.asdict(mark)).fetchone()
    return "fenced" if row is None else str(row["reason"])


def lock_results(db: Connection, held: Sequence[Held]) -> dict[int, Row]:
    """Locks the deliveries that are still held by these tokens; the state they leave and what deciding needs, by id."""
    found = db.execute(sql("deliveries.lock_results"), columns(("ids", "tokens"), held))
    return {row["id"]: row for row in found}


def write_results(db: Connection, results: Iterable[Result]) -> None:
    """The ends of attempts. Their rows must be locked."""
    rows = [(r.id, r.token, r.state, int(r.counts), r.reason, r.failure, r.code, r.text, r.at) for r in results]
    names = ("ids", "tokens", "states", "tries", "reasons", "failures", "codes", "texts", "ats")
    db.execute(sql("deliveries.write_results"), columns(names, rows))


def write_attempts(db: Connection, attempts: Iterable[Attempt]) -> None:
    """The records of these attempts."""
    rows = [msgspec.structs.astuple(a) for a in attempts]
    names = (
        "ids",
        "tokens",
        "workspaces",
        "senders",
        "outcomes",
        "stages",
        "codes",
        "enhanced",
        "texts",
        "failures",
        "rules",
        "marked",
        "started",
        "finished",
    )
    db.execute(sql("deliveries.write_attempts"), columns(names, rows))


def move_walks(db: Connection, now: datetime, moves: Iterable[Move]) -> None:
    """The walks go on. They must be locked."""
    rows = [msgspec.structs.astuple(m) for m in moves]
    names = ("campaigns", "leads", "states", "steps", "due", "outcomes", "holds", "settled", "last")
    db.execute(sql("deliveries.move_walks"), columns(names, rows) | {"now": now})


def drop_bytes(db: Connection, ids: Sequence[int]) -> None:
    """Forgets the bytes of mails that are settled for good."""
    db.execute(sql("deliveries.drop_bytes"), {"ids": list(ids)})


def forget(db: Connection, ids: Sequence[int]) -> None:
    """Forgets the bytes and attempts of deliveries that were just deleted."""
    db.execute(sql("deliveries.forget"), {"ids": list(ids)})


def give_back_day(db: Connection, refused: Mapping[tuple[int, date], int]) -> None:
    """Takes marks that ended in a refusal off the sender's day."""
    rows = [(sender_id, day, n) for (sender_id, day), n in sorted(refused.items())]
    db.execute(sql("deliveries.give_back_day"), columns(("senders", "days", "counts"), rows))


def lock_sender(db: Connection, sender_id: int) -> Row | None:
    """The sender's health, errors in a row, status and cooldown, locked."""
    return db.execute(sql("deliveries.lock_sender"), {"id": sender_id}).fetchone()


class SenderState(msgspec.Struct, frozen=True, kw_only=True):
    """What attempts made of a sender. `cooldown_until` and `last_error` stay what they were where they are None; `restrict`: until it is tested.

    `lowest` is the least health on the way to `health`, `errors` how many of the attempts went wrong.
    """

    id: int
    health: int
    lowest: int
    errors: int
    errors_in_row: int
    cooldown_until: datetime | None
    restrict: bool
    last_error: str | None
    now: datetime


def write_sender(db: Connection, state: SenderState) -> None:
    """Writes it down."""
    db.execute(sql("deliveries.write_sender"), msgspec.structs.asdict(state))


def abandoned(db: Connection, *, patience: float, lease: float, limit: int) -> list[Row]:
    """Deliveries in the pipe whose worker has died (`lease` seconds without a beat), or that nobody came for in `patience` seconds."""
    return db.execute(sql("deliveries.abandoned"), {"patience": patience, "lease": lease, "limit": limit}).fetchall()


def requeue(db: Connection, held: Iterable[tuple[int, int | None]]) -> list[Row]:
    """Back to the queue, fencing whoever held them; `id`, `state` and `sender_id` of each."""
    return db.execute(sql("deliveries.requeue"), columns(("ids", "tokens"), held)).fetchall()


def make_unknown(db: Connection, held: Iterable[Held], reason: str) -> list[Row]:
    """From `sending` to `unknown`, because nobody is left who could know; their walks are held. Their walks must be locked."""
    return db.execute(sql("deliveries.make_unknown"), columns(("ids", "tokens"), held) | {"reason": reason}).fetchall()
