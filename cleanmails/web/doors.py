"""The pages for people who are not in yet: an invitation, a lost password, a report that was shared. None of them needs a script.

They do what `/v1/auth` and `/v1/invitations` do, by the same functions. Tokens stand in their addresses: the log names routes only, and
`Referrer-Policy` keeps addresses from other sites.
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Redirect

from cleanmails.api import account, passwords, people, problems, shares
from cleanmails.api.auth import token_hash
from cleanmails.api.gate import Gate
from cleanmails.api.given import Given
from cleanmails.api.session import session_cookie
from cleanmails.errors import AuthError, BusyError, CleanmailsError, InvalidError, NotFoundError
from cleanmails.ledger import invitations, users
from cleanmails.ledger.db import Database
from cleanmails.settings import Settings
from cleanmails.vault import Vault
from cleanmails.web.render import render

_SHORT = f"A password has at least {passwords.SHORTEST} characters."


class Entering(msgspec.Struct, frozen=True, kw_only=True):
    """The forms' fields."""

    email: Annotated[str, msgspec.Meta(max_length=320)] = ""
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    password: Annotated[str, msgspec.Meta(max_length=passwords.LONGEST)] = ""
    code: Annotated[str, msgspec.Meta(max_length=40)] = ""

    def __repr__(self) -> str:
        return "Entering()"


class Doors(Controller):
    """Ways in."""

    include_in_schema = False

    @get("/invitation/{token:str}", sync_to_thread=True, public=True)
    def invitation(self, token: FromPath[str], database: Given[Database], now: Given[datetime]) -> Response[str]:
        """Say into what one is invited, and ask for a password."""
        return _invitation(database, token, now)

    @post("/invitation/{token:str}", sync_to_thread=True, public=True)
    def accept(
        self,
        token: FromPath[str],
        data: URLEncodedBody[Entering],
        request: Request[Any, Any, Any],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        gate: Given[Gate],
        now: Given[datetime],
    ) -> Response[Any]:
        """Come in."""
        if len(data.password) < passwords.SHORTEST:
            return _invitation(database, token, now, sentence=_SHORT, status=400)
        acceptance = people.Acceptance(token=token, password=data.password, name=data.name, code=data.code)
        try:
            session, _ = people.accept(request, acceptance, database, vault, gate, now)
        except (AuthError, BusyError, InvalidError) as error:
            return _invitation(database, token, now, sentence=_why(error), status=problems.from_error(error).status)
        return Redirect("/", status_code=303, cookies=[session_cookie(session, settings)])

    @get("/forgot-password", sync_to_thread=True, public=True)
    def forgot_page(self) -> Response[str]:
        """Ask whose password was lost."""
        return render("forgot.html", sent=False)

    @post("/forgot-password", sync_to_thread=True, public=True, status_code=200)
    def forgot(
        self,
        data: URLEncodedBody[Entering],
        request: Request[Any, Any, Any],
        database: Given[Database],
        settings: Given[Settings],
        gate: Given[Gate],
        now: Given[datetime],
    ) -> Response[str]:
        """Mail a link, and say the same whether or not there is such a user."""
        account.forgot(request, data.email, database, settings, gate, now)
        return render("forgot.html", sent=True)

    @get("/reset-password/{token:str}", sync_to_thread=True, public=True)
    def reset_page(self, token: FromPath[str]) -> Response[str]:
        """Ask for the new password; whether the link holds is found out when it is used."""
        return render("reset.html", token=token, sentence="")

    @post("/reset-password/{token:str}", sync_to_thread=True, public=True)
    def reset(
        self,
        token: FromPath[str],
        data: URLEncodedBody[Entering],
        request: Request[Any, Any, Any],
        database: Given[Database],
        gate: Given[Gate],
        now: Given[datetime],
    ) -> Response[Any]:
        """Take the new password, and go to the sign-in."""
        if len(data.password) < passwords.SHORTEST:
            return render("reset.html", status=400, token=token, sentence=_SHORT)
        try:
            account.reset(request, token, data.password, database, gate, now)
        except (AuthError, BusyError, InvalidError) as error:
            return render("reset.html", status=problems.from_error(error).status, token=token, sentence=_why(error))
        return Redirect("/sign-in", status_code=303)

    @get("/shared/{token:str}", sync_to_thread=True, public=True)
    def shared(self, token: FromPath[str], database: Given[Database], now: Given[datetime]) -> Response[str]:
        """A campaign's figures for who has the link."""
        page = render("shared.html", report=shares.report(database, token, now))
        page.headers["X-Robots-Tag"] = "noindex"
        return page


def _why(error: CleanmailsError) -> str:
    """What stands against it, in a sentence."""
    return error.faults[0].message if isinstance(error, InvalidError) else error.message


def _invitation(
    database: Database, token: str, now: datetime, *, sentence: str = "", status: int = 200
) -> Response[str]:
    with database.transaction() as db:
        try:
            invited = invitations.read(db, token_hash(token), now=now)
        except NotFoundError as error:
            return render("invitation.html", status=404, invited=None, sentence=error.message)
        known = users.read_by_email(db, invited["email"])
    ask_code = known is not None and known["totp_confirmed_at"] is not None
    return render(
        "invitation.html",
        status=status,
        invited=invited,
        token=token,
        known=known is not None,
        ask_code=ask_code,
        sentence=sentence,
    )
