"""Pixels and links of mails: `/t/{token}/pixel.png` and `/t/{token}/link/{number}`.

A link leads only where the mail's link led, as the ledger has it: nothing in the request says where to. What we did not sign, and what is not there any
more, is a page that says so, never a redirect. Answers are never kept by anybody, so that every hit comes here.

A plain ASGI application before the router: these are by far the most frequent requests, and they need nothing of what the API's handlers share. They have
no log line each; what they did is in the table `hits`.
"""

import time
from typing import Final, Literal

import anyio
import anyio.to_thread
import httpx
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from cleanmails import log
from cleanmails.api.recorder import Arrived, Recorder
from cleanmails.api.unsubscribe import render_page
from cleanmails.errors import BusyError
from cleanmails.mail.tokens import Purpose, Tokens

PIXEL: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000b4944415478da636000020000050001e9fadcd80000000049454e44ae426082"
)
"""A PNG of one transparent point."""

WAITING: Final = 64
"""Clicks that may wait for the ledger at once; each needs a thread."""

_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-robots-tag", b"noindex"))
_METHODS: Final = {"GET", "HEAD"}

_log = log.get(__name__)


def around(inner: ASGIApp, recorder: Recorder, tokens: Tokens) -> ASGIApp:
    """An application that answers what is below `/t` itself, and hands everything else on."""
    threads: list[anyio.CapacityLimiter] = []  # made inside the event loop

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not scope["path"].startswith("/t/"):
            await inner(scope, receive, send)
            return
        if not threads:
            threads.append(anyio.CapacityLimiter(WAITING))
        method = str(scope.get("method"))
        try:
            await _serve(scope, send, method)
        except Exception:  # noqa: BLE001 - logged, and somebody waits for an answer
            _log.exception("hit.failed")
            await _page(send, method, "busy", 500)

    async def _serve(scope: Scope, send: Send, method: str) -> None:
        asked = _asked(scope, tokens)
        if method not in _METHODS:
            await _answer(send, method, 405, b"", (b"allow", b"GET, HEAD"))
        elif asked is None:
            await _page(send, method, "unknown", 404)
        elif asked[1] is None:
            recorder.open(_arrived(scope, method, asked[0], None))
            await _answer(send, method, 200, PIXEL, (b"content-type", b"image/png"), (b"accept-ranges", b"none"))
        else:
            await _follow(recorder, send, _arrived(scope, method, *asked), asked[1], threads[0])

    return serve


def _asked(scope: Scope, tokens: Tokens) -> tuple[int, int | None] | None:
    """The delivery and the number of the link (None for the pixel) that an address names; None for what we did not sign."""
    parts = bytes(scope.get("raw_path") or b"").decode("latin-1").split("/")
    match parts:
        case ["", "t", token, "pixel.png"]:
            found = tokens.read(token, Purpose.OPEN)
            return None if found is None else (found, None)
        case ["", "t", token, "link", number] if number.isascii() and number.isdigit() and len(number) <= 4:
            found = tokens.read(token, Purpose.CLICK)
            return None if found is None or str(int(number)) != number else (found, int(number))
    return None


def _arrived(scope: Scope, method: str, delivery_id: int, link: int | None) -> Arrived:
    agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
    client = scope.get("client")
    text = agent.decode("utf-8", "replace").replace("\0", "�")
    return Arrived(delivery_id, link, time.monotonic(), method, client[0] if client else None, text)


async def _follow(recorder: Recorder, send: Send, hit: Arrived, link: int, threads: anyio.CapacityLimiter) -> None:
    try:
        led = await anyio.to_thread.run_sync(recorder.click, hit, link, limiter=threads)
    except BusyError as error:
        _log.warning("click.refused", reason=error.message)
        await _page(send, hit.method, "busy", 503, (b"retry-after", b"5"))
        return
    if led is None:
        await _page(send, hit.method, "unknown", 404)
    elif not led:
        await _page(send, hit.method, "decoy", 200)
    else:
        await _answer(send, hit.method, 302, b"", (b"location", _location(led)))


def _location(url: str) -> bytes:
    """An address as it may stand in a header (RFC 9110, 10.2.2): names in other scripts by IDNA, the rest percent-encoded."""
    return (url if url.isascii() else str(httpx.URL(url))).encode("ascii")


async def _page(
    send: Send,
    method: str,
    state: Literal["unknown", "decoy", "busy"],
    status: int,
    *headers: tuple[bytes, bytes],
) -> None:
    body = render_page(state).encode()
    await _answer(send, method, status, body, (b"content-type", b"text/html; charset=utf-8"), *headers)


async def _answer(send: Send, method: str, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    """The whole answer. To HEAD the same without its body (RFC 9110, 9.3.2). A range that is asked for is answered by the whole (RFC 9110, 14.2)."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *_HEADERS, length]})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body, "more_body": False})
