"""Webhooks: endpoints with what waits for them, the log of attempts, tests and replays."""

from typing import Any

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
from cleanmails.web.outlets import COLUMNS, WEBHOOK, types
from cleanmails.web.tables import csv, csv_address, every, sought


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
        return csv("webhooks", COLUMNS, every(desk, Webhooks.list_all, q=sought(desk)))

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
        return WEBHOOK.log(desk, webhook_id)

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
        return WEBHOOK.switch(desk, form, webhook_id)

    @post("/webhooks/{webhook_id:int}/test", sync_to_thread=True)
    def test(self, webhook_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Send a test event now."""
        return WEBHOOK.test(desk, webhook_id)

    @post("/webhooks/{webhook_id:int}/replay", sync_to_thread=True)
    def replay(self, webhook_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Send events once more."""
        try:
            return WEBHOOK.replay(desk, form, webhook_id)
        except InvalidError as error:
            return self._one(desk, webhook_id, Sheet.typed(form, error), status=400)

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
        return desk.page(
            "webhook.html",
            here="webhooks",
            trail=[("Webhooks", "/webhooks")],
            calls=[Webhooks.read, Webhooks.list_attempts, Webhooks.list_messages, Webhooks.replay, Webhooks.test],
            status=status,
            outlet=desk.ask(Webhooks.read, webhook_id=webhook_id),
            at=WEBHOOK.at(webhook_id),
            sheet=sheet,
            may_setup=desk.may(Permission.SETUP),
            **WEBHOOK.shown(desk, webhook_id),
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
        return desk.page(
            "webhook_form.html",
            here="webhooks",
            trail=[("Webhooks", "/webhooks")],
            calls=[Webhooks.change if webhook else Webhooks.create],
            status=status,
            sheet=sheet,
            webhook=webhook,
            types=types(),
            chosen=set(chosen),
        )


def _common() -> list[str]:
    return [name for name, kind in event_types.TYPES.items() if not kind.frequent]
