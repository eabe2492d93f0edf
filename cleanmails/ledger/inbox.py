"""What comes back: messages that were received, and the conversations they are part of."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from cleanmails.errors import NotFoundError
from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql
from cleanmails.records import Attachment, Inbound, Meaning


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is written down of a message: its `state` (`settled`, `review`), its kind, and whose it is, if that is known."""

    state: str
    kind: str
    evidence: dict[str, Any]
    thread_id: int | None = None
    campaign_id: int | None = None
    lead_id: int | None = None
    delivery_id: int | None = None


def mailbox(db: Connection, sender_id: int, from_address: str) -> Row | None:
    """`workspace_id` and `address` of a sender; `own`: it is one of our own that writes, `erased`: somebody who asked to be forgotten."""
    return db.execute(sql("inbox.mailbox"), {"sender_id": sender_id, "from_address": from_address}).fetchone()


def take(
    db: Connection,
    *,
    workspace_id: int,
    sender_id: int,
    digest: bytes,
    folder: str,
    uid: int,
    kind: str,
    now: datetime,
) -> int | None:
    """The id of a message that this mailbox never had before, held until this transaction ends; None if it did."""
    values = {
        "workspace_id": workspace_id,
        "sender_id": sender_id,
        "digest": digest,
        "folder": folder,
        "uid": uid,
        "kind": kind,
        "now": now,
    }
    row = db.execute(sql("inbox.take"), values).fetchone()
    return row["id"] if row else None


def seen(db: Connection, sender_id: int, digest: bytes) -> Row | None:
    """`id`, `state`, `kind`, `delivery_id`, `thread_id` of a message that was taken before."""
    return db.execute(sql("inbox.seen"), {"sender_id": sender_id, "digest": digest}).fetchone()


def by_message_id(db: Connection, workspace_id: int, ids: Sequence[str]) -> list[Row]:
    """Our mails that these Message-IDs lead to, in the order of `ids`."""
    values = {"workspace_id": workspace_id, "ids": list(ids)}
    return db.execute(sql("inbox.by_message_id"), values).fetchall() if ids else []


def by_address(
    db: Connection, workspace_id: int, sender_id: int, addresses: Sequence[str], *, until: datetime | None
) -> list[Row]:
    """The last mail of each walk from this sender to one of these addresses, sent before `until`."""
    values = {"workspace_id": workspace_id, "sender_id": sender_id, "addresses": list(addresses), "until": until}
    return db.execute(sql("inbox.by_address"), values).fetchall() if addresses else []


def settle_answer(db: Connection, workspace_id: int, ids: Sequence[str], now: datetime) -> bool:
    """Answers from here that these Message-IDs name have gone out; whether there is one."""
    values = {"workspace_id": workspace_id, "ids": list(ids), "now": now}
    return bool(ids) and db.execute(sql("inbox.settle_answer"), values).rowcount > 0


