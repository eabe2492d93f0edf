"""Where pages stand: they ask the very functions of the API, in the name of who is signed in, without a request to oneself.

`desk.ask(Campaigns.read, campaign_id=7)` is what `GET /v1/outreach/campaigns/7` answers: the permission that the handler asks for is held against the
principal, a body (`data=`) is read with all its faults, and everything else comes from where the API has it. So a page can do nothing that the API cannot,
and shows nothing of another workspace.
"""

import base64
import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from litestar import Controller, Request, Response
from litestar.datastructures import Cookie
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from cleanmails.api import audit, pages, reference
from cleanmails.api.auth import PERMISSIONS, Permission, Principal, needed
from cleanmails.api.body import read_value
from cleanmails.api.given import Given
from cleanmails.errors import CleanmailsError, ConflictError, ForbiddenError
from cleanmails.ledger import idempotency, overview, users, workspaces
from cleanmails.ledger.db import Connection, Database, Row
from cleanmails.settings import Settings
from cleanmails.web.form import Form, form_of
from cleanmails.web.render import look_of, render
from cleanmails.web.tally import Tally

T = TypeVar("T")

_FLASH: Final = "flash"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Flash(msgspec.Struct, frozen=True):
    """What is said once, on the next page. `kept` names a form that was saved: the browser forgets what it kept of it."""

    text: str = ""
    kind: str = "good"
    kept: str = ""


class Crumb(msgspec.Struct, frozen=True):
    """A step of the way from Home to a page."""

    label: str
    href: str


class Desk:
    """One page's request, with all that the API's handlers may ask for."""

    def __init__(
        self,
        request: Request[Any, Any, Any],
        database: Database,
        settings: Settings,
        principal: Principal,
        now: datetime,
    ) -> None:
        self.request, self.database, self.settings = request, database, settings
        self.principal, self.now = principal, now
        self.look = look_of(request)

    @property
    def zone(self) -> ZoneInfo:
        """The reader's zone, as the browser told it, or UTC."""
        return self.look.zone

    def may(self, permission: Permission) -> bool:
        """Whether the reader may do something: what one may not do is not offered."""
        return self.principal.may(permission)

    def ask(self, handler: HTTPRouteHandler, /, **given: object) -> Any:  # noqa: ANN401 - what the handler returns
        """What a handler of the API answers. ForbiddenError, and every error of the handler; `data` is JSON and may be at fault (InvalidError)."""
        need = needed(handler, safe=handler.http_methods <= _SAFE)
        if not handler.opt.get("public") and not self.principal.may(need):
            raise ForbiddenError(f"The role {self.principal.role} may not {PERMISSIONS[need][0]}.")
        names, body = _wants(handler.fn)
        if "data" in given and body is not None and not (isinstance(body, type) and isinstance(given["data"], body)):
            given["data"] = read_value(body, given["data"])
        values = {name: given[name] if name in given else self._known(name) for name in names if self._has(name, given)}
        return handler.fn(None, **values)

    def once(self, form: Form, do: Callable[[], str]) -> str:
        """Does what a form asks for, however often it comes: a form has its own key in `_once`. `do` returns where to lead then; what failed may be tried again."""
        key = form.text("_once")[:200]
        if not key:
            return do()
        owner, asked = f"{self.principal.workspace_id}:page:{self.principal.user_id}", self.request.url.path.encode()
        with self.database.transaction() as db:
            known = idempotency.begin(db, owner, key, asked, now=self.now)
        if known is not None:
            if known["answer"] is None:
                raise ConflictError("This is being done already.", code="in_progress")
            return bytes(known["answer"]).decode()
        led: str | None = None
        try:
            led = do()
        finally:
            with self.database.transaction() as db:
                if led is None:
                    idempotency.release(db, owner, key)
                else:
                    idempotency.finish(db, owner, key, led.encode(), now=self.now)
        return led

    def walks(self, ids: Sequence[int]) -> dict[int, Row]:
        """Where the walks of these campaigns stand (`overview.walk_states`). Of great campaigns it is what was counted a moment ago."""
        tally: Tally[Row] = self._tally("walks", lambda row: int(row["enrolled"]))
        return {id: tally.read(id, partial(self._counted, overview.walk_states, id)) for id in ids}

    def sizes(self, ids: Sequence[int]) -> dict[int, int]:
        """How many leads are on these lists. Of long ones it is what was counted a moment ago."""
        tally: Tally[Row] = self._tally("sizes", lambda row: int(row["leads"]))
        return {id: tally.read(id, partial(self._counted, overview.list_size, id))["leads"] for id in ids}

    def started(self) -> list[tuple[str, str]]:
        """Campaigns to choose one from, of those that were launched: (id, name)."""
        with self.database.transaction() as db:
            return [(str(row["id"]), row["name"][:80]) for row in overview.started(db, self.principal.workspace_id)]

    def kept(self, name: str, id: int, count: Callable[[], T], size: Callable[[T], int]) -> T:
        """What `count` says of a thing of this workspace, or what it said a moment ago if that is made of many rows (`size`)."""
        tally: Tally[T] = self._tally(name, size)
        return tally.read(id, count)

    def _counted(self, count: Callable[[Connection, int], Row], id: int) -> Row:
        with self.database.transaction() as db:
            return count(db, id)

    def _tally(self, name: str, size: Callable[[T], int]) -> "Tally[T]":
        """A tally of this process."""
        state = self.request.app.state
        if name not in state:
            state[name] = Tally(size)
        tally: Tally[T] = state[name]
        return tally

    def window(self, *, limit: int = 50, after: str = "after") -> pages.Window:
        """The part of a list that the address asks for, with the cursor in the parameter `after`. InvalidError for a cursor that no page gave out."""
        return pages.window(limit, self.request.query_params.get(after) or None)

    def cursor(self, key: int) -> str:
        """The cursor of what follows the row with this key, for lists that pages make themselves; `window` opens it."""
        return pages.sealed(key)

    def param(self, name: str, default: str = "") -> str:
        """A parameter of the address, without blanks around it."""
        return str(self.request.query_params.get(name, default)).strip()

    def here(self, **changes: object) -> str:
        """This address with other parameters; None takes one away. What goes to another part of a list begins it anew unless `after` is given."""
        kept = {name: str(value) for name, value in self.request.query_params.items()}
        wanted = {name: value for name, value in (kept | changes).items() if value not in {None, ""}}
        query = urlencode({name: str(value) for name, value in wanted.items()})
        path: str = self.request.scope["path"]
        return f"{path}?{query}" if query else path

    def page(
        self,
        template: str,
        *,
        here: str,
        trail: Sequence[tuple[str, str]] = (),
        calls: Sequence[HTTPRouteHandler] = (),
        status: int = 200,
        **context: object,
    ) -> Response[str]:
        """A page in the frame. `here` is its entry in the sidebar, `trail` the way to it, `calls` are the handlers of the API that do the same."""
        flash = _flash(self.request)
        answer = render(
            template,
            status=status,
            look=self.look,
            desk=self,
            here=here,
            trail=[Crumb(*each) for each in trail],
            calls=[_call(each) for each in calls],
            flash=flash,
            **self._frame(),
            **context,
        )
        if flash is not None:
            answer.set_cookie(Cookie(key=_FLASH, value="", path="/", max_age=0))
        return answer

    def go(self, path: str, *, said: str = "", kind: str = "good", kept: str = "") -> Redirect:
        """Lead to another page of ours, and say something there, once."""
        cookies = [_flash_cookie(Flash(said, kind, kept), self.settings)] if said or kept else []
        return Redirect(path, status_code=303, cookies=cookies)

    def refused(self, path: str, error: CleanmailsError) -> Redirect:
        """Lead back with what stood against it: to a browser that is no refusal, and so it is told to the audit log."""
        self.request.scope["state"][audit.REFUSED] = True
        faults = [fault.message for fault in getattr(error, "faults", [])]
        return self.go(path, said=" ".join([error.message, *faults[:5]]), kind="bad")

    def _frame(self) -> dict[str, Any]:
        """What the frame around every page needs."""
        who = self.principal
        with self.database.transaction() as db:
            workspace = workspaces.read(db, who.workspace_id)
            user = users.read(db, who.user_id) if who.user_id is not None else None
            mine = users.workspaces_of(db, who.user_id) if who.user_id is not None else []
        return {
            "workspace": workspace,
            "workspaces": mine,
            "user": user,
            "role": who.role,
            "development": self.settings.environment == "development",
        }

    def _has(self, name: str, given: dict[str, object]) -> bool:
        return name in given or name in {"request", "principal", "now"} or name in self.request.app.dependencies

    def _known(self, name: str) -> object:
        if name == "window":
            return self.window()
        own = {"request": self.request, "principal": self.principal, "now": self.now}
        if name in own:
            return own[name]
        found: object = self.request.app.state[name]
        return found


