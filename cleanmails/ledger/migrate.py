"""Brings the schema up to date: numbered files in `sql/migrations`, each run once, in order, in a transaction of its own."""

import hashlib
from pathlib import Path

import psycopg

from cleanmails.errors import StateError
from cleanmails.ledger.statements import folder

# Any number that only this programme uses: two processes that migrate at once take turns.
_LOCK = 0x636C65616E

_TABLE = """CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"""


def _files() -> list[Path]:
    return sorted((folder() / "migrations").glob("[0-9]*.sql"))


def migrate(database_url: str) -> list[str]:
    """Applies what is missing and returns the names of what was applied, in order; running it twice is nothing.

    StateError if a migration that was applied has been edited since: the past is not rewritten, a new file mends it.
    """
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        try:
            db.execute(_TABLE)
            applied: dict[str, str] = dict(db.execute("SELECT name, checksum FROM schema_migrations").fetchall())
            return [path.stem for path in _files() if _apply(db, path, applied.get(path.stem))]
        finally:
            db.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def _apply(db: psycopg.Connection, path: Path, known: str | None) -> bool:
    text = path.read_bytes()
    checksum = hashlib.sha256(text).hexdigest()
    if known == checksum:
        return False
    if known is not None:
        raise StateError(
            f"The migration {path.name} was changed after it was applied; undo the change and add a new file instead."
        )
    with db.transaction():
        db.execute(text)
        db.execute("INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)", (path.stem, checksum))
    return True
