"""What is reached under which name. A workspace's tracking domain stands in mails, where strangers see it: behind it are only the addresses that mails hold.

A session's cookie is never set under such a name, and nobody who follows a mail's link up to its host finds a sign-in page there.
"""

import time
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import anyio.to_thread
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from cleanmails.api.unsubscribe import render_page
from cleanmails.errors import BusyError
from cleanmails.ledger import workspaces
from cleanmails.ledger.db import Database

KEPT_SECONDS: Final = 30.0
"""How long the names of tracking domains are believed."""

_OPEN: Final = ("/t/", "/unsubscribe/", "/static/", "/health")


class TrackingHosts:
    """The verified tracking domains, read anew when they are older than `KEPT_SECONDS`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names: frozenset[str] = frozenset()
        self._read_at = -KEPT_SECONDS

    async def holds(self, host: str) -> bool:
        """Whether a host is somebody's tracking domain. A ledger that does not answer changes nothing."""
        if time.monotonic() - self._read_at >= KEPT_SECONDS:
            self._read_at = time.monotonic()
            self._names = await anyio.to_thread.run_sync(self._read)
        return host in self._names

    def _read(self) -> frozenset[str]:
        try:
            with self._database.transaction() as db:
                return frozenset(workspaces.tracking_domains(db))
        except BusyError:
            return self._names


def around(inner: ASGIApp, database: Database, public_url: str) -> ASGIApp:
    """An application that under a tracking domain answers nothing but what mails lead to. `public_url` is where people work."""
    ours, tracking = urlsplit(public_url).hostname or "", TrackingHosts(database)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["path"].startswith(_OPEN):
            await inner(scope, receive, send)
            return
        host = _host(scope["headers"])
        if host == ours or not await tracking.holds(host):
            await inner(scope, receive, send)
            return
        body = b"" if scope.get("method") == "HEAD" else render_page("unknown").encode()
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return serve


def _host(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The name in `Host`, without its port."""
    text = next((value for name, value in headers if name == b"host"), b"").decode("latin-1").lower()
    return text.rpartition(":")[0] if ":" in text and not text.endswith("]") else text
