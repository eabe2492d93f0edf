"""Postgres and Valkey as processes of our own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from cleanmails import embedded
from cleanmails.embedded import OccupiedError, StartError
from cleanmails.embedded.folder import await_end, for_sockets
from cleanmails.embedded.postgres import Postgres, can_be
from cleanmails.embedded.valkey import Valkey
from cleanmails.launcher import Identity
from cleanmails.settings import Servers
from cleanmails.supervisor import Supervisor

LONELY = """
import sys
from pathlib import Path
from cleanmails import embedded
with embedded.servers(Path(sys.argv[1]), fast=True):
    print("ready", flush=True)
    sys.stdin.read()
"""

# As ourselves unless we are root, which Postgres refuses; as whatever else root may become here.
IDENTITIES = [each for each in Identity if (each is Identity.SELF) != (os.geteuid() == 0) and can_be(each)]


def query(url: str, statement: str):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that were told of a folder."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended between the two looks
    return [line for line in lines if str(folder) in line]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A state folder that was used before: initdb is most of what a test here costs."""
    folder = tmp_path_factory.mktemp("state")
    with embedded.servers(folder, fast=True):
        pass
    return folder


def test_both_answer_and_remember(folder):
    with embedded.servers(folder) as first:
        query(first.database_url, "CREATE TABLE kept AS SELECT 7 AS number")
        redis.Redis.from_url(first.redis_url).set("kept", "7")
    assert not processes_of(folder)
    with embedded.servers(folder) as second:
        assert query(second.database_url, "SELECT number FROM kept") == 7
        assert redis.Redis.from_url(second.redis_url).get("kept") == b"7"


def test_a_second_start_on_the_same_folder_is_refused(folder):
    with embedded.servers(folder, fast=True) as servers:
        with pytest.raises(OccupiedError, match="in use by process"), embedded.servers(folder, fast=True):
            raise AssertionError
        assert query(servers.database_url, "SELECT 1") == 1


def test_a_killed_parent_leaves_nothing_behind_and_the_next_start_finds_all_again(folder):
    with subprocess.Popen(
        [sys.executable, "-c", LONELY, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as lonely:
        assert any(b"ready" in line for line in lonely.stdout)
        assert len(processes_of(folder)) == 3
        lonely.send_signal(signal.SIGKILL)
    for name in ("postgres", "valkey"):
        await_end(folder / name / "lock")
    assert not processes_of(folder)
    with embedded.servers(folder, fast=True) as servers:
        assert query(servers.database_url, "SELECT 1") == 1


def test_a_pid_file_of_a_recycled_pid_does_not_stop_the_start(folder):
    alive = 1
    (folder / "postgres/data/postmaster.pid").write_text(f"{alive}\n{folder}/postgres/data\n0\n0\n\n\n\nready\n")
    with embedded.servers(folder, fast=True) as servers:
        assert query(servers.database_url, "SELECT 1") == 1


def test_what_an_interrupted_first_start_left_is_made_anew(tmp_path):
    left = tmp_path / "postgres/data.new"
    left.mkdir(parents=True)
    (left / "PG_VERSION").touch()
    with embedded.servers(tmp_path, fast=True) as servers:
        assert query(servers.database_url, "SELECT 1") == 1


def test_a_deep_folder_gets_its_sockets_elsewhere(tmp_path):
    valkey = Valkey(tmp_path / "/".join(["deep" * 10] * 3), fast=True)
    with Supervisor() as supervisor:
        supervisor.start(valkey.process, ready=valkey.ready)
        assert redis.Redis.from_url(valkey.url).ping()


def test_the_folder_of_the_sockets_is_closed_to_others(tmp_path):
    sockets = for_sockets(tmp_path)
    assert sockets.stat().st_mode & 0o077 == 0
    sockets.chmod(0o755)
    with pytest.raises(StartError, match="closed to others"):
        for_sockets(tmp_path)


@pytest.mark.parametrize("identity", [*IDENTITIES, *IDENTITIES[:1]])
def test_a_cluster_of_another_identity_is_taken_over(folder, identity):
    postgres = Postgres(folder / "postgres", fast=True, identity=identity)
    postgres.prepare()
    with Supervisor() as supervisor:
        supervisor.start(postgres.process, ready=postgres.ready)
        assert query(postgres.url, "SELECT 1") == 1


def test_a_server_that_cannot_start_says_why(folder):
    configuration = folder / "postgres/data/postgresql.conf"
    text = configuration.read_text()
    configuration.write_text(f"{text}\nnonsense = on\n")
    with (
        pytest.raises(StartError, match='unrecognized configuration parameter "nonsense"'),
        embedded.servers(folder, fast=True),
    ):
        raise AssertionError
    configuration.write_text(text)
    assert not processes_of(folder)


def test_servers_that_are_given_are_used_instead(tmp_path):
    with Supervisor() as supervisor:
        given = embedded.start(supervisor, tmp_path, database_url="postgresql:///x", redis_url="redis://x")
        assert given == Servers("postgresql:///x", "redis://x")
        assert not processes_of(tmp_path)


def test_postgres_holds_what_a_client_needs(servers):
    assert query(servers.database_url, "SHOW server_encoding") == "UTF8"
    assert query(servers.database_url, "SHOW timezone") == "UTC"
    assert query(servers.database_url, "SHOW listen_addresses") == ""
    assert (
        query(servers.database_url, "SELECT count(*) FROM pg_available_extensions WHERE name IN ('citext', 'pg_trgm')")
        == 2
    )
