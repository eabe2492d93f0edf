"""What a run found, for people and for programs."""

import itertools

import msgspec

from cleanmails.chaos import judge
from cleanmails.chaos.story import Outcome


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The object that `--json` prints. `messages`: mails that the server kept; `recovery`: seconds from a fault to the last of its work being taken up."""

    kills: int
    messages: int
    duplicates: int
    lost: int
    unknown_expected: int
    unknown_found: int
    limit_overruns: int
    sent_after_stop: int
    recovery_p50_s: float | None
    recovery_p99_s: float | None


def figures(outcome: Outcome) -> Figures:
    """The run in ten figures."""
    times = list(itertools.chain.from_iterable(outcome.recoveries.values()))
    return Figures(
        kills=outcome.kills,
        messages=outcome.messages,
        duplicates=sum(outcome.duplicates.values()),
        lost=len(outcome.lost),
        unknown_expected=outcome.unknowns.expected,
        unknown_found=outcome.unknowns.found,
        limit_overruns=outcome.limit_overruns,
        sent_after_stop=outcome.sent_after_stop,
        recovery_p50_s=judge.percentile(times, 0.5),
        recovery_p99_s=judge.percentile(times, 0.99),
    )


def as_json(outcome: Outcome) -> str:
    """One object in one line."""
    return msgspec.json.encode(figures(outcome)).decode()


HEAD = ("fault", "times", "messages", "duplicates", "lost", "unknown", "recovery p50", "p99")


def as_table(outcome: Outcome) -> str:
    """A line for each fault, as Markdown, then the sum of it all.

    `messages` are the deliveries that were in the hands of what broke; the figures beside it are of those. `recovery` is of the faults that left work behind.
    """
    rows = [HEAD, *(_row(kind, outcome) for kind in sorted(outcome.times))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join([*(f"| {line} |" for line in lines), "", *_sum(outcome)])


def _row(kind: str, outcome: Outcome) -> tuple[str, ...]:
    caught = outcome.caught.get(kind, set())
    times = outcome.recoveries.get(kind, [])
    twice = sum(n for id, n in outcome.duplicates.items() if id in caught)
    unknown = len(outcome.unknown_ids & caught)
    return (
        kind,
        str(outcome.times[kind]),
        str(len(caught)),
        str(twice),
        str(len(outcome.lost_ids & caught)),
        str(unknown),
        _seconds(judge.percentile(times, 0.5)),
        _seconds(judge.percentile(times, 0.99)),
    )


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _sum(outcome: Outcome) -> list[str]:
    found = figures(outcome)
    stops = ", ".join(f"{count} {what}" for what, count in sorted(outcome.stops.items())) or "none"
    verdict = "ok" if outcome.good else "FAILED"
    lines = (
        f"seed {outcome.seed}, {outcome.seconds:.0f} s; stops by people: {stops}",
        f"unknown: {found.unknown_expected} expected, {found.unknown_found} found",
        f"over a limit: {found.limit_overruns}; sent after a stop: {found.sent_after_stop}",
        f"recovery: p50 {_seconds(found.recovery_p50_s)}, p99 {_seconds(found.recovery_p99_s)}",
        f"{verdict}: {found.kills} kills, {found.messages} messages, duplicates {found.duplicates}, lost {found.lost}",
        f"no failure in {found.kills} kills bounds its rate at {judge.bound(found.kills):.2%} a kill, with 95 % confidence (3/n)",
    )
    return list(lines)
