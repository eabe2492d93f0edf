"""Postgres and Valkey as processes of our own: no system service, no account, no root set-up. For `up`, `demo` and tests.

with embedded.servers(Path("/tmp/throwaway"), fast=True) as servers:
    migrate(servers.database_url)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cleanmails.embedded.folder import OccupiedError, hold, tail
from cleanmails.embedded.postgres import Postgres
from cleanmails.embedded.valkey import Valkey
from cleanmails.settings import Servers
from cleanmails.supervisor import StartError, Supervisor

__all__ = ["OccupiedError", "StartError", "hold", "servers", "start"]


@contextmanager
def servers(folder: Path, *, fast: bool = False) -> Iterator[Servers]:
    """Both servers on a state folder, which is made if need be; call from the main thread. `fast` gives up durability, for what is thrown away.

    OccupiedError if they run on this folder already; StartError, with the last lines of the logs, if one does not come up.
    """
    with hold(folder), Supervisor() as supervisor:
        yield start(supervisor, folder, fast=fast)


def start(
    supervisor: Supervisor,
    folder: Path,
    *,
    fast: bool = False,
    database_url: str | None = None,
    redis_url: str | None = None,
) -> Servers:
    """Start both as one stage of a supervisor; one whose URL is given is used instead. The caller holds the folder."""
    started: list[Postgres | Valkey] = []
    if database_url is None:
        started.append(postgres := Postgres(folder.resolve() / "postgres", fast=fast))
        database_url = postgres.url
    if redis_url is None:
        started.append(valkey := Valkey(folder.resolve() / "valkey", fast=fast))
        redis_url = valkey.url
    for server in started:
        server.prepare()
    try:
        supervisor.start(
            *(server.process for server in started), ready=lambda: all(server.ready() for server in started)
        )
    except StartError as error:
        logs = "\n".join(tail(server.log) for server in started)
        raise StartError(f"{error} The last lines of the logs:\n{logs}") from error
    return Servers(database_url, redis_url)
