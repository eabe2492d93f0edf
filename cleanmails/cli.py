"""The command `cleanmails`. Each subcommand loads only what it runs."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

from cleanmails import __version__, log, settings
from cleanmails.errors import CleanmailsError, SettingsError

COMMANDS: Final = {
    "up": ("cleanmails.embedded.up:main", "start everything on this machine, with a demonstration to play with"),
    "demo": (
        "cleanmails.demo.run:main",
        "run a campaign of 1,000 leads against servers of its own, and count what arrived",
    ),
    "migrate": ("cleanmails.cli:migrate", "bring the database's schema up to date"),
    "web": ("cleanmails.web.server:main", "serve the API and the dashboard"),
    "worker": (
        "cleanmails.actors.main:worker",
        "take work of one group: plan, render, send, upkeep, webhooks or imports",
    ),
    "scheduler": ("cleanmails.actors.main:scheduler", "wake the planner each minute"),
    "chaos": (
        "cleanmails.chaos.run:main",
        "break everything while campaigns run, and count that nobody was mailed twice or lost",
    ),
    "doctor": ("cleanmails.actors.doctor:main", "ask the ledger whether everything in it is as it must be"),
    "reclassify": (
        "cleanmails.actors.hits:reclassify",
        "judge all opens and clicks again by the rules of this version",
    ),
    "classify": ("cleanmails.actors.classify:main", "say what raw messages mean: bounces, absences, opt-outs, replies"),
    "recount": ("cleanmails.actors.figures:recount", "count all statistics anew from the events"),
    "rotate-keys": (
        "cleanmails.actors.rotate:main",
        "seal all stored credentials anew, after a change of the secret key",
    ),
    "owner": ("cleanmails.api.owner:main", "make the first user, or give one a new password"),
    "bench": (
        "cleanmails.bench.run:main",
        "measure one part: import, inbox, pages, pipeline, plan, render, tracking, validation or webhooks",
    ),
    "sbom": ("cleanmails.sbom:main", "list what this installation is made of (CycloneDX), or its licences"),
    "settings": (
        "cleanmails.cli:show_settings",
        "list the variables of the environment that are read, with their defaults",
    ),
}
"""By name: the function that takes the arguments and returns the exit code, and a line for `--help`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. What is wrong with its input is said in sentences on stderr, with exit code 1."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = _parser()
    name = parser.parse_args(arguments[:1]).command
    try:
        return _function(COMMANDS[name][0])(arguments[1:])
    except CleanmailsError as error:
        print(error.message, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def migrate(argv: Sequence[str]) -> int:
    """`cleanmails migrate`: apply what is missing, and log each migration."""
    argparse.ArgumentParser(
        prog="cleanmails migrate", description="Bring the database's schema up to date."
    ).parse_args(argv)
    from cleanmails.ledger import migrate as migrations

    given = settings.load(os.environ)
    log.configure(given.log_format)
    if given.database_url is None:
        raise SettingsError("DATABASE_URL must be set: there is no database to migrate.")
    applied = migrations.migrate(given.database_url)
    for name in applied:
        log.get(__name__).info("migration.applied", name=name)
    log.get(__name__).info("database.migrated", applied=len(applied))
    return 0


def show_settings(argv: Sequence[str]) -> int:
    """`cleanmails settings`: the table that the README shows."""
    argparse.ArgumentParser(
        prog="cleanmails settings", description="List the settings as a Markdown table."
    ).parse_args(argv)
    print(settings.table())
    return 0


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {line}" for name, (_, line) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="cleanmails",
        usage="cleanmails COMMAND [ARGUMENT ...]",
        description=f"Multi-step cold e-mail campaigns that never send twice.\n\ncommands:\n{listing}",
        epilog="`cleanmails COMMAND --help` says what a command takes.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"cleanmails {__version__}")
    return parser


def _function(target: str) -> Callable[[Sequence[str]], int]:
    module, _, name = target.partition(":")
    function: Callable[[Sequence[str]], int] = getattr(importlib.import_module(module), name)
    return function


if __name__ == "__main__":
    sys.exit(main())
