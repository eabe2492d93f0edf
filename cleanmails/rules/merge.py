"""Two people's changes of one thing brought together, part by part: what only one of them touched is as that one left it.

A part is a value by its name; how it was when somebody began is known by its `mark`, so that a page need not carry the whole of it back and forth.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec


class Merged(msgspec.Struct, frozen=True):
    """Parts as they are to be, by name; which of them are `mine` and which `theirs`; and the `conflicts`: both touched these, so that neither can be taken."""

    parts: dict[str, Any]
    mine: list[str]
    theirs: list[str]
    conflicts: list[str]


def mark(part: object) -> str:
    """What is the same for equal JSON, and for no other: 64 bits. A line's end is a line's end."""
    text = msgspec.json.encode(part, order="sorted").replace(rb"\r\n", rb"\n")
    return hashlib.sha256(text).hexdigest()[:16]


def marks(parts: Mapping[str, Any]) -> dict[str, str]:
    """The marks of parts, by name."""
    return {name: mark(part) for name, part in parts.items()}


def merged(base: Mapping[str, str], mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Merged:
    """Mine and theirs, both begun from what had the marks `base`. A part that is not there was taken away, or never was."""
    parts, own, others, conflicts = dict[str, Any](), list[str](), list[str](), list[str]()
    of_mine, of_theirs = marks(mine), marks(theirs)
    for name in {**theirs, **mine, **base}:
        before, here, there = base.get(name), of_mine.get(name), of_theirs.get(name)
        if here == there:
            taken = mine
        elif here == before:
            taken = theirs
            others.append(name)
        elif there == before:
            taken = mine
            own.append(name)
        else:
            taken = mine
            conflicts.append(name)
        if name in taken:
            parts[name] = taken[name]
    return Merged(parts, own, others, conflicts)
