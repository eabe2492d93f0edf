"""Automatic answers: who wrote them is a program, and a person's absence is not a person's answer (RFC 3834)."""

import re
from datetime import datetime
from typing import Final

from cleanmails.records import Inbound, InboundKind, Meaning
from cleanmails.rules.inbox import dates
from cleanmails.rules.inbox.text import any_of, folded, table

_MOST: Final = 4_000  # characters of a text that are searched
_WORDS: Final = table("words")["automatic"]
_MARKS: Final = [(row["name"], re.compile(row["value"])) for row in _WORDS["headers"]]
_WEAK: Final = [(row["name"], re.compile(row["value"])) for row in _WORDS["weak"]]
_SAYS: Final = any_of(_WORDS["says"])
_SUBJECT: Final = any_of(_WORDS["subjects"])
_ABSENCES: Final = [re.compile(pattern) for pattern in _WORDS["absences"]]
_COURTESIES: Final = [re.compile(pattern) for pattern in _WORDS["courtesies"]]
_RECEIPT: Final = any_of(_WORDS["receipts"])
_GONE: Final = any_of(_WORDS["gone"])
_MANY: Final = 2
"""Words of an absence that make one where no header says so."""


def judge(letter: Inbound, ids: tuple[str, ...], now: datetime) -> Meaning | None:
    """What an automatic answer means; None if a person may have written it. `ids`: the mails that it answers."""
    if letter.report == "disposition-notification":
        about = tuple(dict.fromkeys([*_told(letter), *ids]))
        return Meaning(kind=InboundKind.AUTO_REPLY, message_ids=about, reasons=("read_receipt",))
    words = folded((letter.reply or letter.text)[:_MOST])
    away = [pattern for pattern in _ABSENCES if pattern.search(words)]
    courtesies = [pattern for pattern in _COURTESIES if pattern.search(words)] if away else []
    subject = _SUBJECT.search(folded(letter.subject)) is not None
    reasons = [name for name, value in _MARKS if _has(letter, name, value)]
    reasons += ["says_so"] if _SAYS.search(words) else []
    weak = [name for name, value in _WEAK if _has(letter, name, value)]
    if not reasons and not _made_by_a_program(weak, away + courtesies, answers=bool(ids), subject=subject):
        return None
    reasons += weak
    reasons += ["subject"] if subject else []
    sent = (letter.date or now).date()
    gone = _GONE.search(words) is not None
    resumes = dates.resumes_on(f"{letter.subject}\n{letter.reply or letter.text}", sent)
    receipt = _RECEIPT.search(f"{folded(letter.subject)} {words}") is not None
    absent = not gone and (bool(away) or not receipt)
    if gone:
        reasons.append("gone")
    if away:
        reasons.append("words")
    return Meaning(
        kind=InboundKind.AUTO_REPLY,
        absent=absent,
        resumes_on=resumes if absent else None,
        message_ids=ids,
        reasons=tuple(dict.fromkeys(reasons)),
    )


def _made_by_a_program(weak: list[str], away: list[re.Pattern[str]], *, answers: bool, subject: bool) -> bool:
    """Without a mark that says so plainly: by its subject, its words, or what weaker marks and these make together."""
    if "auto-submitted" in weak and (answers or away or subject):
        return True
    if subject or len(away) >= _MANY:
        return True
    return bool(weak) and bool(away) and (answers or "return-path" in weak)


def _has(letter: Inbound, name: str, value: re.Pattern[str]) -> bool:
    return any(value.search(folded(each)) for each in letter.headers.get(name, ()))


def _told(letter: Inbound) -> list[str]:
    told = [letter.feedback.get("original-message-id", ""), letter.original.get("message-id", "")]
    return [each for each in told if each.startswith("<")]
