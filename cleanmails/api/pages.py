"""Lists in pages by cursor, for all nouns alike: `?limit=50&after=CURSOR` answers `{"items": [...], "next": CURSOR or null}`.

A cursor is the key of the last row that was seen, so that rows which come or go meanwhile neither repeat nor hide others. What is in it is nobody's business.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

from cleanmails.errors import Fault, InvalidError

T = TypeVar("T")

MOST: Final = 200
_LARGEST: Final = 2**63 - 1


class Window(msgspec.Struct, frozen=True):
    """Which part of a list is asked for: `limit` rows after the row with the id `after` (None: from the start)."""

    limit: int
    after: int | None

    @property
    def fetch(self) -> int:
        """How many rows to read: one more than is shown, which tells whether there is a next page."""
        return self.limit + 1


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list. `next` is the cursor of what follows, or null at the end."""

    items: list[T]
    next: str | None


def window(
    limit: Annotated[int, QueryParameter(ge=1, le=MOST, description="How many entries at most.")] = 50,
    after: Annotated[str | None, QueryParameter(description="`next` of the page before.")] = None,
) -> Window:
    """The window that a request asks for. InvalidError for a cursor that no page gave out."""
    return Window(limit, None if after is None else _opened(after))


def page(
    rows: Sequence[dict[str, Any]], asked: Window, item: Callable[[dict[str, Any]], T], key: str = "id"
) -> Page[T]:
    """A page out of up to `asked.fetch` rows, each of which has its cursor's key (a whole number) in column `key`."""
    shown = rows[: asked.limit]
    more = len(rows) > len(shown)
    return Page([item(row) for row in shown], sealed(shown[-1][key]) if more else None)


def sealed(key: int) -> str:
    """A cursor that stands for a key."""
    return base64.urlsafe_b64encode(f"k{key}".encode()).decode().rstrip("=")


def _opened(cursor: str) -> int:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    if not (text[:1] == "k" and text[1:].isdigit() and len(text) < 21 and int(text[1:]) <= _LARGEST):
        raise InvalidError(
            [Fault("after", "cursor", "This is not a cursor of a page; take `next` of the page before.")]
        )
    return int(text[1:])
