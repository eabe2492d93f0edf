"""Reading a mailbox over IMAP (RFC 3501) without leaving a trace in it: EXAMINE and BODY.PEEK, nothing is ever marked, moved or deleted.

IMAPClient speaks the protocol; below it stand our own socket and reader. The connector says which address is connected to, one deadline counts for all of
a command, however slowly its bytes drip, and a server cannot make us hold more than was asked for. What IDLE waits for is heard by `heard`, which
never blocks, so that one thread can watch a thousand sockets.
"""

import contextlib
import imaplib
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, TypeVar

import imapclient
import msgspec
from imapclient.exceptions import IMAPClientError

from cleanmails.errors import UnreachableError
from cleanmails.mail import folders, sasl, tls
from cleanmails.mail.folders import Role
from cleanmails.records import Security

Connect = Callable[[str, int, float], socket.socket]
"""(host, port, seconds) to a connected socket, or UnreachableError or OSError: `Connector.connect`."""

T = TypeVar("T")

LINE_MOST: Final = 1_000_000
"""Bytes of a line: the UIDs of a hundred thousand messages."""

ANSWER_MOST: Final = 64_000_000
"""Bytes of all that is said to one command, beyond which nobody is read any further."""

UNASKED_MOST: Final = 1_000_000
"""Bytes that a server may say while it is waited for once: one thread listens to a thousand of them."""

TEXT_MOST: Final = 500
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_COUNT = re.compile(rb"\* ([0-9]{1,10}) (EXISTS|EXPUNGE)\b", re.IGNORECASE)
_BYTES = re.compile(r"""\bb(['"])(.*?)\1""")
_MESSAGE_ID = re.compile(rb"<[^<>\s]{1,900}>")
_BYE = re.compile(rb"\* BYE\b ?(.*)", re.IGNORECASE | re.DOTALL)
_BUSY = re.compile(
    r"\[(?:UNAVAILABLE|INUSE|LIMIT|OVERQUOTA|SERVERBUG)\]|too many|rate|try again|temporar|throttl", re.IGNORECASE
)


