"""The named points of a mail's way: where a worker can be told to die, and the trace that says afterwards how far each mail had come.

Everything is a file in one folder, so that it outlives every process that writes it:

| file | what it says |
|---|---|
| `orders` | a byte for each point: whether somebody is to die there (shared memory, looked at on every passing) |
| `die-POINT` | the order itself; whoever renames it has taken it |
| `died-POINT-PID-NANOSECONDS` | who took it, and when |
| `PID-NANOSECONDS.trace` | a line `NANOSECONDS POINT DELIVERY` for each passing of a process |

Times are of the machine's monotonic clock, which all processes share.
"""

import mmap
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

POINTS: Final = (
    "after_claim",
    "after_render",
    "before_data",
    "after_354",
    "after_dot",
    "after_answer",
    "before_commit",
    "after_commit",
)
"""Where a worker may be told to die. `before_dot` is passed as well, and only traced: the mark is committed, the dot not yet written."""


class Passing(msgspec.Struct, frozen=True):
    """A process has led a delivery past a point. `died`: it was killed there by order."""

    at: int
    point: str
    delivery_id: int
    died: bool = False


class Passage:
    """A worker's side: told each point, it writes the trace, and dies if that is the order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._trace = os.open(
            folder / f"{os.getpid()}-{time.monotonic_ns()}.trace", os.O_WRONLY | os.O_APPEND | os.O_CREAT
        )
        with (folder / "orders").open("rb") as file:
            self._orders = mmap.mmap(file.fileno(), len(POINTS), access=mmap.ACCESS_READ)

    def __call__(self, point: str, ids: Sequence[int]) -> None:
        """These deliveries pass a point. Does not return if this process takes an order to die here."""
        if not ids:
            return
        self._write(point, ids)
        if point in POINTS and self._orders[POINTS.index(point)] and self._taken(point):
            self._write(f"{point}!", ids)
            os.kill(os.getpid(), signal.SIGKILL)

    def _write(self, point: str, ids: Sequence[int]) -> None:
        now = time.monotonic_ns()
        os.write(self._trace, "".join(f"{now} {point} {id}\n" for id in ids).encode())

    def _taken(self, point: str) -> bool:
        try:
            os.rename(self._folder / f"die-{point}", self._folder / f"died-{point}-{os.getpid()}-{time.monotonic_ns()}")  # noqa: PTH104 - one system call decides
        except FileNotFoundError:
            return False
        return True


class Death(msgspec.Struct, frozen=True):
    """Who died by order, where and when."""

    point: str
    pid: int
    at: int


class Orders:
    """The other side: gives orders to die, and finds out who took them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        (folder / "orders").write_bytes(bytes(len(POINTS)))
        with (folder / "orders").open("r+b") as file:
            self._orders = mmap.mmap(file.fileno(), len(POINTS))

    def give(self, point: str) -> None:
        """The next process that passes the point dies there."""
        (self._folder / f"die-{point}").touch()
        self._orders[POINTS.index(point)] = 1

    def death(self, point: str) -> Death | None:
        """Who has taken the order for this point, if anybody has; told once."""
        for path in self._folder.glob(f"died-{point}-*"):
            self._orders[POINTS.index(point)] = 0
            pid, at = path.name.removeprefix(f"died-{point}-").split("-")
            path.unlink()
            return Death(point, int(pid), int(at))
        return None

    def withdraw(self, point: str) -> Death | None:
        """Takes the order back; who has taken it at the last moment, if anybody has."""
        self._orders[POINTS.index(point)] = 0
        try:
            (self._folder / f"die-{point}").unlink()
        except FileNotFoundError:
            return self.death(point)
        return None


def passings(folder: Path) -> list[Passing]:
    """All that was traced, in order of time. A line that was cut off by a death is no passing."""
    return sorted(
        (passing for path in folder.glob("*.trace") for passing in _read(path)), key=lambda passing: passing.at
    )


def _read(path: Path) -> Iterator[Passing]:
    for line in path.read_text().split("\n")[:-1]:
        at, point, delivery_id = line.split(" ")
        yield Passing(int(at), point.rstrip("!"), int(delivery_id), point.endswith("!"))
