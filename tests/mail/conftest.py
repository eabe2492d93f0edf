import contextlib
import socket
import threading

import pytest


class Peer:
    """The server's end of one connection, played by a test: says bytes, hears lines, and holds what it heard against what was expected."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""

    def say(self, *lines):
        self.raw("".join(f"{line}\r\n" for line in lines).encode())

    def raw(self, data):
        self.sock.sendall(data)

    def line(self):
        while b"\n" not in self._unread:
            self._more()
        line, _, self._unread = self._unread.partition(b"\n")
        return line.rstrip(b"\r").decode()

    def hear(self, *expected):
        for line in expected:
            assert self.line() == line

    def exactly(self, count):
        while len(self._unread) < count:
            self._more()
        data, self._unread = self._unread[:count], self._unread[count:]
        return data

    def quiet(self):
        """Whether nothing more has arrived."""
        self.sock.setblocking(False)
        try:
            self._more()
        except BlockingIOError:
            return not self._unread
        finally:
            self.sock.settimeout(10)
        return False

    def rest(self):
        """Whatever still comes until the other end is gone, politely or not."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                self._more()
        return self._unread

    def greet(self, *offers):
        self.say("220 mx.example ESMTP")
        assert self.line().startswith("EHLO ")
        self.say(*(f"250-{line}" for line in ("mx.example", *offers)), "250 HELP")

    def secure(self, context):
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def hang_up(self):
        self.sock.close()

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self._unread += data


@pytest.fixture
def play():
    """Starts a server that plays the given parts, one connection each, in turn. Gives its port; what fails in it fails the test."""
    with contextlib.ExitStack() as stack:

        def start(*parts):
            server = socket.create_server(("127.0.0.1", 0))
            faults = []
            thread = threading.Thread(target=_play, args=(server, parts, faults))
            thread.start()
            stack.callback(_finish, server, thread, faults)
            return server.getsockname()[1]

        yield start


def _play(server, parts, faults):
    for part in parts:
        try:
            sock, _ = server.accept()
        except OSError:
            return
        peer = Peer(sock)
        try:
            part(peer)
        except Exception as fault:  # noqa: BLE001 - raised again in the test's own thread
            faults.append(fault)
        finally:
            peer.sock.close()


def _finish(server, thread, faults):
    with contextlib.suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(20)
    assert not thread.is_alive()
    if faults:
        raise faults[0]