class ImapError(UnreachableError):
    """A mailbox cannot be read now. `imap_login`: the credentials do not hold; `imap_refused`: the server said no; `imap_broken`: the conversation broke or
    makes no sense; `imap_tls`: it could not be secured; `timeout`. Beside these stands what the connector says.
    """

    code = "imap_broken"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where and as whom to read mail. An `oauth_token` goes before the password (XOAUTH2); `ca_file` (PEM) is trusted beside the system's authorities."""

    host: str
    port: int
    security: Security
    username: str
    password: str | None = None
    oauth_token: str | None = None
    ca_file: str | None = None

    def __repr__(self) -> str:
        """Without the secrets: endpoints stand in tracebacks and logs."""
        return f"Endpoint({self.username} at {self.host}:{self.port}, {self.security})"


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of patience for all of a step."""

    connect: float = 15
    login: float = 30
    command: float = 30
    fetch: float = 120
    logout: float = 2


class Standing(msgspec.Struct, frozen=True):
    """How a folder stands: its UIDVALIDITY, the UID that the next message will have, how many messages there are. What was not told is None."""

    validity: int | None
    next: int | None
    messages: int | None


class _Wire(imaplib.IMAP4):
    """imaplib over a socket that is connected already, with a deadline for all of a command and bounds to what is read."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._given = sock
        self._held = bytearray()
        self._left = ANSWER_MOST
        self.deadline = deadline
        self.news = False
        """Whether messages came since this was last made false."""
        self.patience = UNASKED_MOST
        """How many bytes may still come unasked."""
        self.messages = 0
        """How many messages the folder has that was opened last."""
        super().__init__("", 0)

    def begin(self, deadline: float) -> None:
        """A new command: its time and its bytes begin to count, and what earlier ones left is forgotten."""
        self.deadline, self._left = deadline, ANSWER_MOST
        self.untagged_responses: dict[str, list[Any]] = {}

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:  # noqa: ARG002 - imaplib's hook
        """Takes the socket that was given."""
        self.host, self.port, self.sock = host, port, self._given

    def read(self, size: int) -> bytes:
        """A literal."""
        if size > self._left:
            raise self.abort(f"a message of {size} bytes was announced, which was not asked for")
        while len(self._held) < size:
            self._more()
        return self._take(size)

    def readline(self) -> bytes:
        """A line with its end."""
        searched = 0
        while (end := self._held.find(b"\n", searched)) < 0:
            searched = len(self._held)
            if searched > LINE_MOST:
                raise self.abort("a line has no end")
            self._more()
        line = self._take(end + 1)
        self._notice(line)
        return line

    def send(self, data: Any) -> None:  # noqa: ANN401 - bytes of any kind, as in imaplib
        """Hands bytes to the socket within the deadline."""
        self.sock.settimeout(self._time())
        self.sock.sendall(data)

    def unasked(self) -> list[bytes]:
        """Whole lines that have come by now, without waiting. abort: the server is gone, or does not stop talking."""
        self.sock.settimeout(0)
        try:
            while True:
                data = self.sock.recv(65_536)
                self.patience -= len(data)
                if self.patience < 0:
                    raise self.abort("the server says more than was asked for")
                self._keep(data)
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        lines: list[bytes] = []
        while (end := self._held.find(b"\n")) >= 0:
            lines.append(self._take(end + 1))
            self._notice(lines[-1])
        return lines

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Goes over to TLS. abort: plain text waits unread, which somebody may have put there (CVE-2011-0411)."""
        if self._held:
            raise self.abort("the server sent plain text where TLS was to begin")
        self.sock.settimeout(self._time())
        self.sock = context.wrap_socket(self.sock, server_hostname=host.rstrip("."))

    def shutdown(self) -> None:
        """Closes the socket."""
        with contextlib.suppress(OSError):
            self.sock.close()

    def _notice(self, line: bytes) -> None:
        found = _COUNT.match(line)
        if found is None:
            return
        if found[2].upper() == b"EXISTS":
            self.news, self.messages = True, int(found[1])
        else:
            self.messages = max(0, self.messages - 1)

    def _more(self) -> None:
        self.sock.settimeout(self._time())
        self._keep(self.sock.recv(65_536))

    def _keep(self, data: bytes) -> None:
        if not data:
            raise self.abort("the server closed the connection")
        self._left -= len(data)
        if self._left < 0 or len(self._held) > ANSWER_MOST:
            raise self.abort("the server says more than was asked for")
        self._held += data

    def _take(self, size: int) -> bytes:
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    def _time(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Client(imapclient.IMAPClient):  # type: ignore[misc] # the library has no types
    """IMAPClient over our wire."""

    def __init__(self, wire: _Wire) -> None:
        self.wire = wire
        super().__init__("", ssl=False, use_uid=True)
        # The library lets imaplib say every line to its logger, passwords among them.
        wire.debug = 0

    def _create_IMAP4(self) -> _Wire:  # noqa: N802 - the library's hook
        return self.wire

    def _set_read_timeout(self) -> None:
        """The wire has its deadlines."""


class Session:
    """One connection to a mailbox, used by one thread at a time. Every method raises ImapError, or the connector's UnreachableError, and nothing else
    for what a network or a server does; after an error the session is closed.
    """

    def __init__(self, endpoint: Endpoint, *, connect: Connect, timeouts: Timeouts | None = None) -> None:
        self._endpoint = endpoint
        self._connect = connect
        self._timeouts = timeouts or Timeouts()
        self._client: _Client | None = None
        self.folders: Mapping[Role, str] = {}
        """The names of the folders that are read."""
        self.idles = False
        """Whether the server was asked to tell when mail comes, and commands must wait for `done`."""
        self.reached = "connect"
        """How far `open` came: `connect`, `greeting`, `sign-in` or `folders`."""

    @property
    def is_open(self) -> bool:
        """Whether it was opened and has not broken."""
        return self._client is not None

    @property
    def offers_idle(self) -> bool:
        """Whether the server tells by itself when mail comes (RFC 2177)."""
        return self._client is not None and bool(self._client.has_capability("IDLE"))

    @property
    def messages(self) -> int:
        """How many messages the folder has that was opened last, as far as the server has told."""
        return self._client.wire.messages if self._client is not None else 0

    def open(self) -> None:
        """Connects, secures, signs in, and finds the folders."""
        end = self._endpoint
        sock = self._connect(end.host, end.port, self._timeouts.connect)
        try:
            self.reached = "greeting"
            with _explained(end, "greeting", self._timeouts.login):
                self._client = _Client(self._arrive(sock))
        except BaseException:
            sock.close()
            raise
        self.reached = "sign-in"
        with self._command("sign-in", self._timeouts.login) as client:
            self._sign_in(client)
        self.reached = "folders"
        with self._command("list of folders") as client:
            listing = client.list_folders()
            self.folders = folders.roles(
                ([_text(flag) for flag in flags], _text(delimiter) if delimiter else None, _text(name))
                for flags, delimiter, name in listing
            )

    def _arrive(self, sock: socket.socket) -> _Wire:
        """A secured connection whose server has greeted."""
        end, deadline = self._endpoint, time.monotonic() + self._timeouts.login
        if end.security is Security.TLS:
            sock.settimeout(self._timeouts.login)
            sock = _secured(sock, end)
        wire = _Wire(sock, deadline)
        try:
            if end.security is Security.STARTTLS:
                _start_tls(wire, end)
        except BaseException:
            wire.shutdown()
            raise
        return wire

    def _sign_in(self, client: _Client) -> None:
        end = self._endpoint
        try:
            if client.wire.state == "AUTH":
                return
            if end.oauth_token is not None:
                client.oauth2_login(end.username, end.oauth_token)
            elif client.has_capability("AUTH=PLAIN"):
                client.plain_login(end.username, end.password or "")
            else:
                client.login(end.username, end.password or "")
            client.wire.state = "AUTH"
        except IMAPClientError as error:
            # The library takes a broken conversation for a refusal, too.
            broken = next((e for e in (error, error.__context__) if isinstance(e, imaplib.IMAP4.abort)), None)
            if broken is not None:
                raise broken from error
            raise self._refused_login(str(error)) from error
        client._cached_capabilities = None  # noqa: SLF001 - more is offered to those who signed in
        if client.has_capability("ID"):
            with contextlib.suppress(IMAPClientError):
                client.id_({"name": "cleanmails"})

    def _refused_login(self, said: str) -> ImapError:
        end = self._endpoint
        said = sasl.without_secrets(
            said, sasl.mechanisms(end.username, end.password or "", end.oauth_token), (end.password, end.oauth_token)
        )
        said = _printable(re.sub(r"^(plain|login|authenticate) failed: ", "", said))
        if _BUSY.search(said):
            return ImapError(f"The server takes no sign-in now: {said}.", code="imap_refused")
        return ImapError(f"The server refused the sign-in: {said}.", code="imap_login")

    # Folders and messages.

    def look(self, folder: str) -> Standing:
        """How a folder stands, without opening it."""
        with self._command("STATUS") as client:
            told = client.folder_status(folder, ("UIDVALIDITY", "UIDNEXT", "MESSAGES"))
            return _standing(told, b"MESSAGES")

    def examine(self, folder: str) -> Standing:
        """Opens a folder read-only: what follows is about it."""
        with self._command("EXAMINE") as client:
            client.wire.news = False
            return _standing(client.select_folder(folder, readonly=True), b"EXISTS")

    def after(self, uid: int) -> list[int]:
        """The UIDs above `uid`, ascending. A server that names others is not believed."""
        return [found for found in self._search(["UID", f"{uid + 1}:*"]) if found > uid]

    def since(self, day: date) -> list[int]:
        """The UIDs of messages that came in on `day` or later, ascending."""
        return self._search(["SINCE", day])

    def listed(self, uid: int) -> bool:
        """Whether the server says that there is a message with this UID."""
        return uid in self._search(["UID", str(uid)])

    def holds(self, message_id: str) -> bool:
        """Whether the folder holds a message with this Message-ID."""
        return bool(self._search(["HEADER", "Message-ID", message_id]))

    def _search(self, criteria: Sequence[object]) -> list[int]:
        with self._command("SEARCH") as client:
            client.wire.news = False
            return sorted({int(uid) for uid in client.search(list(criteria))})

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """The size in bytes of each message; one that is gone is left out."""
        with self._command("FETCH") as client:
            told = client.fetch(list(uids), ["RFC822.SIZE"])
            return {uid: int(told[uid].get(b"RFC822.SIZE") or 0) for uid in uids if uid in told}

    def message_ids(self, uids: Sequence[int]) -> dict[int, str]:
        """The Message-ID of each message that has one."""
        with self._command("FETCH") as client:
            told = client.fetch(list(uids), ["BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"])
            heads = {uid: told[uid].get(b"BODY[HEADER.FIELDS (MESSAGE-ID)]") for uid in uids if uid in told}
            found = {uid: _MESSAGE_ID.search(head) for uid, head in heads.items() if isinstance(head, bytes)}
            return {uid: match[0].decode("ascii", "replace") for uid, match in found.items() if match}

    def fetch(self, uids: Sequence[int], *, most: int | None = None) -> dict[int, bytes]:
        """The bytes of each message, or its first `most`; one that is gone, or not handed out, is left out."""
        item, key = ("BODY.PEEK[]", b"BODY[]") if most is None else (f"BODY.PEEK[]<0.{most}>", b"BODY[]<0>")
        with self._command("FETCH", self._timeouts.fetch) as client:
            told = client.fetch(list(uids), [item])
            return {uid: told[uid][key] for uid in uids if uid in told and isinstance(told[uid].get(key), bytes)}

    # Waiting.

    def idle(self) -> bool:
        """Begins to wait for mail. False: some has come already since the last search, and it does not wait."""
        with self._command("IDLE") as client:
            client.idle()
            client.wire.patience = UNASKED_MOST
            client.wire.unasked()
            if client.wire.news:
                client.idle_done()
                return False
        self.idles = True
        return True

    def fileno(self) -> int:
        """The socket's number, to be watched while it waits. -1: it is closed."""
        return self._client.wire.sock.fileno() if self._client is not None else -1

    def heard(self) -> bool:
        """Reads what has come while it waits, and returns at once; whether it is mail."""
        with self._command("IDLE") as client:
            for line in client.wire.unasked():
                bye = _BYE.match(line)
                if bye:
                    raise client.wire.abort(f"the server left: {_printable(bye[1].decode('utf-8', 'replace'))}")
                if not line.startswith((b"*", b"+")):
                    raise client.wire.abort("the server stopped waiting")
            return client.wire.news

    def done(self) -> None:
        """Ends the waiting, so that commands may follow."""
        self.idles = False
        with self._command("DONE") as client:
            client.idle_done()

    def close(self) -> None:
        """Takes leave, and does not wait long for the answer."""
        client = self._client
        if client is not None:
            with contextlib.suppress(UnreachableError), self._command("LOGOUT", self._timeouts.logout):
                client.logout()
        self.drop()

    def drop(self) -> None:
        """Closes without a word, as after an error or while it waits."""
        client, self._client, self.idles = self._client, None, False
        if client is not None:
            client.wire.shutdown()

    @contextlib.contextmanager
    def _command(self, what: str, patience: float | None = None) -> Iterator[_Client]:
        if self._client is None:
            raise ImapError("The mailbox is not open.", code="imap_broken")
        patience = self._timeouts.command if patience is None else patience
        self._client.wire.begin(time.monotonic() + patience)
        try:
            with _explained(self._endpoint, what, patience):
                yield self._client
        except BaseException:
            self.drop()
            raise


