"""The plain-text part, made from the same markup while a template is parsed, so that a mail costs no second reading.

Between the words stand three marks that `settle` turns into lines once the values are in: how many line breaks a run of tags makes
depends on all of them together (`</p></td><td><p>` is one gap, `<br><br>` is one, `<div><br></div>` is one).
"""

import html
import re
from typing import Self

import msgspec

LINE, GAP, BREAK = "\x01", "\x02", "\x03"  # at least a new line; at least an empty line; one more line break
SPACE = "\x04"  # a space that stays where it is: indentation, preformatted text

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
_HEADINGS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6"])
_PARTS = frozenset(["section", "article", "header", "footer", "figure", "form", "table", "blockquote"])
_GAPS = _HEADINGS | _PARTS | {"p", "pre", "ul", "ol", "dl"}
_LINES = frozenset(["div", "tr", "li", "dt", "dd", "center", "address", "caption", "figcaption", "body", "html"])
_UNSEEN = frozenset(["head", "title", "style", "script", "template"])
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\n\f\xa0]+")
_SPACES = re.compile("  +")
_MARKS = f"{LINE}{GAP}{BREAK}"
_RUN = re.compile(f"[{_MARKS}][ {_MARKS}]*")
_TRAILING = re.compile(r" (?<!  ) *\n")


def _lines(run: re.Match[str]) -> str:
    marks = run[0].replace(" ", "")
    breaks = marks.count(BREAK)
    return "\n\n" if GAP in marks or breaks + (marks[0] != BREAK) > 1 else "\n"


def settle(text: str) -> str:
    """Finished text: the marks as one line break or two, no blanks around them or at the ends."""
    lines = _RUN.sub(_lines, text)
    if " \n" in lines:
        lines = _TRAILING.sub("\n", lines)
    if "  " in lines:  # where an option is empty, or a value
        lines = _SPACES.sub(" ", lines)
    return lines.strip(" \n").replace(SPACE, " ")


def settle_inside(text: str) -> str:
    """The same for a part of a text whose neighbours are not known yet: marks at its ends are left for later."""
    core = text.strip(f" {_MARKS}")
    start = len(text) - len(text.lstrip(f" {_MARKS}"))
    lines = _TRAILING.sub("\n", _RUN.sub(_lines, core))
    return f"{_tight(text[:start])}{lines}{_tight(text[start + len(core) :])}" if core else _tight(text)


def _tight(edge: str) -> str:
    """Blanks and marks where one node meets another: beside a line break blanks are nothing."""
    return edge if edge.isspace() or not edge else edge.replace(" ", "")


class Writer(msgspec.Struct):
    """Reads markup in order and says what each piece of it is as text; `copy` and go on twice to read the alternatives of a spintax group.

    `skip` is the element whose content nobody sees (`head`, `style`, `display:none`) and how deep inside elements of its name we are;
    `lists` the open lists, with the next number of ordered ones and 0 for the others; `item` that a bullet waits for its first word.
    """

    skip: tuple[str, int] | None = None
    lists: tuple[int, ...] = ()
    preformatted: bool = False
    after_blank: bool = True
    item: bool = False

    def copy(self) -> Self:
        """A writer in the same place."""
        return self.__class__(self.skip, self.lists, self.preformatted, self.after_blank, self.item)

    @property
    def shown(self) -> bool:
        """Whether a value that stands here can be seen."""
        return self.skip is None

    def words(self, raw: str) -> str:
        """HTML text between tags."""
        if self.skip is not None or not raw:
            return ""
        if self.preformatted:
            return html.unescape(raw).replace(" ", SPACE).replace("\n", BREAK)
        text = _BLANKS.sub(" ", html.unescape(raw))
        if self.after_blank:
            text = text.removeprefix(" ")
        if text:
            self.after_blank = text[-1] == " "
            self.item = False
        return text

    def value(self) -> None:
        """A value stands here."""
        self.after_blank = self.item = False

    def tag(self, name: str, *, closing: bool, attributes: dict[str, str]) -> str:
        """A tag, its name in lower case; `attributes` hold what of them is literal, entities decoded."""
        if self.skip is not None:
            self._skip_on(name, closing=closing)
            return ""
        if not closing and name not in VOID and (name in _UNSEEN or _HIDDEN.search(attributes.get("style", ""))):
            self.skip = (name, 1)
            return ""
        text = self._close(name) if closing else self._open(name, attributes)
        if text:
            self.after_blank = text[-1] in f"{_MARKS}{SPACE} "
        return text

    def conditional(self, *, opening: bool) -> None:
        """A comment that only Outlook reads as markup (`<!--[if mso]>`) begins or ends: nobody else sees what is in it."""
        if opening and self.skip is None:
            self.skip = ("!if", 1)
        elif not opening and self.skip is not None and self.skip[0] == "!if":
            self.skip = None

    def _skip_on(self, name: str, *, closing: bool) -> None:
        assert self.skip is not None
        skipped, depth = self.skip
        if skipped == "head" and name == "body":  # the end tag of `head` may be left out
            self.skip = None
        elif name == skipped:
            depth += -1 if closing else 1
            self.skip = (skipped, depth) if depth else None

    def _open(self, name: str, attributes: dict[str, str]) -> str:
        if name == "br":
            return BREAK
        if name == "hr":
            return f"{GAP}---{GAP}"
        if name == "img":
            return attributes.get("alt", "").strip()
        if name == "li":
            return self._bullet()
        if name in {"ul", "ol"}:
            self.lists += (int(name == "ol"),)
            return GAP if len(self.lists) == 1 else LINE
        self.preformatted = self.preformatted or name == "pre"
        return self._block(name)

    def _close(self, name: str) -> str:
        if name in {"ul", "ol"} and self.lists:
            self.lists = self.lists[:-1]
            return LINE if self.lists else GAP
        if name in {"td", "th"}:
            return "" if self.after_blank else " "
        if name == "pre":
            self.preformatted = False
        return self._block(name)

    def _block(self, name: str) -> str:
        if self.item:  # `<li><p>words` is one line
            return ""
        return GAP if name in _GAPS else LINE if name in _LINES else ""

    def _bullet(self) -> str:
        indent = SPACE * 2 * max(len(self.lists) - 1, 0)
        number = self.lists[-1] if self.lists else 0
        self.item = True
        if not number:
            return f"{LINE}{indent}-{SPACE}"
        self.lists = (*self.lists[:-1], number + 1)
        return f"{LINE}{indent}{number}.{SPACE}"
