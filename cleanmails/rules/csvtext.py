"""CSV as people's programs write it: bytes in chunks to rows of cells, one at a time, whatever the size (RFC 4180, and what is met beside it).

Taken are the delimiters `,` `;` tab and `|`, every line end, quoted line ends, a byte order mark, the line `sep=;` that spreadsheets read, and text that
is UTF-8, UTF-16 with its mark, or Windows-1252 (the Latin-1 of spreadsheets) in the lines that are not UTF-8. A row that cannot be read costs that row only.
"""

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

import msgspec

from cleanmails.errors import Fault, InvalidError

DELIMITERS: Final = ",;\t|"

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_LONGEST_LINE: Final = 1_000_000  # bytes; beyond it the file is no CSV, and memory stays bounded
_MOST_LINES: Final = 100  # of one row: a quote that is opened and not closed must not swallow the file
_RAW_KEPT: Final = 2_000  # characters of a row kept for the report

_UNCLOSED: Final = "A quote is opened and not closed."
_STRAY: Final = 'There is text after a closing quote; a quote inside a quoted cell is written twice ("").'
_HUGE: Final = "A cell is too long."


class Row(msgspec.Struct, frozen=True):
    """A row: the line it begins in (the file's first is 1), its cells, and its text as it stood; or in `fault` why it has no cells.

    `raw` is cut to 2,000 characters; NULs in it are replaced, so that it can be kept.
    """

    line: int
    cells: list[str]
    raw: str
    fault: str | None = None


def rows(chunks: Iterable[bytes]) -> Iterator[Row]:
    """Every row but those of which all cells are blank. InvalidError (field `file`) for what is no text in rows at all."""
    texts = _texts(chunks)
    text = next(texts, "")
    first = next(_lines(text), "")
    if first.lower().startswith("sep=") and len(first.rstrip("\r\n")) == len("sep=") + 1:
        return _read(_Feed(chain([text[len(first) :]], texts), number=2), first[4])
    return _read(_Feed(chain([text], texts), number=1), _delimiter(first))


def written(table: Iterable[Sequence[object]]) -> str:
    """Rows as CSV with CR LF. A cell that a spreadsheet would take for a formula gets a `'` before it: people open what strangers wrote."""
    out = io.StringIO()
    csv.writer(out).writerows([_harmless(str(cell)) for cell in row] for row in table)
    return out.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _delimiter(line: str) -> str:
    """The one that makes the most cells of the first line."""
    return max(DELIMITERS, key=lambda delimiter: _cells(line, delimiter))


def _cells(line: str, delimiter: str) -> int:
    """How many; none where one of them is larger than the csv module reads."""
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:
        return 0


class _Feed:
    """Hands lines to the csv reader and keeps those of the row in hand, so that they can be put back. What comes next is a piece of whole lines."""

    def __init__(self, texts: Iterator[str], number: int) -> None:
        self.number = number
        self.taken: list[str] = []
        self.ahead: deque[str] = deque()
        self._texts = texts

    def text(self) -> str | None:
        """The next piece, once the one in hand is used up."""
        return next(self._texts, None)

    def lines(self) -> Iterator[str]:
        while True:
            while self.ahead:
                yield self._take(self.ahead.popleft())
            if (text := self.text()) is None:
                return
            self.ahead.extend(_lines(text))

    def _take(self, line: str) -> str:
        if len(self.taken) == _MOST_LINES:
            self.ahead.appendleft(line)
            raise csv.Error(_UNCLOSED)
        self.taken.append(line)
        return line

    def give_up_line(self) -> None:
        """Ends the row in hand after its first line; what was read beyond it comes again."""
        self.ahead.extendleft(reversed(self.taken[1:]))
        self.number += 1
        self.taken.clear()


