"""A small IMAP server (RFC 3501) over the catcher's mailboxes, for tests and the demonstration: reading, IDLE, APPEND, and faults on request.

It speaks what clients of today ask for: STARTTLS, LOGIN, PLAIN and XOAUTH2, EXAMINE, STATUS, UID SEARCH and UID FETCH, IDLE (RFC 2177), SPECIAL-USE
(RFC 6154), UIDPLUS' answer to APPEND. A real server stands beside it in one test (dovecot).
"""

import asyncio
import base64
import binascii
import contextlib
import email
import re
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from email.message import Message
from enum import StrEnum
from typing import Any

import msgspec

from cleanmails.demo import background
from cleanmails.demo.catcher.boxes import FOLDERS, Boxes, Entry, Standing
from cleanmails.demo.certificates import Certificates

Token = bytes | list[Any]
"""A word of a command, or a list of them."""

MOST = 64 * 1024 * 1024
_TOKEN = re.compile(rb'\(|\)|"((?:[^"\\]|\\.)*)"|[^\s()"\[]+(?:\[[^\]]*\](?:<[0-9.]+>)?)?')
_LITERAL = re.compile(rb"\{([0-9]+)(\+?)\}\r?\n\Z")
_SECTION = re.compile(r"BODY(\.PEEK)?\[(.*?)\](?:<([0-9]+)\.([0-9]+)>)?", re.IGNORECASE | re.DOTALL)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Deed(StrEnum):
    """What a fault does. `hang`: never answers; `drop`: hangs up; `midway`: hangs up in the middle of a message; `refuse`: says NO; `bye`: says
    BYE and leaves; `garbage`: says what is no IMAP; `flood`: announces a message of 4 GB.

    The lies: `ghost`: SEARCH names a UID that is not there; `stray`: FETCH also answers with what was not asked for; `twice`: SEARCH names each UID
    twice; `swallow`: FETCH says OK and hands out nothing.
    """

    HANG = "hang"
    DROP = "drop"
    MIDWAY = "midway"
    REFUSE = "refuse"
    BYE = "bye"
    GARBAGE = "garbage"
    FLOOD = "flood"
    GHOST = "ghost"
    STRAY = "stray"
    TWICE = "twice"
    SWALLOW = "swallow"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A deed at a command (`GREETING`, `LOGIN`, `EXAMINE`, `SEARCH`, `FETCH`, `IDLE` ...), for one user or all, so many `times` (None: always)."""

    at: str
    deed: Deed
    user: str | None = None
    times: int | None = None


class Imap:
    """A running server: where it listens, what it heard, and what it does wrong (`faults` may be changed at any time)."""

    def __init__(self, boxes: Boxes, terms: "_Terms") -> None:
        self.boxes = boxes
        self.terms = terms
        self.loop: asyncio.AbstractEventLoop | None = None
        self.port = 0
        self.tls_port = 0
        self.heard: Counter[str] = Counter()
        """How often each command came; `UID FETCH` counts as FETCH."""
        self.faults: list[Fault] = []
        self.sessions: set[_Session] = set()
        self._met: Counter[Fault] = Counter()

    @property
    def idling(self) -> int:
        """How many connections wait in IDLE now."""
        return sum(session.idles for session in list(self.sessions))

    def fault(self, at: str, user: str) -> Deed | None:
        """What goes wrong at this command of this user; counts it."""
        for fault in self.faults:
            meant = fault.at == at and fault.user in {None, user}
            if meant and (fault.times is None or self._met[fault] < fault.times):
                self._met[fault] += 1
                return fault.deed
        return None


class _Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What every connection is offered and asked for."""

    tls: ssl.SSLContext | None
    credentials: Mapping[str, str] | None
    tokens: Callable[[str, str], bool] | None
    idle: bool


