"""What a recipient, or his server, sends back when somebody presses a button at a caught mail: it is put into the mailbox of who sent the mail."""

import email
import email.header
import email.policy
import email.utils
from datetime import date, datetime
from email.message import EmailMessage, Message
from enum import StrEnum
from urllib.parse import parse_qs, unquote

import msgspec

Made = tuple[EmailMessage, bytes]
"""A message; where its end is written out, the rest of its header and its body."""


class Kind(StrEnum):
    """The buttons."""

    REPLY = "reply"
    BOUNCE = "bounce"
    AWAY = "away"
    UNSUBSCRIBE = "unsubscribe"
    COMPLAIN = "complain"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One press of a button. `text`: the words of a reply; `until`: the day on which somebody who is away is back."""

    kind: Kind
    text: str = "Yes, please tell me more."
    until: date | None = None


def write(raw: bytes, recipient: str, answer: Answer, now: datetime, number: int) -> bytes:
    """The message that comes back for the caught mail `raw`. `number` tells one press from the next. ValueError: the mail names nobody to answer to,
    or no address that takes an unsubscription.
    """
    mail = email.message_from_bytes(raw, policy=email.policy.compat32)
    made, body = {
        Kind.REPLY: _reply,
        Kind.BOUNCE: _bounce,
        Kind.AWAY: _away,
        Kind.UNSUBSCRIBE: _unsubscribe,
        Kind.COMPLAIN: _complain,
    }[answer.kind](mail, raw, recipient, answer)
    made["Date"] = email.utils.format_datetime(now)
    made["Message-ID"] = f"<{answer.kind}.{number}.{now:%H%M%S%f}@{recipient.rpartition('@')[2] or 'mx.example'}>"
    whole = made.as_bytes(policy=email.policy.SMTP)
    return whole.removesuffix(b"\r\n") + body if body else whole


def _to(mail: Message, recipient: str) -> EmailMessage:
    """A message from the recipient to whoever wants the answers."""
    _, wanted = email.utils.parseaddr(str(mail.get("Reply-To") or mail.get("From") or ""))
    if "@" not in wanted:
        raise ValueError("This mail names nobody to answer to.")
    made = EmailMessage()
    made["From"], made["To"] = recipient, wanted
    return made


def _in_thread(made: EmailMessage, mail: Message) -> None:
    message_id = _line(mail, "Message-ID")
    if message_id:
        made["In-Reply-To"] = message_id
        made["References"] = f"{_line(mail, 'References')} {message_id}".strip()


def _line(mail: Message, name: str) -> str:
    return " ".join(str(mail.get(name) or "").split())


def _subject(mail: Message, prefix: str) -> str:
    try:
        words = str(email.header.make_header(email.header.decode_header(_line(mail, "Subject"))))
    except (ValueError, LookupError):
        words = ""
    return words if words.lower().startswith(prefix.lower()) else f"{prefix} {words}".strip()


def _reply(mail: Message, _raw: bytes, recipient: str, answer: Answer) -> Made:
    made = _to(mail, recipient)
    made["Subject"] = _subject(mail, "Re:")
    _in_thread(made, mail)
    sender = email.utils.parseaddr(str(mail.get("From")))[1]
    made.set_content(f"{answer.text}\n\nOn {_line(mail, 'Date')}, {sender} wrote:\n> {_subject(mail, '')}\n")
    return made, b""


def _away(mail: Message, _raw: bytes, recipient: str, answer: Answer) -> Made:
    made = _to(mail, recipient)
    made["Subject"] = _subject(mail, "Automatic reply:")
    made["Auto-Submitted"] = "auto-replied"
    made["X-Auto-Response-Suppress"] = "All"
    _in_thread(made, mail)
    back = f" I will be back on {answer.until:%d %B %Y}." if answer.until else ""
    made.set_content(f"Thank you for your message. I am out of the office.{back}\n")
    return made, b""


def _unsubscribe(mail: Message, _raw: bytes, recipient: str, _answer: Answer) -> Made:
    """What a mail program sends that takes the `mailto:` way of List-Unsubscribe (RFC 2369)."""
    ways = (way.strip(" <>\t") for way in _line(mail, "List-Unsubscribe").split(","))
    way = next((way for way in ways if way.lower().startswith("mailto:")), None)
    if way is None:
        raise ValueError("This mail names no address that takes an unsubscription.")
    address, _, query = way[len("mailto:") :].partition("?")
    fields = {name.lower(): values[0] for name, values in parse_qs(query).items()}
    made = EmailMessage()
    made["From"], made["To"] = recipient, unquote(address)
    made["Subject"] = fields.get("subject", "unsubscribe")
    made.set_content(fields.get("body", "") + "\n")
    return made, b""


def _bounce(mail: Message, raw: bytes, recipient: str, _answer: Answer) -> Made:
    """A delivery status notification (RFC 3464) of an address that there is not."""
    made = _to(mail, recipient)
    del made["From"]
    made["From"] = "Mail Delivery System <mailer-daemon@mx.example>"
    made["Subject"] = "Undelivered Mail Returned to Sender"
    made["Auto-Submitted"] = "auto-replied"
    words = f"Your message could not be delivered.\n\n<{recipient}>: host mx.example said: 550 5.1.1 no such mailbox\n"
    status = (
        f"Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; {recipient}\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such mailbox\n"
    )
    head = raw.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    parts = [_part("plain", words), _part("status", status), _part("headers", head + "\n")]
    return _report(made, "delivery-status", parts)


def _complain(mail: Message, raw: bytes, recipient: str, _answer: Answer) -> Made:
    """A feedback report (RFC 5965): the recipient called the mail unwanted."""
    made = _to(mail, recipient)
    del made["From"]
    made["From"] = "Feedback loop <feedback@mx.example>"
    made["Subject"] = _subject(mail, "FW:")
    words = f"This is an abuse report for a message that was received by {recipient}.\n"
    report = (
        "Feedback-Type: abuse\nUser-Agent: catcher/1.0\nVersion: 1\n"
        f"Original-Mail-From: <{email.utils.parseaddr(str(mail.get('From')))[1]}>\nOriginal-Rcpt-To: <{recipient}>\n"
    )
    parts = [_part("plain", words), _part("feedback", report), _part("message", raw.decode("utf-8", "replace"))]
    return _report(made, "feedback-report", parts)


_TYPES = {
    "plain": "text/plain; charset=utf-8",
    "status": "message/delivery-status",
    "headers": "text/rfc822-headers",
    "feedback": "message/feedback-report",
    "message": "message/rfc822",
}


def _part(kind: str, text: str) -> str:
    return f"Content-Type: {_TYPES[kind]}\n\n{text.replace(chr(13), '')}"


def _report(made: EmailMessage, kind: str, parts: list[str]) -> Made:
    """A multipart/report (RFC 6522); its parts are written out, since `email` would read some of them as messages first."""
    boundary = "=_catcher_report"
    head = f'MIME-Version: 1.0\nContent-Type: multipart/report; report-type={kind}; boundary="{boundary}"\n\n'
    body = head + "".join(f"--{boundary}\n{part}\n" for part in parts) + f"--{boundary}--\n"
    return made, body.encode("utf-8", "replace").replace(b"\n", b"\r\n")
