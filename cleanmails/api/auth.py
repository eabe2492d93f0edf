"""Who acts, and whether they may: the guard that stands before every handler.

A handler is closed unless it says `public=True`. It asks for a permission by `needs=Permission.X`; said nothing, reading needs `read` and everything
else `write`. A request that changes something and comes from a page of another site is refused, unless the handler says `cross_site=True`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import anyio.to_thread
import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from structlog.contextvars import bind_contextvars

from cleanmails.errors import AuthError, Fault, ForbiddenError, InvalidError, NotFoundError
from cleanmails.ledger import api_keys, sessions
from cleanmails.ledger.db import Connection, Database

COOKIE: Final = "auth_token"
HOST_COOKIE: Final = "__Host-auth_token"
"""Behind https: under this name a browser takes a cookie from this very host alone, not from one of its subdomains (RFC 6265bis, 4.1.3.2)."""

SESSION_LIFE: Final = timedelta(days=7)
"""How long a session lives after it was last used; `session_days` of the settings end it at last."""

KEY_PREFIX: Final = "cm_live_"
_LARGEST_ID: Final = 2**63 - 1
_LONGEST_NAME: Final = 255
"""Characters of a part of an address: no token, no id and no file has more."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Role(StrEnum):
    """What somebody is in a workspace."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class Permission(StrEnum):
    """What a handler asks for."""

    READ = "read"
    WRITE = "write"
    SETUP = "setup"
    MANAGE = "manage"
    PEOPLE = "people"
    OWN = "own"


PERMISSIONS: Final[Mapping[Permission, tuple[str, frozenset[Role]]]] = {
    Permission.READ: ("see everything in the workspace but credentials", frozenset(Role)),
    Permission.WRITE: (
        "make, change and delete lists, leads, suppressions and campaigns; start, pause and resume",
        frozenset({Role.OWNER, Role.ADMIN, Role.MEMBER}),
    ),
    Permission.SETUP: ("make, change, test and delete domains and senders", frozenset({Role.OWNER, Role.ADMIN})),
    Permission.MANAGE: ("make, see and revoke API keys and shared reports", frozenset({Role.OWNER, Role.ADMIN})),
    Permission.PEOPLE: (
        "invite people, change what they may do, and see who did what",
        frozenset({Role.OWNER, Role.ADMIN}),
    ),
    Permission.OWN: ("make, export and archive workspaces", frozenset({Role.OWNER})),
}
"""Each permission, what it allows, and who has it. A scope of an API key is one of these."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts in this request: a user by a session (`session`: the hash of its token), or an API key, which may have less than its role (`scopes`)."""

    workspace_id: int
    role: Role
    user_id: int | None = None
    session: bytes | None = None
    api_key_id: int | None = None
    scopes: frozenset[str] | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the role has a permission, and the key its scope."""
        return self.role in PERMISSIONS[permission][1] and (self.scopes is None or permission in self.scopes)

    def may_give(self, role: Role, scopes: Iterable[str] | None = None) -> bool:
        """Whether somebody, or a key, that may do all this would be allowed nothing that whoever acts is not: a narrow key makes no wider one."""
        given = {each for each in Permission if role in PERMISSIONS[each][1] and (scopes is None or each in scopes)}
        return all(map(self.may, given))

    def person(self) -> int:
        """The user's id. ForbiddenError for an API key: what concerns a person is for the person alone."""
        if self.user_id is None:
            raise ForbiddenError("This is for people who are signed in, not for API keys.", code="people_only")
        return self.user_id


