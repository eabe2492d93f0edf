"""cleanmails whole, on throwaway servers: what the demonstration, the benchmarks and the chaos test play on.

Everything is real: Postgres, Valkey, the processes of the Procfile under the supervisor, a mail server that counts. All of it on 127.0.0.1.
"""

import secrets
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from cleanmails import embedded
from cleanmails.api.owner import first_owner
from cleanmails.demo import certificates
from cleanmails.embedded.folder import hold
from cleanmails.errors import CleanmailsError
from cleanmails.ledger.db import Database
from cleanmails.ledger.migrate import migrate
from cleanmails.settings import Servers
from cleanmails.supervisor import Process, Supervisor

OWNER = "owner@agency.example"

WORKERS = ("plan", "render", "send", "upkeep")


class StageError(CleanmailsError):
    """Something on the stage did not answer as it should; the message has the answer."""

    code = "stage"


class Ports:
    """Free ports of this machine, found once. Between finding and use another program could take one; then the start says so."""

    def __init__(self) -> None:
        self.web, self.smtp, self.http, self.dns = _free_ports(4)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Stage:
    """The running whole. `play(story)` runs a story in a thread while the main thread keeps the processes alive; its result is returned."""

    def __init__(
        self, folder: Path, supervisor: Supervisor, servers: Servers, *, environment: Mapping[str, str]
    ) -> None:
        self.folder, self.supervisor, self.servers, self.ports = folder, supervisor, servers, Ports()
        authority = certificates.make(folder / "certificates").authority
        self.environment = {
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "PORT": str(self.ports.web),
            "CLEANMAILS_ENV": "development",
            "CLEANMAILS_URL": f"http://127.0.0.1:{self.ports.web}",
            "CLEANMAILS_SECRET_KEY": secrets.token_hex(32),
            "CLEANMAILS_DNS_SERVERS": f"127.0.0.1:{self.ports.dns}",
            "CLEANMAILS_CA_FILE": str(authority),
            "CLEANMAILS_STATE_DIR": str(folder / "state"),
            "CLEANMAILS_LOG": "json",
            **environment,
        }
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.ports.web}", timeout=30)
        self.catcher = httpx.Client(base_url=f"http://127.0.0.1:{self.ports.http}", timeout=30)

    def start_catcher(self) -> None:
        """The stand-in for the world: mail server, DNS and their control page."""
        ports = self.ports
        line = (
            "--folder",
            str(self.folder),
            "--smtp-port",
            str(ports.smtp),
            "--http-port",
            str(ports.http),
            "--dns-port",
            str(ports.dns),
        )
        process = self._process("catcher", "-m", "cleanmails.demo.catcher", *line)
        self.supervisor.start(process, ready=lambda: _answers(self.catcher, "/api/mails"))

    def start_processes(self, workers: Sequence[str] = WORKERS) -> None:
        """Web, scheduler and the workers. A group that stands twice in `workers` gets two processes."""
        web = self._process("web", "-m", "cleanmails.cli", "web")
        self.supervisor.start(web, ready=lambda: _answers(self.http, "/healthz"))
        names = [f"{group}.{workers[:place].count(group) + 1}" for place, group in enumerate(workers)]
        groups = [self._process(name, "-m", "cleanmails.cli", "worker", name.partition(".")[0]) for name in names]
        self.supervisor.start(
            self._process("scheduler", "-m", "cleanmails.cli", "scheduler"), *groups, ready=lambda: True
        )

    def _process(self, name: str, *line: str) -> Process:
        return Process(
            name=name, argv=(sys.executable, *line), environment=self.environment, output=self.folder / f"{name}.log"
        )

    def sign_in(self) -> None:
        """Makes the owner and signs in as one: the cookie stays with `http`."""
        with Database(self.servers.database_url, size=1, name="stage") as database:
            password = first_owner(database, OWNER)
        self.post("/v1/auth/login", {"email": OWNER, "password": password})

    def post(self, path: str, body: Any = None, **options: Any) -> Any:  # noqa: ANN401 - whatever JSON the API answers
        """The answer to a POST, decoded. StageError for anything but success."""
        return _told(
            self.http.post(path, json=body, **options) if body is not None else self.http.post(path, **options)
        )

    def get(self, path: str, **options: Any) -> Any:  # noqa: ANN401 - as above
        """The answer to a GET, decoded."""
        return _told(self.http.get(path, **options))

    def pages(self, path: str, **parameters: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
        """Every entry of a list, page by page."""
        after: dict[str, str] = {}
        while True:
            page = self.get(path, params={"limit": 200, **parameters, **after})
            yield from page["items"]
            if page["next"] is None:
                return
            after = {"after": page["next"]}

    def sending_domain(self, name: str) -> int:
        """A domain with its records published in the stand-in's DNS, verified."""
        domain = self.post("/v1/outreach/domains", {"name": name})
        for record in domain["records"]:
            _told(
                self.catcher.post(
                    "/api/zone", json={"name": record["name"], "kind": record["type"], "values": [record["value"]]}
                )
            )
        found = self.post(f"/v1/outreach/domains/{domain['id']}/verify")
        if found["status"] != "verified":
            raise StageError(f"The domain {name} was not verified: {found['findings']}")
        return int(domain["id"])

    def sender(self, address: str, name: str, **settings: Any) -> int:  # noqa: ANN401 - columns of a sender
        """A mailbox that hands its mail to the stand-in's server."""
        body = {
            "address": address,
            "name": name,
            "smtp_host": "localhost",
            "smtp_port": self.ports.smtp,
            "smtp_security": "starttls",
        }
        return int(
            self.post(
                "/v1/outreach/senders", body | {"smtp_username": address, "smtp_password": "demonstration"} | settings
            )["id"]
        )

    def play(self, story: Callable[[Self], int]) -> int:
        """Runs `story` in a thread beside the supervisor, then stops everything; returns what the story returned, or 1 if it failed."""
        result = [1]

        def tell() -> None:
            try:
                result[0] = story(self)
            except (CleanmailsError, httpx.HTTPError) as error:
                print(f"failed: {error}", file=sys.stderr)
            finally:
                self.supervisor.finish()

        teller = threading.Thread(target=tell, name="story")
        teller.start()
        self.supervisor.run()
        teller.join()
        return result[0]


@contextmanager
def stage(folder: Path, *, fast: bool = False, environment: Mapping[str, str] | None = None) -> Iterator[Stage]:
    """Servers on `folder`, migrated; the rest is started by the caller. From the main thread only."""
    with hold(folder), Supervisor() as supervisor:
        servers = embedded.start(supervisor, folder, fast=fast)
        migrate(servers.database_url)
        yield Stage(folder, supervisor, servers, environment=environment or {})


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).is_success
    except httpx.TransportError:
        return False


def _told(response: httpx.Response) -> Any:  # noqa: ANN401 - as above
    if not response.is_success:
        raise StageError(
            f"{response.request.method} {response.request.url.path} answered {response.status_code}: {response.text[:1000]}"
        )
    return response.json() if response.content else None
