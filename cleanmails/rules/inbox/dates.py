"""When somebody says to be back: a date in words, in the languages of `dates.toml`."""

import itertools
import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from cleanmails.rules.inbox.text import folded, table

NEAR: Final = 60
"""Characters between "back on" or "until" and the date that it is about."""

LONGEST: Final = timedelta(days=400)
"""A date further ahead is no date of return."""

PAST: Final = timedelta(days=150)
"""A day without a year that was less long ago is past, and not of the next year."""

_MOST: Final = 5_000
_TABLE: Final = table("dates")
_MONTHS: Final = {name: int(number) for number, names in _TABLE["months"].items() for name in names}
_WEEKDAYS: Final = {name: int(number) for number, names in _TABLE["weekdays"].items() for name in names}
_BACK: Final = re.compile(_TABLE["cues"]["back"])
_UNTIL: Final = re.compile(_TABLE["cues"]["until"])
_INCLUSIVE: Final = re.compile(_TABLE["cues"]["inclusive"])
_INCLUDED: Final = re.compile(_TABLE["cues"]["included"])


_TO: Final = r"\s*(?:-|~|to|until|till|through|thru|au|al|a|ao|bis(?: zum)?|tot(?: en met)?|t/m|til|do|до|по|から|至|到)\s*(?:(?:including|il|le|el|den|the) )?"
_BETWEEN: Final = re.compile(_TO)
_SPAN: Final = re.compile(rf"{_TO}(?=\d|the \d|[^\W\d]{{3,10}}\.? \d)")


def _names(known: dict[str, int]) -> str:
    return "|".join(sorted(map(re.escape, known), key=len, reverse=True))


_MONTH: Final = _names(_MONTHS)
_DATE: Final = re.compile(
    rf"(?P<iso>(?<!\d)(?P<y1>20\d\d)[-/.](?P<m1>\d{{1,2}})[-/.](?P<d1>\d{{1,2}})(?!\d))"
    rf"|(?P<cjk>(?:(?P<y2>20\d\d) ?[年년] ?)?(?P<m2>\d{{1,2}}) ?[月월] ?(?P<d2>\d{{1,2}}) ?[日号일])"
    rf"|(?P<dotted>(?<![\d.])(?P<d3>\d{{1,2}})\. ?(?P<m3>\d{{1,2}})\.(?: ?(?P<y3>20\d\d|\d\d)(?!\d))?(?!\d))"
    rf"|(?P<slashed>(?<![\d/])(?P<a4>\d{{1,2}})(?:/(?P<b4>\d{{1,2}})(?:/(?P<y4>20\d\d|\d\d))?|-(?P<b9>\d{{1,2}})-(?P<y9>20\d\d))(?![\d/]))"
    rf"|(?P<day_first>(?<!\d)(?P<d5>\d{{1,2}})(?:st|nd|rd|th|er|\.|º|a|e)?[ -](?:(?:of|de|den|d') ?)?(?P<m5>{_MONTH})\b\.?,?(?:[ -](?:de |del )?(?P<y5>20\d\d))?)"
    rf"|(?P<month_first>\b(?P<m6>{_MONTH})\b\.? (?:the )?(?P<d6>\d{{1,2}})(?:st|nd|rd|th)?(?!\d|:)(?:,? (?P<y6>20\d\d))?)"
    rf"|(?P<ordinal>\bthe (?P<d8>\d{{1,2}})(?:st|nd|rd|th)\b(?! (?:of )?(?:{_MONTH})\b))"
    rf"|(?P<week>\b(?:next week|nachste woche|semaine prochaine|proxima semana|prossima settimana|volgende week|nasta vecka|neste uke)\b)"
    rf"|(?P<weekday>\b(?P<w7>{_names(_WEEKDAYS)})\b(?!,? (?:den |the |le |el |il |de )?(?:\d|(?:{_MONTH})\b)))"
    rf"|(?P<tomorrow>\b(?:tomorrow|demain|manana|domani|amanha|i morgen|imorgon|huomenna|jutro|zitra|завтра|yarin)\b|明天|明日|내일)"
)


