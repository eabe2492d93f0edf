"""API keys: made, listed and revoked. The key itself is shown once, in the answer that makes it."""

import secrets
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody

from cleanmails.api.auth import KEY_PREFIX, Permission, Principal, Role, token_hash
from cleanmails.api.fields import Title
from cleanmails.api.given import Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.errors import ForbiddenError
from cleanmails.ledger import api_keys
from cleanmails.ledger.db import Database

_PREFIX_SHOWN = len(KEY_PREFIX) + 6


class NewApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key to be made. `role` is what it may do at most, `scopes` narrows that; without `expires_at` it holds until it is revoked."""

    name: Title
    role: Literal["admin", "member", "viewer"] = "admin"
    scopes: Annotated[list[Permission], msgspec.Meta(min_length=1, max_length=len(Permission))] | None = None
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is listed: `prefix` is what it begins with, for telling keys apart. `scopes` null: all of the role."""

    id: int
    name: str
    prefix: str
    role: str
    scopes: list[Permission] | None
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


class FreshApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was just made. `key` is shown this once and cannot be read again."""

    key: str
    api_key: ApiKey


class ApiKeys(Controller):
    """`/v1/api-keys`."""

    path = "/v1/api-keys"
    tags = ("API keys",)

    @post(sync_to_thread=True, needs=Permission.MANAGE)
    def create(
        self, data: JSONBody[NewApiKey], database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> FreshApiKey:
        """Make an API key. Its secret is in this answer and nowhere else. A key makes none that may do more than itself."""
        if not principal.may_give(Role(data.role), data.scopes):
            raise ForbiddenError("This API key may not make one that may do more than itself; name fewer scopes.")
        key = KEY_PREFIX + secrets.token_urlsafe(32)
        with database.transaction() as db:
            row = api_keys.create(
                db,
                principal.workspace_id,
                created_by=principal.user_id,
                name=data.name.strip(),
                prefix=key[:_PREFIX_SHOWN],
                key_hash=token_hash(key),
                role=data.role,
                scopes=None if data.scopes is None else sorted(set(data.scopes)),
                now=now,
                expires_at=data.expires_at,
            )
        return FreshApiKey(key=key, api_key=_api_key(row))

    @get(sync_to_thread=True, needs=Permission.MANAGE)
    def list_all(self, database: Given[Database], principal: Given[Principal], window: Given[Window]) -> Page[ApiKey]:
        """List the workspace's API keys, revoked ones too, oldest first."""
        with database.transaction() as db:
            rows = api_keys.list_keys(db, principal.workspace_id, after=window.after, limit=window.fetch)
        return page(rows, window, _api_key)

    @delete("/{key_id:int}", sync_to_thread=True, needs=Permission.MANAGE)
    def revoke(
        self, key_id: FromPath[int], database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> None:
        """Revoke an API key: it stops at once. Revoking it twice is the same."""
        with database.transaction() as db:
            api_keys.revoke(db, principal.workspace_id, key_id, now=now)


def _api_key(row: dict[str, Any]) -> ApiKey:
    return msgspec.convert(row, ApiKey)
