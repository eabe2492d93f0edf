"""`cleanmails up`: everything on this machine, with a demonstration to play with. Nothing leaves the machine.

Starts what is not given (Postgres, Valkey), brings the schema up to date, then the processes of the Procfile under one supervisor. What is kept
lies in `.state/up`. In production (CLEANMAILS_ENV) there is no demonstration; then the first user is made with `cleanmails owner`.
"""

import argparse
import http.client
import os
import secrets
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from cleanmails import embedded, log, settings
from cleanmails.demo import certificates
from cleanmails.demo.seed import seed
from cleanmails.embedded.folder import await_end
from cleanmails.ledger.migrate import migrate
from cleanmails.settings import Settings
from cleanmails.supervisor import Process, StartError, Supervisor

WORKERS: Final = ("plan", "render", "send", "upkeep", "webhooks", "inbox", "imports")

_COMPLETE: Final = "complete"
"""The file that says that a start came to its end once, so that somebody was told how to sign in."""


class Ports(msgspec.Struct, frozen=True):
    """Where the demonstration's mail catcher listens. Its senders are told once, so the ports of the first start are kept."""

    smtp: int
    http: int
    dns: int
    imap: int = 0


def main(argv: Sequence[str]) -> int:
    """Run until Ctrl-C; then drain and stop everything."""
    argparse.ArgumentParser(
        prog="cleanmails up", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    home = Path(os.environ.get("CLEANMAILS_STATE_DIR") or ".state").resolve() / "up"
    with embedded.hold(home):
        environment = {"CLEANMAILS_LOG": "console", **_with_key(home, os.environ)}
        given = settings.load(environment)
        log.configure(given.log_format)
        _check_free(given.host, given.port)
        _forget_unfinished(home)
        with Supervisor() as supervisor:
            _tell(_start(supervisor, home, given, environment), home)
            (home / _COMPLETE).touch()
            supervisor.run()
    return 0


def _start(supervisor: Supervisor, home: Path, given: Settings, environment: dict[str, str]) -> dict[str, str]:
    """Start stage after stage; where everything is then, by name."""
    servers = embedded.start(supervisor, home, database_url=given.database_url, redis_url=given.redis_url)
    environment |= {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    migrate(servers.database_url)
    places = {"dashboard": given.public_url}
    if given.environment == "development":
        places |= _demonstrate(supervisor, home / "catcher", environment)
    web = _process("web", ("-m", "cleanmails.cli", "web"), environment)
    supervisor.start(web, ready=lambda: _answers(given.host, given.port, "/healthz"))
    workers = [_process(name, ("-m", "cleanmails.cli", "worker", name), environment) for name in WORKERS]
    scheduler = _process("scheduler", ("-m", "cleanmails.cli", "scheduler"), environment)
    supervisor.start(scheduler, *workers, ready=lambda: True)
    return places


def _demonstrate(supervisor: Supervisor, folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Start the stand-in for the world, point everything at it, and load the demonstration once."""
    ports = _ports(folder)
    authority = certificates.make(folder / "certificates").authority
    world = {"CLEANMAILS_DNS_SERVERS": f"127.0.0.1:{ports.dns}", "CLEANMAILS_CA_FILE": str(authority)}
    environment |= {name: value for name, value in world.items() if not environment.get(name)}
    options = [f"--{name}-port={port}" for name, port in msgspec.structs.asdict(ports).items()]
    catcher = _process("catcher", ("-m", "cleanmails.demo.catcher", f"--folder={folder}", *options), environment)
    supervisor.start(catcher, ready=lambda: _answers("127.0.0.1", ports.http, "/"))
    mails = f"http://127.0.0.1:{ports.http}"
    account = seed(settings.load(environment), smtp_port=ports.smtp, imap_port=ports.imap, catcher_url=mails)
    reset = f"DATABASE_URL={shlex.quote(environment['DATABASE_URL'])} {sys.executable} -m cleanmails.cli owner --reset --email {account.email}"
    known = f"the password of the first start; a new one: {reset}"
    return {"sign in": account.email, "password": account.password or known, "its mails": mails}


def _process(name: str, line: tuple[str, ...], environment: Mapping[str, str]) -> Process:
    return Process(name=name, argv=(sys.executable, *line), environment=dict(environment))


def _tell(places: Mapping[str, str], home: Path) -> None:
    lines = [f"    {name:<10}  {place}" for name, place in places.items()]
    goodbye = f"  Ctrl-C drains and stops everything; what you did is kept in {home}."
    print("\n  cleanmails is up.", "", *lines, "", goodbye, "", sep="\n", flush=True)


def _forget_unfinished(home: Path) -> None:
    """A first start that broke off begins anew: nobody was told the password of what it left, and the demonstration is half there."""
    if not (home / _COMPLETE).exists():
        for place in (home / name for name in ("postgres", "valkey", "catcher")):
            if place.exists():
                await_end(place / "lock")
                shutil.rmtree(place)


def _with_key(home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with a secret key: that which is set, or one of this folder's own, made at the first start."""
    if environ.get("CLEANMAILS_SECRET_KEY") or environ.get("CLEANMAILS_SECRET_KEY_FILE"):
        return dict(environ)
    file = home / "secret_key"
    if not file.exists():
        new = file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(secrets.token_hex(32))
        new.rename(file)
    return {**environ, "CLEANMAILS_SECRET_KEY_FILE": str(file)}


def _ports(folder: Path) -> Ports:
    """The ports of the first start: the usual ones, or any where those are taken."""
    file = folder / "ports.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(Ports(*(_free(usual) for usual in (2525, 8025, 5335, 1143)))))
    ports = msgspec.json.decode(file.read_bytes(), type=Ports)
    for port in msgspec.structs.astuple(ports):
        _check_free("127.0.0.1", port)
    return ports


def _free(usual: int) -> int:
    for port in (usual, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as server:
                return int(server.getsockname()[1])
        except OSError:
            continue
    raise StartError("No port of this machine is free.")


def _check_free(host: str, port: int) -> None:
    """StartError if nobody can listen there now: said before anything starts, not by a process that dies again and again."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise StartError(
            f"Port {port} of {host} cannot be used: {os.strerror(error.errno or 0)}. Stop what uses it first."
        ) from error


def _answers(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
