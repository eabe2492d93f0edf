"""inbox: a received message becomes facts, once. What it is, whose it is, and what follows, in one transaction.

    settled = settle(work, sender_id, folder, uid, raw, now)

Nothing in a message makes this fail. BusyError: the ledger does not answer, or the mail that it is about is being sent at this moment; nothing was changed, and
the same message is to be brought again.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, time
from typing import Any, Final

import msgspec

from cleanmails import log
from cleanmails.actors import evidence, record
from cleanmails.actors.work import Kit
from cleanmails.errors import BusyError
from cleanmails.ledger import campaign_runs, deliveries, events, inbox, planning, suppressions, walks
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.events import Event
from cleanmails.ledger.inbox import Kept
from cleanmails.ledger.suppressions import Entry
from cleanmails.mail import inbound
from cleanmails.records import DeliveryState, FailureClass, Inbound, InboundKind, Meaning, WalkOutcome
from cleanmails.rules import address, failures, health, outcome, providers, waits, zones
from cleanmails.rules import inbox as rules
from cleanmails.rules.inbox import whose
from cleanmails.rules.inbox.whose import Candidate, Found, Nobody, Several, Whose

logger = log.get(__name__)

AWAY_DAYS: Final = 3
"""How long somebody is taken to be away who does not say until when."""

_SNIPPET: Final = 200
_PROOFS: Final = {
    InboundKind.REPLY: "a reply",
    InboundKind.OPT_OUT: "a reply",
    InboundKind.AUTO_REPLY: "an automatic answer",
    InboundKind.BOUNCE: "a bounce",
    InboundKind.FEEDBACK: "a complaint",
}
"""What each kind of message proves of a mail of which it is unknown whether it was sent."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message. `state`: `settled`, `review` (a person has to say whose it is), `ignored` (none of ours).

    `fresh`: it was not seen before in this mailbox, in whichever folder. `kind` is that of `records.InboundKind`, or `own`.
    """

    message_id: int | None
    state: str
    kind: str
    fresh: bool
    delivery_id: int | None = None
    thread_id: int | None = None


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """A message in hand: what it says, and the mail of ours that it is about."""

    kit: Kit
    db: Connection
    id: int
    letter: Inbound
    meaning: Meaning
    row: Row
    now: datetime
    tier: str


def settle(work: Kit, sender_id: int, folder: str, uid: int, raw: bytes, now: datetime) -> Settled:
    """Makes facts of one message that was found in a sender's mailbox (`folder` and `uid` say where). The same message again changes nothing.

    `raw` are its bytes (RFC 5322, cut or not), `now` the ledger's time. BusyError as above.
    """
    letter, meaning = _read(raw, now)
    with work.database.transaction() as db:
        box = inbox.mailbox(db, sender_id, letter.from_address)
        if box is None:
            return Settled(message_id=None, state="ignored", kind=meaning.kind, fresh=False)
        workspace_id = box["workspace_id"]
        id = inbox.take(
            db, workspace_id=workspace_id, sender_id=sender_id, digest=letter.digest, folder=folder, uid=uid, kind=meaning.kind, now=now
        )  # fmt: skip
        if id is None:
            return _again(db, sender_id, letter, meaning)
        if box["own"] and meaning.kind not in (InboundKind.BOUNCE, InboundKind.FEEDBACK):
            settled = _own(db, workspace_id, id, letter, meaning, now)
        elif box["erased"]:
            inbox.ignore_message(db, id, meaning.kind, {"why": "erased"})
            settled = Settled(message_id=id, state="ignored", kind=meaning.kind, fresh=True)
        else:
            rows, found = _whose(db, workspace_id, sender_id, letter, meaning)
            settled = _settle(work, db, workspace_id, id, letter, meaning, rows, found, now)
    _after(work, settled, meaning)
    return settled


def _read(raw: bytes, now: datetime) -> tuple[Inbound, Meaning]:
    """What a message says. One that cannot be read, by a fault of ours, holds up no other: a person is told to look for it in the mailbox."""
    try:
        letter = inbound.parse(raw)
        return letter, rules.judge(letter, now)
    except Exception:
        logger.exception("message.unreadable", size=len(raw))
        letter = Inbound(digest=hashlib.sha256(raw).digest(), subject="A message that could not be read")
        return letter, Meaning(kind=InboundKind.UNRELATED, reasons=("unreadable",))


def decide(work: Kit, workspace_id: int, message_id: int, delivery_id: int | None, now: datetime) -> Settled | None:
    """A person says which mail a message in review is about; None: about none. None is answered if it is not in review (any more).

    NotFoundError if there is no such mail.
    """
    with work.database.transaction() as db:
        taken = inbox.take_review(db, workspace_id, message_id)
        if taken is None:
            return None
        letter, meaning = taken
        if delivery_id is None:
            inbox.ignore_message(db, message_id, meaning.kind, {"tier": "person"})
            return Settled(message_id=message_id, state="ignored", kind=meaning.kind, fresh=False)
        row = inbox.sent_mail(db, workspace_id, delivery_id)
        found = Found(delivery_id, "person")
        settled = _settle(work, db, workspace_id, message_id, letter, meaning, [row], found, now)
    _after(work, settled, meaning)
    return settled


def _again(db: Connection, sender_id: int, letter: Inbound, meaning: Meaning) -> Settled:
    row = inbox.seen(db, sender_id, letter.digest)
    if row is None:  # taken by a transaction that this one cannot see, and that has committed
        return Settled(message_id=None, state="settled", kind=meaning.kind, fresh=False)
    return Settled(
        message_id=row["id"],
        state=row["state"],
        kind=row["kind"],
        fresh=False,
        delivery_id=row["delivery_id"],
        thread_id=row["thread_id"],
    )


def _whose(
    db: Connection, workspace_id: int, sender_id: int, letter: Inbound, meaning: Meaning
) -> tuple[list[Row], Whose]:
    """The mails that a message may be about, and which of them it is."""
    if "unreadable" in meaning.reasons:
        return [], Several((), "unreadable")
    rows = inbox.by_message_id(db, workspace_id, meaning.message_ids)
    found = whose.by_ids(letter, meaning, _candidates(rows))
    if not isinstance(found, Nobody):
        return rows, found
    until = letter.date + whose.CLOCKS_DIFFER if letter.date else None
    rows = inbox.by_address(db, workspace_id, sender_id, whose.asked_addresses(letter, meaning), until=until)
    return rows, whose.by_addresses(letter, meaning, _candidates(rows))


def _candidates(rows: Sequence[Row]) -> list[Candidate]:
    return [msgspec.convert({**row, "subject": row["subject"] or ""}, Candidate) for row in rows]


def _settle(
    work: Kit,
    db: Connection,
    workspace_id: int,
    id: int,
    letter: Inbound,
    meaning: Meaning,
    rows: Sequence[Row],
    found: Whose,
    now: datetime,
) -> Settled:
    match found:
        case Found(delivery_id=delivery_id, tier=tier):
            row = next(each for each in rows if each["id"] == delivery_id)
            return _effect(_Case(kit=work, db=db, id=id, letter=letter, meaning=meaning, row=row, now=now, tier=tier))
        case Several(delivery_ids=delivery_ids, why=why):
            kept = Kept(state="review", kind=meaning.kind, evidence={"why": why, "candidates": list(delivery_ids)})
            inbox.write_message(db, id, letter, meaning, kept)
            return Settled(message_id=id, state="review", kind=meaning.kind, fresh=True)
        case Nobody():
            return _nobodys(db, workspace_id, id, letter, meaning)


def _nobodys(db: Connection, workspace_id: int, id: int, letter: Inbound, meaning: Meaning) -> Settled:
    """About none of our mails. Who wants no more mail is heard all the same: he may write from another address than the one that was mailed."""
    if meaning.kind is InboundKind.OPT_OUT and (who := _normal(letter.from_address)):
        suppressions.leave_by_mail(db, workspace_id, who, None)
        kept = Kept(state="settled", kind=meaning.kind, evidence={"tier": "nobody"})
        inbox.write_message(db, id, msgspec.structs.replace(letter, text="", reply="", html=""), meaning, kept)
        return Settled(message_id=id, state="settled", kind=meaning.kind, fresh=True)
    inbox.ignore_message(db, id, meaning.kind, {"why": "nobody"})
    return Settled(message_id=id, state="ignored", kind=meaning.kind, fresh=True)


def _own(db: Connection, workspace_id: int, id: int, letter: Inbound, meaning: Meaning, now: datetime) -> Settled:
    """What we wrote ourselves never counts. A copy of a mail proves that it went out; what a person wrote by hand belongs to the conversation."""
    own_id = [letter.message_id] if letter.message_id else []
    if inbox.settle_answer(db, workspace_id, own_id, now):
        inbox.ignore_message(db, id, "own", {"why": "answer"})
        return Settled(message_id=id, state="ignored", kind="own", fresh=True)
    copies = inbox.by_message_id(db, workspace_id, own_id)
    if mine := next((row for row in copies if row["message_id"] == letter.message_id), None):
        if mine["state"] == DeliveryState.UNKNOWN:
            evidence.assume_sent(db, workspace_id, [mine["id"]], "a copy in Sent")
        inbox.ignore_message(db, id, "own", {"copy_of": mine["id"]})
        return Settled(message_id=id, state="ignored", kind="own", fresh=True, delivery_id=mine["id"])
    ids = tuple(dict.fromkeys([*letter.in_reply_to, *reversed(letter.references)]))
    rows = inbox.by_message_id(db, workspace_id, ids)
    found = whose.by_ids(letter, meaning, _candidates(rows))
    thread_id = None
    if isinstance(found, Found):
        row = next(each for each in rows if each["id"] == found.delivery_id)
        thread_id = inbox.find_thread(db, row["campaign_id"], row["lead_id"])
    if not isinstance(found, Found) or thread_id is None:
        inbox.ignore_message(db, id, "own", {"why": "own"})
        return Settled(message_id=id, state="ignored", kind="own", fresh=True)
    snippet = _snippet(letter)
    inbox.keep_thread(
        db, row, message_id=id, subject=letter.subject, snippet=snippet, kind="own", label=None, unread=False, at=now
    )
    kept = Kept(
        state="settled",
        kind="own",
        evidence={"tier": found.tier},
        thread_id=thread_id,
        campaign_id=row["campaign_id"],
        lead_id=row["lead_id"],
        delivery_id=row["id"],
    )
    inbox.write_message(db, id, letter, meaning, kept)
    return Settled(message_id=id, state="settled", kind="own", fresh=True, delivery_id=row["id"], thread_id=thread_id)


def _effect(case: _Case) -> Settled:
    """What follows from a message that is about one of our mails. Walks are held first, all that this may end, in the one order."""
    db, row, meaning = case.db, case.row, case.meaning
    others = _colleagues(case)
    walks.hold(db, row["workspace_id"], [row["lead_id"], *others])
    state = inbox.lock_delivery(db, row["id"])["state"]
    if state == DeliveryState.SENDING:
        raise BusyError("The mail that this is about is being sent right now.", code="mail_on_its_way")
    kind = InboundKind.REPLY if meaning.kind is InboundKind.UNRELATED else meaning.kind
    if state == DeliveryState.UNKNOWN and kind in _PROOFS:
        evidence.assume_sent(db, row["workspace_id"], [row["id"]], _PROOFS[kind])
    done: dict[str, Any] = {}
    match kind:
        case InboundKind.REPLY:
            done = _reply(case, others)
        case InboundKind.OPT_OUT:
            done = _opt_out(case)
        case InboundKind.AUTO_REPLY:
            done = _automatic(case)
        case InboundKind.BOUNCE:
            done = _bounce(case)
        case InboundKind.FEEDBACK:
            done = _feedback(case)
    thread_id = _thread(case, kind)
    kept = Kept(
        state="settled",
        kind=kind,
        evidence={"tier": case.tier, "named": row["named"], **done},
        thread_id=thread_id,
        campaign_id=row["campaign_id"],
        lead_id=row["lead_id"],
        delivery_id=row["id"],
    )
    inbox.write_message(db, case.id, case.letter, meaning, kept)
    return Settled(
        message_id=case.id, state="settled", kind=kind, fresh=True, delivery_id=row["id"], thread_id=thread_id
    )


def _colleagues(case: _Case) -> list[int]:
    """Whose walks a reply ends beside that of who wrote it."""
    row = case.row
    answered = case.meaning.kind in (InboundKind.REPLY, InboundKind.UNRELATED)
    if not (answered and row["stop_company_on_reply"] and row["check_reply"]):
        return []
    public = row["domain"] in providers.DOMAINS
    return inbox.colleagues(
        case.db, row["campaign_id"], row["lead_id"], domain=row["domain"], company=row["company"], public=public
    )


def _reply(case: _Case, others: Sequence[int]) -> dict[str, Any]:
    """A person answered: the walk is over, if the campaign looks at replies."""
    db, row = case.db, case.row
    ended = stopped = 0
    if row["check_reply"]:
        ended = walks.end_in_campaign(db, row["campaign_id"], [row["lead_id"]], WalkOutcome.REPLIED)
        walks.tell_late_reply(db, row["campaign_id"], row["lead_id"])
        if others:
            stopped = walks.end_in_campaign(db, row["campaign_id"], others, WalkOutcome.COLLEAGUE_REPLIED)
    inbox.write_replied(db, row["id"], case.now)
    _tell(case, "email.replied", {"subject": case.letter.subject, "kind": "reply"})
    return {"ended": ended, "colleagues": stopped}


def _opt_out(case: _Case) -> dict[str, Any]:
    """Who asks to be left alone leaves, and whoever was mailed with him."""
    row = case.row
    who = _normal(case.letter.from_address) or row["email"]
    return {"new": suppressions.leave_by_mail(case.db, row["workspace_id"], who, row["id"])}


def _automatic(case: _Case) -> dict[str, Any]:
    """A program answered. Who is away is mailed again when he is back: at the start of that day in the campaign's zone."""
    db, row, meaning = case.db, case.row, case.meaning
    resumes = meaning.resumes_on.isoformat() if meaning.resumes_on else None
    _tell(
        case,
        "email.auto_replied",
        {"subject": case.letter.subject, "absent": meaning.absent, "resumes_on": resumes},
    )
    if not meaning.absent:
        return {}
    campaigns = inbox.waiting_walks(db, row["workspace_id"], row["lead_id"])
    views = planning.campaigns(db, case.now, campaigns) if campaigns else {}
    due = {id: _back(meaning, case.now, view.timezone) for id, view in views.items()}
    return {"delayed": inbox.postpone(db, row["lead_id"], due) if due else 0, "resumes_on": resumes}


