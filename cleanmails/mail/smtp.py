"""One mail after another over one SMTP connection (RFC 5321), with the stage of every break known.

The product stands on three zones. Up to the body (`Stage.BODY`) nothing can have been accepted, and a mail is safe to be sent again. From
the moment the final dot is written (`Stage.DOT`) only the server's answer tells, and no answer means `unknown`. Between the two, `mark` is
called: the ledger commits that the mail is about to be accepted, or the connection is cut without a dot.
"""

import contextlib
import re
from collections.abc import Callable, Mapping
from socket import socket

import msgspec

from cleanmails.errors import UnreachableError
from cleanmails.mail import sasl, tls
from cleanmails.mail.wire import Reply, Wire, WireError
from cleanmails.records import Answer, Security, Stage

Connect = Callable[[str, int, float], socket]
"""(host, port, seconds) to a connected socket, or UnreachableError or OSError: `Connector.connect`."""

_MAILBOX = re.compile(r"[^\s<>\x00-\x1f\x7f]+")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where and as whom to hand in mail. `helo` is our own host name; `ca_file` (PEM) is trusted beside the system's authorities.

    No `username`: no AUTH. An `oauth_token` goes before the password (XOAUTH2).
    """

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = None
    oauth_token: str | None = None
    helo: str = "localhost"
    ca_file: str | None = None

    def __repr__(self) -> str:
        """Without the secrets: endpoints stand in tracebacks and logs."""
        return f"Endpoint({self.username or 'nobody'} at {self.host}:{self.port}, {self.security})"


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of patience for each stage as a whole. `dot` is what RFC 5321 (4.5.3.2.6) wants: haste there makes unknowns."""

    connect: float = 15
    greeting: float = 30
    tls: float = 15
    auth: float = 30
    envelope: float = 60
    data: float = 60
    body: float = 180
    dot: float = 600
    quit: float = 2


class _Mail(msgspec.Struct, frozen=True):
    """What one transaction hands in; `utf8`: only with SMTPUTF8 (RFC 6531)."""

    mail_from: str
    recipient: str
    message: bytes
    utf8: bool


