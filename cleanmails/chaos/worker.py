"""A worker process that can be told to die: `python -m cleanmails.chaos.worker GROUP`.

The process itself only keeps a child that is the worker (`actors/main.py`, the same as `cleanmails worker`), and makes a new one as soon as it dies: by a
fork, so that five hundred deaths cost no five hundred starts. This is the one place that knows of the orders to die, from CLEANMAILS_CHAOS.
"""

import ctypes
import importlib
import os
import random
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from dramatiq import Broker, Message
from dramatiq.common import q_name
from dramatiq.middleware import Middleware

from cleanmails import log, settings
from cleanmails.actors import main as actors
from cleanmails.chaos.points import Passage

_PR_SET_PDEATHSIG = 1


class Twice(Middleware):
    """Every message is enqueued a second time, some moments later: so it comes twice, and among others."""

    def after_enqueue(self, broker: Broker, message: "Message[None]", delay: int | None) -> None:  # noqa: ARG002 - dramatiq's hook
        """Dramatiq's hook."""
        if "again" not in message.options:
            copy = message.copy(queue_name=q_name(message.queue_name), options={"again": True})
            broker.enqueue(copy, delay=random.randrange(1, 2_000))  # noqa: S311 - no secret


class Keeper:
    """Keeps one child alive until it is told to stop."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._child = 0
        self._stopping = False

    def keep(self) -> None:
        """Makes the worker, and makes it again each time it was killed; returns once it has ended by itself."""
        signal.signal(signal.SIGTERM, self._pass_on)
        while True:
            self._child = os.fork()
            if self._child == 0:
                _work(self._group)
                os._exit(0)
            if self._stopping:
                os.kill(self._child, signal.SIGTERM)
            _, status = os.waitpid(self._child, 0)
            if self._stopping or not os.WIFSIGNALED(status):
                return

    def _pass_on(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        if self._child:
            os.kill(self._child, signal.SIGTERM)


def _work(group: str) -> None:
    """The worker. It dies with its keeper, whatever ends that."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    configured = settings.load(os.environ)
    log.configure(configured.log_format)
    actors.run(configured, group, stop, Passage(Path(os.environ["CLEANMAILS_CHAOS"])), (Twice(),))


def main() -> None:
    """Loads everything once, for all children."""
    for name in ("declare", "sweep", "broker"):
        importlib.import_module(f"cleanmails.actors.{name}")
    Keeper(sys.argv[1]).keep()


if __name__ == "__main__":
    main()