def _back(meaning: Meaning, now: datetime, timezone: str) -> datetime:
    if meaning.resumes_on is None:
        return waits.due_at(now, AWAY_DAYS, 0, timezone)
    return max(now, zones.instant(datetime.combine(meaning.resumes_on, time()), timezone))


def _bounce(case: _Case) -> dict[str, Any]:
    """A mail came back. A bad address is bad for good; anything else speaks of the sender, as the failure table says."""
    db, row, meaning = case.db, case.row, case.meaning
    if not meaning.final or meaning.row is None:
        return {"final": False}
    known = failures.row(meaning.row)
    verdict = outcome.returned(known, case.now)
    hard = known.failure is FailureClass.RECIPIENT_BAD
    write = inbox.write_bounced(db, row["id"], case.now, meaning, known.reason) if hard else inbox.write_returned(db, row["id"], meaning, known.reason)  # fmt: skip
    if not write:
        return {"new": False}
    deliveries.drop_bytes(db, [row["id"]])
    if verdict is not None:
        record.write_sender(db, row["sender_id"], [verdict], case.now)
    data = {
        "message_id": row["message_id"],
        "subject": row["subject"],
        "failure": meaning.failure,
        "code": meaning.code,
        "text": meaning.said,
    }
    _tell(case, "email.bounced" if hard else "email.returned", data)
    if hard:
        source = f"delivery {row['id']}: {meaning.said}"[:500]
        suppressions.suppress(db, row["workspace_id"], "address", row["email"], "bounced", source=source)
        campaign_runs.count(db, {}, {row["campaign_id"]: 1})
    return {"new": True}


