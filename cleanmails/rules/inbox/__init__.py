"""What a received mail means, as far as it says so itself; whose it is, the ledger knows.

meaning = judge(letter, now)     # records.Inbound -> records.Meaning
"""

import re
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from cleanmails.records import Inbound, InboundKind, Meaning
from cleanmails.rules.inbox import automatic, bounces, wishes
from cleanmails.rules.inbox.text import folded, table

__all__ = ["judge"]

_COMPLAINED: Final = tuple(table("words")["complaint"]["headers"])
_ANSWERS: Final = re.compile(
    r"^(?:re|aw|sv|vs|antw|odp|ynt|rif|r|res|回复|答复|返信|回覆|답장)(?:\[\d{1,3}\])?\s?[:：]"
)
_MASS: Final = ("list-id", "list-unsubscribe", "list-post", "x-campaign-id", "x-mailgun-sid", "x-sg-eid")
_BULK: Final = re.compile(r"^(bulk|list|junk)")
_NOBODY: Final = re.compile(
    r"^(no-?reply|do-?not-?reply|noreply|notifications?|news(letter)?|alerts?|updates?)[+.-]?[^@]*@"
)
_COMPLAINTS: Final = frozenset({"abuse", "fraud", "virus", "other", "opt-out", "opt-out-list", ""})


def judge(letter: Inbound, now: datetime) -> Meaning:
    """What a mail means. `now` stands in where it has no date."""
    ids = tuple(dict.fromkeys([*letter.in_reply_to, *reversed(letter.references)]))
    if letter.report == "feedback-report" or "feedback-type" in letter.feedback or _complained(letter):
        return _feedback(letter, ids)
    if bounce := bounces.judge(letter, ids):
        return bounce
    if wishes.by_subject(letter):
        return Meaning(kind=InboundKind.OPT_OUT, message_ids=ids, reasons=("subject",))
    if automatic_answer := automatic.judge(letter, ids, now):
        return automatic_answer
    return _written(letter, ids)


def _written(letter: Inbound, ids: tuple[str, ...]) -> Meaning:
    """What a person wrote, or a program that sends to many."""
    mass = any(name in letter.headers for name in _MASS) or bool(_BULK.match(letter.header("precedence").lower()))
    answers = bool(ids) or bool(_ANSWERS.match(folded(letter.subject)))
    if not letter.from_address or (mass and not ids):
        return Meaning(kind=InboundKind.UNRELATED, message_ids=ids, reasons=("mass_mail",) if mass else ("no_sender",))
    personal = not mass and not _NOBODY.match(letter.from_address) and not bounces.from_a_program(letter)
    known = Meaning(kind=InboundKind.REPLY, message_ids=ids, personal=personal)
    if wishes.by_words(letter):
        return replace(known, kind=InboundKind.OPT_OUT, reasons=("words",))
    if answers:
        return replace(known, reasons=("in_reply_to",) if ids else ("subject",))
    return replace(known, kind=InboundKind.UNRELATED, reasons=("answers_nothing",))


def _complained(letter: Inbound) -> str:
    """Whom a complaint that is no report names, by the header that its provider writes."""
    return next((told for name in _COMPLAINED if (told := letter.header(name) or letter.original.get(name, ""))), "")


def _feedback(letter: Inbound, ids: tuple[str, ...]) -> Meaning:
    """A report of a mailbox provider on a mail that its user calls unwanted, or wanted after all (RFC 5965)."""
    kind = letter.feedback.get("feedback-type", "").lower()
    own = letter.original.get("message-id", "")
    named = [letter.feedback.get(name, "") for name in ("original-rcpt-to", "removal-recipient")]
    named.append(_complained(letter))
    recipients = [each.strip("<> ").lower() for each in named if "@" in each]
    return Meaning(
        kind=InboundKind.FEEDBACK,
        complaint=kind in _COMPLAINTS,
        recipients=tuple(dict.fromkeys(recipients)),
        message_ids=tuple(dict.fromkeys([*([own] if own.startswith("<") else []), *ids])),
        reasons=(f"feedback_{kind or 'report'}",),
    )
