"""Leads: one address a workspace, with what is known of it. They join lists by `api/lists.py` and `api/imports.py`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from cleanmails.api.auth import Permission, Principal
from cleanmails.api.body import Id
from cleanmails.api.fields import Recipient, SourceNote, Tag
from cleanmails.api.given import Enqueue, Given
from cleanmails.api.pages import SYNCED, Page, Window, page
from cleanmails.api.personal_data import Erased, forget
from cleanmails.api.reference import also
from cleanmails.errors import ConflictError, Fault, InvalidError
from cleanmails.ledger import imports, leads, lists, suppressions, validations, workers
from cleanmails.ledger.db import Connection, Database, Row
from cleanmails.ledger.leads import ALL, Engagement, Filter
from cleanmails.ledger.suppressions import Entry
from cleanmails.ledger.validations import Found
from cleanmails.records import Arrival, LawfulBasis, LeadStatus, Validation
from cleanmails.rules import address, csvtext
from cleanmails.rules.content import field_name
from cleanmails.rules.search import words

MOST_FIELDS = 200
MOST_TAGS: Final = 1_000
BULK: Final = 10_000
"""Leads that one request may do something to."""

BULK_STEP: Final = 1_000
BULK_BODY: Final = 1_000_000
_COLUMNS: Final = (
    "id", "email", "first_name", "last_name", "company", "status", "validation", "source", "lawful_basis", "tags",
    "created_at", "updated_at",
)  # fmt: skip

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
    """What is to change; what is left out stays. `fields` are set beside those there are; null takes one away. `tags` are all that it is to have.

    Another address is another lead."""

    first_name: Word | UnsetType = UNSET
    last_name: Word | UnsetType = UNSET
    company: Word | UnsetType = UNSET
    fields: Annotated[dict[FieldName, Value | None], msgspec.Meta(max_length=MOST_FIELDS)] | UnsetType = UNSET
    source: SourceNote | UnsetType = UNSET
    lawful_basis: LawfulBasis | UnsetType | None = UNSET
    tags: Annotated[list[Tag], msgspec.Meta(max_length=50)] | UnsetType = UNSET

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


Search = Annotated[
    str | None,
    QueryParameter(
        max_length=200, description="Words, each of which must begin a word of the address, a name or the company."
    ),
]
Tagged = Annotated[str | None, QueryParameter(max_length=50, description="A tag that they have.")]
FieldAsked = Annotated[str | None, QueryParameter(max_length=100, description="An extra field, together with `value`.")]
ValueAsked = Annotated[str | None, QueryParameter(max_length=4_096, description="The exact value of `field`.")]
AtDomain = Annotated[str | None, QueryParameter(max_length=253, description="The part after the @.")]
OnList = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1, description="A list that they are on.")]
InCampaign = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1, description="A campaign that they are in.")]
Standing = Literal[
    "waiting", "in_flight", "held", "ended",
    "finished", "replied", "bounced", "unsubscribed", "suppressed", "invalid", "failed", "removed",
]  # fmt: skip
"""A state of a walk (`WalkState`), or how it ended (`WalkOutcome`)."""

Walk = Annotated[
    Standing | None,
    QueryParameter(description="With `campaign_id`: where they stand in it, or how it ended for them."),
]
Engaged = Annotated[
    Engagement | None,
    QueryParameter(
        description="What became of mails to them, of `campaign_id` or of any; `silent`: mailed, and did nothing."
    ),
]


class LeadFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which leads, as the list of leads is filtered; all of it must be true of a lead."""

    search: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    status: LeadStatus | None = None
    validation: Validation | None = None
    tag: Tag | None = None
    field: FieldName | None = None
    value: Value | None = None
    domain: Annotated[str, msgspec.Meta(max_length=253)] | None = None
    list_id: Id | None = None
    campaign_id: Id | None = None
    walk: Standing | None = None
    engagement: Engagement | None = None

    def faults(self) -> Iterator[Fault]:
        """What is asked for together must come together."""
        if (self.field is None) != (self.value is None):
            yield Fault("value", "together", "A field is asked for with its value.")
        if self.walk is not None and self.campaign_id is None:
            yield Fault("campaign_id", "together", "Where leads stand is asked for of a campaign.")

    def wanted(self) -> Filter:
        """As the ledger knows it. InvalidError."""
        if found := list(self.faults()):
            raise InvalidError(found)
        return Filter(
            words=tuple(words(self.search or "")),
            status=self.status,
            validation=self.validation,
            tag=self.tag,
            field=None if self.field is None or self.value is None else (field_name(self.field).lower(), self.value),
            domain=None if self.domain is None else self.domain.strip().lower(),
            list_id=self.list_id,
            campaign_id=self.campaign_id,
            walk=self.walk,
            engagement=self.engagement,
        )


