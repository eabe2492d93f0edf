"""Webhooks: endpoints that are told what happens, with their secrets, their log, and ways to try and to repeat."""

import ipaddress
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from cleanmails.actors import outlets as sending
from cleanmails.api.auth import Permission, Principal
from cleanmails.api.body import Id
from cleanmails.api.given import Given
from cleanmails.api.pages import SYNCED, Page, Window, page
from cleanmails.errors import Fault, InvalidError, UnreachableError
from cleanmails.ledger import campaigns, outlets
from cleanmails.ledger.db import Connection, Database
from cleanmails.mail.http import Client, UrlError, target
from cleanmails.rules import event_types, signing
from cleanmails.rules.retries import outcome
from cleanmails.settings import Settings
from cleanmails.vault import Vault

REPLAY_MOST: Final = 10_000

Name = Annotated[str, msgspec.Meta(max_length=200)]
Url = Annotated[str, msgspec.Meta(max_length=2_000, examples=["https://receiver.example/hooks/cleanmails"])]
TypeNames = Annotated[list[str], msgspec.Meta(min_length=1, max_length=100, examples=[["email.sent", "email.replied"]])]
CampaignIds = Annotated[list[Id], msgspec.Meta(min_length=1, max_length=1_000)]


def url_faults(url: str) -> Iterator[Fault]:
    """What is wrong with an address, as far as it says so itself."""
    try:
        target(url)
    except UrlError as error:
        yield Fault("url", "url", f"This must be the address of a receiver. {error}")


def type_faults(names: Sequence[str]) -> Iterator[Fault]:
    """Types that there are none of; `*` stands for all that are not frequent."""
    for place, name in enumerate(names):
        if name != "*" and (name not in event_types.TYPES or name == "webhook.test"):
            yield Fault(f"types[{place}]", "type", f"There is no type {name!r} of events.")


def widened(names: Sequence[str]) -> list[str]:
    """The types that a list stands for."""
    common = [name for name, kind in event_types.TYPES.items() if not kind.frequent and name != "webhook.test"]
    return sorted({each for name in names for each in (common if name == "*" else [name])})


def check_place(url: str, settings: Settings) -> None:
    """InvalidError for a port or a literal address that is never connected to. A name is looked up, and judged, at each connection."""
    where = target(url)
    try:
        ipaddress.ip_address(where.host)
        literal = True
    except ValueError:
        literal = False
    try:
        connector = sending.connector(settings)
        if literal:
            connector.addresses(where.host, where.port)
        else:
            connector.check_port(where.port)
    except UnreachableError as error:
        raise InvalidError([Fault("url", error.code, error.message)]) from error
    if where.scheme == "http" and not settings.allow_private_hosts:
        raise InvalidError([Fault("url", "insecure", "This must start with https://: events hold personal data.")])


def check_campaigns(db: Connection, workspace_id: int, ids: Sequence[int] | None) -> None:
    """InvalidError for campaigns that the workspace does not have."""
    known = campaigns.known(db, workspace_id, ids) if ids else set()
    unknown = [
        Fault(f"campaign_ids[{place}]", "unknown_campaign", "There is no campaign with this id.")
        for place, each in enumerate(ids or ())
        if each not in known
    ]
    if unknown:
        raise InvalidError(unknown)


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint. Without `types` it is told everything but `email.opened` and `email.clicked`, which come in masses and must be named."""

    url: Url
    name: Name = ""
    types: TypeNames = msgspec.field(default_factory=lambda: ["*"])
    campaign_ids: CampaignIds | None = None

    def faults(self) -> Iterator[Fault]:
        """The address must be one, the types must be known."""
        yield from url_faults(self.url)
        yield from type_faults(self.types)


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True):
    """What of an endpoint is to change; `state: "on"` switches it on again, and all that waited is sent."""

    url: Url | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    types: TypeNames | UnsetType = UNSET
    campaign_ids: CampaignIds | UnsetType | None = UNSET
    state: Literal["on", "off"] | UnsetType = UNSET

    def faults(self) -> Iterator[Fault]:
        """As for a new one."""
        if self.url is not UNSET:
            yield from url_faults(self.url)
        if self.types is not UNSET:
            yield from type_faults(self.types)


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint and how it fares. `pending` events wait for it; `off_reason` says why it was switched off; it rests until `rest_until` after failures.

    `updated_at` tells of what is set and whether it is on, not of deliveries.
    """

    id: int
    url: str
    name: str
    types: list[str]
    campaign_ids: list[int] | None
    state: Literal["on", "off"]
    off_reason: str | None
    off_at: datetime | None
    failures_in_row: int
    rest_until: datetime | None
    pending: int
    delivered_at: datetime | None
    failed_at: datetime | None
    old_secret_until: datetime | None
    created_at: datetime
    updated_at: datetime


class FreshWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint with a secret that was just made. `secret` is shown this once and cannot be read again."""

    secret: str
    webhook: Webhook


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """For how many hours the old secret signs beside the new one; 0 ends it at once."""

    keep_old_hours: Annotated[int, msgspec.Meta(ge=0, le=168)] = 24


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint answered to a test event."""

    passed: bool
    status: int | None
    ms: int
    error: str | None
    answer: str


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are sent once more: by ids (both ends included), or by time (`until` not included). At least one end must be given."""

    event_id: int | None = None
    first_id: int | None = None
    last_id: int | None = None
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def faults(self) -> Iterator[Fault]:
        """A range must begin or end somewhere, and an id is one event."""
        if all(each is None for each in (self.event_id, self.first_id, self.last_id, self.since, self.until)):
            yield Fault("", "range", "Say which events: event_id, first_id, last_id, since or until.")
        if self.event_id is not None and (self.first_id is not None or self.last_id is not None):
            yield Fault("event_id", "range", "Give one event, or a range.")


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How many events are sent once more; `more` if the range holds more than are taken at once."""

    replayed: int
    more: bool


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way to an endpoint, or what became of it."""

    id: int
    event_id: int
    type: str
    state: Literal["pending", "delivered", "given_up"]
    attempts: int
    event_at: datetime
    first_at: datetime | None
    due_at: datetime | None
    done_at: datetime | None


class LoggedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt: the status and the first kilobyte of the answer, or in `error` why there was none."""

    id: int
    event_id: int
    type: str
    at: datetime
    outcome: str
    status: int | None
    ms: int
    error: str | None
    answer: str


