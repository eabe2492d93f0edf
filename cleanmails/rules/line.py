"""A line of walks in the order in which they fall due: the forecast's stand-in for the ledger's index on `due_at`."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from heapq import heappop, heappush

from cleanmails.records import WalkView


class Line:
    """Walks in the order in which they fall due. Nearly all of them arrive in that order; the few that do not wait beside the line."""

    def __init__(self) -> None:
        self.line: deque[WalkView] = deque()
        self.beside: list[tuple[datetime, int, WalkView]] = []

    def push(self, walk: WalkView) -> None:
        """Put a walk where its `due_at` belongs."""
        if not self.line or due(walk) >= due(self.line[-1]):
            self.line.append(walk)
        else:
            heappush(self.beside, (due(walk), walk.lead_id, walk))

    def head(self) -> WalkView | None:
        """Who is due first."""
        if self.beside and (not self.line or self.beside[0][0] < due(self.line[0])):
            return self.beside[0][2]
        return self.line[0] if self.line else None

    def take(self, now: datetime) -> WalkView | None:
        """Take who is due first out of the line, if anybody is due."""
        line, beside = self.line, self.beside
        if beside and (not line or beside[0][0] < due(line[0])):
            return heappop(beside)[2] if beside[0][0] <= now else None
        return line.popleft() if line and due(line[0]) <= now else None

    def put_back(self, walk: WalkView) -> None:
        """Put a walk that was taken, and is still due, at the front."""
        self.line.appendleft(walk)

    def __iter__(self) -> Iterator[WalkView]:
        yield from self.line
        yield from (walk for _, _, walk in self.beside)


def due(walk: WalkView) -> datetime:
    """When a walk in a line is due."""
    assert walk.due_at is not None
    return walk.due_at
