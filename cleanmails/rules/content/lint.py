"""What a spam filter or a reader would mind in a step, said before it is sent. Only what has the severity `error` keeps a campaign from running."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum

import msgspec

from cleanmails.rules.content.parser import faults, read
from cleanmails.rules.content.plain import VOID, settle
from cleanmails.rules.content.source import Element, Source
from cleanmails.rules.content.tree import Choice, Literal, Node, Template
from cleanmails.rules.content.values import is_web_link

GMAIL_CLIP = 102_000  # bytes of HTML; Gmail hides what is more behind a link, the footer with it
MAX_LINKS = 5
MAX_IMAGES = 3
MAX_SUBJECT = 70  # characters of a subject that most programs show
MIN_TEXT = 20  # letters of a mail that is more than a picture

TRIGGERS = (
    *(
        "100% free",
        "act now",
        "amazing offer",
        "apply now",
        "bargain",
        "best price",
        "buy now",
        "call now",
        "cash bonus",
        "click below",
    ),
    *(
        "click here",
        "congratulations",
        "credit card",
        "dear friend",
        "do it today",
        "double your",
        "earn money",
        "exclusive deal",
    ),
    *(
        "extra income",
        "fast cash",
        "financial freedom",
        "for free",
        "free access",
        "free gift",
        "free money",
        "free trial",
        "get paid",
    ),
    *(
        "get rich",
        "guaranteed",
        "incredible deal",
        "limited time",
        "lowest price",
        "make money",
        "million dollars",
        "money back",
    ),
    *(
        "no catch",
        "no cost",
        "no obligation",
        "no risk",
        "offer expires",
        "once in a lifetime",
        "order now",
        "passive income",
    ),
    *(
        "risk-free",
        "save big",
        "special promotion",
        "this is not spam",
        "urgent",
        "while supplies last",
        "winner",
        "work from home",
    ),
)
"""Words of bulk mail that filters weigh and readers skip; found as whole words, in any case."""

_TRIGGER = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, TRIGGERS))})(?!\w)", re.IGNORECASE)
_SHOUTING = re.compile(r"[!?]{2}|[$€£]{2}")
_REPLY = re.compile(r"\s*(?:re|fwd?|aw)\s*:", re.IGNORECASE)
_MAY_STAY_OPEN = frozenset(
    ["p", "li", "td", "th", "tr", "dt", "dd", "thead", "tbody", "tfoot", "colgroup", "html", "head", "body"]
)
_NOT_IN_MAILS = frozenset(["script", "form", "iframe", "object", "embed", "video", "audio"])
_NOTES = {
    "tag_not_read": "The tag at {place} stands in a comment, a style or a script, where tags are not filled in.",
    "spintax_not_read": "The choice at {place} stands in an attribute, where spintax is not read: it will be sent as it is.",
    "single_braces": "The field at {place} stands in single braces and will be sent as it is: write two.",
}


class Severity(StrEnum):
    """`error`: cannot be sent. `warning`: likely harms. `hint`: could be better."""

    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"


class Finding(msgspec.Struct, frozen=True):
    """One thing to look at: a stable code, how bad it is, and a sentence for the author."""

    code: str
    severity: Severity
    sentence: str


def checks(subjects: Sequence[str], body: str, known_fields: Collection[str] | None = None) -> list[Finding]:
    """All findings on a step, the subjects' first. Unknown tags are looked for if it is said which extra fields the leads have."""
    findings: list[Finding] = []
    for number, subject in enumerate(subjects, 1):
        name = f"Subject {number}" if len(subjects) > 1 else "The subject"
        template, source = read(subject, "subject")
        findings += _errors(subject, template, source, known_fields)
        findings += _subject_findings(name, " ".join(_words(template.nodes)))
    template, source = read(body, "body")
    findings += _errors(body, template, source, known_fields)
    findings += _body_findings(body, template, source)
    return findings


def _errors(text: str, template: Template, source: Source, known_fields: Collection[str] | None) -> Iterator[Finding]:
    known = [tag.name for tag in template.tags] if known_fields is None else known_fields
    for fault in faults(text, known, where=template.where):
        yield Finding(fault.code, Severity.ERROR, fault.message)
    for code, position in source.notes:
        line, column = source.place(position)
        yield Finding(code, Severity.WARNING, _NOTES[code].format(place=f"line {line}, column {column}"))


