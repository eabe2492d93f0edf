"""A template and a lead to the words of one mail."""

from collections.abc import Mapping
from types import MappingProxyType

from cleanmails.errors import TemplateError
from cleanmails.records import Resolved
from cleanmails.rules.content.plain import settle
from cleanmails.rules.content.seed import Seed
from cleanmails.rules.content.tree import UNSUBSCRIBE_URL, Prompt, Template, Writing

MAX_RESOLVED = 2_000_000  # characters; thousands of long values in one template must not fill the memory
MAX_SUBJECT = 500  # characters; no program shows more than 100

_NONE: Mapping[str, str] = MappingProxyType({})


def resolve_subject(
    template: Template, lead: Mapping[str, str], seed: Seed, *, answers: Mapping[str, str] = _NONE, blank: bool = False
) -> str:
    """The subject that this lead gets: one line. Raises MissingFieldError."""
    writing = _write(template, Writing(lead, seed, answers, blank))
    return " ".join("".join(writing.pieces).split())[:MAX_SUBJECT].rstrip()


def resolve_body(
    template: Template,
    lead: Mapping[str, str],
    seed: Seed,
    *,
    answers: Mapping[str, str] = _NONE,
    blank: bool = False,
    unsubscribe_url: str = "",
) -> Resolved:
    """The body that this lead gets, links not wrapped yet. Raises MissingFieldError, and TemplateError if the values make it too long."""
    writing = _write(template, Writing({**lead, UNSUBSCRIBE_URL: unsubscribe_url}, seed, answers, blank))
    return Resolved(
        pieces=tuple(writing.pieces),
        text=settle("".join(writing.text)),
        links=tuple(writing.links),
        unsubscribe=writing.unsubscribe,
    )


def ai_prompts(template: Template, lead: Mapping[str, str], seed: Seed) -> list[Prompt]:
    """What to ask a model before this lead's words can be resolved, each question once. Fields that are missing elsewhere are no matter here."""
    if not template.asks:
        return []
    writing = _write(template, Writing(lead, seed, _NONE, blank=True, gathering=True))
    return list({prompt.key: prompt for prompt in writing.prompts}.values())


def _write(template: Template, writing: Writing) -> Writing:
    for node in template.nodes:
        node.write(writing)
    if sum(map(len, writing.pieces)) > MAX_RESOLVED:
        raise TemplateError(
            f"Filled in, the {template.where} has more than {MAX_RESOLVED:,} characters.", line=1, column=1
        )
    return writing
