"""Lists in pages by cursor, for all nouns alike: `?limit=50&after=CURSOR` answers `{"items": [...], "next": CURSOR or null}`.

A cursor is the key of the last row that was seen, so that rows which come or go meanwhile neither repeat nor hide others. What is in it is nobody's business.

Lists that programs keep copies of take `updated_after` too (`SYNCED`): they are then in the order of the changes, and the cursor is the last row's time and id.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from litestar.di import Provide
from litestar.params import QueryParameter

from cleanmails.errors import Fault, InvalidError

T = TypeVar("T")

MOST: Final = 200
_LARGEST: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS: Final = 18
"""Microseconds of a time that Python has are shorter."""


class Window(msgspec.Struct, frozen=True):
    """Which part of a list is asked for: `limit` rows after the row with the id `after` (None: from the start).

    With `since`: of the rows that changed after it, in the order of `updated_at`; behind the row `after` among those of that very time.
    """

    limit: int
    after: int | None
    since: datetime | None = None

    @property
    def fetch(self) -> int:
        """How many rows to read: one more than is shown, which tells whether there is a next page."""
        return self.limit + 1


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list. `next` is the cursor of what follows, or null at the end."""

    items: list[T]
    next: str | None


Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="How many entries at most.")]
After = Annotated[str | None, QueryParameter(description="`next` of the page before.")]
UpdatedAfter = Annotated[
    datetime | None,
    QueryParameter(
        description="What changed after this time (RFC 3339, with its offset), in the order of `updated_at`. Pages miss nothing: a change whose transaction "
        "still runs comes later, never before what was read. Go on with the last `updated_at` that you have. What was deleted is not there."
    ),
]


def window(limit: Limit = 50, after: After = None) -> Window:
    """The window that a request asks for. InvalidError for a cursor that no page gave out."""
    return Window(limit, None if after is None else _opened(after))


def synced(limit: Limit = 50, after: After = None, updated_after: UpdatedAfter = None) -> Window:
    """The window of a list that may be asked for its changes. InvalidError for a cursor that it did not give out, or a time without its offset."""
    if updated_after is None:
        return window(limit, after)
    if updated_after.tzinfo is None:
        said = "Write the time with its offset, such as 2026-01-31T08:00:00Z; a plus sign in an address is %2B."
        raise InvalidError([Fault("updated_after", "offset", said)])
    try:
        since = updated_after.astimezone(UTC)
    except OverflowError:
        raise InvalidError([Fault("updated_after", "time", "There is no such time.")]) from None
    if after is None:
        return Window(limit, _LARGEST, since)
    at, _, id = _text(after).removeprefix("u").partition(".")
    if not (at.isdigit() and id.isdigit() and len(at) < _DIGITS and int(id) <= _LARGEST):
        raise _no_cursor()
    return Window(limit, int(id), _EPOCH + timedelta(microseconds=int(at)))


SYNCED: Final[Mapping[str, Provide]] = {"window": Provide(synced, sync_to_thread=False)}
"""`dependencies` of a handler whose list can be asked for its changes."""


def page(
    rows: Sequence[dict[str, Any]], asked: Window, item: Callable[[dict[str, Any]], T], key: str = "id"
) -> Page[T]:
    """A page out of up to `asked.fetch` rows, each of which has its cursor's key (a whole number) in column `key`; of changes, its `updated_at` as well."""
    shown = rows[: asked.limit]
    if len(rows) == len(shown):
        following = None
    elif asked.since is None:
        following = sealed(shown[-1][key])
    else:
        following = _written(f"u{(shown[-1]['updated_at'] - _EPOCH) // timedelta(microseconds=1)}.{shown[-1][key]}")
    return Page([item(row) for row in shown], following)


def sealed(key: int) -> str:
    """A cursor that stands for a key."""
    return _written(f"k{key}")


def _opened(cursor: str) -> int:
    text = _text(cursor)
    if not (text[:1] == "k" and text[1:].isdigit() and len(text) < 21 and int(text[1:]) <= _LARGEST):
        raise _no_cursor()
    return int(text[1:])


def _written(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _text(cursor: str) -> str:
    """What stands in a cursor; nothing in what is none."""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""


def _no_cursor() -> InvalidError:
    said = "This is not a cursor of a page of this list; take `next` of the page before, and ask for the rest as you did for it."
    return InvalidError([Fault("after", "cursor", said)])