def _read(feed: _Feed, delimiter: str) -> Iterator[Row]:
    """Piece by piece: one without a quote is plain."""
    while (text := feed.text()) is not None:
        if (lines := _plain(text)) is not None:
            yield from _split(lines, delimiter, feed.number)
            feed.number += len(lines)
            continue
        feed.ahead.extend(_lines(text))
        while feed.ahead:
            try:
                yield from _readable(feed, delimiter)
            except csv.Error as error:
                # Only the line in which the row began is lost: it, not the innocent lines after it, holds the fault.
                yield Row(feed.number, [], _raw(feed.taken[:1]), _reason(error))
                feed.give_up_line()


def _plain(text: str) -> list[str] | None:
    """The lines of a piece that can be cut at its delimiters, which is three times as quick as the csv module; None where that would not be the same."""
    if '"' in text or "\0" in text:
        return None
    text = text.replace("\r\n", "\n")
    if "\r" in text:
        return None
    lines = text.removesuffix("\n").split("\n") if text else []
    return lines if len(max(lines, key=len, default="")) <= _RAW_KEPT else None


def _split(lines: list[str], delimiter: str, number: int) -> Iterator[Row]:
    for line in lines:
        cells = line.split(delimiter)
        if cells[0].strip() or "".join(cells).strip():
            yield Row(number, cells, line)
        number += 1


def _readable(feed: _Feed, delimiter: str) -> Iterator[Row]:
    """Rows up to the end of a piece."""
    taken = feed.taken
    for cells in csv.reader(feed.lines(), delimiter=delimiter, strict=True):
        if "".join(cells).strip():
            yield Row(feed.number, cells, _raw(taken))
        feed.number += len(taken)
        taken.clear()
        if not feed.ahead:
            return


def _raw(lines: list[str]) -> str:
    text = lines[0] if len(lines) == 1 else "".join(lines)
    return text[:_RAW_KEPT].rstrip("\r\n").replace("\0", "\ufffd")


def _reason(error: csv.Error) -> str:
    """The csv module tells its errors apart by their text only."""
    said = str(error)
    if said == _UNCLOSED or "end of data" in said:
        return _UNCLOSED
    return _HUGE if "limit" in said else _STRAY


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends, whichever those are: LF, CR LF or CR."""
    return io.StringIO(text, newline="")


def _texts(chunks: Iterable[bytes]) -> Iterator[str]:
    """Text in pieces of whole lines."""
    rest = b""
    begun = False
    for chunk in chain(_in_utf8(chunks), [b""]):
        rest += chunk
        # A CR at the very end may be half of a CR LF.
        cut = max(rest.rfind(b"\n"), rest.rfind(b"\r", 0, -1)) + 1 if chunk else len(rest)
        if len(rest) - cut > _LONGEST_LINE:
            raise InvalidError(
                [Fault("file", "line_too_long", "A line is longer than a million bytes: this is not CSV.")]
            )
        if cut:
            whole, rest = rest[:cut], rest[cut:]
            yield _decoded(whole if begun else whole.removeprefix(_UTF8_MARK))
            begun = True


def _in_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """UTF-16, which spreadsheets call Unicode text, is told by its mark alone. No chunk is empty: that would be the end."""
    source = iter(chunks)
    head = b""
    while len(head) < len(_UTF16_MARKS[0]) and (chunk := next(source, b"")):
        head += chunk
    if not head.startswith(_UTF16_MARKS):
        yield from chain([head], source)
        return
    codec, high = ("utf-16-le", -1) if head[:2] == _UTF16_MARKS[0] else ("utf-16-be", -2)
    rest = b""
    for chunk in chain([head[2:]], source):
        rest += chunk
        cut = len(rest) - len(rest) % 2
        if cut and 0xD8 <= rest[:cut][high] <= 0xDB:  # the first half of a pair
            cut -= 2
        if cut:
            yield rest[:cut].decode(codec, "replace").encode()
            rest = rest[cut:]
    if rest:
        yield rest.decode(codec, "replace").encode()


def _decoded(lines: bytes) -> str:
    try:
        return lines.decode()
    except UnicodeDecodeError:
        return "".join(_decoded_line(line) for line in lines.splitlines(keepends=True))


def _decoded_line(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")
