"""Whose a received mail is: which of our mails it is about, how that is known, and when it is not known well enough (product page, section 6)."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from cleanmails.records import Inbound, InboundKind, Meaning
from cleanmails.rules.inbox.text import folded

CLOCKS_DIFFER: Final = timedelta(hours=1)
"""How much earlier than our mail an answer may seem to be."""

_ANSWER: Final = re.compile(r"^(?:[^\W\d_]{1,4}(?:\[\d{1,3}\])?\s?[:：]\s*)+|^[^:]{3,30}:\s+(?=\S)")
_OF_THE_PERSON: Final = frozenset({InboundKind.OPT_OUT, InboundKind.AUTO_REPLY})
"""What concerns whoever wrote, in whichever campaign: it must not wait for somebody to say which."""

_PERSON: Final = frozenset({InboundKind.REPLY, InboundKind.OPT_OUT, InboundKind.AUTO_REPLY})


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A mail of ours that a received one may be about. `named`: the Message-ID that led to it, empty if an address did."""

    id: int
    campaign_id: int
    lead_id: int
    message_id: str
    subject: str
    sending_at: datetime
    named: str = ""

    @property
    def walk(self) -> tuple[int, int]:
        """Of whose walk it is."""
        return self.campaign_id, self.lead_id


class Found(msgspec.Struct, frozen=True, tag=True):
    """It is about this mail; `tier`: `message_id`, `address`, or `person` if somebody said so."""

    delivery_id: int
    tier: str


class Several(msgspec.Struct, frozen=True, tag=True):
    """A person has to say: which mails it may be about, and why that is not known (`ambiguous`, `unproven`)."""

    delivery_ids: tuple[int, ...]
    why: str


class Nobody(msgspec.Struct, frozen=True, tag=True):
    """It is about none of ours."""


Whose = Found | Several | Nobody


def by_ids(letter: Inbound, meaning: Meaning, found: Sequence[Candidate]) -> Whose:
    """First by Message-IDs: of the mail that is answered, or that came back. `found` in the order in which the mail names them.

    A report that a mail has arrived names ours, and is nobody's answer to it.
    """
    if not found or "delivered_report" in meaning.reasons:
        return Nobody()
    if (
        len({each.walk for each in found}) == 1
        or found[0].named in letter.in_reply_to
        or meaning.kind in _OF_THE_PERSON
    ):
        return Found(found[0].id, "message_id")
    return Several(tuple(each.id for each in found), "ambiguous")


def by_addresses(letter: Inbound, meaning: Meaning, found: Sequence[Candidate]) -> Whose:
    """Then by address: who writes was mailed from this mailbox. `found` has the last mail of each walk.

    An address proves nothing of what a program reports: a bounce that names no mail of ours changes nothing, until a person has looked at it.
    """
    if not found:
        return Nobody()
    if meaning.kind in (InboundKind.BOUNCE, InboundKind.FEEDBACK):
        return Several(tuple(each.id for each in found), "unproven")
    if meaning.kind not in _PERSON and not meaning.personal:
        return Nobody()
    if meaning.kind in _OF_THE_PERSON:
        found = [max(found, key=lambda each: each.sending_at)]
    if len(found) > 1:
        about = _subject(letter.subject)
        same = [each for each in found if _subject(each.subject) == about]
        if len(same) != 1:
            return Several(tuple(each.id for each in found), "ambiguous")
        found = same
    return Found(found[0].id, "address")


def asked_addresses(letter: Inbound, meaning: Meaning) -> tuple[str, ...]:
    """Whose mails are to be looked up where no Message-ID leads anywhere."""
    if meaning.kind in (InboundKind.BOUNCE, InboundKind.FEEDBACK):
        return meaning.recipients
    return (letter.from_address,) if letter.from_address else ()


def _subject(subject: str) -> str:
    """Without what answers and programs put in front of it."""
    return _ANSWER.sub("", folded(subject)).strip()
