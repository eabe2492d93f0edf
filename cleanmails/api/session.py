"""Signing in and out, and who one is. Sign-in is here as a plain function too: the sign-in page calls it."""

import secrets
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.params import JSONBody

from cleanmails import log
from cleanmails.api import audit, passwords, totp
from cleanmails.api.auth import (
    COOKIE,
    HOST_COOKIE,
    PERMISSIONS,
    SESSION_LIFE,
    Permission,
    Principal,
    Role,
    cookie_of,
    token_hash,
)
from cleanmails.api.gate import Gate
from cleanmails.api.given import Given
from cleanmails.api.reference import also
from cleanmails.errors import AuthError
from cleanmails.ledger import sessions, users, workspaces
from cleanmails.ledger.db import Connection, Database, Row
from cleanmails.settings import Settings
from cleanmails.vault import Vault

_log = log.get(__name__)


class Credentials(msgspec.Struct, frozen=True):
    """Who signs in. `code`: of the authenticator app, or a recovery code, for who has a second factor."""

    email: Annotated[str, msgspec.Meta(min_length=1, max_length=320)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=passwords.LONGEST)]
    code: Annotated[str, msgspec.Meta(max_length=40)] = ""

    def __repr__(self) -> str:
        return f"Credentials({self.email})"


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts: a user by a session, or an API key (then `user` is null). `may` lists the permissions of the role."""

    workspace: "WorkspaceName"
    role: Role
    user: "UserName | None"
    may: list[Permission]


class WorkspaceName(msgspec.Struct, frozen=True):
    """A workspace."""

    id: int
    name: str


class UserName(msgspec.Struct, frozen=True):
    """A user."""

    id: int
    email: str
    name: str


class Sessions(Controller):
    """`/v1/auth`."""

    path = "/v1/auth"
    tags = ("sign-in",)

    @post("/login", sync_to_thread=True, status_code=200, public=True, responses=also(401, 409, 429))
    def login(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[Credentials],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        gate: Given[Gate],
        now: Given[datetime],
    ) -> Response[Me]:
        """Sign in with e-mail address and password.

        Sets the cookie `auth_token` (behind https `__Host-auth_token`), good for seven days after its last use and no longer than `CLEANMAILS_SESSION_DAYS`. After a few wrong passwords each further try has to wait (429 with `Retry-After`).
        Who has a second factor and sent no code gets 401 `second_factor_required`, and sends the same again with it.
        """
        token, principal = sign_in(request, data, database, vault, gate, now)
        with database.transaction() as db:
            return Response(me_of(db, principal), cookies=[session_cookie(token, settings)])

    @post("/logout", sync_to_thread=True, status_code=204, public=True)
    def logout(
        self, request: Request[Any, Any, Any], database: Given[Database], settings: Given[Settings]
    ) -> Response[None]:
        """Sign out: the session ends at once, here and wherever else its cookie is. Without a session this does nothing."""
        sign_out(request, database)
        return Response(None, status_code=204, cookies=[no_cookie(settings)])

    @get("/me", sync_to_thread=True)
    def me(self, database: Given[Database], principal: Given[Principal]) -> Me:
        """Say who is signed in."""
        with database.transaction() as db:
            return me_of(db, principal)


def identify(
    request: Request[Any, Any, Any], given: Credentials, database: Database, vault: Vault, gate: Gate, now: datetime
) -> Row:
    """The user whose credentials these are. AuthError for a wrong address or password alike, or for the second factor; BusyError from the gate."""
    email = given.email.strip().lower()
    address = request.client.host if request.client else ""
    gate.enter(email, address, now)
    with database.transaction() as db:
        user = users.read_by_email(db, email)
    # No transaction is held while the password is checked: that takes longer than everything else here.
    if not passwords.matches(user["password_hash"] if user else None, given.password) or user is None:
        gate.missed(email, address, now)
        _log.info("session.refused")
        raise AuthError("The e-mail address or the password is wrong.", code="wrong_credentials")
    if user["totp_confirmed_at"] is not None:
        if not given.code.strip():
            raise AuthError("Enter the code of your authenticator app too.", code="second_factor_required")
        with database.transaction() as db:
            passed = totp.second_factor(db, vault, user, given.code, now)
        if not passed:
            gate.missed(email, address, now)
            _log.info("session.refused")
            raise AuthError("The code is wrong, or was used before; wait for the next one.", code="wrong_code")
    gate.passed(email)
    if passwords.outdated(user["password_hash"]):
        hashed = passwords.hash_password(given.password)
        with database.transaction() as db:
            users.set_password(db, user["id"], hashed)
    return user


def sign_in(
    request: Request[Any, Any, Any], given: Credentials, database: Database, vault: Vault, gate: Gate, now: datetime
) -> tuple[str, Principal]:
    """Begins a session; returns its token and whom it stands for. AuthError and BusyError as `identify`.

    A session that the browser had before ends: a token that somebody planted there leads nowhere (session fixation).
    """
    user = identify(request, given, database, vault, gate, now)
    with database.transaction() as db:
        home = users.home(db, user["id"])
        if home is None:
            raise AuthError("This user belongs to no workspace.", code="no_workspace")
        token, principal = begin(db, request, user["id"], home, now)
        audit.append(db, audit.entry(request, principal, "session.begin", now))
    sign_out(request, database)
    _log.info("session.began", user=user["id"], workspace_id=principal.workspace_id)
    return token, principal


def sign_out(request: Request[Any, Any, Any], database: Database) -> None:
    """Ends the session of a request, if it has one."""
    token = cookie_of(request)
    if token:
        with database.transaction() as db:
            sessions.delete(db, token_hash(token))


def session_cookie(token: str, settings: Settings) -> Cookie:
    """The cookie of a session. `Lax`: links from a mail or a chat lead in signed in, forms of other sites do not."""
    secure = settings.public_url.startswith("https:")
    return Cookie(
        key=HOST_COOKIE if secure else COOKIE,
        value=token,
        path="/",
        max_age=int(timedelta(days=settings.session_days).total_seconds()),
        httponly=True,
        secure=secure,
        samesite="lax",
    )


def no_cookie(settings: Settings) -> Cookie:
    """What makes a browser forget the cookie."""
    gone = session_cookie("", settings)
    gone.max_age = 0
    return gone


def begin(
    db: Connection,
    request: Request[Any, Any, Any],
    user_id: int,
    home: Row,
    now: datetime,
    *,
    ends_at: datetime | None = None,
) -> tuple[str, Principal]:
    """A new session of a user in a workspace (`workspace_id` and `role`): its token, and whom it stands for. One that goes on elsewhere keeps its end."""
    token = secrets.token_urlsafe(32)
    hashed = token_hash(token)
    ends_at = ends_at or now + timedelta(days=request.app.state.settings.session_days)
    sessions.create(
        db,
        hashed,
        user_id=user_id,
        workspace_id=home["workspace_id"],
        now=now,
        expires_at=min(now + SESSION_LIFE, ends_at),
        ends_at=ends_at,
        user_agent=request.headers.get("user-agent", "")[:500],
        remote_address=request.client.host if request.client else "",
    )
    return token, Principal(workspace_id=home["workspace_id"], role=Role(home["role"]), user_id=user_id, session=hashed)


def me_of(db: Connection, principal: Principal) -> Me:
    """Who acts, as it is told."""
    workspace = workspaces.read(db, principal.workspace_id)
    user = users.read(db, principal.user_id) if principal.user_id is not None else None
    return Me(
        workspace=WorkspaceName(workspace["id"], workspace["name"]),
        role=principal.role,
        user=UserName(user["id"], user["email"], user["name"]) if user else None,
        may=[permission for permission in PERMISSIONS if principal.may(permission)],
    )
