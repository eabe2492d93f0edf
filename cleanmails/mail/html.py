"""What goes into a body after its words are chosen: wrapped links, the footer, the pixel; in the HTML and in the plain text alike."""

import html
import re
from collections.abc import Callable
from functools import lru_cache

import msgspec

from cleanmails.records import Resolved

UNSUBSCRIBE_WORD = "Unsubscribe"

_END = re.compile(r"</(?:body|html)\b", re.IGNORECASE)
_DECOY = '<a href="{}" aria-hidden="true" tabindex="-1" style="display:none"></a>'
_TAIL = 400  # characters; what ends a page stands there, and programs forgive what comes after it


class Dressed(msgspec.Struct, frozen=True):
    """Both parts of a mail, ready to be put into bytes."""

    html: str
    text: str


def signed(body: str, signature: str) -> str:
    """The author's body with the sender's signature below it, as a template: HTML as it is, plain text with its lines kept. Braces in it are no tags."""
    if not signature.strip():
        return body
    written = signature if "<" in signature else html.escape(signature.strip()).replace("\n", "<br>\n")
    written = written.replace("{", "&#123;").replace("}", "&#125;")
    return _before_end(body, f"\n<div>{written}</div>")


def dress(
    body: Resolved,
    *,
    unsubscribe_url: str | None = None,
    postal_address: str = "",
    wrap: Callable[[int, str], str] | None = None,
    pixel_url: str | None = None,
    decoy_url: str | None = None,
) -> Dressed:
    """The body as it is sent.

    `wrap` gets the number and the address of each web link and says what stands in the HTML instead; the plain text keeps the author's own
    addresses, which a reader of it sees. The footer has the unsubscribe link, unless the author placed one, and the postal address; it and the
    pixel stand before `</body>` if there is one.
    """
    pieces = body.pieces if wrap is None else _wrapped(body, wrap)
    link = None if body.unsubscribe else unsubscribe_url
    footer, text_footer = _footer(link, _postal(postal_address)) if link or postal_address else ("", "")
    pixel = f'<img src="{html.escape(pixel_url)}" width="1" height="1" alt="" style="border:0">' if pixel_url else ""
    decoy = _DECOY.format(html.escape(decoy_url)) if decoy_url else ""
    return Dressed(_before_end("".join(pieces), footer + decoy + pixel), f"{body.text}{text_footer}\n")


def _wrapped(body: Resolved, wrap: Callable[[int, str], str]) -> tuple[str, ...]:
    pieces = list(body.pieces)
    for link in body.links:
        pieces[link.piece] = html.escape(wrap(link.number, link.url))
    return tuple(pieces)


def _footer(link: str | None, postal: tuple[str, str]) -> tuple[str, str]:
    address, text_address = postal
    anchor, text_link = "", ""
    if link:
        anchor = f'<a href="{html.escape(link)}" style="color:#666666">{UNSUBSCRIBE_WORD}</a>'
        text_link = f"{UNSUBSCRIBE_WORD}: {link}"
    lines = "<br>".join(filter(None, (address, anchor)))
    text_lines = "\n".join(filter(None, (text_address, text_link)))
    return f'\n<div style="margin-top:24px;font-size:12px;color:#666666">{lines}</div>\n', f"\n\n-- \n{text_lines}"


@lru_cache(maxsize=256)
def _postal(address: str) -> tuple[str, str]:
    """A workspace's postal address in HTML and in text; it is the same in every mail of the workspace."""
    lines = [line.strip() for line in address.splitlines() if line.strip()]
    return "<br>".join(map(html.escape, lines)), "\n".join(lines)


def _before_end(markup: str, addition: str) -> str:
    if not addition:
        return markup
    tail = max(len(markup) - _TAIL, 0)
    end = _END.search(markup, tail)
    at = end.start() if end else len(markup)
    return f"{markup[:at]}{addition}{markup[at:]}"
