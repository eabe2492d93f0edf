"""HTML to tree: as much of the markup is read as decides what a brace means, where a value lands, and where the links are.

Spintax is read in the text between tags. Comments, `<style>` and `<script>` keep every character; in the quoted values of attributes tags are
read, and spintax is not. What only Outlook reads (`<!--[if mso]>`) is read as markup, too.
"""

import html
import re

import msgspec

from cleanmails.rules.content.braces import Braces
from cleanmails.rules.content.source import Element, Source
from cleanmails.rules.content.tree import UNSUBSCRIBE_URL, Ai, Field, Link, Literal, OpenLink, Target
from cleanmails.rules.content.values import (
    Landing,
    as_host,
    as_mailto_part,
    as_markup,
    as_style,
    as_url,
    as_url_part,
    is_web_link,
)

_NAME = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:_-]*)")
_CONDITIONAL = re.compile(r"<!--\[if [^\]<>]*\]>(<!-->|-->)?")
_ATTRIBUTE = re.compile(r"[\s/]*([^\s/>][^\s/>=]*)(\s*=\s*)?")
_END = re.compile(r"[\s/]*>")
_UNQUOTED = re.compile(r"[^\s>]*")
_IN_QUOTES = {quote: re.compile(rf"{quote}|\{{\{{") for quote in "\"'"}
_RAW_ENDS = {name: re.compile(rf"</{name}\b", re.IGNORECASE) for name in ("style", "script")}
_URL_ATTRIBUTES = frozenset(
    ["href", "src", "action", "background", "cite", "data", "formaction", "poster", "longdesc", "xlink:href"]
)
_LIKE_TAG = re.compile(r"\{\{\s*[^\W\d]\w*\s*(?:\||\}\})")
_LIKE_CHOICE = re.compile(r"\{[^{}|]*\|[^{}]*\}")
_PREFIX = 200  # characters of an address that say what kind it is
_MARKUP = re.compile(r"<[^<>]*>")
_SCHEME = re.compile(r"\A(?:https?://|mailto:|tel:)", re.IGNORECASE)

Parts = tuple[Literal | Field | Ai, ...]


class _Anchor(msgspec.Struct):
    """An `<a href>` whose end is awaited: its address as written, where its words begin, and its number if that address is open."""

    source: str
    number: int | None
    words_from: int = 0


