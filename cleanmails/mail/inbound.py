"""A received mail out of its bytes: parsed once, here, to one value (`records.Inbound`). Nothing that anybody sends makes this fail.

    letter = parse(raw)

`email` reads the structure. Before it does, the bytes are bounded: it keeps every line and every part as an object, and nests as deep as the mail does. What is
over a bound is cut off and `cut` says so; what cannot be decoded is replaced, what has no structure is text.
"""

import binascii
import codecs
import email
import email.errors
import email.header
import email.utils
import hashlib
import html
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from email.parser import HeaderParser
from typing import Final

import nh3
import quotequail

from cleanmails.records import Attachment, Inbound, Returned

MOST_BYTES: Final = 25_000_000
MOST_PARTS: Final = 1_000
MOST_LINES: Final = 200_000
MOST_DEPTH: Final = 40
"""Parts within parts: each is a header that says so, whether it is one or a line of text."""

MOST_TEXT: Final = 200_000
"""Characters that are kept of a text."""

_HEAD: Final = 256_000  # bytes of a mail's own header
_FIELD: Final = 20_000  # characters of one header field
_WORDS: Final = 1_000  # characters of a subject or a name
_IDS: Final = 100
_RECIPIENTS: Final = 100
_COMMENTS: Final = 20
_CODED_LINES: Final = 4_000
"""Lines of base64 in a row that are kept: more than the longest text that is kept. The rest of an attachment is counted and left out."""

_MOST_TAGS: Final = 5_000  # what reads HTML slows down with the square of its depth
_MOST_QUOTED: Final = 20_000  # characters in which the end of what is new is looked for

