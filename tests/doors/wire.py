"""The application called straight through ASGI, on a loop of its own: a thousand requests a second, so that tens of thousands can be tried."""

import asyncio
import threading
import traceback
from urllib.parse import unquote

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return msgspec.json.decode(self.body)

    @property
    def code(self):
        """The code of a problem, or None."""
        try:
            found = self.json()
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return found.get("code") if isinstance(found, dict) else None


class Wire:
    """Sends requests to an application, one at a time; `count` of them so far."""

    def __init__(self, app):
        self.app = app
        self.count = 0
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        # One task from the beginning to the end: the threads of handlers belong to it, and are not started anew for each request.
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._end.wait(),))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def ask(self, method, path, headers=(), body=b"", *, patient=False):
        """`path` with its query, as it stands in the request line; `headers` a mapping, or pairs of bytes. A stream of events is left once it
        has begun, unless one is `patient`."""
        self.count += 1
        pairs = headers.items() if isinstance(headers, dict) else headers
        raw, _, query = path.partition("?")
        given = [(b"host", b"testserver.localhost"), *((_raw(name).lower(), _raw(value)) for name, value in pairs)]
        if body and not any(name == b"content-length" for name, _ in given):
            given.append((b"content-length", str(len(body)).encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(raw, errors="replace"),
            "raw_path": raw.encode("latin-1", "replace"),
            "query_string": query.encode("latin-1", "replace"),
            "root_path": "",
            "headers": given,
            "client": ("127.0.0.1", 40_000),
            "server": ("testserver.localhost", 80),
        }
        return asyncio.run_coroutine_threadsafe(self._exchange(scope, body, patient), self._loop).result(120)

    async def _exchange(self, scope, body, patient):
        given, start, parts, ended = [body], {}, [], asyncio.Event()

        async def receive():
            if given:
                return {"type": "http.request", "body": given.pop(), "more_body": False}
            await ended.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message["type"] == "http.response.start":
                start.update(message)
                if not patient and dict(message["headers"]).get(b"content-type", b"").startswith(b"text/event-stream"):
                    ended.set()
            else:
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    ended.set()

        try:
            await self.app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - what a server would answer then, with a status that nothing else has
            return Answer(599, {}, "".join(traceback.format_exception(error)[-4:]).encode())
        named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], named, b"".join(parts))


def _raw(text):
    return text if isinstance(text, bytes) else text.encode("utf-8")
