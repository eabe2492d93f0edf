"""The inbox: what leads wrote, beside what was written to them; labels, answers, notes, and messages of which a person has to say whose they are."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from cleanmails.api.conversations import Conversations, Entry, Reviews, WholeConversation
from cleanmails.api.given import Given
from cleanmails.api.people import People
from cleanmails.errors import CleanmailsError, InvalidError, NotFoundError
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form, Sheet
from cleanmails.web.render import framed
from cleanmails.web.tables import csv, csv_address, every

LABELS: Final = (
    ("interested", "Interested", "good"),
    ("meeting_booked", "Meeting booked", "good"),
    ("not_interested", "Not interested", "draft"),
    ("wrong_person", "Wrong person", "draft"),
    ("out_of_office", "Out of office", "warn"),
)
"""Code, words, and how it is marked; their order is that of the keys 1 to 5."""

_KINDS: Final = frozenset({"bounce", "auto_reply", "feedback", "opt_out", "reply", "own"})
_COLUMNS: Final = {
    "id": lambda each: each.id,
    "email": lambda each: each.lead.email,
    "name": lambda each: f"{each.lead.first_name} {each.lead.last_name}".strip(),
    "company": lambda each: each.lead.company,
    "campaign": lambda each: each.campaign_name,
    "sender": lambda each: each.sender_address,
    "subject": lambda each: each.subject,
    "label": lambda each: each.label,
    "unread": lambda each: each.unread,
    "last_kind": lambda each: each.last_kind,
    "last_at": lambda each: each.last_at.isoformat(),
}


class InboxPages(Page):
    """`/inbox`."""

    @get("/inbox", sync_to_thread=True)
    def all(self, desk: Given[Desk]) -> Response[str]:
        """Conversations, the newest first."""
        return self._show(desk)

    @get("/inbox.csv", sync_to_thread=True)
    def download(self, desk: Given[Desk]) -> Stream:
        """The same as CSV."""
        return csv("conversations", _COLUMNS, every(desk, Conversations.list_all, **_filters(desk)))

    @get("/inbox/{conversation_id:int}", sync_to_thread=True)
    def one(self, conversation_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """One of them, beside the others."""
        return self._show(desk, conversation_id)

    @get("/inbox/{conversation_id:int}/{kind:str}/{entry_id:int}", sync_to_thread=True)
    def markup(
        self, conversation_id: FromPath[int], kind: FromPath[str], entry_id: FromPath[int], desk: Given[Desk]
    ) -> Response[str]:
        """The HTML of one message, for a frame in which nothing runs."""
        whole: WholeConversation = desk.ask(Conversations.read, conversation_id=conversation_id)
        found = next((each for each in whole.entries if (each.type, each.id) == (kind, entry_id)), None)
        if found is None or found.html is None:
            raise NotFoundError("There is no such message.")
        return framed(Response(found.html, media_type="text/html", headers={"Cache-Control": "no-store"}))

    @post("/inbox/{conversation_id:int}", sync_to_thread=True)
    def change(self, conversation_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Label it, mark it, or give it to somebody."""
        back, data = _back(form, conversation_id), dict[str, Any]()
        if "label" in form.flat():
            data["label"] = form.text("label") or None
        if "unread" in form.flat():
            data["unread"] = form.text("unread") == "yes"
        if "assigned_to" in form.flat():
            data["assigned_to"] = next(iter(form.ids("assigned_to")), None)
        try:
            desk.ask(Conversations.change, conversation_id=conversation_id, data=data)
        except CleanmailsError as error:
            return desk.refused(back, error)
        return desk.go(back)

    @post("/inbox/{conversation_id:int}/answer", sync_to_thread=True)
    def answer(self, conversation_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Answer, through the sender that wrote before."""
        try:
            said = desk.ask(Conversations.answer, conversation_id=conversation_id, data={"text": form.text("text")})
        except InvalidError as error:
            return self._show(desk, conversation_id, Sheet.typed(form, error), status=400)
        except CleanmailsError as error:
            return self._show(desk, conversation_id, Sheet(form.flat(), (), error.message), status=409)
        words, kind = {
            "sent": (f"Sent to {said.to_address}.", "good"),
            "failed": (f"It was not sent: {said.reply}", "bad"),
            "unknown": ("The server's answer was never seen: it may have arrived, and is not sent again.", "warn"),
        }[said.state]
        kept = "" if said.state == "failed" else f"answer-{conversation_id}"
        return desk.go(_back(form, conversation_id), said=words, kind=kind, kept=kept)

    @post("/inbox/{conversation_id:int}/notes", sync_to_thread=True)
    def note(self, conversation_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Note something for the others, or take a note away."""
        back = _back(form, conversation_id)
        try:
            for note_id in form.ids("delete"):
                desk.ask(Conversations.delete_note, conversation_id=conversation_id, note_id=note_id)
            if form.text("text"):
                desk.ask(Conversations.note, conversation_id=conversation_id, data={"text": form.text("text")})
        except CleanmailsError as error:
            return desk.refused(back, error)
        return desk.go(back, kept=f"note-{conversation_id}")

    @get("/inbox/review", sync_to_thread=True)
    def reviews(self, desk: Given[Desk]) -> Response[str]:
        """Messages that have done nothing yet."""
        return desk.page(
            "inbox_review.html",
            here="inbox",
            trail=[("Inbox", "/inbox")],
            calls=[Reviews.list_all, Reviews.decide],
            reviews=desk.ask(Reviews.list_all),
        )

    @post("/inbox/review/{message_id:int}", sync_to_thread=True)
    def decide(self, message_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Say which mail it is about, or that it is about none."""
        delivery = next(iter(form.ids("delivery_id")), None)
        try:
            done = desk.ask(Reviews.decide, message_id=message_id, data={"delivery_id": delivery})
        except CleanmailsError as error:
            return desk.refused("/inbox/review", error)
        said = "It is part of its conversation now." if done.conversation_id else "It is about none of your mails."
        return desk.go("/inbox/review", said=said)

    def _show(
        self, desk: Desk, conversation_id: int | None = None, sheet: Sheet | None = None, *, status: int = 200
    ) -> Response[str]:
        found = desk.ask(Conversations.list_all, **_filters(desk))
        whole = None
        if conversation_id is not None:
            whole = desk.ask(Conversations.read, conversation_id=conversation_id)
        ids = [each.id for each in found.items]
        place = ids.index(conversation_id) if conversation_id in ids else None
        return desk.page(
            "inbox.html",
            here="inbox",
            calls=[Conversations.list_all, Conversations.read, Conversations.change, Conversations.answer],
            status=status,
            found=found,
            whole=whole,
            counts=desk.ask(Conversations.count),
            before=ids[place - 1] if place else None,
            following=ids[place + 1] if place is not None and place + 1 < len(ids) else None,
            labels=LABELS,
            marks={code: mark for code, _, mark in LABELS},
            members=list(every(desk, People.list_all)) if whole else [],
            campaigns=desk.started(),
            query=desk.request.url.query or "",
            csv=csv_address(desk, "/inbox.csv").replace(f"/inbox/{conversation_id}", "/inbox.csv"),
            sheet=sheet or Sheet({}),
            shown=_shown,
        )


def _filters(desk: Desk) -> dict[str, Any]:
    """What the address asks for: `show` is unread, mine, nobody's or a label."""
    show, kind, campaign = desk.param("show"), desk.param("kind"), desk.param("campaign_id")
    asked: dict[str, Any] = {"search": desk.param("q")[:200] or None}
    if show == "unread":
        asked["unread"] = True
    elif show == "mine":
        asked["assigned_to"] = desk.principal.user_id
    elif show == "nobody":
        asked["unassigned"] = True
    elif show in {code for code, _, _ in LABELS}:
        asked["label"] = show
    asked["kind"] = kind if kind in _KINDS else None
    asked["campaign_id"] = int(campaign) if campaign.isascii() and campaign.isdigit() and len(campaign) < 19 else None
    return asked


def _back(form: Form, conversation_id: int) -> str:
    query = form.text("_query")
    return f"/inbox/{conversation_id}?{query}" if query.isprintable() and query else f"/inbox/{conversation_id}"


def _shown(entry: Entry) -> str:
    """What is said of an entry beside its words."""
    if entry.type == "mail":
        return f"Step {(entry.step or 0) + 1} of the campaign"
    if entry.type == "answer":
        return {"sent": "Answer", "sending": "Answer, on its way", "failed": "Answer, not sent"}.get(
            entry.state or "", "Answer; it may have arrived"
        )
    return {
        "bounce": "Came back",
        "auto_reply": "Automatic answer",
        "feedback": "Complaint of spam",
        "opt_out": "Wants no more mail",
        "own": "Written in the mailbox",
    }.get(entry.kind or "", "Reply")
