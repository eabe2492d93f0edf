"""Trying a sender's server out: from its name to the sign-in, with what happened on the way in sentences."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec
from msgspec.structs import replace

from cleanmails.actors import oauth
from cleanmails.actors.oauth import Access
from cleanmails.actors.work import Kit
from cleanmails.errors import Fault, UnreachableError
from cleanmails.ledger.db import Row
from cleanmails.ledger.senders import Mailbox
from cleanmails.mail import imap, imap_check
from cleanmails.mail.connector import Connector
from cleanmails.mail.message import wire_address
from cleanmails.mail.smtp import Endpoint, Session, Timeouts
from cleanmails.mail.smtp_check import Finding, Step, told
from cleanmails.records import Answer, Stage
from cleanmails.settings import Settings
from cleanmails.vault import Vault

# A person waits for the answer: shorter than what a send worker grants.
_PATIENCE: Final = Timeouts(connect=8, greeting=10, tls=8, auth=15, envelope=15, data=15, body=30, dot=60)
_INBOX_PATIENCE: Final = imap.Timeouts(connect=8, login=15, command=10)

_SENTENCES: Final = {
    Stage.CONNECT: "The server could not be reached.",
    Stage.GREETING: "The server was reached and did not greet as a mail server does; port and security may not belong together.",
    Stage.TLS: "The connection could not be secured.",
    Stage.AUTH: "The server was reached and refused the sign-in.",
}
_FIELDS: Final = {
    Stage.CONNECT: "smtp_host",
    Stage.GREETING: "smtp_port",
    Stage.TLS: "smtp_security",
    Stage.AUTH: "smtp_password",
}
"""Which field of a request a failed stage speaks of."""


_INBOX_FIELDS: Final = {Step.TLS: "imap_security", Step.GREETING: "imap_port", Step.LOGIN: "imap_password"}


class InboxTrial(msgspec.Struct, frozen=True, kw_only=True):
    """How the test of an inbox (IMAP) went, step by step: `dns`, `tcp`, `tls`, `greeting`, `login`, `capabilities`. No message was opened."""

    passed: bool
    code: str
    sentence: str
    steps: list[Finding]

    def faults(self) -> list[Fault]:
        """The same as faults of the request that named the server."""
        return (
            []
            if self.passed
            else [Fault(_INBOX_FIELDS.get(self.steps[-1].step, "imap_host"), self.code, self.sentence)]
        )


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How a test went. `stage` is the last one that was entered (`connect`, `greeting`, `tls`, `auth`), `reply` what the server or the network said,
    `offers` what a server that was signed in to can do. `steps` tells the same step by step, with what to do about the one that failed; `inbox` is the test
    of the inbox, null if there is none to test. Passed is what passed in both.
    """

    passed: bool
    stage: Stage
    code: str
    sentence: str
    reply: str
    offers: list[str]
    steps: list[Finding]
    inbox: InboxTrial | None = None

    @property
    def handed_in(self) -> bool:
        """Whether mail can be handed in, whatever becomes of the inbox."""
        return self.code == "ok"

    def faults(self) -> list[Fault]:
        """The same as faults of the request that named the server."""
        sentence = f"{self.sentence} {self.reply}".strip()
        own = [] if self.handed_in else [Fault(_FIELDS.get(self.stage, "smtp_host"), self.code, sentence)]
        return own + (self.inbox.faults() if self.inbox else [])


def mailbox_of(row: Row) -> Mailbox:
    """The columns of a sender's row that say where its mail goes."""
    return msgspec.convert({name: row[name] for name in Mailbox.__struct_fields__}, Mailbox)


def access_of(kit: Kit, row: Row) -> Access | None:
    """What a saved sender signs in with by consent; None if it does so with a password, or has no token: then its server says what it thinks of that."""
    try:
        return oauth.access(kit, row["id"])
    except UnreachableError:
        return None


def endpoint(
    mailbox: Mailbox, mail: str, sender_id: int, vault: Vault, settings: Settings, access: Access | None = None
) -> Endpoint:
    """Where and as whom the sender of the address `mail` hands in its mail; with `access` it signs in by consent."""
    sealed = mailbox.smtp_sealed
    return Endpoint(
        host=mailbox.smtp_host,
        port=mailbox.smtp_port,
        security=mailbox.smtp_security,
        username=access.account if access else mailbox.smtp_username or None,
        oauth_token=access.token if access else None,
        password=vault.open(sealed, f"sender:{sender_id}:smtp_password").decode() if sealed else None,
        helo=mail.rpartition("@")[2],
        ca_file=str(settings.ca_file) if settings.ca_file else None,
    )


