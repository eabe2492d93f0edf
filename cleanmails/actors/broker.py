"""The queues in Redis. What stands in them are hints that may be lost, doubled or shuffled: the ledger knows what there is to do.

| queue | message | who takes it |
|---|---|---|
| `plan` | `tick()`, `plan()` | the `plan` workers |
| `render` | `render(ids)` | the `render` workers |
| `ask` | `ask(ids)`: what their AI tags ask is put to a model | the `upkeep` workers |
| `send` | `send(sender_id)`: it has mails that are ready | the `send` workers |
| `upkeep` | `upkeep()` | the `upkeep` workers |
| `resolve` | `resolve(names)` | the `upkeep` workers |
"""

from collections.abc import Iterable, Sequence

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AgeLimit, Middleware, ShutdownNotifications
from redis.exceptions import RedisError

from cleanmails import log

logger = log.get(__name__)

CHUNK = 100
"""Deliveries a message: enough to spread the cost of a message (some 280 us), few enough that a chunk is done in seconds."""

ASKED = 5
"""Deliveries a message whose questions wait for a model: each may take its whole timeout."""

# A minute-old tick has nothing to say any more: newer ones have taken its place.
TICK_AGE_MS = 30_000


def make_broker(redis_url: str, *, middleware: Iterable[Middleware] = ()) -> RedisBroker:
    """A broker without dramatiq's retries, time limits and metrics server: the ledger retries, and a mail is not interrupted in the middle.

    A dead worker's messages come back after 15 s instead of 60; until then, and if they never do, the sweep finds their work in the ledger.
    """
    return RedisBroker(  # type: ignore[no-untyped-call]
        url=redis_url,
        middleware=[AgeLimit(), ShutdownNotifications(), *middleware],
        heartbeat_timeout=15_000,
        maintenance_chance=100_000,
    )


class Queues:
    """Puts messages into the queues. An unreachable Redis is logged and no error: the sweep enqueues again what the ledger knows."""

    def __init__(self, broker: dramatiq.Broker) -> None:
        self._broker = broker
        for queue in ("plan", "render", "ask", "send", "upkeep", "resolve"):
            broker.declare_queue(queue)

    def plan(self, *, delay_ms: int | None = None) -> None:
        """Wakes the planner, now or in some seconds."""
        self._put("plan", "plan", delay_ms=delay_ms)

    def render(self, ids: Sequence[int]) -> None:
        """Planned deliveries, to be rendered."""
        for start in range(0, len(ids), CHUNK):
            self._put("render", "render", list(ids[start : start + CHUNK]))

    def ask(self, ids: Sequence[int], *, delay_ms: int | None = None) -> None:
        """Planned deliveries whose questions a model has to answer first."""
        for start in range(0, len(ids), ASKED):
            self._put("ask", "ask", list(ids[start : start + ASKED]), delay_ms=delay_ms)

    def send(self, sender_ids: Iterable[int], *, delay_ms: int | None = None) -> None:
        """Senders with mails that are ready."""
        for sender_id in sorted(set(sender_ids)):
            self._put("send", "send", sender_id, delay_ms=delay_ms)

    def resolve(self, names: Sequence[str]) -> None:
        """Domains whose provider nobody knows yet."""
        for start in range(0, len(names), CHUNK):
            self._put("resolve", "resolve", list(names[start : start + CHUNK]))

    def upkeep(self) -> None:
        """Wakes the daily and hourly duties."""
        self._put("upkeep", "upkeep")

    def _put(self, queue: str, actor: str, *args: object, delay_ms: int | None = None) -> None:
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=queue, actor_name=actor, args=args, kwargs={}, options={}
        )
        try:
            self._broker.enqueue(message, delay=delay_ms)
        except (RedisError, dramatiq.errors.BrokerError) as error:
            logger.warning("queue.unreachable", queue=queue, reason=str(error))
