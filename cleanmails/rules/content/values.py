"""What a lead's values become on their way into a mail: cleaned once, then escaped by where they land."""

import html
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

OWN_FIELDS = frozenset({"FIRST_NAME", "LAST_NAME", "COMPANY", "EMAIL"})
VALUE_LIMIT = 4_096  # characters of one value that are kept; a field is a word or a sentence, and a mail of megabytes helps nobody

_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # controls, but for those that are white space
    "\u202a-\u202e\u2066-\u2069"  # direction overrides: they spill over the words that follow
    "\ud800-\udfff\ufeff\ufffe\uffff]"  # what UTF-8 cannot carry, and byte order marks
)
_ALIASES = {"NAME": "FIRST_NAME"}
_NOT_NAME = re.compile(r"[\W_]+")
_SCHEME = re.compile(r"\Ahttps?://", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s/?#@\\\"<>]+(?:[/?#][^\s\"<>\\]*)?", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"(?:mailto|tel|sms):[^\s\"<>\\]+", re.IGNORECASE)
_BARE_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}(?::\d+)?(?:[/?#][^\s\"<>\\]*)?")
_NOT_CSS = re.compile(r"[^\w #%.,-]")


def drop_unwanted(text: str) -> str:
    """The text without what no mail may carry; line breaks stay."""
    return _UNWANTED.sub("", text)


def clean(value: str) -> str:
    """The value as one line: runs of white space (all that ends a line in any script too) as one space; no controls, surrogates, overrides."""
    return " ".join(drop_unwanted(value[:VALUE_LIMIT]).split())


def field_name(name: str) -> str:
    """A field's name as it is compared: `Job title`, `job-title` and `JOB_TITLE` are one field, and so are `NAME` and `FIRST_NAME`."""
    folded = _NOT_NAME.sub("_", name).strip("_").upper()
    return _ALIASES.get(folded, folded)


def lead_fields(
    *, email: str, first_name: str = "", last_name: str = "", company: str = "", extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """All that a mail may say of a lead, by `field_name`. An extra field never replaces one of the lead's own that is filled."""
    fields = {field_name(name): value for name, value in (extra or {}).items()}
    own = {"EMAIL": email, "FIRST_NAME": first_name, "LAST_NAME": last_name, "COMPANY": company}
    return fields | {name: value for name, value in own.items() if value or name not in fields}


def is_web_link(url: str) -> bool:
    """Whether an address is one that a click can be counted on: http or https, a host, no white space."""
    return _WEB.fullmatch(url) is not None


Landing = Callable[[str], str | None]
"""How a cleaned value is written where it lands; None if it cannot stand there. One of the functions below."""


def as_plain(value: str) -> str:
    """In a subject, or a question to a model: cleaning was enough."""
    return value


def as_markup(value: str) -> str:
    """In HTML text, or in an attribute's value in quotes."""
    return html.escape(value)


def as_style(value: str) -> str:
    """In a style attribute."""
    return _NOT_CSS.sub("", value)


def as_url(value: str) -> str | None:
    """As a whole address. A bare host gets https; any other scheme (`javascript:`, `data:`) is no value at all."""
    if _BARE_HOST.fullmatch(value):
        return html.escape(f"https://{value}")
    return html.escape(value) if _WEB.fullmatch(value) or _OTHER_SCHEME.fullmatch(value) else None


def as_host(value: str) -> str:
    """Straight after a literal `https://`: a host, with a path if it has one; a scheme that it brings along is dropped."""
    bare = _SCHEME.sub("", value)
    return html.escape(bare) if _BARE_HOST.fullmatch(bare) else quote(bare, safe="")


def as_url_part(value: str) -> str:
    """Further inside an address."""
    return quote(value, safe="")


def as_mailto_part(value: str) -> str:
    """Inside a `mailto:` address."""
    return quote(value, safe="@")
