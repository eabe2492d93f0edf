"""Leaving: the page behind the unsubscribe link, and the one click of mail programs (RFC 8058). No account, no cookie, no script, no redirect.

Programs that look at links before people do (GET, HEAD) change nothing; only a POST acts. It may come again and again, and says nothing about
whether a link is real.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Controller, HttpMethod, Response, post, route
from litestar.params import FromPath

from cleanmails import log
from cleanmails.api.given import Given
from cleanmails.ledger import suppressions, walks
from cleanmails.ledger.db import Database, Row
from cleanmails.mail.tokens import Purpose, Tokens
from cleanmails.records import WalkOutcome
from cleanmails.vault import Vault

_TITLES: Final = {
    "asked": "Unsubscribe",
    "done": "You are unsubscribed",
    "taken": "You are unsubscribed",
    "unknown": "This link does not work",
    "decoy": "This link is for programs",
    "busy": "One moment, please",
}
_HEADERS: Final = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "web" / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_log = log.get(__name__)


class Unsubscribe(Controller):
    """`/unsubscribe/{token}`."""

    path = "/unsubscribe/{token:str}"
    include_in_schema = False

    @route(http_method=[HttpMethod.GET, HttpMethod.HEAD], sync_to_thread=True, public=True)
    def ask(self, token: FromPath[str], database: Given[Database], vault: Given[Vault]) -> Response[str]:
        """Say which address it is about, with one button. Changes nothing."""
        found = _recipient(database, vault, token)
        return _page("asked", found["email"]) if found else _page("unknown", status=404)

    @post(sync_to_thread=True, public=True, cross_site=True, status_code=200)
    def leave(self, token: FromPath[str], database: Given[Database], vault: Given[Vault]) -> Response[str]:
        """Suppress the address in its workspace and end its walks. Once this has answered, no mail to it starts."""
        found = _recipient(database, vault, token)
        if found is None:
            return _page("taken")
        with database.transaction() as db:
            suppressions.unsubscribe(db, found, source="link")
        # A campaign that enrolled the lead while this committed could not see it, nor be seen. Whatever walks now ends; what is enrolled from here on sees it.
        with database.transaction() as db:
            walks.end(db, [found["lead_id"]], WalkOutcome.UNSUBSCRIBED, found["workspace_id"])
        _log.info("lead.unsubscribed", lead_id=found["lead_id"], campaign_id=found["campaign_id"], source="link")
        return _page("done", found["email"])


def _recipient(database: Database, vault: Vault, token: str) -> Row | None:
    delivery_id = Tokens(vault.derive_all("tokens"), vault.current).read(token, Purpose.UNSUBSCRIBE)
    if delivery_id is None:
        return None
    with database.transaction() as db:
        return suppressions.recipient(db, delivery_id)


State = Literal["asked", "done", "taken", "unknown", "decoy", "busy"]


@lru_cache(maxsize=64)
def render_page(state: State, email: str = "") -> str:
    """One of the pages that recipients see."""
    return _templates.get_template("unsubscribe.html").render(state=state, title=_TITLES[state], email=email)


def _page(state: State, email: str = "", *, status: int = 200) -> Response[Any]:
    text = render_page(state, email)
    return Response(text, media_type="text/html", status_code=status, headers=_HEADERS)
