"""One's own account: sessions, password, second factor, the workspace one acts in."""

import secrets
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody

from cleanmails.api import audit, notices, passwords, totp
from cleanmails.api.auth import Permission, Principal, token_hash
from cleanmails.api.body import Id
from cleanmails.api.gate import Gate
from cleanmails.api.given import Given
from cleanmails.api.reference import also
from cleanmails.api.session import begin, session_cookie, sign_out
from cleanmails.errors import AuthError, Fault, InvalidError, NotFoundError, StateError
from cleanmails.ledger import sessions, users
from cleanmails.ledger.db import Database, Row
from cleanmails.settings import Settings
from cleanmails.vault import Vault

RESET_LIFE: Final = timedelta(hours=1)

Password = Annotated[str, msgspec.Meta(min_length=passwords.SHORTEST, max_length=passwords.LONGEST)]
Present = Annotated[str, msgspec.Meta(min_length=1, max_length=passwords.LONGEST)]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody is signed in. `current`: this request's own."""

    id: int
    workspace: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    user_agent: str
    remote_address: str
    current: bool


class NewPassword(msgspec.Struct, frozen=True):
    """The password so far, and the one from now on."""

    current: Present
    new: Password

    def __repr__(self) -> str:
        return "NewPassword()"


class LostPassword(msgspec.Struct, frozen=True):
    """Whose password was lost."""

    email: Annotated[str, msgspec.Meta(min_length=1, max_length=320)]


class Reset(msgspec.Struct, frozen=True):
    """The token of the mail, and the password from now on."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    password: Password

    def __repr__(self) -> str:
        return "Reset()"


class Confirmation(msgspec.Struct, frozen=True):
    """One's password, once more."""

    password: Present

    def __repr__(self) -> str:
        return "Confirmation()"


class Code(msgspec.Struct, frozen=True):
    """A code of the authenticator app."""

    code: Annotated[str, msgspec.Meta(min_length=6, max_length=10)]