def sent_mail(db: Connection, workspace_id: int, delivery_id: int) -> Row:
    """One mail of ours that was sent, or may have been. NotFoundError."""
    row = db.execute(sql("inbox.by_id"), {"workspace_id": workspace_id, "id": delivery_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such mail that was sent.")
    return row


def take_review(db: Connection, workspace_id: int, message_id: int) -> tuple[Inbound, Meaning] | None:
    """A message that waits for a person's word, held until this transaction ends; None if it does not wait (any more)."""
    row = db.execute(sql("inbox.take_review"), {"workspace_id": workspace_id, "id": message_id}).fetchone()
    if row is None:
        return None
    letter = Inbound(
        digest=row["digest"],
        message_id=row["message_id"],
        references=tuple(row["refs"]),
        from_address=row["from_address"],
        from_name=row["from_name"],
        subject=row["subject"],
        date=row["sent_at"],
        reply_to=row["reply_to"] or "",
        text=row["body"],
        reply=row["reply"],
        html=row["html"],
        attachments=msgspec.convert(row["attachments"], tuple[Attachment, ...]),
    )
    return letter, msgspec.convert(row["meaning"], Meaning, strict=False)


def colleagues(db: Connection, campaign_id: int, lead_id: int, *, domain: str, company: str, public: bool) -> list[int]:
    """Other leads of the same company who walk through a campaign; `public`: everybody may have an address at this domain."""
    values = {
        "campaign_id": campaign_id,
        "lead_id": lead_id,
        "domain": domain,
        "company": company.strip(),
        "public": public,
    }
    return [row["id"] for row in db.execute(sql("inbox.colleagues"), values)]


def lock_delivery(db: Connection, delivery_id: int) -> Row:
    """Its `state` and `failure` now; its walk must be held."""
    row = db.execute(sql("inbox.lock_delivery"), {"id": delivery_id}).fetchone()
    assert row is not None
    return row


def write_replied(db: Connection, delivery_id: int, now: datetime) -> None:
    """The mail was answered."""
    db.execute(sql("inbox.write_replied"), {"id": delivery_id, "now": now})


def write_bounced(db: Connection, delivery_id: int, now: datetime, meaning: Meaning, reason: str) -> bool:
    """The mail came back because its address is bad; whether that is new."""
    values = _failure(delivery_id, meaning, reason) | {"now": now}
    return db.execute(sql("inbox.write_bounced"), values).rowcount > 0


def write_returned(db: Connection, delivery_id: int, meaning: Meaning, reason: str) -> bool:
    """The mail came back for another cause; whether that is new."""
    return db.execute(sql("inbox.write_returned"), _failure(delivery_id, meaning, reason)).rowcount > 0


def _failure(delivery_id: int, meaning: Meaning, reason: str) -> dict[str, Any]:
    return {
        "id": delivery_id,
        "failure": meaning.failure,
        "reason": reason,
        "code": meaning.code,
        "said": meaning.said,
    }


def waiting_walks(db: Connection, workspace_id: int, lead_id: int) -> list[int]:
    """Campaigns in which a lead waits for a mail."""
    found = db.execute(sql("inbox.waiting_walks"), {"workspace_id": workspace_id, "lead_id": lead_id})
    return [row["campaign_id"] for row in found]


def postpone(db: Connection, lead_id: int, due: Mapping[int, datetime]) -> int:
    """No mail to a lead before these times, by campaign; his walks must be held. How many walks wait."""
    values = columns(("campaigns", "due"), sorted(due.items())) | {"lead_id": lead_id}
    return db.execute(sql("inbox.postpone"), values).rowcount


def keep_thread(
    db: Connection,
    row: Row,
    *,
    message_id: int,
    subject: str,
    snippet: str,
    kind: str,
    label: str | None,
    unread: bool,
    at: datetime,
) -> int:
    """The conversation with the lead of a delivery (`row`), moved to the top by a message; its id."""
    values = {
        "workspace_id": row["workspace_id"],
        "campaign_id": row["campaign_id"],
        "lead_id": row["lead_id"],
        "sender_id": row["sender_id"],
        "message_id": message_id,
        "subject": subject,
        "snippet": snippet,
        "kind": kind,
        "label": label,
        "unread": unread,
        "at": at,
    }
    found = db.execute(sql("inbox.keep_thread"), values).fetchone()
    assert found is not None
    return int(found["id"])


def find_thread(db: Connection, campaign_id: int, lead_id: int) -> int | None:
    """The conversation with a lead in a campaign, if there is one."""
    row = db.execute(sql("inbox.find_thread"), {"campaign_id": campaign_id, "lead_id": lead_id}).fetchone()
    return row["id"] if row else None


def has_complained(db: Connection, lead_id: int) -> bool:
    """Whether a complaint of this lead was counted before."""
    row = db.execute(sql("inbox.has_complained"), {"lead_id": lead_id}).fetchone()
    return row is not None and bool(row["complained"])


def write_message(db: Connection, message_id: int, letter: Inbound, meaning: Meaning, kept: Kept) -> None:
    """What is kept of a message that was taken."""
    values = msgspec.structs.asdict(kept) | {
        "id": message_id,
        "meaning": msgspec.json.encode(meaning).decode(),
        "evidence": msgspec.json.encode(kept.evidence).decode(),
        "message_id": letter.message_id,
        "from_address": letter.from_address,
        "from_name": letter.from_name,
        "subject": letter.subject,
        "body": letter.text,
        "reply": letter.reply,
        "html": letter.html,
        "attachments": msgspec.json.encode(letter.attachments[:100]).decode(),
        "refs": list(dict.fromkeys([*letter.references, *letter.in_reply_to])),
        "sent_at": letter.date,
        "reply_to": letter.reply_to or None,
    }
    db.execute(sql("inbox.write_message"), values)


def ignore_message(db: Connection, message_id: int, kind: str, evidence: dict[str, Any]) -> None:
    """Nothing of a message is kept but that it was seen."""
    values = {"id": message_id, "kind": kind, "evidence": msgspec.json.encode(evidence).decode()}
    db.execute(sql("inbox.ignore_message"), values)
