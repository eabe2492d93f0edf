# ruff: noqa: N802 - aiosmtpd finds its hooks by the names of the commands
"""The mail server that takes every mail and sends none on: aiosmtpd, with a body reader of its own and behaviours on request."""

import asyncio
import base64
import contextlib
import logging
import re
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from cleanmails.demo import background
from cleanmails.demo.catcher.behaviour import Act, Attempt, Behaviour, Point, Script, by_address
from cleanmails.demo.catcher.boxes import Boxes
from cleanmails.demo.catcher.store import KEPT, Caught, Store
from cleanmails.demo.certificates import Certificates

MAX_SIZE = 32 * 1024 * 1024
_IDLE_SECONDS = 3_600.0
_PATH = re.compile(r"\s*<([^<>\s]*)>(.*)")


Authenticator = Callable[[SMTP, Session, Envelope, str, LoginPassword], AuthResult]


class Catcher:
    """A running mail catcher: where it listens, what it has caught, and how it behaves (`script` may be changed at any time)."""

    def __init__(self, store: Store, boxes: Boxes, script: Script) -> None:
        self.store = store
        self.boxes = boxes
        """The mailboxes of those who send here, if anybody opened them: what they hand in is copied to their Sent, as big providers do."""
        self.script = script
        self.port = 0
        # Whom it let wait it knows after a restart, too: else `times` would begin anew, and the patience of a sender would not.
        self._tries = Counter((met.mail_from, met.recipient) for met in store.met())

    def mails(self, *, after: int = 0) -> list[Caught]:
        """What was caught after the mail with the id `after`, oldest first."""
        return self.store.mails(after=after)

    def raw(self, mail_id: int) -> bytes:
        """The bytes of one mail. KeyError: there is none with this id."""
        raw = self.store.raw(mail_id)
        if raw is None:
            raise KeyError(mail_id)
        return raw

    def counts(self) -> dict[tuple[str, str], int]:
        """How many copies were caught of each (Message-ID, recipient)."""
        return self.store.counts()

    def behaviour(self, mail_from: str, recipient: str) -> Behaviour | None:
        """How this try is to be met; counts it."""
        self._tries[mail_from, recipient] += 1
        number = self._tries[mail_from, recipient]
        return self.script(Attempt(mail_from=mail_from, recipient=recipient, number=number))


@contextlib.contextmanager
def running(
    folder: Path | None = None,
    *,
    script: Script = by_address,
    port: int = 0,
    kept: int = KEPT,
    certificates: Certificates | None = None,
    credentials: Mapping[str, str] | None = None,
    tokens: Callable[[str, str], bool] | None = None,
    pipelining: bool = True,
) -> Iterator[Catcher]:
    """Catches mails on 127.0.0.1 while the context lasts. Without a folder they are kept in memory; `kept` is how many.

    With certificates STARTTLS is offered, and AUTH only under it. With credentials (user to password) only those may sign in, and must;
    without, everybody may. `tokens` says whether (user, access token) is good; without it XOAUTH2 is not offered.
    """
    # The library says a line per command, and warns of its own deprecations.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    store = Store(folder / "mails.sqlite" if folder else None, kept=kept)
    boxes = Boxes(folder / "boxes.sqlite" if folder else None)
    catcher = Catcher(store, boxes, script)
    terms = _Terms(
        pipelining=pipelining,
        tls=certificates.server_context() if certificates else None,
        sign_in=credentials is not None,
        authenticator=_authenticator(credentials),
        tokens=tokens,
    )
    with contextlib.closing(store), contextlib.closing(boxes), background.loop("mail catcher") as loop:
        server = asyncio.run_coroutine_threadsafe(_listen(catcher, terms, port), loop).result()
        catcher.port = server.sockets[0].getsockname()[1]
        try:
            yield catcher
        finally:
            loop.call_soon_threadsafe(server.close)


