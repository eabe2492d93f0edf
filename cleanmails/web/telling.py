"""What an event says, in a sentence for people."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

_Data = Mapping[str, Any]


class Told(msgspec.Struct, frozen=True):
    """An event as a sentence. `kind` is how it is marked: a status that the stylesheet knows; `more` are its details."""

    text: str
    kind: str
    more: str = ""


def told(type_: str, data: _Data) -> Told:
    """The sentence of an event of any type; one that nobody knows here says its name."""
    teller = _TELLERS.get(type_)
    return teller(data) if teller else Told(type_.replace(".", " ").replace("_", " ").capitalize(), "draft")


def _sent(data: _Data) -> Told:
    how = f"Settled by evidence: {data['evidence']}" if data.get("evidence") else ""
    return Told("Mail sent", "sent", how)


def _bounced(data: _Data) -> Told:
    return Told("Mail bounced", "bounced", " ".join(str(part) for part in (data.get("code"), data.get("text")) if part))


def _hit(what: str) -> Callable[[_Data], Told]:
    def tell(data: _Data) -> Told:
        reasons = ", ".join(str(each).replace("_", " ") for each in data.get("reasons") or [])
        by = {"human": "", "machine": " by a machine", "unknown": ", by whom is unclear"}.get(
            str(data.get("verdict")), ""
        )
        kind = "opened" if data.get("verdict") == "human" else "draft"
        return Told(f"{what}{by}", kind, str(data.get("url") or "") or reasons)

    return tell


def _left(data: _Data) -> Told:
    how = {"one-click": "by the link in the mail", "mailto": "by mail", "api": "by hand"}.get(
        str(data.get("source")), ""
    )
    return Told({"complained": "Complained of spam"}.get(str(data.get("reason")), "Unsubscribed"), "unsubscribed", how)


def _replied(data: _Data) -> Told:
    return Told("Replied", "replied", str(data.get("subject") or ""))


def _paused(data: _Data) -> Told:
    return Told("Campaign paused", "paused", str(data.get("reason") or ""))


def _plain(text: str, kind: str, *names: str) -> Callable[[_Data], Told]:
    return lambda data: Told(
        text, kind, " ".join(str(data[name]).replace("_", " ") for name in names if data.get(name))
    )


_TELLERS: Final[Mapping[str, Callable[[_Data], Told]]] = {
    "email.sent": _sent,
    "email.bounced": _bounced,
    "email.opened": _hit("Opened"),
    "email.clicked": _hit("Link followed"),
    "email.replied": _replied,
    "lead.created": _plain("Lead added", "draft"),
    "list.joined": _plain("Put on a list", "draft", "list"),
    "lead.changed": _plain("Changed", "draft", "by"),
    "message.received": _plain("Message received", "draft", "kind", "subject"),
    "note.written": _plain("Note", "draft", "by", "text"),
    "answer.written": _plain("Answer", "sent", "by", "subject"),
    "lead.labelled": _plain("Labelled", "interested", "label"),
    "lead.validated": _plain("Address looked at", "draft", "validation"),
    "lead.unsubscribed": _left,
    "suppression.removed": _plain("Suppression taken back", "warn", "note"),
    "campaign.created": _plain("Campaign made", "draft"),
    "campaign.changed": _plain("Campaign changed", "draft"),
    "domain.changed": _plain("DNS records changed", "warn", "name"),
    "campaign.deleted": _plain("Campaign deleted", "draft"),
    "campaign.started": _plain("Campaign started", "running"),
    "campaign.resumed": _plain("Campaign resumed", "running"),
    "campaign.paused": _paused,
    "campaign.completed": _plain("Campaign completed", "completed"),
    "webhook.disabled": _plain("Webhook switched off", "bad", "reason"),
}
