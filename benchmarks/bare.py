"""The bare line of the pipeline benchmark: the same mails, signed and handed in by plain processes, without ledger, queue or promise.

`python benchmarks/bare.py --port P --mails N --processes 2` prints one JSON object. Each process composes, signs and sends its share over one
pipelined connection: what Python, OpenSSL and the mail server allow on this machine.
"""

import argparse
import json
import multiprocessing
import time

from cleanmails.bench import render
from cleanmails.mail import dkim
from cleanmails.mail.connector import Connector
from cleanmails.mail.smtp import Endpoint, Session
from cleanmails.records import Security


def share(port, mails, start, done) -> None:
    make = render.ours(dkim.generate_key()[0])
    session = Session(
        Endpoint(host="127.0.0.1", port=port, security=Security.PLAIN), connect=Connector(allow_private=True).connect
    )
    assert session.open() is None
    start.wait()
    for number in range(mails):
        to = render.person(number)
        answer = session.send("ann@sender.example", to.email, make(to), mark=lambda: True)
        assert answer.accepted, answer
    session.close()
    done.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--mails", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    start, done = (multiprocessing.Barrier(options.processes + 1) for _ in range(2))
    shares = [
        multiprocessing.Process(target=share, args=(options.port, options.mails // options.processes, start, done))
        for _ in range(options.processes)
    ]
    for each in shares:
        each.start()
    start.wait()
    begun = time.perf_counter()
    done.wait()
    seconds = time.perf_counter() - begun
    sent = options.mails // options.processes * options.processes
    print(json.dumps({"mails": sent, "seconds": round(seconds, 3), "mails_per_s": round(sent / seconds, 1)}))


if __name__ == "__main__":
    main()
