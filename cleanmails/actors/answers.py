"""An answer from a conversation: made, written down as on its way, and only then handed to a server. At most once, whatever breaks."""

import html
import secrets
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Final

import msgspec

from cleanmails.actors import render
from cleanmails.actors.work import Kit
from cleanmails.errors import StateError
from cleanmails.ledger import conversations
from cleanmails.ledger.db import Row
from cleanmails.mail import dkim, inbound, message
from cleanmails.records import Answer, Stage
from cleanmails.rules import address

TWICE_WITHIN: Final = timedelta(minutes=10)
"""The same words again within this time are a button that was pressed twice."""

LOST_AFTER: Final = timedelta(minutes=10)
"""An answer that is still on its way after this time is lost to us: nobody knows whether it arrived."""

_QUOTED: Final = 60  # lines of the mail that is answered
_REFERENCES: Final = 20  # Message-IDs of a long conversation that are kept (RFC 5322, 3.6.4, sets no limit; servers do)


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is written down and not yet handed in."""

    id: int
    sender_id: int
    mail_from: str
    to: str
    subject: str
    raw: bytes


def begin(kit: Kit, workspace_id: int, thread_id: int, text: str, *, user_id: int | None, now: datetime) -> Ready:
    """Makes an answer and writes it down. From here on it counts as on its way: if what follows breaks, it is never sent again by itself.

    NotFoundError, StateError: whoever asked to be left alone is not answered (`suppressed`), a sender that is gone answers nobody (`sender_gone`),
    and the same is not sent twice (`answered_already`).
    """
    body = text.strip()
    with kit.database.transaction() as db:
        row = conversations.answer_facts(db, workspace_id, thread_id)
        to = _to(row)
        if row["deleted_at"] is not None:
            raise StateError("The sender of this conversation is deleted; it can answer nobody.", code="sender_gone")
        if conversations.is_suppressed(db, workspace_id, list({to, row["email"]})):
            raise StateError("The lead or its domain is suppressed, and is not written to.", code="suppressed")
        if conversations.answered_lately(db, thread_id, body, since=now - TWICE_WITHIN):
            raise StateError("The same was answered just now.", code="answered_already")
        subject = _subject(row)
        message_id = message.message_id(secrets.token_bytes(20), row["sender_address"].rpartition("@")[2])
        id = conversations.begin_answer(
            db, row, user_id=user_id, to_address=to, subject=subject, body=body, message_id=message_id, now=now
        )
    letter = _letter(row, to=to, subject=subject, body=body, message_id=message_id, now=now)
    raw = message.compose(letter).raw
    if row["key_id"] is not None:
        raw = dkim.sign(raw, render.key(kit, row), signed_at=int(now.timestamp()))
    return Ready(id=id, sender_id=row["sender_id"], mail_from=row["sender_address"], to=to, subject=subject, raw=raw)


def end(kit: Kit, ready: Ready, answer: Answer, said: str, now: datetime) -> str:
    """Writes down what became of it; the state: `sent`, `failed`, or `unknown` if the server's answer to the whole mail was never seen."""
    lost = answer.stage is Stage.DOT and (answer.code is None or answer.code < 400)
    state = "sent" if answer.accepted else "unknown" if lost else "failed"
    with kit.database.transaction() as db:
        conversations.end_answer(db, ready.id, state, said, now)
    return state


def _to(row: Row) -> str:
    try:
        return address.normal(row["to_address"])
    except address.AddressError:
        return str(row["email"])


def _subject(row: Row) -> str:
    subject = (row["last_subject"] or row["thread_subject"] or "").strip()
    return subject if subject[:3].lower() == "re:" else f"Re: {subject}".strip()


def _letter(row: Row, *, to: str, subject: str, body: str, message_id: str, now: datetime) -> message.Letter:
    before = tuple(row["refs"] or ())
    references = tuple(dict.fromkeys([*before[:1], *before[1:][-_REFERENCES:], *filter(None, [row["in_reply_to"]])]))
    signature = row["signature"].strip()
    plain = inbound.plain(signature) if "<" in signature else signature
    quote = _quote(row)
    text = "\n\n".join(filter(None, [body, plain, quote]))
    paragraphs = "".join(f"<p>{_lines(each)}</p>\n" for each in body.split("\n\n") if each.strip())
    signed = signature if "<" in signature else _lines(signature)
    quoted = f"<blockquote>{_lines(quote)}</blockquote>" if quote else ""
    return message.Letter(
        message_id=message_id,
        date=now,
        sender_address=row["sender_address"],
        sender_name=row["sender_name"],
        recipient_address=to,
        recipient_name=row["to_name"] if to != row["email"] else f"{row['first_name']} {row['last_name']}".strip(),
        subject=subject,
        html=f"{paragraphs}<div>{signed}</div>\n{quoted}",
        text=f"{text}\n",
        in_reply_to=row["in_reply_to"],
        references=references,
        reply_to=row["sender_reply_to"],
    )


def _quote(row: Row) -> str:
    """What is answered, quoted as mail programs do."""
    lines = (row["last_text"] or "").splitlines()[:_QUOTED]
    if not lines:
        return ""
    when = f"On {format_datetime(row['last_at'])}, " if row["last_at"] else ""
    return "\n".join([f"{when}{row['to_name'] or row['to_address']} wrote:", *(f"> {line}" for line in lines)])


def _lines(text: str) -> str:
    return html.escape(text.strip()).replace("\n", "<br>\n")
