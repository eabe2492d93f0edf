"""`cleanmails classify`: what raw messages mean, without a ledger: one object a line."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from cleanmails.mail import inbound
from cleanmails.records import Meaning
from cleanmails.rules import inbox


def main(argv: Sequence[str]) -> int:
    """Reads each file as one raw message (RFC 5322) and says what it is; `-` is standard input. Exit code 1 if a file cannot be read."""
    parser = argparse.ArgumentParser(prog="cleanmails classify", description="Say what raw messages mean.")
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args(argv)
    failed = False
    for name in arguments.files:
        try:
            raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            print(f"{name}: {error.strerror or error}", file=sys.stderr)
            failed = True
            continue
        told = told_of(name, inbox.judge(inbound.parse(raw), datetime.now(UTC)))
        print(msgspec.json.encode(told).decode() if arguments.json else _line(told))
    return int(failed)


def told_of(name: str, meaning: Meaning) -> dict[str, Any]:
    """A message's meaning under the names that the command prints."""
    return {
        "file": name,
        "kind": meaning.kind,
        "class": meaning.failure,
        "status": meaning.status,
        "recipients": list(meaning.recipients),
        "message_ids": list(meaning.message_ids),
        "resumes_on": meaning.resumes_on,
        "reasons": list(meaning.reasons),
    }


def _line(told: dict[str, Any]) -> str:
    facts = [f"{key}={told[key]}" for key in ("class", "status", "resumes_on") if told[key]]
    return f"{told['file']}: {told['kind']} {' '.join(facts)} ({', '.join(told['reasons'])})"