def run(endpoint: Endpoint, settings: Settings) -> Trial:
    """Connects, secures, signs in and takes leave; no mail is handed in. Never raises for what a network or a server does."""
    session = Session(
        endpoint, connect=Connector(allow_private=settings.allow_private_hosts).connect, timeouts=_PATIENCE
    )
    answer = session.open()
    offers = sorted(session.capabilities)
    cause = session.cause
    session.close()
    steps = told(endpoint, answer, offers, cause)
    if answer is None:
        sentence = _passed(endpoint)
        return Trial(passed=True, stage=Stage.AUTH, code="ok", sentence=sentence, reply="", offers=offers, steps=steps)
    code = cause.code if isinstance(cause, UnreachableError) else f"smtp_{answer.stage}"
    sentence = _SENTENCES.get(answer.stage, _SENTENCES[Stage.GREETING])
    return Trial(
        passed=False, stage=answer.stage, code=code, sentence=sentence, reply=said(answer), offers=[], steps=steps
    )


def inbox_endpoint(
    mailbox: Mailbox, mail: str, sender_id: int, vault: Vault, settings: Settings, access: Access | None = None
) -> imap.Endpoint | None:
    """Where and as whom the sender's inbox is read; None if it has none."""
    if mailbox.imap_host is None or mailbox.imap_port is None or mailbox.imap_security is None:
        return None
    sealed = mailbox.imap_sealed
    return imap.Endpoint(
        host=mailbox.imap_host,
        port=mailbox.imap_port,
        security=mailbox.imap_security,
        username=access.account if access else mailbox.imap_username or mail,
        oauth_token=access.token if access else None,
        password=vault.open(sealed, f"sender:{sender_id}:imap_password").decode() if sealed else None,
        ca_file=str(settings.ca_file) if settings.ca_file else None,
    )


def read_inbox(endpoint: imap.Endpoint, settings: Settings) -> InboxTrial:
    """Connects, secures, signs in and takes leave; no message is opened. Never raises for what a network or a server does."""
    connect = Connector(allow_private=settings.allow_private_hosts).connect
    steps, code = imap_check.check(endpoint, connect=connect, timeouts=_INBOX_PATIENCE)
    return InboxTrial(passed=code == "ok", code=code, sentence=steps[-1].sentence, steps=steps)


def both(
    mailbox: Mailbox, mail: str, sender_id: int, vault: Vault, settings: Settings, access: Access | None = None
) -> Trial:
    """The test of a sender: of the server that takes its mail, and of its inbox at the same time."""
    end = inbox_endpoint(mailbox, mail, sender_id, vault, settings, access)
    if end is None:
        return run(endpoint(mailbox, mail, sender_id, vault, settings, access), settings)
    with ThreadPoolExecutor(1, thread_name_prefix="inbox") as pool:
        reading = pool.submit(read_inbox, end, settings)
        found = run(endpoint(mailbox, mail, sender_id, vault, settings, access), settings)
        inbox = reading.result()
    return replace(found, passed=found.passed and inbox.passed, inbox=inbox)


def hand_in(endpoint: Endpoint, settings: Settings, mail_from: str, recipient: str, raw: bytes) -> Answer:
    """Hands in one mail that no ledger knows of. Never raises for what a network or a server does."""
    session = Session(
        endpoint, connect=Connector(allow_private=settings.allow_private_hosts).connect, timeouts=_PATIENCE
    )
    answer = session.open() or session.send(wire_address(mail_from), wire_address(recipient), raw, mark=lambda: True)
    session.close()
    return answer


def _passed(endpoint: Endpoint) -> str:
    return (
        "The server takes mail from this sender."
        if endpoint.username
        else "The server answers; it asks for no sign-in."
    )


def said(answer: Answer) -> str:
    """The server's words, with its codes, or what broke."""
    codes = [str(part) for part in (answer.code, answer.enhanced) if part is not None]
    text = " ".join([*codes, answer.text])
    return text if text.endswith((".", "!", "?")) else f"{text}."
