"""Deliveries of which nobody knows whether the server took them: listed with what a person needs to decide, and decided, one or many."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from cleanmails.actors import evidence
from cleanmails.api.auth import Principal
from cleanmails.api.body import Id
from cleanmails.api.given import Enqueue, Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.errors import Fault, NotFoundError
from cleanmails.ledger import unknowns
from cleanmails.ledger.db import Database

Decision = Literal["assume_sent", "resend"]


class UnknownDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that may or may not have been accepted. Look for `message_id` in the sender's Sent folder or in the server's log."""

    id: int
    campaign_id: int
    campaign_name: str
    lead_id: int
    email: str
    step: int
    sender_id: int
    sender_address: str
    subject: str | None
    message_id: str
    sending_at: datetime
    reason: str


class NewDecision(msgspec.Struct, frozen=True, kw_only=True):
    """`assume_sent`: it counts as sent, and the walk goes on. `resend`: it goes out again; the recipient may get it twice. `note`: why."""

    decision: Decision
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""


class NewDecisions(NewDecision, frozen=True, kw_only=True):
    """The same decision for many, at most 1,000."""

    ids: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=1000)]

    def faults(self) -> Iterator[Fault]:
        """Each id once."""
        if len(set(self.ids)) < len(self.ids):
            yield Fault("ids", "repeated", "An id stands here twice.")


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """Which were decided, and which were left as they are because they are not unknown (any more)."""

    decided: list[int]
    left: list[int]


class Unknowns(Controller):
    """`/v1/outreach/unknowns`."""

    path = "/v1/outreach/unknowns"
    tags = ("unknown deliveries",)

    @get(sync_to_thread=True)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        campaign_id: Annotated[
            int | None, QueryParameter(description="Of one campaign alone.", ge=1, le=2**63 - 1)
        ] = None,
    ) -> Page[UnknownDelivery]:
        """List deliveries whose answer was never seen, oldest first. Evidence (a reply, a bounce, a human open) settles them by itself."""
        with database.transaction() as db:
            rows = unknowns.page(
                db, principal.workspace_id, campaign_id=campaign_id, after=window.after or 0, limit=window.fetch
            )
        return page(rows, window, _unknown)

    @post("/{delivery_id:int}/decide", sync_to_thread=True, status_code=200)
    def decide(
        self,
        delivery_id: FromPath[int],
        data: JSONBody[NewDecision],
        database: Given[Database],
        principal: Given[Principal],
        enqueue: Given[Enqueue],
    ) -> Decided:
        """Decide on one unknown delivery."""
        done = _decide(database, principal, data, [delivery_id])
        if not done:
            raise NotFoundError("There is no such delivery of which it is unknown whether it was sent.")
        enqueue("plan")
        return Decided(decided=done, left=[])

    @post("/decide", sync_to_thread=True, status_code=200)
    def decide_many(
        self,
        data: JSONBody[NewDecisions],
        database: Given[Database],
        principal: Given[Principal],
        enqueue: Given[Enqueue],
    ) -> Decided:
        """Decide on many unknown deliveries at once."""
        done = _decide(database, principal, data, data.ids)
        enqueue("plan")
        return Decided(decided=done, left=sorted(set(data.ids) - set(done)))


def _decide(database: Database, principal: Principal, data: NewDecision, ids: list[int]) -> list[int]:
    act = {"assume_sent": evidence.assume_sent, "resend": evidence.resend}[data.decision]
    who = f"user {principal.user_id}" if principal.user_id else "an API key"
    told = f"{data.decision} by {who}: {data.note}" if data.note else f"{data.decision} by {who}"
    with database.transaction() as db:
        return act(db, principal.workspace_id, ids, told)


def _unknown(row: dict[str, Any]) -> UnknownDelivery:
    return msgspec.convert(row, UnknownDelivery)
