"""The workspace itself: its name, the postal address that stands under every mail, and its tracking domain."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, get, patch
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType

from cleanmails.api.auth import Permission, Principal
from cleanmails.api.fields import DomainName, Title
from cleanmails.api.given import Given
from cleanmails.errors import Fault, InvalidError
from cleanmails.ledger import domains, workspaces
from cleanmails.ledger.db import Connection, Database
from cleanmails.rules import address


class WorkspaceChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change. `tracking_domain` is a name below one of the workspace's domains, or null for none."""

    name: Title | UnsetType = UNSET
    postal_address: Annotated[str, msgspec.Meta(max_length=500)] | UnsetType = UNSET
    tracking_domain: DomainName | UnsetType | None = UNSET


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace. Links in mails use the tracking domain once `tracking_verified_at` is set."""

    id: int
    name: str
    postal_address: str
    tracking_domain: str | None
    tracking_verified_at: datetime | None
    created_at: datetime


class Workspaces(Controller):
    """`/v1/workspace`."""

    path = "/v1/workspace"
    tags = ("workspace",)

    @get(sync_to_thread=True)
    def read(self, database: Given[Database], principal: Given[Principal]) -> Workspace:
        """Read the workspace that this session or key belongs to."""
        with database.transaction() as db:
            return _read(db, principal.workspace_id)

    @patch(sync_to_thread=True, needs=Permission.SETUP)
    def change(
        self, data: JSONBody[WorkspaceChange], database: Given[Database], principal: Given[Principal]
    ) -> Workspace:
        """Change the workspace; what is left out stays. A new tracking domain is verified together with the domain that it is below."""
        tracking = address.domain(data.tracking_domain) if isinstance(data.tracking_domain, str) else None
        with database.transaction() as db:
            if tracking is not None and not _below_ours(db, principal.workspace_id, tracking):
                fault = Fault("tracking_domain", "no_domain", "This must be a name below one of your domains.")
                raise InvalidError([fault])
            workspaces.update(
                db,
                principal.workspace_id,
                name=data.name.strip() if isinstance(data.name, str) else None,
                postal_address=data.postal_address.strip() if isinstance(data.postal_address, str) else None,
                set_tracking=data.tracking_domain is not UNSET,
                tracking_domain=tracking,
            )
            return _read(db, principal.workspace_id)


def _below_ours(db: Connection, workspace_id: int, name: str) -> bool:
    labels = name.split(".")
    return any(domains.find(db, workspace_id, ".".join(labels[depth:])) for depth in range(1, len(labels)))


def _read(db: Connection, workspace_id: int) -> Workspace:
    return msgspec.convert(workspaces.read(db, workspace_id), Workspace)
