"""A parsed template: what is read of it once, and how each node writes itself into one lead's mail."""

import html
from collections.abc import Mapping
from hashlib import blake2b
from typing import Literal as OneOf

import msgspec

from cleanmails.errors import MissingFieldError
from cleanmails.records import LinkSlot
from cleanmails.rules.content.seed import Seed, draw
from cleanmails.rules.content.values import Landing, clean, is_web_link

Where = OneOf["subject", "body"]
UNSUBSCRIBE_URL = "UNSUBSCRIBE_URL"


class Prompt(msgspec.Struct, frozen=True):
    """What to ask a model for one lead. `key` is a stable hash of the text: the same question has the same answer, in the ledger too."""

    key: str
    text: str
    fallback: str | None


class Writing(msgspec.Struct):
    """One lead's mail while it is written. `gathering` walks only to collect prompts: nothing that is missing stops it."""

    lead: Mapping[str, str]
    seed: Seed
    answers: Mapping[str, str]
    blank: bool = False
    gathering: bool = False
    pieces: list[str] = []
    text: list[str] = []
    links: list[LinkSlot] = []
    urls: dict[int, str] = {}
    prompts: list[Prompt] = []
    unsubscribe: bool = False
    known: dict[tuple[str, Landing], tuple[str, str | None]] = {}

    def value(self, name: str) -> str:
        """What the lead has in a field, cleaned; empty if nothing."""
        return clean(self.lead.get(name, ""))

    def landed(self, name: str, landing: Landing) -> tuple[str, str | None]:
        """The same, and how it is written where it lands; most fields stand in a mail more than once."""
        known = self.known.get((name, landing))
        if known is None:
            value = self.value(name)
            known = self.known[name, landing] = (value, landing(value) if value else None)
        return known

    def put(self, value: str, escaped: str, *, shown: bool) -> None:
        """Write a value that is there."""
        self.pieces.append(escaped)
        if shown:
            self.text.append(value)


class Literal(msgspec.Struct, frozen=True):
    """Words of the author, as markup and as text."""

    raw: str
    text: str = ""

    def write(self, to: Writing) -> None:
        """Write it as it stands."""
        to.pieces.append(self.raw)
        if self.text:
            to.text.append(self.text)


class Field(msgspec.Struct, frozen=True):
    """`{{NAME | "fallback"}}`. `shown`: its value is part of the plain text too."""

    name: str
    fallback: str | None
    landing: Landing
    shown: bool

    def write(self, to: Writing) -> None:
        """Write the lead's value, else the fallback; MissingFieldError if there is neither and the mail may not have blanks."""
        if self.name == UNSUBSCRIBE_URL:
            to.unsubscribe = True
        value, escaped = to.landed(self.name, self.landing)
        if escaped is None and self.fallback:
            value, escaped = self.fallback, self.landing(self.fallback)
        if escaped is not None:
            to.put(value, escaped, shown=self.shown)
        elif self.fallback is None and not to.blank:
            raise MissingFieldError(self.name)


class Ai(msgspec.Struct, frozen=True):
    """`{{AI:prompt|fallback}}`. A field that the prompt needs and the lead lacks makes it unusable: the fallback stands in."""

    prompt: "Words"
    fallback: "Words | None"
    landing: Landing
    shown: bool

    def write(self, to: Writing) -> None:
        """Write the answer, else the fallback; MissingFieldError if there is neither, even where blanks are allowed."""
        fallback = None if self.fallback is None else _fill(self.fallback, to) or ""
        for value in (self._answer(to, fallback), fallback):
            escaped = self.landing(value) if value else None
            if value and escaped is not None:
                to.put(value, escaped, shown=self.shown)
                return
        if self.fallback is None and not to.gathering:
            raise MissingFieldError("AI")

    def _answer(self, to: Writing, fallback: str | None) -> str:
        text = _fill(self.prompt, to)
        if not text:
            return ""
        key = blake2b(text.encode(), digest_size=16).hexdigest()
        to.prompts.append(Prompt(key, text, fallback))
        return clean(to.answers.get(key, ""))


def _fill(words: "Words", to: Writing) -> str | None:
    """Plain words with their fields filled in; None if one is missing."""
    filled = [word if isinstance(word, str) else to.value(word.name) or word.fallback for word in words]
    return clean("".join(word for word in filled if word)) if None not in filled else None


class Choice(msgspec.Struct, frozen=True):
    """`{a|b|c}`. `name` is its place in the tree (`body/2/0/1`: the second choice inside the first option of the third), its die's name."""

    name: str
    options: tuple[tuple["Node", ...], ...]

    def write(self, to: Writing) -> None:
        """Write the option that the seed picks."""
        for node in self.options[draw(to.seed, self.name, len(self.options))]:
            node.write(to)


class Link(msgspec.Struct, frozen=True):
    """The address of `<a href>`, all of it the author's, on which a click can be counted. `number` is its place among the template's links."""

    number: int
    raw: str
    url: str

    def write(self, to: Writing) -> None:
        """Write the address as a piece of its own, and note it."""
        to.links.append(LinkSlot(self.number, self.url, len(to.pieces)))
        to.pieces.append(self.raw)


class OpenLink(msgspec.Struct, frozen=True):
    """The address of `<a href>` with tags in it: what it is shows when they are filled in. `own`: our unsubscribe link, never to be wrapped."""

    number: int
    parts: tuple["Literal | Field | Ai", ...]
    own: bool

    def write(self, to: Writing) -> None:
        """Write the address as one piece, and note it if a click on it can be counted."""
        place = len(to.pieces)
        for part in self.parts:
            part.write(to)
        raw = "".join(to.pieces[place:])
        to.pieces[place:] = [raw]
        url = html.unescape(raw).strip()
        to.urls[self.number] = url.removeprefix("mailto:").removeprefix("tel:")
        if not self.own and is_web_link(url):
            to.links.append(LinkSlot(self.number, url, place))


class Target(msgspec.Struct, frozen=True):
    """After the words of an open link, in the plain text: where it leads."""

    number: int

    def write(self, to: Writing) -> None:
        """Write the address of the link with this number, if that link was written."""
        if url := to.urls.get(self.number):
            to.text.append(f" <{url}>")


Words = tuple[str | Field, ...]
Node = Literal | Field | Ai | Choice | Link | OpenLink | Target


class Tag(msgspec.Struct, frozen=True):
    """A field tag of a template and where it stands (one-based). `required`: it has no fallback."""

    name: str
    required: bool
    line: int
    column: int


class Template(msgspec.Struct, frozen=True):
    """A text parsed for good. Immutable, and safe to share between threads."""

    where: Where
    nodes: tuple[Node, ...]
    tags: tuple[Tag, ...]
    asks: bool
