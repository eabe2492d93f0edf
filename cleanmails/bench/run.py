"""`cleanmails bench NAME`: one benchmark of this package."""

import argparse
import importlib
from collections.abc import Callable, Sequence

NAMES = {
    name: name for name in ("inbox", "pages", "pipeline", "plan", "render", "tracking", "validation", "webhooks")
} | {"import": "imports"}
"""By the name of a benchmark, its module."""


def main(argv: Sequence[str]) -> int:
    """Runs the benchmark that the first argument names with the rest of them."""
    parser = argparse.ArgumentParser(prog="cleanmails bench", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    name = parser.parse_args(argv[:1]).name
    run: Callable[[Sequence[str]], int] = importlib.import_module(f"cleanmails.bench.{NAMES[name]}").main
    return run(argv[1:])
