"""Which message calls which body. The only file that knows both dramatiq's actors and what they do."""

import threading
from collections.abc import Callable, Sequence

import dramatiq

from cleanmails import log
from cleanmails.actors import ask, plan, render, resolve, send, upkeep
from cleanmails.actors.broker import TICK_AGE_MS
from cleanmails.actors.work import Work
from cleanmails.errors import BusyError

logger = log.get(__name__)


def declare(broker: dramatiq.Broker, work: Work, queues: Sequence[str]) -> Callable[[], None]:
    """Declares the actors of these queues on the broker. Returns what closes the connections that its threads keep, once they have stopped."""
    hands, turns = Hands(work), send.Turns()
    bodies: list[tuple[str, str, Callable[..., object], int | None]] = [
        ("plan", "tick", lambda: plan.tick(work), TICK_AGE_MS),
        ("plan", "plan", lambda: plan.plan(work), None),
        ("render", "render", lambda ids: render.render(work, ids), None),
        ("ask", "ask", lambda ids: ask.ask(work, ids), None),
        ("send", "send", lambda sender_id: send.send(work, hands.mine(), turns, sender_id), None),
        ("upkeep", "upkeep", lambda: upkeep.upkeep(work), TICK_AGE_MS),
        ("resolve", "resolve", lambda names: resolve.resolve(work, names), None),
    ]
    for queue, name, body, max_age in bodies:
        if queue in queues:
            broker.declare_actor(
                dramatiq.Actor(
                    _guarded(name, body),
                    broker=broker,
                    queue_name=queue,
                    actor_name=name,
                    priority=0,
                    options={} if max_age is None else {"max_age": max_age},
                )
            )
    return hands.close


def _guarded(name: str, body: Callable[..., object]) -> Callable[..., None]:
    """A message whose body fails is not tried again: what it asked for is found again in the ledger. Why it failed is said once."""

    def act(*args: object) -> None:
        try:
            body(*args)
        except BusyError as error:
            logger.warning("message.left", actor=name, reason=error.message)
        except Exception:
            logger.exception("message.failed", actor=name, args=args)

    return act


class Hands:
    """The hands of a process' send threads, one each, made when a thread sends for the first time."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._own = threading.local()
        self._all: list[send.Hand] = []

    def mine(self) -> send.Hand:
        """The calling thread's."""
        if not hasattr(self._own, "hand"):
            self._own.hand = send.Hand(self._work)
            self._all.append(self._own.hand)
        hand: send.Hand = self._own.hand
        return hand

    def close(self) -> None:
        """Takes leave of all servers; the threads must have stopped."""
        for hand in self._all:
            hand.close()
