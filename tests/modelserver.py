"""A language model that a test plays: a real HTTP server whose answers the test writes."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Played:
    """What the model is to say (`say`: a text, or a callable that is given the handler), and what it was asked."""

    def __init__(self, server):
        self.port = server.server_address[1]
        self.say = "a kind word"
        self.status = 200
        self.asked = []
        self.released = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def answer(self, handler, body):
        self.asked.append((handler.path, dict(handler.headers), body))
        if callable(self.say):
            self.say(handler)
            return
        if "contents" in body:
            reply = {"candidates": [{"content": {"parts": [{"text": self.say}]}}]}
        else:
            reply = {"choices": [{"message": {"content": self.say}}]}
        self.raw(handler, json.dumps(reply).encode(), self.status)

    @staticmethod
    def raw(handler, data, status=200):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


@contextmanager
def playing():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            played.answer(self, body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    played = Played(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield played
    finally:
        played.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