@contextlib.contextmanager
def serving(
    boxes: Boxes,
    *,
    port: int = 0,
    certificates: Certificates | None = None,
    credentials: Mapping[str, str] | None = None,
    tokens: Callable[[str, str], bool] | None = None,
    idle: bool = True,
) -> Iterator[Imap]:
    """Serves mailboxes on 127.0.0.1 while the context lasts.

    With certificates STARTTLS is offered on `port`, and a second port speaks TLS from the first byte. With credentials (user to password) only those
    may sign in; without, everybody may, and gets a mailbox. `tokens` says whether (user, access token) is good; without it XOAUTH2 is not offered.
    """
    terms = _Terms(
        tls=certificates.server_context() if certificates else None, credentials=credentials, tokens=tokens, idle=idle
    )
    imap = Imap(boxes, terms)
    with background.loop("imap") as loop:
        imap.loop = loop
        servers = asyncio.run_coroutine_threadsafe(_listen(imap, port), loop).result()
        imap.port = servers[0].sockets[0].getsockname()[1]
        imap.tls_port = servers[-1].sockets[0].getsockname()[1]

        def tell(user: str, folder: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the mailboxes live on
                loop.call_soon_threadsafe(_announce, imap, user, folder)

        boxes.listen(tell)
        try:
            yield imap
        finally:
            for server in servers:
                loop.call_soon_threadsafe(server.close)


def _announce(imap: Imap, user: str, folder: str) -> None:
    for session in list(imap.sessions):
        if session.idles and session.user == user and session.folder == folder:
            session.tell_news()


async def _listen(imap: Imap, port: int) -> list[asyncio.Server]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(imap, reader, writer)
        imap.sessions.add(session)
        try:
            await session.run()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, _GoneError):
            pass
        except asyncio.CancelledError:
            pass  # the server ends, and asyncio's own callback would complain of it
        finally:
            imap.sessions.discard(session)
            writer.close()

    plain = await asyncio.start_server(serve, "127.0.0.1", port, limit=MOST, backlog=2_048)
    if imap.terms.tls is None:
        return [plain]
    return [plain, await asyncio.start_server(serve, "127.0.0.1", 0, ssl=imap.terms.tls, limit=MOST, backlog=2_048)]


class _GoneError(Exception):
    """The conversation is over."""


class _NoError(Exception):
    """The command is answered with NO and these words."""


