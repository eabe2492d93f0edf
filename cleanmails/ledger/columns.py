"""Rows to columns: a statement that takes many rows at once takes an array a column (`unnest`)."""

from collections.abc import Iterable, Sequence
from typing import Any


def columns(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
    """`columns(("ids", "steps"), [(1, 0), (2, 0)])` is `{"ids": [1, 2], "steps": [0, 0]}`; no rows give empty arrays."""
    table = list(zip(*rows, strict=True)) or [()] * len(names)
    return {name: list(column) for name, column in zip(names, table, strict=True)}
