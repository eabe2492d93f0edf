"""A worker process: threads that plan mails as the planner does, on a ledger that is a file, until no sender has room left.

Arguments: the URL of Redis, the ledger, how many senders there are, their limit, the day, how many threads.
The ledger's lines are `sender mails`. A byte goes to stdout for each mail that the ledger took in.
"""

import fcntl
import os
import random
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from cleanmails.errors import BusyError
from cleanmails.limits.connect import connect
from cleanmails.limits.daily import Daily

url, ledger, senders, limit, day, threads = sys.argv[1:]
limits = dict.fromkeys(range(1, int(senders) + 1), int(limit))
day = date.fromisoformat(day)
daily = Daily(connect(url))
pause = threading.Event()


@contextmanager
def planning(mode):
    """The planner's lock: shared from a reservation to its commit, exclusive while figures are read and brought in."""
    file = os.open(ledger, os.O_RDWR | os.O_APPEND)
    try:
        fcntl.flock(file, mode)
        yield file
    finally:
        os.close(file)


def figures():
    planned = Counter(dict.fromkeys(limits, 0))
    for line in Path(ledger).read_text().splitlines():
        sender, mails = line.split()
        planned[int(sender)] += int(mails)
    return planned


def rebuild():
    with planning(fcntl.LOCK_EX):
        daily.rebuild(figures(), day)


def plan(dice, room):
    """Reserve for a few senders and commit; now and then the commit fails, and what was reserved is given back after the lock is gone."""
    wanted = {sender: dice.randint(1, 3) for sender in dice.sample(sorted(room), min(4, len(room)))}
    fails = dice.random() < 0.2
    with planning(fcntl.LOCK_SH) as file:
        reserved = daily.reserve(wanted, limits, day)
        lines = [f"{sender} {mails}\n" for sender, mails in reserved.counts.items() if mails]
        if lines and not fails:
            os.write(file, "".join(lines).encode())
            os.write(1, b"." * sum(reserved.counts.values()))
    if fails:
        daily.release(reserved.counts, day, reserved.epoch)


def work(seed):
    dice = random.Random(seed)
    while True:
        try:
            room = daily.room(limits, day)
            if None in room.values():
                rebuild()
            elif open_ones := {sender for sender, left in room.items() if left}:
                plan(dice, open_ones)
            else:
                return
        except BusyError:
            pause.wait(0.02)


crowd = [threading.Thread(target=work, args=(f"{os.getpid()}-{each}",)) for each in range(int(threads))]
for thread in crowd:
    thread.start()
for thread in crowd:
    thread.join()
