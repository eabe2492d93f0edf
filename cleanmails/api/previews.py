"""What a lead will read, or has read: made by the very function that makes the mails; the same sent to oneself; and what a filter would mind."""

import email
import email.policy
import secrets
from datetime import datetime
from email.message import EmailMessage
from typing import Annotated, Final

import msgspec
from litestar import Controller, post
from litestar.params import FromPath, JSONBody

from cleanmails import log
from cleanmails.actors import ask, render, trial
from cleanmails.actors.work import Kit
from cleanmails.api.auth import Permission, Principal
from cleanmails.api.body import Id
from cleanmails.api.fields import MailAddress
from cleanmails.api.given import Given
from cleanmails.api.reference import also
from cleanmails.api.senders import as_mailbox
from cleanmails.errors import Fault, InvalidError, MissingFieldError
from cleanmails.ledger import ai, campaigns, previews, senders
from cleanmails.ledger.db import Database, Row
from cleanmails.ledger.deliveries import Rendered
from cleanmails.mail import message
from cleanmails.records import DeliveryState, Stage
from cleanmails.rules import address, content
from cleanmails.settings import Settings
from cleanmails.vault import Vault

_log = log.get(__name__)
_POLICY: Final = email.policy.SMTP.clone(utf8=True)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which mail: a step to a lead. `sender_id` stands in where the lead has no sender yet; else the campaign's first one does."""

    lead_id: Id
    step: Annotated[int, msgspec.Meta(ge=0, lt=50)] = 0
    sender_id: Id | None = None


class PreviewWanted(Wanted, frozen=True, kw_only=True):
    """The same; with `subjects` or `body` as if the step had these words, which are not saved. Then no model is asked: AI tags show their fallback."""

    subjects: Annotated[list[Annotated[str, msgspec.Meta(max_length=1_000)]], msgspec.Meta(max_length=50)] | None = None
    body: Annotated[str, msgspec.Meta(max_length=500_000)] | None = None


class TestWanted(Wanted, frozen=True, kw_only=True):
    """The same, and the address of one's own that it goes to: a member's of the workspace, or one of its senders'."""

    to: MailAddress


class HeaderField(msgspec.Struct, frozen=True):
    """A header as it is read."""

    name: str
    value: str


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A mail to the byte: `raw` is what is handed to the server, apart from `Date` and what of the signature depends on it; the parts are read out of it.

    `hash` leaves those two out, and is what the ledger keeps of a mail: `ledger_hash`, once it was made. `state` is where its delivery stands.
    """

    sender_id: int
    sender: str
    subject: str
    html: str
    text: str
    headers: list[HeaderField]
    raw: str
    size: int
    hash: str
    ledger_hash: str | None
    state: DeliveryState | None
    signed: bool
    findings: list[content.Finding]


class TestSent(msgspec.Struct, frozen=True, kw_only=True):
    """How a test went: accepted or not, how far it came, and the server's words."""

    accepted: bool
    stage: Stage
    reply: str
    to: str
    sender: str
    subject: str


