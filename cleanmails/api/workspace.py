"""The workspace itself: its name, the postal address that stands under every mail, and its tracking domain."""

import tempfile
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, BinaryIO

import msgspec
from litestar import Controller, get, patch, post
from litestar.params import JSONBody
from litestar.response import Stream
from msgspec import UNSET, UnsetType

from cleanmails.api.auth import Permission, Principal, Role
from cleanmails.api.fields import DomainName, Title
from cleanmails.api.given import Given
from cleanmails.api.reference import also
from cleanmails.errors import Fault, InvalidError
from cleanmails.ledger import domains, export, users, workspaces
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


class NewWorkspace(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace to be made."""

    name: Title


class Workspaces(Controller):
    """`/v1/workspace`, and `/v1/workspaces` to make one."""

    tags = ("workspace",)

    @post("/v1/workspaces", sync_to_thread=True, needs=Permission.OWN)
    def create(self, data: JSONBody[NewWorkspace], database: Given[Database], principal: Given[Principal]) -> Workspace:
        """Make a workspace, and become its owner. `POST /v1/auth/switch` leads into it."""
        user_id = principal.person()
        with database.transaction() as db:
            workspace_id = workspaces.create(db, name=data.name.strip())
            users.join(db, workspace_id, user_id, role=Role.OWNER)
            return _read(db, workspace_id)

    @get("/v1/workspace", sync_to_thread=True)
    def read(self, database: Given[Database], principal: Given[Principal]) -> Workspace:
        """Read the workspace that this session or key belongs to."""
        with database.transaction() as db:
            return _read(db, principal.workspace_id)

    @patch("/v1/workspace", sync_to_thread=True, needs=Permission.SETUP)
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

    @post("/v1/workspace/archive", sync_to_thread=True, status_code=204, needs=Permission.OWN, responses=also(409))
    def archive(self, database: Given[Database], principal: Given[Principal], now: Given[datetime]) -> None:
        """Take the workspace out of use: nobody gets in, nothing of it is sent. Not while a campaign is running."""
        with database.transaction() as db:
            workspaces.archive(db, principal.workspace_id, now=now)

    @get("/v1/workspace/export", sync_to_thread=True, needs=Permission.OWN, media_type="application/jsonl")
    def download(self, database: Given[Database], principal: Given[Principal]) -> Stream:
        """Download everything of the workspace: a line of JSON for each thing, `{"kind": "lead", "row": {...}}`. Credentials and keys are not in it."""
        # Written to disk first: a reader that dawdles must not keep a transaction open.
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it has been read
        with database.transaction() as db:
            file.writelines(export.lines(db, principal.workspace_id))
        file.seek(0)
        return Stream(
            _pieces(file),
            media_type="application/jsonl",
            headers={"Content-Disposition": f'attachment; filename="workspace-{principal.workspace_id}.jsonl"'},
        )


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(1 << 16):
            yield piece


def _below_ours(db: Connection, workspace_id: int, name: str) -> bool:
    labels = name.split(".")
    return any(domains.find(db, workspace_id, ".".join(labels[depth:])) for depth in range(1, len(labels)))


def _read(db: Connection, workspace_id: int) -> Workspace:
    return msgspec.convert(workspaces.read(db, workspace_id), Workspace)
