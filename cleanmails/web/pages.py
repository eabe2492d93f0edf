"""The pages for everybody: sign-in, and the API reference."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.params import QueryParameter, URLEncodedBody
from litestar.response import Redirect

from cleanmails.api import passwords, reference
from cleanmails.api.codes import CODES
from cleanmails.api.gate import Gate
from cleanmails.api.given import Given
from cleanmails.api.session import Credentials, no_cookie, session_cookie, sign_in, sign_out
from cleanmails.errors import AuthError, BusyError, InvalidError
from cleanmails.ledger import users
from cleanmails.ledger.db import Database
from cleanmails.settings import Settings
from cleanmails.vault import Vault
from cleanmails.web.manual import manual
from cleanmails.web.render import render
from cleanmails.web.shell import inside


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
        return render("sign_in.html", back=inside(back), email="", sentence="", anybody=anybody, ask_code=False)

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
        back = inside(data.next)
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

    @get("/docs/api", sync_to_thread=True, public=True)
    def api_reference(self, request: Request[Any, Any, Any], settings: Given[Settings]) -> Response[str]:
        """The API reference, made from the OpenAPI document."""
        state = request.app.state
        if "manual" not in state:
            state["manual"] = manual(reference.document(request.app))
        return render("reference.html", manual=state["manual"], codes=CODES, server=settings.public_url)


def _sentence(error: AuthError | BusyError | InvalidError) -> str:
    return f"{error.message} ({error.retry_after} s)" if isinstance(error, BusyError) else error.message
