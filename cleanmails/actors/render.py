"""render: planned deliveries become bytes. One read, no I/O while the mails are made, one write."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from cleanmails import log
from cleanmails.actors import record
from cleanmails.actors.work import Kit, Work, stopwatch
from cleanmails.errors import CleanmailsError, InvalidError, MissingFieldError, SealError, TemplateError
from cleanmails.ledger import ai, deliveries
from cleanmails.ledger.db import Row
from cleanmails.ledger.deliveries import Rendered
from cleanmails.mail import dkim, html, message, tokens
from cleanmails.mail.tokens import Purpose
from cleanmails.records import MissingField, Resolved
from cleanmails.rules import content

logger = log.get(__name__)

_keyring = dkim.Keyring()
_parse = lru_cache(maxsize=4096)(content.parse)
_ASKS = re.compile(r"\{\{\s*AI\s*:", re.IGNORECASE)
_NO_ANSWERS: Mapping[str, str] = MappingProxyType({})

TEST_MARK = "[Test]"
"""What a test's subject begins with."""


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """A mail's subject and where it stands in its conversation. `index` is the A/B choice, None when the thread goes on."""

    subject: str
    index: int | None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()


def render(work: Work, ids: Sequence[int]) -> None:
    """Makes the mails of a chunk and hands them to the senders' queues. What cannot be made is held, with the reason, and its walk waits for a person."""
    with work.finishing(lambda db: deliveries.release(db, ids, work.worker_id)):
        _render(work, ids)


def _render(work: Work, ids: Sequence[int]) -> None:
    begun = stopwatch()
    with work.database.transaction() as db:
        held = deliveries.take_planned(db, ids, work.worker_id)
    work.told("after_claim", [id for id, _ in held])
    with work.database.transaction() as db:
        facts = deliveries.render_facts(db, held)
        now: datetime = work.clock(db)
    composed: list[tuple[Row, Rendered]] = []
    against: list[tuple[Row, str]] = []
    gone: list[Row] = []
    facts, known, unasked = _answered(work, facts)
    for row in facts:
        if row["body"] is None:
            gone.append(row)
            continue
        try:
            composed.append((row, compose(work, row, now, answers=known.get(row["id"], _NO_ANSWERS))))
        except (MissingFieldError, TemplateError, InvalidError) as error:
            against.append((row, why(error)))
    # One signature after the other takes a fifth less than one after each mail: OpenSSL's tables stay in the processor's cache.
    made, unsigned = _signed(work, composed)
    with work.database.transaction() as db:
        if against or gone:
            deliveries.lock_walks(
                db, ((row["campaign_id"], row["lead_id"]) for row, _ in [*against, *((row, "") for row in gone)])
            )
            deliveries.write_held(db, ((row["id"], row["token"], reason) for row, reason in against))
            deliveries.put_back(db, now, ((row["id"], row["token"], "the step was removed") for row in gone))
        ready = deliveries.write_rendered(db, now, made)
        if unasked:
            deliveries.set_aside(db, ((row["id"], row["token"]) for row in unasked))
    if unsigned:
        for sender_id, reason in {row["sender_id"]: reason for row, reason in unsigned}.items():
            record.hold_sender(work, sender_id, reason)
        record.put_back(work, [(row, record.SEALED) for row, _ in unsigned])
    work.told("after_render", [mail.id for mail in made])
    work.queues.send(ready)
    work.queues.ask([row["id"] for row in unasked])
    logger.info(
        "mails.rendered", asked=len(ids), made=len(made), held=len(against), ms=round(1000 * (stopwatch() - begun), 1)
    )


def _signed(work: Work, composed: Sequence[tuple[Row, Rendered]]) -> tuple[list[Rendered], list[tuple[Row, str]]]:
    """The mails under their signatures, and the rows of those whose domain's key does not open, with what there is to do."""
    made, unsigned = list[Rendered](), list[tuple[Row, str]]()
    for row, mail in composed:
        try:
            made.append(signed(work, row, mail))
        except SealError as error:
            unsigned.append((row, f"The DKIM key of {row['domain_name']}: {error.message}"))
    return made, unsigned


def _answered(work: Work, facts: list[Row]) -> tuple[list[Row], dict[int, dict[str, str]], list[Row]]:
    """Mails that can be made now, the answers of models by mail, and mails that must be asked for first. Mails without AI tags cost one search."""
    asking = [row for row in facts if asks(row)]
    if not asking:
        return facts, {}, []
    with work.database.transaction() as db:
        known = ai.known(db, asking)
    unasked = [
        row
        for row in asking
        if known[row["id"]].has_model
        and any(question.key not in known[row["id"]].answers for question in questions(row))
    ]
    waiting = {row["id"] for row in unasked}
    return [row for row in facts if row["id"] not in waiting], {id: each.answers for id, each in known.items()}, unasked


