"""Named statements: each is used, each use has one, and each is one that the database understands."""

import ast
import re
from functools import cache
from pathlib import Path

import psycopg
import pytest

from cleanmails.ledger import statements
from cleanmails.ledger.statements import STATEMENTS

SOURCE = Path(__file__).parents[2] / "cleanmails"

PARAMETER = re.compile(r"%\((\w+)\)[sb]")
COMMENTS = re.compile(r"^--.*$", re.MULTILINE)


@cache
def uses() -> list[tuple[str, ast.Call]]:
    """Every call `sql(...)` of the source, with the file it stands in."""
    return [
        (f"{path.relative_to(SOURCE)}:{node.lineno}", node)
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(), str(path)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sql"
    ]


def named(call: ast.Call) -> str | None:
    """The name that a call asks for, if it stands there in full."""
    match call.args:
        case [ast.Constant(value=str(name))]:
            return name
    return None


def preparable(name: str) -> tuple[str, int]:
    """A statement with numbered parameters, and how many it has."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    text = PARAMETER.sub(number, COMMENTS.sub("", STATEMENTS[name].decode()))
    return text.replace("%%", "%").strip(), len(names)


@pytest.mark.asvs("1.2.4")
def test_every_use_names_its_statement_in_full():
    assert [place for place, call in uses() if named(call) is None] == []


def test_every_use_has_a_statement():
    assert [(place, named(call)) for place, call in uses() if named(call) not in STATEMENTS] == []


def test_every_statement_is_used():
    assert sorted(set(STATEMENTS) - {named(call) for _, call in uses()}) == []


def test_no_percent_sign_stands_alone():
    assert [
        name for name, text in STATEMENTS.items() if re.search(r"%(?!\(\w+\)[sb])", text.decode().replace("%%", ""))
    ] == []


def test_every_statement_is_understood_by_the_database(database_url):
    """Each one is prepared, after those that cannot be (they make and fill tables of one connection) were run."""
    faults = []
    with psycopg.connect(database_url) as db:
        texts = {name: preparable(name) for name in STATEMENTS}
        alone = {name for name, (text, _) in texts.items() if text.split()[0] in {"VACUUM", "CHECKPOINT"}}
        others = {name for name, (text, _) in texts.items() if text.split()[0] in {"CREATE", "ANALYZE", "COPY"}}
        for name in sorted(others, key=lambda name: ("CREATE", "ANALYZE", "COPY").index(texts[name][0].split()[0])):
            with db.cursor() as cursor:
                if texts[name][0].startswith("COPY"):
                    with cursor.copy(texts[name][0]):
                        pass
                else:
                    cursor.execute(texts[name][0])
        for name in sorted(set(texts) - others - alone):
            try:
                with db.transaction():
                    db.execute(f"PREPARE it AS {texts[name][0]}", prepare=False)
                    db.execute("DEALLOCATE it")
            except psycopg.Error as error:
                faults.append((name, str(error)))
    with psycopg.connect(database_url, autocommit=True) as db:
        for name in sorted(alone):
            db.execute(texts[name][0])
    assert faults == []


def test_a_part_stands_in_each_statement_that_names_it():
    text = "-- Things.\n\n-- part: open\n-- Which are open.\nstate = 'open'\n\n-- name: one\nSELECT 1 WHERE {{open}};\n-- name: two\n-- Why.\nSELECT 2 WHERE {{open}};\n"
    assert dict(statements.statements(text)) == {
        "one": "SELECT 1 WHERE state = 'open'",
        "two": "-- Why.\nSELECT 2 WHERE state = 'open'",
    }
    with pytest.raises(KeyError, match="shut"):
        dict(statements.statements("-- name: one\nSELECT {{shut}};\n"))


def test_a_statement_that_is_not_there_is_missed_at_once():
    with pytest.raises(KeyError):
        statements.sql("lists.no_such_thing")


def test_a_name_that_is_given_twice_is_refused(tmp_path, monkeypatch):
    (tmp_path / "twice.sql").write_text("-- name: read_it\nSELECT 1;\n-- name: read_it\nSELECT 2;\n")
    monkeypatch.setattr(statements, "folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="read_it twice"):
        statements._read()
