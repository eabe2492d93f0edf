"""The people of a workspace, and how they come in: by invitation, because registration is closed after the first owner."""

import secrets
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from cleanmails.api import audit, notices, passwords
from cleanmails.api.account import Password
from cleanmails.api.auth import Permission, Principal, Role, token_hash
from cleanmails.api.fields import MailAddress
from cleanmails.api.gate import Gate
from cleanmails.api.given import Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.api.reference import also
from cleanmails.api.session import Credentials, Me, begin, identify, me_of, session_cookie
from cleanmails.errors import ForbiddenError, NotFoundError, StateError
from cleanmails.ledger import invitations, sessions, users
from cleanmails.ledger.db import Connection, Database
from cleanmails.rules import address
from cleanmails.settings import Settings
from cleanmails.vault import Vault

INVITATION_LIFE: Final = timedelta(days=7)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who belongs to the workspace."""

    id: int
    email: str
    name: str
    role: Role
    joined_at: datetime
    seen_at: datetime | None
    second_factor: bool


class RoleChange(msgspec.Struct, frozen=True):
    """What a member is from now on."""

    role: Role


class NewInvitation(msgspec.Struct, frozen=True):
    """Who is to come in, and as what."""

    email: MailAddress
    role: Role = Role.MEMBER


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation, open until it is accepted or revoked, or has expired."""

    id: int
    email: str
    role: Role
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None


class FreshInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation that was just made. `link` is shown this once; `mailed` says whether it was mailed, too."""

    invitation: Invitation
    link: str
    mailed: bool


class Acceptance(msgspec.Struct, frozen=True):
    """The token of the link; name and password of who is new here, or the password (and the second factor's code) of who has an account already."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    password: Password
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    code: Annotated[str, msgspec.Meta(max_length=40)] = ""

    def __repr__(self) -> str:
        return "Acceptance()"


class People(Controller):
    """`/v1/users`."""

    path = "/v1/users"
    tags = ("people",)

    @get(sync_to_thread=True)
    def list_all(self, database: Given[Database], principal: Given[Principal], window: Given[Window]) -> Page[Member]:
        """List the people of the workspace."""
        with database.transaction() as db:
            rows = users.members(db, principal.workspace_id, after=window.after, limit=window.fetch)
        return page(rows, window, lambda row: msgspec.convert(row, Member))

    @patch("/{user_id:int}", sync_to_thread=True, status_code=204, needs=Permission.PEOPLE, responses=also(409))
    def change(
        self,
        user_id: FromPath[int],
        data: JSONBody[RoleChange],
        database: Given[Database],
        principal: Given[Principal],
    ) -> None:
        """Change what a member may do, from the next request on. Only an owner makes or unmakes owners, and the last one stays."""
        with database.transaction() as db:
            _may_touch(db, principal, user_id, also_owner=data.role is Role.OWNER, stays=data.role is Role.OWNER)
            _may_make(principal, data.role)
            users.set_role(db, principal.workspace_id, user_id, data.role)

    @delete("/{user_id:int}", sync_to_thread=True, needs=Permission.PEOPLE, responses=also(409))
    def remove(self, user_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> None:
        """Take somebody out of the workspace; their sessions here end at once."""
        with database.transaction() as db:
            _may_touch(db, principal, user_id, also_owner=False, stays=False)
            users.leave(db, principal.workspace_id, user_id)
            sessions.end_of_member(db, principal.workspace_id, user_id)


class Invitations(Controller):
    """`/v1/invitations`."""

    path = "/v1/invitations"
    tags = ("people",)

    @post(sync_to_thread=True, needs=Permission.PEOPLE)
    def create(
        self,
        data: JSONBody[NewInvitation],
        database: Given[Database],
        settings: Given[Settings],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> FreshInvitation:
        """Invite somebody by a link that holds for a week. It is mailed where a system mail server is set, and shown in this answer."""
        if data.role is Role.OWNER and principal.role is not Role.OWNER:
            raise ForbiddenError("Only an owner makes owners.")
        _may_make(principal, data.role)
        token = secrets.token_urlsafe(32)
        email = address.normal(data.email)
        with database.transaction() as db:
            row = invitations.create(
                db,
                principal.workspace_id,
                email=email,
                role=data.role,
                token_hash=token_hash(token),
                invited_by=principal.user_id,
                now=now,
                expires_at=now + INVITATION_LIFE,
            )
        link = f"{settings.public_url}/invitation/{token}"
        text = f"You are invited to cleanmails as {data.role}. Accept within a week:\n\n{link}\n"
        mailed = notices.send(settings, email, "An invitation to cleanmails", text, now=now)
        return FreshInvitation(invitation=msgspec.convert(row, Invitation), link=link, mailed=mailed)

    @get(sync_to_thread=True, needs=Permission.PEOPLE)
    def list_all(
        self, database: Given[Database], principal: Given[Principal], window: Given[Window]
    ) -> Page[Invitation]:
        """List the workspace's invitations, oldest first."""
        with database.transaction() as db:
            rows = invitations.list_all(db, principal.workspace_id, after=window.after, limit=window.fetch)
        return page(rows, window, lambda row: msgspec.convert(row, Invitation))

    @delete("/{invitation_id:int}", sync_to_thread=True, needs=Permission.PEOPLE)
    def revoke(
        self,
        invitation_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> None:
        """Revoke an invitation: its link does not lead in any more."""
        with database.transaction() as db:
            invitations.revoke(db, principal.workspace_id, invitation_id, now=now)

    @post("/accept", sync_to_thread=True, status_code=200, public=True, responses=also(401, 404, 409, 429))
    def take_up(
        self,
        data: JSONBody[Acceptance],
        request: Request[Any, Any, Any],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        gate: Given[Gate],
        now: Given[datetime],
    ) -> Response[Me]:
        """Accept an invitation, and be signed in. Who has an account already signs in with it as ever."""
        token, principal = accept(request, data, database, vault, gate, now)
        with database.transaction() as db:
            return Response(me_of(db, principal), cookies=[session_cookie(token, settings)])


def accept(
    request: Request[Any, Any, Any], data: Acceptance, database: Database, vault: Vault, gate: Gate, now: datetime
) -> tuple[str, Principal]:
    """Takes an invitation up; the token of a session in its workspace, and whom it stands for. InvalidError for a common password of somebody new; NotFoundError, AuthError, BusyError."""
    hashed_token = token_hash(data.token)
    with database.transaction() as db:
        invited = invitations.read(db, hashed_token, now=now)
        known = users.read_by_email(db, invited["email"])
    hashed = ""
    if known is None:
        passwords.check(data.password, "password", invited["email"], data.name)
        hashed = passwords.hash_password(data.password)
    else:
        credentials = Credentials(email=known["email"], password=data.password, code=data.code)
        identify(request, credentials, database, vault, gate, now)
    with database.transaction() as db:
        invited = invitations.read(db, hashed_token, now=now)
        email, workspace_id = invited["email"], invited["workspace_id"]
        user_id = known["id"] if known else users.create(db, email=email, password_hash=hashed, name=data.name)
        if users.membership(db, user_id, workspace_id) is None:
            users.join(db, workspace_id, user_id, role=invited["role"])
        invitations.accept(db, invited["id"], now=now)
        home = users.membership(db, user_id, workspace_id)
        assert home is not None
        token, principal = begin(db, request, user_id, home, now)
        audit.append(db, audit.entry(request, principal, "invitations.accept", now, object_id=invited["id"]))
    return token, principal


def _may_make(principal: Principal, role: Role) -> None:
    """Nobody is made more than whoever acts is: with a key for people alone one would invite oneself to everything."""
    if not principal.may_give(role):
        raise ForbiddenError(f"This API key may not make somebody {role}, who may do more than the key.")


def _may_touch(db: Connection, principal: Principal, user_id: int, *, also_owner: bool, stays: bool) -> None:
    """Whether this member may be changed by whoever acts; the members are locked. `stays`: an owner afterwards, too."""
    roles = users.lock_members(db, principal.workspace_id)
    if user_id not in roles:
        raise NotFoundError("There is no such member.")
    is_owner = roles[user_id] == Role.OWNER
    if (is_owner or also_owner) and principal.role is not Role.OWNER:
        raise ForbiddenError("Only an owner makes or unmakes owners.")
    if is_owner and not stays and list(roles.values()).count(Role.OWNER) == 1:
        raise StateError("This is the last owner: make another one first.", code="last_owner")
