"""Trying a mail server out: each step from its name to its sign-in, and what to do about the one that fails."""

import ssl
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from cleanmails.errors import UnreachableError
from cleanmails.mail.smtp import Connect, Endpoint, Session, Timeouts
from cleanmails.records import Answer, Security, Stage

IMPATIENT = Timeouts(connect=10, greeting=10, tls=10, auth=15)
"""A person waits for the answer."""


class Step(StrEnum):
    """What is tried, in this order; with STARTTLS the greeting comes before TLS."""

    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    GREETING = "greeting"
    LOGIN = "login"
    CAPABILITIES = "capabilities"


class Finding(msgspec.Struct, frozen=True):
    """One step: passed or not, and a sentence for people. After the first that failed there are no more."""

    step: Step
    ok: bool
    sentence: str


def check(endpoint: Endpoint, *, connect: Connect, timeouts: Timeouts = IMPATIENT) -> list[Finding]:
    """Goes up to the sign-in and takes leave; no mail is handed in. Never raises for what a network or a server does."""
    session = Session(endpoint, connect=connect, timeouts=timeouts)
    answer = session.open()
    offers, cause = session.capabilities, session.cause
    session.close()
    return told(endpoint, answer, offers, cause)


def told(
    endpoint: Endpoint, answer: Answer | None, offers: Iterable[str], cause: BaseException | None
) -> list[Finding]:
    """What a session that was opened tells, step by step: its answer (None: it is open), what the server offers, and what broke it."""
    passed = _passed(endpoint, ", ".join(sorted(offers)))
    if answer is None:
        return [Finding(step, ok=True, sentence=sentence) for step, sentence in passed.items()]
    failed = _step(answer, cause)
    findings = [Finding(step, ok=True, sentence=passed[step]) for step in list(passed)[: list(passed).index(failed)]]
    return [*findings, Finding(failed, ok=False, sentence=_advice(endpoint, answer, cause))]


def _passed(end: Endpoint, offers: str) -> dict[Step, str]:
    """The steps of this kind of connection in their order, each with its sentence if it passes."""
    login = f"{end.username} is signed in." if end.username else "There is no user name, so no sign-in was tried."
    if end.username and end.security is Security.PLAIN:
        login += " The password travelled unprotected; choose STARTTLS or TLS if the server offers it."
    sentences = {
        Step.DNS: f"{end.host} has an address.",
        Step.TCP: f"{end.host} takes connections on port {end.port}.",
        Step.TLS: f"The connection is encrypted, and the certificate is for {end.host}.",
        Step.GREETING: "A mail server answers.",
        Step.LOGIN: login,
        Step.CAPABILITIES: f"The server offers {offers or 'nothing beyond plain SMTP'}.",
    }
    return {step: sentences[step] for step in _ORDER[end.security]}


_ORDER = {
    Security.TLS: (Step.DNS, Step.TCP, Step.TLS, Step.GREETING, Step.LOGIN, Step.CAPABILITIES),
    Security.STARTTLS: (Step.DNS, Step.TCP, Step.GREETING, Step.TLS, Step.LOGIN, Step.CAPABILITIES),
    Security.PLAIN: (Step.DNS, Step.TCP, Step.GREETING, Step.LOGIN, Step.CAPABILITIES),
}
_STEPS = {Stage.CONNECT: Step.TCP, Stage.TLS: Step.TLS, Stage.GREETING: Step.GREETING, Stage.AUTH: Step.LOGIN}
_OF_THE_NAME = ("unknown_host", "dns_failed", "address_refused")


def _step(answer: Answer, cause: BaseException | None) -> Step:
    of_the_name = isinstance(cause, UnreachableError) and cause.code in _OF_THE_NAME
    return Step.DNS if of_the_name else _STEPS[answer.stage]


def _advice(end: Endpoint, answer: Answer, cause: BaseException | None) -> str:
    match answer.stage:
        case Stage.CONNECT:
            return _reach(answer, cause)
        case Stage.TLS:
            return _secure(end, answer, cause)
        case Stage.GREETING:
            return _greet(end, answer, cause)
        case _:
            return _sign_in(end, answer)


