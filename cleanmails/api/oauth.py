"""Connecting a mailbox at Google or Microsoft: its owner consents at the provider, and this installation signs in with tokens in place of a password.

    POST /v1/oauth/google/start      -> where to send the person's browser
    GET  /v1/oauth/google/callback   <- the provider sends it back here

The answer is taken once, within ten minutes, and only from who asked: else somebody could have another person's consent put into his own workspace.
"""

import secrets
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Redirect

from cleanmails import log
from cleanmails.actors import oauth as tokens
from cleanmails.actors import trial
from cleanmails.actors.work import Kit
from cleanmails.api.auth import Permission, Principal, token_hash
from cleanmails.api.fields import Line
from cleanmails.api.given import Given
from cleanmails.api.mailbox import NEW
from cleanmails.api.reference import also
from cleanmails.errors import CleanmailsError, NotFoundError, StateError, UnreachableError
from cleanmails.ledger import oauth, senders
from cleanmails.ledger.db import Connection, Database, Row
from cleanmails.ledger.oauth import Consent
from cleanmails.mail.oauth import Provider, Tokens, consent_url, exchange
from cleanmails.records import SenderStatus
from cleanmails.rules import address
from cleanmails.settings import Settings
from cleanmails.vault import Vault

Name = Literal["google", "microsoft"]

LIFE: Final = timedelta(minutes=10)
_PATH: Final = r"^/(?![/\\])[^\s\\#]*$"

_log = log.get(__name__)


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be connected: the sender `sender_id`, or a new one, to be called `name`. `return_to`: the page of this installation that the browser ends on,
    with `oauth=connected` and `sender_id`, or with `oauth` set to the code of what went wrong; without it the callback answers as the API does.
    """

    sender_id: int | None = None
    name: Line = ""
    return_to: Annotated[str, msgspec.Meta(max_length=500, pattern=_PATH, examples=["/senders"])] | None = None


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """Where the person's browser is to go, until `expires_at`."""

    authorize_url: str
    expires_at: datetime


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """A sender that signs in at its provider with its owner's consent. `status` as that of the sender: `restricted` if its server did not take the sign-in."""

    sender_id: int
    provider: Name
    account: str
    status: SenderStatus


