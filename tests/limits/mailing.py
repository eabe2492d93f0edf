"""A worker process: threads that send a datagram with the name of a provider whenever it is their turn, until stdin ends.

Arguments: the URL of Redis, the port to send to, threads for each provider, and `name=rate` for each provider.
Prints the longest that any thread slept, in seconds.
"""

import socket
import sys
import threading

from cleanmails.errors import BusyError
from cleanmails.limits.connect import connect
from cleanmails.limits.rate import Rate

url, port, threads, *providers = sys.argv[1:]
redis = connect(url)
stop = threading.Event()
naps = [0.0]


def nap(seconds):
    naps.append(seconds)
    stop.wait(seconds)


def mail(provider, per_second):
    rate = Rate(redis, sleep=nap)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mails:
        while not stop.is_set():
            try:
                slot = rate.turn(provider, per_second)
            except BusyError:
                nap(0.02)
                continue
            if slot.granted:
                mails.sendto(provider.encode(), ("127.0.0.1", int(port)))
            else:
                nap(min(slot.wait, 1.0))


crowd = [
    threading.Thread(target=mail, args=(name, float(rate)))
    for name, _, rate in (each.partition("=") for each in providers)
    for _ in range(int(threads))
]
for thread in crowd:
    thread.start()
sys.stdin.read()
stop.set()
for thread in crowd:
    thread.join()
sys.stdout.write(f"{max(naps)}\n")
