"""Language models that workspaces have access to, and their answers: once for a lead, a step and a question."""

from collections.abc import Iterable

import msgspec

from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


class Known(msgspec.Struct, frozen=True):
    """What stands of a mail's questions: answers by key (empty: it failed), and whether there is a model to be asked."""

    answers: dict[str, str]
    has_model: bool


def settings(db: Connection, workspace_id: int) -> Row | None:
    """`kind`, `url`, `model`, `key_sealed` (as `ai:WORKSPACE:key`), `timeout_seconds`, `max_characters`, `updated_at`; None: AI tags are off."""
    return db.execute(sql("ai.read_settings"), {"workspace_id": workspace_id}).fetchone()


def write_settings(db: Connection, workspace_id: int, values: Row) -> None:
    """All of them, as `settings` gives them."""
    db.execute(sql("ai.write_settings"), values | {"workspace_id": workspace_id})


def delete_settings(db: Connection, workspace_id: int) -> None:
    """Switches AI tags off and forgets the key."""
    db.execute(sql("ai.delete_settings"), {"workspace_id": workspace_id})


def known(db: Connection, mails: Iterable[Row]) -> dict[int, Known]:
    """By delivery's id. `mails` are rows of `render_facts`."""
    names = ("ids", "workspaces", "campaigns", "leads", "steps")
    keys = ((row["id"], row["workspace_id"], row["campaign_id"], row["lead_id"], row["step"]) for row in mails)
    found = db.execute(sql("ai.known"), columns(names, keys))
    return {row["id"]: Known(row["answers"], row["has_model"]) for row in found}


def keep(db: Connection, mail: Row, key: str, *, answer: str | None, failure: str | None) -> None:
    """Writes down an answer, or why there is none; the first one stays."""
    values = {name: mail[name] for name in ("campaign_id", "lead_id", "step")}
    db.execute(sql("ai.keep"), values | {"key": key, "answer": answer, "failure": failure})
