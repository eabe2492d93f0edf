"""`cleanmails bench inbox`: messages a second that one inbox worker reads and settles, and what a thousand mailboxes that wait cost it.

The real worker process on embedded servers, durable as in production, against the IMAP server of the demonstration over TLS. The messages answer mails that
are in the ledger: replies, bounces, absences, and some that are no business of ours, eight mailboxes' worth. Then a thousand mailboxes idle at the same worker;
its processor time is taken over a whole round of looks at their other folders.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cleanmails import embedded, log
from cleanmails.demo import certificates
from cleanmails.demo.catcher import answers, imap
from cleanmails.demo.catcher.answers import Answer, Kind
from cleanmails.demo.catcher.boxes import Boxes
from cleanmails.demo.catcher.imap import Imap
from cleanmails.ledger import bench
from cleanmails.ledger.db import Database
from cleanmails.ledger.migrate import migrate
from cleanmails.rules.mailboxes import SIDE_SECONDS
from cleanmails.settings import Servers

BOXES: Final = 8
PATIENCE: Final = 280.0
KINDS: Final = (
    Kind.REPLY,
    Kind.REPLY,
    Kind.BOUNCE,
    Kind.REPLY,
    Kind.AWAY,
    Kind.REPLY,
    None,
    Kind.REPLY,
    Kind.BOUNCE,
    Kind.REPLY,
)
"""What comes back, in turn; None: a newsletter."""

_TICK = os.sysconf("SC_CLK_TCK")
_NEWS = b"From: News <news@press.example>\r\nTo: ann@sender.example\r\nSubject: This week\r\nList-Id: <news.press.example>\r\n\r\n"


def main(argv: Sequence[str]) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="cleanmails bench inbox", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--messages", type=int, default=4_000, help="messages to be settled (default %(default)s)")
    parser.add_argument("--mailboxes", type=int, default=1_000, help="mailboxes that idle (default %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=1.1 * SIDE_SECONDS, help="for how long they idle (default %(default)s)"
    )
    options = parser.parse_args(argv)
    log.configure("json", level="WARNING")
    _raise_limit()
    with tempfile.TemporaryDirectory(prefix="cleanmails-bench-") as folder, embedded.servers(Path(folder)) as servers:
        migrate(servers.database_url)
        figures = measure(
            servers, Path(folder), messages=options.messages, mailboxes=options.mailboxes, seconds=options.seconds
        )
    figures["conditions"] = {
        "messages": options.messages,
        "tls": True,
        "idle_seconds": options.seconds,
        "cores": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()],
    }
    if options.json:
        print(json.dumps(figures))
        return 0
    print(f"messages a second, one process         {figures['messages_per_s']}")
    print(f"mailboxes that idle                    {figures['idle_mailboxes']}")
    print(f"memory of their worker, MB             {figures['idle_rss_mb']}")
    print(f"processor of their worker, % of a core {figures['idle_cpu_percent']}")
    print(f"conditions: {figures['conditions']}")
    return 0


def measure(servers: Servers, folder: Path, *, messages: int, mailboxes: int, seconds: float) -> dict[str, Any]:
    """The figures on an empty ledger; `folder` is for what the workers keep."""
    made = certificates.make(folder / "certificates")
    environment = {
        **os.environ,
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "CLEANMAILS_CA_FILE": str(made.authority),
        "CLEANMAILS_STATE_DIR": str(folder),
        "CLEANMAILS_ENV": "development",
    }
    boxes = Boxes()
    with (
        contextlib.closing(boxes),
        Database(servers.database_url, size=2, name="bench") as database,
        imap.serving(boxes, certificates=made) as served,
    ):
        figures = _settle(database, boxes, served, environment, messages)
        return figures | _idle(database, served, environment, mailboxes, seconds)


def _settle(
    database: Database, boxes: Boxes, served: Imap, environment: dict[str, str], messages: int
) -> dict[str, Any]:
    """All messages lie there when the worker starts; from its first FETCH to the last message that it has settled."""
    crowd = bench.make_crowd(database, messages, BOXES)
    bench.make_campaigns(database, crowd, 1, datetime.now(UTC))
    bench.make_sent(database, BOXES)
    _fill(boxes, bench.sent_mails(database))
    bench.open_mailboxes(database, served.tls_port)
    with _worker(environment) as process:
        _await(lambda: served.heard["FETCH"] > 0)
        began, used = time.monotonic(), _cpu(process.pid)
        _await(lambda: bench.count_read(database) == messages)
        took, busy = time.monotonic() - began, _cpu(process.pid) - used
    return {
        "messages_per_s": round(messages / took, 1),
        "messages_per_cpu_s": round(messages / busy, 1) if busy else None,
        "settled": bench.count_settled(database),
    }


def _fill(boxes: Boxes, mails: Sequence[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    for number, mail in enumerate(mails):
        kind = KINDS[number % len(KINDS)]
        sent = (
            f"From: Ann <{mail['address']}>\r\nTo: {mail['email']}\r\nSubject: Hello\r\nMessage-ID: {mail['message_id']}\r\n"
            "Date: Mon, 02 Nov 2026 09:00:00 +0000\r\n\r\nHello.\r\n"
        ).encode()
        if kind is None:
            raw = _NEWS + f"News of the week, number {number}.\r\n".encode()
        else:
            raw = answers.write(sent, mail["email"], Answer(kind=kind), now, number)
        boxes.open(mail["address"])
        boxes.append(mail["address"], "INBOX", raw)


def _idle(
    database: Database, served: Imap, environment: dict[str, str], mailboxes: int, seconds: float
) -> dict[str, Any]:
    """Memory and processor of one worker that all mailboxes are dealt to."""
    bench.make_mailboxes(database, mailboxes - BOXES)
    bench.open_mailboxes(database, served.tls_port)
    with _worker(environment) as process:
        _await(lambda: served.idling >= mailboxes)
        time.sleep(min(5.0, seconds))
        used, began = _cpu(process.pid), time.monotonic()
        time.sleep(seconds)
        percent = 100 * (_cpu(process.pid) - used) / (time.monotonic() - began)
        rss, idling = _rss(process.pid), served.idling
    return {"idle_mailboxes": idling, "idle_rss_mb": round(rss, 1), "idle_cpu_percent": round(percent, 2)}


@contextmanager
def _worker(environment: dict[str, str]) -> Any:  # noqa: ANN401 - a context manager
    process = subprocess.Popen(
        [sys.executable, "-m", "cleanmails.cli", "worker", "inbox"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _await(come_true: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not come_true():
        if time.monotonic() > ends:
            raise SystemExit("The worker did not get there in time.")
        time.sleep(0.02)


def _raise_limit() -> None:
    """Both ends of a thousand connections are held open, and a usual limit is 1,024."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _cpu(pid: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _rss(pid: int) -> float:
    """Megabytes of memory that a process holds."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1_024
