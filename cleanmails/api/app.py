"""The application: every controller in one table, and what all of them share."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, ControllerRouterHandler, Message, Receive, Scope, Send
from structlog.contextvars import clear_contextvars

from cleanmails import log
from cleanmails.api import audit, auth, client, hosts, pages, problems, reference, tracking
from cleanmails.api.account import Account
from cleanmails.api.ai import Models
from cleanmails.api.api_keys import ApiKeys
from cleanmails.api.attempts import Attempts
from cleanmails.api.body import JsonBody
from cleanmails.api.campaigns import Campaigns
from cleanmails.api.changes import Changes
from cleanmails.api.comfort import Comfort, Meter
from cleanmails.api.conversations import Conversations, Reviews
from cleanmails.api.dkim_keys import DkimKeys
from cleanmails.api.domains import Domains
from cleanmails.api.events import Events
from cleanmails.api.explain import Explain
from cleanmails.api.exports import Exports
from cleanmails.api.forecast import Forecasts
from cleanmails.api.gate import Gate
from cleanmails.api.given import Enqueue
from cleanmails.api.health import healthz
from cleanmails.api.imports import Imports, Uploads
from cleanmails.api.integrations import Integrations
from cleanmails.api.leads import Leads
from cleanmails.api.lists import Lists
from cleanmails.api.oauth import Oauth
from cleanmails.api.people import Invitations, People
from cleanmails.api.personal_data import PersonalData
from cleanmails.api.previews import Checks, Previews
from cleanmails.api.recorder import Recorder
from cleanmails.api.sender_presets import SenderPresets
from cleanmails.api.sender_uploads import SenderUploads
from cleanmails.api.senders import Senders
from cleanmails.api.session import Sessions
from cleanmails.api.set_aside import SetAsideMessages
from cleanmails.api.shares import Shares
from cleanmails.api.statistics import Statistics
from cleanmails.api.status import Statuses
from cleanmails.api.subjects import Subjects
from cleanmails.api.suppression_files import SuppressionFiles
from cleanmails.api.suppressions import Suppressions
from cleanmails.api.timeline import Timelines
from cleanmails.api.unknowns import Unknowns
from cleanmails.api.unsubscribe import Unsubscribe
from cleanmails.api.validations import Validations
from cleanmails.api.webhooks import Webhooks
from cleanmails.api.workspace import Workspaces
from cleanmails.ledger.db import Database
from cleanmails.mail.dns import Resolver
from cleanmails.mail.tokens import Tokens
from cleanmails.settings import Settings
from cleanmails.vault import Vault

CONTROLLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    healthz,
    reference.openapi,
    Statuses,
    Sessions,
    Account,
    ApiKeys,
    People,
    Invitations,
    audit.AuditLog,
    Workspaces,
    Models,
    Domains,
    DkimKeys,
    Senders,
    SetAsideMessages,
    Oauth,
    SenderPresets,
    SenderUploads,
    Lists,
    Uploads,
    Validations,
    Imports,
    Leads,
    Timelines,
    Suppressions,
    Campaigns,
    Attempts,
    Changes,
    Previews,
    Subjects,
    Checks,
    Explain,
    Forecasts,
    Shares,
    Unsubscribe,
    Statistics,
    PersonalData,
    SuppressionFiles,
    Unknowns,
    Conversations,
    Reviews,
    Exports,
    Events,
    Webhooks,
    Integrations,
)
"""Every noun of the API."""

BODY_LIMIT: Final = 1_000_000
"""Bytes of a request's body; a handler that takes uploads says its own."""

SECURITY_HEADERS: Final = tuple(
    (name.encode(), value.encode())
    for name, value in {
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
    }.items()
)

STAY: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
"""Beside them where people come by https (RFC 6797)."""

_log = log.get(__name__)


def create_app(
    settings: Settings,
    database: Database,
    *,
    vault: Vault | None = None,
    enqueue: Enqueue | None = None,
    clock: Callable[[], datetime] | None = None,
    dashboard: Sequence[ControllerRouterHandler] = (),
    refuse: problems.Handler = problems.answer,
) -> Litestar:
    """The API on a ledger. `enqueue(name)` wakes an actor (without it nobody is woken, and the next tick does the work). `dashboard` are the
    handlers of the pages, which share all of this; `refuse` answers every error, and may show people a page in place of a problem.
    """
    return routed(dashboard, refuse).furnish(settings, database, vault=vault, enqueue=enqueue, clock=clock)