class Previews(Controller):
    """`/v1/outreach/campaigns/{id}/preview` and `/test-send`."""

    path = "/v1/outreach/campaigns"
    tags = ("campaigns",)

    @post(
        "/{campaign_id:int}/preview",
        sync_to_thread=True,
        status_code=200,
        needs=Permission.READ,
        reads=True,
        request_max_body_size=5_000_000,
    )
    def preview(
        self,
        campaign_id: FromPath[int],
        data: JSONBody[PreviewWanted],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> Preview:
        """Show a mail exactly as it is, or will be, sent: any step to any lead of the workspace.

        What was sent is made anew from what stands in the campaign now: after an edit its `hash` differs from the `ledger_hash` of what the lead got.
        """
        kit = Kit(settings=settings, database=database, vault=vault)
        row = _facts(database, principal, campaign_id, data)
        typed = {name: value for name in ("subjects", "body") if (value := getattr(data, name)) is not None}
        answers = _answers(kit, row) if not typed else {}
        row |= typed
        made = _make(kit, row, row["mail_date"] or now, answers=answers)
        parsed = email.message_from_bytes(made.raw, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return Preview(
            sender_id=row["sender_id"],
            sender=row["sender_address"],
            subject=made.subject,
            html=_part(parsed, "html"),
            text=_part(parsed, "plain"),
            headers=[HeaderField(name, str(value)) for name, value in parsed.items()],
            raw=made.raw.decode(errors="replace"),
            size=len(made.raw),
            hash=made.hash.hex(),
            ledger_hash=row["ledger_hash"],
            state=row["state"],
            signed=row["key_id"] is not None,
            findings=content.checks(row["subjects"], row["body"]),
        )

    @post("/{campaign_id:int}/test-send", sync_to_thread=True, status_code=200, responses=also(409))
    def test_send(
        self,
        campaign_id: FromPath[int],
        data: JSONBody[TestWanted],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
    ) -> TestSent:
        """Send a mail to yourself through the lead's sender, marked as a test.

        It counts nowhere: no delivery, no tracking, no limit; its unsubscribe link belongs to nobody.
        """
        kit = Kit(settings=settings, database=database, vault=vault)
        to = address.normal(data.to)
        row = _facts(database, principal, campaign_id, data)
        with database.transaction() as db:
            if not previews.own_address(db, principal.workspace_id, to):
                sentence = "A test goes to a member of the workspace or to one of its senders."
                raise InvalidError([Fault("to", "not_own", sentence)])
            sender = senders.read(db, principal.workspace_id, row["sender_id"], today=now.date())
        token = message.message_id(secrets.token_bytes(20), row["sender_address"].rpartition("@")[2])
        nobodys = {"id": 0, "message_id": token, "track_opens": False, "track_clicks": False}
        made = _make(kit, row | nobodys, now, answers=_answers(kit, row), test_to=to)
        endpoint = trial.endpoint(
            as_mailbox(sender), row["sender_address"], row["sender_id"], vault, settings, trial.access_of(kit, sender)
        )
        answer = trial.hand_in(endpoint, settings, row["sender_address"], to, made.raw)
        _log.info(
            "test.sent", campaign_id=campaign_id, sender_id=row["sender_id"], stage=answer.stage, code=answer.code
        )
        return TestSent(
            accepted=answer.accepted,
            stage=answer.stage,
            reply=trial.said(answer),
            to=to,
            sender=row["sender_address"],
            subject=f"{render.TEST_MARK} {made.subject}",
        )


class StepText(msgspec.Struct, frozen=True, kw_only=True):
    """The words of a step. With `known_fields`, the extra fields that leads have, tags of other names are faults."""

    subjects: Annotated[list[Annotated[str, msgspec.Meta(max_length=1_000)]], msgspec.Meta(max_length=50)] = []
    body: Annotated[str, msgspec.Meta(max_length=500_000)] = ""
    known_fields: Annotated[list[str], msgspec.Meta(max_length=1_000)] | None = None


class StepChecks(msgspec.Struct, frozen=True):
    """What a filter or a reader would mind; `passed`: nothing keeps the step from being sent."""

    passed: bool
    findings: list[content.Finding]


class Checks(Controller):
    """`/v1/outreach/step-checks`."""

    path = "/v1/outreach/step-checks"
    tags = ("campaigns",)

    @post(sync_to_thread=True, status_code=200, needs=Permission.READ, reads=True, request_max_body_size=5_000_000)
    def check(self, data: JSONBody[StepText], principal: Given[Principal]) -> StepChecks:  # noqa: ARG002 - closed to strangers
        """Check the words of a step as they are written: tags, words that filters weigh, links, images, text, HTML, size."""
        found = content.checks(data.subjects, data.body, data.known_fields)
        return StepChecks(all(finding.severity != content.Severity.ERROR for finding in found), found)


def _facts(database: Database, principal: Principal, campaign_id: int, wanted: Wanted) -> Row:
    asked_for = set() if wanted.sender_id is None else {wanted.sender_id}
    with database.transaction() as db:
        if asked_for - campaigns.known_senders(db, principal.workspace_id, asked_for):
            raise InvalidError([Fault("sender_id", "unknown_sender", "There is no sender with this id.")])
        row = previews.facts(
            db, principal.workspace_id, campaign_id, wanted.lead_id, wanted.step, sender_id=wanted.sender_id
        )
    if row["sender_id"] is None:
        raise InvalidError(
            [Fault("sender_id", "no_sender", "The campaign has no sender yet, and there is none of this id.")]
        )
    return row


def _answers(kit: Kit, row: Row) -> dict[str, str]:
    """A model's answers for a mail; what nobody asked yet is asked, and kept for the mail itself."""
    if not render.asks(row):
        return {}
    ask.missing(kit, row, kit.settings.servers().redis_url)
    with kit.database.transaction() as db:
        return ai.known(db, [row])[row["id"]].answers


def _make(kit: Kit, row: Row, now: datetime, *, answers: dict[str, str], test_to: str | None = None) -> Rendered:
    try:
        return render.make(kit, row, now, answers=answers, test_to=test_to)
    except MissingFieldError as error:
        raise InvalidError([Fault("lead_id", "missing_field", error.message)]) from error


def _part(parsed: EmailMessage, kind: str) -> str:
    part = parsed.get_body((kind,))
    return str(part.get_content()).replace("\r\n", "\n") if isinstance(part, EmailMessage) else ""
