"""Daily limits with 64 threads and several processes at once, while Redis is flushed, killed and started again, and a worker is killed."""

import os
import select
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from cleanmails import launcher
from cleanmails.limits.connect import connect
from cleanmails.limits.daily import Daily

DAY = date(2026, 3, 29)
SENDERS, LIMIT = 30, 50
LIMITS = dict.fromkeys(range(1, SENDERS + 1), LIMIT)


class Crowd:
    """Three processes with 64 threads in all on one ledger; whatever they plan is heard of in one pipe."""

    def __init__(self, valkey, ledger):
        self.hear, speak = os.pipe()
        script = Path(__file__).with_name("reserving.py")
        words = [sys.executable, script, valkey.url, ledger, SENDERS, LIMIT, DAY]
        self.processes = [
            subprocess.Popen(launcher.command([str(word) for word in (*words, threads)]), stdout=speak)
            for threads in (32, 16, 16)
        ]
        os.close(speak)

    def until(self, planned, so_far=0):
        """Listen until the ledger holds so many mails, or nothing more is heard; what it holds by then."""
        while so_far < planned and select.select([self.hear], [], [], 60)[0] and (heard := os.read(self.hear, 65536)):
            so_far += len(heard)
        return so_far

    def end(self):
        self.until(sys.maxsize)
        return [process.wait(60) for process in self.processes]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.hear)
        for process in self.processes:
            process.kill()
            process.wait()


def planned(ledger):
    count = Counter()
    for line in ledger.read_text().splitlines():
        sender, mails = map(int, line.split())
        count[sender] += mails
    return count


@pytest.mark.asvs("2.3.4")
def test_no_sender_ever_exceeds_its_limit_and_nothing_of_it_is_lost(forgetful, tmp_path):
    ledger = tmp_path / "ledger"
    ledger.touch()
    with Crowd(forgetful, ledger) as crowd, connect(forgetful.url) as redis:
        so_far = crowd.until(200)
        redis.flushall()
        so_far = crowd.until(400, so_far)
        redis.save()
        so_far = crowd.until(600, so_far)
        forgetful.kill()
        forgetful.start()
        so_far = crowd.until(800, so_far)
        crowd.processes[2].kill()
        so_far = crowd.until(1000, so_far)
        redis.flushall()
        redis.script_flush()
        assert crowd.end() == [0, 0, -9]
        assert max(planned(ledger).values()) <= LIMIT

        daily = Daily(redis)
        daily.replace(planned(ledger), DAY)
        rest = daily.reserve(LIMITS, LIMITS, DAY).counts
        assert planned(ledger) + Counter(rest) == Counter(LIMITS)
