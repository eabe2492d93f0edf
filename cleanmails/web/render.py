"""Templates to pages. Everything that a person or a stranger wrote is escaped; nothing in a page is script or style."""

import hashlib
import json
import re
import secrets
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode, urlsplit
from zoneinfo import ZoneInfo

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from litestar import Request, Response
from litestar.response import Redirect
from markupsafe import Markup, escape

from cleanmails.api import problems
from cleanmails.rules import zones
from cleanmails.web import charts
from cleanmails.web.form import slug
from cleanmails.web.telling import told

STATIC: Final = Path(__file__).parent / "static"

THEMES: Final = ("system", "light", "dark")

MAIL_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src https: http: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
"""What the words of a mail may do where they are shown: look as they look, and nothing else."""


class Look(msgspec.Struct, frozen=True):
    """How a reader wants pages: in the zone that the browser told, and the theme that was chosen."""

    zone: ZoneInfo
    theme: str = "system"


PLAIN: Final = Look(ZoneInfo("UTC"))


def look_of(request: Request[Any, Any, Any]) -> Look:
    """The look that a browser's cookies ask for."""
    name, theme = unquote(request.cookies.get("zone", "")), request.cookies.get("theme", "")
    return Look(zones.zone(name if name in zones.names() else "UTC"), theme if theme in THEMES else "system")


@cache
def version() -> str:
    """A digest of all static files. It is in their address, so that modules find each other and browsers may keep them for ever."""
    digest = hashlib.sha256()
    for file in sorted(STATIC.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def asset(name: str) -> str:
    """The address of a static file."""
    return f"/assets/{version()}/{name}"


def number(value: float) -> str:
    """`12,345`."""
    return f"{value:,}"


def share(part: float, whole: float) -> float:
    """Percent of `whole`, 0 of nothing, with one decimal: for the widths of bars."""
    return round(100 * part / whole, 1) if whole else 0.0


def percent(part: float, whole: float) -> str:
    """`12.3 %`, and a dash where there is nothing to be a share of."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


@pass_context
def clock(context: Context, at: datetime, zone: str | None = None) -> str:
    """`23 Nov 2026, 18:42 CET`, in the reader's zone, or another one."""
    return f"{at.astimezone(_zone(context, zone)):%d %b %Y, %H:%M %Z}"


@pass_context
def brief(context: Context, at: datetime) -> str:
    """As short as it is clear: `18:42` of today, `23 Nov, 18:42` of this year, else with the year."""
    zone = _zone(context)
    there, today = at.astimezone(zone), datetime.now(zone)
    if there.date() == today.date():
        return f"{there:%H:%M}"
    return f"{there:%d %b, %H:%M}" if there.year == today.year else f"{there:%d %b %Y, %H:%M}"


@pass_context
def day(context: Context, at: datetime) -> str:
    """`23 Nov 2026`."""
    return f"{at.astimezone(_zone(context)):%d %b %Y}"


def _zone(context: Context, name: str | None = None) -> ZoneInfo:
    look = context.get("look")
    return zones.zone(name) if name else look.zone if isinstance(look, Look) else PLAIN.zone


def wall(at: datetime, zone: str) -> str:
    """What a `datetime-local` input shows of an instant, in a zone."""
    return f"{at.astimezone(zones.zone(zone)):%Y-%m-%dT%H:%M}"


def words(code: str) -> str:
    """A code for people: `in_flight` is `in flight`."""
    return code.replace("_", " ")


def marked(text: str) -> Markup:
    """Our own docstrings: what stands between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped first


def breakable(address: str) -> Markup:
    """An address that may be broken after its @."""
    return escape(address).replace("@", Markup("@<wbr>"))


def plural(count: float, one: str, many: str = "") -> str:
    """`1 lead`, `2 leads`, `1,000 leads`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


_environment = Environment(
    loader=PackageLoader("cleanmails.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    extensions=["jinja2.ext.do"],
)
_environment.globals |= {
    "asset": asset,
    "look": PLAIN,
    "bars": charts.bars,
    "lines": charts.lines,
    "told": told,
    "development": False,
    "once": lambda: secrets.token_urlsafe(16),
}
_environment.filters |= {
    "number": number,
    "share": share,
    "percent": percent,
    "clock": clock,
    "brief": brief,
    "day": day,
    "words": words,
    "wall": wall,
    "marked": marked,
    "plural": plural,
    "breakable": breakable,
    "slug": slug,
    "quoted": lambda text: quote(str(text), safe=""),
    "json": lambda value: json.dumps(value, ensure_ascii=False, default=str),
}


def render(template: str, *, status: int = 200, **context: object) -> Response[str]:
    """A page from a template."""
    text = _environment.get_template(template).render(**context)
    # What a page shows is its reader's alone, and old the moment after.
    return Response(text, media_type="text/html", status_code=status, headers={"Cache-Control": "no-store"})


def framed(page: Response[str]) -> Response[str]:
    """A page that shows the HTML of a mail as it is, made to stand in a frame of ours: it can run nothing and reach nothing of ours."""
    page.headers["Content-Security-Policy"] = MAIL_POLICY
    page.headers["X-Frame-Options"] = "SAMEORIGIN"
    return page


def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answers every error: people in a browser get a page, or the sign-in first; programs get the problem."""
    if request.scope["path"].startswith("/v1/") or "text/html" not in request.headers.get("accept", ""):
        return problems.answer(request, error)
    problem = problems.from_anything(error)
    if problem.code == "not_signed_in":
        led = urlencode({"next": _page_of(request)}, safe="/")
        return Redirect(f"/sign-in?{led}", status_code=303)
    page = render("problem.html", status=problem.status, problem=problem, look=look_of(request), back=_page_of(request))
    page.headers.update(problems.headers(error, problem))
    return page


def _page_of(request: Request[Any, Any, Any]) -> str:
    """The page that somebody is at: the one asked for, or the one whose form was sent, so that he comes back to what he had typed."""
    if request.method == "GET":
        path, query = request.scope["path"], request.url.query
        return f"{path}?{query}" if query else str(path)
    there = urlsplit(request.headers.get("referer", ""))
    if there.netloc != request.headers.get("host") or not there.path.startswith("/"):
        return "/"
    return f"{there.path}?{there.query}" if there.query else there.path
