"""Senders: the mailboxes, how they fare, and what is set of each."""

from typing import Any, Final, get_args

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from cleanmails.actors import oauth
from cleanmails.api.auth import Permission
from cleanmails.api.codes import CODES
from cleanmails.api.domains import Domains
from cleanmails.api.given import Given
from cleanmails.api.mailbox import NewSender, SenderChange
from cleanmails.api.oauth import Oauth
from cleanmails.api.senders import Sender, Senders, Standing
from cleanmails.api.statistics import Statistics
from cleanmails.errors import CleanmailsError, Fault, InvalidError, StateError
from cleanmails.rules.health import FLOOR, rests_until
from cleanmails.web import charts
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form, Sheet
from cleanmails.web.tables import csv, csv_address, every, sought

_COLUMNS: Final = {
    "id": lambda each: each.id,
    "address": lambda each: each.address,
    "name": lambda each: each.name,
    "status": lambda each: each.status,
    "status_reason": lambda each: each.status_reason,
    "health": lambda each: each.health,
    "used_today": lambda each: each.today.used,
    "limit_today": lambda each: each.today.limit,
    "daily_limit": lambda each: each.daily_limit,
    "domain": lambda each: each.domain.name if each.domain else "",
    "last_error": lambda each: each.last_error,
    "last_error_at": lambda each: each.last_error_at.isoformat() if each.last_error_at else "",
}
_UNSAID: Final = frozenset({"smtp_password", "imap_password"})
"""Inputs that say nothing when they are empty: a password is never shown, so it cannot stand there."""


