"""Whether the web process and the ledger answer: for load balancers and supervisors."""

import msgspec
from litestar import get

from cleanmails.api.given import Given
from cleanmails.ledger.db import Database


class Health(msgspec.Struct, frozen=True):
    """Said only while everything answers; a ledger that does not is a 503."""

    status: str


@get("/healthz", sync_to_thread=True, public=True, tags=["health"])
def healthz(database: Given[Database]) -> Health:
    """Say that the web process and the ledger answer."""
    with database.transaction():
        return Health("ok")
