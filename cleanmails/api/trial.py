"""Trying a sender's server out: from its name to the sign-in, with what happened on the way in sentences."""

from typing import Final

import msgspec

from cleanmails.errors import Fault, UnreachableError
from cleanmails.ledger.senders import Mailbox
from cleanmails.mail.connector import Connector
from cleanmails.mail.message import wire_address
from cleanmails.mail.smtp import Endpoint, Session, Timeouts
from cleanmails.records import Answer, Stage
from cleanmails.settings import Settings
from cleanmails.vault import Vault

# A person waits for the answer: shorter than what a send worker grants.
_PATIENCE: Final = Timeouts(connect=8, greeting=10, tls=8, auth=15, envelope=15, data=15, body=30, dot=60)

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


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How a test went. `stage` is the last one that was entered (`connect`, `greeting`, `tls`, `auth`), `reply` what the server or the network said,
    `offers` what a server that was signed in to can do.
    """

    passed: bool
    stage: Stage
    code: str
    sentence: str
    reply: str
    offers: list[str]

    def faults(self) -> list[Fault]:
        """The same as faults of the request that named the server."""
        sentence = f"{self.sentence} {self.reply}".strip()
        return [] if self.passed else [Fault(_FIELDS.get(self.stage, "smtp_host"), self.code, sentence)]


def endpoint(mailbox: Mailbox, mail: str, sender_id: int, vault: Vault, settings: Settings) -> Endpoint:
    """Where and as whom the sender of the address `mail` hands in its mail."""
    sealed = mailbox.smtp_sealed
    return Endpoint(
        host=mailbox.smtp_host,
        port=mailbox.smtp_port,
        security=mailbox.smtp_security,
        username=mailbox.smtp_username or None,
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
    if answer is None:
        return Trial(passed=True, stage=Stage.AUTH, code="ok", sentence=_passed(endpoint), reply="", offers=offers)
    code = cause.code if isinstance(cause, UnreachableError) else f"smtp_{answer.stage}"
    sentence = _SENTENCES.get(answer.stage, _SENTENCES[Stage.GREETING])
    return Trial(passed=False, stage=answer.stage, code=code, sentence=sentence, reply=said(answer), offers=[])


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
