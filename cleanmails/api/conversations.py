"""Conversations with leads: both sides, labels, who looks after them, notes, answers; and messages of which a person has to say whose they are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from cleanmails import log
from cleanmails.actors import answers, inbox, render, trial
from cleanmails.actors.work import Kit
from cleanmails.api.auth import Principal
from cleanmails.api.body import Id
from cleanmails.api.given import Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.api.reference import also
from cleanmails.api.senders import as_mailbox
from cleanmails.errors import CleanmailsError, Fault, InvalidError, NotFoundError
from cleanmails.ledger import ai, conversations, previews, senders
from cleanmails.ledger.conversations import Filters, Label
from cleanmails.ledger.db import Database, Row
from cleanmails.mail import inbound, safe
from cleanmails.records import Attachment, DeliveryState, WalkOutcome, WalkState
from cleanmails.settings import Settings
from cleanmails.vault import Vault

_log = log.get(__name__)
_LARGEST: Final = 2**63 - 1

Kind = Literal["bounce", "auto_reply", "feedback", "opt_out", "reply", "own"]
"""What a message is; `own` was written by hand in the mailbox itself."""

LabelAsked = Literal["interested", "not_interested", "meeting_booked", "wrong_person", "out_of_office", "none"]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=50_000)]


class Person(msgspec.Struct, frozen=True):
    """Somebody of the workspace."""

    id: int
    name: str
    email: str


class ConversationLead(msgspec.Struct, frozen=True, kw_only=True):
    """With whom a conversation is, and where his walk through the campaign stands."""

    id: int
    email: str
    first_name: str
    last_name: str
    company: str
    state: WalkState
    outcome: WalkOutcome | None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """What was written between a lead and us in one campaign. `last_kind` and `last_at` are of the last message that came in, `snippet` its first words."""

    id: int
    lead: ConversationLead
    campaign_id: int
    campaign_name: str
    sender_id: int
    sender_address: str
    subject: str
    snippet: str
    label: Label | None
    unread: bool
    assigned_to: Person | None
    last_kind: Kind
    last_at: datetime


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody of the workspace wrote down; no lead sees it. `by` is null for an API key."""

    id: int
    text: str
    by: str | None
    created_at: datetime


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in a conversation, in the order of time.

    `type`: a `mail` of the campaign, a `message` that came in or (`kind` own) was written by hand, an `answer` from here. `text` is what is new in it, `full_text`
    with what it quotes, `html` its markup made harmless, or null where there is none to show; show it apart (a sandboxed frame). `attachments` are listed and never
    opened. Of a mail: `exact` says that the words are those the lead got, to the byte; else they are what stands in the campaign now. Of an answer: `state` is
    `sending`, `sent`, `failed` or `unknown` (it may have arrived, and is not sent again), `reply` what the server said.
    """

    type: Literal["mail", "message", "answer"]
    id: int
    at: datetime
    direction: Literal["in", "out"]
    from_address: str
    from_name: str
    to_address: str
    subject: str
    text: str
    full_text: str
    html: str | None
    attachments: list[Attachment]
    kind: Kind | None = None
    step: int | None = None
    state: str | None = None
    exact: bool | None = None
    opened_at: datetime | None = None
    clicked_at: datetime | None = None
    resumes_on: str | None = None
    reasons: list[str] = []
    reply: str | None = None
    by: str | None = None


class WholeConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with all that was written in it."""

    conversation: Conversation
    entries: list[Entry]
    notes: list[Note]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many conversations there are in all, unread, and by label; `review`: messages of which a person has to say whose they are."""

    total: int
    unread: int
    interested: int
    not_interested: int
    meeting_booked: int
    wrong_person: int
    out_of_office: int
    review: int


class ConversationChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change; what is left out stays. `assigned_to` is a member of the workspace; null takes a label or a person away."""

    label: Label | UnsetType | None = UNSET
    unread: bool | UnsetType = UNSET
    assigned_to: Id | UnsetType | None = UNSET


class NewNote(msgspec.Struct, frozen=True, kw_only=True):
    """A note."""

    text: Text


class NewAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The words of an answer, as plain text; empty lines make paragraphs. The sender's signature and what is answered are put below."""

    text: Text


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an answer: `sent`, `failed`, or `unknown` if the server's word was never seen; it is not sent again by itself."""

    id: int
    state: Literal["sent", "failed", "unknown"]
    to_address: str
    subject: str
    reply: str


class Possible(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that a message may be about."""

    delivery_id: int
    campaign_id: int
    campaign_name: str
    lead_id: int
    email: str
    step: int
    subject: str
    sent_at: datetime


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A message that has done nothing yet. `why`: several mails may be meant (`ambiguous`), a report names none of ours, as a forged one would
    (`unproven`), or the message could not be read here (`unreadable`): look for it in the mailbox."""

    id: int
    kind: str
    why: str
    sender_id: int
    sender_address: str
    from_address: str
    from_name: str
    subject: str
    text: str
    full_text: str
    html: str | None
    attachments: list[Attachment]
    reasons: list[str]
    received_at: datetime
    candidates: list[Possible]


class ReviewDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Which mail the message is about: then it has its effects as if that had been known. Null: none; it is forgotten."""

    delivery_id: Id | None


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the message, and the conversation that it is part of now, if it is of any."""

    state: Literal["settled", "ignored"]
    kind: str
    conversation_id: int | None


class Conversations(Controller):
    """`/v1/outreach/conversations`."""

    path = "/v1/outreach/conversations"
    tags = ("conversations",)

    @get(sync_to_thread=True)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        label: Annotated[LabelAsked | None, QueryParameter(description="With this label; `none`: without any.")] = None,
        unread: Annotated[
            bool | None, QueryParameter(description="Only those that nobody has read, or only others.")
        ] = None,
        kind: Annotated[Kind | None, QueryParameter(description="By what came in last.")] = None,
        assigned_to: Annotated[
            int | None, QueryParameter(description="Whose they are, by user.", ge=1, le=_LARGEST)
        ] = None,
        unassigned: Annotated[bool | None, QueryParameter(description="Only those that are nobody's.")] = None,
        campaign_id: Annotated[int | None, QueryParameter(description="Of one campaign.", ge=1, le=_LARGEST)] = None,
        sender_id: Annotated[int | None, QueryParameter(description="Of one sender.", ge=1, le=_LARGEST)] = None,
        lead_id: Annotated[int | None, QueryParameter(description="With one lead.", ge=1, le=_LARGEST)] = None,
        search: Annotated[
            str | None,
            QueryParameter(
                max_length=200, description="Part of the lead's address, name or company, or words that were written."
            ),
        ] = None,
    ) -> Page[Conversation]:
        """List conversations, the one with the newest message first."""
        filters = Filters(
            label=label,
            unread=unread,
            kind=kind,
            assigned_to=0 if unassigned else assigned_to,
            campaign_id=campaign_id,
            sender_id=sender_id,
            lead_id=lead_id,
            search=search or None,
        )
        with database.transaction() as db:
            rows = conversations.page(db, principal.workspace_id, filters, before=window.after, limit=window.fetch)
        return page(rows, window, _conversation, key="last_message_id")

    @get("/counts", sync_to_thread=True)
    def count(self, database: Given[Database], principal: Given[Principal]) -> Counts:
        """Count conversations: in all, unread, by label, and messages in review."""
        with database.transaction() as db:
            return msgspec.convert(conversations.counts(db, principal.workspace_id), Counts)

    @get("/{conversation_id:int}", sync_to_thread=True)
    def read(
        self,
        conversation_id: FromPath[int],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> WholeConversation:
        """Read a conversation: what we sent, what came in, what was answered, in the order of time. It stays unread until it is changed."""
        with database.transaction() as db:
            row = conversations.read(db, principal.workspace_id, conversation_id)
            came = conversations.messages(db, conversation_id)
            sent = conversations.mails(db, row["campaign_id"], row["lead_id"])
            answered = conversations.answers(db, conversation_id, lost=now - answers.LOST_AFTER)
            noted = conversations.notes(db, conversation_id)
        kit = Kit(settings=settings, database=database, vault=vault)
        entries = [
            *(_mail(kit, principal.workspace_id, row, each) for each in sent),
            *(_message(row, each) for each in came),
            *(_answer(each) for each in answered),
        ]
        return WholeConversation(
            conversation=_conversation(row),
            entries=sorted(entries, key=lambda entry: entry.at),
            notes=[_note(each) for each in noted],
        )

    @patch("/{conversation_id:int}", sync_to_thread=True)
    def change(
        self,
        conversation_id: FromPath[int],
        data: JSONBody[ConversationChange],
        database: Given[Database],
        principal: Given[Principal],
    ) -> Conversation:
        """Label a conversation, mark it read or unread, or give it to somebody."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            was = conversations.lock(db, workspace, conversation_id)
            email = conversations.read(db, workspace, conversation_id)["email"]
            assigned = was["assigned_to"] if data.assigned_to is UNSET else data.assigned_to
            if data.assigned_to and not conversations.is_member(db, workspace, data.assigned_to):
                raise InvalidError([Fault("assigned_to", "unknown", "There is no such member of the workspace.")])
            conversations.update(
                db,
                workspace,
                was,
                label=was["label"] if data.label is UNSET else data.label,
                unread=was["unread"] if data.unread is UNSET else data.unread,
                assigned_to=assigned,
                email=email,
            )
            return _conversation(conversations.read(db, workspace, conversation_id))

    @post("/{conversation_id:int}/notes", sync_to_thread=True)
    def note(
        self,
        conversation_id: FromPath[int],
        data: JSONBody[NewNote],
        database: Given[Database],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Note:
        """Write a note on a conversation, for the people of the workspace."""
        with database.transaction() as db:
            row = conversations.add_note(db, principal.workspace_id, conversation_id, principal.user_id, data.text, now)
        return _note(row)

    @delete("/{conversation_id:int}/notes/{note_id:int}", sync_to_thread=True)
    def delete_note(
        self,
        conversation_id: FromPath[int],
        note_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
    ) -> None:
        """Delete a note."""
        with database.transaction() as db:
            conversations.delete_note(db, principal.workspace_id, conversation_id, note_id)

    @post("/{conversation_id:int}/answer", sync_to_thread=True, status_code=200, responses=also(409))
    def answer(
        self,
        conversation_id: FromPath[int],
        data: JSONBody[NewAnswer],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Answered:
        """Answer in a conversation, through its sender's server, in the same thread. At most once: what may have arrived is never sent again by itself."""
        kit = Kit(settings=settings, database=database, vault=vault)
        if not data.text.strip():
            raise InvalidError([Fault("text", "blank", "This must have something in it.")])
        ready = answers.begin(
            kit, principal.workspace_id, conversation_id, data.text, user_id=principal.user_id, now=now
        )
        with database.transaction() as db:
            sender = senders.read(db, principal.workspace_id, ready.sender_id, today=now.date())
        endpoint = trial.endpoint(
            as_mailbox(sender), ready.mail_from, ready.sender_id, vault, settings, trial.access_of(kit, sender)
        )
        heard = trial.hand_in(endpoint, settings, ready.mail_from, ready.to, ready.raw)
        said = trial.said(heard)
        state = answers.end(kit, ready, heard, said, now)
        _log.info("answer.ended", answer=ready.id, conversation=conversation_id, state=state, code=heard.code)
        return msgspec.convert(
            {"id": ready.id, "state": state, "to_address": ready.to, "subject": ready.subject, "reply": said}, Answered
        )


class Reviews(Controller):
    """`/v1/outreach/reviews`."""

    path = "/v1/outreach/reviews"
    tags = ("conversations",)

    @get(sync_to_thread=True)
    def list_all(self, database: Given[Database], principal: Given[Principal], window: Given[Window]) -> Page[Review]:
        """List messages of which a person has to say whose they are, oldest first. They have done nothing yet."""
        with database.transaction() as db:
            rows = conversations.reviews(db, principal.workspace_id, after=window.after or 0, limit=window.fetch)
        return page(rows, window, _review)

    @post("/{message_id:int}/decide", sync_to_thread=True, status_code=200)
    def decide(
        self,
        message_id: FromPath[int],
        data: JSONBody[ReviewDecision],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Decided:
        """Say which mail a message is about, or that it is about none."""
        kit = Kit(settings=settings, database=database, vault=vault)
        try:
            done = inbox.decide(kit, principal.workspace_id, message_id, data.delivery_id, now)
        except NotFoundError as error:
            raise InvalidError([Fault("delivery_id", "unknown", error.message)]) from error
        if done is None:
            raise NotFoundError("There is no such message in review.")
        state: Literal["settled", "ignored"] = "settled" if done.state == "settled" else "ignored"
        return Decided(state=state, kind=done.kind, conversation_id=done.thread_id)


def _conversation(row: Row) -> Conversation:
    lead = ConversationLead(
        id=row["lead_id"],
        email=row["email"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        company=row["company"],
        state=row["walk_state"],
        outcome=row["walk_outcome"],
    )
    whose = row["assigned_to"]
    return msgspec.convert(
        {
            **{name: row[name] for name in Conversation.__struct_fields__ if name in row},
            "lead": lead,
            "assigned_to": Person(whose, row["assigned_name"], row["assigned_email"]) if whose else None,
        },
        Conversation,
    )


def _mail(kit: Kit, workspace_id: int, thread: Row, row: Row) -> Entry:
    """A mail of the campaign: made anew, and held against the hash of what went out."""
    text, html, exact = "", None, False
    try:
        with kit.database.transaction() as db:
            facts = previews.facts(db, workspace_id, thread["campaign_id"], thread["lead_id"], row["step"])
            known = ai.known(db, [facts])[facts["id"]].answers if render.asks(facts) else {}
        made = render.make(kit, facts, facts["mail_date"] or row["sending_at"], answers=known)
        letter = inbound.parse(made.raw)
        text, html = letter.text, safe.clean(letter.html)
        exact = made.hash.hex() == facts["ledger_hash"]
    except CleanmailsError:
        pass  # the step is gone, or cannot be made any more: what is known of the mail is shown without its words
    return Entry(
        type="mail",
        id=row["id"],
        at=row["sending_at"],
        direction="out",
        from_address=row["sender_address"],
        from_name="",
        to_address=thread["email"],
        subject=row["subject"] or "",
        text=text,
        full_text=text,
        html=html,
        attachments=[],
        step=row["step"],
        state=DeliveryState(row["state"]),
        exact=exact,
        opened_at=row["opened_at"],
        clicked_at=row["clicked_at"],
    )


def _message(thread: Row, row: Row) -> Entry:
    own = row["kind"] == "own"
    return Entry(
        type="message",
        id=row["id"],
        at=row["settled_at"],
        direction="out" if own else "in",
        from_address=row["from_address"],
        from_name=row["from_name"],
        to_address=thread["email"] if own else thread["sender_address"],
        subject=row["subject"],
        text=row["reply"] or row["body"],
        full_text=row["body"],
        html=safe.clean(row["html"]) if row["html"] else None,
        attachments=_attachments(row["attachments"]),
        kind=row["kind"],
        resumes_on=row["meaning"].get("resumes_on"),
        reasons=list(row["meaning"].get("reasons", ())),
    )


def _answer(row: Row) -> Entry:
    return Entry(
        type="answer",
        id=row["id"],
        at=row["created_at"],
        direction="out",
        from_address=row["sender_address"],
        from_name="",
        to_address=row["to_address"],
        subject=row["subject"],
        text=row["body"],
        full_text=row["body"],
        html=None,
        attachments=[],
        state=row["state"],
        reply=row["reply"],
        by=row["user_name"],
    )


def _note(row: Row) -> Note:
    return Note(id=row["id"], text=row["text"], by=row["user_name"], created_at=row["created_at"])


def _review(row: Row) -> Review:
    return Review(
        id=row["id"],
        kind=row["kind"],
        why=row["why"],
        sender_id=row["sender_id"],
        sender_address=row["sender_address"],
        from_address=row["from_address"],
        from_name=row["from_name"],
        subject=row["subject"],
        text=row["reply"] or row["body"],
        full_text=row["body"],
        html=safe.clean(row["html"]) if row["html"] else None,
        attachments=_attachments(row["attachments"]),
        reasons=list(row["meaning"].get("reasons", ())),
        received_at=row["settled_at"],
        candidates=msgspec.convert(row["candidates"], list[Possible]),
    )


def _attachments(stored: Sequence[Any]) -> list[Attachment]:
    return msgspec.convert(stored, list[Attachment])