class Oauth(Controller):
    """`/v1/oauth/{provider}`, and the end of a connection."""

    tags = ("senders",)

    @post(
        "/v1/oauth/{provider:str}/start",
        sync_to_thread=True,
        status_code=200,
        needs=Permission.SETUP,
        responses=also(404, 409),
    )
    def start(
        self,
        provider: FromPath[str],
        data: JSONBody[Start],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Started:
        """Begin to connect a mailbox. Send the person's browser to `authorize_url`; the provider sends it back to the callback."""
        known, state = _known(settings, provider), secrets.token_urlsafe(32)
        with database.transaction() as db:
            hint = None
            if data.sender_id is not None:
                hint = senders.read(db, principal.workspace_id, data.sender_id, today=now.date())["address"]
            consent = Consent(
                workspace_id=principal.workspace_id,
                actor=_actor(principal),
                provider=provider,
                sender_id=data.sender_id,
                name=data.name,
                return_to=data.return_to,
            )
            oauth.ask(db, token_hash(state), consent, now=now, expires_at=now + LIFE)
        url = consent_url(
            known,
            redirect_uri=_callback(settings, provider),
            state=state,
            verifier=tokens.verifier(vault, state),
            hint=hint,
        )
        return Started(authorize_url=url, expires_at=now + LIFE)

    @get("/v1/oauth/{provider:str}/callback", sync_to_thread=True, needs=Permission.SETUP, responses=also(404, 409))
    def callback(
        self,
        provider: FromPath[str],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
        given: Annotated[
            str, QueryParameter(name="state", max_length=200, description="What `start` gave the provider.")
        ],
        code: Annotated[str | None, QueryParameter(max_length=4_000, description="What the consent brought.")] = None,
        error: Annotated[str | None, QueryParameter(max_length=200, description="Why there is none.")] = None,
    ) -> Response[Connected] | Redirect:
        """Take what the provider's consent page brought. The sender signs in by it from now on, and its passwords are forgotten."""
        known = _known(settings, provider)
        with database.transaction() as db:
            asked = oauth.take(
                db, token_hash(given), workspace_id=principal.workspace_id, actor=_actor(principal), provider=provider, now=now
            )  # fmt: skip
        if asked is None:
            raise StateError(
                "Nobody waits for this answer: it came twice or too late, or somebody else asked. Start again.",
                code="oauth_unasked",
            )
        kit = Kit(settings=settings, database=database, vault=vault)
        try:
            made = _connect(kit, principal.workspace_id, known, asked, state=given, code=code, error=error, now=now)
        except CleanmailsError as failure:
            _log.warning("oauth.failed", provider=provider, code=failure.code, reason=failure.message)
            if asked["return_to"] is None:
                raise
            return _back(asked["return_to"], oauth=failure.code)
        _log.info("oauth.connected", provider=provider, sender=made.sender_id)
        if asked["return_to"] is None:
            return Response(made)
        return _back(asked["return_to"], oauth="connected", sender_id=made.sender_id)

    @delete("/v1/outreach/senders/{sender_id:int}/oauth", sync_to_thread=True, needs=Permission.SETUP)
    def disconnect(self, sender_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> None:
        """Forget a mailbox's tokens. Until it has a password or is connected again, the sender cannot sign in."""
        with database.transaction() as db:
            oauth.disconnect(db, principal.workspace_id, sender_id)


def _connect(
    kit: Kit,
    workspace_id: int,
    known: Provider,
    asked: Row,
    *,
    state: str,
    code: str | None,
    error: str | None,
    now: datetime,
) -> Connected:
    """Fetches the tokens, tries them out, and writes them with the sender. No transaction is held meanwhile."""
    if error is not None or code is None:
        raise StateError(f"{known.name} gave no consent: {error or 'no code'}.", code="oauth_denied")
    try:
        with tokens.client(kit.settings) as http:
            redirect_uri = _callback(kit.settings, known.name)
            got = exchange(
                http, known, code=code, redirect_uri=redirect_uri, verifier=tokens.verifier(kit.vault, state)
            )
    except UnreachableError as failure:
        raise StateError(failure.message, code="oauth_failed") from failure
    if got.refresh is None or got.account is None:
        raise StateError(f"{known.name} gave no token that lasts, or did not say whose it is.", code="oauth_failed")
    account = address.normal(got.account)
    with kit.database.transaction() as db:
        row = _sender(db, workspace_id, asked["sender_id"], account, now)
        sender_id = row["id"] if row else senders.next_id(db)
    return _write(kit, workspace_id, known, asked, row, sender_id, account, got, now)


def _sender(db: Connection, workspace_id: int, sender_id: int | None, account: str, now: datetime) -> Row | None:
    """The sender that is connected; None if it is to be made. StateError if it is another mailbox than that of who consented."""
    if sender_id is None:
        found = senders.find(db, workspace_id, account)
        return senders.read(db, workspace_id, found, today=now.date()) if found is not None else None
    row = senders.read(db, workspace_id, sender_id, today=now.date())
    if account not in {row["address"], row["smtp_username"].lower()}:
        said = f"{account} consented, and this sender is {row['address']}. Sign in at the provider as that one."
        raise StateError(said, code="oauth_other_account")
    return row


def _write(
    kit: Kit,
    workspace_id: int,
    known: Provider,
    asked: Row,
    row: Row | None,
    sender_id: int,
    account: str,
    got: Tokens,
    now: datetime,
) -> Connected:
    smtp, imap = known.smtp, known.imap
    mailbox = msgspec.structs.replace(
        NEW,
        name=asked["name"],
        smtp_host=smtp.host,
        smtp_port=smtp.port,
        smtp_security=smtp.security,
        imap_host=imap.host,
        imap_port=imap.port,
        imap_security=imap.security,
    )
    access, refresh = tokens.sealed(kit.vault, sender_id, got)
    assert refresh is not None
    given = tokens.Access(account, got.access, now + timedelta(seconds=got.expires_in))
    tried = mailbox if row is None else trial.mailbox_of(row)
    passed = trial.run(trial.endpoint(tried, account, sender_id, kit.vault, kit.settings, given), kit.settings).passed
    with kit.database.transaction() as db:
        if row is None:
            status = SenderStatus.READY if passed else SenderStatus.RESTRICTED
            mailbox = msgspec.structs.replace(
                mailbox,
                status=status,
                status_reason=None if passed else "not_tested",
                tested_at=now if passed else None,
            )
            senders.create(db, workspace_id, sender_id, account, mailbox, now=now)
        oauth.grant(
            db,
            workspace_id,
            sender_id,
            provider=known.name,
            account=account,
            refresh=refresh,
            access=access,
            expires_at=given.until,
            now=now,
        )
        if row is not None and passed:
            senders.record_pass(db, workspace_id, sender_id, now=now)
        standing = senders.read(db, workspace_id, sender_id, today=now.date())["status"]
    return Connected(sender_id=sender_id, provider=known.name, account=account, status=SenderStatus(standing))  # type: ignore[arg-type] # one of the two


def _known(settings: Settings, name: str) -> Provider:
    if name not in {"google", "microsoft"}:
        raise NotFoundError("There is no such provider; there are google and microsoft.")
    known = tokens.provider(settings, name)
    if known is None:
        said = f"This installation is not registered at {name}: whoever runs it sets CLEANMAILS_{name.upper()}_CLIENT_ID and _CLIENT_SECRET."
        raise StateError(said, code="oauth_unset")
    return known


def _callback(settings: Settings, name: str) -> str:
    return f"{settings.public_url}/v1/oauth/{name}/callback"


def _actor(principal: Principal) -> str:
    """Who asks, and so who may bring the answer."""
    return f"user:{principal.user_id}" if principal.user_id is not None else f"key:{principal.api_key_id}"


def _back(page: str, **said: object) -> Redirect:
    return Redirect(f"{page}{'&' if '?' in page else '?'}{urlencode(said)}", status_code=303)
