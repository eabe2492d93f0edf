"""What makes the API good to sync with, around every handler: rate limits that say how much is left, ETags, and writes that may be repeated.

| header | does |
|---|---|
| `RateLimit-Limit`, `-Remaining`, `-Reset` | how many requests a key or session may burst, has left, and seconds until all of them are back |
| `ETag`, `If-None-Match` | an answer that has not changed is 304 without a body (RFC 9110, 13.1.2) |
| `If-Match` | a change of what is not any more as it was read is 412 (RFC 9110, 13.1.1) |
| `Idempotency-Key` | a write that is repeated within 24 hours answers what it answered, and is not done again |
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

import anyio.to_thread
import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from cleanmails.api import auth, problems
from cleanmails.errors import (
    AuthError,
    BusyError,
    CleanmailsError,
    ConflictError,
    Fault,
    InvalidError,
    MismatchError,
    StaleError,
)
from cleanmails.ledger import idempotency
from cleanmails.ledger.db import Database
from cleanmails.vault import Vault

KEY_LENGTH: Final = 255
BODY_MOST: Final = 5_000_000
"""Bytes of a body whose request may have an Idempotency-Key."""

_CALLERS: Final = 50_000
CONDITIONAL: Final = frozenset({"PUT", "PATCH", "DELETE"})
"""Methods whose `If-Match` is heeded: they are about what a GET of the same address shows."""

_WRITES: Final = CONDITIONAL | {"POST"}
_KEPT: Final = (b"content-type", b"location", b"etag")


class Allowance(msgspec.Struct, frozen=True):
    """What a caller has left: whole requests, seconds until all are back, and seconds until the next (0: now)."""

    limit: int
    left: int
    reset: int
    wait: int


class Meter:
    """A bucket a caller: `per_minute` requests at once, which come back evenly. In memory: N web processes allow N times as much."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._levels: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def take(self, caller: bytes) -> Allowance:
        """Counts one request; `wait` above 0 means that it is refused."""
        rate = self._limit / 60
        with self._lock:
            now = self._clock()
            level, seen = self._levels.pop(caller, (float(self._limit), now))
            level = min(self._limit, level + (now - seen) * rate)
            granted = level >= 1
            level -= granted
            self._levels[caller] = (level, now)
            while len(self._levels) > _CALLERS:
                self._levels.popitem(last=False)
        wait = 0 if granted else max(1, -int(-(1 - level) // rate))
        return Allowance(self._limit, int(level), -int(-(self._limit - level) // rate), wait)


class Comfort:
    """Wraps the application. Pages and what strangers call (links in mails) are passed on untouched."""

    def __init__(
        self,
        inner: ASGIApp,
        database: Database,
        vault: Vault,
        meter: Meter,
        clock: Callable[[], datetime],
        *,
        secure: bool,
    ) -> None:
        self._inner, self._database, self._vault = inner, database, vault
        self._meter, self._clock, self._secure = meter, clock, secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != ScopeType.HTTP or not scope["path"].startswith("/v1/"):
            await self._inner(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        who = _credentials(headers, secure=self._secure)
        if who.token is None:
            await self._inner(scope, receive, send)
            return
        allowance = self._meter.take(auth.token_hash(who.token))
        out = _adding(send, _limits(allowance))
        if allowance.wait:
            said = "This key or session has made too many requests; wait before the next."
            await _refuse(out, BusyError(said, code=problems.TOO_MANY, retry_after=allowance.wait))
        elif scope["method"] in _WRITES and b"idempotency-key" in headers:
            await self._once(scope, receive, out, headers[b"idempotency-key"], who)
        elif scope["method"] in _WRITES:
            await self._write(scope, receive, out, who)
        elif scope["method"] == "GET":
            await self._inner(scope, receive, _tagged(out, headers.get(b"if-none-match")))
        else:
            await self._inner(scope, receive, out)

    async def _write(self, scope: Scope, receive: Receive, send: Send, who: "_Caller") -> None:
        wanted = next(
            (value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"if-match"), None
        )
        if wanted is None or scope.get("method") not in CONDITIONAL:
            await self._inner(scope, receive, send)
            return
        try:
            place = await anyio.to_thread.run_sync(self._hold, who, scope["path"])
        except AuthError:
            await self._inner(scope, receive, send)
            return
        except CleanmailsError as error:
            await _refuse(send, error)
            return
        try:
            seen = _Seen()
            await self._inner(_as_get(scope), _replayed(b""), _tagged(seen, None))
            if seen.fits(wanted):
                await self._inner(scope, receive, send)
            else:
                said = (
                    "This is not any more as If-Match says; nothing was changed. Read it again, and send its new ETag."
                )
                await _refuse(send, StaleError(said))
        finally:
            await anyio.to_thread.run_sync(self._end, *place, None)

    def _hold(self, who: "_Caller", path: str) -> tuple[str, str]:
        """Between the look and the write nobody else who looks may write; who does not look is not held up. AuthError; ConflictError if somebody is at it."""
        workspace = self._principal(who).workspace_id
        place = f"{workspace}:if-match", hashlib.sha256(path.encode()).hexdigest()
        with self._database.transaction() as db:
            held = idempotency.begin(db, *place, b"", now=self._clock())
        if held is not None:
            raise ConflictError("Somebody else changes this right now; read it again.", code="in_progress")
        return place

    async def _once(self, scope: Scope, receive: Receive, send: Send, key: str, who: "_Caller") -> None:
        body = await _body(receive)
        asked = hashlib.sha256(
            f"{scope.get('method')} {scope['path']}?".encode() + scope["query_string"] + b"\n" + body
        )
        try:
            _check(key, body)
            owner = await anyio.to_thread.run_sync(self._owner, who)
            known = await anyio.to_thread.run_sync(self._begin, owner, key, asked.digest())
        except AuthError:
            await self._inner(scope, _replayed(body), send)
            return
        except CleanmailsError as error:
            await _refuse(send, error)
            return
        if known is not None:
            await _answer(send, known)
            return
        kept = _Keeping(send)
        try:
            await self._write(scope, _replayed(body), kept, who)
        finally:
            await anyio.to_thread.run_sync(self._end, owner, key, kept.stored())

    def _owner(self, who: "_Caller") -> str:
        """Whose keys they are: an API key's, or a user's in a workspace. AuthError."""
        found = self._principal(who)
        return f"{found.workspace_id}:{'key' if found.api_key_id else 'user'}:{found.api_key_id or found.user_id}"

    def _principal(self, who: "_Caller") -> auth.Principal:
        return auth.identify(self._database, self._clock(), bearer=who.bearer, cookie=who.cookie)

    def _begin(self, owner: str, key: str, asked: bytes) -> "Stored | None":
        """None: do it. Otherwise it was done, and this was the answer. ConflictError while it is being done; MismatchError if the key was another request's."""
        with self._database.transaction() as db:
            row = idempotency.begin(db, owner, key, asked, now=self._clock())
        if row is None:
            return None
        if bytes(row["request"]) != asked:
            raise MismatchError("This Idempotency-Key was used for another request; take a new one.")
        if row["answer"] is None:
            raise ConflictError("The first request with this Idempotency-Key is still being done.", code="in_progress")
        return msgspec.msgpack.decode(self._vault.open(bytes(row["answer"]), _sealed_for(owner, key)), type=Stored)

    def _end(self, owner: str, key: str, stored: "Stored | None") -> None:
        with self._database.transaction() as db:
            if stored is None:
                idempotency.release(db, owner, key)
            else:
                # An answer may hold a secret that is shown once: it is kept like one.
                sealed = self._vault.seal(msgspec.msgpack.encode(stored), _sealed_for(owner, key))
                idempotency.finish(db, owner, key, sealed, now=self._clock())


class Stored(msgspec.Struct, frozen=True):
    """An answer as it was given."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class _Keeping:
    """Passes an answer on and keeps it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._whole = False

    async def __call__(self, message: Any) -> None:  # noqa: ANN401 - a message of ASGI
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(name, value) for name, value in message["headers"] if name.lower() in _KEPT]
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            self._whole = not message.get("more_body", False)
        await self._send(message)

    def stored(self) -> Stored | None:
        """What is answered to a repetition; None if nothing was done, so that it may be tried again."""
        settled = self._whole and self._status < 500 and self._status not in {401, 403, 409, 412, 429}
        return Stored(self._status, self._headers, self._body) if settled else None


class _Seen:
    """Takes an answer, and keeps its status and its tag."""

    def __init__(self) -> None:
        self._status, self._tag = 0, ""

    async def __call__(self, message: Any) -> None:  # noqa: ANN401 - a message of ASGI
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._tag = dict(message["headers"]).get(b"etag", b"").decode()

    def fits(self, wanted: str) -> bool:
        """Whether a write under these tags may be done, by strong comparison (RFC 9110, 8.8.3.2). What cannot be read is refused by the write itself; what
        has no GET has no tag.
        """
        if self._status == HTTPStatus.OK:
            return bool({each.strip() for each in wanted.split(",")} & {"*", self._tag or "*"})
        return self._status != HTTPStatus.METHOD_NOT_ALLOWED


def _as_get(scope: Scope) -> Any:  # noqa: ANN401 - litestar's scopes are many
    """A GET of the same address by the same caller."""
    dropped = {b"content-length", b"content-type", b"transfer-encoding"}
    headers = [pair for pair in scope["headers"] if pair[0].lower() not in dropped]
    return {**scope, "method": "GET", "query_string": b"", "headers": headers, "state": {}}


def _check(key: str, body: bytes) -> None:
    """InvalidError for a key that is none, or a body that is too large for one."""
    if not key.isprintable() or not 0 < len(key) <= KEY_LENGTH:
        raise InvalidError(
            [Fault("Idempotency-Key", "length", f"This must be 1 to {KEY_LENGTH} printable characters.")]
        )
    if len(body) > BODY_MOST:
        raise InvalidError([Fault("Idempotency-Key", "too_large", "A body this large takes no such key.")])


def _sealed_for(owner: str, key: str) -> str:
    return f"idempotency:{owner}:{key}"


class _Caller(msgspec.Struct, frozen=True):
    bearer: str | None
    cookie: str | None

    @property
    def token(self) -> str | None:
        return (self.bearer if self.bearer is not None else self.cookie) or None


def _credentials(headers: dict[bytes, str], *, secure: bool) -> _Caller:
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else None
    try:
        jar = SimpleCookie(headers.get(b"cookie", ""))
    except CookieError:
        return _Caller(bearer, None)
    cookies = {name: each.value for name, each in jar.items()}
    return _Caller(bearer, auth.session_token(cookies, secure=secure, browser=b"sec-fetch-site" in headers))


def _limits(allowance: Allowance) -> list[tuple[bytes, bytes]]:
    values = {"limit": allowance.limit, "remaining": allowance.left, "reset": allowance.reset}
    return [(f"ratelimit-{name}".encode(), str(value).encode()) for name, value in values.items()]


def _adding(send: Send, extra: list[tuple[bytes, bytes]]) -> Send:
    async def send_on(message: Any) -> None:  # noqa: ANN401 - a message of ASGI
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *extra]
        await send(message)

    return send_on


def _tagged(send: Send, wanted: str | None) -> Send:
    """Gives a JSON answer its ETag, and leaves its body out for who has it. What is streamed is passed on."""
    begun: list[Any] = []

    async def send_on(message: Any) -> None:  # noqa: ANN401 - a message of ASGI
        if message["type"] == "http.response.start":
            kinds = dict(message["headers"]).get(b"content-type", b"")
            if message["status"] == 200 and kinds.startswith(b"application/json"):
                begun.append(message)
            else:
                await send(message)
            return
        if message["type"] == "http.response.body" and begun:
            start = begun.pop()
            if message.get("more_body", False):
                await send(start)
            else:
                tag = f'"{hashlib.sha256(message["body"]).hexdigest()[:32]}"'
                same = wanted is not None and (wanted.strip() == "*" or tag in _tags(wanted))
                dropped = {b"content-length", b"content-type"} if same else set()
                kept = [pair for pair in start["headers"] if pair[0].lower() not in dropped]
                start["headers"] = [*kept, (b"etag", tag.encode()), (b"vary", b"Authorization, Cookie")]
                if same:
                    start["status"], message["body"] = 304, b""
                await send(start)
        await send(message)

    return send_on


def _tags(header: str) -> set[str]:
    """The tags of a list; by weak comparison (RFC 9110, 8.8.3.2)."""
    return {each.strip().removeprefix("W/") for each in header.split(",")}


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += message.get("body", b"")
        if not message.get("more_body", False) or len(body) > BODY_MOST:
            return body


def _replayed(body: bytes) -> Receive:
    given = False

    async def receive() -> Any:  # noqa: ANN401 - a message of ASGI
        nonlocal given
        if given:
            await anyio.sleep_forever()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _answer(send: Send, stored: Stored) -> None:
    headers = [*stored.headers, (b"idempotency-replayed", b"true"), (b"content-length", str(len(stored.body)).encode())]
    await _send(send, stored.status, headers, stored.body)


async def _refuse(send: Send, error: CleanmailsError) -> None:
    problem = problems.from_anything(error)
    body = msgspec.json.encode(problem)
    given = {
        **problems.headers(error, problem),
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
    }
    await _send(send, problem.status, [(name.lower().encode(), value.encode()) for name, value in given.items()], body)


async def _send(send: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:  # noqa: ANN401 - ASGI's
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