class _Session:
    """One connection."""

    def __init__(self, imap: Imap, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._imap, self._boxes = imap, imap.boxes
        self._reader, self._writer = reader, writer
        self.user = ""
        self.folder: str | None = None
        self.idles = False
        self._read_only = True
        self._uids: list[int] = []
        self._deed: Deed | None = None

    async def run(self) -> None:
        """Talks until one side leaves."""
        await self._meet("GREETING")
        self._say(b"* OK [CAPABILITY " + self._offers() + b"] catcher ready")
        while True:
            tag, *words = await self._command()
            name = _text(words[0]).upper() if words else ""
            rest = words[1:]
            if name == "UID" and rest:
                name, rest = _text(rest[0]).upper(), rest[1:]
            self._imap.heard[name] += 1
            await self._answer(_text(tag), name, rest)
            await self._writer.drain()

    async def _answer(self, tag: str, name: str, words: list[Token]) -> None:
        answer = getattr(self, f"_do_{name.lower()}", None)
        try:
            if answer is None and name != "STARTTLS":
                self._say(f"{tag} BAD I do not know {name}".encode())
                return
            if not self.user and name not in {
                "CAPABILITY",
                "NOOP",
                "LOGIN",
                "AUTHENTICATE",
                "STARTTLS",
                "LOGOUT",
                "ID",
            }:
                raise _NoError("sign in first")  # noqa: TRY301
            await self._meet(name)
            if answer is None:
                await self._secure(tag)
                return
            told = await answer(words)
        except _NoError as no:
            self._say(f"{tag} NO {no}".encode())
        except (ValueError, IndexError, KeyError) as error:
            self._say(f"{tag} BAD {error}".encode())
        else:
            self.tell_news()
            self._say(f"{tag} OK {told or 'done'}".encode())
            if name == "LOGOUT":
                await self._writer.drain()
                raise _GoneError

    async def _meet(self, name: str) -> None:
        """Does what goes wrong here; what FETCH and SEARCH do wrong they find in `_deed`."""
        self._deed = self._imap.fault(name, self.user)
        match self._deed:
            case Deed.HANG:
                await asyncio.Event().wait()  # until the server ends
            case Deed.DROP:
                raise _GoneError
            case Deed.BYE:
                self._say(b"* BYE try again later")
                await self._writer.drain()
                raise _GoneError
            case Deed.GARBAGE:
                self._say(b"HTTP/1.1 400 what is this")
                await self._writer.drain()
                raise _GoneError
            case Deed.REFUSE:
                raise _NoError("[UNAVAILABLE] not now")
            case _:
                pass

    # What is said and heard.

    def _say(self, line: bytes) -> None:
        self._writer.write(line + b"\r\n")

    async def _command(self) -> list[Token]:
        """The words of one command, literals among them."""
        stack: list[list[Token]] = [[]]
        while True:
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                raise _GoneError
            literal = _LITERAL.search(line)
            _tokens(line[: literal.start()] if literal else line, stack)
            if literal is None:
                if not stack[0]:
                    continue
                return stack[0]
            if not literal[2]:
                self._say(b"+ go on")
                await self._writer.drain()
            stack[-1].append(await self._reader.readexactly(int(literal[1])))

    async def _line(self) -> bytes:
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise _GoneError
        return line.rstrip(b"\r\n")

    def tell_news(self) -> None:
        """Says what came and went in the selected folder since it was last told."""
        if self.folder is None:
            return
        uids = [entry.uid for entry in self._boxes.entries(self.user, self.folder)]
        for number in range(len(self._uids), 0, -1):
            if self._uids[number - 1] not in uids:
                self._say(f"* {number} EXPUNGE".encode())
                del self._uids[number - 1]
        if len(uids) > len(self._uids):
            self._say(f"* {len(uids)} EXISTS".encode())
        self._uids = uids

    # Before signing in.

    def _offers(self) -> bytes:
        terms = self._imap.terms
        offers = ["IMAP4rev1", "LITERAL+", "SASL-IR", "SPECIAL-USE", "UIDPLUS", "ID", "AUTH=PLAIN"]
        offers += ["IDLE"] if terms.idle else []
        offers += ["AUTH=XOAUTH2"] if terms.tokens else []
        offers += ["STARTTLS"] if terms.tls and not self._writer.get_extra_info("sslcontext") else []
        return " ".join(offers).encode()

    async def _do_capability(self, _words: list[Token]) -> None:
        self._say(b"* CAPABILITY " + self._offers())

    async def _do_id(self, _words: list[Token]) -> None:
        self._say(b'* ID ("name" "catcher")')

    async def _do_noop(self, _words: list[Token]) -> None:
        pass

    async def _do_logout(self, _words: list[Token]) -> None:
        self._say(b"* BYE until next time")

    async def _secure(self, tag: str) -> None:
        terms = self._imap.terms
        if terms.tls is None or self._writer.get_extra_info("sslcontext"):
            self._say(f"{tag} BAD no TLS here".encode())
            return
        self._say(f"{tag} OK go ahead".encode())
        await self._writer.drain()
        await self._writer.start_tls(terms.tls)

    async def _do_login(self, words: list[Token]) -> None:
        self._enter(_text(words[0]), _text(words[1]))

    async def _do_authenticate(self, words: list[Token]) -> None:
        mechanism = _text(words[0]).upper()
        said = words[1] if len(words) > 1 else None
        if said is None:
            self._say(b"+ ")
            await self._writer.drain()
            said = await self._line()
        try:
            text = base64.b64decode(_bytes(said), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _NoError("that is no base64") from error
        if mechanism == "PLAIN":
            _, user, password = text.split("\0")
            self._enter(user, password)
        elif mechanism == "XOAUTH2" and self._imap.terms.tokens:
            await self._enter_by_token(text)
        else:
            raise _NoError("there is no such way to sign in")

    def _enter(self, user: str, password: str) -> None:
        known = self._imap.terms.credentials
        if known is not None and known.get(user) != password:
            raise _NoError("[AUTHENTICATIONFAILED] wrong name or password")
        self._admit(user)

    async def _enter_by_token(self, text: str) -> None:
        fields = dict(part.partition("=")[::2] for part in text.split("\1") if part)
        user, token = fields.get("user", ""), fields.get("auth", "").removeprefix("Bearer ")
        assert self._imap.terms.tokens is not None
        if not self._imap.terms.tokens(user, token):
            self._say(b"+ " + base64.b64encode(b'{"status":"400","schemes":"Bearer"}'))
            await self._writer.drain()
            await self._line()
            raise _NoError("[AUTHENTICATIONFAILED] Invalid credentials")
        self._admit(user)

    def _admit(self, user: str) -> None:
        self._boxes.open(user)
        self.user = user.lower()

    # Folders.

    async def _do_list(self, _words: list[Token]) -> None:
        for folder, use in FOLDERS.items():
            self._say(f'* LIST (\\HasNoChildren{" " + use if use else ""}) "/" "{folder}"'.encode())

    _do_lsub = _do_list

    async def _do_select(self, words: list[Token]) -> str:
        return self._select(_text(words[0]), read_only=False)

    async def _do_examine(self, words: list[Token]) -> str:
        return self._select(_text(words[0]), read_only=True)

    def _select(self, name: str, *, read_only: bool) -> str:
        folder, standing = self._folder(name)
        self.folder, self._read_only = folder, read_only
        self._uids = [entry.uid for entry in self._boxes.entries(self.user, folder)]
        self._say(f"* {len(self._uids)} EXISTS".encode())
        self._say(b"* 0 RECENT")
        self._say(b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)")
        self._say(f"* OK [UIDVALIDITY {standing.validity}] as it is".encode())
        self._say(f"* OK [UIDNEXT {standing.next}] next".encode())
        return "[READ-ONLY] looked at" if read_only else "[READ-WRITE] selected"

    def _folder(self, name: str) -> tuple[str, Standing]:
        folder = "INBOX" if name.upper() == "INBOX" else name
        standing = self._boxes.standing(self.user, folder)
        if standing is None:
            raise _NoError("[NONEXISTENT] there is no such folder")
        return folder, standing

    async def _do_status(self, words: list[Token]) -> None:
        folder, standing = self._folder(_text(words[0]))
        values = {
            "MESSAGES": standing.messages,
            "UIDNEXT": standing.next,
            "UIDVALIDITY": standing.validity,
            "UNSEEN": standing.unseen,
            "RECENT": 0,
        }
        asked = [_text(word).upper() for word in _list(words[1])]
        told = " ".join(f"{name} {values[name]}" for name in asked)
        self._say(f'* STATUS "{folder}" ({told})'.encode())

    async def _do_unselect(self, _words: list[Token]) -> None:
        self.folder = None

    _do_close = _do_unselect

    async def _do_append(self, words: list[Token]) -> str:
        folder, standing = self._folder(_text(words[0]))
        uid = self._boxes.append(self.user, folder, _bytes(words[-1]), seen=b"\\Seen" in words[1])
        return f"[APPENDUID {standing.validity} {uid}] kept"

    # Messages.

    async def _do_search(self, words: list[Token]) -> None:
        entries = self._entries()
        uids = [entry.uid for entry in self._found(entries, list(words))]
        if self._deed is Deed.GHOST:
            uids.append(max([0, *(entry.uid for entry in entries)]) + 7)
        if self._deed is Deed.TWICE:
            uids = [*uids, *uids]
        self._say(b"* SEARCH" + b"".join(f" {uid}".encode() for uid in uids))

    def _entries(self) -> list[Entry]:
        if self.folder is None:
            raise _NoError("select a folder first")
        return self._boxes.entries(self.user, self.folder)

    def _found(self, entries: list[Entry], words: list[Token]) -> list[Entry]:
        highest = entries[-1].uid if entries else 0
        while words:
            word = words.pop(0)
            if isinstance(word, list):
                entries = self._found(entries, list(word))
                continue
            key = _text(word).upper()
            if key == "CHARSET":
                words.pop(0)
            elif key == "UID" or re.fullmatch(r"[0-9:*,]+", key):
                asked = _set(_text(words.pop(0)) if key == "UID" else key, highest)
                entries = [entry for entry in entries if asked(entry.uid)]
            elif key == "SINCE":
                since = _date(_text(words.pop(0)))
                entries = [entry for entry in entries if datetime.fromtimestamp(entry.at, UTC).date() >= since]
            elif key == "HEADER":
                name, value = _text(words.pop(0)), _text(words.pop(0)).lower()
                entries = [entry for entry in entries if value in self._header(entry.uid, name).lower()]
            elif key in {"SEEN", "UNSEEN"}:
                entries = [entry for entry in entries if entry.seen is (key == "SEEN")]
            elif key != "ALL":
                raise ValueError(f"cannot search by {key}")
        return entries

    def _header(self, uid: int, name: str) -> str:
        assert self.folder is not None
        return str(_head(self._boxes.raw(self.user, self.folder, uid)).get(name, ""))

    async def _do_fetch(self, words: list[Token]) -> None:
        entries = self._entries()
        asked = _set(_text(words[0]), entries[-1].uid if entries else 0)
        items = [_text(word) for word in _list(words[1])]
        if self._deed is Deed.SWALLOW:
            return
        for number, entry in enumerate(entries, 1):
            if asked(entry.uid) or (self._deed is Deed.STRAY and number == 1):
                await self._tell_message(number, entry, items)

    async def _tell_message(self, number: int, entry: Entry, items: Sequence[str]) -> None:
        said = [f"UID {entry.uid}".encode()]
        for item in items:
            section = _SECTION.fullmatch(item)
            if section:
                said.append(self._section(entry, section))
            elif item.upper() == "RFC822.SIZE":
                said.append(f"RFC822.SIZE {entry.size}".encode())
            elif item.upper() == "FLAGS":
                said.append(b"FLAGS (\\Seen)" if entry.seen else b"FLAGS ()")
            elif item.upper() == "INTERNALDATE":
                moment = datetime.fromtimestamp(entry.at, UTC)
                month = _MONTHS[moment.month - 1].title()
                said.append(f'INTERNALDATE "{moment:%d}-{month}-{moment:%Y %H:%M:%S} +0000"'.encode())
            elif item.upper() != "UID":
                raise ValueError(f"cannot fetch {item}")
        line = f"* {number} FETCH (".encode() + b" ".join(said) + b")"
        if self._deed is Deed.MIDWAY and len(line) > 200:
            self._writer.write(line[: len(line) // 2])
            await self._writer.drain()
            raise _GoneError
        self._say(line)
        await self._writer.drain()

    def _section(self, entry: Entry, section: re.Match[str]) -> bytes:
        assert self.folder is not None
        raw = self._boxes.raw(self.user, self.folder, entry.uid)
        if not section[1] and not self._read_only:
            self._boxes.see(self.user, self.folder, entry.uid)
        part = _part(raw, section[2].upper())
        origin = ""
        if section[3] is not None:
            first = int(section[3])
            part, origin = part[first : first + int(section[4])], f"<{first}>"
        size = 2**32 - 1 if self._deed is Deed.FLOOD else len(part)
        return f"BODY[{section[2]}]{origin} {{{size}}}\r\n".encode() + part

    async def _do_idle(self, _words: list[Token]) -> None:
        if not self._imap.terms.idle:
            raise ValueError("no IDLE here")
        self._say(b"+ idling")
        self.tell_news()
        await self._writer.drain()
        self.idles = True
        try:
            if (await self._line()).upper() != b"DONE":
                raise ValueError("DONE was expected")
        finally:
            self.idles = False


def _tokens(line: bytes, stack: list[list[Token]]) -> None:
    """Reads the words of a line into the list that is open, and opens and closes lists. ValueError: more are closed than were opened."""
    for found in _TOKEN.finditer(line):
        word = found[0]
        if word == b"(":
            opened: list[Token] = []
            stack[-1].append(opened)
            stack.append(opened)
        elif word == b")":
            if len(stack) > 1:
                stack.pop()
        else:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", found[1]) if found[1] is not None else word)


def _bytes(word: Token) -> bytes:
    if isinstance(word, bytes):
        return word
    raise ValueError("a list stands where a word was expected")


def _text(word: Token) -> str:
    return _bytes(word).decode("utf-8", "replace")


def _list(word: Token) -> list[Token]:
    return word if isinstance(word, list) else [word]


def _set(text: str, highest: int) -> Callable[[int], bool]:
    """A set of UIDs (`3,7:*`); `*` is the highest there is, so `9:*` always names one (RFC 3501, 6.4.8)."""
    ranges: list[tuple[int, int]] = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        ends = sorted(highest if end == "*" else int(end) for end in (first, last or first))
        ranges.append((ends[0], ends[1]))
    return lambda uid: any(low <= uid <= high for low, high in ranges)


def _date(text: str) -> date:
    day, month, year = text.strip('"').split("-")
    return datetime(int(year), _MONTHS.index(month.lower()) + 1, int(day), tzinfo=UTC).date()


def _head(raw: bytes) -> Message:
    return email.message_from_bytes(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")


def _part(raw: bytes, section: str) -> bytes:
    head, gap, body = raw.partition(b"\r\n\r\n")
    if not section:
        return raw
    if section == "HEADER":
        return head + gap
    if section == "TEXT":
        return body
    fields = re.fullmatch(r"HEADER\.FIELDS \((.*)\)", section)
    if fields is None:
        raise ValueError(f"there is no section {section}")
    message = _head(raw)
    lines = [f"{name}: {value}" for name, value in message.raw_items() if name.upper() in fields[1].split()]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("utf-8", "surrogateescape")
