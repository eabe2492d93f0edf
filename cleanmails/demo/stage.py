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
from typing import Self

import httpx
import msgspec

from cleanmails import embedded
from cleanmails.api.owner import first_owner
from cleanmails.demo import certificates
from cleanmails.demo.catcher.store import KEPT
from cleanmails.demo.user import User, answers
from cleanmails.embedded.folder import hold
from cleanmails.errors import CleanmailsError
from cleanmails.ledger.db import Database
from cleanmails.ledger.migrate import migrate
from cleanmails.settings import Servers
from cleanmails.supervisor import Process, Supervisor

OWNER = "owner@agency.example"

WORKERS = ("plan", "render", "send", "upkeep", "webhooks", "inbox", "imports")


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Where the stage listens on 127.0.0.1: the product's web server, and the stand-in's mail server, mailboxes, pages and name server."""

    web: int
    smtp: int
    imap: int
    http: int
    dns: int

    @classmethod
    def free(cls) -> Self:
        """Ports that nobody has now. Should another program take one before it is used, the start says so."""
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
        web, smtp, imap, http, dns = (each.getsockname()[1] for each in sockets)
        for each in sockets:
            each.close()
        return cls(web=web, smtp=smtp, imap=imap, http=http, dns=dns)


class Stage:
    """The running whole. `play(story)` runs a story in a thread while the main thread keeps the processes alive; its result is returned."""

    def __init__(
        self, folder: Path, supervisor: Supervisor, servers: Servers, ports: Ports, *, environment: Mapping[str, str]
    ) -> None:
        self.folder, self.supervisor, self.servers, self.ports = folder, supervisor, servers, ports
        authority = certificates.make(folder / "certificates").authority
        self.environment = {
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "PORT": str(self.ports.web),
            "CLEANMAILS_ENV": "development",
            "CLEANMAILS_URL": f"http://127.0.0.1:{self.ports.web}",
            "CLEANMAILS_SECRET_KEY_FILE": str(_secret_key(folder / "secret.key")),
            "CLEANMAILS_DNS_SERVERS": f"127.0.0.1:{self.ports.dns}",
            "CLEANMAILS_CA_FILE": str(authority),
            "CLEANMAILS_STATE_DIR": str(folder / "state"),
            "CLEANMAILS_LOG": "json",
            # One user does in a minute here what many do in an hour.
            "CLEANMAILS_API_RATE": "1000000",
            **environment,
        }
        http = httpx.Client(base_url=f"http://127.0.0.1:{ports.web}", timeout=30)
        self.user = User(http, f"http://127.0.0.1:{ports.http}", ports.smtp, ports.imap)

    def start_catcher(self, *, kept: int = KEPT) -> None:
        """The stand-in for the world: mail server, DNS and their control page. `kept`: how many mails it keeps."""
        ports = self.ports
        names = ("smtp", "imap", "http", "dns")
        places = [f"--{name}-port={getattr(ports, name)}" for name in names] + [f"--kept={kept}"]
        process = self._process("catcher", "-m", "cleanmails.demo.catcher", f"--folder={self.folder}", *places)
        self.supervisor.start(process, ready=lambda: answers(self.user.catcher, "/api/mails"))

    def start_processes(
        self,
        workers: Sequence[str] = WORKERS,
        *,
        worker: Sequence[str] = ("cleanmails.cli", "worker"),
        schedulers: int = 1,
    ) -> None:
        """Web, scheduler and the workers. A group that stands twice in `workers` gets two processes; `worker` is the module that they run."""
        web = self._process("web", "-m", "cleanmails.cli", "web")
        self.supervisor.start(web, ready=lambda: answers(self.user.http, "/healthz"))
        names = [f"{group}.{workers[:place].count(group) + 1}" for place, group in enumerate(workers)]
        groups = [self._process(name, "-m", *worker, name.partition(".")[0]) for name in names]
        clocks = [self._process(f"scheduler.{n + 1}", "-m", "cleanmails.cli", "scheduler") for n in range(schedulers)]
        self.supervisor.start(*clocks, *groups, ready=lambda: True)

    def _process(self, name: str, *line: str) -> Process:
        return Process(
            name=name, argv=(sys.executable, *line), environment=self.environment, output=self.folder / f"{name}.log"
        )

    def sign_in(self) -> None:
        """Makes the owner and signs in as one."""
        with Database(self.servers.database_url, size=1, name="stage") as database:
            password = first_owner(database, OWNER)
        assert password is not None
        self.user.sign_in(OWNER, password)

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
        yield Stage(folder, supervisor, servers, Ports.free(), environment=environment or {})


def _secret_key(path: Path) -> Path:
    """The file of this folder's secret key, made at the first start."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path
