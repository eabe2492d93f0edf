"""Everything of a workspace, to take along. Nothing that is sealed or hashed is in it."""

from collections.abc import Iterator
from typing import Final

from cleanmails.ledger.db import Connection
from cleanmails.ledger.statements import sql

NOUNS: Final = {
    "workspace": sql("export.workspace"),
    "member": sql("export.members"),
    "domain": sql("export.domains"),
    "sender": sql("export.senders"),
    "list": sql("export.lists"),
    "lead": sql("export.leads"),
    "suppression": sql("export.suppressions"),
    "campaign": sql("export.campaigns"),
    "campaign_lead": sql("export.campaign_leads"),
    "delivery": sql("export.deliveries"),
    "conversation": sql("export.conversations"),
    "message": sql("export.messages"),
    "event": sql("export.events"),
}
"""By the word that its lines begin with."""

_AT_ONCE: Final = 2_000


def lines(db: Connection, workspace_id: int) -> Iterator[bytes]:
    """A line of JSON for each row of each noun: `{"kind": "lead", "row": {...}}`. Each noun as it stands when its turn comes."""
    for kind, statement in NOUNS.items():
        with db.cursor(name="export") as cursor:
            cursor.itersize = _AT_ONCE
            cursor.execute(statement, {"workspace_id": workspace_id})
            for row in cursor:
                yield f'{{"kind": "{kind}", "row": {row["row"]}}}\n'.encode()