def asks(row: Row) -> bool:
    """Whether a mail may have something to ask of a model."""
    texts = (row["body"] or "", *(row["subjects"] or ()), *(row["earlier_subjects"] or ()))
    return any(_ASKS.search(text) for text in texts)


def questions(row: Row) -> list[content.Prompt]:
    """What a mail asks of a model; nothing if its words cannot be read, which `make` will say."""
    if not asks(row):
        return []
    seed, lead, found = _seed(row), _lead(row), list[content.Prompt]()
    subject = _subject(row, seed)
    for text, where in ((_body(row), "body"), (subject and subject[1], "subject")):
        if text:
            try:
                found += content.ai_prompts(_parse(text, where=where), lead, seed)
            except TemplateError:
                return []
    return found


def why(error: CleanmailsError) -> str:
    """The reason of a held mail, for people: which field, or which fault and where."""
    if isinstance(error, MissingFieldError):
        return f"missing_field: {error.field}"
    if isinstance(error, InvalidError):
        return "; ".join(fault.message for fault in error.faults)
    return error.message


def make(
    work: Kit, row: Row, now: datetime, *, answers: Mapping[str, str] = _NO_ANSWERS, test_to: str | None = None
) -> Rendered:
    """One mail from its facts, signed, for a worker and for a preview alike: the same facts and time give the same bytes.

    Arguments and errors are those of `compose`.
    """
    return signed(work, row, compose(work, row, now, answers=answers, test_to=test_to))


def signed(work: Kit, row: Row, mail: Rendered) -> Rendered:
    """The mail under its domain's signature; as it is, if the domain has no key."""
    if row["key_id"] is None:
        return mail
    return replace(mail, raw=dkim.sign(mail.raw, key(work, row), signed_at=int(mail.mail_date.timestamp())))


def compose(
    work: Kit, row: Row, now: datetime, *, answers: Mapping[str, str] = _NO_ANSWERS, test_to: str | None = None
) -> Rendered:
    """One mail from its facts, not signed yet.

    `answers` are a model's, by the question's key. `test_to` is who gets it in the lead's place, marked as a test. MissingFieldError,
    TemplateError, InvalidError: it cannot be made.
    """
    seed, lead = _seed(row), _lead(row)
    blank = row["missing_field"] == MissingField.BLANK
    leave = f"{base_url(work, row)}/unsubscribe/{work.tokens.sign(Purpose.UNSUBSCRIBE, row['id'])}"
    words = _words(row, seed, lead, answers, blank=blank)
    template = _parse(_body(row), where="body")
    body = content.resolve_body(template, lead, seed, answers=answers, blank=blank, unsubscribe_url=leave)
    tracked = Tracked() if test_to else _tracked(work, row, body)  # a test is outside all statistics
    dressed = html.dress(
        body,
        unsubscribe_url=leave,
        postal_address=row["postal_address"],
        wrap=tracked.wrap,
        pixel_url=tracked.pixel_url,
        decoy_url=tracked.decoy_url,
    )
    message_id = row["message_id"] or _message_id(work, row)
    letter = message.Letter(
        message_id=message_id,
        date=now,
        sender_address=row["sender_address"],
        sender_name=row["sender_name"],
        recipient_address=test_to or row["email"],
        recipient_name="" if test_to else f"{row['first_name']} {row['last_name']}".strip(),
        subject=f"{TEST_MARK} {words.subject}" if test_to else words.subject,
        html=dressed.html,
        text=dressed.text,
        in_reply_to=words.in_reply_to,
        references=words.references,
        reply_to=row["reply_to"],
        unsubscribe_url=leave,
        unsubscribe_mailto=row["sender_address"] if row["has_imap"] else None,
        feedback_id=_feedback_id(work, row),
    )
    raw = message.compose(letter).raw
    return Rendered(
        id=row["id"],
        token=row["token"],
        raw=raw,
        hash=bytes.fromhex(message.fingerprint(raw)),
        message_id=message_id,
        mail_date=now,
        subject=words.subject,
        subject_index=words.index,
        starts_thread=words.in_reply_to is None,
        links=tracked.links,
    )


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """What tracking puts into a mail, all of it made of the delivery's id: the preview and every rendering say the same."""

    pixel_url: str | None = None
    decoy_url: str | None = None
    wrap: Callable[[int, str], str] | None = None
    links: tuple[str | None, ...] | None = None


