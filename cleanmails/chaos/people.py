"""People who stop mails while things break: they leave by the link in a mail, answer it, suppress a domain, pause a campaign and resume it. And mails come back.

Each stop is kept with the moment at which its answer came: from then on no mail that it is about may be marked.
"""

import email
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from cleanmails.chaos import ledger
from cleanmails.demo.stage import Stage
from cleanmails.demo.user import RefusedError
from cleanmails.errors import BusyError
from cleanmails.ledger.db import Database

T = TypeVar("T")

PAUSE_SECONDS = 1.0
EVERY_SECONDS = 3.0
PATIENCE = 120.0
"""Seconds for a server that was killed to be there again, on a machine that has a lot to do."""


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """What was stopped: an address, a domain, a campaign `until` it was asked to go on, or an address in one campaign, by its reply. Times are of this
    machine's clock, as the ledger's are.
    """

    kind: Literal["unsubscribed", "suppressed", "paused", "replied", "bounced"]
    answered: datetime
    email: str | None = None
    domain: str | None = None
    campaign_id: int | None = None
    until: datetime | None = None

    def covers(self, address: str, campaign_id: int) -> bool:
        """Whether it is about a mail of the campaign to this address."""
        if self.email is not None and self.campaign_id is not None:
            return (address, campaign_id) == (self.email, self.campaign_id)
        return address == self.email or address.partition("@")[2] == self.domain or campaign_id == self.campaign_id