class Secret(msgspec.Struct, frozen=True):
    """What the authenticator app takes: `uri` as a link or QR code, or `secret` by hand. It counts once a code of it is confirmed."""

    secret: str
    uri: str


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Codes for who loses the app, each good for one sign-in. They are shown this once."""

    recovery_codes: list[str]


class Target(msgspec.Struct, frozen=True):
    """A workspace that one belongs to."""

    workspace_id: Id


class MyWorkspace(msgspec.Struct, frozen=True):
    """A workspace that one belongs to, and what one is there."""

    id: int
    name: str
    role: str


class Account(Controller):
    """`/v1/auth`, for who is signed in; and for who lost the password."""

    path = "/v1/auth"
    tags = ("sign-in",)

    @get("/sessions", sync_to_thread=True)
    def list_sessions(
        self, database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> list[Session]:
        """List where one is signed in, the session used last first."""
        with database.transaction() as db:
            rows = sessions.list_of_user(db, principal.person(), now=now)
        return [
            msgspec.convert({**row, "current": bytes(row["token_hash"]) == principal.session}, Session) for row in rows
        ]

    @delete("/sessions/{session_id:int}", sync_to_thread=True, needs=Permission.READ)
    def end_session(self, session_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> None:
        """End one of one's sessions: it stops at once."""
        with database.transaction() as db:
            sessions.end(db, principal.person(), session_id)

    @post("/sessions/end-others", sync_to_thread=True, status_code=204, needs=Permission.READ)
    def end_others(self, database: Given[Database], principal: Given[Principal]) -> None:
        """End all of one's sessions but this one."""
        with database.transaction() as db:
            sessions.end_others(db, principal.person(), principal.session or b"")

    @post("/password", sync_to_thread=True, status_code=204, needs=Permission.READ, responses=also(401, 429))
    def change_password(
        self,
        data: JSONBody[NewPassword],
        request: Request[Any, Any, Any],
        database: Given[Database],
        principal: Given[Principal],
        gate: Given[Gate],
        now: Given[datetime],
    ) -> None:
        """Change one's password. All other sessions end."""
        user = _confirmed(data.current, request, database, principal, gate, now)
        passwords.check(data.new, "new", user["email"], user["name"])
        hashed = passwords.hash_password(data.new)
        with database.transaction() as db:
            users.set_password(db, user["id"], hashed)
            sessions.end_others(db, user["id"], principal.session or b"")

    @post("/forgot", sync_to_thread=True, status_code=202, public=True, responses=also(429))
    def lose(
        self,
        data: JSONBody[LostPassword],
        request: Request[Any, Any, Any],
        database: Given[Database],
        settings: Given[Settings],
        gate: Given[Gate],
        now: Given[datetime],
    ) -> None:
        """Have a link mailed with which a lost password can be replaced within an hour.

        The answer is the same whether or not there is such a user. Without a system mail server (`CLEANMAILS_SYSTEM_SMTP`) nothing is mailed: then
        `cleanmails owner --reset` helps.
        """
        forgot(request, data.email, database, settings, gate, now)

    @post("/reset", sync_to_thread=True, status_code=204, public=True, responses=also(401, 429))
    def replace(
        self,
        data: JSONBody[Reset],
        request: Request[Any, Any, Any],
        database: Given[Database],
        gate: Given[Gate],
        now: Given[datetime],
    ) -> None:
        """Replace a lost password with the token of the mail. All sessions end; the second factor stays."""
        reset(request, data.token, data.password, database, gate, now)

    @post("/second-factor", sync_to_thread=True, needs=Permission.READ, responses=also(401, 409, 429))
    def begin_second_factor(
        self,
        data: JSONBody[Confirmation],
        request: Request[Any, Any, Any],
        database: Given[Database],
        vault: Given[Vault],
        principal: Given[Principal],
        gate: Given[Gate],
        now: Given[datetime],
    ) -> Secret:
        """Make a second factor for oneself. It counts once a code of it is confirmed."""
        user = _confirmed(data.password, request, database, principal, gate, now)
        if user["totp_confirmed_at"] is not None:
            raise StateError("You have a second factor; remove it before you make another.", code="has_second_factor")
        secret = totp.new_secret()
        with database.transaction() as db:
            users.set_totp(db, user["id"], totp.seal(vault, user["id"], secret))
        return Secret(secret, totp.uri(secret, user["email"]))

    @post(
        "/second-factor/confirm", sync_to_thread=True, status_code=200, needs=Permission.READ, responses=also(401, 409)
    )
    def confirm_second_factor(
        self,
        data: JSONBody[Code],
        database: Given[Database],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> RecoveryCodes:
        """Confirm the second factor with a code of it: from now on signing in takes one. Answers the recovery codes."""
        codes = totp.new_recovery_codes()
        with database.transaction() as db:
            user = _me(users.read(db, principal.person()))
            if user["totp_sealed"] is None or user["totp_confirmed_at"] is not None:
                raise StateError("There is no second factor to confirm.", code="no_second_factor")
            if not totp.matches(db, vault, user, data.code, now):
                raise InvalidError([Fault("code", "wrong_code", "This is not the code that the app shows now.")])
            users.set_recovery_codes(db, user["id"], [totp.recovery_hash(code) for code in codes])
            sessions.end_others(db, user["id"], principal.session or b"")
        return RecoveryCodes(codes)

    @post(
        "/second-factor/remove", sync_to_thread=True, status_code=204, needs=Permission.READ, responses=also(401, 429)
    )
    def remove_second_factor(
        self,
        data: JSONBody[Confirmation],
        request: Request[Any, Any, Any],
        database: Given[Database],
        principal: Given[Principal],
        gate: Given[Gate],
        now: Given[datetime],
    ) -> None:
        """Remove one's second factor."""
        user = _confirmed(data.password, request, database, principal, gate, now)
        with database.transaction() as db:
            users.clear_totp(db, user["id"])

    @get("/workspaces", sync_to_thread=True)
    def list_workspaces(self, database: Given[Database], principal: Given[Principal]) -> list[MyWorkspace]:
        """List the workspaces that one belongs to."""
        with database.transaction() as db:
            return msgspec.convert(users.workspaces_of(db, principal.person()), list[MyWorkspace])

    @post("/switch", sync_to_thread=True, status_code=204, needs=Permission.READ, responses=also(404))
    def switch(
        self,
        data: JSONBody[Target],
        request: Request[Any, Any, Any],
        database: Given[Database],
        settings: Given[Settings],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Response[None]:
        """Act in another workspace from here on. The session goes on there under a new token."""
        user_id = principal.person()
        with database.transaction() as db:
            home = users.membership(db, user_id, data.workspace_id)
            if home is None:
                raise NotFoundError("You belong to no such workspace.")
            before = sessions.read(db, principal.session or b"", now=now)
            ends_at = before["ends_at"] if before else None
            token, there = begin(db, request, user_id, home, now, ends_at=ends_at)
            audit.append(db, audit.entry(request, there, "session.begin", now))
        sign_out(request, database)
        return Response(None, status_code=204, cookies=[session_cookie(token, settings)])


def forgot(
    request: Request[Any, Any, Any], given: str, database: Database, settings: Settings, gate: Gate, now: datetime
) -> None:
    """Mails a link to the user with this address, if there is one and mails can be sent. BusyError from the gate: each asking counts like a miss."""
    email = given.strip().lower()
    address = request.client.host if request.client else ""
    gate.enter(f"forgot {email}", address, now)
    gate.missed(f"forgot {email}", address, now)
    token = secrets.token_urlsafe(32)
    with database.transaction() as db:
        user = users.read_by_email(db, email)
        if user is None or not notices.configured(settings):
            return
        users.begin_reset(db, user["id"], token_hash(token), now=now, expires_at=now + RESET_LIFE)
    link = f"{settings.public_url}/reset-password/{token}"
    text = f"Somebody, probably you, asked for a new password. Choose one here within an hour:\n\n{link}\n\nIf it was not you, do nothing.\n"
    notices.send(settings, email, "Your new cleanmails password", text, now=now)


def reset(
    request: Request[Any, Any, Any], token: str, password: str, database: Database, gate: Gate, now: datetime
) -> None:
    """Replaces a lost password. InvalidError for one that is common; AuthError (`wrong_token`) if the token does not hold; BusyError from the gate."""
    address = request.client.host if request.client else ""
    gate.enter(f"reset {address}", address, now)
    passwords.check(password, "password")
    hashed = passwords.hash_password(password)
    with database.transaction() as db:
        user_id = users.take_reset(db, token_hash(token), now=now)
        if user_id is not None:
            users.set_password(db, user_id, hashed)
            sessions.delete_of_user(db, user_id)
    if user_id is None:
        gate.missed(f"reset {address}", address, now)
        raise AuthError("This link does not hold any more; ask for a new one.", code="wrong_token")


def _confirmed(
    password: str,
    request: Request[Any, Any, Any],
    database: Database,
    principal: Principal,
    gate: Gate,
    now: datetime,
) -> Row:
    """The user, who has shown the password once more; misses count as at sign-in. AuthError (`wrong_credentials`) if it is wrong."""
    with database.transaction() as db:
        user = _me(users.read(db, principal.person()))
    address = request.client.host if request.client else ""
    gate.enter(user["email"], address, now)
    if not passwords.matches(user["password_hash"], password):
        gate.missed(user["email"], address, now)
        raise AuthError("The password is wrong.", code="wrong_credentials")
    gate.passed(user["email"])
    return user


def _me(user: Row | None) -> Row:
    if user is None:
        raise AuthError("This user is not there any more.")
    return user
