"""The words of a mail: text with tags and spintax to a tree, the tree to what one lead reads.

A template is parsed once per step and kept; resolving it for a lead reads no text again, so a value is never taken for a tag, for spintax or for markup.

    template = parse(step.body, where="body")                  # TemplateError with line, column and a hint
    lead = lead_fields(email=..., first_name=..., last_name=..., company=..., extra={...})
    seed = Seed.of(campaign_id, lead_id, step.position)
    prompts = ai_prompts(template, lead, seed)                 # what to ask before resolving; [] for nearly every template
    answers = {prompt.key: "..." for prompt in prompts}
    body = resolve_body(template, lead, seed, answers=answers, blank=False, unsubscribe_url="https://...")
    body.pieces, body.text, body.links, body.unsubscribe       # records.Resolved: what `mail.html.dress` takes
    subject = resolve_subject(parse(subjects[pick_subject(seed, len(subjects))], where="subject"), lead, seed, answers=answers, blank=False)

Signatures:

    parse(text: str, *, where: Literal["subject", "body"]) -> Template
    as_html(body: str) -> str                                  plain text with its lines kept; for whoever adds markup to a body
    faults(text: str, known_fields: Collection[str], *, where, field: str = "body") -> list[errors.Fault]   codes `template`, `unknown_tag`
    required_fields(template: Template) -> frozenset[str]      fields that have no fallback somewhere
    lead_fields(*, email, first_name="", last_name="", company="", extra: Mapping[str, str] = {}) -> dict[str, str]
    field_name(name: str) -> str                               "job title" -> "JOB_TITLE"; what the keys above and `required_fields` are
    Seed.of(campaign_id: int, lead_id: int, step: int) -> Seed
    draw(seed: Seed, name: str, n: int) -> int                 0 <= result < n, the same for ever; any other user of dice takes a name of its own
    pick_subject(seed: Seed, n: int) -> int
    ai_prompts(template, lead, seed) -> list[Prompt]           Prompt(key, text, fallback)
    resolve_subject(template, lead, seed, *, answers={}, blank=False) -> str
    resolve_body(template, lead, seed, *, answers={}, blank=False, unsubscribe_url="") -> records.Resolved
    checks(subjects, body, known_fields=None) -> list[Finding]  Finding(code, severity, sentence): what a spam filter or a reader would mind

Resolving raises `errors.MissingFieldError` for a field without value and fallback (unless `blank`), and with the field `AI` for an AI tag
without answer and fallback (always: a gap where a sentence should stand is no mail).
"""

from cleanmails.rules.content.lint import Finding, Severity, checks
from cleanmails.rules.content.parser import faults, parse, required_fields
from cleanmails.rules.content.resolve import ai_prompts, resolve_body, resolve_subject
from cleanmails.rules.content.seed import Seed, draw, pick_subject
from cleanmails.rules.content.source import as_html
from cleanmails.rules.content.tree import Prompt, Template
from cleanmails.rules.content.values import field_name, lead_fields

__all__ = [
    "Finding",
    "Prompt",
    "Seed",
    "Severity",
    "Template",
    "ai_prompts",
    "as_html",
    "checks",
    "draw",
    "faults",
    "field_name",
    "lead_fields",
    "parse",
    "pick_subject",
    "required_fields",
    "resolve_body",
    "resolve_subject",
]