def _feedback(case: _Case) -> dict[str, Any]:
    """A recipient called the mail unwanted: he is mailed no more, and the sender's standing is worse, once; also if he had left by then."""
    db, row = case.db, case.row
    if not case.meaning.complaint:
        return {"complaint": False}
    entry = Entry(
        kind="address",
        value=row["email"],
        reason="complained",
        source="feedback report",
        campaign_id=row["campaign_id"],
        delivery_id=row["id"],
    )
    if suppressions.known(db, row["workspace_id"], [entry]) and inbox.has_complained(db, row["lead_id"]):
        return {"new": False}
    _lower_health(db, row["sender_id"], case.now)
    data = {"message_id": row["message_id"], "subject": row["subject"]}
    _tell(case, "email.complained", data)
    suppressions.suppress_all(db, row["workspace_id"], [entry])
    return {"new": True}


def _lower_health(db: Connection, sender_id: int, now: datetime) -> None:
    sender = deliveries.lock_sender(db, sender_id)
    if sender is not None:
        level = health.complained(health.recovered(sender["health"], sender["last_error_at"], now))
        state = deliveries.SenderState(
            id=sender_id,
            health=level,
            lowest=level,
            errors=1,
            errors_in_row=sender["errors_in_row"],
            cooldown_until=None,
            restrict=False,
            last_error="A recipient told his provider that a mail is unwanted.",
            now=now,
        )
        deliveries.write_sender(db, state)


