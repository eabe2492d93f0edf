"""Rows to columns: a statement that takes many rows at once takes an array a column (`unnest`).

Columns of whole numbers and of times are written as Postgres reads arrays, in one text each: value by value, the driver needs several times as long.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

_NUMBERS: Final = frozenset({int})
_TIMES: Final = frozenset({datetime, type(None)})


def columns(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, list[Any] | str]:
    """`columns(("ids", "texts"), [(1, "a"), (2, "b")])` is `{"ids": "{1,2}", "texts": ["a", "b"]}`; no rows give empty arrays.

    Statements name the type of each array (`%(ids)s::bigint[]`).
    """
    table = list(zip(*rows, strict=True)) or [()] * len(names)
    return {name: _array(column) for name, column in zip(names, table, strict=True)}


def _array(column: tuple[Any, ...]) -> list[Any] | str:
    kinds = frozenset(map(type, column))
    if kinds <= _NUMBERS:
        return f"{{{','.join(map(str, column))}}}"
    if kinds <= _TIMES:
        return f"{{{','.join(['NULL' if at is None else at.isoformat() for at in column])}}}"
    return list(column)