def among(
    status: FromQuery[LeadStatus | None] = None,
    search: Search = None,
    validation: FromQuery[Validation | None] = None,
    tag: Tagged = None,
    field: FieldAsked = None,
    value: ValueAsked = None,
    domain: AtDomain = None,
    campaign_id: InCampaign = None,
    walk: Walk = None,
    engagement: Engaged = None,
) -> LeadFilter:
    """The filter that stands in an address, but for the list, which some addresses have elsewhere."""
    return LeadFilter(
        status=status,
        search=search,
        validation=validation,
        tag=tag,
        field=field,
        value=value,
        domain=domain,
        campaign_id=campaign_id,
        walk=walk,
        engagement=engagement,
    )


FILTERED: Final[Mapping[str, Provide]] = {"among": Provide(among, sync_to_thread=False)}
"""`dependencies` of a handler that finds leads."""


class LeadBulk(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be done to many leads: those named in `ids`, or all that a `filter` finds (at most 10,000 a request).

    `add_to_list`, `remove_from_list`: `list_id`; `add_tags`, `remove_tags`: `tags`; `set_fields`: `fields`, null takes one away; `set_validation`:
    `validation`, which you have from elsewhere, such as the `catchall` of a service that asks mail servers; `suppress`: never mail
    them again; `delete`: those that were never mailed.
    """

    action: Literal[
        "add_to_list",
        "remove_from_list",
        "add_tags",
        "remove_tags",
        "set_fields",
        "set_validation",
        "suppress",
        "delete",
    ]
    ids: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=BULK)] | None = None
    filter: LeadFilter | None = None
    list_id: Id | None = None
    tags: Annotated[list[Tag], msgspec.Meta(max_length=20)] = []
    fields: Annotated[dict[FieldName, Value | None], msgspec.Meta(max_length=MOST_FIELDS)] = {}
    validation: Validation | None = None
    note: Annotated[str, msgspec.Meta(max_length=1_000)] = ""

    def faults(self) -> Iterator[Fault]:
        """Whom it concerns, and what the action needs."""
        if (self.ids is None) == (self.filter is None):
            yield Fault("ids", "either", "Say whom it concerns: ids, or a filter.")
        needs = _NEEDS.get(self.action)
        if needs is not None and not getattr(self, needs):
            yield Fault(needs, "required", f"The action {self.action} needs this.")
        yield from _field_faults(self.fields)


class BulkDone(msgspec.Struct, frozen=True, kw_only=True):
    """What was done: `found` leads were meant, `changed` of them changed. The others were so already, are suppressed, or were mailed and cannot be deleted.

    `more`: the filter finds more than one request takes; ask again.
    """

    found: int
    changed: int
    more: bool


class TagCount(msgspec.Struct, frozen=True):
    """A tag, and how many leads have it."""

    tag: str
    leads: int


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

    @get(sync_to_thread=True, dependencies={**SYNCED, **FILTERED})
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        among: Given[LeadFilter],
        list_id: OnList = None,
    ) -> Page[Lead]:
        """List the leads, oldest first, or find those that fit all that is asked for.

        `updated_after` finds those that changed, whatever else they are, and so stands alone. Its `updated_at` tells of all of a lead but `lists`: who is on a list
        is asked for by `list_id`.
        """
        wanted = replace(among, list_id=list_id).wanted()
        if window.since is not None and wanted != ALL:
            raise InvalidError([Fault("updated_after", "alone", "Ask for what changed, or for what fits a filter.")])
        with database.transaction() as db:
            if window.since is not None:
                rows = leads.changed(db, principal.workspace_id, window.since, after=window.after, limit=window.fetch)
            else:
                rows = leads.page(db, principal.workspace_id, wanted, after=window.after, limit=window.fetch)
        return page(rows, window, lead)

    @get("/download", sync_to_thread=True, media_type="text/csv", dependencies=FILTERED)
    def download(
        self,
        database: Given[Database],
        principal: Given[Principal],
        among: Given[LeadFilter],
        list_id: OnList = None,
    ) -> Stream:
        """Download leads as CSV that is safe to open in a spreadsheet: all, or those that fit all that is asked for. Each extra field has a column."""
        wanted = replace(among, list_id=list_id).wanted()
        headers = {"Content-Disposition": 'attachment; filename="leads.csv"'}
        return Stream(_csv(database, principal.workspace_id, wanted), media_type="text/csv", headers=headers)

    @post("/bulk", sync_to_thread=True, status_code=200, responses=also(409), request_max_body_size=BULK_BODY)
    def bulk(
        self,
        data: JSONBody[LeadBulk],
        database: Given[Database],
        principal: Given[Principal],
        enqueue: Given[Enqueue],
    ) -> BulkDone:
        """Do one thing to many leads: put them on a list or take them off, add and remove tags, set fields or validation, suppress, delete.

        It goes by a thousand leads at a time; one that is broken off may be sent again.
        """
        workspace = principal.workspace_id
        with database.transaction() as db:
            if data.list_id is not None:
                lists.read(db, workspace, data.list_id)
            found, more = _meant(db, workspace, data)
        met = changed = 0
        for at in range(0, len(found), BULK_STEP):
            with database.transaction() as db:
                known = leads.known(db, workspace, found[at : at + BULK_STEP])
                met += len(known)
                changed += _ACTIONS[data.action](db, workspace, data, known)
        enqueue("plan")
        return BulkDone(found=met, changed=changed, more=more)

    @get("/tags", sync_to_thread=True)
    def list_tags(self, database: Given[Database], principal: Given[Principal]) -> list[TagCount]:
        """List the tags that leads have, with how many have each; at most a thousand."""
        with database.transaction() as db:
            return msgspec.convert(leads.tags(db, principal.workspace_id, limit=MOST_TAGS), list[TagCount])

    @get("/fields", sync_to_thread=True, responses=also(404))
    def list_fields(self, database: Given[Database], principal: Given[Principal], list_id: OnList = None) -> list[str]:
        """List the extra fields that leads have, of a list or of all."""
        with database.transaction() as db:
            if list_id is not None:
                lists.read(db, principal.workspace_id, list_id)
            return leads.field_names(db, principal.workspace_id, list_id)

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
            for name in ("first_name", "last_name", "company", "source")
            if isinstance(value := getattr(data, name), str)
        }
        fields = {} if isinstance(data.fields, UnsetType) else _named(data.fields)
        with database.transaction() as db:
            row = leads.update(
                db,
                principal.workspace_id,
                lead_id,
                **given,
                lawful_basis=None if isinstance(data.lawful_basis, UnsetType) else data.lawful_basis or "",
                tags=None if isinstance(data.tags, UnsetType) else [tag.strip() for tag in data.tags],
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

    @post("/{lead_id:int}/erase", sync_to_thread=True, status_code=200, needs=Permission.MANAGE)
    def erase(self, lead_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> Erased:
        """Forget a lead's address for good, as `POST /v1/outreach/personal-data/erase` does. It cannot be undone."""
        with database.transaction() as db:
            email = leads.read(db, principal.workspace_id, lead_id)["email"]
        return forget(database, principal, email, note="")


def _meant(db: Connection, workspace_id: int, data: LeadBulk) -> tuple[list[int], bool]:
    """The leads that a request means, and whether its filter finds more."""
    if data.filter is None:
        return sorted(set(data.ids or ())), False
    found: list[int] = []
    wanted = data.filter.wanted()
    while len(found) <= BULK:
        rows = leads.page(db, workspace_id, wanted, after=found[-1] if found else None, limit=BULK_STEP, whole=True)
        found += [row["id"] for row in rows]
        if len(rows) < BULK_STEP:
            break
    return found[:BULK], len(found) > BULK


def _ids(known: Sequence[Row]) -> list[int]:
    return [row["id"] for row in known]


def _suppress(db: Connection, workspace_id: int, data: LeadBulk, known: Sequence[Row]) -> int:
    entries = [
        Entry(kind="address", value=row["email"], reason="manual", source="api", note=data.note.strip())
        for row in known
    ]
    if not entries:
        return 0
    before = suppressions.known(db, workspace_id, entries)
    suppressions.suppress_all(db, workspace_id, entries)
    return len(entries) - before


def _set_fields(db: Connection, workspace_id: int, data: LeadBulk, known: Sequence[Row]) -> int:
    named = _named(data.fields)
    return leads.change_all(
        db,
        workspace_id,
        _ids(known),
        fields={name: value for name, value in named.items() if value},
        dropped=[name for name, value in named.items() if not value],
    )


def _set_validation(db: Connection, workspace_id: int, data: LeadBulk, known: Sequence[Row]) -> int:
    found = [Found(each, data.validation or "", ()) for each in _ids(known)]
    return validations.classify(db, workspace_id, found, now=workers.now(db))


_ACTIONS: Final[Mapping[str, Callable[[Connection, int, LeadBulk, Sequence[Row]], int]]] = {
    "add_to_list": lambda db, workspace, data, known: lists.add_leads(db, workspace, data.list_id or 0, _ids(known)),
    "remove_from_list": lambda db, workspace, data, known: lists.remove_leads(
        db, workspace, data.list_id or 0, _ids(known)
    ),
    "add_tags": lambda db, workspace, data, known: leads.change_all(db, workspace, _ids(known), added=_tags(data)),
    "remove_tags": lambda db, workspace, data, known: leads.change_all(db, workspace, _ids(known), removed=_tags(data)),
    "set_fields": _set_fields,
    "set_validation": _set_validation,
    "suppress": _suppress,
    "delete": lambda db, workspace, _data, known: leads.delete_all(db, workspace, _ids(known)),
}
_NEEDS: Final = {
    "add_to_list": "list_id",
    "remove_from_list": "list_id",
    "add_tags": "tags",
    "remove_tags": "tags",
    "set_fields": "fields",
    "set_validation": "validation",
}


def _tags(data: LeadBulk) -> list[str]:
    return [tag.strip() for tag in data.tags]


def _csv(database: Database, workspace_id: int, wanted: Filter) -> Iterator[str]:
    """Page by page, so that neither memory nor a transaction grows with the leads."""
    with database.transaction() as db:
        fields = leads.field_names(db, workspace_id, wanted.list_id)
    yield csvtext.written([[*_COLUMNS, *fields]])
    after = None
    while True:
        with database.transaction() as db:
            rows = leads.page(db, workspace_id, wanted, after=after, limit=BULK_STEP, whole=True)
        if not rows:
            return
        yield csvtext.written(
            [
                *(", ".join(row[name]) if name == "tags" else row[name] for name in _COLUMNS),
                *(row["fields"].get(name, "") for name in fields),
            ]
            for row in rows
        )
        after = rows[-1]["id"]


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
