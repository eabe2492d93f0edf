"""Brings the schema up to date: numbered files in `sql/migrations`, each run once, in order, in a transaction of its own.

Then the files of `sql/functions`, each of which replaces one function: run again whenever its text has changed.
"""

import hashlib
from pathlib import Path

import psycopg

from cleanmails.errors import StateError
from cleanmails.ledger.statements import folder

# Any number that only this programme uses: two processes that migrate at once take turns.
_LOCK = 0x636C65616E

_TABLE = """CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"""

_NOTE = """INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)
    ON CONFLICT (name) DO UPDATE SET checksum = EXCLUDED.checksum, applied_at = now()"""


def _migrations() -> list[Path]:
    return sorted((folder() / "migrations").glob("[0-9]*.sql"))


def _functions() -> list[Path]:
    return sorted((folder() / "functions").glob("*.sql"))


def migrate(database_url: str) -> list[str]:
    """Applies what is missing and returns the names of what was applied, in order; running it twice is nothing.

    StateError if a migration that was applied has been edited since: the past is not rewritten, a new file mends it.
    """
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        try:
            db.execute(_TABLE)
            applied: dict[str, str] = dict(db.execute("SELECT name, checksum FROM schema_migrations").fetchall())
            done = [path.stem for path in _migrations() if _apply(db, path, applied.get(path.stem))]
            return done + [path.stem for path in _functions() if _replace(db, path, applied.get(path.stem))]
        finally:
            db.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def _apply(db: psycopg.Connection, path: Path, known: str | None) -> bool:
    """Runs a migration that was not run before."""
    if known is None:
        return _run(db, path)
    if known != _checksum(path):
        raise StateError(
            f"The migration {path.name} was changed after it was applied; undo the change and add a new file instead."
        )
    return False


def _replace(db: psycopg.Connection, path: Path, known: str | None) -> bool:
    """Makes a function anew if its text is not what the database knows."""
    return known != _checksum(path) and _run(db, path)


def _run(db: psycopg.Connection, path: Path) -> bool:
    with db.transaction():
        db.execute(path.read_bytes())
        db.execute(_NOTE, (path.stem, _checksum(path)))
    return True


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
