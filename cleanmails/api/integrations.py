"""Integrations: HubSpot, Pipedrive and Slack, kept up to date by the stream of events. Each is an outlet like a webhook; its credential is taken and never shown."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from cleanmails.actors import crm as speaking
from cleanmails.actors import outlets as sending
from cleanmails.api.auth import Permission, Principal
from cleanmails.api.given import Given
from cleanmails.api.pages import SYNCED, Page, Window, page
from cleanmails.api.webhooks import (
    CampaignIds,
    LoggedAttempt,
    Message,
    Name,
    Replay,
    Replayed,
    Trial,
    TypeNames,
    Url,
    check_campaigns,
    check_place,
    replayed,
    try_out,
    type_faults,
    url_faults,
    widened,
)
from cleanmails.errors import Fault, InvalidError
from cleanmails.ledger import outlets
from cleanmails.ledger.db import Database, Row
from cleanmails.mail.http import target
from cleanmails.rules import crm
from cleanmails.settings import Settings
from cleanmails.vault import Vault

Kind = Literal["hubspot", "pipedrive", "slack"]
Credential = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000, examples=["pat-eu1-..."])]
Fields = Annotated[
    dict[Annotated[str, msgspec.Meta(max_length=100)], Annotated[str, msgspec.Meta(min_length=1, max_length=100)]],
    msgspec.Meta(max_length=100, examples=[{"first_name": "firstname", "city": "city"}]),
]
Choice = Annotated[str, msgspec.Meta(max_length=100)]


class NewIntegration(msgspec.Struct, frozen=True, kw_only=True):
    """What to keep up to date. `credential`: a private app's token (HubSpot), an API token (Pipedrive), or the address of an incoming webhook (Slack).

    `fields` maps fields of leads to properties of contacts, `pipeline` and `stage` say where the deal of a booked meeting begins (Pipedrive: their ids),
    `url` is the API's address where it is not the usual one.
    """

    kind: Kind
    credential: Credential
    name: Name = ""
    url: Url | None = None
    types: TypeNames | None = None
    campaign_ids: CampaignIds | None = None
    fields: Fields | None = None
    pipeline: Choice = ""
    stage: Choice = ""

    def __repr__(self) -> str:
        return f"NewIntegration({self.kind})"

    def faults(self) -> Iterator[Fault]:
        """Addresses must be some, types must be known, and Pipedrive counts its pipelines."""
        if self.url is not None:
            yield from url_faults(self.url)
        if self.kind == "slack":
            yield from (Fault("credential", each.code, each.message) for each in url_faults(self.credential))
        elif not self.credential.isascii() or not self.credential.isprintable() or " " in self.credential:
            yield Fault("credential", "token", "This must be a token as the CRM shows it.")
        yield from type_faults(self.types or ())
        yield from choice_faults(self.kind, pipeline=self.pipeline, stage=self.stage)


class IntegrationChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change; `state: "on"` switches it on again, and all that waited is told."""

    credential: Credential | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    types: TypeNames | UnsetType = UNSET
    campaign_ids: CampaignIds | UnsetType | None = UNSET
    fields: Fields | UnsetType | None = UNSET
    pipeline: Choice | UnsetType = UNSET
    stage: Choice | UnsetType = UNSET
    state: Literal["on", "off"] | UnsetType = UNSET

    def __repr__(self) -> str:
        return "IntegrationChange()"

    def faults(self) -> Iterator[Fault]:
        """Types must be known."""
        if self.types is not UNSET:
            yield from type_faults(self.types)


