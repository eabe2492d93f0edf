"""Holds what the mail server got against the ledger, the traces and the stops. No part of it touches anything: findings follow from what is handed in."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from cleanmails.chaos.ledger import Delivery, Sender, Walk
from cleanmails.chaos.people import Stop
from cleanmails.chaos.points import Passing
from cleanmails.demo.catcher.store import Met

STOPPED: Final = frozenset({"unsubscribed", "suppressed", "bounced", "replied"})
"""Ends of a walk that need not have all its mails: somebody left or answered, or a server said, then or later, that the address is none."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that the server kept."""

    received_at: datetime
    mail_from: str
    recipient: str
    message_id: str


class Blind(StrEnum):
    """What the trace says of a delivery whose answer the ledger may have missed."""

    MUST = "must"
    """Its worker died between the dot and the note of the answer, or no answer came."""
    MAY = "may"
    """Its worker was killed while the mark, or the answer's note, was being written: either is right."""


def duplicates(mails: Iterable[Mail], deliveries: Iterable[Delivery]) -> Counter[int | None]:
    """Copies beyond the first of any step to any lead, by delivery; under None, mails that the ledger does not know."""
    known = {row.message_id: row.id for row in deliveries}
    copies = Counter(known.get(mail.message_id) for mail in mails)
    return Counter({id: n if id is None else n - 1 for id, n in copies.items() if id is None or n > 1})


class Lost(msgspec.Struct, frozen=True):
    """Somebody who should have got more of a campaign, or whose walk has no end."""

    campaign_id: int
    email: str
    words: str


def lost(
    mails: Iterable[Mail], deliveries: Iterable[Delivery], walks: Iterable[Walk], stops: Sequence[Stop]
) -> list[Lost]:
    """Who has not got all steps though nothing stopped them, and walks that have no end, or no beginning."""
    there = {mail.message_id for mail in mails}
    got = Counter((row.campaign_id, row.lead_id) for row in deliveries if row.message_id in there)
    found = []
    for walk in walks:
        if walk.state is None and any(stop.covers(walk.email, 0) for stop in stops):
            continue
        mails_got = got[walk.campaign_id, walk.lead_id]
        who = f"{walk.email} in campaign {walk.campaign_id}"
        if walk.state != "ended":
            found.append(Lost(walk.campaign_id, walk.email, f"{who} is {walk.state or 'not enrolled'}"))
        elif walk.outcome not in STOPPED and mails_got < walk.steps:
            tries = f" (tries ended at {', '.join(walk.tries)})" if walk.tries else ""
            words = f"{who} got {mails_got} of {walk.steps}, and is {walk.outcome}{tries}"
            found.append(Lost(walk.campaign_id, walk.email, words))
    return found


def concerned(met: Iterable[Met], deliveries: Iterable[Delivery], senders: Iterable[Sender]) -> dict[str, set[int]]:
    """By what the mail server did: the deliveries of that sender to that recipient, one of which it was done to."""
    addresses = {sender.id: sender.address for sender in senders}
    between: defaultdict[tuple[str | None, str], set[int]] = defaultdict(set)
    for row in deliveries:
        between[addresses.get(row.sender_id or 0), row.email].add(row.id)
    found: defaultdict[str, set[int]] = defaultdict(set)
    for each in met:
        found[f"smtp {each.behaviour}"] |= between[each.mail_from, each.recipient]
    return found


def disagreements(mails: Iterable[Mail], deliveries: Iterable[Delivery], returned: Collection[str] = ()) -> list[str]:
    """Where the ledger's `sent` is not what the server has. What is `unknown` may be there or not; what bounced is not there, unless it came back later
    (the Message-IDs `returned`).
    """
    there = {mail.message_id for mail in mails}
    absent = [row for row in deliveries if row.state == "sent" and row.message_id not in there]
    present = [
        row
        for row in deliveries
        if row.message_id in there
        and row.state not in {"sent", "unknown"}
        and not (row.state == "bounced" and row.message_id in returned)
    ]
    return [
        *(f"delivery {row.id} is {row.state}, and is not at the server" for row in absent),
        *(f"delivery {row.id} is {row.state}, and is at the server" for row in present),
    ]