_NESTING = re.compile(rb"^content-type:\s*(?:multipart|message)/", re.IGNORECASE | re.MULTILINE)
_DASHES = re.compile(rb"^--", re.MULTILINE)
_LINE_END = re.compile(rb"\r\n|\r|\n")
_CODED = re.compile(rb"(?:[A-Za-z0-9+/=]{60,100}\r?\n){%d}" % _CODED_LINES)
_MORE_CODED = re.compile(rb"(?:[A-Za-z0-9+/=]{60,100}\r?\n)+")
_LEFT_OUT = re.compile(r"^#left-out:(\d{1,9})\r?$", re.MULTILINE)
_BODY = re.compile(rb"\r?\n\r?\n")
_ID = re.compile(r"<[^<>\s]{1,400}>")
_ADDRESS = re.compile(r"[^\s<>()\[\]:;,\"\\]{1,64}@[^\s<>()\[\]:;,\"\\]{1,255}")
_BREAK = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/blockquote|hr)\b[^>]*>", re.IGNORECASE)
_QUOTE = re.compile(r"(</?blockquote\b[^>]*>)", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_OF_INTEREST: Final = (
    "message-id", "from", "to", "subject", "date", "in-reply-to", "references", "x-hmxmroriginalrecipient",
)  # fmt: skip
_BLANKS = re.compile(r"[ \t\r\n\f\v\u00a0]+")
_MANY_BREAKS = re.compile(r"\n{3,}")
_UNPRINTABLE = re.compile("[\x00\ud800-\udfff]")
_TEXT_TAGS: Final = {"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "hr"}
_NOT_FOR_TEXT: Final = frozenset({"punycode", "idna", "undefined", "unicode_escape", "raw_unicode_escape"})
# What a mail program writes above what it quotes, in languages that the library does not know; the line alone, or wrapped once.
_QUOTED_BELOW = re.compile(
    r"^[ \t>]{0,4}(?:"
    r"W dniu .{4,200} (?:napisał|pisze).{0,12}:|(?:Il giorno|Il) .{4,200} ha scritto:|Em .{4,200} escreveu:|A .{4,200} írta:|Dne .{4,200} napsal.{0,4}:"
    r"|(?:Den|På|Am) .{4,200} (?:skrev|skrev følgende|schrieb) ?.{0,200}:|.{4,200} kirjoitti.{0,200}:|.{4,200} tarihinde .{1,200} (?:şunu )?yazdı:"
    r"|.{4,200} (?:пише|написал|писал).{0,8}:|\d{4}年\d{1,2}月\d{1,2}日.{0,200}[:：]|.{4,200}[写寫]道[:：]|.{4,200}(?:님이 작성|작성)[:：]?"
    r"|On .{4,200} wrote:|Le .{4,200} a écrit ?:|El .{4,200} escribió:|Op .{4,200} (?:schreef|geschreven).{0,200}:"
    r"|(?:пн|вт|ср|чт|пт|сб|вс), \d{1,2} .{4,200}:"
    r"|-{2,} ?(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original|Messaggio originale|Oorspronkelijk bericht|Mensagem original"
    r"|Ursprungligt meddelande|Wiadomość oryginalna|Исходное сообщение|Forwarded message|原始邮件|元のメッセージ) ?-{2,}"
    r"|_{20,}"
    r")[ \t]*$",
    re.IGNORECASE,
)
_HEADER_LINE = re.compile(
    r"^\*?(?:From|Von|De|Da|Van|Från|Fra|Od|От|发件人|差出人|보낸 사람|Lähettäjä|Kimden)\*?\s?[:：]\*?\s?\S",
    re.IGNORECASE,
)
_SENT_LINE = re.compile(
    r"^\*?(?:Sent|Date|Gesendet|Datum|Envoyé|Enviado|Fecha|Inviato|Data|Verzonden|Skickat|Sendt|Wysłano|Отправлено|Дата|发送时间|送信日時|보낸 날짜|To|An|À|Para|Till"
    r"|Lähetetty|Gönderme)\*?[^:：]{0,12}[:：]\*?\s?\S",
    re.IGNORECASE,
)


def parse(raw: bytes) -> Inbound:
    """A mail as a value. Never raises for what is in it."""
    bounded, cut = _bounded(raw)
    parsed = email.message_from_bytes(bounded)
    headers = _headers(parsed)
    parts = _Parts()
    parts.read(parsed)
    text = parts.text or plain(parts.html)
    first = {name: values[0] for name, values in headers.items()}
    name, address = _mailbox(first.get("from", ""))
    message_id = next(iter(_ids(first.get("message-id", ""))), None)
    return Inbound(
        digest=_digest(raw, first),
        headers=headers,
        message_id=message_id,
        in_reply_to=_ids(first.get("in-reply-to", "")),
        references=_ids(first.get("references", "")),
        from_address=address,
        from_name=name,
        reply_to=next(iter(_addresses(first.get("reply-to", ""))), ""),
        to=_addresses(first.get("to", "")),
        subject=first.get("subject", "")[:_WORDS],
        date=_date(first.get("date", "")),
        text=text,
        reply=unquoted(text),
        html=parts.html,
        attachments=tuple(parts.attachments),
        report=parts.report,
        returned=tuple(parts.returned),
        feedback=parts.feedback,
        original=parts.original,
        cut=cut or parts.cut,
    )


def unquoted(text: str) -> str:
    """What of a mail's text is new: without what it quotes below or between, and without the line above a quote."""
    start = text[:_MOST_QUOTED]
    try:
        pieces = quotequail.quote(start, limit=_MOST_QUOTED)
    except Exception:  # noqa: BLE001 - another's reading of a stranger's text: without it the whole is shown
        pieces = [(True, start)]
    lines = "\n".join(piece for shown, piece in pieces[:1] if shown).splitlines() if pieces else []
    end = _quote_start(lines)
    kept = [line for line in lines[:end] if not line.lstrip().startswith(">")]
    while kept and (not kept[-1].strip() or set(kept[-1].strip()) <= {"_", "-", "*", "="}):
        kept.pop()
    return "\n".join(kept).strip()


def _quote_start(lines: list[str]) -> int:
    """Where what is quoted begins: at the line that a mail program writes above it, or at a header that was copied."""
    for place, line in enumerate(lines):
        if len(line) > _FIELD // 40:
            continue
        following = lines[place + 1] if place + 1 < len(lines) else ""
        wrapped = f"{line.rstrip()} {following.strip()}" if len(following) < 200 else line
        if _QUOTED_BELOW.match(line) or (
            _QUOTED_BELOW.match(wrapped) and not _QUOTED_BELOW.match(following) and len(line) > 8
        ):
            return place
        if _HEADER_LINE.match(line) and any(_SENT_LINE.match(each) for each in lines[place + 1 : place + 4]):
            return place
    return len(lines)


def _bounded(raw: bytes) -> tuple[bytes, bool]:
    """As much of a mail as can be read without harm, and whether that is less than there is."""
    whole, raw = len(raw), raw[:MOST_BYTES]
    cut = len(raw) < whole
    head = _BODY.search(raw, 0, _HEAD)
    if head is None and len(raw) > _HEAD:
        body = _BODY.search(raw, _HEAD)
        raw = raw[:_HEAD].rpartition(b"\n")[0] + (raw[body.start() :] if body else b"")
        cut = True
    raw = _without_attachments(raw)
    whole = len(raw)
    for pattern, most in ((_NESTING, MOST_DEPTH), (_DASHES, 4 * MOST_PARTS)):
        raw = _cut_at(raw, pattern, most)
    if raw.count(b"\n") + raw.count(b"\r") > MOST_LINES:
        raw = _cut_at(raw, _LINE_END, MOST_LINES)
    return raw, cut or len(raw) < whole


def _without_attachments(raw: bytes) -> bytes:
    """Long runs of base64 cut short, each with a line that says by how much: `email` would keep every line of them as an object."""
    pieces, start = [], 0
    while found := _CODED.search(raw, start):
        more = _MORE_CODED.match(raw, found.end())
        end = more.end() if more else found.end()
        pieces += [raw[start : found.end()], b"#left-out:%d\r\n" % (end - found.end())]
        start = end
    return b"".join([*pieces, raw[start:]]) if pieces else raw


def _cut_at(raw: bytes, pattern: re.Pattern[bytes], most: int) -> bytes:
    for count, found in enumerate(pattern.finditer(raw)):
        if count == most:
            return raw[: found.start()]
    return raw


def _digest(raw: bytes, first: dict[str, str]) -> bytes:
    """The same for each copy of a mail: servers write into its header and leave its body alone."""
    body = _BODY.search(raw, 0, _HEAD)
    told = "\n".join(first.get(name, "") for name in ("message-id", "from", "date", "subject"))
    digest = hashlib.sha256(told.encode(errors="replace"))
    digest.update(raw[body.end() :].rstrip() if body else raw)
    return digest.digest()


class _Parts:
    """What the parts of a mail come to."""

    def __init__(self) -> None:
        self.text = ""
        self.html = ""
        self.attachments: list[Attachment] = []
        self.report: str | None = None
        self.returned: list[Returned] = []
        self.feedback: dict[str, str] = {}
        self.original: dict[str, str] = {}
        self.cut = False

    def read(self, parsed: Message) -> None:
        """Goes through the parts in their order; what comes back with a report is read for its headers alone."""
        waiting = [parsed]
        for _ in range(MOST_PARTS):
            if not waiting:
                return
            part = waiting.pop()
            kind = part.get_content_type()
            if kind == "multipart/report" and self.report is None:
                self.report = _parameter(part, "report-type").lower() or None
            if kind.startswith("message/"):
                self._message(part, kind)
            elif part.is_multipart():
                waiting += reversed(_children(part))
            else:
                self._leaf(part, kind)
        self.cut = self.cut or bool(waiting)

    def _message(self, part: Message, kind: str) -> None:
        if kind.endswith("delivery-status"):
            self.report = self.report or "delivery-status"
            self._returned(list(_blocks(part)))
        elif kind.endswith("feedback-report"):
            self.report = self.report or "feedback-report"
            for block in _blocks(part):
                self.feedback = {**block, **self.feedback}
        elif kind.endswith("disposition-notification"):
            self.report = self.report or "disposition-notification"
            for block in _blocks(part):
                self.feedback = {**block, **self.feedback}
        elif kind.endswith("headers"):
            self._original("\n".join(f"{name}: {value}" for block in _blocks(part) for name, value in block.items()))
        else:
            for block in _blocks(part):
                self.original = self.original or _of_interest(block)
                break
            if not self.report:
                self.attachments.append(Attachment(_name(part) or self.original.get("subject", ""), kind, _size(part)))

    def _returned(self, blocks: list[dict[str, str]]) -> None:
        about = blocks[0] if blocks else {}
        if original := next(iter(_ids(about.get("original-message-id", ""))), None):
            self.original = {"message-id": original, **self.original}
        for block in blocks:
            recipient = block.get("final-recipient") or block.get("original-recipient") or ""
            if not (recipient or block.get("action")) or len(self.returned) >= _RECIPIENTS:
                continue
            self.returned.append(
                Returned(
                    recipient=_recipient(block.get("original-recipient", "")) or _recipient(recipient),
                    action=block.get("action", "").split("(")[0].split(";")[0].strip().lower(),
                    status=next(iter(re.findall(r"[245]\.\d{1,3}\.\d{1,3}", block.get("status", ""))), None),
                    diagnostic=block.get("diagnostic-code", ""),
                )
            )

    def _original(self, text: str) -> None:
        fields = HeaderParser().parsestr(text.lstrip()[:_HEAD])
        self.original = self.original or _of_interest(
            {name.lower(): decoded(value) for name, value in fields.raw_items()}
        )

    def _leaf(self, part: Message, kind: str) -> None:
        if kind.endswith("rfc822-headers"):
            self._original(_decode(part))
            return
        attached = part.get_content_disposition() == "attachment" or bool(_name(part))
        if kind == "text/plain" and not attached and len(self.text) < MOST_TEXT:
            more = _decode(part).strip("\n")
            self.text = f"{self.text}\n\n{more}"[:MOST_TEXT] if self.text else more[:MOST_TEXT]
        elif kind == "text/html" and not attached:
            self.html = self.html or _decode(part)
        else:
            self.attachments.append(Attachment(_name(part), kind[:100], _size(part)))


def _headers(parsed: Message) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, value in parsed.raw_items():
        values = found.setdefault(_clean(name.lower())[:100], [])
        if len(values) < 20 and len(found) <= 300:
            values.append(decoded(value))
    return {name: tuple(values) for name, values in found.items() if values}


def decoded(value: object) -> str:
    """A header's text: unfolded, its encoded words (RFC 2047) read, its stray bytes taken for UTF-8 or Latin-1."""
    text = str(value)[:_FIELD]
    with suppress(UnicodeError):
        data = text.encode("ascii", "surrogateescape")
        if not data.isascii():
            try:
                text = data.decode()
            except UnicodeDecodeError:
                text = data.decode("latin-1")
    if "=?" in text:
        with suppress(ValueError, LookupError, binascii.Error, email.errors.MessageError):
            text = "".join(
                piece if isinstance(piece, str) else _text(piece, charset or "ascii")
                for piece, charset in email.header.decode_header(text)
            )
    return _BLANKS.sub(" ", _clean(text)).strip()


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)


def _text(data: bytes, charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
        if name not in _NOT_FOR_TEXT:
            return data.decode("utf-8" if name == "ascii" else name, "replace")
    except (LookupError, ValueError, UnicodeError):
        pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _decode(part: Message) -> str:
    """A part's text, as much of it as is kept."""
    try:
        payload = part.get_payload(decode=True)
    except (ValueError, LookupError, binascii.Error):
        payload = None
    if not isinstance(payload, bytes):
        return ""
    text = _text(payload[: 4 * MOST_TEXT], _parameter(part, "charset") or "utf-8")
    return _clean(text.replace("\x00", ""))[:MOST_TEXT].replace("\r\n", "\n").replace("\r", "\n")


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def _parameter(part: Message, name: str) -> str:
    try:
        found = part.get_param(name, "")
        return _clean(email.utils.collapse_rfc2231_value(found) if found else "")[:200]
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _name(part: Message) -> str:
    try:
        return decoded(part.get_filename() or "")[:200]
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _size(part: Message) -> int:
    payload = part.get_payload()
    if isinstance(payload, list):
        return sum(_size(child) for child in _children(part)[:1] if not child.is_multipart())
    if not isinstance(payload, str):
        return 0
    return len(payload) + sum(int(found[1]) for found in _LEFT_OUT.finditer(payload))


def _blocks(part: Message) -> Iterator[dict[str, str]]:
    """The groups of fields in a part of a report, by lower-case name; the first of a name counts."""
    payload = _uncoded(part) or part.get_payload()
    if isinstance(payload, str):
        groups = [HeaderParser().parsestr(group) for group in payload.strip()[:_HEAD].split("\n\n")[:_RECIPIENTS]]
    else:
        groups = []
        for child in _children(part)[: _RECIPIENTS + 1]:
            groups.append(child)
            body = child.get_payload()
            # Reports of RFC 6533 are read as one mail whose body holds the other groups.
            if part.get_content_type() == "message/global-delivery-status" and isinstance(body, str):
                groups += [HeaderParser().parsestr(text) for text in body.strip()[:_HEAD].split("\n\n")[:_RECIPIENTS]]
    for group in groups:
        fields: dict[str, str] = {}
        for name, value in group.raw_items():
            fields.setdefault(_clean(name.lower())[:100], decoded(value))
        if fields:
            yield fields


def _uncoded(part: Message) -> str | None:
    """The text of a part that came encoded, which `email` leaves as it is where it takes the part for a message (against RFC 3464 and 2046, and done)."""
    coding = str(part.get("content-transfer-encoding", "")).strip().lower()
    if coding not in {"base64", "quoted-printable"} or not part.is_multipart():
        return None
    data = "\n\n".join(_unread(child) for child in _children(part)).lstrip()[:_HEAD].encode("ascii", "replace")
    with suppress(binascii.Error):
        whole = binascii.a2b_base64(data) if coding == "base64" else binascii.a2b_qp(data)
        return whole.decode(errors="replace").replace("\r\n", "\n")
    return None


def _unread(part: Message) -> str:
    """A part's text as it was before it was read; where a line that is no field ended its header, no blank line did."""
    text = part.as_string()
    broken = any(isinstance(each, email.errors.MissingHeaderBodySeparatorDefect) for each in part.defects)
    return text.replace("\n\n", "\n", 1) if broken else text


def _of_interest(fields: dict[str, str]) -> dict[str, str]:
    return {name: fields[name] for name in _OF_INTEREST if fields.get(name)}


def _recipient(field: str) -> str:
    """The address of `rfc822; bob@example.com`; X.400 and the like have none."""
    found = _ADDRESS.search(field.partition(";")[2] or field)
    return found[0].lower().strip("'\"") if found else ""


def _ids(field: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_ID.findall(field[:_FIELD])[-_IDS:]))


def _mailbox(field: str) -> tuple[str, str]:
    name, address = "", ""
    if field.count("(") <= _COMMENTS:  # each within the last is a call within a call
        with suppress(ValueError, IndexError):
            name, address = email.utils.parseaddr(field[:_WORDS])
    if "@" not in address:
        found = _ADDRESS.search(field)
        address = found[0] if found else ""
    return name[:200], address.lower().strip()[:320]


def _addresses(field: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found.lower() for found in _ADDRESS.findall(field)[:_RECIPIENTS]))


def _date(field: str) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(field)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def plain(markup: str) -> str:
    """HTML as text: its blocks as lines, its quotes with `>`."""
    if not markup:
        return ""
    if markup.count("<") > _MOST_TAGS:
        cleaned = _TAG.sub(" ", markup)
    else:
        cleaned = nh3.clean(markup, tags=_TEXT_TAGS, attributes={}, link_rel=None)
    lines: list[str] = []
    depth = 0
    for piece in _QUOTE.split(_BLANKS.sub(" ", cleaned)):
        if _QUOTE.fullmatch(piece):
            depth = max(0, min(depth + (-1 if piece.startswith("</") else 1), 20))
            continue
        text = html.unescape(_TAG.sub("", _BREAK.sub("\n", piece)))
        mark = "> " * depth
        lines += [f"{mark}{line.strip()}".rstrip() for line in text.split("\n")]
    return _clean(_MANY_BREAKS.sub("\n\n", "\n".join(lines)).strip())[:MOST_TEXT]
