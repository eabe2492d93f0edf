"""What `up` does before it starts anything. That it starts everything is shown by the acceptance tests."""

import socket

import pytest

from cleanmails import embedded, settings
from cleanmails.cli import main
from cleanmails.embedded import up
from cleanmails.supervisor import StartError


def test_a_secret_key_is_made_once_and_closed_to_others(tmp_path):
    first, second = up._with_key(tmp_path, {}), up._with_key(tmp_path, {})
    key = tmp_path / "secret_key"
    assert key.stat().st_mode & 0o077 == 0
    assert settings.load(first).secret_key == settings.load(second).secret_key != settings.DEVELOPMENT_KEY


def test_a_key_that_is_set_is_used(tmp_path):
    given = {"CLEANMAILS_SECRET_KEY": "00" * 32}
    assert up._with_key(tmp_path, given) == given
    assert not list(tmp_path.iterdir())


def test_the_ports_of_the_first_start_are_kept(tmp_path):
    assert up._ports(tmp_path) == up._ports(tmp_path)


def test_a_port_that_is_taken_is_said_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert up._free(port) != port
        with pytest.raises(StartError, match=f"Port {port} of 127.0.0.1 cannot be used: Address already in use"):
            up._check_free("127.0.0.1", port)


def test_a_first_start_that_broke_off_is_forgotten_and_a_complete_one_is_not(tmp_path):
    for begun in ("postgres/data/PG_VERSION", "valkey/log", "catcher/ports.json", "secret_key"):
        (tmp_path / begun).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / begun).touch()
    up._forget_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]
    (tmp_path / "postgres").mkdir()
    (tmp_path / up._COMPLETE).touch()
    up._forget_unfinished(tmp_path)
    assert (tmp_path / "postgres").exists()


def test_a_second_up_beside_the_first_says_so_and_stops(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CLEANMAILS_STATE_DIR", str(tmp_path))
    with embedded.hold(tmp_path / "up"):
        assert main(["up"]) == 1
    assert "is in use by process" in capsys.readouterr().err