def resumes_on(text: str, sent: date) -> date | None:
    """The day on which somebody is back, who wrote this on the day `sent`; None if it does not say so, or if that day is past.

    What follows "back on" is that day. What follows "until" is taken as it stands, and the day after it where the text says that it is included.
    """
    words = folded(text[:_MOST])
    for cue in _BACK.finditer(words):
        found = next(_dates(words[cue.end() : cue.end() + NEAR], sent), None)
        if found is None or _UNTIL.search(words[cue.end() : cue.end() + found[1]]):
            continue
        if not _SPAN.match(words[cue.end() + found[2] : cue.end() + found[2] + NEAR]):
            return found[0]
    for cue in _UNTIL.finditer(words):
        if found := next(_dates(words[cue.end() : cue.end() + NEAR], sent), None):
            end = cue.end() + found[2]
            included = _INCLUSIVE.search(cue[0]) or _INCLUDED.search(words[end : end + NEAR // 3])
            return found[0] + timedelta(days=1) if included else found[0]
    if span := _span(words, sent):
        return span
    all_found = {day for day, _, _ in _dates(words, sent, weekdays=False)}
    return max(all_found) if all_found and _is_cjk(words) else next(iter(all_found)) if len(all_found) == 1 else None


def _span(words: str, sent: date) -> date | None:
    """The end of "from the 1st to the 5th", or the day after it where that is included."""
    named = list(_DATE.finditer(words))
    for first, last in itertools.pairwise(named):
        day = _day(last, sent)
        if day is not None and sent <= day <= sent + LONGEST and _BETWEEN.fullmatch(words[first.end() : last.start()]):
            included = _INCLUDED.search(words[last.end() : last.end() + NEAR // 3])
            return day + timedelta(days=1) if included else day
    return None


def _is_cjk(words: str) -> bool:
    return re.search("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]", words) is not None


def _dates(words: str, sent: date, *, weekdays: bool = True) -> Iterator[tuple[date, int, int]]:
    """The days ahead that a text names, each with where its words begin and end."""
    for found in _DATE.finditer(words):
        if not weekdays and found.lastgroup in {"w7", "weekday", "tomorrow", "week"}:
            continue
        day = _day(found, sent)
        if day is not None and sent <= day <= sent + LONGEST:
            yield day, found.start(), found.end()


def _day(found: re.Match[str], sent: date) -> date | None:
    match = found.groupdict()
    if match["iso"]:
        return _made(match["y1"], int(match["m1"]), int(match["d1"]), sent)
    if match["cjk"]:
        return _made(match["y2"], int(match["m2"]), int(match["d2"]), sent)
    if match["dotted"]:
        return _made(match["y3"], int(match["m3"]), int(match["d3"]), sent)
    if match["slashed"]:
        return _slashed(int(match["a4"]), int(match["b4"] or match["b9"]), match["y4"] or match["y9"], sent)
    if match["day_first"]:
        return _made(match["y5"], _MONTHS[match["m5"]], int(match["d5"]), sent)
    if match["month_first"]:
        return _made(match["y6"], _MONTHS[match["m6"]], int(match["d6"]), sent)
    if match["ordinal"]:
        return _of_month(int(match["d8"]), sent)
    if match["week"]:
        return sent + timedelta(days=7 - sent.weekday())
    if match["tomorrow"]:
        return sent + timedelta(days=1)
    ahead = (_WEEKDAYS[match["w7"]] - sent.weekday()) % 7
    return sent + timedelta(days=ahead or 7)


def _of_month(day: int, sent: date) -> date | None:
    """The next day of this number."""
    following = (sent.replace(day=1) + timedelta(days=32)).replace(day=1)
    for month in (sent, following):
        found = _made(str(month.year), month.month, day, sent)
        if found and found >= sent:
            return found
    return None


def _slashed(first: int, second: int, year: str | None, sent: date) -> date | None:
    """Day and month in the order of which one is a day soon to come; in Europe's if both are as near."""
    days = [day for m, d in ((second, first), (first, second)) if (day := _made(year, m, d, sent)) and day >= sent]
    return min(days, default=None)


def _made(year: str | None, month: int, day: int, sent: date) -> date | None:
    """The day. Without a year that of this year, also if it is just past; one that is long past is meant of the next."""
    try:
        if year:
            return date(int(year) + (2000 if len(year) == 2 else 0), month, day)
        near = date(sent.year, month, day)
        return near if near >= sent - PAST else date(sent.year + 1, month, day)
    except ValueError:
        return None
