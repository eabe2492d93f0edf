"""Connections: a pool, transactions, and the one place that turns the driver's errors into ours."""

from collections.abc import Iterator, Mapping
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
        self,
        url: str,
        *,
        size: int = 4,
        name: str = "cleanmails",
        wait: float = 10.0,
        checked: bool = True,
        planned_once: bool = False,
    ) -> None:
        """`size` connections at most; `wait` is how many seconds a caller waits for a free one before BusyError.

        `checked` asks a connection whether it still stands before it is given out: a round trip that saves a person an error after a restart
        of Postgres. Workers try again by themselves and go without. `planned_once`: the few statements of a worker are planned once for any
        values, not anew each time; planning takes as long as they do.
        """
        self.url = url
        self._arguments = _arguments(name, planned_once=planned_once)
        self._owned: list[Own] = []
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=1,
            max_size=size,
            timeout=wait,
            max_idle=60,
            kwargs=self._arguments,
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
            raise _down() from error

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """A connection apart from the pool, in autocommit, for work that keeps something on it over many transactions. BusyError (`ledger_down`)."""
        try:
            with psycopg.Connection[Row].connect(self.url, **self._arguments) as db:
                yield db
        except _DOWN as error:
            raise _down() from error

    def own(self) -> "Own":
        """A connection apart from the pool, for short statements of one thread at a time."""
        self._owned.append(Own(self.url, self._arguments))
        return self._owned[-1]

    def close(self) -> None:
        """Closes every connection; the database must not be used afterwards."""
        for own in self._owned:
            own.close()
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Own:
    """A connection that is kept, in autocommit, for one thread at a time: for a statement of its own, a pool's give and take costs more than the statement.

    It connects when it is first used, and anew after an error.
    """

    def __init__(self, url: str, arguments: dict[str, Any]) -> None:
        self._url = url
        self._arguments = arguments
        self._db: Connection | None = None

    def all(self, statement: bytes, values: Mapping[str, Any]) -> list[Row]:
        """The rows. BusyError (`ledger_down`) when the ledger does not answer: whether the statement was carried out, nobody knows."""
        try:
            if self._db is None:
                self._db = psycopg.Connection[Row].connect(self._url, **self._arguments)
            return self._db.execute(statement, values).fetchall()
        except _DOWN as error:
            self.close()
            raise _down() from error

    def close(self) -> None:
        """Closes the connection, if there is one."""
        db, self._db = self._db, None
        if db is not None:
            db.close()


def _arguments(name: str, *, planned_once: bool) -> dict[str, Any]:
    """What every connection is made with."""
    common: dict[str, Any] = {"row_factory": dict_row, "application_name": name, "autocommit": True}
    if planned_once:
        return common | {"options": f"{_OPTIONS} -c plan_cache_mode=force_generic_plan", "prepare_threshold": 0}
    return common | {"options": _OPTIONS}


def _down() -> BusyError:
    return BusyError(
        "The ledger (Postgres) does not answer; nothing was changed. It is tried again by itself.", code="ledger_down"
    )
