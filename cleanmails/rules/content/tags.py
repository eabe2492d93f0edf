"""Reading what stands in double braces: fields with their fallbacks, and questions to a model."""

import html
import re

from cleanmails.rules.content.source import Source
from cleanmails.rules.content.tree import UNSUBSCRIBE_URL, Ai, Field, Words
from cleanmails.rules.content.values import Landing, as_plain, clean, field_name

_SIMPLE = re.compile(r"\{\{([^{}]*)\}\}")
_NAME = re.compile(r"[^\W\d][\w .-]{0,63}")
_AI = re.compile(r"\{\{\s*AI\s*:", re.IGNORECASE)
_AI_MARK = re.compile(r"\{\{[^{}]*\}\}|\}\}|\|")
_MARKUP = re.compile(r"<[^<>]*>")
_NO_TAG = (
    '“{tag}” at {place} is no tag: double braces hold a field, as in {{FIRST_NAME}} or {{FIRST_NAME | "there"}}, '
    "or {{AI:prompt|fallback}}; a choice is written in single braces."
)
_NO_QUESTION = "The AI tag at {place} asks nothing: write {{AI:what to write|what to say without an answer}}."
_QUOTES = ('""', "''", "“”", "„“", "«»")


def read_tag(source: Source, start: int, landing: Landing, *, shown: bool) -> tuple[Field | Ai | None, int]:
    """The tag that opens at `start` (where `{{` stands) and the position after it; None and `start` if these braces are no tag.

    Braces that look like a tag and are none are an error: sent as they are, they would be read by a lead.
    """
    if opening := _AI.match(source.text, start):
        return _read_ai(source, start, opening.end(), landing, shown=shown)
    found = _SIMPLE.match(source.text, start)
    if not found:
        return None, start
    field = _field(source, start, found[1], landing, shown=shown)
    if field is None:
        source.fault(start, _NO_TAG.replace("{tag}", found[0][:60]))
    return field, found.end()


def _field(
    source: Source, start: int, content: str, landing: Landing, *, shown: bool, needed: bool = True
) -> Field | None:
    """A field from what stands between its braces; None if that is none. Not `needed`: the mail can do without its value."""
    content = html.unescape(content) if source.is_html else content
    written, pipe, rest = content.partition("|")
    name = field_name(written)
    fallback = _unquoted(rest) if pipe else None
    if not name or not _NAME.fullmatch(written.strip()) or ("|" in rest and fallback == rest.strip()):
        return None
    if name == UNSUBSCRIBE_URL and not source.is_html:
        source.fault(start, "The unsubscribe link cannot stand in a subject ({place}).")
    source.add_tag(start, name, required=needed and fallback is None)
    return Field(name, None if fallback is None else clean(fallback), landing, shown)


def _unquoted(written: str) -> str:
    written = written.strip()
    return written[1:-1] if len(written) > 1 and written[0] + written[-1] in _QUOTES else written


def _read_ai(source: Source, start: int, position: int, landing: Landing, *, shown: bool) -> tuple[Ai, int]:
    """The parts of an AI tag: words and fields up to the first pipe, the same as fallback up to the closing braces."""
    pipe = None
    for mark in _AI_MARK.finditer(source.text, position):
        if mark[0] == "|" and pipe is None:
            pipe = mark.start()
        elif mark[0] == "}}":
            asked = source.text[position : mark.start() if pipe is None else pipe]
            if not asked.strip():
                source.fault(start, _NO_QUESTION)
            prompt = _words(source, start, asked, needed=pipe is None)
            fallback = None if pipe is None else _words(source, start, _unquoted(source.text[pipe + 1 : mark.start()]))
            return Ai(prompt, fallback, landing, shown), mark.end()
    raise source.halt(start, "Closing braces missing: the AI tag opened at {place} has no “}}”.")


def _words(source: Source, start: int, raw: str, *, needed: bool = True) -> Words:
    """Plain words and the fields between them."""
    words: list[str | Field] = []
    position = 0
    for found in _SIMPLE.finditer(raw):
        if field := _field(source, start, found[1], as_plain, shown=False, needed=needed):
            words += [_plain(source, raw[position : found.start()]), field]
            position = found.end()
    return (*words, _plain(source, raw[position:]))


def _plain(source: Source, raw: str) -> str:
    return html.unescape(_MARKUP.sub(" ", raw)) if source.is_html else raw