def blind(passings: Iterable[Passing]) -> dict[int, Blind]:
    """Deliveries whose last attempt was cut between its mark and the note of its answer, as the traces have it."""
    last: defaultdict[int, list[Passing]] = defaultdict(list)
    for passing in passings:
        if passing.point == "before_data":
            last[passing.delivery_id] = []
        last[passing.delivery_id].append(passing)
    judged = {id: _blind({each.point for each in attempt}, attempt[-1]) for id, attempt in last.items() if attempt}
    return {id: verdict for id, verdict in judged.items() if verdict}


def _blind(passed: Collection[str], last: Passing) -> Blind | None:
    if "after_answer" in passed:
        if "before_commit" in passed:
            return None
        return Blind.MUST if last.died else Blind.MAY
    if "before_dot" in passed:
        return Blind.MUST
    if last.point == "after_354":
        return None if last.died else Blind.MAY
    return None


class Unknowns(msgspec.Struct, frozen=True):
    """How many deliveries had to be unknown, how many were, be it that evidence has settled them since, and where the two part."""

    expected: int
    found: int
    faults: list[str]


def unknowns(passings: Iterable[Passing], deliveries: Iterable[Delivery]) -> Unknowns:
    """Holds the unknown deliveries against those that were cut. Where the trace leaves it open, the ledger is right."""
    cut = blind(passings)
    found = {row.id for row in deliveries if row.was_unknown}
    must = {id for id, verdict in cut.items() if verdict is Blind.MUST}
    expected = must | (cut.keys() & found)
    faults = [f"delivery {id} was cut between dot and answer, and was not unknown" for id in sorted(must - found)]
    faults += [f"delivery {id} was unknown, and not cut between dot and answer" for id in sorted(found - cut.keys())]
    return Unknowns(len(expected), len(found), faults)


def over_daily_limit(mails: Iterable[Mail], deliveries: Iterable[Delivery], senders: Iterable[Sender]) -> int:
    """Mails beyond what their sender may send in a UTC day; a mail is of the day on which it was marked."""
    marked = {row.message_id: row.sending_at for row in deliveries}
    days: Counter[tuple[str, date]] = Counter()
    for mail in mails:
        days[mail.mail_from, (marked.get(mail.message_id) or mail.received_at).date()] += 1
    limits = {sender.address: sender.daily_limit for sender in senders}
    return sum(max(0, count - limits.get(address, 0)) for (address, _), count in days.items())


def over_rate(mails: Iterable[Mail], domain: str, rate: float, threads: int) -> int:
    """Mails to a domain beyond its provider's rate, in its worst second and in its worst ten.

    Either may hold the rate and one more (`limits/rate.py`), and one of each send thread that was held up, or frozen, between its slot and its dot.
    """
    times = sorted(mail.received_at for mail in mails if mail.recipient.endswith(f"@{domain}"))
    spare = 1 + threads
    return max(max(0, _worst(times, seconds) - math.floor(rate * seconds) - spare) for seconds in (1, 10))


def _worst(times: Sequence[datetime], seconds: float) -> int:
    """The most moments that lie within so many seconds."""
    worst, begin = 0, 0
    for end, moment in enumerate(times):
        while moment - times[begin] >= timedelta(seconds=seconds):
            begin += 1
        worst = max(worst, end - begin + 1)
    return worst


def sent_after_stop(mails: Iterable[Mail], deliveries: Iterable[Delivery], stops: Sequence[Stop]) -> int:
    """Mails at the server that were marked after the answer to a stop that is about them. What was marked before is inside its transaction."""
    rows = {row.message_id: row for row in deliveries}
    count = 0
    for mail in mails:
        row = rows.get(mail.message_id)
        if row is not None:
            marked = row.sending_at or mail.received_at
            count += any(
                stop.covers(mail.recipient, row.campaign_id)
                and stop.answered < marked < (stop.until or marked + timedelta(1))
                for stop in stops
            )
    return count


def percentile(values: Iterable[float], share: float) -> float | None:
    """The value that so large a share of them does not exceed; None of nothing."""
    ordered = sorted(values)
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 2) if ordered else None


def bound(kills: int) -> float:
    """No failure in so many kills bounds its rate by this, with 95 % confidence (the rule of three)."""
    return round(3 / kills, 5) if kills else 1.0
