"""`cleanmails bench pipeline`: how many mails a second the whole thing sends, against a bare loop on the same machine in the same run.

The real processes on the embedded servers, durable as in production, against Postfix's `smtp-sink`; 4 KB mails, RSA-signed; senders without gaps, rates and daily
limits opened. The two take turns for at least three rounds; the figures are medians. From the planning of the first mail to the settling of the last, as the ledger
tells it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from cleanmails import log
from cleanmails.bench import render
from cleanmails.bench.sink import sink
from cleanmails.demo.stage import Stage, stage
from cleanmails.ledger import bench
from cleanmails.ledger.db import Database

SENDERS = 40
WORKERS = ("plan", "render", "send", "upkeep")
BARE = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "bare.py"
TICK = os.sysconf("SC_CLK_TCK")


def main(argv: Sequence[str]) -> int:
    """Runs the rounds and prints the figures."""
    parser = argparse.ArgumentParser(
        prog="cleanmails bench pipeline", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mails", type=int, default=20_000, help="mails a round (default 20,000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(argv)
    log.configure("json", level="WARNING")
    environment = {
        "CLEANMAILS_PROVIDER_RATES": "google=10000,microsoft=10000,yahoo=10000,icloud=10000,proton=10000,other=10000",
        "CLEANMAILS_LOG": "json",
    }
    rounds: list[dict[str, Any]] = []
    with (
        sink() as port,
        tempfile.TemporaryDirectory(prefix="cleanmails-bench-") as folder,
        stage(Path(folder), environment=environment) as set_up,
    ):
        set_up.start_catcher()
        set_up.start_processes(WORKERS)
        code = set_up.play(lambda on: _story(on, port, options.mails, options.rounds, rounds))
    if code == 0:
        _show(rounds, options.mails, as_json=options.json)
    return code


def _story(on: Stage, port: int, mails: int, rounds: int, found: list[dict[str, Any]]) -> int:
    """Signs in, makes the senders, then plays the rounds: the pipeline, the bare loop, and again."""
    on.sign_in()
    on.user.publish("lead.example", "MX", "10 mx.lead.example.")
    on.user.sending_domain("sender.example")
    senders = [{"id": _sender(on, number, port)} for number in range(SENDERS)]
    for number in range(rounds):
        pipeline = _pipeline(on, number, mails, senders)
        bare = _bare(port, mails)
        found.append(pipeline | {"bare_mails_per_s": bare, "ratio_to_bare": round(pipeline["mails_per_s"] / bare, 3)})
        print(f"round {number + 1}: {found[-1]}", file=sys.stderr, flush=True)
    return 0


def _sender(on: Stage, number: int, port: int) -> int:
    open_limits = {"daily_limit": 100_000, "min_gap_seconds": 0, "max_gap_seconds": 0}
    plain = {
        "smtp_host": "127.0.0.1",
        "smtp_port": port,
        "smtp_security": "plain",
        "smtp_username": "",
        "smtp_password": None,
    }
    return on.user.sender(f"ann{number}@sender.example", f"Ann {number}", **plain, **open_limits)


def _pipeline(on: Stage, number: int, mails: int, senders: list[dict[str, int]]) -> dict[str, Any]:
    """One campaign from its start to its last mail."""
    user = on.user
    list_id = user.post("/v1/outreach/lists", {"name": f"Round {number}"})["id"]
    rows = ["email,first_name,company", *(f"lead{number}-{n}@lead.example,Ada,Engines" for n in range(mails))]
    user.post(
        f"/v1/outreach/lists/{list_id}/upload", content="\n".join(rows).encode(), headers={"content-type": "text/csv"}
    )
    steps = [{"position": 0, "subjects": list(render.SUBJECTS), "body": render.BODY}]
    campaign = user.post(
        "/v1/outreach/campaigns",
        {"name": f"Round {number}", "lists": [{"id": list_id}], "senders": senders, "steps": steps},
    )
    before = _cpu(on)
    user.post(f"/v1/outreach/campaigns/{campaign['id']}/start")
    while user.get(f"/v1/outreach/campaigns/{campaign['id']}")["status"] != "completed":
        if on.supervisor.wait(0.2):
            raise SystemExit(1)
    with Database(on.servers.database_url, size=1, name="bench") as database, database.transaction() as db:
        seconds = bench.sending_time(db, campaign["id"])
    spent = {name: round(1e6 * (used - before.get(name, 0.0)) / mails, 1) for name, used in _cpu(on).items()}
    return {"mails_per_s": round(mails / seconds, 1), "seconds": round(seconds, 2), "cpu_us_per_mail": spent}


def _bare(port: int, mails: int) -> float:
    line = [sys.executable, str(BARE), "--port", str(port), "--mails", str(mails)]
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)["mails_per_s"])


def _cpu(on: Stage) -> dict[str, float]:
    """Seconds of processor time by stage: our processes by their group, the servers with all their children."""
    used: defaultdict[str, float] = defaultdict(float)
    for name, pid in on.supervisor.pids():
        for each in (pid, *_children(pid)):
            used[name.partition(".")[0]] += _seconds(each)
    return dict(used)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _seconds(pid: int) -> float:
    """User and system time of a process, its ended children included: a backend that has gone is not forgotten."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / TICK


def _show(rounds: list[dict[str, Any]], mails: int, *, as_json: bool) -> None:
    stages = sorted({name for each in rounds for name in each["cpu_us_per_mail"]})
    figures = {
        "mails_per_s": median(each["mails_per_s"] for each in rounds),
        "bare_mails_per_s": median(each["bare_mails_per_s"] for each in rounds),
        "ratio_to_bare": median(each["ratio_to_bare"] for each in rounds),
        "cpu_us_per_mail": {name: median(each["cpu_us_per_mail"].get(name, 0.0) for each in rounds) for name in stages},
        "conditions": {
            "mails": mails,
            "rounds": len(rounds),
            "senders": SENDERS,
            "workers": WORKERS,
            "html_bytes": len(render.BODY),
            "cores": os.cpu_count(),
        },
    }
    if as_json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<18} {value}")
