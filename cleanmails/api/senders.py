"""Senders: mailboxes with their credentials, which are tested before they are saved and never shown again."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec.structs import replace

from cleanmails import log
from cleanmails.actors import trial
from cleanmails.actors.oauth import Access
from cleanmails.actors.trial import Trial
from cleanmails.actors.work import Kit
from cleanmails.api.auth import Permission, Principal
from cleanmails.api.given import Given
from cleanmails.api.mailbox import NEW, NewSender, RampUp, SenderChange, merged, standing
from cleanmails.api.pages import SYNCED, Page, Window, page
from cleanmails.api.reference import also
from cleanmails.errors import Fault, InvalidError
from cleanmails.ledger import oauth, senders
from cleanmails.ledger.db import Database, Row
from cleanmails.ledger.senders import Mailbox
from cleanmails.records import DomainStatus, Security, SenderStatus
from cleanmails.rules import address
from cleanmails.settings import Settings
from cleanmails.vault import Vault

Standing = Literal["ready", "cooling_down", "warmup", "restricted", "paused"]

_log = log.get(__name__)


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender has used of its limit of today, be it the daily limit or what a ramp-up allows so far; the day is the UTC day.

    `answers` of these people wrote in conversations: they count, and are never held up, so `used` may be over the limit.
    """

    used: int
    answers: int
    limit: int
    left: int
    resets_at: datetime


class RampUpState(RampUp, frozen=True, kw_only=True):
    """A ramp-up, what it allows today, and on how many further days the sender must send until it has reached its end (0: it has)."""

    begins_on: date
    limit_today: int
    days_left: int


class HealthDay(msgspec.Struct, frozen=True, kw_only=True):
    """A UTC day of a sender: its health at the end of it (today: now) and the lowest, how many attempts went wrong and why the last one did, and how many
    mails it has used up.
    """

    date: date
    health: int
    lowest: int
    errors: int
    last_error: str | None
    used: int


class SenderDomain(msgspec.Struct, frozen=True):
    """The domain of a sender, one of the workspace's own."""

    id: int
    name: str
    status: DomainStatus


