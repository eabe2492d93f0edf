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


def start(supervisor: Supervisor, folder: Path, *, fast: bool = False) -> Servers:
    """Start both as one stage of a supervisor. The caller holds the folder."""
    postgres = Postgres(folder.resolve() / "postgres", fast=fast)
    valkey = Valkey(folder.resolve() / "valkey", fast=fast)
    postgres.prepare()
    valkey.prepare()
    try:
        supervisor.start(postgres.process, valkey.process, ready=lambda: postgres.ready() and valkey.ready())
    except StartError as error:
        logs = "\n".join(tail(log) for log in (postgres.log, valkey.log))
        raise StartError(f"{error} The last lines of the logs:\n{logs}") from error
    return Servers(postgres.url, valkey.url)
