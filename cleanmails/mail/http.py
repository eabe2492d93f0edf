"""HTTP/1.1 to addresses that users name: one request at a time, within a deadline and a few kilobytes, whatever the other side does.

Libraries follow redirects, look names up by themselves, and wait as long as each byte comes in time. Here the connector says which
address is connected to (`mail/connector.py`), no redirect is followed, one deadline counts for all of an exchange, and an answer
that is larger than asked for is cut off with its connection (RFC 9112 for framing).
"""

import contextlib
import functools
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Final, Self
from urllib.parse import urlsplit

import idna
import msgspec

from cleanmails.errors import UnreachableError

Connect = Callable[[str, int, float], socket.socket]
"""(host, port, seconds) to a connected socket, or UnreachableError: a `Connector`'s."""

HEAD_MOST: Final = 32_768
"""Bytes of a status line and headers; real ones have a few hundred."""

_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORTS: Final = {"http": 80, "https": 443}


class UrlError(ValueError):
    """This is not an address that is sent to; the message says why."""


class HttpError(UnreachableError):
    """An exchange broke: `connection_refused`, `timeout`, `tls`, `garbage` or `closed`, beside what the connector says."""

    code = "garbage"


class Target(msgspec.Struct, frozen=True):
    """An address in its one written form: `host` in lower case, ASCII, without brackets; `path` with the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the Host header says (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """All of it."""
        return f"{self.scheme}://{self.authority}{self.path}"


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered. `headers` by lower-case name; `body` up to the size that was asked for, `cut` if there was more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


def target(url: str) -> Target:
    """Reads an http(s) address. UrlError for whatever two readers could understand differently: user names, numbers as hosts, escapes, spaces."""
    if not url.isprintable() or any(char in url for char in ' \\<>"{}|^`'):
        raise UrlError("It must not hold spaces, backslashes or control characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlError("It is not a URL.") from error
    if parts.scheme not in _PORTS or not url[len(parts.scheme) :].startswith("://"):
        raise UrlError("It must start with https:// or http://.")
    if "@" in parts.netloc:
        raise UrlError("It must not hold a user name or a password.")
    if parts.fragment or "#" in url:
        raise UrlError("It must not hold a fragment (#).")
    if port == 0 or parts.netloc.endswith(":"):
        raise UrlError("Its port is not one.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise UrlError("Its path must be written in ASCII, other characters as %XX.")
    return Target(parts.scheme, _host(parts.netloc, parts.hostname or ""), port or _PORTS[parts.scheme], path)


def _host(netloc: str, host: str) -> str:
    """A name in ASCII, or an IP address as it is usually written."""
    if netloc.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError as error:
            raise UrlError("Its host is not an IPv6 address.") from error
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode().lower()
        except idna.IDNAError as error:
            raise UrlError("Its host is not a name.") from error
    labels = host.removesuffix(".").split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError as error:
            raise UrlError("Its host is a number, but not an IPv4 address like 192.0.2.1.") from error
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlError("Its host is not a name.")
    return host.removesuffix(".")


class Client:
    """Exchanges with one host, over one connection for as long as the other side keeps it. Not for several threads."""

    def __init__(self, connect: Connect, *, ca_file: str | None = None, patience: float = 15.0) -> None:
        """`patience`: seconds for one exchange, the connection included."""
        self._connect = connect
        self._ca_file = ca_file
        self._patience = patience
        self._sock: socket.socket | None = None
        self._peer: tuple[str, str, int] | None = None

    def request(
        self, method: str, to: Target, headers: Mapping[str, str], body: bytes, *, most: int = 1_024
    ) -> Response:
        """One exchange within the patience; up to `most` bytes of the answer's body. HttpError, UnreachableError.

        A kept connection that the other side has closed meanwhile is opened anew, if nothing of an answer had come.
        """
        deadline = time.monotonic() + self._patience
        fresh = not self._holds(to)
        message = _message(method, to, headers, body)
        try:
            return self._exchange(to, message, deadline, most, head_only=method == "HEAD")
        except HttpError as error:
            self.close()
            if fresh or error.code != "closed":
                raise
        except BaseException:
            self.close()
            raise
        try:
            return self._exchange(to, message, deadline, most, head_only=method == "HEAD")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets the connection go."""
        sock, self._sock, self._peer = self._sock, None, None
        if sock is not None:
            sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _holds(self, to: Target) -> bool:
        return self._sock is not None and self._peer == (to.scheme, to.host, to.port)

    def _exchange(self, to: Target, message: bytes, deadline: float, most: int, *, head_only: bool) -> Response:
        try:
            if not self._holds(to):
                self._open(to, deadline)
            assert self._sock is not None
            self._sock.settimeout(_left(deadline))
            # It may have answered before it had read everything.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._sock.sendall(message)
            reader = _Reader(self._sock, deadline)
            response, keep = _response(reader, most, head_only=head_only)
        except TimeoutError as error:
            raise HttpError("It did not answer in time.", code="timeout") from error
        except ssl.SSLError as error:
            raise HttpError(f"TLS failed: {error.reason or error}.", code="tls") from error
        except OSError as error:
            raise HttpError(f"The connection broke: {error.strerror or error}.", code="closed") from error
        if not keep:
            self.close()
        return response

    def _open(self, to: Target, deadline: float) -> None:
        self.close()
        sock = self._connect(to.host, to.port, _left(deadline))
        try:
            sock.settimeout(_left(deadline))
            if to.scheme == "https":
                sock = _context(self._ca_file).wrap_socket(sock, server_hostname=to.host)
        except BaseException:
            sock.close()
            raise
        self._sock, self._peer = sock, (to.scheme, to.host, to.port)


