"""Text as words are searched in it: lower case, without accents, every run of blanks one space."""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

_ACCENTED: Final = re.compile("[\u00c0-\u024f\u0370-\u04ff\u1e00-\u1fff]+")
_OTHER: Final = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "’": "'", "‘": "'", "´": "'", "‑": "-", "–": "-", "\u00ad": ""})  # fmt: skip


def folded(text: str) -> str:
    """One line, ready to be searched by the patterns of `words.toml` and `dates.toml`."""
    lower = unicodedata.normalize("NFKC", text).casefold()
    if not lower.isascii():
        lower = _ACCENTED.sub(_unaccented, lower).translate(_OTHER)
    return " ".join(lower.split())


def _unaccented(found: re.Match[str]) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", found[0]) if unicodedata.category(c) != "Mn")


@cache
def table(name: str) -> Mapping[str, Any]:
    """A table that lies beside the rules, read once."""
    return tomllib.loads(files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """One pattern for all of these."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
