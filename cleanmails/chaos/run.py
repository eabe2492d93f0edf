"""`cleanmails chaos`: breaks everything that can break while campaigns run, and counts at the mail server that nobody got a mail twice and nobody is missing.

The real processes on servers of their own, in a throwaway folder on 127.0.0.1: SIGKILL and SIGSTOP of workers, at random and at eight named points of a mail's
way; FLUSHALL, and SIGKILL of Valkey; the immediate shutdown of Postgres; every message twice and shuffled; two schedulers; a mail server that drops, refuses,
lets wait and goes silent; and people who unsubscribe, reply, suppress and pause meanwhile, and mails that come back. A seed repeats what breaks in which order.
"""

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cleanmails import log
from cleanmails.chaos import report
from cleanmails.chaos.story import ENVIRONMENT, WORKERS, Outcome, Terms, tell
from cleanmails.demo.stage import Stage, stage


def main(argv: Sequence[str]) -> int:
    """Plays it and prints the figures; 0 if nothing was sent twice, lost, or sent though it was stopped."""
    parser = argparse.ArgumentParser(
        prog="cleanmails chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50, help="workers killed (default 50)")
    parser.add_argument("--messages", type=int, default=600, help="mails that are to arrive (default 600)")
    parser.add_argument("--seed", type=int, default=1, help="what the faults are drawn from (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it there, logs and all")
    options = parser.parse_args(argv)
    if options.kills < 1 or options.messages < 10:
        parser.error("it takes one kill and ten messages at least")
    log.configure("console", level="ERROR")
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # it says of every connection that Postgres was killed
    terms = Terms(kills=options.kills, messages=options.messages, seed=options.seed)
    with tempfile.TemporaryDirectory(prefix="cleanmails-chaos-") as throwaway:
        folder = options.keep or Path(throwaway)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = play(folder, terms)
    if outcome is None:
        return 1
    print(report.as_json(outcome) if options.json else report.as_table(outcome))
    for fault in outcome.faults:
        print(f"fault: {fault}", file=sys.stderr)
    return 0 if outcome.good else 1


def play(folder: Path, terms: Terms) -> Outcome | None:
    """The whole run in a folder; None if it came to no end, which was said."""
    outcomes: list[Outcome] = []
    points = folder / "points"
    with stage(folder, environment=ENVIRONMENT | {"CLEANMAILS_CHAOS": str(points)}) as on:

        def story(stage_: Stage) -> int:
            outcomes.append(tell(stage_, points, terms))
            return 0

        on.start_catcher(kept=10 * terms.messages)
        on.start_processes(WORKERS, worker=("cleanmails.chaos.worker",), schedulers=2)
        on.play(story)
    return outcomes[0] if outcomes else None
