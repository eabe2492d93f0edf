"""Changing a domain's DKIM key without a gap: a new one is made and published, then it signs, and the old one stays published until its mails have arrived."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody

from cleanmails import log
from cleanmails.api.auth import Permission, Principal
from cleanmails.api.given import Given
from cleanmails.api.reference import also
from cleanmails.errors import StateError
from cleanmails.ledger import dkim_keys, domains
from cleanmails.ledger.db import Database, Row
from cleanmails.mail.dkim import dns_strings, generate_key
from cleanmails.mail.dns import Resolver
from cleanmails.mail.domains import RecordFinding, RecordState, check_key, key_record
from cleanmails.vault import Vault

KEPT: Final = timedelta(days=7)
"""How long a retired key stays published: longer than any mail that it signed can be on its way."""

_log = log.get(__name__)


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key to change to. Without a `selector` it gets one with today's date."""

    selector: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)] | None = None


class DkimKey(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key, and the TXT record that publishes it. `state`: `waiting` signs nothing yet, `active` signs, `retired` signed before.

    `published_at`: since when DNS was seen to show it. `keep_until`: a retired key's record must stay until then. `advice` says what to do next;
    `finding` is what DNS said just now, if it was asked.
    """

    id: int
    selector: str
    state: Literal["waiting", "active", "retired"]
    name: str
    value: str
    strings: list[str]
    created_at: datetime
    published_at: datetime | None
    activated_at: datetime | None
    retired_at: datetime | None
    keep_until: datetime | None
    advice: str
    finding: RecordFinding | None = None


class DkimKeys(Controller):
    """`/v1/outreach/domains/{id}/keys`."""

    path = "/v1/outreach/domains/{domain_id:int}/keys"
    tags = ("domains",)

    @get(sync_to_thread=True)
    def list_keys(
        self, domain_id: FromPath[int], database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> list[DkimKey]:
        """List a domain's keys, oldest first, with what to do about each."""
        with database.transaction() as db:
            return [_key(row, now) for row in dkim_keys.page(db, principal.workspace_id, domain_id)]

    @post(sync_to_thread=True, needs=Permission.SETUP, responses=also(409))
    def add(
        self,
        domain_id: FromPath[int],
        data: JSONBody[NewKey],
        database: Given[Database],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> DkimKey:
        """Make a key to change to. It waits: publish its record beside the old one, then activate it. One key can wait at a time (`key_waiting`)."""
        private, public = generate_key()
        workspace = principal.workspace_id
        with database.transaction() as db:
            dkim_keys.hold(db, workspace, domain_id)
            key_id = domains.next_key_id(db)
            sealed = vault.seal(private, f"dkim_key:{key_id}:private")
            selector = data.selector or f"cm{now:%Y%m%d}"
            dkim_keys.add(db, workspace, domain_id, key_id, selector=selector, private_sealed=sealed, public_key=public)
            row = dkim_keys.read(db, workspace, domain_id, key_id)
        _log.info("key.made", domain=domain_id, key=key_id)
        return _key(row, now)

    @post("/{key_id:int}/verify", sync_to_thread=True, status_code=200, needs=Permission.SETUP)
    def verify(
        self,
        domain_id: FromPath[int],
        key_id: FromPath[int],
        database: Given[Database],
        resolver: Given[Resolver],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> DkimKey:
        """Look a key's record up in DNS now."""
        return _verify(database, resolver, principal, domain_id, key_id, now)

    @post("/{key_id:int}/activate", sync_to_thread=True, status_code=200, needs=Permission.SETUP, responses=also(409))
    def activate(
        self,
        domain_id: FromPath[int],
        key_id: FromPath[int],
        database: Given[Database],
        resolver: Given[Resolver],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> DkimKey:
        """Sign with a waiting key from now on, once DNS shows it (else `key_not_published`). The old one is retired: leave its record until `keep_until`."""
        seen = _verify(database, resolver, principal, domain_id, key_id, now)
        if seen.finding is None or seen.finding.state is not RecordState.OK:
            sentence = seen.finding.sentence if seen.finding else ""
            raise StateError(f"DNS does not show the key: {sentence}", code="key_not_published")
        workspace = principal.workspace_id
        with database.transaction() as db:
            dkim_keys.hold(db, workspace, domain_id)
            state = dkim_keys.read(db, workspace, domain_id, key_id)["state"]
            if state == "retired":
                raise StateError("The key was retired; make a new one.", code="key_in_use")
            if state == "waiting":
                dkim_keys.switch(db, workspace, domain_id, key_id, now=now)
            row = dkim_keys.read(db, workspace, domain_id, key_id)
        _log.info("key.activated", domain=domain_id, key=key_id)
        return _key(row, now, seen.finding)

    @delete("/{key_id:int}", sync_to_thread=True, needs=Permission.SETUP, responses=also(409))
    def remove(
        self,
        domain_id: FromPath[int],
        key_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> None:
        """Forget a key that waits, or that was retired a week ago; any other is still needed (`key_in_use`)."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            dkim_keys.hold(db, workspace, domain_id)
            row = dkim_keys.read(db, workspace, domain_id, key_id)
            if row["state"] == "active":
                raise StateError("The domain signs with this key; activate another first.", code="key_in_use")
            if row["retired_at"] and now < row["retired_at"] + KEPT:
                raise StateError("Mails that this key signed may still be on their way.", code="key_in_use")
            dkim_keys.delete(db, workspace, domain_id, key_id)


def _verify(
    database: Database, resolver: Resolver, principal: Principal, domain_id: int, key_id: int, now: datetime
) -> DkimKey:
    """No transaction is held while name servers are asked; when they do not answer, what was known stays."""
    workspace = principal.workspace_id
    with database.transaction() as db:
        row = dkim_keys.read(db, workspace, domain_id, key_id)
    finding = check_key(row["domain"], row["selector"], row["public_key"], resolver=resolver)
    with database.transaction() as db:
        if finding.state is not RecordState.UNREACHABLE:
            found = finding.state is RecordState.OK
            dkim_keys.note_published(db, workspace, domain_id, key_id, found=found, now=now)
        return _key(dkim_keys.read(db, workspace, domain_id, key_id), now, finding)


def _key(row: Row, now: datetime, finding: RecordFinding | None = None) -> DkimKey:
    record = key_record(row["domain"], row["selector"], row["public_key"])
    keep_until = row["retired_at"] + KEPT if row["retired_at"] else None
    return DkimKey(
        id=row["id"],
        selector=row["selector"],
        state=row["state"],
        name=record.name,
        value=record.value,
        strings=list(dns_strings(record.value)),
        created_at=row["created_at"],
        published_at=row["published_at"],
        activated_at=row["activated_at"],
        retired_at=row["retired_at"],
        keep_until=keep_until,
        advice=_advice(row, keep_until, now),
        finding=finding,
    )


def _advice(row: Row, keep_until: datetime | None, now: datetime) -> str:
    if row["state"] == "active":
        return "Mails are signed with this key: leave its record as it is."
    if keep_until is not None:
        if now < keep_until:
            return f"Leave its record until {keep_until:%Y-%m-%d %H:%M} UTC: mails that it signed may be on their way."
        return "Take its record out of DNS, then delete the key."
    if row["published_at"]:
        return "DNS shows the key: activate it."
    return "Publish its record beside that of the active key, then verify it."