class InboxState(msgspec.Struct, frozen=True, kw_only=True):
    """How reading the inbox goes. `new`: no worker has looked yet; `idle`: its server tells when mail comes; `polled`: it is asked each minute; `failing`: see
    `error`, it is tried again at `next_try_at`. `set_aside` counts messages that could not be handled.
    """

    state: Literal["new", "idle", "polled", "failing"]
    checked_at: datetime | None
    error_code: str | None
    error: str | None
    error_at: datetime | None
    next_try_at: datetime | None
    set_aside: int


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """A sender signs in by its owner's consent at its provider (see `POST /v1/oauth/{provider}/start`), as `account`. With an `error` that is `final` he must
    consent again.
    """

    provider: Literal["google", "microsoft"]
    account: str
    granted_at: datetime
    error: str | None
    final: bool


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox. `oauth` is null where it signs in by password. `imap` tells how its inbox is read, null if it is not. `signed_by` says whose DKIM key is under its mails: its `domain`'s, or its mail `provider`'s where the domain is not ours."""

    id: int
    address: str
    name: str
    reply_to: str | None
    signature: str
    domain: SenderDomain | None
    signed_by: Literal["domain", "provider"]
    smtp_host: str
    smtp_port: int
    smtp_security: Security
    smtp_username: str
    imap_host: str | None
    imap_port: int | None
    imap_security: Security | None
    imap_username: str | None
    imap: InboxState | None
    oauth: Consent | None
    daily_limit: int
    min_gap_seconds: int
    max_gap_seconds: int
    status: SenderStatus
    status_reason: str | None
    health: int
    cooldown_until: datetime | None
    cooldown_reason: str | None
    last_error: str | None
    last_error_at: datetime | None
    tested_at: datetime | None
    today: Usage
    ramp_up: RampUpState | None
    created_at: datetime
    updated_at: datetime


class SenderTest(msgspec.Struct, frozen=True, kw_only=True):
    """How a test went, and the sender as it stands after it."""

    trial: Trial
    sender: Sender


class Senders(Controller):
    """`/v1/outreach/senders`."""

    path = "/v1/outreach/senders"
    tags = ("senders",)

    @post(sync_to_thread=True, needs=Permission.SETUP, responses=also(409))
    def create(
        self,
        data: JSONBody[NewSender],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Sender:
        """Add a sender. It belongs to the workspace's domain of its address, if there is one."""
        workspace, mail = principal.workspace_id, address.normal(data.address)
        with database.transaction() as db:
            sender_id = senders.next_id(db)
        mailbox = merged(NEW, data, mail, sender_id, vault, today=now.date())
        # No transaction is held while the server is tried out.
        passed = _proven(mailbox, data, mail, sender_id, vault, settings)
        mailbox = standing(mailbox, data.status, passed=passed, now=now)
        with database.transaction() as db:
            senders.create(db, workspace, sender_id, mail, mailbox, now=now)
            row = senders.read(db, workspace, sender_id, today=now.date())
        _log.info("sender.created", sender=sender_id, status=row["status"])
        return _sender(row, now)

    @get(sync_to_thread=True, dependencies=SYNCED)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        now: Given[datetime],
        q: Annotated[str, QueryParameter(max_length=200, description="A part of the address or the name.")] = "",
        wanted: Annotated[
            Standing | None,
            QueryParameter(
                name="status", description="One status; a sender that is ready and rests is `cooling_down`."
            ),
        ] = None,
    ) -> Page[Sender]:
        """List the senders, oldest first."""
        with database.transaction() as db:
            rows = senders.list_senders(
                db,
                principal.workspace_id,
                now=now,
                q=q,
                standing=wanted,
                since=window.since,
                after=window.after,
                limit=window.fetch,
            )
        return page(rows, window, lambda row: _sender(row, now))

    @get("/{sender_id:int}", sync_to_thread=True)
    def read(
        self, sender_id: FromPath[int], database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> Sender:
        """Read one sender."""
        with database.transaction() as db:
            return _sender(senders.read(db, principal.workspace_id, sender_id, today=now.date()), now)

    @patch("/{sender_id:int}", sync_to_thread=True, needs=Permission.SETUP, responses=also(409))
    def change(
        self,
        sender_id: FromPath[int],
        data: JSONBody[SenderChange],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Sender:
        """Change a sender, or pause and resume it by its `status`. Once a pause has answered, no further mail goes out by it."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            row = senders.read(db, workspace, sender_id, today=now.date())
        mail = row["address"]
        mailbox = merged(as_mailbox(row), data, mail, sender_id, vault, today=now.date())
        by_password = bool(data.fields.keys() & {"smtp_password", "imap_password"})
        kit = Kit(settings=settings, database=database, vault=vault)
        access = None if by_password else trial.access_of(kit, row)
        passed = _proven(mailbox, data, mail, sender_id, vault, settings, access)
        stops = passed is False or data.status == "paused"
        with database.transaction() as db:
            # Merged once more, into what stands there now: somebody else may have changed the sender meanwhile.
            mailbox = as_mailbox(senders.lock(db, workspace, sender_id, stop=stops))
            if by_password:
                oauth.forget(db, workspace, sender_id)
            mailbox = merged(mailbox, data, mail, sender_id, vault, today=now.date())
            senders.update(db, workspace, sender_id, standing(mailbox, data.status, passed=passed, now=now), now=now)
            row = senders.read(db, workspace, sender_id, today=now.date())
        _log.info("sender.changed", sender=sender_id, status=row["status"])
        return _sender(row, now)

    @post("/{sender_id:int}/pause", sync_to_thread=True, status_code=200, needs=Permission.SETUP, responses=also(409))
    def pause(
        self, sender_id: FromPath[int], database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> Sender:
        """Pause a sender. Once this has answered, no further mail goes out by it; its leads wait."""
        return _turned(database, principal.workspace_id, sender_id, "paused", now)

    @post("/{sender_id:int}/resume", sync_to_thread=True, status_code=200, needs=Permission.SETUP, responses=also(409))
    def resume(
        self, sender_id: FromPath[int], database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> Sender:
        """Let a paused sender send again."""
        return _turned(database, principal.workspace_id, sender_id, "ready", now)

    @get("/{sender_id:int}/health", sync_to_thread=True)
    def health(
        self,
        sender_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        now: Given[datetime],
        days: Annotated[int, QueryParameter(ge=1, le=366)] = 30,
    ) -> list[HealthDay]:
        """Read how a sender's health went, a UTC day at a time, oldest first. It is kept for as long as the sender is."""
        workspace, today = principal.workspace_id, now.astimezone(UTC).date()
        with database.transaction() as db:
            senders.read(db, workspace, sender_id, today=today)
            found = senders.health_days(db, workspace, sender_id, first=today - timedelta(days=days - 1), today=today)
        return [msgspec.convert(row | {"date": row["day"]}, HealthDay) for row in found]

    @delete("/{sender_id:int}", sync_to_thread=True, needs=Permission.SETUP)
    def remove(
        self, sender_id: FromPath[int], database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> None:
        """Delete a sender. Its passwords are forgotten; what was sent by it stays on record, and follow-ups do as their campaign says (`on_sender_loss`)."""
        with database.transaction() as db:
            senders.delete(db, principal.workspace_id, sender_id, now=now)
        _log.info("sender.deleted", sender=sender_id)

    @post("/test", sync_to_thread=True, status_code=200, needs=Permission.SETUP)
    def test_new(
        self, data: JSONBody[NewSender], settings: Given[Settings], vault: Given[Vault], now: Given[datetime]
    ) -> Trial:
        """Try out the server and the inbox of a sender that is not saved yet. Nothing is written, and no mail is sent."""
        mail = address.normal(data.address)
        return trial.both(merged(NEW, data, mail, 0, vault, today=now.date()), mail, 0, vault, settings)

    @post("/{sender_id:int}/test", sync_to_thread=True, status_code=200, needs=Permission.SETUP)
    def test(
        self,
        sender_id: FromPath[int],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> SenderTest:
        """Try out a sender's server and its inbox. Where mail can be handed in, a restriction and a cooldown end; else nothing changes. No mail is sent."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            row = senders.read(db, workspace, sender_id, today=now.date())
        access = trial.access_of(Kit(settings=settings, database=database, vault=vault), row)
        found = trial.both(as_mailbox(row), row["address"], sender_id, vault, settings, access)
        with database.transaction() as db:
            if found.handed_in:
                senders.record_pass(db, workspace, sender_id, now=now)
            row = senders.read(db, workspace, sender_id, today=now.date())
        _log.info("sender.tested", sender=sender_id, passed=found.passed, stage=found.stage, code=found.code)
        return SenderTest(trial=found, sender=_sender(row, now))


def _turned(
    database: Database, workspace_id: int, sender_id: int, status: Literal["ready", "paused"], now: datetime
) -> Sender:
    """The sender after a person has paused or resumed it; as often as one likes."""
    with database.transaction() as db:
        mailbox = as_mailbox(senders.lock(db, workspace_id, sender_id, stop=status == "paused"))
        senders.update(db, workspace_id, sender_id, standing(mailbox, status, passed=None, now=now), now=now)
        row = senders.read(db, workspace_id, sender_id, today=now.date())
    _log.info("sender.changed", sender=sender_id, status=row["status"])
    return _sender(row, now)


def _proven(
    mailbox: Mailbox,
    data: SenderChange,
    mail: str,
    sender_id: int,
    vault: Vault,
    settings: Settings,
    access: Access | None = None,
) -> bool | None:
    """Tests what a request says anew of the servers, unless it asks for no test. Whether mail can be handed in (None: nothing new was said of that).

    InvalidError with what the servers have against the sender. No transaction may be held meanwhile.
    """
    handing_in = any(name.startswith("smtp_") for name in data.fields)
    reading = mailbox.imap_host is not None and any(name.startswith("imap_") for name in data.fields)
    faults: list[Fault] = []
    if data.test and handing_in:
        only = mailbox if reading else replace(mailbox, imap_host=None)
        faults = trial.both(only, mail, sender_id, vault, settings, access).faults()
    elif data.test and reading:
        end = trial.inbox_endpoint(mailbox, mail, sender_id, vault, settings, access)
        faults = trial.read_inbox(end, settings).faults() if end else []
    if faults:
        raise InvalidError(faults, "The sender's server does not take it; nothing was saved.")
    return data.test if handing_in else None


as_mailbox = trial.mailbox_of


def _sender(row: Row, now: datetime) -> Sender:
    made: dict[str, Any] = {name: row[name] for name in Sender.__struct_fields__ if name in row}
    ours = row["domain_id"] is not None
    made["domain"] = (
        {"id": row["domain_id"], "name": row["domain_name"], "status": row["domain_status"]} if ours else None
    )
    made["imap"] = _inbox(row) if row["imap_host"] is not None else None
    made["oauth"] = _consent(row) if row["oauth_provider"] is not None else None
    made["signed_by"] = "domain" if ours else "provider"
    made["today"] = {
        "used": row["used_today"],
        "answers": row["answers_today"],
        "limit": row["limit_today"],
        "left": max(0, row["limit_today"] - row["used_today"]),
        "resets_at": datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC),
    }
    made["ramp_up"] = _ramp_up(row)
    return msgspec.convert(made, Sender)


def _ramp_up(row: Row) -> dict[str, Any] | None:
    if row["ramp_from"] is None:
        return None
    most = min(row["daily_limit"], row["ramp_ceiling"] or row["daily_limit"])
    return {
        "start": row["ramp_start"],
        "step_per_day": row["ramp_step"],
        "ceiling": row["ramp_ceiling"],
        "begins_on": row["ramp_from"],
        "limit_today": row["limit_today"],
        "days_left": -(-max(0, most - row["limit_today"]) // row["ramp_step"]),
    }


def _inbox(row: Row) -> InboxState:
    failing, seen = row["inbox_error"] is not None, row["inbox_checked_at"] is not None
    return InboxState(
        state="failing" if failing else "new" if not seen else "idle" if row["inbox_idle"] else "polled",
        checked_at=row["inbox_checked_at"],
        error_code=row["inbox_error_code"],
        error=row["inbox_error"],
        error_at=row["inbox_failed_at"],
        next_try_at=row["inbox_due_at"],
        set_aside=row["inbox_set_aside"],
    )


def _consent(row: Row) -> Consent:
    return Consent(
        provider=row["oauth_provider"],
        account=row["oauth_account"],
        granted_at=row["oauth_granted_at"],
        error=row["oauth_error"],
        final=row["oauth_refused_at"] is not None,
    )
