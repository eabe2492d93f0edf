"""Charts as numbers: where each bar and line lies in an SVG of 100 by 100 a column. What stands in it stands in a table beside it, too."""

import math
from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec

HEIGHT: Final = 100
COLUMN: Final = 10
"""Units of the drawing; it is stretched to the room there is, and the words stand outside of it, unstretched."""


class Series(msgspec.Struct, frozen=True):
    """Values to be drawn in one colour: `kind` is a class of the stylesheet (`sent`, `replied`, `bounced`, `first`, `follow`)."""

    name: str
    kind: str
    values: Sequence[float]


class Mark(msgspec.Struct, frozen=True):
    """A piece of a bar."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Column(msgspec.Struct, frozen=True):
    """All of one place on the axis: its pieces, and what a pointer is told."""

    x: float
    told: str
    marks: list[Mark]


class Line(msgspec.Struct, frozen=True):
    """A line, as the `points` of a polyline."""

    kind: str
    points: str


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A chart that can be drawn and read. `ticks` go from the top to 0; `labels` are the few of the axis that are written."""

    series: list[Series]
    width: float
    columns: list[Column]
    lines: list[Line]
    ticks: list[str]
    labels: list[str]
    names: list[str]
    empty: bool

    def heads(self, axis: str) -> list[str | tuple[str, str]]:
        """The columns of the table that says the same."""
        return [axis, *((each.name, "n") for each in self.series)]


def bars(names: Sequence[str | date], *series: tuple[str, str, Sequence[float]]) -> Chart:
    """Bars on each other, a column a name. Series are (name, kind, values)."""
    rows = [Series(*each) for each in series]
    shown = [_named(name) for name in names]
    top = _top(max((sum(each.values[place] for each in rows) for place in range(len(shown))), default=0))
    columns = [_column(place, name, rows, top) for place, name in enumerate(shown)]
    return _chart(rows, shown, top, columns, [])


def lines(names: Sequence[str | date], *series: tuple[str, str, Sequence[float]]) -> Chart:
    """Lines over each other on one axis."""
    rows = [Series(*each) for each in series]
    shown = [_named(name) for name in names]
    top = _top(max((max(each.values, default=0) for each in rows), default=0))
    drawn = [
        Line(
            each.kind,
            " ".join(f"{(place + 0.5) * COLUMN:g},{_y(value, top):g}" for place, value in enumerate(each.values)),
        )
        for each in rows
    ]
    columns = [Column(place * COLUMN, _told(place, name, rows), []) for place, name in enumerate(shown)]
    return _chart(rows, shown, top, columns, drawn)


def _chart(rows: list[Series], names: list[str], top: float, columns: list[Column], drawn: list[Line]) -> Chart:
    few = names if len(names) <= 3 else [names[0], names[(len(names) - 1) // 2], names[-1]]
    return Chart(
        series=rows,
        width=max(1, len(names)) * COLUMN,
        columns=columns,
        lines=drawn,
        ticks=[f"{top:,g}", f"{top / 2:,g}", "0"],
        labels=few,
        names=names,
        empty=not any(value for each in rows for value in each.values),
    )


def _column(place: int, name: str, rows: Sequence[Series], top: float) -> Column:
    marks, base = [], float(HEIGHT)
    for each in rows:
        height = round(HEIGHT * each.values[place] / top, 2)
        if height > 0:
            base = round(base - height, 2)
            marks.append(Mark(each.kind, place * COLUMN + 1.5, max(0.0, base), COLUMN - 3, height))
    return Column(place * COLUMN, _told(place, name, rows), marks)


def _told(place: int, name: str, rows: Sequence[Series]) -> str:
    return f"{name}: " + ", ".join(f"{each.values[place]:,g} {each.name.lower()}" for each in rows)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - HEIGHT * value / top, 2)


def _top(most: float) -> float:
    """A round number at or above the highest value whose half is whole: the top of the axis."""
    if most <= 2:
        return 2
    unit = 10 ** math.floor(math.log10(most))
    return float(
        next(unit * step for step in (1, 2, 3, 4, 5, 6, 8, 10) if unit * step >= most and unit * step % 2 == 0)
    )


def _named(name: str | date) -> str:
    return f"{name:%d %b}" if isinstance(name, date) else str(name)
