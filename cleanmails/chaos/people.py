"""People who stop mails while things break: they leave by the link in a mail, suppress a domain, pause a campaign and resume it, pause a sender.

Each stop is kept with the moment at which its answer came: from then on no mail that it is about may be marked.
"""

import email
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from cleanmails.demo.stage import Stage
from cleanmails.demo.user import RefusedError

T = TypeVar("T")

PAUSE_SECONDS = 1.0
EVERY_SECONDS = 3.0
PATIENCE = 120.0
"""Seconds for a server that was killed to be there again, on a machine that has a lot to do."""


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """What was stopped: an address, a domain, or a campaign `until` it was asked to go on. Times are of this machine's clock, as the ledger's are."""

    kind: Literal["unsubscribed", "suppressed", "paused"]
    answered: datetime
    email: str | None = None
    domain: str | None = None
    campaign_id: int | None = None
    until: datetime | None = None

    def covers(self, address: str, campaign_id: int) -> bool:
        """Whether it is about a mail of the campaign to this address."""
        return address == self.email or address.partition("@")[2] == self.domain or campaign_id == self.campaign_id


class People:
    """Acts as users and recipients do; every act is tried again until the product answers, because its servers may be down."""

    def __init__(self, on: Stage, *, seed: int) -> None:
        self._on = on
        self._dice = random.Random(seed)  # noqa: S311 - no secret
        self.stops: list[Stop] = []

    def live(self, campaigns: Sequence[int], domain: str, leavers: int, over: threading.Event) -> None:
        """One act after the other until it is `over`: the domain is suppressed once, so many leave, and now and then a campaign is paused."""
        rest: Iterator[Callable[[], None]] = itertools.cycle(
            [self.leave, self.leave, lambda: self.pause(self._dice.choice(campaigns))]
        )
        for act in itertools.chain([self.leave, lambda: self.suppress_domain(domain)], rest):
            if over.wait(EVERY_SECONDS):
                return
            if act != self.leave or sum(stop.kind == "unsubscribed" for stop in self.stops) < leavers:
                act()

    def leave(self) -> None:
        """Somebody who got a mail clicks on its link (RFC 8058)."""
        catcher = self._on.user.catcher
        mails = insist(self._on, lambda: catcher.get("/api/mails", params={"limit": 500}).raise_for_status().json())
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
        except (RefusedError, httpx.HTTPError):
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
