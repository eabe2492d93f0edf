"""The text of a template while it is read: places in it, what is wrong with it, and the tags it holds."""

import re
from bisect import bisect_left

import msgspec

from cleanmails.errors import TemplateError
from cleanmails.rules.content.tree import Tag, Where
from cleanmails.rules.content.values import drop_unwanted

LIMITS: dict[Where, int] = {
    "subject": 2_000,
    "body": 500_000,
}  # characters; Gmail cuts what is longer than 102 kB of HTML
MAX_ERRORS = 50

_ODD_BLANKS = re.compile(r"[\x0b\x0c\x1c-\x1f\x85]")
_TAG = re.compile(r"<[A-Za-z/!?]")


def as_html(body: str) -> str:
    """The body as HTML. One without a single tag was written as plain text: its line breaks are meant."""
    return body if _TAG.search(body) else one_kind(body).strip("\n").replace("\n", "<br>\n")


def one_kind(text: str) -> str:
    """The text with line breaks of one kind."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class Element(msgspec.Struct, frozen=True):
    """A tag of the markup: name in lower case, the literal ones of its attributes, and whether it opens, closes or stands alone (`<br/>`)."""

    name: str
    attributes: dict[str, str]
    position: int
    closing: bool
    alone: bool


class Halt(Exception):  # noqa: N818 - it ends the reading; the error that it follows is in `Source.errors`
    """Nothing that follows can be read with sense."""


class Source:
    """A text with line breaks made one kind, controls taken out, and what the readers find in it.

    `errors` keep it from being sent; `elements` and `notes` (a code and a position: braces that were kept, though they look meant) are for the checks.
    """

    def __init__(self, text: str, where: Where) -> None:
        self.where = where
        self.is_html = where == "body"
        self.errors: list[TemplateError] = []
        self.tags: list[Tag] = []
        self.elements: list[Element] = []
        self.notes: list[tuple[str, int]] = []
        self.text = ""
        self._line_ends: list[int] = []
        if len(text) > LIMITS[where]:
            message = f"The {where} has {len(text):,} characters; at most {LIMITS[where]:,} can be sent."
            self.errors.append(TemplateError(message, line=1, column=1))
            return
        self.text = self._normal(text)
        self._line_ends = [match.start() for match in re.finditer("\n", self.text)]

    def _normal(self, text: str) -> str:
        text = _ODD_BLANKS.sub(" ", drop_unwanted(one_kind(text)))
        return as_html(text) if self.is_html else " ".join(text.splitlines())

    def place(self, position: int) -> tuple[int, int]:
        """Line and column, one-based."""
        line = bisect_left(self._line_ends, position)
        return line + 1, position - (self._line_ends[line - 1] + 1 if line else 0) + 1

    def fault(self, position: int, message: str) -> None:
        """Note an error; `{place}` in the message becomes its line and column. Halt after the last that anybody would read."""
        line, column = self.place(position)
        place = f"line {line}, column {column}"
        self.errors.append(TemplateError(message.replace("{place}", place), line=line, column=column))
        if len(self.errors) >= MAX_ERRORS:
            raise Halt

    def halt(self, position: int, message: str) -> Halt:
        """Note an error that makes the rest unreadable; the caller raises what comes back."""
        self.fault(position, message)
        return Halt()

    def add_tag(self, position: int, name: str, *, required: bool) -> None:
        """Note a field tag."""
        line, column = self.place(position)
        self.tags.append(Tag(name, required, line, column))