class SenderPages(Page):
    """`/senders`."""

    @get("/senders", sync_to_thread=True)
    def all(self, desk: Given[Desk]) -> Response[str]:
        """Every mailbox, with its health and what it has used of today."""
        return desk.page(
            "senders.html",
            here="senders",
            calls=[Senders.list_all, Senders.create, Senders.test],
            senders=desk.ask(Senders.list_all, **_filters(desk)),
            standing=standing,
            rests_until=rests_until,
            connected=_connected(desk),
            csv=csv_address(desk, "/senders.csv"),
            may_setup=desk.may(Permission.SETUP),
        )

    @get("/senders.csv", sync_to_thread=True)
    def download(self, desk: Given[Desk]) -> Stream:
        """The same as CSV."""
        return csv("senders", _COLUMNS, every(desk, Senders.list_all, **_filters(desk)))

    @get("/senders/new", sync_to_thread=True)
    def new(self, desk: Given[Desk]) -> Response[str]:
        """Ask for a mailbox."""
        return self._form(
            desk, Sheet({"smtp_port": "587", "smtp_security": "starttls", "imap_port": "993", "imap_security": "tls"})
        )

    @post("/senders/new", sync_to_thread=True)
    def create(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Try its server out, and save it."""
        try:
            made = desk.ask(Senders.create, data=_said(form).json(NewSender))
        except InvalidError as error:
            return self._form(desk, Sheet.typed(form, error), status=400)
        except CleanmailsError as error:
            sheet = Sheet(form.flat(), [Fault("address", error.code, error.message)])
            return self._form(desk, sheet, status=409)
        return desk.go(f"/senders/{made.id}", said="The mailbox works, and was added.", kept="sender-new")

    @get("/senders/connect/{provider:str}", sync_to_thread=True, needs=Permission.SETUP)
    def connect(self, provider: FromPath[str], desk: Given[Desk]) -> Redirect:
        """Send the reader to his mail provider, to consent there: for the sender that the address names, or a new one."""
        sender = desk.param("sender")
        page = f"/senders/{sender}" if sender.isdecimal() else "/senders"
        wanted = {"return_to": page} | ({"sender_id": int(sender)} if sender.isdecimal() else {})
        try:
            started = desk.ask(Oauth.start, provider=provider, data=wanted)
        except StateError as error:
            return desk.refused(page, error)
        return Redirect(started.authorize_url, status_code=303)

    @get("/senders/{sender_id:int}", sync_to_thread=True)
    def one(self, sender_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """How one mailbox fares."""
        sender: Sender = desk.ask(Senders.read, sender_id=sender_id)
        figures = next((each for each in every(desk, Statistics.of_senders) if each.sender_id == sender_id), None)
        health = desk.ask(Senders.health, sender_id=sender_id, days=30)
        days = [f"{each.date:%d %b}" for each in health]
        return desk.page(
            "sender.html",
            here="senders",
            trail=[("Senders", "/senders")],
            calls=[Senders.read, Senders.change, Senders.test, Senders.health],
            sender=sender,
            standing=standing(sender, desk),
            rests_until=rests_until(sender.health, sender.last_error_at),
            connected=_connected(desk),
            providers=_providers(desk),
            figures=figures.figures if figures else None,
            health=health,
            fared=charts.lines(days, ("Health, of 100", "replied", [each.health for each in health])) if days else None,
            used=charts.bars(days, ("Mails", "sent", [each.used for each in health])) if days else None,
            may_setup=desk.may(Permission.SETUP),
        )

    @get("/senders/{sender_id:int}/edit", sync_to_thread=True)
    def edit(self, sender_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """What is set of it."""
        sender = desk.ask(Senders.read, sender_id=sender_id)
        return self._form(desk, Sheet.of(sender), sender=sender)

    @post("/senders/{sender_id:int}/edit", sync_to_thread=True)
    def change(self, sender_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Save what is set. New settings of its server are tried out first."""
        sender = desk.ask(Senders.read, sender_id=sender_id)
        said = _changed(_said(form), Sheet.of(sender))
        try:
            desk.ask(Senders.change, sender_id=sender_id, data=said.json(SenderChange))
        except InvalidError as error:
            return self._form(desk, Sheet.typed(form, error), sender=sender, status=400)
        except CleanmailsError as error:
            return desk.refused(f"/senders/{sender_id}/edit", error)
        return desk.go(f"/senders/{sender_id}", said="Saved.", kept=f"sender-{sender_id}")

    @post("/senders/{sender_id:int}/test", sync_to_thread=True)
    def test(self, sender_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Try its server out."""
        try:
            found = desk.ask(Senders.test, sender_id=sender_id).trial
        except CleanmailsError as error:
            return desk.refused(f"/senders/{sender_id}", error)
        said = "The server takes the sign-in. No mail was sent." if found.passed else f"{found.sentence} {found.reply}"
        return desk.go(f"/senders/{sender_id}", said=said.strip(), kind="good" if found.passed else "bad")

    @post("/senders/{sender_id:int}/status", sync_to_thread=True)
    def set_status(self, sender_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Pause or resume it."""
        try:
            after = desk.ask(Senders.change, sender_id=sender_id, data={"status": form.text("status")})
        except CleanmailsError as error:
            return desk.refused(f"/senders/{sender_id}", error)
        said = "Paused: no further mail goes out by it." if after.status == "paused" else "It sends again."
        return desk.go(f"/senders/{sender_id}", said=said)

    @post("/senders/{sender_id:int}/delete", sync_to_thread=True)
    def delete(self, sender_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Take it away."""
        try:
            desk.ask(Senders.remove, sender_id=sender_id)
        except CleanmailsError as error:
            return desk.refused(f"/senders/{sender_id}", error)
        return desk.go("/senders", said="The sender was deleted, and its passwords are forgotten.")

    def _form(self, desk: Desk, sheet: Sheet, *, sender: Sender | None = None, status: int = 200) -> Response[str]:
        trail = [("Senders", "/senders")] + ([(sender.address, f"/senders/{sender.id}")] if sender else [])
        return desk.page(
            "sender_form.html",
            here="senders",
            trail=trail,
            calls=[Senders.change] if sender else [Senders.create, Senders.test_new],
            status=status,
            sheet=sheet,
            sender=sender,
            domains=[each.name for each in every(desk, Domains.list_all)],
            providers=[] if sender else _providers(desk),
        )


def standing(sender: Sender, desk: Desk) -> str:
    """Its status as people see it: one that would be ready, and sends nothing for now, says why."""
    if sender.status not in {"ready", "warmup"}:
        return str(sender.status)
    if sender.domain is not None and sender.domain.status != "verified":
        return f"domain_{sender.domain.status}"
    if sender.cooldown_until is not None and sender.cooldown_until > desk.now:
        return "cooling_down"
    return "resting" if sender.health <= FLOOR else str(sender.status)


def _providers(desk: Desk) -> list[tuple[str, str]]:
    """Where a mailbox can be connected by consent: (name, as people call it)."""
    names = {"google": "Google", "microsoft": "Microsoft"}
    return [(name, said) for name, said in names.items() if oauth.provider(desk.settings, name) is not None]


def _connected(desk: Desk) -> tuple[str, str] | None:
    """What came of a consent from which the reader comes back: a sentence, and how to show it."""
    code = desk.param("oauth")
    if not code:
        return None
    if code == "connected":
        return "The mailbox is connected: it signs in by its owner's consent now.", "good"
    return f"The mailbox was not connected. {CODES.get(code, '')}".strip(), "bad"


def _filters(desk: Desk) -> dict[str, Any]:
    status = desk.param("status")
    return {"q": sought(desk), "wanted": status if status in get_args(Standing) else None}


def _said(form: Form) -> Form:
    """The form without what says nothing: empty passwords, and a ramp-up of which no figure is given."""
    ramp = [value for name, value in form.pairs if name.startswith("ramp_up.") and value.strip()]
    return Form(
        (name, value)
        for name, value in form.pairs
        if not (name in _UNSAID and not value) and (ramp or not name.startswith("ramp_up."))
    )


def _changed(form: Form, before: Sheet) -> Form:
    """What differs from what was there. Settings that stand as they stood are not tested anew; a ramp-up is given whole."""
    ramp = any(name.startswith("ramp_up.") and value != before.text(name) for name, value in form.pairs)
    ended = any(name.startswith("ramp_up.") for name in before.values) and not any(
        name.startswith("ramp_up.") for name, _ in form.pairs
    )
    kept = [
        (name, value)
        for name, value in form.pairs
        if (ramp if name.startswith("ramp_up.") else value != before.text(name))
    ]
    return Form([*kept, ("ramp_up", "")] if ended else kept)
