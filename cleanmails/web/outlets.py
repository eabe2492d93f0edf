"""What the pages of webhooks and of integrations have in common: both are outlets of the stream, with a switch, a test, a log of attempts, and replays."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from litestar.response import Redirect, Stream

from cleanmails.api.integrations import Integrations
from cleanmails.api.webhooks import Webhooks
from cleanmails.errors import CleanmailsError
from cleanmails.rules import event_types
from cleanmails.web.desk import Desk
from cleanmails.web.form import Form
from cleanmails.web.tables import csv, every

_STATES: Final = ("pending", "delivered", "given_up")
_LOG: Final[Mapping[str, Callable[[Any], object]]] = {
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
COLUMNS: Final[Mapping[str, Callable[[Any], object]]] = {
    "id": lambda each: each.id,
    "name": lambda each: each.name,
    "url": lambda each: each.url,
    "state": lambda each: each.state,
    "off_reason": lambda each: each.off_reason,
    "pending": lambda each: each.pending,
    "failures_in_row": lambda each: each.failures_in_row,
    "types": lambda each: " ".join(each.types),
}


class Noun(msgspec.Struct, frozen=True):
    """One of the two: where its pages are, what its id is called, and the API's handlers of it."""

    path: str
    key: str
    api: Any

    def at(self, id: int) -> str:
        """The page of one."""
        return f"{self.path}/{id}"

    def shown(self, desk: Desk, id: int) -> dict[str, Any]:
        """What a page shows of one: itself, and its attempts or (`?show=events`) its events."""
        which = {self.key: id}
        if desk.param("show") != "events":
            return {"log": desk.ask(self.api.list_attempts, **which), "messages": False}
        state = desk.param("state")
        wanted = state if state in _STATES else None
        return {"log": desk.ask(self.api.list_messages, **which, wanted=wanted), "messages": True}

    def log(self, desk: Desk, id: int) -> Stream:
        """Its attempts as CSV. NotFoundError."""
        which = {self.key: id}
        desk.ask(self.api.read, **which)
        return csv(f"{self.key.removesuffix('_id')}-{id}-log", _LOG, every(desk, self.api.list_attempts, **which))

    def switch(self, desk: Desk, form: Form, id: int) -> Redirect:
        """Switches it off or on."""
        try:
            after = desk.ask(self.api.change, **{self.key: id}, data={"state": form.text("state")})
        except CleanmailsError as error:
            return desk.refused(self.at(id), error)
        said = "It is on: what waited is sent now." if after.state == "on" else "It is off: events wait for it."
        return desk.go(self.at(id), said=said)

    def test(self, desk: Desk, id: int) -> Redirect:
        """Tries it out now, and says what came back."""
        try:
            found = desk.ask(self.api.test, **{self.key: id})
        except CleanmailsError as error:
            return desk.refused(self.at(id), error)
        said = f"It answered {found.status} in {found.ms} ms." if found.status else f"No answer: {found.error}"
        return desk.go(self.at(id), said=said, kind="good" if found.passed else "bad")

    def replay(self, desk: Desk, form: Form, id: int) -> Redirect:
        """Sends events once more. InvalidError for a range that is none."""
        data: dict[str, Any] = {
            name: each[0] for name in ("event_id", "first_id", "last_id") if (each := form.ids(name))
        }
        data |= {name: _instant(desk, form.text(name)) for name in ("since", "until") if form.text(name)}
        done = desk.ask(self.api.replay, **{self.key: id}, data=data)
        more = " The range holds more: replay the rest from where this ended." if done.more else ""
        return desk.go(self.at(id), said=f"{done.replayed} events are sent once more.{more}")


WEBHOOK: Final = Noun("/webhooks", "webhook_id", Webhooks)
INTEGRATION: Final = Noun("/integrations", "integration_id", Integrations)


def types() -> list[tuple[str, str, bool]]:
    """The types that can be chosen: name, meaning, and whether it comes in masses."""
    return [(name, kind.meaning, kind.frequent) for name, kind in event_types.TYPES.items() if name != "webhook.test"]


def _instant(desk: Desk, text: str) -> str:
    """A time that was typed is meant in the reader's zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (at if at.tzinfo else at.replace(tzinfo=desk.zone)).isoformat()
