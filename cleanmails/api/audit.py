"""Who did what. Each request that changed something is written down before it is answered; sign-ins are, too. Values never are."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final

import anyio.to_thread
import msgspec
from litestar import Controller, Request, get
from litestar.enums import ScopeType
from litestar.params import FromQuery, QueryParameter
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from cleanmails import log
from cleanmails.api.auth import Permission, Principal
from cleanmails.api.given import Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.errors import CleanmailsError
from cleanmails.ledger import audit
from cleanmails.ledger.audit import Entry, append
from cleanmails.ledger.db import Database

__all__ = ["REFUSED", "AuditLog", "append", "audited", "entry"]

_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LARGEST_ANSWER: Final = 1_000_000
REFUSED: Final = "refused"
"""What a page puts in the state of a request that it refuses by leading back: its status is no refusal's."""

_log = log.get(__name__)


class Made(msgspec.Struct):
    """What an answer says of the thing it made."""

    id: int | None = None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what: a user, or an API key. `action` is `noun.verb`; `object_id` is the thing it was done to, where it has an id."""

    id: int
    at: datetime
    user_id: int | None
    user: str | None
    api_key_id: int | None
    api_key: str | None
    action: str
    object_id: int | None
    path: str
    remote_address: str
    user_agent: str


class AuditLog(Controller):
    """`/v1/audit`."""

    path = "/v1/audit"
    tags = ("people",)

    @get(sync_to_thread=True, needs=Permission.PEOPLE)
    def search(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        action: Annotated[
            str | None, QueryParameter(max_length=100, description="One action (`campaigns.start`), or a noun.")
        ] = None,
        user_id: Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1, description="One person's.")] = None,
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
    ) -> Page[AuditEntry]:
        """Search who did what in the workspace, the newest first."""
        with database.transaction() as db:
            rows = audit.search(
                db,
                principal.workspace_id,
                before=window.after,
                limit=window.fetch,
                action=action,
                user_id=user_id,
                since=since,
                until=until,
            )
        return page(rows, window, lambda row: msgspec.convert(row, AuditEntry))


def entry(
    request: Request[Any, Any, Any], principal: Principal, action: str, now: datetime, *, object_id: int | None = None
) -> Entry:
    """What is written down of a request."""
    return Entry(
        at=now,
        workspace_id=principal.workspace_id,
        user_id=principal.user_id,
        api_key_id=principal.api_key_id,
        action=action,
        object_id=object_id,
        path=_plain(request.scope["path"]),
        remote_address=request.client.host if request.client else "",
        user_agent=_plain(request.headers.get("user-agent", "")),
    )


def _plain(text: str) -> str:
    """What was sent, as far as the ledger can hold it."""
    return text.replace("\0", "")[:500]


def audited(inner: ASGIApp, database: Database, clock: Callable[[], datetime]) -> ASGIApp:
    """Around the application: holds an answer back until it stands in the ledger who brought it about."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope.get("method") not in _UNSAFE:
            await inner(scope, receive, send)
            return
        held: list[Message] = []

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                held.append(message)
                return
            if held and message["type"] == "http.response.body":
                await anyio.to_thread.run_sync(_note, scope, message.get("body", b""), database, clock())
                await send(held.pop())
            await send(message)

        await inner(scope, receive, send_on)

    return serve


def _note(scope: Any, body: bytes, database: Database, now: datetime) -> None:  # noqa: ANN401 - litestar's scopes are many
    """Writes the entry of an answered request, if somebody known made it. What cannot be written is in the log."""
    principal = scope.get("user")
    handler = scope.get("route_handler")
    if (
        not isinstance(principal, Principal)
        or handler is None
        or handler.opt.get("reads")
        or scope["state"].get(REFUSED)
    ):
        return  # nobody known; a POST that only asks: a preview for each keystroke would bury everything else; or nothing was changed
    request: Request[Any, Any, Any] = Request(scope)
    try:
        with database.transaction() as db:
            append(db, entry(request, principal, _action(handler), now, object_id=_object(scope, body)))
    except CleanmailsError as error:
        _log.error("audit.not_written", action=_action(handler), reason=error.message)


def _action(handler: Any) -> str:  # noqa: ANN401 - a route handler of any kind
    """`Campaigns.start` is `campaigns.start`."""
    function = getattr(handler.fn, "func", handler.fn)
    return str(function.__qualname__).rpartition("<locals>.")[2].lower()


def _object(scope: Any, body: bytes) -> int | None:  # noqa: ANN401 - as above
    """The id in the address, else that of what was made."""
    given = [value for value in (scope.get("path_params") or {}).values() if isinstance(value, int)]
    if given:
        return int(given[-1])
    if len(body) > _LARGEST_ANSWER:
        return None
    try:
        return msgspec.json.decode(body, type=Made).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