class _RefusedError(Exception):
    """The server's reply ends the session."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.code)
        self.reply = reply


def _silent(point: str) -> None:
    """Nobody watches the progress."""


class Session:
    """One connection to a mail server, for many mails, used by one thread.

    No method raises for what a network or a server does: it comes back as an Answer with the stage at which it happened.
    """

    def __init__(self, endpoint: Endpoint, *, connect: Connect, timeouts: Timeouts | None = None) -> None:
        self._endpoint = endpoint
        self._connect = connect
        self._timeouts = timeouts or Timeouts()
        self._wire: Wire | None = None
        self._capabilities: dict[str, str] = {}
        self._stage = Stage.CONNECT
        self._in_transaction = False
        self._cause: BaseException | None = None

    @property
    def capabilities(self) -> Mapping[str, str]:
        """What EHLO offered: keyword in capitals, to its parameters."""
        return self._capabilities

    @property
    def cause(self) -> BaseException | None:
        """What stood behind the last `open` that failed: UnreachableError, ssl.SSLError, OSError, WireError; None if the server refused in words."""
        return self._cause

    @property
    def usable(self) -> bool:
        """Whether another mail can be tried on this connection. Looks at the socket: a server that hung up meanwhile shows here."""
        if self._wire is None:
            return False
        try:
            if self._wire.unasked() is None:
                return True
        except WireError:
            pass
        self._drop()
        return False

    def open(self) -> Answer | None:
        """Connects, greets, secures and signs in. None: ready for mails."""
        self._drop()
        self._cause = None
        try:
            self._sign_in(self._arrive())
        except _RefusedError as refused:
            self._drop()
            return self._answer(refused.reply)
        except (WireError, UnreachableError, OSError) as error:
            self._drop()
            self._cause = error.__cause__ if isinstance(error, WireError) and error.__cause__ else error
            return self._broken(str(error))
        except BaseException:
            self._drop()
            raise
        return None

    def send(
        self,
        mail_from: str,
        recipient: str,
        message: bytes,
        *,
        mark: Callable[[], bool],
        smtputf8: bool = False,
        progress: Callable[[str], None] | None = None,
    ) -> Answer:
        """Hands in one mail for one recipient; `message` has CRLF line ends and is sent as it is.

        `mark` is called once the body is out and before its final dot. False: the connection is cut, and the answer is stage `body`,
        no code, text `stopped`. What it raises is passed on, with the connection cut. `progress` is told `before_data`, `after_354`,
        `before_dot`, `after_dot`, `after_answer`.
        """
        wire = self._wire
        if wire is None:
            return Answer(stage=Stage.CONNECT, code=None, enhanced=None, text="not connected")
        mail = _Mail(mail_from, recipient, message, smtputf8 or not (mail_from + recipient).isascii())
        refusal = _unmailable(mail, self._capabilities)
        if refusal:
            return refusal
        tell = progress or _silent
        self._stage = Stage.MAIL
        try:
            return self._envelope(wire, mail, tell) or self._deliver(wire, message, mark, tell)
        except _RefusedError as refused:
            self._drop()
            return self._answer(refused.reply)
        except WireError as error:
            self._drop()
            return self._broken(str(error))
        except BaseException:
            self._drop()
            raise

    def close(self) -> None:
        """Takes leave (QUIT), and does not wait long for the answer."""
        wire, self._wire = self._wire, None
        if wire is not None:
            with contextlib.suppress(WireError):
                self._ask(wire, b"QUIT\r\n", self._timeouts.quit)
            wire.close()

    # Opening.

    def _arrive(self) -> Wire:
        """From no connection to a secured one that has answered EHLO."""
        end, patience = self._endpoint, self._timeouts
        self._stage, self._in_transaction = Stage.CONNECT, False
        self._wire = wire = Wire(self._connect(end.host, end.port, patience.connect))
        if end.security is Security.TLS:
            self._secure(wire)
        self._stage = Stage.GREETING
        self._expect(wire.reply(patience.greeting))
        self._ehlo(wire)
        if end.security is Security.STARTTLS:
            self._stage = Stage.TLS
            if "STARTTLS" not in self._capabilities:
                raise WireError("the server does not offer STARTTLS")
            self._expect(self._ask(wire, b"STARTTLS\r\n", patience.tls))
            self._secure(wire)
            self._ehlo(wire)
        return wire

    def _secure(self, wire: Wire) -> None:
        self._stage = Stage.TLS
        try:
            context = tls.context(self._endpoint.ca_file)
        except OSError as error:
            raise WireError(f"the file of trusted authorities cannot be read: {error}") from error
        wire.secure(context, self._endpoint.host, self._timeouts.tls)

    def _ehlo(self, wire: Wire) -> None:
        """What was offered before TLS is forgotten (RFC 3207, 4.2)."""
        reply = self._ask(wire, f"EHLO {self._endpoint.helo}\r\n".encode("ascii", "replace"), self._timeouts.greeting)
        self._expect(reply)
        offers = (line.replace("AUTH=", "AUTH ", 1).partition(" ") for line in reply.lines[1:])
        self._capabilities = {keyword.upper(): parameters.upper() for keyword, _, parameters in offers}

    def _sign_in(self, wire: Wire) -> None:
        """AUTH by the best way that the server offers (RFC 4954)."""
        if self._endpoint.username is None:
            return
        self._stage = Stage.AUTH
        offered = self._capabilities.get("AUTH", "").split()
        for mechanism, steps in self._mechanisms():
            if mechanism in offered:
                reply = self._ask(wire, f"AUTH {mechanism}".encode() + steps[0], self._timeouts.auth)
                for step in steps[1:]:
                    if reply.code != 334:
                        break
                    reply = self._ask(wire, step, self._timeouts.auth)
                self._expect(reply)
                return
        raise _RefusedError(
            Reply(504, (f"5.5.4 no way to sign in: the server offers {' '.join(offered) or 'no AUTH'}",))
        )

    def _mechanisms(self) -> list[sasl.Mechanism]:
        end = self._endpoint
        return sasl.mechanisms(end.username or "", end.password or "", end.oauth_token)

    # Sending.

    def _envelope(self, wire: Wire, mail: _Mail, tell: Callable[[str], None]) -> Answer | None:
        """MAIL, RCPT and DATA, in one write where the server takes that (RFC 2920). None: it waits for the body.

        An abandoned transaction is taken back first: a second MAIL inside it would be refused (RFC 5321, 4.1.1.2).
        """
        commands = [(Stage.MAIL, b"RSET\r\n")] if self._in_transaction else []
        commands += _commands(mail, self._capabilities)
        pipelined = "PIPELINING" in self._capabilities
        if pipelined:
            tell("before_data")
            wire.write(b"".join(command for _, command in commands), self._timeouts.envelope)
        refusal = verdict = None
        try:
            for stage, command in commands:
                if not pipelined:
                    if stage is Stage.DATA:
                        tell("before_data")
                    wire.write(command, self._timeouts.envelope)
                verdict = self._verdict(wire, stage)
                refusal = refusal or verdict
                if refusal and not pipelined:
                    return refusal
            if refusal and verdict is None:
                self._send_nothing(wire)
        except (WireError, _RefusedError):
            if refusal is None:
                raise
            self._drop()
        return refusal

    def _verdict(self, wire: Wire, stage: Stage) -> Answer | None:
        """Reads the reply to one command of the envelope. None: go on."""
        self._stage = stage
        patience = self._timeouts.data if stage is Stage.DATA else self._timeouts.envelope
        reply = self._read(wire, patience)
        if reply.code >= 400:
            return self._answer(reply)
        if (reply.code == 354) != (stage is Stage.DATA):
            raise WireError(f"the server answered {reply.code} {reply.text[:80]} where that means nothing")
        if stage is Stage.MAIL:
            self._in_transaction = True
        return None

    def _send_nothing(self, wire: Wire) -> None:
        """The server let DATA pass though it refused the sender or the recipient: it gets an end without a body (RFC 2920, 3.1)."""
        wire.write(b".\r\n", self._timeouts.data)
        self._read(wire, self._timeouts.data)
        self._in_transaction = False

    def _deliver(self, wire: Wire, message: bytes, mark: Callable[[], bool], tell: Callable[[str], None]) -> Answer:
        """Body, mark, dot: the order that the ledger's promise rests on."""
        tell("after_354")
        self._stage = Stage.BODY
        self._write_body(wire, message)
        if not mark():
            raise WireError("stopped")
        self._hear_out(wire)
        tell("before_dot")
        self._stage = Stage.DOT
        wire.write(b".\r\n", self._timeouts.data)
        tell("after_dot")
        reply = wire.reply(self._timeouts.dot)
        tell("after_answer")
        if reply.code == 421:
            raise _RefusedError(reply)
        self._in_transaction = False
        if 300 <= reply.code < 400:
            raise WireError(f"the server answered {reply.code} {reply.text[:80]} to a whole mail")
        return self._answer(reply)

    def _write_body(self, wire: Wire, message: bytes) -> None:
        try:
            wire.write(stuffed(message), self._timeouts.body)
        except WireError:
            self._hear_out(wire)
            raise

    def _hear_out(self, wire: Wire) -> None:
        """Whoever refuses or hangs up before the dot has accepted nothing: to know it in time keeps a mail out of `unknown`."""
        reply = wire.unasked()
        if reply is None:
            return
        if reply.code >= 400:
            raise _RefusedError(reply)
        raise WireError(f"the server answered {reply.code} {reply.text[:80]} before the mail was whole")

    # Talking.

    def _ask(self, wire: Wire, command: bytes, patience: float) -> Reply:
        wire.write(command, patience)
        return self._read(wire, patience)

    def _read(self, wire: Wire, patience: float) -> Reply:
        """421 can come at any time, and always means that the server hangs up (RFC 5321, 3.8)."""
        reply = wire.reply(patience)
        if reply.code == 421:
            raise _RefusedError(reply)
        return reply

    def _expect(self, reply: Reply) -> None:
        if reply.code >= 400:
            raise _RefusedError(reply)
        if reply.code >= 300:
            raise WireError(f"the server answered {reply.code} {reply.text[:80]} where that means nothing")

    def _answer(self, reply: Reply) -> Answer:
        text = reply.text
        if self._stage is Stage.AUTH:
            text = sasl.without_secrets(text, self._mechanisms(), (self._endpoint.password, self._endpoint.oauth_token))
        return Answer(stage=self._stage, code=reply.code, enhanced=reply.enhanced, text=text)

    def _broken(self, text: str) -> Answer:
        return Answer(stage=self._stage, code=None, enhanced=None, text=text)

    def _drop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.abort()