def _tracked(work: Kit, row: Row, body: Resolved) -> Tracked:
    """As the campaign's switches say. A mail without links that could be wrapped keeps none, and gets no link that nobody sees."""
    base, pixel = base_url(work, row), None
    if row["track_opens"]:
        pixel = tokens.pixel_url(base, work.tokens, row["id"])
    if not (row["track_clicks"] and body.links):
        return Tracked(pixel_url=pixel)
    found = {link.number: link.url for link in body.links}
    stem = tokens.link_url(base, work.tokens, row["id"], tokens.DECOY)
    return Tracked(
        pixel_url=pixel,
        decoy_url=stem,
        wrap=lambda number, _: f"{stem[:-1]}{number}",
        links=tuple(found.get(number) for number in range(1, max(found) + 1)),
    )


def base_url(work: Kit, row: Row) -> str:
    """Where a mail's links lead: the workspace's own tracking domain once it is verified, else this installation."""
    return f"https://{row['tracking_domain']}" if row["tracking_domain"] else work.settings.public_url.rstrip("/")


def _words(row: Row, seed: content.Seed, lead: dict[str, str], answers: Mapping[str, str], *, blank: bool) -> Words:
    """A step with subjects starts a conversation; one without goes on with the last one, or starts it if no mail of it was ever sent."""
    if chosen := _subject(row, seed):
        index, text = chosen
        template = _parse(text, where="subject")
        subject = content.resolve_subject(template, lead, seed, answers=answers, blank=blank)
        return Words(subject=subject, index=index)
    thread = row["thread"]
    conversation = thread[_starts(row)[-1] :]
    ids = tuple(mail["message_id"] for mail in conversation)
    return Words(subject=f"Re: {conversation[0]['subject']}", index=None, in_reply_to=ids[-1], references=ids)


def _subject(row: Row, seed: content.Seed) -> tuple[int, str] | None:
    """The subject that starts a conversation, with its number; None if the mail goes on with one."""
    if not row["subjects"] and _starts(row):
        return None
    subjects = row["subjects"] or row["earlier_subjects"] or [""]
    index = _choice(row, seed, len(subjects))
    return index, subjects[index]


def _starts(row: Row) -> list[int]:
    return [index for index, mail in enumerate(row["thread"]) if mail["starts_thread"]]


def _body(row: Row) -> str:
    """The step's body above its sender's signature. Plain text is made HTML first, because the signature is markup, and its lines would run together."""
    signature: str = row["signature"]
    return html.signed(content.as_html(row["body"]), signature) if signature.strip() else str(row["body"])


def _seed(row: Row) -> content.Seed:
    return content.Seed.of(row["campaign_id"], row["lead_id"], row["step"])


def _lead(row: Row) -> dict[str, str]:
    return content.lead_fields(
        email=row["email"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        company=row["company"],
        extra=row["fields"],
    )


def _choice(row: Row, seed: content.Seed, n: int) -> int:
    """Which of `n` subjects: the one that this delivery was rendered with before, the one that won, or as the seed falls."""
    for chosen in (row["subject_index"], row["winner"] if row["subjects"] else None):
        if chosen is not None and chosen < n:
            return int(chosen)
    return content.pick_subject(seed, n)


def _feedback_id(work: Kit, row: Row) -> str | None:
    """Google's Feedback-ID: campaign, workspace, step, and who we are; complaints are then counted by each."""
    ours = work.settings.feedback_id
    return f"{row['campaign_id']}:{row['workspace_id']}:{row['step']}:{ours}" if ours else None


def _message_id(work: Kit, row: Row) -> str:
    """Unguessable, and the same however often the delivery is rendered."""
    token = hmac.new(work.message_key, row["id"].to_bytes(8), hashlib.sha256).digest()[:20]
    return message.message_id(token, row["sender_address"].rpartition("@")[2])


def key(work: Kit, row: Row) -> dkim.Key:
    """The key that a domain signs with, of a row with `key_id`, `key_made_at`, `domain_name` and `selector`."""

    def load() -> dkim.Key:
        with work.database.transaction() as db:
            sealed = deliveries.dkim_key(db, row["key_id"])
        pem = work.vault.open(sealed, f"dkim_key:{row['key_id']}:private")
        return dkim.load_key(pem, domain=row["domain_name"], selector=row["selector"])

    return _keyring.get((row["key_id"], row["key_made_at"]), load)
