"""Mails of the installation itself (invitations, lost passwords), through the server that CLEANMAILS_SYSTEM_SMTP names."""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from urllib.parse import unquote, urlsplit

from cleanmails import log
from cleanmails.mail.connector import Connector
from cleanmails.mail.smtp import Endpoint, Session
from cleanmails.records import Security
from cleanmails.settings import Settings

_SECURITY = {"smtp": Security.STARTTLS, "smtps": Security.TLS, "smtp+plain": Security.PLAIN}
_PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}

_log = log.get(__name__)


def configured(settings: Settings) -> bool:
    """Whether this installation can send mails of its own."""
    return settings.system_smtp is not None and settings.system_from is not None


def send(settings: Settings, to: str, subject: str, text: str, *, now: datetime) -> bool:
    """Sends a plain text now; whether the server took it. False too where no server is configured."""
    if settings.system_smtp is None or settings.system_from is None:
        return False
    letter = EmailMessage(policy=SMTP)
    letter["From"], letter["To"], letter["Subject"] = settings.system_from, to, subject
    letter["Message-ID"] = make_msgid(domain=settings.system_from.rpartition("@")[2])
    letter["Date"] = format_datetime(now)
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(text)
    session = Session(endpoint(settings), connect=Connector(allow_private=True).connect)
    try:
        refused = session.open()
        answer = refused or session.send(settings.system_from, to, letter.as_bytes(), mark=lambda: True)
    finally:
        session.close()
    if not answer.accepted:
        _log.warning("notice.refused", stage=answer.stage, code=answer.code, reason=answer.text)
    return answer.accepted


def endpoint(settings: Settings) -> Endpoint:
    """The server out of a URL like `smtp://user:password@mail.example:587`. Whoever runs the installation names it, so it may be private."""
    assert settings.system_smtp is not None
    url = urlsplit(settings.system_smtp)
    return Endpoint(
        host=url.hostname or "",
        port=url.port or _PORTS[url.scheme],
        security=_SECURITY[url.scheme],
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        ca_file=str(settings.ca_file) if settings.ca_file else None,
    )