class Integration(msgspec.Struct, frozen=True, kw_only=True):
    """An integration and how it fares: as a webhook. `fields` null: the CRM's usual ones. `updated_at` tells of what is set and whether it is on, not of deliveries."""

    id: int
    kind: Kind
    url: str
    name: str
    types: list[str]
    campaign_ids: list[int] | None
    fields: dict[str, str] | None
    pipeline: str
    stage: str
    state: Literal["on", "off"]
    off_reason: str | None
    off_at: datetime | None
    failures_in_row: int
    rest_until: datetime | None
    pending: int
    delivered_at: datetime | None
    failed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Integrations(Controller):
    """`/v1/outreach/integrations`."""

    path = "/v1/outreach/integrations"
    tags = ("integrations",)

    @post(sync_to_thread=True, needs=Permission.SETUP)
    def create(
        self,
        data: JSONBody[NewIntegration],
        database: Given[Database],
        vault: Given[Vault],
        settings: Given[Settings],
        principal: Given[Principal],
    ) -> Integration:
        """Connect a CRM or Slack: from now on it is told what happens. Its credential is sealed and never shown again."""
        place = target(data.url or speaking.PLACES[data.kind]).url.rstrip("/")
        check_place(place, settings)
        if data.kind == "slack":
            check_place(data.credential, settings)
        with database.transaction() as db:
            check_campaigns(db, principal.workspace_id, data.campaign_ids)
            made = outlets.create(
                db,
                principal.workspace_id,
                kind=data.kind,
                name=data.name.strip(),
                url=place,
                types=widened(data.types or crm.DEFAULT_TYPES[data.kind]),
                campaign_ids=data.campaign_ids,
                options={"fields": data.fields, "pipeline": data.pipeline, "stage": data.stage},
            )
            sealed = vault.seal(data.credential.encode(), sending.secret_name(made))
            outlets.seal(db, principal.workspace_id, made, sealed)
            return _integration(outlets.read(db, principal.workspace_id, made, webhook=False))

    @get(sync_to_thread=True, dependencies=SYNCED)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        q: Annotated[str, QueryParameter(max_length=200, description="A part of the name or the address.")] = "",
    ) -> Page[Integration]:
        """List the integrations, oldest first."""
        with database.transaction() as db:
            rows = outlets.page(
                db,
                principal.workspace_id,
                webhook=False,
                q=q,
                since=window.since,
                after=window.after,
                limit=window.fetch,
            )
        return page(rows, window, _integration)

    @get("/{integration_id:int}", sync_to_thread=True)
    def read(
        self, integration_id: FromPath[int], database: Given[Database], principal: Given[Principal]
    ) -> Integration:
        """Read one integration."""
        with database.transaction() as db:
            return _integration(outlets.read(db, principal.workspace_id, integration_id, webhook=False))

    @patch("/{integration_id:int}", sync_to_thread=True, needs=Permission.SETUP)
    def change(
        self,
        integration_id: FromPath[int],
        data: JSONBody[IntegrationChange],
        database: Given[Database],
        vault: Given[Vault],
        settings: Given[Settings],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Integration:
        """Change an integration, give it a new credential, switch it off, or on again."""
        wanted = None if data.campaign_ids is UNSET else data.campaign_ids
        with database.transaction() as db:
            before = outlets.read(db, principal.workspace_id, integration_id, webhook=False)
            check_campaigns(db, principal.workspace_id, wanted)
            options = dict(before["options"])
            for name in ("fields", "pipeline", "stage"):
                value = getattr(data, name)
                options |= {} if value is UNSET else {name: value}
            _check_change(before["kind"], data, options, settings)
            outlets.change(
                db,
                principal.workspace_id,
                integration_id,
                webhook=False,
                now=now,
                name=None if data.name is UNSET else data.name.strip(),
                types=None if data.types is UNSET else widened(data.types),
                campaign_ids=wanted,
                all_campaigns=data.campaign_ids is None,
                options=options,
                state=None if data.state is UNSET else data.state,
            )
            if data.credential is not UNSET:
                sealed = vault.seal(data.credential.encode(), sending.secret_name(integration_id))
                outlets.seal(db, principal.workspace_id, integration_id, sealed)
            return _integration(outlets.read(db, principal.workspace_id, integration_id, webhook=False))

    @delete("/{integration_id:int}", sync_to_thread=True, needs=Permission.SETUP)
    def remove(self, integration_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> None:
        """Delete an integration with its credential and its log; what waits for it is not told."""
        with database.transaction() as db:
            outlets.delete(db, principal.workspace_id, integration_id, webhook=False)

    @post("/{integration_id:int}/test", sync_to_thread=True, status_code=200, needs=Permission.SETUP)
    def test(
        self,
        integration_id: FromPath[int],
        database: Given[Database],
        vault: Given[Vault],
        settings: Given[Settings],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Trial:
        """Try the credential now: a CRM is asked for something harmless, Slack gets a message that says that it is a test."""
        with database.transaction() as db:
            outlet = outlets.read(db, principal.workspace_id, integration_id, webhook=False)
        return try_out(outlet, vault, settings, now)

    @post("/{integration_id:int}/replay", sync_to_thread=True, status_code=200, needs=Permission.SETUP)
    def replay(
        self,
        integration_id: FromPath[int],
        data: JSONBody[Replay],
        database: Given[Database],
        principal: Given[Principal],
    ) -> Replayed:
        """Tell an integration of events once more: one, or all of a range that it is told of. What a CRM has of them already is not made again."""
        with database.transaction() as db:
            outlets.read(db, principal.workspace_id, integration_id, webhook=False)
            return replayed(db, integration_id, data)

    @get("/{integration_id:int}/messages", sync_to_thread=True)
    def list_messages(
        self,
        integration_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        wanted: Annotated[
            Literal["pending", "delivered", "given_up"] | None,
            QueryParameter(name="state", description="In this state alone."),
        ] = None,
    ) -> Page[Message]:
        """List the events that an integration was told or that wait for it, newest first."""
        with database.transaction() as db:
            outlets.read(db, principal.workspace_id, integration_id, webhook=False)
            rows = outlets.messages(db, integration_id, state=wanted, before=window.after, limit=window.fetch)
        return page(rows, window, lambda row: msgspec.convert(row, Message))

    @get("/{integration_id:int}/attempts", sync_to_thread=True)
    def list_attempts(
        self,
        integration_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        event_id: Annotated[int | None, QueryParameter(description="Of one event alone.", ge=1, le=2**63 - 1)] = None,
    ) -> Page[LoggedAttempt]:
        """List the attempts of an integration, newest first; kept for 30 days."""
        with database.transaction() as db:
            outlets.read(db, principal.workspace_id, integration_id, webhook=False)
            rows = outlets.attempts(db, integration_id, event_id=event_id, before=window.after, limit=window.fetch)
        return page(rows, window, lambda row: msgspec.convert(row, LoggedAttempt))


def choice_faults(kind: str, **chosen: str) -> Iterator[Fault]:
    """Pipedrive knows its pipelines and stages by number."""
    if kind == "pipedrive":
        for field, value in chosen.items():
            if value and not (value.isascii() and value.isdigit()):
                yield Fault(field, "number", "This must be the number that Pipedrive shows in its address.")


def _check_change(kind: str, data: IntegrationChange, options: dict[str, Any], settings: Settings) -> None:
    """InvalidError for what only the kind can say of a change."""
    faults = list(choice_faults(kind, pipeline=options.get("pipeline") or "", stage=options.get("stage") or ""))
    if data.credential is not UNSET:
        if kind == "slack":
            faults += [Fault("credential", each.code, each.message) for each in url_faults(data.credential)]
        elif not data.credential.isascii() or not data.credential.isprintable() or " " in data.credential:
            faults.append(Fault("credential", "token", "This must be a token as the CRM shows it."))
    if faults:
        raise InvalidError(faults)
    if data.credential is not UNSET and kind == "slack":
        check_place(data.credential, settings)


def _integration(row: Row) -> Integration:
    options = row["options"]
    shown = {
        "fields": options.get("fields"),
        "pipeline": options.get("pipeline") or "",
        "stage": options.get("stage") or "",
    }
    return msgspec.convert({**row, **shown}, Integration)
