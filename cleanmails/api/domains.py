"""Sending domains: made with a key pair, shown with the records to publish, and checked in DNS."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from cleanmails.actors import domains as checking
from cleanmails.api.auth import Permission, Principal
from cleanmails.api.fields import DomainName
from cleanmails.api.given import Given
from cleanmails.api.pages import SYNCED, Page, Window, page
from cleanmails.api.reference import also
from cleanmails.ledger import domains
from cleanmails.ledger.db import Database, Row
from cleanmails.mail.dkim import dns_strings, generate_key
from cleanmails.mail.dns import Resolver
from cleanmails.mail.domains import Aligned, Kind, RecordFinding, alignment
from cleanmails.records import DomainStatus
from cleanmails.rules import address
from cleanmails.settings import Settings
from cleanmails.vault import Vault

SpfHost = Annotated[
    str,
    msgspec.Meta(
        max_length=253,
        pattern=r"^((include|a|mx|exists):[A-Za-z0-9._%{}-]+|(ip4:|ip6:)?[0-9A-Fa-f:.]+(/[0-9]{1,3})?|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)$",
        examples=["mail.agency.example"],
    ),
]


class NewDomain(msgspec.Struct, frozen=True, kw_only=True):
    """A domain to send from. `selector` is the label under which its DKIM key is published."""

    name: DomainName
    selector: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)] = "cleanmails"


class DomainChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change. `spf_hosts` are servers that may send for the domain beside those of its senders: host names, addresses, networks
    (`192.0.2.0/24`), or whole terms of SPF (`include:spf.relay.example`).
    """

    spf_hosts: Annotated[list[SpfHost], msgspec.Meta(max_length=20)]


class DnsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record to publish. `strings` is the value of a TXT record cut into the pieces of at most 255 characters that some providers ask for."""

    kind: Kind
    type: str
    name: str
    value: str
    strings: list[str]


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """A sending domain. `records` are to be published as they stand: SPF lets the servers of its senders and of `spf_hosts` send. `findings` is what the last
    look at DNS found, record by record, `alignment` what DMARC makes of it; `senders` is how many mailboxes send from the domain.
    """

    id: int
    name: str
    status: DomainStatus
    selector: str
    senders: int
    records: list[DnsRecord]
    findings: list[RecordFinding]
    alignment: list[Aligned]
    spf_hosts: list[str]
    checked_at: datetime | None
    verified_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Domains(Controller):
    """`/v1/outreach/domains`."""

    path = "/v1/outreach/domains"
    tags = ("domains",)

    @post(sync_to_thread=True, needs=Permission.SETUP, responses=also(409))
    def create(
        self,
        data: JSONBody[NewDomain],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        principal: Given[Principal],
    ) -> Domain:
        """Add a domain. It gets a DKIM key pair; publish the `records`, then verify it."""
        private, public = generate_key()
        workspace = principal.workspace_id
        with database.transaction() as db:
            domain_id = domains.create(db, workspace, address.domain(data.name))
            key_id = domains.next_key_id(db)
            sealed = vault.seal(private, f"dkim_key:{key_id}:private")
            domains.add_key(
                db, workspace, domain_id, key_id, selector=data.selector, private_sealed=sealed, public_key=public
            )
            return _domain(domains.read(db, workspace, domain_id), settings)

    @get(sync_to_thread=True, dependencies=SYNCED)
    def list_all(
        self,
        database: Given[Database],
        settings: Given[Settings],
        principal: Given[Principal],
        window: Given[Window],
        q: Annotated[str, QueryParameter(max_length=200, description="A part of the name.")] = "",
    ) -> Page[Domain]:
        """List the domains, oldest first."""
        with database.transaction() as db:
            rows = domains.list_domains(
                db, principal.workspace_id, q=q, since=window.since, after=window.after, limit=window.fetch
            )
        return page(rows, window, lambda row: _domain(row, settings))

    @get("/{domain_id:int}", sync_to_thread=True)
    def read(
        self,
        domain_id: FromPath[int],
        database: Given[Database],
        settings: Given[Settings],
        principal: Given[Principal],
    ) -> Domain:
        """Read one domain."""
        with database.transaction() as db:
            return _domain(domains.read(db, principal.workspace_id, domain_id), settings)

    @patch("/{domain_id:int}", sync_to_thread=True, needs=Permission.SETUP)
    def change(
        self,
        domain_id: FromPath[int],
        data: JSONBody[DomainChange],
        database: Given[Database],
        settings: Given[Settings],
        principal: Given[Principal],
    ) -> Domain:
        """Name the servers that may send for the domain beside those of its senders; publish the SPF record that follows, then verify."""
        with database.transaction() as db:
            domains.put_spf_hosts(db, principal.workspace_id, domain_id, list(dict.fromkeys(data.spf_hosts)))
            return _domain(domains.read(db, principal.workspace_id, domain_id), settings)

    @delete("/{domain_id:int}", sync_to_thread=True, needs=Permission.SETUP, responses=also(409))
    def remove(self, domain_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> None:
        """Delete a domain and its key. While senders send from it this is refused."""
        with database.transaction() as db:
            domains.delete(db, principal.workspace_id, domain_id)

    @post("/{domain_id:int}/verify", sync_to_thread=True, status_code=200, needs=Permission.SETUP)
    def verify(
        self,
        domain_id: FromPath[int],
        database: Given[Database],
        settings: Given[Settings],
        resolver: Given[Resolver],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Domain:
        """Look the records up in DNS now, and say of each what was found and what was expected. A domain that was verified once is looked at again daily, and what
        stands otherwise then is an event (`domain.changed`).

        The status becomes `verified` when the DKIM key is there and SPF does not stand against us, `faulty` when one of them is wrong, and stays what
        it was when DNS does not answer.
        """
        row = checking.check(database, settings, resolver, principal.workspace_id, domain_id, now)
        return _domain(row, settings)


def _domain(row: Row, settings: Settings) -> Domain:
    given: dict[str, Any] = {name: row[name] for name in Domain.__struct_fields__ if name in row}
    given["records"] = [
        {
            **msgspec.structs.asdict(record),
            "strings": list(dns_strings(record.value)) if record.type == "TXT" else [],
        }
        for record in checking.records(row, settings)
    ]
    findings = msgspec.convert(row["findings"], list[RecordFinding])
    given["alignment"] = alignment(row["name"], findings)
    return msgspec.convert(given, Domain)
