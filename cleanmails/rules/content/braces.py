"""Plain text to tree, in one pass: literal words, tags and spintax. What a subject is, and the half of a body that is not HTML.

A group without a pipe is its author's own braces, with whatever groups stand inside it.
"""

import re

import msgspec

from cleanmails.rules.content.plain import Writer, settle_inside
from cleanmails.rules.content.source import Halt, Source
from cleanmails.rules.content.tags import read_tag
from cleanmails.rules.content.tree import Ai, Choice, Field, Literal, Node, Template
from cleanmails.rules.content.values import OWN_FIELDS, Landing, as_markup, as_plain, field_name

MAX_DEPTH = 50
MAX_BRACES = 5_000  # tags and groups; each costs time in every mail, and no person writes a hundred


class Group(msgspec.Struct):
    """What is open: the template itself (`start` -1) or a brace group, with the options read so far and the one being read."""

    start: int
    name: str
    before: Writer
    brace: str = ""
    options: list[tuple[Node, ...]] = []
    nodes: list[Node] = []
    raw: list[str] = []
    text: list[str] = []
    inner: int = 0
    after_blank: bool = True

    def add(self, raw: str, text: str = "") -> None:
        """Literal words; those that stand together become one node."""
        self.raw.append(raw)
        self.text.append(text)

    def add_nodes(self, *nodes: Node) -> None:
        """Anything else."""
        self.flush()
        self.nodes += nodes

    def flush(self) -> None:
        """Make one node of the literal words so far."""
        if any(self.raw) or any(self.text):
            self.nodes.append(Literal("".join(self.raw), settle_inside("".join(self.text))))
        self.raw, self.text = [], []

    def end_option(self, writer: Writer) -> None:
        """What was read since the last pipe is one option. What follows the group stands after a blank if every option ends in one."""
        self.after_blank = self.after_blank and writer.after_blank
        self.flush()
        self.options.append(tuple(self.nodes))
        self.nodes, self.inner = [], 0


class Braces:
    """Reads one source. What is read is moved to the group that is open; `position` is how far that went."""

    marks = re.compile(r"[{}|]")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.position = 0
        self.writer = Writer()
        self.open = [Group(-1, source.where, self.writer.copy())]
        self.asks = False
        self.opened = 0

    @property
    def group(self) -> Group:
        """The innermost that is open."""
        return self.open[-1]

    def template(self) -> Template:
        """The tree; of no use if the source has errors."""
        try:
            self._read()
        except Halt:
            self.open = self.open[:1]
        self.group.flush()
        return Template(self.source.where, tuple(self.group.nodes), tuple(self.source.tags), self.asks)

    def _read(self) -> None:
        while mark := self.marks.search(self.text, self.position):
            self.words(mark.start())
            self.at_mark(mark[0], mark.start())
        self.words(len(self.text))
        while len(self.open) > 1:
            self.source.fault(self.open.pop().start, "Closing brace missing: the group opened at {place} has no “}”.")

    def at_mark(self, mark: str, start: int) -> None:
        """Read on at a character that may mean something."""
        if mark == "{":
            self._at_opening(start)
        elif mark == "}":
            self._at_closing(start)
        elif len(self.open) > 1:
            self.group.end_option(self.writer)
            self.writer = self.group.before.copy()
            self.position = start + 1
        else:
            self.words(start + 1)

    def words(self, end: int) -> None:
        """Take the text up to `end` as literal words."""
        if raw := self.text[self.position : end]:
            self.group.add(raw, self.writer.words(raw))
        self.position = end

    def tag(self, start: int, landing: Landing, *, shown: bool) -> Field | Ai | None:
        """The tag at `start`, where `{{` stands, if these braces are one; the position is moved past them."""
        self._count(start)
        tag, self.position = read_tag(self.source, start, landing, shown=shown)
        self.asks = self.asks or isinstance(tag, Ai)
        return tag

    def _count(self, start: int) -> None:
        self.opened += 1
        if self.opened > MAX_BRACES:
            message = f"There are more than {MAX_BRACES:,} tags and groups; {{place}} is as far as this was read."
            raise self.source.halt(start, message)

    def _at_opening(self, start: int) -> None:
        if self.text.startswith("{{", start):
            landing = as_markup if self.source.is_html else as_plain
            if tag := self.tag(start, landing, shown=self.source.is_html and self.writer.shown):
                self.writer.value()
                self.group.add_nodes(tag)
            if self.position > start:
                return
        if len(self.open) > MAX_DEPTH:
            raise self.source.halt(start, f"Groups are nested more than {MAX_DEPTH} deep at {{place}}.")
        self._count(start)
        outer, before = self.group, self.writer.copy()
        name = f"{outer.name}/{len(outer.options)}.{outer.inner}"
        outer.inner += 1
        self.open.append(Group(start, name, before, brace=self.writer.words("{")))
        self.position = start + 1

    def _at_closing(self, start: int) -> None:
        self.position = start + 1
        if len(self.open) == 1:
            self.source.fault(start, "Opening brace missing: the brace at {place} closes nothing.")
            return
        group = self.open.pop()
        if group.options:
            group.end_option(self.writer)
            self.writer.after_blank = group.after_blank
            self.group.add_nodes(Choice(group.name, tuple(group.options)))
            return
        if start - group.start < 40 and field_name(self.text[group.start + 1 : start]) in OWN_FIELDS:
            self.source.notes.append(("single_braces", group.start))
        group.flush()
        self.group.add("{", group.brace)
        self.group.add_nodes(*group.nodes)
        self.group.add("}", self.writer.words("}"))