class Markup(Braces):
    """Reads one body."""

    marks = re.compile(r"[{}|<]")

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.anchor: _Anchor | None = None
        self.links = 0

    def at_mark(self, mark: str, start: int) -> None:
        """Read on at a brace, a pipe, or what may be a tag."""
        if mark != "<":
            super().at_mark(mark, start)
        elif name := _NAME.match(self.text, start):
            self._tag(name)
        elif self.text.startswith("<!--", start):
            self._comment(start)
        elif self.text.startswith(("<!", "<?"), start):
            self.writer.conditional(opening=False)
            self._keep(start, self.text.find(">", start) + 1, "declaration")
        else:  # written as an entity: before a value, a bare < would open a tag
            self.group.add("&lt;", self.writer.words("&lt;"))
            self.position = start + 1

    def _keep(self, start: int, end: int, what: str) -> None:
        """Take the characters up to `end` as they stand; an `end` below 1 is one that was not found."""
        if end < 1:
            raise self.source.halt(start, f"The {what} that begins at {{place}} has no end.")
        kept = self.text[self.position : end]
        if tag := _LIKE_TAG.search(kept):
            self.source.notes.append(("tag_not_read", self.position + tag.start()))
        self.group.add(kept)
        self.position = end

    def _comment(self, start: int) -> None:
        if conditional := _CONDITIONAL.match(self.text, start):
            if not conditional[1]:
                self.writer.conditional(opening=True)
            self._keep(start, conditional.end(), "comment")
        else:
            found = self.text.find("-->", start + 2)
            self._keep(start, found + 3 if found > 0 else 0, "comment")

    def _tag(self, opening: re.Match[str]) -> None:
        start, closing, name = opening.start(), bool(opening[1]), opening[2].lower()
        if closing and name == "a":
            self._end_anchor(start)
        attributes, end = self._attributes(name, start, opening.end())
        self.source.elements.append(Element(name, attributes, start, closing, "/" in end[0]))
        text = self.writer.tag(name, closing=closing, attributes=attributes)
        self.group.add(self.text[self.position : end.end()], text)
        self.position = end.end()
        if self.anchor and name == "a" and not closing:
            self.anchor.words_from = self.position
        if not closing and (raw_end := _RAW_ENDS.get(name)):
            found = raw_end.search(self.text, self.position)
            self._keep(start, found.start() if found else 0, f"content of <{name}>")

    def _attributes(self, tag: str, start: int, position: int) -> tuple[dict[str, str], re.Match[str]]:
        """Read a tag's attributes from `position` on: the literal ones, and the match of its end."""
        attributes: dict[str, str] = {}
        while not (end := _END.match(self.text, position)):
            found = _ATTRIBUTE.match(self.text, position)
            if not found:
                raise self.source.halt(start, f"The tag <{tag} at {{place}} has no “>”.")
            if "{{" in found[1]:
                message = f"In the tag <{tag} at {{place}} a field stands outside the quotes of a value."
                self.source.fault(start, message)
            position = found.end()
            if found[2]:
                name = found[1].lower()
                attributes[name], position = self._attribute(tag, name, position)
        return attributes, end

    def _attribute(self, tag: str, name: str, start: int) -> tuple[str, int]:
        """Read an attribute's value: what of it is literal (nothing if a tag is in it), and the position after it."""
        quote = self.text[start : start + 1]
        kept_to = self.position
        if quote in _IN_QUOTES:
            start += 1
            parts, end = self._quoted(name, quote, start)
        else:
            quote = ""
            parts, end = self._unquoted(name, start)
        self.position = kept_to
        if tag == "a" and name == "href":
            self._link(parts, start, end)
        elif len(parts) > 1 or isinstance(parts[0], Field | Ai):
            self.group.add(self.text[self.position : start])
            self.group.add_nodes(*parts)
            self.position = end
        if not name.startswith(("on", "style", "data-")) and (choice := _LIKE_CHOICE.search(self.text, start, end)):
            self.source.notes.append(("spintax_not_read", choice.start()))
        literal = parts[0].raw if len(parts) == 1 and isinstance(parts[0], Literal) else ""
        return html.unescape(literal), end + len(quote)

    def _unquoted(self, name: str, start: int) -> tuple[Parts, int]:
        """A value without quotes, which can hold no tag: a blank in what a lead has would end it."""
        found = _UNQUOTED.match(self.text, start)
        assert found
        if "{{" in found[0]:
            self.source.fault(start, f"Put the value of {name} at {{place}} in quotes: a field stands in it.")
        return (Literal(found[0]),), found.end()

    def _quoted(self, name: str, quote: str, start: int) -> tuple[Parts, int]:
        """The parts of a value in quotes, at least one, and where its closing quote stands. Quotes inside a tag do not end it."""
        parts: list[Literal | Field | Ai] = []
        kept_to = position = start
        while mark := _IN_QUOTES[quote].search(self.text, position):
            if mark[0] == quote:
                if kept_to < mark.start() or not parts:
                    parts.append(Literal(self.text[kept_to : mark.start()]))
                return tuple(parts), mark.start()
            before = self.text[start : min(mark.start(), start + _PREFIX)]
            tag = self.tag(mark.start(), _landing(name, before), shown=False)
            position = max(self.position, mark.end())
            if tag:
                if name.startswith("on") or name == "srcdoc":
                    self.source.fault(mark.start(), f"A field cannot stand in {name} ({{place}}): it would be run.")
                if kept_to < mark.start():
                    parts.append(Literal(self.text[kept_to : mark.start()]))
                parts.append(tag)
                kept_to = position
        raise self.source.halt(
            start, f"Closing quote missing: the value of {name} that begins at {{place}} has no end."
        )

    def _link(self, parts: Parts, start: int, end: int) -> None:
        """Give the address of an `<a href>` a node of its own if it may be a link whose clicks are counted."""
        written = self.text[start:end]
        literal = len(parts) == 1 and isinstance(parts[0], Literal)
        url = html.unescape(written).strip()
        self.anchor = _Anchor(written, None)
        if literal and not is_web_link(url):
            return
        self.links += 1
        self.group.add(self.text[self.position : start])
        self.position = end
        if literal:
            self.group.add_nodes(Link(self.links, written, url))
            return
        self.anchor.number = self.links
        own = any(isinstance(part, Field) and part.name == UNSUBSCRIBE_URL for part in parts)
        self.group.add_nodes(OpenLink(self.links, parts, own))

    def _end_anchor(self, start: int) -> None:
        """After the words of a link the plain text says where it leads, unless the words said it already."""
        anchor, self.anchor = self.anchor, None
        if anchor is None or not self.writer.shown:
            return
        words = _MARKUP.sub("", self.text[anchor.words_from : start]).strip()
        if words == anchor.source.strip():
            return
        if anchor.number is not None:
            self.group.add_nodes(Target(anchor.number))
        elif target := _target(html.unescape(anchor.source).strip(), html.unescape(words)):
            self.group.add("", f" <{target}>")


def _landing(attribute: str, before: str) -> Landing:
    """How a value is escaped in an attribute, after what stands before it there."""
    if attribute not in _URL_ATTRIBUTES:
        return as_style if attribute == "style" else as_markup
    before = before.strip().lower()
    if not before:
        return as_url
    if before in {"http://", "https://"}:
        return as_host
    return as_mailto_part if before.startswith("mailto:") else as_url_part


def _target(url: str, words: str) -> str:
    """Where a literal link leads, for a reader of `words`: nothing if they say it, or if it leads nowhere outside the mail."""
    if not _SCHEME.match(url):
        return ""
    address = url if is_web_link(url) else _SCHEME.sub("", url).partition("?")[0]
    bare = _SCHEME.sub("", address).rstrip("/").lower()
    return "" if _SCHEME.sub("", words).rstrip("/").lower() == bare else address