@contextlib.contextmanager
def _explained(end: Endpoint, what: str, patience: float) -> Iterator[None]:
    """Turns whatever a library makes of a server's words into an ImapError."""
    place = f"{end.host}:{end.port}"
    try:
        yield
    except UnreachableError:
        raise
    except ssl.SSLError as error:
        raise _insecure(end, error) from error
    except TimeoutError as error:
        raise ImapError(f"{place} did not answer within {patience:g} s ({what}).", code="timeout") from error
    except imaplib.IMAP4.abort as error:
        if isinstance(error.__cause__ or error.__context__, TimeoutError):
            raise ImapError(f"{place} did not answer within {patience:g} s ({what}).", code="timeout") from error
        raise ImapError(f"The conversation broke ({what}): {_printable(str(error))}.", code="imap_broken") from error
    except imaplib.IMAP4.error as error:
        raise ImapError(f"The server refused ({what}): {_printable(str(error))}.", code="imap_refused") from error
    except OSError as error:
        said = error.strerror or str(error) or type(error).__name__
        raise ImapError(f"The connection broke ({what}): {said}.", code="imap_broken") from error
    except Exception as error:  # what readers stumble over in the words of a stranger has no common class
        raise ImapError(f"The server's answer makes no sense ({what}): {_printable(str(error))}.") from error


