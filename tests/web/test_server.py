"""The web process by itself: it starts from the environment, answers, and stops when it is told."""

import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from cleanmails.errors import SettingsError
from cleanmails.web.server import main
from tests.ports import free_port


def test_the_process_serves_until_it_is_told_to_stop(database_url, redis_url):
    port = free_port()
    environment = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "cleanmails.cli", "web"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        started = process.stdout.readline()
        assert "web.started" in started
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=8), timeout=90
        ) as http:
            assert http.get("/healthz").json() == {"status": "ok"}
            assert http.get("/docs/api").status_code == 200
            assert "server" not in http.get("/healthz").headers
    finally:
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=90)
    assert process.returncode == 0
    assert "web.stopped" in rest
    assert rest.count("request.served") == 3


def test_a_port_that_somebody_has_is_said_in_a_sentence(database_url, redis_url):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "PORT": str(port)}
        line = [sys.executable, "-m", "cleanmails.cli", "web"]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"Port {port} of 127.0.0.1 cannot be used: Address already in use." in done.stderr
    assert "web.started" not in done.stdout


def test_without_servers_it_says_what_is_missing(monkeypatch):
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="DATABASE_URL must be set"):
        main([])
