"""Receivers of webhooks on the loopback: one that answers as a test says, and one that misbehaves byte by byte."""

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec


class Receiver:
    """Keeps what it is sent. `answer(request)` gives the status, or (status, headers, body), of each answer; by default 200."""

    def __init__(self, answer=lambda _: 200):
        self.answer = answer
        self.requests = []
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                request = Request(self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
                with outer.lock:
                    outer.requests.append(request)
                said = outer.answer(request)
                status, headers, body = said if isinstance(said, tuple) else (said, {}, b"ok")
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815 - the library's names

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=lambda: self.server.serve_forever(poll_interval=0.01), daemon=True)

    def bodies(self):
        return [request.json() for request in self.requests]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Request:
    """What came."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body

    def json(self):
        return msgspec.json.decode(self.body)


@contextmanager
def raw(talk):
    """A server that does `talk(connection)` with each connection, in a thread of its own; gives its port."""
    server = socket.create_server(("127.0.0.1", 0))
    ends = threading.Event()

    def one(connection):
        with connection:
            try:
                talk(connection, ends)
            except OSError:
                return

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        ends.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
