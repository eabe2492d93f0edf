"""Who asks to be left alone, in words. A quote of our own footer is no wish: only what is new of a mail is searched."""

import re
from typing import Final

from cleanmails.records import Inbound
from cleanmails.rules.inbox.text import any_of, folded, table

_MOST: Final = 3_000
_LINES: Final = 6
"""Lines from the top of which one may be the whole wish; further down stand signatures."""

_SHORT: Final = 300
"""Characters of a text whose every sentence is looked at; of one beside a subject that is the wish: what a mail program adds by itself."""

_WORDS: Final = table("words")["optout"]
_ALONE: Final = re.compile(
    rf"(?:(?:{_WORDS['before']}) ){{0,2}}(?:{any_of(_WORDS['alone']).pattern})(?: (?:{_WORDS['after']})){{0,2}}"
)
_ASKED: Final = any_of(_WORDS["asked"])
_UNLESS: Final = any_of(_WORDS["unless"])
_ANSWER: Final = re.compile(r"^(?:(?:re|aw|sv|vs|antw|odp|ynt|rif|res|fwd?|wg|tr|rv|回复|答复|返信)\s?[:：] ?)+")
_MISSPELT: Final = re.compile(
    r"\bun-?(?:subcribe|suscribe|subscibe|subsribe|subscirbe|subsrcibe|scubscribe|subscrib|scribe)(?=d?\b)"
)
"""How `unsubscribe` is written in a hurry."""

_SENTENCE: Final = re.compile(r"[.!?。！？\n]+")
_PUNCTUATION: Final = re.compile(r"[^\w\s/-]+")


def by_subject(letter: Inbound) -> bool:
    """Whether the subject is the wish: what the `mailto:` of List-Unsubscribe sends (RFC 2369)."""
    subject = _bare(letter.subject)
    return _ALONE.fullmatch(subject) is not None and len(letter.reply) <= _SHORT


def by_words(letter: Inbound) -> bool:
    """Whether what is new of the mail says it."""
    text = letter.reply[:_MOST]
    words = _MISSPELT.sub("unsubscribe", folded(text))
    lines = [line for line in (_bare(line) for line in text.splitlines()) if line]
    alone = [" ".join(lines), *lines[:_LINES]]
    if len(text) <= _SHORT:
        alone += [_bare(sentence) for sentence in _SENTENCE.split(text)]
    return any(_ALONE.fullmatch(each) for each in alone) or _ASKED.search(_UNLESS.sub(" ", words)) is not None


def _bare(text: str) -> str:
    """Folded, without the marks of an answer and without punctuation."""
    return " ".join(_PUNCTUATION.sub(" ", _ANSWER.sub("", _MISSPELT.sub("unsubscribe", folded(text[:400])))).split())
