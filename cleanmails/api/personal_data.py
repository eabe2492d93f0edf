"""What a person may ask for (GDPR, articles 15 and 17): everything known of an address, and that it be forgotten."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, post
from litestar.params import JSONBody

from cleanmails import log
from cleanmails.api.auth import Permission, Principal
from cleanmails.api.fields import Recipient
from cleanmails.api.given import Given
from cleanmails.ledger import erasures
from cleanmails.ledger.db import Database
from cleanmails.rules import address

_log = log.get(__name__)


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data it is about."""

    email: Recipient


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data is to be forgotten, and a note on why (of the request, not of the person: it is kept)."""

    email: Recipient
    note: Annotated[str, msgspec.Meta(max_length=1_000)] = ""


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """`erased`: the address is on no record any more, and is never mailed again. `was_lead`: there was something to forget."""

    erased: bool
    was_lead: bool


class PersonalData(Controller):
    """`/v1/outreach/personal-data`."""

    path = "/v1/outreach/personal-data"
    tags = ("personal data",)

    @post("/export", sync_to_thread=True, status_code=200, needs=Permission.MANAGE)
    def export(self, data: JSONBody[About], database: Given[Database], principal: Given[Principal]) -> dict[str, Any]:
        """Hand out everything that is known of an address: lead, lists, campaigns, mails, hits, events, suppressions.

        A POST, so that the address stands in no log.
        """
        with database.transaction() as db:
            return erasures.known(db, principal.workspace_id, address.recipient(data.email))

    @post("/erase", sync_to_thread=True, status_code=200, needs=Permission.MANAGE)
    def erase(self, data: JSONBody[Erasure], database: Given[Database], principal: Given[Principal]) -> Erased:
        """Forget an address for good. What stays is a keyed hash, by which it is refused wherever it comes in again.

        Counts in statistics stay. It cannot be undone. While a mail to the address is on its way this answers 503; try again.
        """
        return forget(database, principal, address.recipient(data.email), note=data.note.strip())


def forget(database: Database, principal: Principal, email: str, *, note: str) -> Erased:
    """Forgets an address. BusyError (`mail_on_its_way`)."""
    was_lead = False
    # Twice: an import that ran beside the first could not see it, nor be seen. What begins from here on sees it.
    for _ in range(2):
        with database.transaction() as db:
            was_lead |= erasures.erase(db, principal.workspace_id, email, note=note, user_id=principal.user_id)
    _log.info("address.erased", was_lead=was_lead)
    return Erased(erased=True, was_lead=was_lead)
