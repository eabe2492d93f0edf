"""Templates to pages. Everything that a person or a stranger wrote is escaped; nothing in a page is script or style."""

import hashlib
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response
from litestar.response import Redirect
from markupsafe import Markup, escape

from cleanmails.api import problems

STATIC: Final = Path(__file__).parent / "static"


@cache
def asset(name: str) -> str:
    """The address of a static file. It changes with the content, so that browsers may keep what they have."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def number(value: float) -> str:
    """`12,345`."""
    return f"{value:,}"


def share(part: float, whole: float) -> float:
    """Percent of `whole`, 0 of nothing, with one decimal: for the widths of bars."""
    return round(100 * part / whole, 1) if whole else 0.0


def clock(at: datetime) -> str:
    """`23 Nov 2026, 18:42 UTC`."""
    return f"{at.astimezone(UTC):%d %b %Y, %H:%M} UTC"


def words(code: str) -> str:
    """A code for people: `in_flight` is `in flight`."""
    return code.replace("_", " ")


def marked(text: str) -> Markup:
    """Our own docstrings: what stands between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped first


_environment = Environment(
    loader=PackageLoader("cleanmails.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals["asset"] = asset
_environment.filters |= {"number": number, "share": share, "clock": clock, "words": words, "marked": marked}


def render(template: str, *, status: int = 200, **context: object) -> Response[str]:
    """A page from a template."""
    text = _environment.get_template(template).render(**context)
    # What a page shows is its reader's alone, and old the moment after.
    return Response(text, media_type="text/html", status_code=status, headers={"Cache-Control": "no-store"})


def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answers every error: people in a browser get a page, or the sign-in first; programs get the problem."""
    if request.url.path.startswith("/v1/") or "text/html" not in request.headers.get("accept", ""):
        return problems.answer(request, error)
    problem = problems.from_anything(error)
    if problem.code == "not_signed_in":
        return Redirect(f"/sign-in?next={request.url.path}" if request.method == "GET" else "/sign-in", status_code=303)
    page = render("problem.html", status=problem.status, problem=problem)
    page.headers.update(problems.headers(error, problem))
    return page
