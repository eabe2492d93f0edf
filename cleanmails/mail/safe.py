"""HTML that strangers wrote, made fit to be shown: no script, no style, no form, nothing that is fetched from anywhere."""

from typing import Final

import nh3

MOST: Final = 5_000
"""Tags that are read; what has more is shown as text alone, for reading it slows down with the square of its depth."""

_TAGS: Final = frozenset(
    [
        "a",
        "abbr",
        "b",
        "blockquote",
        "br",
        "caption",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "ins",
        "li",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "u",
        "ul",
    ]
)
_ATTRIBUTES: Final = {
    "a": {"href", "title"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "ol": {"start"},
}


def clean(markup: str) -> str | None:
    """The markup with what is harmless of it; links open apart, tell nobody where they were, and lead to the web or to an address. None: show the text.

    Pictures are left out: fetching one tells whoever sent it that it was looked at.
    """
    if markup.count("<") > MOST:
        return None
    return nh3.clean(
        markup,
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
