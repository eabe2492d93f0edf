"""Migrations: each once, in order, whoever else is at it; and the past is not rewritten."""

import psycopg
import pytest

from cleanmails.errors import StateError
from cleanmails.ledger import migrate as module
from cleanmails.ledger.migrate import migrate


@pytest.fixture
def empty_url(database_url):
    """A database without any table, in place of the one that is migrated."""
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("DROP SCHEMA public CASCADE")
        db.execute("CREATE SCHEMA public")
    return database_url


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Migrations of the test's own: `written("0001_a", "CREATE TABLE a ()")`."""
    (tmp_path / "migrations").mkdir()
    monkeypatch.setattr(module, "folder", lambda: tmp_path)

    def write(name, text):
        (tmp_path / "migrations" / f"{name}.sql").write_text(text)

    return write


def test_running_them_twice_is_nothing(empty_url):
    first = migrate(empty_url)
    assert first[0] == "0001_house"
    assert first == sorted(first)
    assert migrate(empty_url) == []


def test_two_at_once_take_turns(empty_url, together):
    results = together(*[lambda: migrate(empty_url)] * 4)
    assert sorted(results, key=len)[:3] == [[], [], []]
    assert max(results, key=len)[0] == "0001_house"


def test_one_that_was_applied_and_edited_is_refused(empty_url, written):
    written("0001_a", "CREATE TABLE a (id int)")
    assert migrate(empty_url) == ["0001_a"]
    written("0001_a", "CREATE TABLE a (id bigint)")
    with pytest.raises(StateError, match=r"0001_a\.sql was changed"):
        migrate(empty_url)


def test_a_new_one_is_added_to_those_there_are(empty_url, written):
    written("0001_a", "CREATE TABLE a (id int)")
    migrate(empty_url)
    written("0002_b", "CREATE TABLE b (id int)")
    assert migrate(empty_url) == ["0002_b"]


def test_one_that_fails_leaves_nothing_and_those_before_it_stand(empty_url, written):
    written("0001_a", "CREATE TABLE a (id int)")
    written("0002_b", "CREATE TABLE b (id int); SELECT 1 / 0")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty_url)
    with psycopg.connect(empty_url) as db:
        assert db.execute("SELECT to_regclass('a')::text, to_regclass('b')::text").fetchone() == ("a", None)
    written("0002_b", "CREATE TABLE b (id int)")
    assert migrate(empty_url) == ["0002_b"]
