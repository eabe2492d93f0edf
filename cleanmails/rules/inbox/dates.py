"""When somebody says to be back: a date in words, in the languages of `dates.toml`."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Final

from cleanmails.rules.inbox.text import folded, table

_LETTERS: Final = re.compile(r"[a-z\u0400-\u04ff]")

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
_BEHIND: Final = re.compile(_TABLE["cues"]["behind"])
_AWAY: Final = re.compile(_TABLE["cues"]["away"])
_END: Final = re.compile(r"[!?。！？]|\. ")
_NUMBERS: Final = {name: int(number) for number, names in _TABLE["numbers"].items() for name in names}
_UNITS: Final = {name: int(days) for days, names in _TABLE["units"].items() for name in names}
_ALONE: Final = {name: int(days) for days, names in _TABLE["alone"].items() for name in names}
_PARTS: Final = {name: int(day) for day, names in _TABLE["parts"].items() for name in names}
_FEASTS: Final = {name: day for day, names in _TABLE["feasts"].items() for name in names}
_VAGUE: Final = frozenset(
    {"weekday", "lone", "tomorrow", "overmorrow", "week", "span", "part", "whole", "month", "feast"}
)
"""Days that are named by how far they are: they are meant only where a word beside them says that somebody is back."""

_TO: Final = r"\s*(?:-|~|to|until|till|through|thru|au|al|a|ao|bis(?: zum)?|tot(?: en met)?|t/m|til|do|до|по|から|至|到)\s*(?:(?:including|il|le|el|den|the) )?"
_BETWEEN: Final = re.compile(_TO)
_SPAN: Final = re.compile(rf"{_TO}(?=\d|the \d|[^\W\d]{{3,10}}\.? \d)")


def _names(known: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, known), key=len, reverse=True))


def _words(known: Iterable[str]) -> str:
    """Any of these as a word of its own; scripts without blanks have no such words."""
    spaced = [name for name in known if _LETTERS.match(name)]
    return rf"(?:\b(?:{_names(spaced)})\b|{_names(set(known).difference(spaced))})"


_MONTH: Final = _names(_MONTHS)
_LONG: Final = _names(name for name in _MONTHS if len(name) > 3)
_NUMBER: Final = rf"\d{{1,3}}|{_names(_NUMBERS)}"
_OF: Final = r"(?:(?:of|de|d'|di|des|du|der|del|do|van|van de|van het) ?)?"
_WHOLE: Final = {name: unit for unit in ("year", "month", "week") for name in _TABLE["after"][unit]}
_FEAST_WORDS: Final = _names(_FEASTS)
_DATE: Final = re.compile(
    rf"(?P<iso>(?<!\d)(?P<y1>20\d\d)[-/.](?P<m1>\d{{1,2}})[-/.](?P<d1>\d{{1,2}})(?!\d))"
    rf"|(?P<cjk>(?:(?P<y2>20\d\d) ?[年년] ?)?(?P<m2>\d{{1,2}}) ?[月월] ?(?P<d2>\d{{1,2}}) ?[日号일])"
    rf"|(?P<dotted>(?<![\d.])(?P<d3>\d{{1,2}})\. ?(?P<m3>\d{{1,2}})\.(?: ?(?P<y3>20\d\d|\d\d)(?!\d))?(?!\d))"
    rf"|(?P<slashed>(?<![\d/])(?P<a4>\d{{1,2}})(?:/(?P<b4>\d{{1,2}})(?:/(?P<y4>20\d\d|\d\d))?|-(?P<b9>\d{{1,2}})-(?P<y9>20\d\d))(?![\d/]))"
    rf"|(?P<day_first>(?<!\d)(?P<d5>\d{{1,2}})(?:st|nd|rd|th|er|\.|º|a|e)?[ -](?:(?:of|de|den|d') ?)?(?P<m5>{_MONTH})\b\.?,?(?:[ -](?:de |del )?(?P<y5>20\d\d))?)"
    rf"|(?P<month_first>\b(?P<m6>{_MONTH})\b\.? (?:the )?(?P<d6>\d{{1,2}})(?:st|nd|rd|th)?(?!\d|:)(?:,? (?P<y6>20\d\d))?)"
    rf"|(?P<ordinal>\bthe (?P<d8>\d{{1,2}})(?:st|nd|rd|th)\b(?! (?:of )?(?:{_MONTH})\b))"
    rf"|(?P<week>\b(?:next week|nachste woche|semaine prochaine|proxima semana|prossima settimana|volgende week|nasta vecka|neste uke)\b)"
    rf"|(?P<weekday>(?:\b(?P<x7>next|nachste[nmr]?) )?(?P<w7>{_words(_WEEKDAYS)})(?!,? (?:den |the |le |el |il |de )?(?:\d|(?:{_MONTH})\b)))"
    r"|(?P<overmorrow>\b(?:(?:the )?day after tomorrow|ubermorgen|apres-demain|pasado manana|dopodomani|overmorgen|depois de amanha|i overmorgen|i overmorgon|i ovrigt|ylihuomenna|pojutrze|pozitri|послезавтра)\b|明後日|后天|後天|모레)"
    rf"|(?P<tomorrow>\b(?:tomorrow|demain|manana|domani|amanha|i morgen|imorgon|huomenna|jutro|zitra|завтра|yarin)\b|明天|明日|내일)"
    rf"|(?P<span>\b(?:{_TABLE['cues']['ahead']}) (?P<n10>{_NUMBER}) (?:more |full |whole |working |business |weitere |ganze )?(?P<u10>{_words(_UNITS)})(?! ago\b)|(?P<n11>{_NUMBER}) ?(?P<u11>{_names(_UNITS)}) ?(?:{_TABLE['cues']['later']}))"
    rf"|(?P<lone>\b(?:{_names(_ALONE)})\b)"
    rf"|(?P<part>\b(?P<p12>{_names(_PARTS)})[ -]?{_OF}(?P<m12>{_MONTH})\b(?:,? (?:de )?(?P<y12>20\d\d))?)"
    rf"|(?P<whole>\b(?:{_names(name for name, day in _PARTS.items() if day == 31)}) {_OF}(?:the |this |dieser |de l'|la |l'|lopende )?(?P<x13>next |nachster )?(?P<t13>{_names(_WHOLE)})\b)"
    rf"|(?P<feast>\b(?:(?:{_names(_TABLE['after']['words'])}|in|im|en|nel|no|w|i|v|в|until|till|bis|tot|hasta|do|до) )(?:the |dem |den |der |le |la |el |il |het |o |det )?(?P<f14>{_FEAST_WORDS})\b)"
    rf"|(?P<month>(?:^ ?|\b(?:in|im|en|em|w|v|в|until|till|bis|tot|hasta) )(?P<m15>{_LONG})\b(?! (?:the )?\d{{1,2}}(?!\d))(?:,? (?:de )?(?P<y15>20\d\d))?)"
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
    named = {day for day, _, _ in _dates(words, sent, vague=False)}
    if named and _is_cjk(words):
        return max(named)
    if span := _span(words, sent):
        return span
    if len(named) == 1:
        return max(named)
    return _before(words, sent) or _for_a_while(words, sent)


def _before(words: str, sent: date) -> date | None:
    """The day before the words that say that somebody is back: "in two weeks I am back"."""
    for day, _, end in _dates(words, sent):
        cue = _BEHIND.search(words, end, end + NEAR // 2)
        if cue and not _END.search(words, end, cue.start()):
            return day
    return None


def _for_a_while(words: str, sent: date) -> date | None:
    """The end of the days for which somebody says to be away."""
    for found in _DATE.finditer(words):
        day = _day(found, sent) if found["span"] else None
        around = words[max(0, found.start() - NEAR) : found.end() + NEAR]
        if day is not None and sent < day <= sent + LONGEST and _AWAY.search(around):
            return day
    return None


def _span(words: str, sent: date) -> date | None:
    """The end of "from the 1st to the 5th", or the day after it where that is included."""
    named = list(_DATE.finditer(words))
    for first, last in itertools.pairwise(named):
        day = _day(last, sent)
        if first["weekday"] and last["weekday"]:
            continue  # the days on which somebody is there
        if day is not None and sent <= day <= sent + LONGEST and _BETWEEN.fullmatch(words[first.end() : last.start()]):
            included = _INCLUDED.search(words[last.end() : last.end() + NEAR // 3])
            return day + timedelta(days=1) if included else day
    return None


def _is_cjk(words: str) -> bool:
    return re.search("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]", words) is not None


def _dates(words: str, sent: date, *, vague: bool = True) -> Iterator[tuple[date, int, int]]:
    """The days ahead that a text names, each with where its words begin and end."""
    for found in _DATE.finditer(words):
        if not vague and found.lastgroup in _VAGUE:
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
    if match["overmorrow"]:
        return sent + timedelta(days=2)
    if match["weekday"]:
        return _of_week(_WEEKDAYS[match["w7"]], sent, following=match["x7"] is not None)
    return _vague(match, sent)


def _of_week(weekday: int, sent: date, *, following: bool) -> date:
    """The next day of this name; "next Friday", said on a Thursday, is not tomorrow."""
    ahead = (weekday - sent.weekday()) % 7 or 7
    return sent + timedelta(days=ahead + 7 if following and sent.weekday() < weekday else ahead)


def _vague(match: Mapping[str, str | None], sent: date) -> date | None:
    """A day that is named by how far it is, or by the part of a month or year in which it lies."""
    if match["span"]:
        number, unit = match["n10"] or match["n11"] or "", match["u10"] or match["u11"] or ""
        count = int(number) if number.isdecimal() else _NUMBERS[number]
        return sent + timedelta(days=count * _UNITS[unit])
    if match["lone"]:
        return sent + timedelta(days=_ALONE[match["lone"]])
    if match["part"]:
        return _part(match["y12"], _MONTHS[match["m12"] or ""], _PARTS[match["p12"] or ""], sent)
    if match["whole"]:
        return _whole_end(_WHOLE[match["t13"] or ""], sent, following=match["x13"] is not None)
    if match["feast"]:
        month, day = _FEASTS[match["f14"] or ""].split("-")
        near = date(sent.year, int(month), int(day))
        return near if near >= sent else near.replace(year=sent.year + 1)
    return _part(match["y15"], _MONTHS[match["m15"] or ""], 1, sent)


def _part(year: str | None, month: int, day: int, sent: date) -> date | None:
    """A day of a month, or its last."""
    first = _made(year, month, 1, sent)
    return first and min(first + timedelta(days=day - 1), _last(first))


def _whole_end(unit: str, sent: date, *, following: bool) -> date:
    """The last day of a year, a month or a working week."""
    if unit == "year":
        return date(sent.year + following, 12, 31)
    if unit == "month":
        return _last(_last(sent) + timedelta(days=1)) if following else _last(sent)
    friday = sent + timedelta(days=(4 - sent.weekday()) % 7)
    return friday + timedelta(days=7 * following)


def _last(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)


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
