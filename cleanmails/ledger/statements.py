"""Named SQL statements, read once from `sql/*.sql`.

A statement begins with a line `-- name: verb_noun`, says why it is there in the comment below, and is called for as `sql("file.verb_noun")`.
Parameters are named (`%(lead_id)s`). What several statements of a file say alike is a part, `-- part: filter`, and stands in them as `{{filter}}`. Other than that
no SQL text is ever put together in Python.
"""

import re
from collections.abc import Iterator
from pathlib import Path

_HEAD = re.compile(r"^-- (name|part): ([a-z_]+)\s*$", re.MULTILINE)
_PART = re.compile(r"\{\{([a-z_]+)\}\}")
_COMMENT = re.compile(r"\A(?:--.*\n)+")


def folder() -> Path:
    """Where `sql/` lies: at the top of a checkout, or inside the package of an installed wheel."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"


def _read() -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in sorted(folder().glob("*.sql")):
        for name, text in statements(path.read_text()):
            key = f"{path.stem}.{name}"
            if key in found:
                raise ValueError(f"{path.name} defines the statement {name} twice")
            found[key] = text.encode()
    return found


def statements(text: str) -> Iterator[tuple[str, str]]:
    """The statements of a file by name, with their parts in place. KeyError for a part that is not defined before."""
    parts: dict[str, str] = {}
    pieces = _HEAD.split(text)
    for kind, name, piece in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        whole = _PART.sub(lambda part: parts[part[1]], piece.strip())
        if kind == "part":
            parts[name] = _COMMENT.sub("", whole)
        else:
            yield name, whole.rstrip(";")


STATEMENTS = _read()


def sql(name: str) -> bytes:
    """The statement `file.name`; KeyError at once if there is none, so that a slip cannot wait for its call."""
    return STATEMENTS[name]