def token_hash(token: str) -> bytes:
    """What the ledger keeps of a token of 256 random bits; such a token needs no salt and no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def identify(database: Database, now: datetime, *, bearer: str | None, cookie: str | None) -> Principal:
    """Who a key or a session token stands for; a key goes before a session. AuthError if it is nobody."""
    token = bearer if bearer is not None else cookie
    if token is None:
        raise AuthError("Sign in first: by the cookie of a session, or with an API key as a bearer token.")
    with database.transaction() as db:
        found = _by_key(db, token, now) if bearer is not None else _by_session(db, token, now)
    if found is None:
        raise AuthError("This session or API key does not hold any more, or never did; sign in again.")
    return found


def session_token(cookies: Mapping[str, str], *, secure: bool, browser: bool) -> str | None:
    """The token of a session among the cookies of a request. Behind https (`secure`) the plain name is for programs: what a browser sends under it may have been planted."""
    if secure and HOST_COOKIE in cookies:
        return cookies[HOST_COOKIE]
    return None if secure and browser else cookies.get(COOKIE)


def cookie_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """The token of a request's session."""
    secure = connection.app.state.settings.public_url.startswith("https:")
    return session_token(connection.cookies, secure=secure, browser="sec-fetch-site" in connection.headers)


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Stands before every handler: AuthError, ForbiddenError, or the principal in the connection's scope."""
    unsafe = connection.scope.get("method") not in _SAFE
    bearer = _bearer(connection)
    if unsafe and bearer is None and not handler.opt.get("cross_site"):
        refuse_other_sites(connection)
    refuse_unreadable(connection)
    if handler.opt.get("public"):
        return
    state = connection.app.state
    principal = await anyio.to_thread.run_sync(
        lambda: identify(state.database, state.clock(), bearer=bearer, cookie=cookie_of(connection))
    )
    connection.scope["user"] = principal
    bind_contextvars(workspace_id=principal.workspace_id)
    need = needed(handler, safe=not unsafe)
    if not principal.may(need):
        who = f"The role {principal.role}" if principal.scopes is None else "This API key"
        raise ForbiddenError(f"{who} may not {PERMISSIONS[need][0]}.")
    if any(isinstance(given, int) and given > _LARGEST_ID for given in connection.path_params.values()):
        raise NotFoundError("There is no such thing.")


def needed(handler: BaseRouteHandler, *, safe: bool) -> Permission:
    """The permission that a handler asks for."""
    need: Permission = handler.opt.get("needs", Permission.READ if safe else Permission.WRITE)
    return need


def refuse_other_sites(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Hold off requests that a page of another site makes a browser send (CSRF). A browser says where a request comes from, and a page
    cannot make it lie: `Sec-Fetch-Site`, or `Origin` from older ones. A program such as curl sends neither, and is nobody's browser.
    """
    site = connection.headers.get("sec-fetch-site")
    origin = connection.headers.get("origin")
    if site is not None:
        foreign = site not in {"same-origin", "none"}
    else:
        ours = {connection.headers.get("host", ""), urlsplit(connection.app.state.settings.public_url).netloc}
        foreign = origin is not None and _place(origin) not in ours
    if foreign:
        raise ForbiddenError("This request comes from a page of another site.", code="cross_site")


def _place(origin: str) -> str | None:
    """Host and port of an origin; None if it is no URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def refuse_unreadable(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """An address or a query that is no text, or holds a NUL: Postgres has no text for that, and no file has it in its name. Bodies are looked through in
    `api/body.py`.
    """
    path = connection.scope["path"]
    if "\0" in path or max(map(len, path.split("/"))) > _LONGEST_NAME:
        raise NotFoundError("There is nothing at this address.")
    try:
        # Litestar reads both as UTF-8, at the latest when it words a refusal.
        connection.scope["query_string"].decode()
        dict(connection.scope["headers"]).get(b"host", b"").decode()
    except UnicodeDecodeError as error:
        message = "The address must be ASCII, with other characters in UTF-8 as %XX."
        raise InvalidError([Fault("", "utf8", message)]) from error
    faults = [
        Fault(name, "nul", "This must not hold a NUL character.")
        for name, value in connection.query_params.items()
        if "\0" in value
    ]
    if faults:
        raise InvalidError(faults)


def _bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """The token of `Authorization: Bearer TOKEN` (RFC 6750, 2.1); any other scheme is nobody's key."""
    header = connection.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _by_session(db: Connection, token: str, now: datetime) -> Principal | None:
    hashed = token_hash(token)
    row = sessions.read(db, hashed, now=now)
    if row is None:
        return None
    sessions.touch(db, hashed, now=now, expires_at=now + SESSION_LIFE)
    return Principal(workspace_id=row["workspace_id"], role=Role(row["role"]), user_id=row["user_id"], session=hashed)


def _by_key(db: Connection, token: str, now: datetime) -> Principal | None:
    row = api_keys.read_by_hash(db, token_hash(token), now=now)
    if row is None:
        return None
    api_keys.touch(db, row["id"], now=now)
    return Principal(
        workspace_id=row["workspace_id"],
        role=Role(row["role"]),
        api_key_id=row["id"],
        scopes=None if row["scopes"] is None else frozenset(row["scopes"]),
    )