def _secured(sock: socket.socket, end: Endpoint) -> socket.socket:
    return _held_to(lambda: tls.context(end.ca_file).wrap_socket(sock, server_hostname=end.host.rstrip(".")))


def _start_tls(wire: _Wire, end: Endpoint) -> None:
    """What was offered, and who we already are, before TLS is anybody's word (RFC 2595, 2.4)."""
    if wire.state != "NONAUTH" or "STARTTLS" not in wire.capabilities:
        raise ImapError(f"On port {end.port} the server does not offer STARTTLS.", code="imap_tls")
    typ, _ = wire._simple_command("STARTTLS")  # noqa: SLF001 - imaplib's own wraps a socket that it reads by itself
    if typ != "OK":
        raise ImapError("The server would not go over to TLS.", code="imap_tls")
    _held_to(lambda: wire.secure(tls.context(end.ca_file), end.host))
    wire._get_capabilities()  # noqa: SLF001 - asked anew


def _held_to(secure: Callable[[], T]) -> T:
    try:
        return secure()
    except ssl.SSLError:
        raise
    except (ConnectionError, ValueError) as error:
        raise ImapError(f"The connection could not be encrypted: {error}.", code="imap_tls") from error


def _insecure(end: Endpoint, error: ssl.SSLError) -> ImapError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return ImapError(f"The certificate of {end.host} does not hold: {error.verify_message}.", code="imap_tls")
    if end.security is Security.TLS:
        said = f"On port {end.port} the server does not speak TLS from the first byte. Choose STARTTLS, or port 993."
        return ImapError(said, code="imap_tls")
    return ImapError(f"The connection could not be encrypted: {error.reason or error}.", code="imap_tls")


def _standing(told: Mapping[bytes, Any], count: bytes) -> Standing:
    return Standing(_number(told.get(b"UIDVALIDITY")), _number(told.get(b"UIDNEXT")), _number(told.get(count)))


def _number(told: object) -> int | None:
    if isinstance(told, (list, tuple)):
        told = told[0] if told else None
    return int(told) if isinstance(told, (int, bytes, str)) and str(int(told)).isdigit() else None


def _text(word: bytes | str) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else word


def _printable(said: str) -> str:
    """A server's words for people; the libraries show some as Python writes bytes."""
    said = _BYTES.sub(r"\2", said)
    return _UNPRINTABLE.sub(" ", said)[:TEXT_MOST].strip().rstrip(".")