class _Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What every connection is offered and asked for."""

    pipelining: bool
    tls: ssl.SSLContext | None
    sign_in: bool
    authenticator: Authenticator
    tokens: Callable[[str, str], bool] | None


async def _listen(catcher: Catcher, terms: _Terms, port: int) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(lambda: _Server(catcher, terms), "127.0.0.1", port)


def _authenticator(credentials: Mapping[str, str] | None) -> Authenticator:
    def judge(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: LoginPassword
    ) -> AuthResult:
        known = credentials is None or credentials.get(login.login.decode()) == login.password.decode()
        return AuthResult(success=known, handled=False, auth_data=login)

    return judge


class _Hooks:
    """What aiosmtpd asks at each command; a behaviour is met by the connection itself."""

    def __init__(self, catcher: Catcher, terms: _Terms) -> None:
        self._catcher = catcher
        self._offers = ["250-PIPELINING"] if terms.pipelining else []

    async def handle_EHLO(
        self, _server: SMTP, session: Session, _envelope: Envelope, name: str, replies: list[str]
    ) -> list[str]:
        session.host_name = name
        return [replies[0], *self._offers, *replies[1:]]

    async def handle_MAIL(
        self, server: "_Server", _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        server.behaviour, server.trying = self._catcher.behaviour(address, ""), (address, "")
        refusal = await server.meet(Point.MAIL)
        if refusal is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return refusal or "250 2.1.0 sender ok"

    async def handle_RCPT(
        self, server: "_Server", _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        server.trying = (envelope.mail_from or "", address)
        server.behaviour = self._catcher.behaviour(*server.trying)
        refusal = await server.meet(Point.RCPT)
        if refusal is None:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return refusal or "250 2.1.5 recipient ok"


class _Server(SMTP):
    """One connection. The body is read in chunks, not lines: that takes 4 KB mails several times faster, and can be interrupted."""

    line_length_limit = MAX_SIZE  # of the stream's buffer; commands have limits of their own

    def __init__(self, catcher: Catcher, terms: _Terms) -> None:
        super().__init__(
            _Hooks(catcher, terms),
            data_size_limit=MAX_SIZE,
            enable_SMTPUTF8=True,
            hostname="catcher.example",
            ident="cleanmails catcher",
            timeout=_IDLE_SECONDS,
            tls_context=terms.tls,
            auth_require_tls=terms.tls is not None,
            auth_required=terms.sign_in,
            authenticator=terms.authenticator,
            auth_exclude_mechanism=[] if terms.tokens else ["XOAUTH2"],
            loop=asyncio.get_running_loop(),
        )
        self._store, self._boxes = catcher.store, catcher.boxes
        self._tokens = terms.tokens
        self.behaviour: Behaviour | None = None
        self.trying = ("", "")
        self._unsaid = b""

    async def auth_XOAUTH2(self, _server: SMTP, args: list[str]) -> AuthResult:
        """Signs in by access token; a refused one is explained in a challenge, as big providers do."""
        said = base64.b64decode(args[1]).decode() if len(args) > 1 else ""
        fields = dict(part.partition("=")[::2] for part in said.split("\1") if part)
        user, token = fields.get("user", ""), fields.get("auth", "").removeprefix("Bearer ")
        good = self._tokens is not None and self._tokens(user, token)
        if not good:
            await self.challenge_auth('{"status":"400"}')
        return AuthResult(success=good, handled=False, auth_data=LoginPassword(user.encode(), b""))

    async def smtp_DATA(self, arg: str | None) -> None:
        """Takes a mail. With several recipients the last one's behaviour holds."""
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        envelope = self.envelope
        if arg or envelope is None or not envelope.rcpt_tos:
            await self.push("501 5.5.4 DATA takes no argument" if arg else "503 5.5.1 no valid recipients")
            return
        refusal = await self.meet(Point.DATA)
        if refusal is None:
            await self.push("354 end with a dot on a line of its own")
            refusal = await self._take(envelope)
            self.envelope = Envelope()
        if refusal:
            await self.push(refusal)

    async def meet(self, point: Point) -> str | None:
        """Does what the behaviour wants at this point; gives the words of a refusal."""
        behaviour = self.behaviour
        if behaviour is None or behaviour.point is not point:
            return None
        self._store.meet(behaviour.name, *self.trying)
        if behaviour.act is Act.REFUSE and behaviour.number != 421:
            return behaviour.reply
        await self._flush()
        if behaviour.act is Act.TARPIT:
            await asyncio.sleep(behaviour.number)
            return None
        if behaviour.act is Act.REFUSE:
            self._unsaid = f"{behaviour.reply}\r\n".encode()
            await self._flush()
        if behaviour.act is not Act.SILENCE:
            self._writer.close()
        await asyncio.Event().wait()  # until the connection is lost: that cancels us
        raise AssertionError

    async def push(self, status: str | bytes) -> None:
        """Says a reply; while commands of the same write wait to be read, keeps it for one write of its own (RFC 2920, 3.2)."""
        self._unsaid += (status.encode() if isinstance(status, str) else status) + b"\r\n"
        if not self._reader._buffer:  # type: ignore[attr-defined]  # noqa: SLF001 - StreamReader does not tell otherwise
            await self._flush()

    async def _flush(self) -> None:
        said, self._unsaid = self._unsaid, b""
        self._writer.write(said)
        await self._writer.drain()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Address and parameters of MAIL and RCPT; the library's own reader takes more time than all the rest."""
        read = _PATH.fullmatch(arg)
        return (read[1], read[2]) if read else (None, None)

    async def _take(self, envelope: Envelope) -> str | None:
        """The body, and what comes of it: the reply, unless it was given before the body was whole."""
        early = await self.meet(Point.BODY)
        if early:
            await self.push(early)
        raw = await self._body()
        if early:
            return None
        if len(raw) > MAX_SIZE:
            return "552 5.3.4 message too large"
        return await self.meet(Point.DOT) or await self._keep(envelope, raw)

    async def _body(self) -> bytes:
        data, searched = bytearray(b"\r\n"), 0  # so that a dot on the very first line ends the body too
        while (end := data.find(b"\r\n.\r\n", searched)) < 0:
            searched = max(0, len(data) - 4)
            data += await self._reader.read(MAX_SIZE)
        if data[end + 5 :]:
            self._reader.feed_data(bytes(data[end + 5 :]))
        return bytes(data[: end + 2]).replace(b"\r\n.", b"\r\n")[2:]

    async def _keep(self, envelope: Envelope, raw: bytes) -> str:
        """Stores a mail, once per recipient, with what the sender will hear of it; gives the reply."""
        reply = told = "250 2.0.0 caught"
        behaviour = self.behaviour
        if behaviour and behaviour.point is Point.STORED and behaviour.act is not Act.TARPIT:
            told = behaviour.reply if behaviour.act is Act.REFUSE else ""
        now = time.time()
        for recipient in envelope.rcpt_tos:
            self._store.add(envelope.mail_from or "", recipient, raw, received_at=now, told=told)
        if envelope.mail_from and self._boxes.exists(envelope.mail_from):
            self._boxes.append(envelope.mail_from, "Sent", raw, at=now, seen=True)
        return await self.meet(Point.STORED) or reply
