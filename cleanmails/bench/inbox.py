"""`cleanmails bench inbox`: messages a second that one inbox worker reads and settles, and what a thousand mailboxes that wait cost it.

The real worker process on embedded servers, durable as in production, against the IMAP server of the demonstration over TLS. The messages answer mails that
are in the ledger: replies, bounces, absences, and some that are no business of ours, eight mailboxes' worth. Then a thousand mailboxes idle at the same worker;
its processor time is taken over a whole round of looks at their other folders. At last messages come into eight of them, one after the other in each, as soon as
the one before is a fact in the ledger: first by IDLE, then on a server without it, where that is just after a look, so each waits as long as any may.
"""

import argparse
import contextlib
import json
import math
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

IDLE_MESSAGES: Final = 12

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
    parser.add_argument(
        "--polls",
        type=int,
        default=2,
        help="messages that wait for a look, a mailbox (default %(default)s; about a minute each)",
    )
    options = parser.parse_args(argv)
    log.configure("json", level="WARNING")
    _raise_limit()
    with tempfile.TemporaryDirectory(prefix="cleanmails-bench-") as folder, embedded.servers(Path(folder)) as servers:
        migrate(servers.database_url)
        figures = measure(
            servers,
            Path(folder),
            messages=options.messages,
            mailboxes=options.mailboxes,
            seconds=options.seconds,
            polls=options.polls,
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
    print(
        f"from the inbox to the ledger, p99: by IDLE {figures['idle_p99_s']} s, by polling {figures['polled_p99_s']} s"
    )
    print(f"conditions: {figures['conditions']}")
    return 0


def measure(
    servers: Servers, folder: Path, *, messages: int, mailboxes: int, seconds: float, polls: int
) -> dict[str, Any]:
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
        imap.serving(boxes, certificates=made, idle=False) as mute,
    ):
        figures = _settle(database, boxes, served, environment, messages)
        figures |= _idle(database, boxes, served, environment, mailboxes, seconds)
        return figures | {"polled_p99_s": _polled(database, boxes, mute, environment, polls) if polls else None}


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
    database: Database, boxes: Boxes, served: Imap, environment: dict[str, str], mailboxes: int, seconds: float
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
        p99 = _delay(database, boxes, IDLE_MESSAGES)
    return {
        "idle_mailboxes": idling,
        "idle_rss_mb": round(rss, 1),
        "idle_cpu_percent": round(percent, 2),
        "idle_p99_s": p99,
    }


def _polled(database: Database, boxes: Boxes, mute: Imap, environment: dict[str, str], polls: int) -> float:
    """How long a message waits where nobody tells that it has come; all mailboxes are at that server."""
    bench.open_mailboxes(database, mute.tls_port)
    with _worker(environment):
        return _delay(database, boxes, polls + 1, leave_out=1)


def _delay(database: Database, boxes: Boxes, messages: int, *, leave_out: int = 0) -> float:
    """p99 of the seconds from when a message lies in an inbox to when it is a fact in the ledger; so many messages a mailbox, without the first ones of each,
    which find a worker that has only begun.
    """
    mails = {mail["address"]: mail for mail in bench.sent_mails(database)}
    upto = bench.read_upto(database, list(mails))
    delays: list[float] = []
    put: dict[str, float] = {}
    rounds = dict.fromkeys(mails, 0)
    while put or any(done < messages for done in rounds.values()):
        for address in [each for each in mails if each not in put and rounds[each] < messages]:
            _fill(boxes, [mails[address]])
            put[address] = time.monotonic()
        now = bench.read_upto(database, list(put))
        for address, began in list(put.items()):
            if now[address] > upto[address]:
                upto[address] = now[address]
                rounds[address] += 1
                del put[address]
                if rounds[address] > leave_out:
                    delays.append(time.monotonic() - began)
            elif time.monotonic() - began > PATIENCE:
                raise SystemExit("A message did not get into the ledger in time.")
        time.sleep(0.02)
    return round(sorted(delays)[math.ceil(0.99 * len(delays)) - 1], 2)


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
