"""Webhooks: endpoints with what waits for them, the log of attempts, tests and replays."""

from datetime import datetime
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from cleanmails.api.auth import Permission
from cleanmails.api.given import Given
from cleanmails.api.webhooks import FreshWebhook, NewWebhook, Webhook, WebhookChange, Webhooks
from cleanmails.errors import CleanmailsError, InvalidError
from cleanmails.rules import event_types
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form, Sheet
from cleanmails.web.tables import csv, csv_address, every, sought

_STATES: Final = ("pending", "delivered", "given_up")
_COLUMNS: Final = {
    "id": lambda each: each.id,
    "name": lambda each: each.name,
    "url": lambda each: each.url,
    "state": lambda each: each.state,
    "off_reason": lambda each: each.off_reason,
    "pending": lambda each: each.pending,
    "failures_in_row": lambda each: each.failures_in_row,
    "types": lambda each: " ".join(each.types),
}
_LOG: Final = {
    "id": lambda each: each.id,
    "at": lambda each: each.at.isoformat(),
    "event_id": lambda each: each.event_id,
    "type": lambda each: each.type,
    "outcome": lambda each: each.outcome,
    "status": lambda each: each.status,
    "ms": lambda each: each.ms,
    "error": lambda each: each.error,
    "answer": lambda each: each.answer,
}


