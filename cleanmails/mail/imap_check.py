"""Trying a mailbox out over IMAP: each step from its name to its folders, and what to do about the one that fails."""

from typing import Final

from cleanmails.errors import UnreachableError
from cleanmails.mail.folders import Role
from cleanmails.mail.imap import Connect, Endpoint, ImapError, Session, Timeouts
from cleanmails.mail.smtp_check import PROVIDERS, Finding, Step, certificate_advice, is_one_of
from cleanmails.records import Security

IMPATIENT: Final = Timeouts(connect=10, login=15, command=10)
"""A person waits for the answer."""

_ORDER: Final = {
    Security.TLS: (Step.DNS, Step.TCP, Step.TLS, Step.GREETING, Step.LOGIN, Step.CAPABILITIES),
    Security.STARTTLS: (Step.DNS, Step.TCP, Step.GREETING, Step.TLS, Step.LOGIN, Step.CAPABILITIES),
    Security.PLAIN: (Step.DNS, Step.TCP, Step.GREETING, Step.LOGIN, Step.CAPABILITIES),
}
_OF_THE_NAME: Final = ("unknown_host", "dns_failed", "address_refused")
_USUAL: Final = "Mail is read on port 993 with TLS or on port 143 with STARTTLS."


def check(endpoint: Endpoint, *, connect: Connect, timeouts: Timeouts = IMPATIENT) -> tuple[list[Finding], str]:
    """Goes up to the list of folders and takes leave; no message is opened. The findings, and the code of the failure (`ok`: none).

    Never raises for what a network or a server does.
    """
    session = Session(endpoint, connect=connect, timeouts=timeouts)
    order = _ORDER[endpoint.security]
    try:
        session.open()
    except UnreachableError as error:
        failed = _step(error, session.reached)
        passed = _passed(endpoint, "")
        findings = [Finding(step, ok=True, sentence=passed[step]) for step in order[: order.index(failed)]]
        return [*findings, Finding(failed, ok=False, sentence=_advice(endpoint, failed, error))], error.code
    offers = _offers(session)
    session.close()
    return [Finding(step, ok=True, sentence=sentence) for step, sentence in _passed(endpoint, offers).items()], "ok"


def _offers(session: Session) -> str:
    news = "tells of new mail by itself" if session.offers_idle else "is asked for new mail now and then"
    sent = "; the folder of sent mail is known" if Role.SENT in session.folders else ""
    return f"The mailbox has {len(session.folders)} folders that are read, and the server {news}{sent}."


def _passed(end: Endpoint, offers: str) -> dict[Step, str]:
    login = f"{end.username} is signed in."
    if end.security is Security.PLAIN:
        login += " The password travelled unprotected; choose STARTTLS or TLS if the server offers it."
    sentences = {
        Step.DNS: f"{end.host} has an address.",
        Step.TCP: f"{end.host} takes connections on port {end.port}.",
        Step.TLS: f"The connection is encrypted, and the certificate is for {end.host}.",
        Step.GREETING: "An IMAP server answers.",
        Step.LOGIN: login,
        Step.CAPABILITIES: offers,
    }
    return {step: sentences[step] for step in _ORDER[end.security]}


def _step(error: UnreachableError, reached: str) -> Step:
    """Which step an error belongs to; `reached` is how far the session came."""
    if not isinstance(error, ImapError):
        return Step.DNS if error.code in _OF_THE_NAME else Step.TCP
    if error.code == "imap_tls":
        return Step.TLS
    return {"greeting": Step.GREETING, "sign-in": Step.LOGIN}.get(reached, Step.CAPABILITIES)


def _advice(end: Endpoint, step: Step, error: UnreachableError) -> str:
    match step:
        case Step.DNS:
            hint = {
                "unknown_host": "Check the spelling of the server's name.",
                "dns_failed": "Try again in a minute.",
                "address_refused": "Whoever runs this installation can allow private addresses in its settings.",
            }[error.code]
        case Step.TCP:
            hint = _USUAL
        case Step.TLS:
            return certificate_advice(end.host, error.__cause__) or f"{error.message} {_USUAL}"
        case Step.GREETING:
            tls = (
                " If it waits for TLS, as is usual on port 993, choose TLS." if end.security is not Security.TLS else ""
            )
            return f"What answers on port {end.port} does not greet as an IMAP server does: {error.message}{tls}"
        case Step.LOGIN if error.code == "imap_login":
            return f"{_login_hint(end)} {error.message}"
        case _:
            hint = "Try again later."
    return f"{error.message} {hint}"


def _login_hint(end: Endpoint) -> str:
    usual = "The user name is often the whole address, and IMAP may have to be turned on for the mailbox."
    hint = next((hint for names, hint in PROVIDERS if is_one_of(end.host, names)), usual)
    return f"User name or password is refused. {hint}"
