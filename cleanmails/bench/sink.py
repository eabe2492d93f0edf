"""A mail server that takes everything and keeps nothing: Postfix's `smtp-sink` where it is installed."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from cleanmails import launcher
from cleanmails.errors import CleanmailsError


class NoSinkError(CleanmailsError):
    """There is no `smtp-sink` on this machine; it comes with Debian's package postfix."""

    code = "no_sink"


@contextmanager
def sink() -> Iterator[int]:
    """The port on 127.0.0.1 where `smtp-sink` listens while the context lasts. From the main thread only."""
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise NoSinkError(
            "There is no smtp-sink here to send to. Install it: sudo apt-get install --no-install-recommends postfix"
        )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    line = launcher.command([program, "-u", "nobody", f"127.0.0.1:{port}", "1000"])
    process = subprocess.Popen(line, stdin=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            continue
        return
    raise NoSinkError(f"smtp-sink did not start on port {port}.")