class WebhookPages(Page):
    """`/webhooks`."""

    @get("/webhooks", sync_to_thread=True)
    def all(self, desk: Given[Desk]) -> Response[str]:
        """Every endpoint and how it fares."""
        return desk.page(
            "webhooks.html",
            here="webhooks",
            calls=[Webhooks.list_all, Webhooks.create],
            webhooks=desk.ask(Webhooks.list_all, q=sought(desk)),
            csv=csv_address(desk, "/webhooks.csv"),
            may_setup=desk.may(Permission.SETUP),
        )

    @get("/webhooks.csv", sync_to_thread=True)
    def download(self, desk: Given[Desk]) -> Stream:
        """The same as CSV."""
        return csv("webhooks", _COLUMNS, every(desk, Webhooks.list_all, q=sought(desk)))

    @get("/webhooks/new", sync_to_thread=True)
    def new(self, desk: Given[Desk]) -> Response[str]:
        """Ask for an endpoint."""
        return self._form(desk, Sheet({}), chosen=_common())

    @post("/webhooks/new", sync_to_thread=True)
    def create(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Make it, and show its secret this once."""
        try:
            made = desk.ask(Webhooks.create, data=form.json(NewWebhook))
        except InvalidError as error:
            return self._form(desk, Sheet.typed(form, error), chosen=form.all("types"), status=400)
        return self._secret(desk, made, "The webhook was made.")

    @get("/webhooks/{webhook_id:int}", sync_to_thread=True)
    def one(self, webhook_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """One endpoint: what it is told, and how that went."""
        return self._one(desk, webhook_id, Sheet({}))

    @get("/webhooks/{webhook_id:int}/log.csv", sync_to_thread=True)
    def download_log(self, webhook_id: FromPath[int], desk: Given[Desk]) -> Stream:
        """Its attempts as CSV."""
        desk.ask(Webhooks.read, webhook_id=webhook_id)
        return csv(f"webhook-{webhook_id}-log", _LOG, every(desk, Webhooks.list_attempts, webhook_id=webhook_id))

    @get("/webhooks/{webhook_id:int}/edit", sync_to_thread=True)
    def edit(self, webhook_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """What is set of it."""
        webhook = desk.ask(Webhooks.read, webhook_id=webhook_id)
        return self._form(desk, Sheet.of(webhook), chosen=webhook.types, webhook=webhook)

    @post("/webhooks/{webhook_id:int}/edit", sync_to_thread=True)
    def change(self, webhook_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Save what is set."""
        webhook = desk.ask(Webhooks.read, webhook_id=webhook_id)
        try:
            desk.ask(Webhooks.change, webhook_id=webhook_id, data=form.json(WebhookChange))
        except InvalidError as error:
            return self._form(desk, Sheet.typed(form, error), chosen=form.all("types"), webhook=webhook, status=400)
        return desk.go(f"/webhooks/{webhook_id}", said="Saved.", kept=f"webhook-{webhook_id}")

    @post("/webhooks/{webhook_id:int}/state", sync_to_thread=True)
    def set_state(self, webhook_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Switch it off or on."""
        try:
            after = desk.ask(Webhooks.change, webhook_id=webhook_id, data={"state": form.text("state")})
        except CleanmailsError as error:
            return desk.refused(f"/webhooks/{webhook_id}", error)
        said = "It is on: what waited is sent now." if after.state == "on" else "It is off: events wait for it."
        return desk.go(f"/webhooks/{webhook_id}", said=said)

    @post("/webhooks/{webhook_id:int}/test", sync_to_thread=True)
    def test(self, webhook_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Send a test event now."""
        try:
            found = desk.ask(Webhooks.test, webhook_id=webhook_id)
        except CleanmailsError as error:
            return desk.refused(f"/webhooks/{webhook_id}", error)
        said = f"It answered {found.status} in {found.ms} ms." if found.status else f"No answer: {found.error}"
        return desk.go(f"/webhooks/{webhook_id}", said=said, kind="good" if found.passed else "bad")

    @post("/webhooks/{webhook_id:int}/replay", sync_to_thread=True)
    def replay(self, webhook_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Send events once more."""
        data: dict[str, Any] = {
            name: each[0] for name in ("event_id", "first_id", "last_id") if (each := form.ids(name))
        }
        data |= {name: _instant(desk, form.text(name)) for name in ("since", "until") if form.text(name)}
        try:
            done = desk.ask(Webhooks.replay, webhook_id=webhook_id, data=data)
        except InvalidError as error:
            return self._one(desk, webhook_id, Sheet.typed(form, error), status=400)
        more = " The range holds more: replay the rest from where this ended." if done.more else ""
        return desk.go(f"/webhooks/{webhook_id}", said=f"{done.replayed} events are sent once more.{more}")

    @post("/webhooks/{webhook_id:int}/secret", sync_to_thread=True)
    def rotate(self, webhook_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Give it a new secret, and show that this once."""
        hours = form.text("keep_old_hours")
        data = {"keep_old_hours": int(hours)} if hours.isascii() and hours.isdigit() and len(hours) < 4 else {}
        try:
            made = desk.ask(Webhooks.rotate, webhook_id=webhook_id, data=data)
        except CleanmailsError as error:
            return desk.refused(f"/webhooks/{webhook_id}", error)
        return self._secret(desk, made, "The webhook has a new secret.")

    @post("/webhooks/{webhook_id:int}/delete", sync_to_thread=True)
    def delete(self, webhook_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Take it away."""
        desk.ask(Webhooks.remove, webhook_id=webhook_id)
        return desk.go("/webhooks", said="The webhook was deleted with its log.")

    def _one(self, desk: Desk, webhook_id: int, sheet: Sheet, *, status: int = 200) -> Response[str]:
        state = desk.param("state")
        messages = desk.param("show") == "events"
        shown = {"wanted": state if state in _STATES else None} if messages else {}
        handler = Webhooks.list_messages if messages else Webhooks.list_attempts
        return desk.page(
            "webhook.html",
            here="webhooks",
            trail=[("Webhooks", "/webhooks")],
            calls=[Webhooks.read, Webhooks.list_attempts, Webhooks.list_messages, Webhooks.replay, Webhooks.test],
            status=status,
            webhook=desk.ask(Webhooks.read, webhook_id=webhook_id),
            log=desk.ask(handler, webhook_id=webhook_id, **shown),
            messages=messages,
            sheet=sheet,
            csv=f"/webhooks/{webhook_id}/log.csv",
            may_setup=desk.may(Permission.SETUP),
        )

    def _secret(self, desk: Desk, made: FreshWebhook, said: str) -> Response[str]:
        return desk.page(
            "secret.html",
            here="webhooks",
            trail=[("Webhooks", "/webhooks")],
            title=said,
            sentence="Keep this secret where your receiver reads it: it signs every event, and is shown this once.",
            secret=made.secret,
            back=f"/webhooks/{made.webhook.id}",
        )

    def _form(
        self, desk: Desk, sheet: Sheet, *, chosen: list[str], webhook: Webhook | None = None, status: int = 200
    ) -> Response[str]:
        types = [
            (name, kind.meaning, kind.frequent) for name, kind in event_types.TYPES.items() if name != "webhook.test"
        ]
        return desk.page(
            "webhook_form.html",
            here="webhooks",
            trail=[("Webhooks", "/webhooks")],
            calls=[Webhooks.change if webhook else Webhooks.create],
            status=status,
            sheet=sheet,
            webhook=webhook,
            types=types,
            chosen=set(chosen),
        )


def _common() -> list[str]:
    return [name for name, kind in event_types.TYPES.items() if not kind.frequent]


def _instant(desk: Desk, text: str) -> str:
    """A time that was typed is meant in the reader's zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (at if at.tzinfo else at.replace(tzinfo=desk.zone)).isoformat()
