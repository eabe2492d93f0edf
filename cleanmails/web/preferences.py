"""Settings: the workspace, its people and keys, one's own account, who did what, and how pages look."""

from datetime import datetime, timedelta
from typing import Any, Final

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from cleanmails.api.account import Account
from cleanmails.api.ai import AiChange, Models
from cleanmails.api.api_keys import ApiKeys
from cleanmails.api.audit import AuditLog
from cleanmails.api.auth import PERMISSIONS, Permission
from cleanmails.api.given import Given
from cleanmails.api.people import Invitations, People
from cleanmails.api.personal_data import PersonalData
from cleanmails.api.workspace import WorkspaceChange, Workspaces
from cleanmails.errors import CleanmailsError, Fault, InvalidError
from cleanmails.ledger import users
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form, Sheet
from cleanmails.web.tables import csv, csv_address, every

TABS: Final = (
    ("workspace", "Workspace", "/settings", Permission.READ),
    ("ai", "AI", "/settings/ai", Permission.READ),
    ("people", "People", "/settings/people", Permission.READ),
    ("keys", "API keys", "/settings/keys", Permission.MANAGE),
    ("account", "My account", "/settings/account", Permission.READ),
    ("appearance", "Appearance", "/settings/appearance", Permission.READ),
    ("audit", "Audit log", "/settings/audit", Permission.PEOPLE),
    ("data", "Data", "/settings/data", Permission.MANAGE),
)
"""Name, label, address, and what one must be allowed to see it."""

_AUDIT: Final = {
    "at": lambda each: each.at.isoformat(),
    "user": lambda each: each.user,
    "api_key": lambda each: each.api_key,
    "action": lambda each: each.action,
    "object_id": lambda each: each.object_id,
    "path": lambda each: each.path,
    "remote_address": lambda each: each.remote_address,
    "user_agent": lambda each: each.user_agent,
}
_KEY_LIVES: Final = (("", "Until it is revoked"), ("30", "30 days"), ("90", "90 days"), ("365", "A year"))


