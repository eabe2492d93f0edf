"""The one place that reaches Redis: the client, the Lua files, and what becomes of Redis' errors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from cleanmails.errors import BusyError, SettingsError


def connect(url: str) -> Redis:
    """A client for `unix://`, `redis://` or `rediss://`, to be shared by the threads of a process. It connects when it is first used.

    No command is repeated by itself: of one whose answer was lost nobody knows whether it counted. RESP2, because nobody here reads the
    messages that a server pushes in RESP3. SettingsError: the URL cannot be read.
    """
    try:
        return Redis.from_url(
            url,
            protocol=2,
            socket_connect_timeout=2,
            socket_timeout=2,
            health_check_interval=15,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise SettingsError(f"REDIS_URL cannot be read: {error}.") from error


@contextmanager
def answering() -> Iterator[None]:
    """Turn every error of Redis into BusyError, whose cause tells the log more. The command may have been carried out all the same."""
    try:
        yield
    except RedisError as error:
        raise BusyError("Redis does not answer now; try again shortly.", code="redis_unavailable") from error


class Script:
    """A Lua file of this room. The server is given its text whenever it does not know it: at first, after a restart, after SCRIPT FLUSH."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._text = files(__package__).joinpath(name).read_text(encoding="utf-8")
        self._sha = sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:  # noqa: ANN401  # whatever the script returns
        """Run it; BusyError while Redis does not answer."""
        with answering():
            try:
                return self._redis.evalsha(self._sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return self._redis.eval(self._text, len(keys), *keys, *arguments)