def desk_of(
    request: Request[Any, Any, Any],
    database: Given[Database],
    settings: Given[Settings],
    principal: Given[Principal],
    now: Given[datetime],
) -> Desk:
    """What a handler of a page gets as `desk`."""
    return Desk(request, database, settings, principal, now)


class Page(Controller):
    """What the pages of somebody who is signed in have in common: `desk: Given[Desk]`, and `form: Given[Form]` for what was posted."""

    include_in_schema = False
    dependencies = {"desk": Provide(desk_of, sync_to_thread=False), "form": Provide(form_of)}  # noqa: RUF012 - Litestar's name


@functools.cache
def _wants(function: Callable[..., Any]) -> tuple[tuple[str, ...], Any]:
    """The names that a handler asks for, but itself, and the struct of its body, or a union of such."""
    names = tuple(inspect.signature(function).parameters)[1:]
    hint = typing.get_type_hints(function, include_extras=True).get("data")
    return names, typing.get_args(hint)[0] if hint is not None else None


def _call(handler: HTTPRouteHandler) -> dict[str, str]:
    """A handler of the API as a link to where it is explained."""
    return {"name": reference.operation_id(handler), "title": reference.summary(handler)}


def _flash(request: Request[Any, Any, Any]) -> Flash | None:
    try:
        raw = base64.urlsafe_b64decode(request.cookies.get(_FLASH, "").encode())
        return msgspec.json.decode(raw, type=Flash) if raw else None
    except (ValueError, msgspec.MsgspecError):
        return None


def _flash_cookie(flash: Flash, settings: Settings) -> Cookie:
    """A cookie for the next page. A browser keeps 4 KB of one."""
    short = Flash(flash.text[:1_000], flash.kind, flash.kept)
    return Cookie(
        key=_FLASH,
        value=base64.urlsafe_b64encode(msgspec.json.encode(short)).decode(),
        path="/",
        max_age=60,
        httponly=True,
        secure=settings.public_url.startswith("https:"),
        samesite="lax",
    )