def _subject_findings(name: str, words: str) -> Iterator[Finding]:
    letters = [letter for letter in words if letter.isalpha()]
    if len(letters) >= 8 and sum(letter.isupper() for letter in letters) > 0.7 * len(letters):
        yield Finding("capitals", Severity.WARNING, f"{name} is in capitals, which reads as shouting.")
    if _SHOUTING.search(words):
        yield Finding(
            "punctuation", Severity.WARNING, f"{name} has runs of exclamation marks, question marks or currency signs."
        )
    if len(words) > MAX_SUBJECT:
        yield Finding(
            "long_subject",
            Severity.HINT,
            f"{name} has about {len(words)} characters; most programs show {MAX_SUBJECT} or fewer.",
        )
    if _REPLY.match(words):
        yield Finding(
            "false_reply",
            Severity.WARNING,
            f"{name} looks like a reply; to a reader who never wrote it is a deception.",
        )
    yield from _trigger_findings(name, words)


def _trigger_findings(name: str, words: str) -> Iterator[Finding]:
    found = sorted({match[0].lower() for match in _TRIGGER.finditer(words)})
    if found:
        listed = ", ".join(f"“{word}”" for word in found[:8])
        yield Finding("trigger_words", Severity.WARNING, f"{name} has words that spam filters weigh: {listed}.")


def _body_findings(body: str, template: Template, source: Source) -> Iterator[Finding]:
    words = settle("".join(_words(template.nodes)))
    opened = [element for element in source.elements if not element.closing]
    images = [element for element in opened if element.name == "img"]
    yield from _trigger_findings("The body", words)
    if sum(map(str.isalnum, words)) < MIN_TEXT and not template.tags:
        yield Finding(
            "no_text",
            Severity.WARNING,
            "The body has hardly any text; filters distrust mails that are only pictures or links.",
        )
    if (size := len(body.encode("utf-8", "replace"))) > GMAIL_CLIP:
        sentence = f"The body has {size // 1_000:,} kB; Gmail cuts off what is beyond {GMAIL_CLIP // 1_000} kB, the unsubscribe link with it."
        yield Finding("large", Severity.WARNING, sentence)
    yield from _link_findings(
        [element.attributes["href"] for element in opened if element.name == "a" and "href" in element.attributes]
    )
    yield from _image_findings(images)
    for name in sorted({element.name for element in opened} & _NOT_IN_MAILS):
        yield Finding("not_in_mails", Severity.WARNING, f"Mail programs take <{name}> out, and filters distrust it.")
    yield from _markup_findings(source)


def _link_findings(urls: list[str]) -> Iterator[Finding]:
    if len(urls) > MAX_LINKS:
        yield Finding(
            "many_links",
            Severity.WARNING,
            f"The body has {len(urls)} links; more than {MAX_LINKS} look like a newsletter.",
        )
    lost = [url for url in urls if url and not url.startswith("#") and ":" not in url and not is_web_link(url)]
    if lost:
        yield Finding(
            "relative_link",
            Severity.WARNING,
            f"“{lost[0][:60]}” leads nowhere from a mail: write the whole address with https://.",
        )


def _image_findings(images: list[Element]) -> Iterator[Finding]:
    if len(images) > MAX_IMAGES:
        yield Finding(
            "many_images",
            Severity.WARNING,
            f"The body has {len(images)} images; more than {MAX_IMAGES} look like a newsletter.",
        )
    if any("alt" not in image.attributes for image in images):
        yield Finding("no_alt", Severity.HINT, "An image has no alt text; many programs do not load images at first.")


def _markup_findings(source: Source) -> Iterator[Finding]:
    for element, closing in list(_unpaired(source.elements))[:5]:
        line, column = source.place(element.position)
        what = (
            f"</{element.name}> at line {line}, column {column} closes nothing"
            if closing
            else f"<{element.name}> at line {line}, column {column} is never closed"
        )
        yield Finding("broken_html", Severity.WARNING, f"{what}; programs will guess what was meant.")


def _unpaired(elements: Iterable[Element]) -> Iterator[tuple[Element, bool]]:
    """Elements without their counterpart, and whether it is the closing tag that stands alone."""
    stack: list[Element] = []
    open_now: Counter[str] = Counter()
    for element in elements:
        if element.name in VOID or element.alone:
            continue
        if not element.closing:
            stack.append(element)
            open_now[element.name] += 1
        elif not open_now[element.name]:
            yield element, True
        else:
            yield from _popped(stack, open_now, element.name)
    yield from ((element, False) for element in stack if element.name not in _MAY_STAY_OPEN)


def _popped(stack: list[Element], open_now: Counter[str], name: str) -> Iterator[tuple[Element, bool]]:
    """Take off the stack down to the element that is closed; what stood open above it is unpaired."""
    while (top := stack.pop()).name != name:
        open_now[top.name] -= 1
        if top.name not in _MAY_STAY_OPEN:
            yield top, False
    open_now[name] -= 1


def _words(nodes: Sequence[Node]) -> Iterator[str]:
    """All literal words of a tree, of every option."""
    for node in nodes:
        if isinstance(node, Literal):
            yield node.text
        elif isinstance(node, Choice):
            for option in node.options:
                yield from _words(option)
                yield " "