class Webhooks(Controller):
    """`/v1/outreach/webhooks`."""

    path = "/v1/outreach/webhooks"
    tags = ("webhooks",)

    @post(sync_to_thread=True, needs=Permission.SETUP)
    def create(
        self,
        data: JSONBody[NewWebhook],
        database: Given[Database],
        vault: Given[Vault],
        settings: Given[Settings],
        principal: Given[Principal],
    ) -> FreshWebhook:
        """Make a webhook: from now on it is told what happens. Its secret is in this answer and nowhere else."""
        check_place(data.url, settings)
        secret = signing.secret_of(os.urandom(32))
        with database.transaction() as db:
            check_campaigns(db, principal.workspace_id, data.campaign_ids)
            made = outlets.create(
                db,
                principal.workspace_id,
                kind="webhook",
                name=data.name.strip(),
                url=target(data.url).url,
                types=widened(data.types),
                campaign_ids=data.campaign_ids,
                options={},
            )
            sealed = vault.seal(secret.encode(), sending.secret_name(made))
            outlets.seal(db, principal.workspace_id, made, sealed)
            row = outlets.read(db, principal.workspace_id, made, webhook=True)
        return FreshWebhook(secret=secret, webhook=_webhook(row))

    @get(sync_to_thread=True, dependencies=SYNCED)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        q: Annotated[str, QueryParameter(max_length=200, description="A part of the name or the address.")] = "",
    ) -> Page[Webhook]:
        """List the webhooks, oldest first."""
        with database.transaction() as db:
            rows = outlets.page(
                db,
                principal.workspace_id,
                webhook=True,
                q=q,
                since=window.since,
                after=window.after,
                limit=window.fetch,
            )
        return page(rows, window, _webhook)

    @get("/{webhook_id:int}", sync_to_thread=True)
    def read(self, webhook_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> Webhook:
        """Read one webhook."""
        with database.transaction() as db:
            return _webhook(outlets.read(db, principal.workspace_id, webhook_id, webhook=True))

    @patch("/{webhook_id:int}", sync_to_thread=True, needs=Permission.SETUP)
    def change(
        self,
        webhook_id: FromPath[int],
        data: JSONBody[WebhookChange],
        database: Given[Database],
        settings: Given[Settings],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Webhook:
        """Change a webhook, switch it off, or on again. What waited while it was off is sent, nothing is lost."""
        url = None if data.url is UNSET else data.url
        if url is not None:
            check_place(url, settings)
        wanted = None if data.campaign_ids is UNSET else data.campaign_ids
        with database.transaction() as db:
            check_campaigns(db, principal.workspace_id, wanted)
            outlets.change(
                db,
                principal.workspace_id,
                webhook_id,
                webhook=True,
                now=now,
                name=None if data.name is UNSET else data.name.strip(),
                url=None if url is None else target(url).url,
                types=None if data.types is UNSET else widened(data.types),
                campaign_ids=wanted,
                all_campaigns=data.campaign_ids is None,
                state=None if data.state is UNSET else data.state,
            )
            return _webhook(outlets.read(db, principal.workspace_id, webhook_id, webhook=True))

    @delete("/{webhook_id:int}", sync_to_thread=True, needs=Permission.SETUP)
    def remove(self, webhook_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> None:
        """Delete a webhook with its log; what waits for it is not sent."""
        with database.transaction() as db:
            outlets.delete(db, principal.workspace_id, webhook_id, webhook=True)

    @post("/{webhook_id:int}/rotate-secret", sync_to_thread=True, status_code=200, needs=Permission.SETUP)
    def rotate(
        self,
        webhook_id: FromPath[int],
        data: JSONBody[Rotation],
        database: Given[Database],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> FreshWebhook:
        """Give a webhook a new secret. For some hours each event is signed by both, so that a receiver may change over when it suits it."""
        secret = signing.secret_of(os.urandom(32))
        sealed = vault.seal(secret.encode(), sending.secret_name(webhook_id))
        until = now + timedelta(hours=data.keep_old_hours) if data.keep_old_hours else None
        with database.transaction() as db:
            outlets.read(db, principal.workspace_id, webhook_id, webhook=True)
            outlets.seal(db, principal.workspace_id, webhook_id, sealed, old_until=until)
            row = outlets.read(db, principal.workspace_id, webhook_id, webhook=True)
        return FreshWebhook(secret=secret, webhook=_webhook(row))

    @post("/{webhook_id:int}/test", sync_to_thread=True, status_code=200, needs=Permission.SETUP)
    def test(
        self,
        webhook_id: FromPath[int],
        database: Given[Database],
        vault: Given[Vault],
        settings: Given[Settings],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Trial:
        """Send a test event (`webhook.test`) now, and say what the endpoint answered. It counts for nothing, and is no part of the stream."""
        with database.transaction() as db:
            outlet = outlets.read(db, principal.workspace_id, webhook_id, webhook=True)
        return try_out(outlet, vault, settings, now)

    @post("/{webhook_id:int}/replay", sync_to_thread=True, status_code=200, needs=Permission.SETUP)
    def replay(
        self,
        webhook_id: FromPath[int],
        data: JSONBody[Replay],
        database: Given[Database],
        principal: Given[Principal],
    ) -> Replayed:
        """Send events once more, under the same ids: one, or all of a range that the webhook is subscribed to."""
        with database.transaction() as db:
            outlets.read(db, principal.workspace_id, webhook_id, webhook=True)
            return replayed(db, webhook_id, data)

    @get("/{webhook_id:int}/messages", sync_to_thread=True)
    def list_messages(
        self,
        webhook_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        wanted: Annotated[
            Literal["pending", "delivered", "given_up"] | None,
            QueryParameter(name="state", description="In this state alone."),
        ] = None,
    ) -> Page[Message]:
        """List the events that went to a webhook or wait for it, newest first."""
        with database.transaction() as db:
            outlets.read(db, principal.workspace_id, webhook_id, webhook=True)
            rows = outlets.messages(db, webhook_id, state=wanted, before=window.after, limit=window.fetch)
        return page(rows, window, lambda row: msgspec.convert(row, Message))

    @get("/{webhook_id:int}/attempts", sync_to_thread=True)
    def list_attempts(
        self,
        webhook_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        event_id: Annotated[int | None, QueryParameter(description="Of one event alone.", ge=1, le=2**63 - 1)] = None,
    ) -> Page[LoggedAttempt]:
        """List the attempts of a webhook, newest first; kept for 30 days."""
        with database.transaction() as db:
            outlets.read(db, principal.workspace_id, webhook_id, webhook=True)
            rows = outlets.attempts(db, webhook_id, event_id=event_id, before=window.after, limit=window.fetch)
        return page(rows, window, lambda row: msgspec.convert(row, LoggedAttempt))


def replayed(db: Connection, outlet_id: int, asked: Replay) -> Replayed:
    """Sends events to an outlet of any kind once more, as many as are taken at once."""
    count = outlets.replay(
        db,
        outlet_id,
        first_id=asked.event_id if asked.event_id is not None else asked.first_id,
        last_id=asked.event_id if asked.event_id is not None else asked.last_id,
        since=asked.since,
        until=asked.until,
        limit=REPLAY_MOST,
    )
    return Replayed(replayed=count, more=count == REPLAY_MOST)


def try_out(outlet: dict[str, Any], vault: Vault, settings: Settings, now: datetime) -> Trial:
    """Sends a test event to an outlet of any kind, and says what came back."""
    row = {
        "id": -int(1_000 * now.timestamp()),  # no event has it, and receivers that know their ids let it through
        "type": "webhook.test",
        "at": now.astimezone(UTC),
        "campaign_id": None,
        "lead_id": None,
        "delivery_id": None,
        "sender_id": None,
        "data": {"text": "This is a test of cleanmails."},
        "attempts": 0,
    }
    connect = sending.connector(settings).connect
    secret = vault.open(bytes(outlet["sealed"]), sending.secret_name(outlet["id"])).decode()
    began = time.monotonic()
    ca_file = str(settings.ca_file) if settings.ca_file else None
    with Client(connect, ca_file=ca_file, patience=sending.ATTEMPT_SECONDS) as client:
        try:
            said = sending.tellers()[outlet["kind"]](client, outlet, [secret], row, now)
        except UnreachableError as error:
            said = sending.Reply(status=None, error=f"{error.code}: {error.message}")
        except UrlError as error:
            said = sending.Reply(status=None, error=f"url: {error}")
    return Trial(
        passed=outcome(said.status) == "delivered",
        status=said.status,
        ms=round(1_000 * (time.monotonic() - began)),
        error=said.error,
        answer=said.answer,
    )


def _webhook(row: dict[str, Any]) -> Webhook:
    return msgspec.convert({**row, "old_secret_until": row["old_until"]}, Webhook)
