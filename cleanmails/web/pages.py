"""The pages: sign-in, home, one campaign, and the API reference."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, QueryParameter, URLEncodedBody
from litestar.response import Redirect

from cleanmails.api import passwords, reference
from cleanmails.api.auth import Principal
from cleanmails.api.codes import CODES
from cleanmails.api.gate import Gate
from cleanmails.api.given import Given
from cleanmails.api.session import Credentials, no_cookie, session_cookie, sign_in, sign_out
from cleanmails.errors import AuthError, BusyError, InvalidError
from cleanmails.ledger import overview, senders, users, workers, workspaces
from cleanmails.ledger.db import Connection, Database, Row
from cleanmails.records import CampaignStatus
from cleanmails.rules import duties
from cleanmails.settings import Settings
from cleanmails.vault import Vault
from cleanmails.web.manual import manual
from cleanmails.web.render import render

_CAMPAIGNS_SHOWN = 50
_SENDERS_SHOWN = 200
_DELIVERIES_SHOWN = 50


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """The sign-in form."""

    email: Annotated[str, msgspec.Meta(max_length=320)] = ""
    password: Annotated[str, msgspec.Meta(max_length=passwords.LONGEST)] = ""
    code: Annotated[str, msgspec.Meta(max_length=40)] = ""
    next: str = "/"

    def __repr__(self) -> str:
        return f"SignIn({self.email})"


class Pages(Controller):
    """What people see."""

    include_in_schema = False

    @get("/sign-in", sync_to_thread=True, public=True)
    def sign_in_page(
        self,
        database: Given[Database],
        back: Annotated[str, QueryParameter(name="next")] = "/",
    ) -> Response[str]:
        """Ask who it is."""
        with database.transaction() as db:
            anybody = users.exists(db)
        return render("sign_in.html", back=_inside(back), email="", sentence="", anybody=anybody, ask_code=False)

    @post("/sign-in", sync_to_thread=True, public=True)
    def sign_in(
        self,
        request: Request[Any, Any, Any],
        data: URLEncodedBody[SignIn],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        gate: Given[Gate],
        now: Given[datetime],
    ) -> Response[Any]:
        """Begin a session and go where the person wanted to go, or say what is wrong."""
        back = _inside(data.next)
        try:
            token, _ = sign_in(request, Credentials(data.email, data.password, data.code), database, vault, gate, now)
        except (AuthError, BusyError, InvalidError) as error:
            status = 429 if isinstance(error, BusyError) else 401
            sentence = _sentence(error)
            ask_code = error.code in {"second_factor_required", "wrong_code"}
            return render(
                "sign_in.html",
                status=status,
                back=back,
                email=data.email,
                sentence=sentence,
                anybody=True,
                ask_code=ask_code,
            )
        return Redirect(back, status_code=303, cookies=[session_cookie(token, settings)])

    @post("/sign-out", sync_to_thread=True, public=True)
    def sign_out(
        self, request: Request[Any, Any, Any], database: Given[Database], settings: Given[Settings]
    ) -> Response[Any]:
        """End the session."""
        sign_out(request, database)
        return Redirect("/sign-in", status_code=303, cookies=[no_cookie(settings)])

    @get("/", sync_to_thread=True)
    def home(self, database: Given[Database], principal: Given[Principal], now: Given[datetime]) -> Response[str]:
        """Campaigns and today's senders."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            campaigns = overview.campaigns(db, workspace, limit=_CAMPAIGNS_SHOWN)
            mailboxes = senders.list_senders(db, workspace, today=now.date(), after=None, limit=_SENDERS_SHOWN)
            context = _context(db, principal)
            amiss = [duty.sentence for duty in duties.judged(workers.duty_ages(db)) if duty.late]
        return render("home.html", **context, amiss=amiss, campaigns=campaigns, senders=mailboxes, now=now)

    @get("/campaigns/{campaign_id:int}", sync_to_thread=True)
    def campaign(
        self, campaign_id: FromPath[int], database: Given[Database], principal: Given[Principal], now: Given[datetime]
    ) -> Response[str]:
        """One campaign: where its leads stand, and what became of its latest mails."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            campaign = overview.campaign(db, workspace, campaign_id)
            endings = overview.endings(db, workspace, campaign_id)
            deliveries = overview.deliveries(db, workspace, campaign_id, limit=_DELIVERIES_SHOWN)
            context = _context(db, principal)
        draft = campaign["status"] == CampaignStatus.DRAFT
        return render(
            "campaign.html", **context, campaign=campaign, endings=endings, deliveries=deliveries, draft=draft, now=now
        )

    @get("/docs/api", sync_to_thread=True, public=True)
    def api_reference(self, request: Request[Any, Any, Any], settings: Given[Settings]) -> Response[str]:
        """The API reference, made from the OpenAPI document."""
        state = request.app.state
        if "manual" not in state:
            state["manual"] = manual(reference.document(request.app))
        return render("reference.html", manual=state["manual"], codes=CODES, server=settings.public_url)


def _context(db: Connection, principal: Principal) -> Row:
    """What the frame around every page needs."""
    user = users.read(db, principal.user_id) if principal.user_id is not None else None
    return {"workspace": workspaces.read(db, principal.workspace_id), "user": user}


def _inside(path: str) -> str:
    """Where to go after signing in: only to a page of ours, never to what another site put into a link."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


def _sentence(error: AuthError | BusyError | InvalidError) -> str:
    return f"{error.message} ({error.retry_after} s)" if isinstance(error, BusyError) else error.message