class People:
    """Acts as users and recipients do; every act is tried again until the product answers, because its servers may be down."""

    def __init__(self, on: Stage, database: Database, *, seed: int) -> None:
        self._on, self._database = on, database
        self._dice = random.Random(seed)  # noqa: S311 - no secret
        self.stops: list[Stop] = []
        self.answers: dict[str, str] = {}
        """What was put into a sender's mailbox, by the Message-ID of the mail that it is about."""
        self._heard: set[str] = set()

    def live(self, campaigns: Sequence[int], domain: str, leavers: int, over: threading.Event) -> None:
        """One act after the other until it is `over`: the domain is suppressed once, so many leave, and now and then a campaign is paused."""
        rest: Iterator[Callable[[], None]] = itertools.cycle(
            [self.leave, self.answer, self.leave, lambda: self.pause(self._dice.choice(campaigns)), self.answer]
        )
        for act in itertools.chain([self.leave, lambda: self.suppress_domain(domain)], rest):
            if over.wait(EVERY_SECONDS):
                return
            self.listen()
            if act == self.answer and len(self.answers) >= 2 * leavers:
                continue
            if act != self.leave or sum(stop.kind == "unsubscribed" for stop in self.stops) < leavers:
                act()

    def answer(self) -> None:
        """Two who got a mail reply, and the mail of a third comes back: all of it goes into the senders' mailboxes. Only mails that the ledger has as sent, as a
        reply to one that is unknown would settle it.
        """
        mails = {mail["message_id"]: mail for mail in self._mails() if mail["message_id"] not in self.answers}
        sent = insist(self._on, lambda: self._sent(mails))
        known = [id for id in mails if id in sent]
        for id, kind in zip(self._dice.sample(known, min(3, len(known))), ("reply", "bounce", "reply"), strict=False):
            path = f"/api/mails/{mails[id]['id']}/answer"
            insist(
                self._on,
                lambda path=path, kind=kind: self._on.user.catcher.post(path, json={"kind": kind}).raise_for_status(),  # type: ignore[misc]
            )
            self.answers[id] = kind

    def _sent(self, message_ids: Iterable[str]) -> set[str]:
        with self._database.transaction() as db:
            return ledger.sent(db, message_ids)

    def listen(self) -> bool:
        """Notes what of the answers has become a fact by now, which from here on stops mails; whether all have."""
        try:
            with self._database.transaction() as db:
                received = ledger.received(db)
        except BusyError:
            return False
        for each in received:
            if self.answers.get(each.about) == each.kind and each.about not in self._heard:
                self._heard.add(each.about)
                here = each.campaign_id if each.kind == "reply" else None
                kind: Literal["replied", "bounced"] = "replied" if each.kind == "reply" else "bounced"
                self.stops.append(Stop(kind=kind, answered=_now(), email=each.email, campaign_id=here))
        return self._heard == self.answers.keys()

    def _mails(self) -> list[dict[str, Any]]:
        catcher = self._on.user.catcher
        found: list[dict[str, Any]] = insist(
            self._on, lambda: catcher.get("/api/mails", params={"limit": 500}).raise_for_status().json()
        )
        return found

    def leave(self) -> None:
        """Somebody who got a mail clicks on its link (RFC 8058)."""
        catcher = self._on.user.catcher
        mails = self._mails()
        if not mails:
            return
        mail = self._dice.choice(mails)
        raw = insist(self._on, lambda: catcher.get(f"/api/mails/{mail['id']}/raw").raise_for_status().content)
        link = email.message_from_bytes(raw)["List-Unsubscribe"].partition(">")[0].lstrip("<")
        body = {"List-Unsubscribe": "One-Click"}
        insist(self._on, lambda: self._on.user.http.post(urlsplit(link).path, data=body).raise_for_status())
        self.stops.append(Stop(kind="unsubscribed", answered=_now(), email=mail["recipient"]))

    def suppress_domain(self, domain: str) -> None:
        """Nobody at the domain is to be mailed any more."""
        self._suppress({"kind": "domain", "value": domain, "reason": "manual"})
        self.stops.append(Stop(kind="suppressed", answered=_now(), domain=domain))

    def suppress_address(self, address: str) -> None:
        """Nor at this address."""
        self._suppress({"kind": "address", "value": address, "reason": "manual"})
        self.stops.append(Stop(kind="suppressed", answered=_now(), email=address))

    def _suppress(self, entry: dict[str, Any]) -> None:
        insist(self._on, lambda: self._on.user.post("/v1/outreach/suppressions", entry))

    def pause(self, campaign_id: int) -> None:
        """A campaign stands still for a while."""
        if not self._ask(campaign_id, "pause"):
            return
        answered = _now()
        self._on.supervisor.wait(PAUSE_SECONDS)
        until = _now()
        self._ask(campaign_id, "resume")
        self.stops.append(Stop(kind="paused", answered=answered, campaign_id=campaign_id, until=until))

    def _ask(self, campaign_id: int, what: str) -> bool:
        """False: the campaign is over, and cannot be paused any more."""
        path = f"/v1/outreach/campaigns/{campaign_id}"
        wanted = "paused" if what == "pause" else "running"

        def ask() -> bool:
            status = self._on.user.get(path)["status"]
            if status not in {wanted, "completed"}:
                self._on.user.post(f"{path}/{what}")
            return bool(status != "completed")

        return insist(self._on, ask)


def insist(on: Stage, act: Callable[[], T]) -> T:
    """Does it, and again if it was not answered as it should be, because what answers may just have been killed."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except (RefusedError, BusyError, httpx.HTTPError):
            if time.monotonic() > deadline or on.supervisor.wait(0.2):
                raise


def decide(on: Stage, there: set[str]) -> None:
    """What a person does about unknown mails: looks whether the server has them (the Message-IDs `there`), and decides, many at once."""
    unknown = list(on.user.pages("/v1/outreach/unknowns"))
    for decision in ("assume_sent", "resend"):
        ids = [row["id"] for row in unknown if (row["message_id"] in there) == (decision == "assume_sent")]
        for start in range(0, len(ids), 1_000):
            body = {"ids": ids[start : start + 1_000], "decision": decision, "note": "looked at the server"}
            on.user.post("/v1/outreach/unknowns/decide", body)


def _now() -> datetime:
    return datetime.now(UTC)
