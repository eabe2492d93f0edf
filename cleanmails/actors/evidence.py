"""The ways out of `unknown`: evidence that a mail was taken (a reply, a bounce, a human open, a copy in Sent), or a person's decision."""

from collections import Counter
from collections.abc import Sequence

from cleanmails import log
from cleanmails.ledger import campaign_runs, deliveries, events, planning, unknowns, workers
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.events import Event
from cleanmails.records import CampaignView, Move, WalkState
from cleanmails.rules import walks

logger = log.get(__name__)


def assume_sent(db: Connection, workspace_id: int, ids: Sequence[int], evidence: str) -> list[int]:
    """Those of `ids` that are unknown count as sent from here on, and their walks go on from the time they were handed in. The ids it was true of."""
    deliveries.lock_walks(db, unknowns.walks(db, workspace_id, ids))
    rows = unknowns.lock(db, workspace_id, ids)
    now = workers.now(db)
    views = planning.campaigns(db, now, sorted({row["campaign_id"] for row in rows}))
    unknowns.write_sent(db, now, [row["id"] for row in rows], evidence)
    deliveries.move_walks(db, now, (_on(row, views) for row in rows))
    deliveries.drop_bytes(db, [row["id"] for row in rows])
    campaign_runs.count(db, Counter(row["campaign_id"] for row in rows), {})
    events.append(db, (_sent(row, evidence) for row in rows))
    for row in rows:
        logger.info("delivery.sent", delivery=row["id"], campaign=row["campaign_id"], evidence=evidence)
    return [row["id"] for row in rows]


def resend(db: Connection, workspace_id: int, ids: Sequence[int], evidence: str) -> list[int]:
    """Those of `ids` that are unknown go out again: a person's decision, who accepts that some may arrive twice. The ids it was true of.

    One whose walk has ended meanwhile (the lead left) does not: it is cancelled.
    """
    deliveries.lock_walks(db, unknowns.walks(db, workspace_id, ids))
    rows = unknowns.lock(db, workspace_id, ids)
    now = workers.now(db)
    unknowns.write_resend(db, [row["id"] for row in rows], evidence)
    back = (
        Move(
            campaign_id=row["campaign_id"],
            lead_id=row["lead_id"],
            state=WalkState.WAITING,
            step=row["step"],
            due_at=now,
        )
        for row in rows
    )
    deliveries.move_walks(db, now, back)
    deliveries.cancel_stranded(db, now, [row["id"] for row in rows])
    for row in rows:
        logger.info("delivery.deferred", delivery=row["id"], campaign=row["campaign_id"], evidence=evidence)
    return [row["id"] for row in rows]


def _on(row: Row, views: dict[int, CampaignView]) -> Move:
    return walks.sent(views[row["campaign_id"]], row["lead_id"], row["step"], row["id"], row["sending_at"])


def _sent(row: Row, evidence: str) -> Event:
    return Event(
        workspace_id=row["workspace_id"],
        type="email.sent",
        campaign_id=row["campaign_id"],
        lead_id=row["lead_id"],
        delivery_id=row["id"],
        sender_id=row["sender_id"],
        data={
            "step": row["step"],
            "email": row["email"],
            "message_id": row["message_id"],
            "subject": row["subject"],
            "evidence": evidence,
        },
    )
