"""Keeps processes alive and ends them in good order: what `up` is made of.

Each child has its own session, so that Ctrl-C in the terminal reaches the supervisor alone, and is tied to it (`launcher.py`),
so that not even SIGKILL leaves one behind.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, Self

import msgspec

from cleanmails import launcher, log
from cleanmails.errors import CleanmailsError

_FIRST_DELAY: Final = 0.1
_LAST_DELAY: Final = 5.0
_SETTLED: Final = 30.0
"""Seconds. What dies is started again after the first delay, then after twice as long each time, up to the last; what lived so long begins anew."""

_LOOK: Final = 0.1
"""Seconds between two looks at the children: ten of them cost less than a thousandth of a core, and no signal handler has to reap."""

_GLANCE: Final = 0.01
"""The same while something starts or ends, and somebody waits for it."""

_logger = log.get(__name__)


class StartError(CleanmailsError):
    """A process did not come up."""

    code = "start"


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A program to keep alive. `environment` is added to ours; `stop` asks it to end, and is what it gets if the supervisor itself dies.

    `identity`, `lock` and `stale` are those of `launcher.command`; `output` takes stdout and stderr, which else are ours.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = {}
    stop: signal.Signals = signal.SIGTERM
    identity: launcher.Identity = launcher.Identity.SELF
    lock: Path | None = None
    stale: Path | None = None
    output: Path | None = None


class Supervisor:
    """Starts processes in stages, restarts what dies, and stops the stages in reverse. Use it as a context, from the main thread."""

    def __init__(self, *, patience: float = 30.0) -> None:
        self._patience = patience
        self._stages: list[list[_Child]] = []
        self._asked = threading.Event()
        self._hurry = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *processes: Process, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Start a stage and wait until it is `ready`. StartError if that takes too long, or if one of it dies before."""
        stage: list[_Child] = []
        self._stages.append(stage)
        stage.extend(_Child(process) for process in processes)
        deadline = time.monotonic() + seconds
        while not ready():
            for child in stage:
                if child.popen.poll() is not None:
                    raise StartError(f"{child.name} ended while it started ({_how(child.popen.returncode)}).")
            if time.monotonic() > deadline:
                raise StartError(
                    f"{' and '.join(child.name for child in stage)} did not come up in {seconds:g} seconds."
                )
            time.sleep(_GLANCE)

    def run(self) -> None:
        """Restart what dies until SIGINT, SIGTERM or SIGHUP; then stop everything. A second signal ends the patience."""
        with self._listening():
            _logger.info("supervisor.running", processes=len(self.pids()))
            while not self._asked.wait(_LOOK):
                for child in self._children():
                    child.tend(time.monotonic())
            _logger.info("supervisor.stopping", patience=self._patience)
            self.stop()

    def finish(self) -> None:
        """Let `run` stop everything and return, as a signal does; from any thread."""
        self._asked.set()

    def wait(self, seconds: float) -> bool:
        """Wait for so long, or until `run` was told to stop; whether it was. For a thread that works beside it."""
        return self._asked.wait(seconds)

    def pids(self) -> list[tuple[str, int]]:
        """Every process by its name, as it runs now."""
        return [(child.name, child.popen.pid) for child in self._children()]

    def stop(self) -> None:
        """Ask each stage to end, the last first, and wait for it to drain; SIGKILL what outlasts the patience, and say so."""
        while self._stages:
            stage = self._stages[-1]
            for child in stage:
                child.ask_to_end()
            deadline = time.monotonic() + self._patience
            while any(child.alive for child in stage) and time.monotonic() < deadline and not self._hurry:
                time.sleep(_GLANCE)
            for child in stage:
                child.end()
            self._stages.pop()

    def _children(self) -> Iterator["_Child"]:
        for stage in self._stages:
            yield from stage

    @contextmanager
    def _listening(self) -> Iterator[None]:
        signals = [
            number
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) != signal.SIG_IGN
        ]
        before = {number: signal.signal(number, self._hear) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._hurry = self._asked.is_set()
        self._asked.set()


class _Child:
    """One process as it runs, or as it waits to be started again."""

    def __init__(self, process: Process) -> None:
        self.name = process.name
        self._process = process
        self._delay = _FIRST_DELAY
        self._due: float | None = None
        self._start("process.started")

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def tend(self, now: float) -> None:
        """Notice a death, and start again when it is time. `now` is monotonic."""
        if self._due is not None:
            if now >= self._due:
                self._due = None
                self._start("process.restarted")
        elif not self.alive:
            lived = now - self._started
            self._delay = _FIRST_DELAY if lived >= _SETTLED else self._delay
            _logger.warning(
                "process.died",
                process=self.name,
                how=_how(self.popen.returncode),
                lived=round(lived, 1),
                again_in=self._delay,
            )
            self._due = now + self._delay
            self._delay = min(self._delay * 2, _LAST_DELAY)

    def ask_to_end(self) -> None:
        if self.alive:
            self.popen.send_signal(self._process.stop)

    def end(self) -> None:
        """Make sure that it is gone, with all that it started."""
        if self.alive:
            _logger.error("process.killed", process=self.name, reason="It did not end when it was asked to.")
            os.killpg(self.popen.pid, signal.SIGKILL)
        _logger.info("process.stopped", process=self.name, how=_how(self.popen.wait()))

    def _start(self, event: str) -> None:
        process = self._process
        line = launcher.command(
            process.argv, ends_with=process.stop, identity=process.identity, lock=process.lock, stale=process.stale
        )
        environment = {**os.environ, **process.environment}
        output = process.output.open("ab") if process.output else None
        try:
            self.popen = subprocess.Popen(
                line, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        finally:
            if output:
                output.close()
        self._started = time.monotonic()
        _logger.info(event, process=self.name, pid=self.popen.pid)


def _how(code: int) -> str:
    """An exit code in words: `code 1`, or the name of the signal."""
    return signal.Signals(-code).name if code < 0 else f"code {code}"
