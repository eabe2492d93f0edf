"""Rates as the receiving server sees them, mails coming from several worker processes."""

import socket
import struct
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest

from cleanmails.limits.connect import connect

RATES = {"google": 2.0, "example.com": 5.0, "relay": 10.0, "slow": 0.9}
SO_TIMESTAMPNS = 35  # Linux, asm-generic/socket.h; the socket module has no name for it


class Server:
    """Notes when the kernel took in each mail, a datagram each: a test that is held up reads no burst that was none."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.1)
        self.port = self.socket.getsockname()[1]
        self.arrivals = defaultdict(list)

    @property
    def count(self):
        return sum(map(len, self.arrivals.values()))

    def listen(self, *, until, seconds):
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            self._receive()

    def _receive(self):
        try:
            name, [(_, _, stamp)], _, _ = self.socket.recvmsg(100, 100)
        except TimeoutError:
            return
        seconds, nanoseconds = struct.unpack("ll", stamp)
        self.arrivals[name.decode()].append(seconds + nanoseconds / 1e9)


@pytest.fixture
def server():
    server = Server()
    with server.socket:
        yield server


class Workers:
    """Processes with two threads for each provider. `longest_nap` is known after the end."""

    def __init__(self, processes, valkey, server):
        script, rates = Path(__file__).with_name("mailing.py"), [f"{name}={rate}" for name, rate in RATES.items()]
        command = [sys.executable, str(script), valkey.url, str(server.port), "2", *rates]
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.stdin.close()
            process.stdin = None
        self.longest_nap = max(float(process.communicate()[0]) for process in self.processes)


class Metronome:
    """Notices when the machine stands still. `calm`: the longest time without that, in seconds."""

    def __enter__(self):
        self.calm, self.over = 0.0, threading.Event()
        self.thread = threading.Thread(target=self._tick)
        self.thread.start()
        return self

    def _tick(self):
        last = began = time.monotonic()
        while not self.over.wait(0.005):
            now = time.monotonic()
            if now - last > 0.02:
                began = now
            self.calm, last = max(self.calm, now - began), now

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def most_in_a_second(times):
    return max(sum(start <= each < start + 1 for each in times) for start in times)


def throughput(times, stretch=1.6):
    """Mails a second in the best stretch of at least so many seconds."""
    best = 0.0
    for first, start in enumerate(times):
        last = next((i for i, each in enumerate(times) if each - start >= stretch), None)
        if last is not None:
            best = max(best, (last - first) / (times[last] - start))
    return best


def report(arrivals):
    for name, times in sorted(arrivals.items()):
        print(
            f"{name}: rate {RATES[name]}, {len(times)} in {times[-1] - times[0]:.1f} s, "
            f"{most_in_a_second(times)} in the fullest second, {throughput(times):.2f}/s in the best stretch"
        )


def test_no_sliding_second_holds_more_than_the_rate_plus_one_and_nine_tenths_of_it_are_used(valkey, server):
    with Metronome() as metronome, Workers(3, valkey, server) as workers:
        server.listen(until=lambda: server.count > 0, seconds=30)
        server.listen(until=lambda: server.count >= 45 and used_well(server.arrivals), seconds=10)
    report(server.arrivals)
    assert workers.longest_nap <= 1.0
    assert all(most_in_a_second(times) <= RATES[name] + 1 for name, times in server.arrivals.items())
    assert used_well(server.arrivals) or metronome.calm < 3.0


def used_well(arrivals):
    return all(throughput(arrivals[name]) >= 0.9 * rate for name, rate in RATES.items())


def test_flushes_and_restarts_of_redis_let_no_burst_through(forgetful, server):
    def restart():
        forgetful.kill()
        forgetful.start()

    with Workers(2, forgetful, server) as workers, connect(forgetful.url) as redis:
        for count, disturb in [
            (8, redis.flushall),
            (16, redis.script_flush),
            (20, restart),
            (25, redis.flushall),
            (35, lambda: None),
        ]:
            server.listen(until=lambda count=count: server.count >= count, seconds=30)
            disturb()
    report(server.arrivals)
    assert workers.longest_nap <= 1.0
    assert server.count >= 35
    assert all(most_in_a_second(times) <= RATES[name] + 1 for name, times in server.arrivals.items())
