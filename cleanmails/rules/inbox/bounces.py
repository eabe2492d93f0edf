"""Mails that came back: delivery reports (RFC 3464), and what programs wrote before them, or write still."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from cleanmails.records import Inbound, InboundKind, Meaning, Returned
from cleanmails.rules.failures import Row, classify
from cleanmails.rules.inbox.text import any_of, folded, table

_MOST: Final = 20_000  # characters of a notice that are searched
_SAID: Final = 800  # characters of it that are kept and classified
_RECIPIENTS: Final = 100
_LINE: Final = 400  # characters; longer lines begin nothing

_DAEMON: Final = table("words")["daemon"]
_ADDRESSES: Final = re.compile(_DAEMON["addresses"])
_NAMES: Final = re.compile(_DAEMON["names"])
_SUBJECTS: Final = any_of(_DAEMON["subjects"])
_COPY: Final = any_of(table("words")["copy"]["starts"])

_FAILED: Final = frozenset({"failed", "failure", ""})
_DELAYED: Final = frozenset({"delayed", "delay"})
_VAGUE: Final = frozenset({"for-good", "for-now", "out-of-step", "broken-off"})
"""Rows that say no more than the code does: words beside it may know better."""

_ENHANCED: Final = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_CODE: Final = re.compile(r"(?:^|[\s;:'\"(\[<>])([45]\d\d)(?=[ \-#]|$)", re.MULTILINE)
_ID: Final = re.compile(r"^[ \t>]*message-id:\s{0,3}(<[^<>\s]{1,400}>)", re.IGNORECASE | re.MULTILINE)
_NOT: Final = r"\s<>()\[\]:;,\"'=：，；。（）《》「」【】、"
_ADDRESS: Final = re.compile(rf"[^{_NOT}]{{1,64}}@[^{_NOT}]{{1,255}}[^{_NOT}.]")
_FIRST: Final = re.compile(rf"^[ \t]*(?:to:\s*)?<?({_ADDRESS.pattern})>?[ \t]*(?::|$|\()", re.IGNORECASE | re.MULTILINE)


class Form(msgspec.Struct, frozen=True):
    """How one program writes what comes back."""

    id: str
    notice: str
    sure: bool = False
    delayed: bool = False


_FORMS: Final = [(form, re.compile(form.notice)) for form in msgspec.convert(table("words")["form"], list[Form])]


def judge(letter: Inbound, ids: tuple[str, ...]) -> Meaning | None:
    """What a mail that came back means; None if it is none. `ids` are those that it answers by its own header."""
    if letter.report == "delivery-status" and letter.returned:
        return _report(letter, ids)
    return _notice(letter, ids)


def from_a_program(letter: Inbound) -> bool:
    """Whether a mail system is who wrote it."""
    return bool(_ADDRESSES.match(letter.from_address) or _NAMES.search(folded(letter.from_name)))


def _report(letter: Inbound, ids: tuple[str, ...]) -> Meaning:
    told = _addressed(letter)
    failed = [each for each in told if each.action in _FAILED]
    delayed = [each for each in told if each.action in _DELAYED]
    if not failed and not delayed:
        return Meaning(
            kind=InboundKind.UNRELATED, message_ids=_originals(letter, letter.text, ids), reasons=("delivered_report",)
        )
    about = failed or delayed
    notice, _ = _parted(letter)
    row, code, status, said = _worst(about, notice)
    return Meaning(
        kind=InboundKind.BOUNCE,
        failure=row.failure,
        row=row.id,
        remedy=row.remedy,
        code=code,
        status=status,
        said=said,
        final=bool(failed),
        recipients=_unique(each.recipient for each in letter.returned if each.action in _FAILED | _DELAYED),
        message_ids=_originals(letter, letter.text, ids),
        reasons=("delivery_status",) if failed else ("delivery_status", "delayed"),
    )


def _addressed(letter: Inbound) -> Sequence[Returned]:
    """What is told of whom our mail was to, where the report also tells of others to whom it was passed on; else all of it."""
    to = {each.lower() for each in _addresses(letter.original.get("to", ""))}
    return [each for each in letter.returned if each.recipient.lower() in to] or letter.returned


def _worst(about: list[Returned], notice: str) -> tuple[Row, int | None, str | None, str]:
    """Of several recipients the first that is told plainly."""
    judged = [_classified(each, notice) for each in about[:_RECIPIENTS]]
    return next((each for each in judged if each[0].id not in _VAGUE), judged[0])


def _classified(returned: Returned, notice: str) -> tuple[Row, int | None, str | None, str]:
    said = returned.diagnostic.partition(";")[2].strip() or returned.diagnostic
    code = _code(said)
    own = next(iter(_ENHANCED.findall(said)), None)
    status = own if own and not (own.endswith(".0.0") and returned.status) else returned.status
    if code is None and status is None:
        status = "5.0.0"
    row = _row(code, status, said, notice)
    return row, code, status, (said or notice.strip())[:_SAID]


def _row(code: int | None, status: str | None, said: str, notice: str) -> Row:
    row = classify(code, status, said)
    if row.id not in _VAGUE:
        return row
    known = classify(code, status, f"{said} {notice[:1_500]}")
    return row if known.id in _VAGUE else known


def _notice(letter: Inbound, ids: tuple[str, ...]) -> Meaning | None:
    subject = _SUBJECTS.search(folded(letter.subject)) is not None
    program = from_a_program(letter)
    named = _addresses(letter.header("x-failed-recipients"))
    back = letter.header("return-path").replace(" ", "") == "<>"
    if not (subject or program or named or back):
        return None
    notice, _ = _parted(letter)
    words = folded(notice[:_MOST])
    form = next((form for form, pattern in _FORMS if pattern.search(words) and (form.sure or subject or program or named)), None)  # fmt: skip
    if form is None and not (named or (subject and program)):
        return None
    delayed = form is not None and (form.delayed or _is_delayed(words))
    recipients = _unique([*named, *_recipients(letter, notice)]) or _unique(_to(letter))
    said = _from(notice, recipients)
    code, status = _code(said) or _code(notice), next(iter(_ENHANCED.findall(said) or _ENHANCED.findall(notice)), None)
    row = _row(code, status or (None if code else "4.0.0" if delayed else "5.0.0"), said[:_SAID], notice)
    return Meaning(
        kind=InboundKind.BOUNCE,
        failure=row.failure,
        row=row.id,
        remedy=row.remedy,
        code=code,
        status=status,
        said=said[:_SAID],
        final=not delayed,
        recipients=recipients,
        message_ids=_originals(letter, letter.text, ids),
        reasons=tuple(filter(None, (f"form_{form.id}" if form else "", "subject" if subject else "", "delayed" if delayed else "", "sender" if program else ""))),
    )  # fmt: skip


def _is_delayed(words: str) -> bool:
    return any(form.delayed and pattern.search(words) for form, pattern in _FORMS) and not re.search(
        r"permanent|given up|giving up|will not be retried|no further|endgultig", words
    )


def _parted(letter: Inbound) -> tuple[str, str]:
    """The notice, and the copy of our mail below it: it begins with words that say so, or with the header that says that we wrote it."""
    lines = letter.text[: 4 * _MOST].splitlines(keepends=True)
    for place, line in enumerate(lines):
        if not place or len(line) > _LINE:
            continue
        words = folded(line)
        if _COPY.search(words) or (words.startswith("from: ") and any(ours in words for ours in letter.to)):
            return "".join(lines[:place]), "".join(lines[place:])
    return "".join(lines), ""


def _originals(letter: Inbound, text: str, ids: tuple[str, ...]) -> tuple[str, ...]:
    """The Message-IDs of what came back: with the report, in the copy of the text, by the report's own header."""
    own = letter.original.get("message-id", "")
    named = [own] if own.startswith("<") else []
    return tuple(dict.fromkeys([*named, *_ID.findall(text), *ids]))[:_RECIPIENTS]


def _recipients(letter: Inbound, notice: str) -> Iterable[str]:
    """Whom a notice is about: addresses that begin a line, else any that are neither ours nor the program's."""
    ours = {*letter.to, letter.from_address}
    for found in (_FIRST.findall(notice[:_MOST]), _ADDRESS.findall(notice[:_MOST])):
        about = [each.lower() for each in found if each.lower() not in ours and not _ADDRESSES.match(each.lower())]
        if about:
            return about[:_RECIPIENTS]
    return ()


def _to(letter: Inbound) -> list[str]:
    return _addresses(letter.original.get("to", ""))[:1]


def _from(notice: str, recipients: tuple[str, ...]) -> str:
    """The notice from where it speaks of the recipient on."""
    places = [place for each in recipients[:3] if (place := notice.lower().find(each)) >= 0]
    return notice[min(places) :].strip() if places else notice.strip()


def _code(text: str) -> int | None:
    found = _CODE.search(text)
    return int(found[1]) if found else None


def _addresses(field: str) -> list[str]:
    return [found.lower() for found in _ADDRESS.findall(field)]


def _unique(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for each in found if each))[:_RECIPIENTS]
