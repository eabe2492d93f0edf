"""Messages of a sender's mailbox that could not be handled: why, and another try."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath

from cleanmails.api.auth import Permission, Principal
from cleanmails.api.given import Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.ledger import mailboxes, senders
from cleanmails.ledger.db import Database


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was set aside so that those behind it could be read. `folder` and `uid` say where it lies; `kept`: its bytes are here too; `again`: it
    is tried once more at the next look.
    """

    id: int
    folder: Literal["inbox", "spam", "sent"]
    uid: int
    reason: str
    kept: bool
    again: bool
    set_aside_at: datetime


class SetAsideMessages(Controller):
    """`/v1/outreach/senders/{id}/set-aside`."""

    path = "/v1/outreach/senders/{sender_id:int}/set-aside"
    tags = ("senders",)

    @get(sync_to_thread=True)
    def list_set_aside(
        self,
        sender_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        now: Given[datetime],
    ) -> Page[SetAside]:
        """List what came into a sender's mailbox and could not be handled, oldest first."""
        with database.transaction() as db:
            senders.read(db, principal.workspace_id, sender_id, today=now.date())
            rows = mailboxes.list_set_aside(
                db, principal.workspace_id, sender_id, after=window.after or 0, limit=window.fetch
            )
        return page(rows, window, _told)

    @post("/{set_aside_id:int}/again", sync_to_thread=True, status_code=200, needs=Permission.SETUP)
    def try_again(
        self,
        sender_id: FromPath[int],
        set_aside_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
    ) -> SetAside:
        """Try a message that was set aside once more. What is handled then is gone from the list."""
        with database.transaction() as db:
            return _told(mailboxes.try_again(db, principal.workspace_id, sender_id, set_aside_id))


def _told(row: dict[str, Any]) -> SetAside:
    return msgspec.convert({"folder": row["role"], **row}, SetAside)