def routed(dashboard: Sequence[ControllerRouterHandler] = (), refuse: problems.Handler = problems.answer) -> "Routes":
    """The API's routes without an installation behind them: to read hundreds of handlers takes most of a second."""
    app = Litestar(
        route_handlers=[*CONTROLLERS, *dashboard],
        on_shutdown=[_close],
        dependencies={
            **{name: _from_state(name) for name in ("database", "settings", "vault", "enqueue", "gate", "resolver")},
            "now": Provide(_time, sync_to_thread=False),
            "principal": Provide(_principal, sync_to_thread=False),
            "window": Provide(pages.window, sync_to_thread=False),
        },
        guards=[auth.guard],
        dto=JsonBody,
        return_dto=None,
        exception_handlers={HTTPException: refuse, Exception: refuse},
        request_max_body_size=BODY_LIMIT,
        logging_config=None,
        openapi_config=reference.config(),
    )
    return Routes(app, app.asgi_handler)


class Routes(msgspec.Struct, frozen=True):
    """An application that lacks its installation, and the handler of its routes alone."""

    app: Litestar
    handler: ASGIApp

    def furnish(
        self,
        settings: Settings,
        database: Database,
        *,
        vault: Vault | None = None,
        enqueue: Enqueue | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> Litestar:
        """The application on this installation, in place of the one it may have stood on before."""
        vault, clock = vault or Vault.from_settings(settings), clock or _now
        recorder = Recorder(database)
        self.app.state = State(
            {
                "database": database,
                "settings": settings,
                "vault": vault,
                "clock": clock,
                "enqueue": enqueue or _nobody,
                "gate": Gate(),
                "resolver": Resolver(settings.dns_servers),
                "recorder": recorder,
            }
        )
        tokens = Tokens(vault.derive_all("tokens"), vault.current)
        # An answer that is given once more was brought about once: so the audit stands inside.
        audited = audit.audited(self.handler, database, clock)
        secure = settings.public_url.startswith("https:")
        comfort = Comfort(audited, database, vault, Meter(settings.api_rate), clock, secure=secure)
        self.app.asgi_handler = _served(
            tracking.around(hosts.around(comfort, database, settings.public_url), recorder, tokens),
            settings.trusted_proxies,
            (*SECURITY_HEADERS, STAY) if secure else SECURITY_HEADERS,
        )
        return self.app


def _served(inner: ASGIApp, trusted: Sequence[client.Network], security: Sequence[tuple[bytes, bytes]]) -> ASGIApp:
    """Around everything, refusals and unknown addresses too: who asks, the security headers, and one log line a request.

    The line names the route, never the address that was asked for: addresses hold tokens.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await inner(scope, receive, send)
            return
        clear_contextvars()
        scope["client"] = _client(scope, trusted)
        began = time.perf_counter()
        status = 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # An answer may have a policy of its own: the words of a mail have a stricter one.
                own = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in security if each[0] not in own)]
            await send(message)

        try:
            await inner(scope, receive, send_on)
        finally:
            if not scope["path"].startswith("/t/"):
                took = round((time.perf_counter() - began) * 1000, 1)
                route = scope.get("path_template") or "-"
                _log.info("request.served", method=scope.get("method"), route=route, status=status, ms=took)

    return serve


def _client(scope: Scope, trusted: Sequence[client.Network]) -> tuple[str, int] | None:
    """Who asks, past the proxies that are trusted. Its port is not known any more."""
    peer = scope.get("client")
    forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    found = client.address(peer[0] if peer else None, forwarded, trusted)
    return None if found is None else (found, 0)


def _principal(request: Request[Any, Any, Any]) -> auth.Principal:
    """Whom the guard let in."""
    found: auth.Principal = request.user
    return found


def _from_state(name: str) -> Provide:
    def found(state: State) -> object:
        return state[name]

    return Provide(found, sync_to_thread=False)


def _time(state: State) -> datetime:
    now: datetime = state.clock()
    return now


def _close(app: Litestar) -> None:
    """What was gathered in memory is written before the process ends."""
    app.state.recorder.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _nobody(_actor: str) -> None:
    """Wakes nobody: what is due is found by the next tick."""