class SettingPages(Page):
    """`/settings`."""

    @get("/settings", sync_to_thread=True)
    def workspace(self, desk: Given[Desk]) -> Response[str]:
        """Its name, postal address and tracking domain."""
        return self._workspace(desk)

    @post("/settings", sync_to_thread=True)
    def change_workspace(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Save them."""
        try:
            desk.ask(Workspaces.change, data=form.json(WorkspaceChange))
        except InvalidError as error:
            return self._workspace(desk, Sheet.typed(form, error), status=400)
        return desk.go("/settings", said="Saved.", kept="workspace")

    @post("/settings/archive", sync_to_thread=True)
    def archive(self, desk: Given[Desk]) -> Redirect:
        """Take the workspace out of use."""
        try:
            desk.ask(Workspaces.archive)
        except CleanmailsError as error:
            return desk.refused("/settings", error)
        return desk.go("/sign-in")

    @post("/settings/workspaces", sync_to_thread=True)
    def make_workspace(self, desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Make another workspace."""
        try:
            made = desk.ask(Workspaces.create, data={"name": form.text("name")})
        except CleanmailsError as error:
            return desk.refused("/settings", error)
        return desk.go("/settings", said=f"{made.name} was made: choose it at the top of the sidebar.")

    @get("/settings/ai", sync_to_thread=True)
    def ai(self, desk: Given[Desk]) -> Response[str]:
        """Which model AI tags are put to."""
        return self._ai(desk)

    @post("/settings/ai", sync_to_thread=True)
    def change_ai(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Set the model, try it, or switch AI tags off."""
        said = Form((name, value) for name, value in form.pairs if not (name == "key" and not value))
        try:
            if form.text("_do") == "off":
                desk.ask(Models.remove)
                return desk.go("/settings/ai", said="AI tags are off: their fallbacks stand in.", kept="ai")
            if form.text("_do") == "test":
                tried = desk.ask(Models.test, data={})
                words = f"The model answers: {tried.answer}" if tried.passed else tried.sentence
                return desk.go("/settings/ai", said=words, kind="good" if tried.passed else "bad")
            desk.ask(Models.write, data=said.json(AiChange))
        except InvalidError as error:
            return self._ai(desk, Sheet.typed(form, error), status=400)
        return desk.go("/settings/ai", said="Saved.", kept="ai")

    @get("/settings/people", sync_to_thread=True)
    def people(self, desk: Given[Desk]) -> Response[str]:
        """Who is in, and who is invited."""
        return self._people(desk)

    @post("/settings/people", sync_to_thread=True)
    def invite(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Invite somebody, and show the link."""
        try:
            made = desk.ask(Invitations.create, data={"email": form.text("email"), "role": form.text("role")})
        except InvalidError as error:
            return self._people(desk, Sheet.typed(form, error), status=400)
        except CleanmailsError as error:
            return desk.refused("/settings/people", error)
        mailed = "It was mailed, too." if made.mailed else "Send it yourself: there is no system mail server."
        sentence = f"{made.invitation.email} comes in by this link within a week. {mailed}"
        return _once(desk, "people", "The invitation", sentence, made.link, "/settings/people")

    @post("/settings/people/{user_id:int}", sync_to_thread=True)
    def change_member(self, user_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Change what a member may do, or take him out."""
        try:
            if form.text("_do") == "remove":
                desk.ask(People.remove, user_id=user_id)
            else:
                desk.ask(People.change, user_id=user_id, data={"role": form.text("role")})
        except CleanmailsError as error:
            return desk.refused("/settings/people", error)
        return desk.go("/settings/people", said="Done, from the next request on.")

    @post("/settings/invitations/{invitation_id:int}/revoke", sync_to_thread=True)
    def revoke_invitation(self, invitation_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Its link does not lead in any more."""
        try:
            desk.ask(Invitations.revoke, invitation_id=invitation_id)
        except CleanmailsError as error:
            return desk.refused("/settings/people", error)
        return desk.go("/settings/people", said="The invitation was revoked.")

    @get("/settings/keys", sync_to_thread=True)
    def keys(self, desk: Given[Desk]) -> Response[str]:
        """Keys of the API."""
        return self._keys(desk)

    @post("/settings/keys", sync_to_thread=True)
    def make_key(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Make one, and show it this once."""
        data: dict[str, Any] = {"name": form.text("name"), "role": form.text("role", "admin")}
        if form.all("scopes"):
            data["scopes"] = form.all("scopes")
        if form.text("_days") in dict(_KEY_LIVES) and form.text("_days"):
            data["expires_at"] = (desk.now + timedelta(days=int(form.text("_days")))).isoformat()
        try:
            made = desk.ask(ApiKeys.create, data=data)
        except InvalidError as error:
            return self._keys(desk, Sheet.typed(form, error), status=400)
        sentence = "Keep this key where your program reads it. It is shown this once, and cannot be read again."
        return _once(desk, "keys", "The API key was made", sentence, made.key, "/settings/keys")

    @post("/settings/keys/{key_id:int}/revoke", sync_to_thread=True)
    def revoke_key(self, key_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """It stops at once."""
        desk.ask(ApiKeys.revoke, key_id=key_id)
        return desk.go("/settings/keys", said="The key was revoked: it stops at once.")

    @get("/settings/account", sync_to_thread=True)
    def account(self, desk: Given[Desk]) -> Response[str]:
        """One's password, second factor and sessions."""
        return self._account(desk)

    @post("/settings/account/password", sync_to_thread=True, needs=Permission.READ)
    def change_password(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Change the password; all other sessions end."""
        data = {"current": form.text("current"), "new": dict(form.pairs).get("new", "")}
        try:
            desk.ask(Account.change_password, data=data)
        except InvalidError as error:
            return self._account(desk, Sheet({}, error.faults), status=400)
        except CleanmailsError as error:
            return self._account(desk, Sheet({}, [Fault("current", error.code, error.message)]), status=400)
        return desk.go("/settings/account", said="The password was changed. All other sessions have ended.")

    @post("/settings/account/second-factor", sync_to_thread=True, needs=Permission.READ)
    def second_factor(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Begin, confirm or remove a second factor."""
        act = form.text("_do")
        try:
            if act == "begin":
                made = desk.ask(Account.begin_second_factor, data={"password": form.text("password")})
                return self._account(desk, secret=made)
            if act == "confirm":
                codes = desk.ask(Account.confirm_second_factor, data={"code": form.text("code").replace(" ", "")})
                return self._account(desk, codes=codes.recovery_codes)
            desk.ask(Account.remove_second_factor, data={"password": form.text("password")})
        except InvalidError as error:
            faults = [
                Fault("code" if act == "confirm" else "password", each.code, each.message) for each in error.faults
            ]
            return self._account(desk, Sheet({}, faults), status=400)
        except CleanmailsError as error:
            return desk.refused("/settings/account", error)
        return desk.go("/settings/account", said="The second factor was removed.")

    @post("/settings/account/sessions", sync_to_thread=True, needs=Permission.READ)
    def end_sessions(self, desk: Given[Desk], form: Given[Form]) -> Redirect:
        """End one session, or all others."""
        try:
            for session_id in form.ids("session"):
                desk.ask(Account.end_session, session_id=session_id)
            if form.text("_do") == "others":
                desk.ask(Account.end_others)
        except CleanmailsError as error:
            return desk.refused("/settings/account", error)
        return desk.go("/settings/account", said="Done: it stops at once.")

    @get("/settings/appearance", sync_to_thread=True)
    def appearance(self, desk: Given[Desk]) -> Response[str]:
        """Light or dark, and in which zone times are."""
        return _page(desk, "settings_appearance.html", "appearance", [])

    @get("/settings/audit", sync_to_thread=True)
    def audit(self, desk: Given[Desk]) -> Response[str]:
        """Who did what."""
        return _page(
            desk,
            "settings_audit.html",
            "audit",
            [AuditLog.search],
            entries=desk.ask(AuditLog.search, **_sought(desk)),
            members=list(every(desk, People.list_all)),
            csv=csv_address(desk, "/settings/audit.csv"),
        )

    @get("/settings/audit.csv", sync_to_thread=True)
    def download_audit(self, desk: Given[Desk]) -> Stream:
        """The same as CSV."""
        desk.ask(AuditLog.search)  # who may not see it is told so before the first line
        return csv("audit-log", _AUDIT, every(desk, AuditLog.search, **_sought(desk)))

    @get("/settings/data", sync_to_thread=True)
    def data(self, desk: Given[Desk]) -> Response[str]:
        """What can be taken along, and what people may ask for."""
        return self._data(desk)

    @post("/settings/data", sync_to_thread=True)
    def about_person(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Hand out what is known of an address, or forget it."""
        email = form.text("email")
        try:
            if form.text("_do") == "erase":
                done = desk.ask(PersonalData.erase, data={"email": email, "note": form.text("note")})
                known = "" if done.was_lead else " Nothing was known of it."
                return desk.go("/settings/data", said=f"The address is forgotten, and never mailed again.{known}")
            known_of = desk.ask(PersonalData.export, data={"email": email})
        except InvalidError as error:
            return self._data(desk, Sheet.typed(form, error), status=400)
        except CleanmailsError as error:
            return desk.refused("/settings/data", error)
        headers = {"Content-Disposition": 'attachment; filename="personal-data.json"', "Cache-Control": "no-store"}
        return Response(known_of, media_type="application/json", status_code=200, headers=headers)

    def _workspace(self, desk: Desk, sheet: Sheet | None = None, *, status: int = 200) -> Response[str]:
        workspace = desk.ask(Workspaces.read)
        calls = [Workspaces.read, Workspaces.change]
        return _page(
            desk,
            "settings_workspace.html",
            "workspace",
            calls,
            status=status,
            sheet=sheet or Sheet.of(workspace),
            this=workspace,
        )

    def _ai(self, desk: Desk, sheet: Sheet | None = None, *, status: int = 200) -> Response[str]:
        model = desk.ask(Models.read)
        calls = [Models.read, Models.write, Models.test]
        return _page(desk, "settings_ai.html", "ai", calls, status=status, sheet=sheet or Sheet.of(model), model=model)

    def _people(self, desk: Desk, sheet: Sheet | None = None, *, status: int = 200) -> Response[str]:
        manages = desk.may(Permission.PEOPLE)
        invited = list(every(desk, Invitations.list_all)) if manages else []
        return _page(
            desk,
            "settings_people.html",
            "people",
            [People.list_all, Invitations.create],
            status=status,
            sheet=sheet or Sheet({}),
            members=desk.ask(People.list_all),
            invitations=[each for each in invited if not each.accepted_at and not each.revoked_at],
            manages=manages,
        )

    def _keys(self, desk: Desk, sheet: Sheet | None = None, *, status: int = 200) -> Response[str]:
        permissions = [(each.value, told[0]) for each, told in PERMISSIONS.items()]
        return _page(
            desk,
            "settings_keys.html",
            "keys",
            [ApiKeys.list_all, ApiKeys.create],
            status=status,
            sheet=sheet or Sheet({}),
            keys=desk.ask(ApiKeys.list_all),
            permissions=permissions,
            lives=_KEY_LIVES,
        )

    def _account(
        self,
        desk: Desk,
        sheet: Sheet | None = None,
        *,
        status: int = 200,
        secret: object = None,
        codes: list[str] | None = None,
    ) -> Response[str]:
        with desk.database.transaction() as db:
            me = users.read(db, desk.principal.person())
        return _page(
            desk,
            "settings_account.html",
            "account",
            [Account.list_sessions, Account.change_password, Account.begin_second_factor],
            status=status,
            sheet=sheet or Sheet({}),
            sessions=desk.ask(Account.list_sessions),
            has_second=me is not None and me["totp_confirmed_at"] is not None,
            secret=secret,
            codes=codes,
        )

    def _data(self, desk: Desk, sheet: Sheet | None = None, *, status: int = 200) -> Response[str]:
        calls = [Workspaces.download, PersonalData.export, PersonalData.erase]
        return _page(desk, "settings_data.html", "data", calls, status=status, sheet=sheet or Sheet({}))


def _page(desk: Desk, template: str, tab: str, calls: list[HTTPRouteHandler], **context: Any) -> Response[str]:  # noqa: ANN401 - a template's
    tabs = [(name, label, path) for name, label, path, need in TABS if desk.may(need)]
    return desk.page(template, here="settings", calls=calls, tab=tab, tabs=tabs, may=desk.may, **context)


def _once(desk: Desk, tab: str, title: str, sentence: str, secret: str, back: str) -> Response[str]:
    """A page with what is shown this once."""
    return _page(desk, "secret.html", tab, [], title=title, sentence=sentence, secret=secret, back=back)


def _sought(desk: Desk) -> dict[str, Any]:
    user, since = desk.param("user_id"), desk.param("since")
    sought: dict[str, Any] = {
        "action": desk.param("q")[:100].lower() or None,
        "user_id": int(user) if user.isascii() and user.isdigit() and len(user) < 19 else None,
    }
    try:
        sought["since"] = datetime.fromisoformat(since).replace(tzinfo=desk.zone) if since else None
    except ValueError:
        sought["since"] = None
    return sought
