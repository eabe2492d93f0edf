"""A circuit breaker that all workers share: after some failures in a row nobody asks for a while, then one more failure is enough.

| key | what |
|---|---|
| `cm:failures:NAME` | failures in a row; forgotten after a day |
| `cm:open:NAME` | is there while nobody may ask |
"""

from typing import Final

from redis import Redis

from cleanmails.limits.connect import answering

FAILURES: Final = 5
PAUSE_SECONDS: Final = 60
_DAY: Final = 86_400


class Breaker:
    """Every call raises BusyError without Redis."""

    def __init__(self, redis: Redis, *, failures: int = FAILURES, pause: int = PAUSE_SECONDS) -> None:
        self._redis = redis
        self._failures = failures
        self._pause = pause

    def closed(self, name: str) -> bool:
        """Whether `name` may be asked."""
        with answering():
            return not self._redis.exists(f"cm:open:{name}")

    def failed(self, name: str) -> None:
        """Counts a failure."""
        with answering():
            count = self._redis.incr(f"cm:failures:{name}")
            self._redis.expire(f"cm:failures:{name}", _DAY)
            if int(str(count)) >= self._failures:
                self._redis.set(f"cm:open:{name}", 1, ex=self._pause)

    def worked(self, name: str) -> None:
        """Forgets the failures."""
        with answering():
            self._redis.delete(f"cm:failures:{name}", f"cm:open:{name}")
