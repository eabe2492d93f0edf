"""The supervisor, in a process of its own, watched through its log."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cleanmails.supervisor import Process, StartError, Supervisor

PROGRAM = """
import sys
from cleanmails import log
from cleanmails.supervisor import Process, Supervisor
log.configure("json")
patience, *lines = sys.argv[1:]
with Supervisor(patience=float(patience)) as supervisor:
    for number, line in enumerate(lines):
        supervisor.start(Process(name=f"p{number}", argv=("sh", "-c", line)), ready=lambda: True)
    supervisor.run()
"""

# Each says so when it is ready to be asked to end.
READY = 'echo \'{"event": "ready"}\''
STUBBORN = f"trap '' TERM; {READY}; exec sleep 1000"
DRAINING = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print('{"event": "ready"}', flush=True)
signal.sigwait([signal.SIGTERM])
print('{"event": "drained"}', flush=True)
"""


@contextmanager
def supervised(*lines: str, patience: float = 30.0) -> Iterator["Watched"]:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(patience), *lines], stdout=subprocess.PIPE) as process:
        try:
            yield Watched(process)
        finally:
            process.kill()


class Watched:
    """A running supervisor; `next` reads its log up to the next event of a name, `see` until all of some have come, in whatever order."""

    def __init__(self, process: subprocess.Popen):
        self.process = process

    def next(self, name: str) -> dict:
        for line in self.process.stdout:
            event = json.loads(line)
            if event.get("event") == name:
                return event
        raise AssertionError(f"the log ended without {name}")

    def see(self, *names: str) -> None:
        waited = list(names)
        for line in self.process.stdout:
            if (event := json.loads(line).get("event")) in waited:
                waited.remove(event)
            if not waited:
                return
        raise AssertionError(f"the log ended without {waited}")

    def rest(self) -> list[dict]:
        """All that is still written. It ends when nobody holds the pipe any more: neither the supervisor nor a child."""
        return [json.loads(line) for line in self.process.stdout]


def test_what_dies_is_started_again():
    with supervised("exec sleep 1000") as watched:
        pid = watched.next("process.started")["pid"]
        watched.next("supervisor.running")
        os.kill(pid, signal.SIGKILL)
        died = watched.next("process.died")
        assert (died["process"], died["how"], died["level"]) == ("p0", "SIGKILL", "warning")
        again = watched.next("process.restarted")
        assert again["process"] == "p0"
        assert again["pid"] != pid


def test_what_dies_at_once_is_started_less_and_less_often():
    with supervised("exit 3") as watched:
        died = [watched.next("process.died") for _ in range(3)]
        assert [event["again_in"] for event in died] == [0.1, 0.2, 0.4]
        assert {event["how"] for event in died} == {"code 3"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_lets_every_child_drain(number):
    with supervised(f"exec {sys.executable} -c {shlex.quote(DRAINING)}") as watched:
        watched.see("ready", "supervisor.running")
        watched.process.send_signal(number)
        events = [event["event"] for event in watched.rest()]
        assert events.count("drained") == 1
        assert "process.killed" not in events
        assert watched.process.wait() == 0


def test_what_does_not_end_is_killed_and_named():
    with supervised(STUBBORN, patience=0.1) as watched:
        watched.see("ready", "supervisor.running")
        watched.process.send_signal(signal.SIGTERM)
        killed = watched.next("process.killed")
        assert (killed["process"], killed["level"]) == ("p0", "error")
        assert watched.next("process.stopped")["how"] == "SIGKILL"
        assert not watched.rest()
        assert watched.process.wait() == 0


def test_a_second_signal_ends_the_patience():
    with supervised(STUBBORN, patience=1000) as watched:
        watched.see("ready", "supervisor.running")
        watched.process.send_signal(signal.SIGINT)
        watched.next("supervisor.stopping")
        watched.process.send_signal(signal.SIGINT)
        assert watched.next("process.killed")["process"] == "p0"


def test_what_started_last_is_stopped_first():
    with supervised("exec sleep 1000", "exec sleep 1000") as watched:
        watched.next("supervisor.running")
        watched.process.send_signal(signal.SIGTERM)
        assert [watched.next("process.stopped")["process"] for _ in range(2)] == ["p1", "p0"]


def test_a_killed_supervisor_takes_its_children_along():
    with supervised(f"{READY}; exec sleep 1000", f"{READY}; exec sleep 1000") as watched:
        watched.see("ready", "ready", "supervisor.running")
        watched.process.kill()
        watched.rest()


def test_ctrl_c_reaches_the_supervisor_alone():
    with supervised("exec sleep 1000") as watched:
        pid = watched.next("process.started")["pid"]
        assert os.getsid(pid) == pid


def test_a_process_that_ends_while_it_starts_is_an_error():
    with Supervisor() as supervisor, pytest.raises(StartError, match=r"web ended while it started \(code 3\)"):
        supervisor.start(Process(name="web", argv=("sh", "-c", "exit 3")), ready=lambda: False)


def test_a_process_that_never_gets_ready_is_an_error():
    with Supervisor() as supervisor, pytest.raises(StartError, match=r"web did not come up in 0\.1 seconds"):
        supervisor.start(Process(name="web", argv=("sleep", "1000")), ready=lambda: False, seconds=0.1)


def test_a_story_beside_it_can_finish_it():
    with Supervisor() as supervisor:
        supervisor.start(Process(name="web", argv=("sleep", "1000")), ready=lambda: True)
        supervisor.finish()
        supervisor.run()
        assert supervisor.wait(0)