def _thread(case: _Case, kind: InboundKind) -> int | None:
    """The conversation that a message is part of. What comes back begins none: it is no answer of anybody."""
    row = case.row
    if kind in (InboundKind.BOUNCE, InboundKind.FEEDBACK):
        return inbox.find_thread(case.db, row["campaign_id"], row["lead_id"])
    return inbox.keep_thread(
        case.db,
        row,
        message_id=case.id,
        subject=case.letter.subject,
        snippet=_snippet(case.letter),
        kind=kind,
        label="out_of_office" if kind is InboundKind.AUTO_REPLY and case.meaning.absent else None,
        unread=kind is not InboundKind.AUTO_REPLY,
        at=case.now,
    )


def _tell(case: _Case, type_: str, data: dict[str, Any]) -> None:
    row = case.row
    event = Event(
        type=type_,
        workspace_id=row["workspace_id"],
        campaign_id=row["campaign_id"],
        lead_id=row["lead_id"],
        delivery_id=row["id"],
        sender_id=row["sender_id"],
        data={"step": row["step"], "email": row["email"], **data},
    )
    events.append(case.db, [event])


def _after(work: Kit, settled: Settled, meaning: Meaning) -> None:
    """What must not be part of the transaction: a campaign that protects itself, a walk that began while somebody left, the log."""
    hard = settled.kind == InboundKind.BOUNCE and meaning.failure is FailureClass.RECIPIENT_BAD
    if settled.state == "settled" and settled.delivery_id is not None and (hard or settled.kind == InboundKind.OPT_OUT):
        with work.database.transaction() as db:
            about = suppressions.recipient(db, settled.delivery_id)
            if about and not hard:
                walks.end(db, [about["lead_id"]], WalkOutcome.UNSUBSCRIBED, about["workspace_id"])
        if about and hard:
            record.protect(work, about["campaign_id"])
    if settled.fresh:
        logger.info(
            "message.settled",
            message=settled.message_id,
            kind=settled.kind,
            state=settled.state,
            delivery=settled.delivery_id,
            reasons=list(meaning.reasons),
        )


def _snippet(letter: Inbound) -> str:
    return " ".join((letter.reply or letter.text or letter.subject)[: 4 * _SNIPPET].split())[:_SNIPPET]


def _normal(text: str) -> str | None:
    try:
        return address.normal(text)
    except address.AddressError:
        return None
