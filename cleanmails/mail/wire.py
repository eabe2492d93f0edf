"""A socket under deadlines, and the replies of RFC 5321 (4.2) read from it.

Every call takes its patience in seconds for the whole of what it does: a peer that drips one byte at a time gains nothing by it.
"""

import contextlib
import re
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

MAX_REPLY = 32 * 1024
"""Bytes of one reply, all its lines. RFC 5321 allows 512 a line; EHLO and long policy texts need a few thousand."""

MAX_TEXT = 2_000
"""Characters of a reply that are kept."""

_REST = 1.0  # seconds for the rest of what a server began to say out of turn
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\n]*?))?\r?\n")
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_ABORT = struct.pack("ii", 1, 0)

A = TypeVar("A")
R = TypeVar("R")


class WireError(Exception):
    """The conversation broke: the peer is gone, silent for too long, or does not speak SMTP. The message says which."""


class Reply(msgspec.Struct, frozen=True):
    """One reply of a server, all its lines."""

    code: int
    lines: tuple[str, ...]

    @property
    def enhanced(self) -> str | None:
        """The status code of RFC 3463 at the head of the text, `5.1.1`."""
        found = _ENHANCED.match(self.lines[0])
        return found[1] if found else None

    @property
    def text(self) -> str:
        """The lines as one, without the codes that head each of them, printable, at most 2,000 characters."""
        said = " ".join(_ENHANCED.sub("", line, count=1) for line in self.lines)
        return said.strip()[:MAX_TEXT]


class Wire:
    """A connected socket, plain or TLS, that writes bytes and reads replies. One thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sock.setblocking(False)  # what can be done at once costs one system call, not three
        self._unread = b""

    def write(self, data: bytes, patience: float) -> None:
        """Hands `data` to the socket. WireError: how much of it went out is not known."""
        deadline = _Deadline(patience)
        rest = memoryview(data)
        while rest:
            rest = rest[self._do(self._sock.send, rest, select.POLLOUT, deadline) :]

    def reply(self, patience: float) -> Reply:
        """Reads one reply. WireError: none came whole, it is too long, its lines disagree, or it is not SMTP."""
        deadline = _Deadline(patience)
        lines: list[str] = []
        code, size, more = 0, 0, True
        while more:
            line = self._line(MAX_REPLY - size, deadline)
            parsed = _LINE.fullmatch(line)
            if parsed is None or (lines and int(parsed[1]) != code):
                raise WireError(f"the server's answer is not SMTP: {_printable(line[:80])}")
            code, size, more = int(parsed[1]), size + len(line), parsed[2] == b"-"
            lines.append(_printable(parsed[3] or b""))
        return Reply(code, tuple(lines))

    def unasked(self) -> Reply | None:
        """What the server has said out of turn, without waiting for it to begin; None when it is quiet. WireError: it is gone."""
        try:
            self._unread += _received(self._sock.recv(MAX_REPLY))
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            raise WireError(_what_broke(error, 0)) from error
        return self.reply(_REST) if self._unread else None

    def secure(self, context: ssl.SSLContext, host: str, patience: float) -> None:
        """Goes over to TLS, with the certificate held against `host`. WireError also when plain text waits unread (CVE-2011-0411)."""
        if self._unread:
            raise WireError("the server sent plain text where TLS was to begin; somebody may be in between")
        try:
            self._sock.settimeout(patience)
            self._sock = context.wrap_socket(self._sock, server_hostname=host.rstrip("."))
            self._sock.setblocking(False)
        except (OSError, ValueError) as error:
            raise WireError(_what_broke(error, patience)) from error

    def close(self) -> None:
        """Closes in peace."""
        with contextlib.suppress(OSError):
            self._sock.close()

    def abort(self) -> None:
        """Cuts the connection: what the peer has not got yet, it never gets, and it cannot take the end for a polite one."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self.close()

    def _line(self, room: int, deadline: "_Deadline") -> bytes:
        while (end := self._unread.find(b"\n")) < 0 and len(self._unread) <= room:
            self._unread += _received(self._do(self._sock.recv, MAX_REPLY, select.POLLIN, deadline))
        if not 0 <= end < room:
            raise WireError("the server's answer has no end")
        line, self._unread = self._unread[: end + 1], self._unread[end + 1 :]
        return line

    def _do(self, call: Callable[[A], R], argument: A, event: int, deadline: "_Deadline") -> R:
        """What `call` returns, as soon as the socket lets it; TLS may have to read in order to write, and the other way round."""
        while True:
            try:
                return call(argument)
            except BlockingIOError:
                deadline.wait(self._sock, event)
            except ssl.SSLWantReadError:
                deadline.wait(self._sock, select.POLLIN)
            except ssl.SSLWantWriteError:
                deadline.wait(self._sock, select.POLLOUT)
            except OSError as error:
                raise WireError(_what_broke(error, deadline.patience)) from error


class _Deadline:
    """The end of a patience that began when this was made."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._end = time.monotonic() + patience

    def wait(self, sock: socket.socket, event: int) -> None:
        """Until the socket is ready for `event`, or broken. WireError: the time is up."""
        ready = select.poll()
        ready.register(sock, event)
        left = self._end - time.monotonic()
        if left <= 0 or not ready.poll(left * 1000):
            error = TimeoutError()
            raise WireError(_what_broke(error, self.patience)) from error


def _received(data: bytes) -> bytes:
    if not data:
        raise WireError("the server closed the connection")
    return data


def _printable(said: bytes) -> str:
    return _UNPRINTABLE.sub(" ", said.decode("utf-8", "replace"))


def _what_broke(error: Exception, patience: float) -> str:
    match error:
        case TimeoutError():
            return f"nothing came for {patience:g} s"
        case ssl.SSLCertVerificationError():
            return f"the certificate does not hold: {error.verify_message}"
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return "the server closed the connection"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}"
        case OSError() if error.strerror:
            return error.strerror.lower()
    return str(error) or type(error).__name__