class _Reader:
    """Bytes of an answer within a deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline
        self.held = b""

    def more(self) -> bool:
        """Some more bytes; False at the end of the connection."""
        self._sock.settimeout(_left(self._deadline))
        data = self._sock.recv(65_536)
        self.held += data
        return bool(data)

    def until(self, mark: bytes, most: int) -> bytes:
        """What stands before a mark, which is taken too."""
        while mark not in self.held:
            if len(self.held) > most:
                raise HttpError("Its answer begins with more than headers may be.", code="garbage")
            if not self.more():
                raise HttpError(
                    "It closed the connection without an answer.", code="closed" if not self.held else "garbage"
                )
        part, _, self.held = self.held.partition(mark)
        return part

    def take(self, count: int) -> bytes:
        """Up to so many bytes, fewer at the end of the connection."""
        while len(self.held) < count and self.more():
            pass
        part, self.held = self.held[:count], self.held[count:]
        return part


def _message(method: str, to: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {to.path} HTTP/1.1", f"Host: {to.authority}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise HttpError("A header has a line break in it.", code="garbage")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def _response(reader: _Reader, most: int, *, head_only: bool) -> tuple[Response, bool]:
    """An answer, and whether the connection may be used again: its end was seen, and it does not say that it closes."""
    status, headers, modern = _head(reader)
    while 100 <= status < 200:  # interim answers (RFC 9110, 15.2)
        status, headers, modern = _head(reader)
    keep = modern and "close" not in headers.get("connection", "").lower()
    if head_only or status in {204, 304}:
        return Response(status=status, headers=headers, body=b""), keep and not reader.held
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body, whole = _chunks(reader, most)
    elif re.fullmatch(r"[0-9]{1,18}", headers.get("content-length", "")):
        size = int(headers["content-length"])
        body = reader.take(min(size, most))
        whole = len(body) == size
    else:
        body = reader.take(most)
        whole = keep = False
    return Response(status=status, headers=headers, body=body, cut=not whole), keep and whole and not reader.held


def _head(reader: _Reader) -> tuple[int, dict[str, str], bool]:
    head = reader.until(b"\r\n\r\n", HEAD_MOST).decode("latin-1")
    first, *lines = head.split("\r\n")
    found = re.fullmatch(r"HTTP/1\.([01]) ([1-5][0-9]{2})( .*)?", first)
    if found is None:
        raise HttpError("Its answer is not HTTP.", code="garbage")
    pairs = (line.partition(":") for line in lines)
    return int(found[2]), {name.strip().lower(): value.strip() for name, _, value in pairs}, found[1] == "1"


def _chunks(reader: _Reader, most: int) -> tuple[bytes, bool]:
    """The body out of chunks (RFC 9112, 7.1), and whether its end was seen."""
    body = b""
    while True:
        size_line = reader.until(b"\r\n", 1_024).partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,15}", size_line):
            raise HttpError("Its answer is cut into chunks that are none.", code="garbage")
        size = int(size_line, 16)
        if size == 0:
            while reader.until(b"\r\n", 8_192):
                pass
            return body, True
        room = most - len(body)
        body += reader.take(min(size, room))
        if size > room:
            return body, False
        if reader.take(2) != b"\r\n":
            return body, False


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


@functools.lru_cache(maxsize=16)
def _context(ca_file: str | None) -> ssl.SSLContext:
    """Certificates are always verified; made once, since the system's authorities take 20 ms to load."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
