"""Named SQL statements, read once from `sql/*.sql`.

A statement begins with a line `-- name: verb_noun`, says why it is there in the comment below, and is called for as `sql("file.verb_noun")`.
Parameters are named (`%(lead_id)s`); no SQL text is ever put together in Python.
"""

import re
from pathlib import Path

_NAME = re.compile(r"^-- name: ([a-z_]+)\s*$", re.MULTILINE)


def folder() -> Path:
    """Where `sql/` lies: at the top of a checkout, or inside the package of an installed wheel."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"


def _read() -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in sorted(folder().glob("*.sql")):
        parts = _NAME.split(path.read_text())
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            key = f"{path.stem}.{name}"
            if key in found:
                raise ValueError(f"{path.name} defines the statement {name} twice")
            found[key] = text.strip().rstrip(";").encode()
    return found


STATEMENTS = _read()


def sql(name: str) -> bytes:
    """The statement `file.name`; KeyError at once if there is none, so that a slip cannot wait for its call."""
    return STATEMENTS[name]