def stuffed(message: bytes) -> bytes:
    """The body as it goes over the wire, without its final dot (RFC 5321, 4.5.2), ended by CRLF.

    A dot behind a bare line feed is doubled too: some servers would take it for the end, and the rest for a second mail.
    """
    if b"\n." in message:
        message = message.replace(b"\n.", b"\n..")
    if message.startswith(b"."):
        message = b"." + message
    return message if message.endswith(b"\r\n") else message + b"\r\n"


def _unmailable(mail: _Mail, offers: Mapping[str, str]) -> Answer | None:
    """What cannot even be asked is refused here, in the words a server would use (RFC 3463, RFC 6531)."""
    if not _MAILBOX.fullmatch(mail.mail_from):
        return _refusal(Stage.MAIL, "5.1.7", "the sender's address cannot stand in an envelope")
    if not _MAILBOX.fullmatch(mail.recipient):
        return _refusal(Stage.RCPT, "5.1.3", "the address cannot stand in an envelope")
    if mail.utf8 and "SMTPUTF8" not in offers:
        return _refusal(Stage.RCPT, "5.6.7", "the server does not take addresses beyond ASCII (it offers no SMTPUTF8)")
    return None


def _refusal(stage: Stage, enhanced: str, text: str) -> Answer:
    return Answer(stage=stage, code=553, enhanced=enhanced, text=text)


def _commands(mail: _Mail, offers: Mapping[str, str]) -> list[tuple[Stage, bytes]]:
    said = f"MAIL FROM:<{mail.mail_from}>"
    if "SIZE" in offers:
        said += f" SIZE={len(mail.message)}"
    if "8BITMIME" in offers and not mail.message.isascii():
        said += " BODY=8BITMIME"
    if mail.utf8:
        said += " SMTPUTF8"
    rcpt = f"RCPT TO:<{mail.recipient}>\r\n"
    return [(Stage.MAIL, f"{said}\r\n".encode()), (Stage.RCPT, rcpt.encode()), (Stage.DATA, b"DATA\r\n")]
