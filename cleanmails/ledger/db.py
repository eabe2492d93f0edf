"""Connections: a pool, transactions, and the one place that turns the driver's errors into ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from cleanmails.errors import BusyError

Connection = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]

# A transaction that is left open would hold back every vacuum of the ledger, and a statement that hangs would hold its thread.
# A ledger that takes no writes (a standby that took over, a disk that ran full) is down for us: it is waited for like one that does not answer.
_DOWN = (PoolTimeout, psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)

_OPTIONS = "-c idle_in_transaction_session_timeout=30s -c lock_timeout=10s -c timezone=UTC"


class Database:
    """A pool of connections to the ledger. `with database.transaction() as db:` commits at its end, or rolls back with the error."""

    def __init__(
        self, url: str, *, size: int = 4, name: str = "cleanmails", wait: float = 10.0, checked: bool = True
    ) -> None:
        """`size` connections at most; `wait` is how many seconds a caller waits for a free one before BusyError.

        `checked` asks a connection whether it still stands before it is given out: a round trip that saves a person an error after a restart
        of Postgres. Workers try again by themselves and go without.
        """
        self.url = url
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=1,
            max_size=size,
            timeout=wait,
            max_idle=60,
            kwargs={"row_factory": dict_row, "options": _OPTIONS, "application_name": name, "autocommit": True},
            check=ConnectionPool.check_connection if checked else None,
            open=True,
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction on a pooled connection. BusyError (`ledger_down`) when the ledger does not answer."""
        try:
            with self._pool.connection() as db, db.transaction():
                yield db
        except _DOWN as error:
            raise BusyError(
                "The ledger (Postgres) does not answer; nothing was changed. It is tried again by itself.",
                code="ledger_down",
            ) from error

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A pooled connection in autocommit, for callers that send BEGIN and COMMIT themselves in one pipeline."""
        try:
            with self._pool.connection() as db:
                yield db
        except _DOWN as error:
            raise BusyError(
                "The ledger (Postgres) does not answer; nothing was changed. It is tried again by itself.",
                code="ledger_down",
            ) from error

    def close(self) -> None:
        """Closes every connection; the database must not be used afterwards."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
