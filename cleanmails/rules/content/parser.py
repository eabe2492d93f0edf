"""The door to the parser: a template, or everything that is wrong with it."""

from collections.abc import Collection
from difflib import get_close_matches

from cleanmails.errors import Fault
from cleanmails.rules.content.braces import Braces
from cleanmails.rules.content.markup import Markup
from cleanmails.rules.content.source import MAX_ERRORS, Source
from cleanmails.rules.content.tree import UNSUBSCRIBE_URL, Tag, Template, Where
from cleanmails.rules.content.values import OWN_FIELDS, field_name


def parse(text: str, *, where: Where) -> Template:
    """The text as a tree. Raises the first `TemplateError` with its line, column and what to mend. Time grows with the length of the text alone."""
    template, source = read(text, where)
    if source.errors:
        raise source.errors[0]
    return template


def faults(text: str, known_fields: Collection[str], *, where: Where, field: str = "body") -> list[Fault]:
    """All that keeps a text from being sent, in order of place: errors (code `template`) and tags for fields that nobody knows (`unknown_tag`).

    `known_fields` are the extra fields that leads have, spelt in any way; `field` is what the faults say they are in.
    """
    template, source = read(text, where)
    known = OWN_FIELDS | {UNSUBSCRIBE_URL} | {field_name(name) for name in known_fields}
    found = [(error.line, error.column, Fault(field, "template", error.message)) for error in source.errors]
    unknown = [tag for tag in template.tags if tag.name not in known][:MAX_ERRORS]
    found += [(tag.line, tag.column, Fault(field, "unknown_tag", _unknown(tag, known))) for tag in unknown]
    return [fault for _, _, fault in sorted(found, key=lambda entry: entry[:2])]


def required_fields(template: Template) -> frozenset[str]:
    """The fields (by `field_name`) that stand somewhere without a fallback: a lead that lacks one may have to be held."""
    return frozenset(tag.name for tag in template.tags if tag.required and tag.name != UNSUBSCRIBE_URL)


def read(text: str, where: Where) -> tuple[Template, Source]:
    """The tree and what was found on the way; of no use as a mail if there are errors (in order of place)."""
    source = Source(text, where)
    template = (Markup if source.is_html else Braces)(source).template()
    source.errors.sort(key=lambda error: (error.line, error.column))
    return template, source


def _unknown(tag: Tag, known: Collection[str]) -> str:
    near = get_close_matches(tag.name, known, n=1)
    hint = f"did you mean {{{{{near[0]}}}}}?" if near else "no lead has a field of that name."
    return f"Unknown tag {{{{{tag.name}}}}} at line {tag.line}, column {tag.column}: {hint}"
