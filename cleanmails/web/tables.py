"""Lists of pages beyond one page: searched whole where they are short, and downloaded as CSV however long they are."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from cleanmails.api.pages import MOST, Page, window
from cleanmails.rules import csvtext
from cleanmails.web.desk import Desk

FOUND: Final = 200
"""Matches that a search of a short list shows."""


def every(desk: Desk, handler: HTTPRouteHandler, **given: object) -> Iterator[Any]:
    """Every entry of a list of the API, page by page, each page in a transaction of its own."""
    after: str | None = None
    while True:
        part: Page[Any] = desk.ask(handler, window=window(MOST, after), **given)
        yield from part.items
        if part.next is None:
            return
        after = part.next


def searched(
    desk: Desk, handler: HTTPRouteHandler, texts: Callable[[Any], Iterable[str]], sought: str, **given: object
) -> Page[Any]:
    """A page of a list that the API does not search, because there are hundreds in it and not millions: the entries with `sought` in one of their texts."""
    if not sought:
        found: Page[Any] = desk.ask(handler, **given)
        return found
    wanted = sought.casefold()
    matching = (
        each for each in every(desk, handler, **given) if any(wanted in text.casefold() for text in texts(each))
    )
    return Page(list(islice(matching, FOUND)), None)


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
