"""Leads: one address a workspace, with what is known of it. They join lists by `api/lists.py` and `api/imports.py`."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import UNSET, UnsetType

from cleanmails.api.auth import Principal
from cleanmails.api.fields import Recipient
from cleanmails.api.given import Enqueue, Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.api.reference import also
from cleanmails.errors import ConflictError, Fault
from cleanmails.ledger import imports, leads
from cleanmails.ledger.db import Database
from cleanmails.records import Arrival, LawfulBasis, LeadStatus, Validation
from cleanmails.rules import address
from cleanmails.rules.content import field_name

MOST_FIELDS = 200

Word = Annotated[str, msgspec.Meta(max_length=1_000)]
Value = Annotated[str, msgspec.Meta(max_length=4_096)]
FieldName = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]

_OWN = frozenset({"EMAIL", "FIRST_NAME", "LAST_NAME", "COMPANY", "UNSUBSCRIBE_URL"})


class NewLead(msgspec.Struct, frozen=True, kw_only=True):
    """A person to write to. `fields` are all other facts, for use in mails as `{{JOB_TITLE}}`; names are kept in the form `job_title`."""

    email: Recipient
    first_name: Word = ""
    last_name: Word = ""
    company: Word = ""
    fields: Annotated[dict[FieldName, Value], msgspec.Meta(max_length=MOST_FIELDS)] = {}

    def faults(self) -> Iterator[Fault]:
        """Each field must have a name of its own."""
        yield from _field_faults(self.fields)

    def arrival(self, line: int) -> Arrival:
        """The lead on its way into the ledger."""
        return Arrival(
            line=line,
            email=address.recipient(self.email),
            first_name=self.first_name.strip(),
            last_name=self.last_name.strip(),
            company=self.company.strip(),
            fields={name: value for name, value in _named(self.fields).items() if value.strip()},
        )


class LeadChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change; what is left out stays. `fields` are set beside those there are; null takes one away. Another address is another lead."""

    first_name: Word | UnsetType = UNSET
    last_name: Word | UnsetType = UNSET
    company: Word | UnsetType = UNSET
    fields: Annotated[dict[FieldName, Value | None], msgspec.Meta(max_length=MOST_FIELDS)] | UnsetType = UNSET

    def faults(self) -> Iterator[Fault]:
        """Each field must have a name of its own."""
        if not isinstance(self.fields, UnsetType):
            yield from _field_faults(self.fields)


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """A lead. Only an `active` one that is neither suppressed nor marked `invalid` is mailed. `lists` are the ids of the lists it is on."""

    id: int
    email: str
    first_name: str
    last_name: str
    company: str
    fields: dict[str, str]
    status: LeadStatus
    validation: Validation
    validation_reasons: list[str]
    source: str
    lawful_basis: LawfulBasis | None
    tags: list[str]
    lists: list[int]
    created_at: datetime
    updated_at: datetime


class Leads(Controller):
    """`/v1/outreach/leads`."""

    path = "/v1/outreach/leads"
    tags = ("leads",)

    @post(sync_to_thread=True, responses=also(409))
    def create(self, data: JSONBody[NewLead], database: Given[Database], principal: Given[Principal]) -> Lead:
        """Add one lead, on no list yet. One that is there already (`lead_exists`) or is suppressed (`suppressed`) is refused."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            imports.take(db, workspace, None, [data.arrival(1)])
            [row] = imports.outcomes(db)
            if row["verdict"] == "suppressed":
                raise ConflictError(row["reason"], code="suppressed")
            if row["verdict"] != "created":
                raise ConflictError("There is a lead with this address; change that one.", code="lead_exists")
            return lead(leads.read(db, workspace, row["lead_id"]))

    @get(sync_to_thread=True)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        status: FromQuery[LeadStatus | None] = None,
        search: FromQuery[str | None] = None,
    ) -> Page[Lead]:
        """List the leads, oldest first. `search` finds a part of an address, a name or a company."""
        with database.transaction() as db:
            rows = leads.page(
                db, principal.workspace_id, status=status, search=sought(search), after=window.after, limit=window.fetch
            )
        return page(rows, window, lead)

    @get("/{lead_id:int}", sync_to_thread=True)
    def read(self, lead_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> Lead:
        """Read one lead."""
        with database.transaction() as db:
            return lead(leads.read(db, principal.workspace_id, lead_id))

    @patch("/{lead_id:int}", sync_to_thread=True)
    def change(
        self,
        lead_id: FromPath[int],
        data: JSONBody[LeadChange],
        database: Given[Database],
        principal: Given[Principal],
        enqueue: Given[Enqueue],
    ) -> Lead:
        """Change what is known of a lead. Mails that are not rendered yet use it, and those that were held for want of it go on."""
        given = {
            name: value.strip()
            for name in ("first_name", "last_name", "company")
            if isinstance(value := getattr(data, name), str)
        }
        fields = {} if isinstance(data.fields, UnsetType) else _named(data.fields)
        with database.transaction() as db:
            row = leads.update(
                db,
                principal.workspace_id,
                lead_id,
                **given,
                fields={name: value for name, value in fields.items() if value},
                removed=[name for name, value in fields.items() if not value],
            )
        enqueue("plan")
        return lead(row)

    @delete("/{lead_id:int}", sync_to_thread=True, responses=also(409))
    def delete(self, lead_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> None:
        """Delete a lead that was never mailed. One that was (`was_mailed`) stays: its record keeps a mail from being sent to it twice."""
        with database.transaction() as db:
            leads.delete(db, principal.workspace_id, lead_id)


def lead(row: dict[str, Any]) -> Lead:
    """A row of the ledger as the API shows it."""
    return msgspec.convert(row | {"lawful_basis": row["lawful_basis"] or None}, Lead)


def sought(search: str | None) -> str | None:
    """What a search looks for; None if nothing. No text of the ledger holds a NUL."""
    return search.strip().replace("\0", "\ufffd") or None if search else None


def _named(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {field_name(name).lower(): value for name, value in fields.items()}


def _field_faults(fields: Mapping[str, object]) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for name in fields:
        folded = field_name(name)
        if not folded:
            yield Fault(f"fields.{name}", "field_name", "A field's name needs a letter or a digit.")
        elif folded in _OWN:
            yield Fault(
                f"fields.{name}", "own_field", f"Every lead has {folded.lower()}; give it beside fields, not in them."
            )
        elif folded in seen:
            yield Fault(f"fields.{name}", "same_field", f"This is the same field as {seen[folded]}.")
        seen[folded] = name
