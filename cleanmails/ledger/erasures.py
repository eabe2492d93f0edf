"""What is known of one address: all of it in one document, or forgotten, with a keyed hash that keeps the address from ever coming back."""

from typing import Any, Final

from cleanmails.errors import BusyError
from cleanmails.ledger import suppressions
from cleanmails.ledger.db import Connection
from cleanmails.ledger.statements import sql

_FORGET: Final = (
    sql("erasures.forget_hits"),
    sql("erasures.forget_attempts"),
    sql("erasures.forget_bytes"),
    sql("erasures.forget_deliveries"),
    sql("erasures.forget_messages"),
    sql("erasures.forget_conversations"),
    sql("erasures.forget_outlets"),
    sql("erasures.forget_lists"),
    sql("erasures.forget_answers"),
    sql("erasures.forget_events"),
    sql("erasures.forget_lead"),
)
"""In the lock order. Hits are gone before anything else could be judged by them."""


def known(db: Connection, workspace_id: int, email: str) -> dict[str, Any]:
    """Everything the workspace knows of an address (normalised), as one document."""
    row = db.execute(sql("erasures.known"), {"workspace_id": workspace_id, "email": email}).fetchone()
    assert row is not None
    document: dict[str, Any] = row["document"]
    return document


def erase(db: Connection, workspace_id: int, email: str, *, note: str, user_id: int | None) -> bool:
    """Forgets an address, and keeps its keyed hash: no import takes it again. Whether there was a lead of it.

    Its walks end as if it had unsubscribed. BusyError (`mail_on_its_way`) while a mail to it is inside an SMTP transaction: seconds.
    """
    values = {"workspace_id": workspace_id, "email": email, "note": note, "user_id": user_id}
    db.execute(sql("erasures.keep_hash"), values)
    suppressions.suppress(db, workspace_id, "address", email, "unsubscribed", source="erasure")
    lead = db.execute(sql("erasures.hold_lead"), values).fetchone()
    if lead is not None:
        values["lead_id"] = lead["id"]
        sending = db.execute(sql("erasures.on_its_way"), values).fetchone()
        if sending and sending["sending"]:
            raise BusyError(
                "A mail to this address is being sent right now; try again in a minute.", code="mail_on_its_way"
            )
        for statement in _FORGET:
            db.execute(statement, values)
    db.execute(sql("erasures.forget_suppression"), values)
    db.execute(sql("erasures.forget_rejects"), values)
    db.execute(sql("erasures.forget_set_aside"), values)
    return lead is not None
