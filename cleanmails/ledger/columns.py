"""Rows to columns: a statement that takes many rows at once takes an array a column (`unnest`).

Columns of whole numbers, times and plain words are written as Postgres reads arrays, in one text each: value by value, the driver needs several times as long.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from types import NoneType
from typing import Any, Final

_NUMBERS: Final = frozenset({int})
_TIMES: Final = frozenset({datetime, NoneType})


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
    if all(issubclass(kind, str | NoneType) for kind in kinds):
        return _texts(column)
    return list(column)


def _texts(column: tuple[str | None, ...]) -> list[Any] | str:
    """Between quotes everything stands for itself but quotes and backslashes: columns that have any are left to the driver."""
    joined = "".join(filter(None, column))
    if '"' in joined or "\\" in joined:
        return list(column)
    quoted = ["NULL" if text is None else f'"{text}"' for text in column]
    return f"{{{','.join(quoted)}}}"
