"""Suppressions: addresses and domains that are never mailed."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from cleanmails.api.auth import Principal
from cleanmails.api.given import Given
from cleanmails.api.leads import sought
from cleanmails.api.pages import SYNCED, Page, Window, page
from cleanmails.errors import Fault, InvalidError
from cleanmails.ledger import suppressions
from cleanmails.ledger.db import Database
from cleanmails.ledger.suppressions import Entry, Kind, Reason
from cleanmails.rules import address

MOST = 1_000
BODY_LIMIT = 5_000_000

Note = Annotated[str, msgspec.Meta(max_length=1_000)]


class NewSuppression(msgspec.Struct, frozen=True, kw_only=True):
    """What is never to be mailed: an address, or a domain (that very domain, not its subdomains). Without `kind` an @ tells them apart."""

    value: Annotated[str, msgspec.Meta(max_length=320, examples=["ada@example.com", "example.com"])]
    kind: Kind | None = None
    reason: Reason = "manual"
    note: Note = ""

    def faults(self) -> Iterator[Fault]:
        """The value must be of its kind."""
        try:
            self.entry()
        except address.AddressError as error:
            yield Fault("value", self._kind(), str(error))

    def entry(self) -> Entry:
        """What the ledger takes. AddressError."""
        kind = self._kind()
        value = address.recipient(self.value) if kind == "address" else address.domain(self.value)
        return Entry(kind=kind, value=value, reason=self.reason, source="api", note=self.note.strip())

    def _kind(self) -> Kind:
        return self.kind or ("address" if "@" in self.value.strip()[1:] else "domain")


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """An address or a domain that is never mailed, why, and where the wish came from. It is never changed: `updated_at` is `created_at`."""

    id: int
    kind: Kind
    value: str
    reason: Reason
    source: str
    note: str
    created_at: datetime
    updated_at: datetime


class Suppressions(Controller):
    """`/v1/outreach/suppressions`."""

    path = "/v1/outreach/suppressions"
    tags = ("suppressions",)

    @post(sync_to_thread=True, request_max_body_size=BODY_LIMIT)
    def create(
        self,
        data: JSONBody[NewSuppression | Annotated[list[NewSuppression], msgspec.Meta(min_length=1, max_length=MOST)]],
        database: Given[Database],
        principal: Given[Principal],
    ) -> Suppression | list[Suppression]:
        """Suppress an address or a domain, or up to a thousand at once in a list; answers the entry, or the entries in the same order.

        Their leads' walks end, and once this has answered no mail to them starts. What is suppressed already stays as it is.
        """
        given = [data] if isinstance(data, NewSuppression) else data
        with database.transaction() as db:
            rows = suppressions.suppress_all(db, principal.workspace_id, [each.entry() for each in given])
        entries = [_suppression(row) for row in rows]
        return entries[0] if isinstance(data, NewSuppression) else entries

    @get(sync_to_thread=True, dependencies=SYNCED)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        kind: FromQuery[Kind | None] = None,
        reason: FromQuery[Reason | None] = None,
        search: FromQuery[str | None] = None,
    ) -> Page[Suppression]:
        """List what is suppressed, oldest first. `search` finds a part of an address or domain."""
        with database.transaction() as db:
            rows = suppressions.page(
                db,
                principal.workspace_id,
                kind=kind,
                reason=reason,
                search=sought(search),
                since=window.since,
                after=window.after,
                limit=window.fetch,
            )
        return page(rows, window, _suppression)

    @get("/{suppression_id:int}", sync_to_thread=True)
    def read(
        self, suppression_id: FromPath[int], database: Given[Database], principal: Given[Principal]
    ) -> Suppression:
        """Read one entry."""
        with database.transaction() as db:
            return _suppression(suppressions.read(db, principal.workspace_id, suppression_id))

    @delete("/{suppression_id:int}", sync_to_thread=True)
    def remove(
        self,
        suppression_id: FromPath[int],
        note: Annotated[
            str, QueryParameter(description="Why it may be mailed again; kept as an event.", max_length=1_000)
        ],
        database: Given[Database],
        principal: Given[Principal],
    ) -> None:
        """Take a suppression back, for the reason in `note`. The lead may be mailed again; walks that ended stay ended."""
        reason = sought(note)
        if reason is None:
            raise InvalidError([Fault("note", "blank", "Say why this may be mailed again.")])
        with database.transaction() as db:
            suppressions.remove(db, principal.workspace_id, suppression_id, note=reason, user_id=principal.user_id)


def _suppression(row: dict[str, Any]) -> Suppression:
    return msgspec.convert(row, Suppression)
