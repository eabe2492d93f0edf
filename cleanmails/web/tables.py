"""Lists of pages beyond one page: searched by the ledger, and downloaded as CSV however long they are."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from cleanmails.api.pages import MOST, Page, window
from cleanmails.rules import csvtext
from cleanmails.web.desk import Desk

SOUGHT: Final = 200
"""Letters of a search at most."""


def every(desk: Desk, handler: HTTPRouteHandler, **given: object) -> Iterator[Any]:
    """Every entry of a list of the API, page by page, each page in a transaction of its own."""
    after: str | None = None
    while True:
        part: Page[Any] = desk.ask(handler, window=window(MOST, after), **given)
        yield from part.items
        if part.next is None:
            return
        after = part.next


def sought(desk: Desk) -> str:
    """What a list is searched for, as long as the API takes it."""
    return desk.param("q")[:SOUGHT]


def csv(name: str, columns: Mapping[str, Callable[[Any], object]], entries: Iterable[Any]) -> Stream:
    """A list as CSV that is safe to open in a spreadsheet, written as it is read."""

    def lines() -> Iterator[str]:
        yield csvtext.written([list(columns)])
        for each in entries:
            values = (column(each) for column in columns.values())
            yield csvtext.written([["" if value is None else value for value in values]])

    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return Stream(lines(), media_type="text/csv", headers=headers)


def csv_address(desk: Desk, path: str) -> str:
    """Where the list of this page is as CSV, with the same search and filters."""
    return desk.here(after=None).replace(desk.request.url.path, path, 1)
