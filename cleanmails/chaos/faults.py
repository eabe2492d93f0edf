"""Breaks things: each fault of the plan, done to the running whole."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import httpx

from cleanmails.chaos import plan
from cleanmails.chaos.plan import ANYWHERE, Fault
from cleanmails.chaos.points import Death, Orders
from cleanmails.chaos.watch import Watch
from cleanmails.demo.stage import Stage
from cleanmails.errors import BusyError
from cleanmails.limits.connect import answering, connect

KILL = "kill"

ORDER_SECONDS = 4.0
"""So long an order to die waits for somebody to pass its point; then a worker is killed wherever it is."""


class Breaker:
    """Breaks what it is told to. `done` counts the faults by kind."""

    def __init__(self, on: Stage, watch: Watch, orders: Orders, *, seed: int, lease: float) -> None:
        self._on, self._watch, self._orders, self._lease, self._seed = on, watch, orders, lease, seed
        self._dice = random.Random(seed)  # noqa: S311 - no secret
        self.done: Counter[str] = Counter()
        self._thaws: list[threading.Timer] = []
        self._frozen: set[int] = set()
        self._crashes = 0

    def inflict(self, fault: Fault, halted: Callable[[], bool]) -> None:
        """One fault; returns when it has fallen."""
        match fault.kind:
            case "kill":
                self._kill(fault.point, halted)
            case "freeze":
                self._freeze()
            case "flush":
                self._flush()
            case "inbox":
                self._deafen()
            case server:
                self._crash(server)

    def misbehave(self) -> None:
        """Lets the mail server be difficult, by the seed."""
        self._tell(plan.rules(self._seed + self._crashes))

    def relent(self) -> None:
        """The faults end: nobody is frozen, no order stands, the mail server is good and has forgotten whom it let wait."""
        for timer in self._thaws:
            timer.cancel()
        for pid in list(self._frozen):
            self._thaw(pid)
        self._crash("mail server")
        self._tell({"rules": []})

    def _tell(self, behaviours: dict[str, object]) -> None:
        """The door may be shut for a moment, because its server was just killed."""
        while not self._on.supervisor.wait(0.0):
            with suppress(httpx.TransportError):
                self._on.user.catcher.post("/api/behaviours", json=behaviours).raise_for_status()
                return
            time.sleep(0.05)

    def _kill(self, point: str, halted: Callable[[], bool]) -> None:
        death = None if point == ANYWHERE else self._order(point, halted)
        if death is None:
            death = self._strike()
        kind = f"{KILL} {death.point}"
        self.done[kind] += 1
        self._watch.struck(kind, pid=death.pid)

    def _strike(self) -> Death:
        """SIGKILL to one of the workers, whatever it does."""
        while not (moving := [pid for pid in self.workers() if pid not in self._frozen]):
            time.sleep(0.01)
        pid = self._dice.choice(moving)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return Death(ANYWHERE, pid, time.monotonic_ns())

    def _order(self, point: str, halted: Callable[[], bool]) -> Death | None:
        """Somebody is to die at the point. None: nobody came by."""
        self._orders.give(point)
        deadline = time.monotonic() + ORDER_SECONDS
        while time.monotonic() < deadline and not halted():
            if death := self._orders.death(point):
                return death
            time.sleep(0.01)
        return self._orders.withdraw(point)

    def _freeze(self) -> None:
        """A worker stands still: every second time for so long that it is taken for dead."""
        moving = [pid for pid in self.workers() if pid not in self._frozen]
        seconds = self._lease + 4 if self.done["freeze"] % 2 == 0 else 1.0
        if not moving:
            return
        pid = self._dice.choice(moving)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._frozen.add(pid)
            if seconds > self._lease:
                self._watch.struck("freeze", pid=pid)
            timer = threading.Timer(seconds, self._thaw, (pid,))
            timer.daemon = True
            timer.start()
            self._thaws.append(timer)
        self.done["freeze"] += 1

    def _thaw(self, pid: int) -> None:
        self._frozen.discard(pid)
        self._watch.alive(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def _flush(self) -> None:
        """FLUSHALL; a Valkey that is just coming up again is waited for."""
        while not self._on.supervisor.wait(0.0):
            with suppress(BusyError), answering(), connect(self._on.servers.redis_url) as redis:
                redis.flushall()
                self.done["flush"] += 1
                self._watch.struck("flush")
                return
            time.sleep(0.05)

    def _deafen(self) -> None:
        """SIGKILL to whoever reads the mailboxes, whatever it is about to settle."""
        for pid in self.workers({"inbox"}):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.done["inbox"] += 1

    def _crash(self, server: str) -> None:
        """Without a word. To Postgres SIGQUIT is its immediate shutdown; the supervisor starts it again."""
        name, number = {
            "postgres": ("postgres", signal.SIGQUIT),
            "valkey": ("valkey", signal.SIGKILL),
            "mail server": ("catcher", signal.SIGKILL),
        }[server]
        pid = dict(self._on.supervisor.pids())[name]
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        self.done[server] += 1
        if server in {"valkey", "postgres"}:
            self._watch.struck(server)
        if server == "mail server":
            self._crashes += 1
            self._await_end(pid)
            self.misbehave()

    def _await_end(self, pid: int) -> None:
        """Until the supervisor has noticed, so that nobody talks to the one that is gone."""
        while dict(self._on.supervisor.pids())["catcher"] == pid and not self._on.supervisor.wait(0.02):
            pass

    def workers(self, groups: Collection[str] = ("plan", "render", "send", "inbox")) -> list[int]:
        """The worker processes themselves: the children of their keepers."""
        keepers = [pid for name, pid in self._on.supervisor.pids() if name.partition(".")[0] in groups]
        return [child for keeper in keepers for child in _children(keeper)]


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
