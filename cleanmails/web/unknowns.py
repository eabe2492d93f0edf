"""Deliveries of which nobody knows whether they were sent: what to look for, and decisions on one or many."""

from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect, Stream

from cleanmails.api.given import Given
from cleanmails.api.unknowns import Unknowns
from cleanmails.errors import CleanmailsError
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form
from cleanmails.web.tables import csv, csv_address, every

_COLUMNS = {
    "id": lambda each: each.id,
    "email": lambda each: each.email,
    "campaign": lambda each: each.campaign_name,
    "step": lambda each: each.step + 1,
    "sender": lambda each: each.sender_address,
    "subject": lambda each: each.subject,
    "message_id": lambda each: each.message_id,
    "handed_over_at": lambda each: each.sending_at.isoformat(),
    "reason": lambda each: each.reason,
}


class UnknownPages(Page):
    """`/unknown`."""

    @get("/unknown", sync_to_thread=True)
    def all(self, desk: Given[Desk]) -> Response[str]:
        """Those that wait for evidence or a decision."""
        return desk.page(
            "unknowns.html",
            here="unknown",
            calls=[Unknowns.list_all, Unknowns.decide, Unknowns.decide_many],
            unknown=desk.ask(Unknowns.list_all, **_filter(desk)),
            campaigns=desk.started(),
            csv=csv_address(desk, "/unknown.csv"),
            back=desk.here(),
        )

    @get("/unknown.csv", sync_to_thread=True)
    def download(self, desk: Given[Desk]) -> Stream:
        """The same as CSV, to be held against a mail server's log."""
        return csv("unknown-deliveries", _COLUMNS, every(desk, Unknowns.list_all, **_filter(desk)))

    @post("/unknown/decide", sync_to_thread=True)
    def decide(self, desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Decide on one, or on all that are ticked."""
        back = form.text("_back") if form.text("_back").startswith("/unknown") else "/unknown"
        one, _, decision = form.text("_one").partition(" ")
        ids = [int(one)] if one.isascii() and one.isdigit() and len(one) < 19 else sorted(set(form.ids("ids")))
        if not ids:
            return desk.go(back, said="Tick the mails first.", kind="warn")
        data = {"ids": ids, "decision": decision or form.text("decision"), "note": form.text("note")}
        try:
            done = desk.ask(Unknowns.decide_many, data=data)
        except CleanmailsError as error:
            return desk.refused(back, error)
        said = "count as sent" if data["decision"] == "assume_sent" else "go out again"
        left = f" {len(done.left)} had been settled meanwhile." if done.left else ""
        return desk.go(back, said=f"{len(done.decided)} of {len(ids)} {said}.{left}")


def _filter(desk: Desk) -> dict[str, Any]:
    given = desk.param("campaign_id")
    return {"campaign_id": int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None}