def _reach(answer: Answer, cause: BaseException | None) -> str:
    usual = "Mail is handed in on port 587 with STARTTLS or on port 465 with TLS."
    hints = {
        "unknown_host": "Check the spelling of the server's name.",
        "dns_failed": "Try again in a minute.",
        "address_refused": "Whoever runs this installation can allow private addresses in its settings.",
        "port_refused": usual,
        "connection_refused": usual,
        "timeout": f"{usual} Many networks and hosting providers block these ports, and nearly all of them port 25.",
    }
    code = cause.code if isinstance(cause, UnreachableError) else ""
    return f"{answer.text} {hints.get(code, '')}".strip()


def _secure(end: Endpoint, answer: Answer, cause: BaseException | None) -> str:
    bad_certificate = certificate_advice(end.host, cause)
    if bad_certificate:
        return bad_certificate
    if answer.code is not None:
        return f"The server would not go over to TLS. {_said(answer)}"
    if end.security is Security.TLS and isinstance(cause, ssl.SSLError):
        return f"On port {end.port} the server does not speak TLS from the first byte. Choose STARTTLS, or port 465."
    if "STARTTLS" in answer.text:
        return f"On port {end.port} the server does not offer STARTTLS. Choose TLS if this is port 465, else port 587."
    return f"The connection could not be encrypted: {answer.text}."


def certificate_advice(host: str, cause: BaseException | None) -> str | None:
    """What to do about a certificate that does not hold; None if that is not the cause."""
    if not isinstance(cause, ssl.SSLCertVerificationError):
        return None
    return _CERTIFICATE.get(cause.verify_code, f"The certificate does not hold: {cause.verify_message}.").format(host)


# By the verification codes of OpenSSL.
_OTHER_NAME = "The certificate is not for {}. Use the server's name as the provider writes it."
_UNKNOWN_AUTHORITY = "The certificate of {} is signed by an authority that is not known here. If the server is your own, name its authority in the settings."
_CERTIFICATE = {
    62: _OTHER_NAME,
    64: _OTHER_NAME,
    10: "The certificate of {} has expired. Whoever runs the server must renew it.",
    18: _UNKNOWN_AUTHORITY,
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    21: _UNKNOWN_AUTHORITY,
}


def _greet(end: Endpoint, answer: Answer, cause: BaseException | None) -> str:
    if answer.code is not None:
        return f"The server does not want us. {_said(answer)}"
    if isinstance(cause, TimeoutError) and end.security is not Security.TLS:
        return f"The server says nothing on port {end.port}. If it waits for TLS, as is usual on port 465, choose TLS."
    return f"What answers on port {end.port} does not greet as a mail server does: {answer.text}."


def _sign_in(end: Endpoint, answer: Answer) -> str:
    if answer.code is None:
        return f"The sign-in broke off: {answer.text}."
    if answer.code == 504 and end.security is Security.PLAIN:
        return f"The server takes no sign-in without encryption. Choose STARTTLS or TLS. {_said(answer)}"
    if answer.code < 500:
        return f"The server cannot check the sign-in now. Try again later. {_said(answer)}"
    hint = next((hint for names, hint in PROVIDERS if is_one_of(end.host, names)), _ANY_PROVIDER)
    return f"User name or password is refused. {hint} {_said(answer)}"


_ANY_PROVIDER = "The user name is often the whole address."
_APP_WORD = (
    "{} wants an app password here, not the password of the account: turn on two-step verification and make one."
)
_MICROSOFT = (
    "Microsoft lets a password sign in only where the administrator has turned on authenticated SMTP for this mailbox; "
    "with two-step verification it wants an app password."
)
PROVIDERS = (
    (("gmail.com", "googlemail.com", "google.com"), _APP_WORD.format("Google")),
    (("office365.com", "outlook.com", "hotmail.com"), _MICROSOFT),
    (("yahoo.com", "aol.com"), _APP_WORD.format("Yahoo")),
    (("me.com", "icloud.com"), _APP_WORD.format("Apple")),
)
"""Names of hosts, and what those providers want to be told about a refused sign-in."""


def is_one_of(host: str, names: Sequence[str]) -> bool:
    """Whether a host is one of these names, or below one of them."""
    return any(f".{host.lower()}".endswith(f".{name}") for name in names)


def _said(answer: Answer) -> str:
    return f"It said: {' '.join(filter(None, (str(answer.code), answer.enhanced, answer.text)))}"
