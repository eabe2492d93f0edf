"""The nouns, and the values that cross rooms. Frozen, without behaviour beyond what a value says of itself."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum

import msgspec


class CampaignStatus(StrEnum):
    """Where a campaign stands."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"


class Trigger(StrEnum):
    """What the last mail must have met with for a step to be sent."""

    ALWAYS = "always"
    ON_OPEN = "on_open"
    ON_CLICK = "on_click"
    NOT_OPENED = "not_opened"


class OnSenderLoss(StrEnum):
    """What follow-ups do when their sender is gone for good."""

    WAIT = "wait"
    REASSIGN = "reassign"


class MissingField(StrEnum):
    """What a mail does about a field that the lead lacks and that has no fallback."""

    HOLD = "hold"
    BLANK = "blank"


class PromoteWinner(StrEnum):
    """On what the best of a step's subjects is chosen."""

    OPENS = "opens"
    REPLIES = "replies"


class WalkState(StrEnum):
    """Where a campaign lead stands. `waiting`: due at a time; `in_flight`: a delivery of it is on its way."""

    WAITING = "waiting"
    IN_FLIGHT = "in_flight"
    HELD = "held"
    ENDED = "ended"


class WalkOutcome(StrEnum):
    """How a campaign lead's walk ended."""

    FINISHED = "finished"
    REPLIED = "replied"
    COLLEAGUE_REPLIED = "colleague_replied"
    BOUNCED = "bounced"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    INVALID = "invalid"
    FAILED = "failed"
    REMOVED = "removed"


class DeliveryState(StrEnum):
    """Where a delivery (one step to one lead) stands in the ledger. See ARCHITECTURE, "The ledger"."""

    PLANNED = "planned"
    RENDERED = "rendered"
    SENDING = "sending"
    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    BOUNCED = "bounced"
    SKIPPED = "skipped"
    HELD = "held"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class SenderStatus(StrEnum):
    """Whether a mailbox may send. `paused` is a person's word; `restricted` ours, until it is tested again."""

    READY = "ready"
    WARMUP = "warmup"
    PAUSED = "paused"
    RESTRICTED = "restricted"


class DomainStatus(StrEnum):
    """What DNS says of a sending domain."""

    PENDING = "pending"
    VERIFIED = "verified"
    FAULTY = "faulty"


class LeadStatus(StrEnum):
    """Whether a person may be mailed at all."""

    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"


class Validation(StrEnum):
    """What is known of an address."""

    PENDING = "pending"
    VALID = "valid"
    INVALID = "invalid"
    CATCHALL = "catchall"
    DISPOSABLE = "disposable"
    ROLE = "role"


class LawfulBasis(StrEnum):
    """By what right a person's data are kept (GDPR, article 6, paragraph 1)."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class FailureClass(StrEnum):
    """Whose fault a refused mail is (RFC 3463 and reply text, `rules/outcome.py`)."""

    RECIPIENT_BAD = "recipient_bad"
    SOFT = "soft"
    GREYLISTED = "greylisted"
    POLICY = "policy"
    AUTHENTICATION = "authentication"
    CONNECTION = "connection"


class Security(StrEnum):
    """How a connection to a mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    PLAIN = "plain"


class Schedule(msgspec.Struct, frozen=True):
    """A sending window. `days` with Sunday = 0; `start` and `end` are minutes since midnight of the wall clock, `end` exclusive, up to 1440.

    `start` after `end` is an overnight window that belongs to the day on which it starts.
    """

    days: frozenset[int]
    start: int
    end: int
    timezone: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One mail of a sequence. No subject: the mail continues the thread."""

    position: int
    subjects: tuple[str, ...]
    body: str
    wait_days: int = 0
    wait_hours: int = 0
    trigger: Trigger = Trigger.ALWAYS


class Stage(StrEnum):
    """How far an SMTP attempt came. Up to `body` nothing can have been accepted; from `dot` on only the answer tells."""

    CONNECT = "connect"
    GREETING = "greeting"
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an SMTP attempt met with: a reply of the server (`code`, `enhanced`, `text`), or `code` None and what broke in `text`.

    `stage` is the last stage entered. Accepted means stage `dot` and a 2xx code; `unknown` means stage `dot` and no code.
    """

    stage: Stage
    code: int | None
    enhanced: str | None
    text: str

    @property
    def accepted(self) -> bool:
        """Whether the server took the responsibility for the mail (RFC 5321, 4.2.5)."""
        return self.stage is Stage.DOT and self.code is not None and 200 <= self.code < 300

    @property
    def unknown(self) -> bool:
        """Whether the mail may or may not have been accepted (RFC 1047): never to be sent again by itself."""
        return self.stage is Stage.DOT and self.code is None


# The planner makes many of the values below. `gc=False`: they hold nothing that could refer back to them, so the collector need not look at them.


class CampaignView(msgspec.Struct, frozen=True, kw_only=True):
    """What the planner knows of a campaign.

    `sent` and `bounced` (hard) count since launch or the last resume; `new_today` leads planned for the first time since the zone's midnight.
    `last_planned_at` is when a mail of it was last planned: who was served longest ago has the first turn.
    """

    id: int
    workspace_id: int
    name: str
    status: CampaignStatus
    launch_at: datetime | None
    schedule: Schedule | None
    steps: tuple[Step, ...]
    sender_ids: frozenset[int]
    track_opens: bool = False
    track_clicks: bool = False
    check_reply: bool = True
    on_sender_loss: OnSenderLoss = OnSenderLoss.WAIT
    max_new_leads_per_day: int | None = None
    new_today: int = 0
    last_planned_at: datetime | None = None
    sent: int = 0
    bounced: int = 0
    bounce_limit_percent: float = 5.0
    bounce_min_sent: int = 20
    pause_reason: str | None = None

    @property
    def timezone(self) -> str:
        """The zone in which its days are counted: the schedule's, or UTC."""
        return self.schedule.timezone if self.schedule else "UTC"


class Ramp(msgspec.Struct, frozen=True, gc=False):
    """A ramp-up: how many mails more a sender may send for each day on which it has sent, and the most that it comes to."""

    step: int
    most: int


class SenderView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the planner knows of a sender. `used_today` counts the UTC day, whatever is on its way included; gaps in seconds.

    `daily_limit` is that of today: with a `ramp` it grows.

    `free_at` is when its gap is over, `in_pipe` how many of its mails are planned and not settled. `gone` means deleted, or taken from the campaign for good.
    From `last_error_at` on a sender of bad health rests (`rules/health.py`).
    """

    id: int
    workspace_id: int
    address: str
    status: SenderStatus
    health: int
    daily_limit: int
    used_today: int
    in_pipe: int
    min_gap: int
    max_gap: int
    free_at: datetime | None
    cooldown_until: datetime | None
    domain_status: DomainStatus | None
    last_error_at: datetime | None = None
    gone: bool = False
    ramp: Ramp | None = None

    @property
    def domain(self) -> str:
        """The part after the @, lower case."""
        return self.address.rpartition("@")[2].lower()


class WalkView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the planner knows of a campaign lead.

    `step` is the position of the next step, `settled_at` when the step before it settled (None before the first). `attempt` counts what was
    tried of this step, and `judged` says that the step has its delivery already: its trigger was met then and is not asked again. `mailed` says
    whether any mail of this campaign was really sent to the lead; `opened_at` and `clicked_at` are the first human open and click of the last one
    that was. `stopped` is how the walk must end because the lead may not be mailed (unsubscribed, suppressed, invalid, bounced), if so.
    """

    campaign_id: int
    lead_id: int
    email: str
    provider: str
    state: WalkState
    step: int
    due_at: datetime | None
    settled_at: datetime | None
    sender_id: int | None
    attempt: int = 0
    judged: bool = False
    mailed: bool = False
    opened_at: datetime | None = None
    clicked_at: datetime | None = None
    stopped: WalkOutcome | None = None
    outcome: WalkOutcome | None = None
    hold_reason: str | None = None

    @property
    def domain(self) -> str:
        """The recipient's domain, lower case."""
        return self.email.rpartition("@")[2].lower()

    @property
    def is_new(self) -> bool:
        """Whether no mail of this campaign was ever planned for the lead: no sender is bound yet, and the daily limit on new leads applies."""
        return self.sender_id is None and not self.mailed


class ProviderView(msgspec.Struct, frozen=True, gc=False):
    """A recipient provider: how many mails a second it is given, and how many are on their way."""

    name: str
    rate: float
    in_pipe: int


class WalkCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many leads of a campaign stand where. `due` of the waiting are due now; `next_due_at` is when the first of the others will be."""

    campaign_id: int
    waiting: int
    due: int
    in_flight: int
    held: int
    ended: int
    next_due_at: datetime | None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that one round of planning decides on. `walks` come oldest first within follow-ups and first mails of each campaign.

    For planning `senders` may leave out those without room; a provider that is not listed is left to the limiter at the wire.
    """

    now: datetime
    campaigns: dict[int, CampaignView]
    senders: dict[int, SenderView]
    providers: dict[str, ProviderView]
    walks: tuple[WalkView, ...]


class Planned(msgspec.Struct, frozen=True, tag=True, kw_only=True, gc=False):
    """The step goes out now, by this sender, and not after `not_after` (the window's end, or None)."""

    campaign_id: int
    lead_id: int
    step: int
    sender_id: int
    provider: str
    not_after: datetime | None


class Skipped(msgspec.Struct, frozen=True, tag=True, kw_only=True, gc=False):
    """The step is not sent, for good, and the walk moves on: to `next_step` due at `due_at`, or to its end."""

    campaign_id: int
    lead_id: int
    step: int
    reason: str
    next_step: int | None
    due_at: datetime | None


class Waits(msgspec.Struct, frozen=True, tag=True, kw_only=True, gc=False):
    """The step cannot go now: which gate is shut (its code), and when it opens, if that is known. The walk stays as it is."""

    campaign_id: int
    lead_id: int
    step: int
    reason: str
    until: datetime | None


class Ends(msgspec.Struct, frozen=True, tag=True, kw_only=True, gc=False):
    """The walk is over without a mail."""

    campaign_id: int
    lead_id: int
    outcome: WalkOutcome


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Where a walk goes after its delivery settled. `settled_at` and `last_delivery_id` are set when a mail was really sent."""

    campaign_id: int
    lead_id: int
    state: WalkState
    step: int
    due_at: datetime | None = None
    outcome: WalkOutcome | None = None
    hold_reason: str | None = None
    settled_at: datetime | None = None
    last_delivery_id: int | None = None


Decision = Planned | Skipped | Waits | Ends


class LinkSlot(msgspec.Struct, frozen=True):
    """A web link of a resolved body that tracking may wrap: `number` is its place in the template (from 1), `piece` the index of its escaped address in the pieces."""

    number: int
    url: str
    piece: int


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """A body with every word chosen: its HTML in pieces that join to the whole, the same as plain text, and its links in order.

    `unsubscribe` says that the author placed the unsubscribe link himself, so that the footer need not.
    """

    pieces: tuple[str, ...]
    text: str
    links: tuple[LinkSlot, ...] = ()
    unsubscribe: bool = False


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A row on its way to a list: its line, and the lead it names, or in `fault` why it names none. `raw` is the row as it stood.

    `email` is normalised (`rules/address.py`); what is empty says nothing of the lead. Keys of `fields` are `content.field_name` in lower case.
    """

    line: int
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    fields: dict[str, str] = {}
    raw: str = ""
    fault: str | None = None


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """Many arrivals: leads column by column, with `fields` as JSON text, and one by one the `others`: rows that name none, or stand out among the rest."""

    line: Sequence[int]
    email: Sequence[str]
    first_name: Sequence[str]
    last_name: Sequence[str]
    company: Sequence[str]
    fields: Sequence[str]
    raw: Sequence[str]
    others: Sequence[Arrival]


class Attachment(msgspec.Struct, frozen=True):
    """A part of a received mail that is listed and never opened: its name as given, its type, its size in bytes as it was sent (encoded)."""

    name: str
    type: str
    size: int


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery report says of one recipient (RFC 3464, 2.3): `action` in lower case, `status` "5.1.1", `diagnostic` the server's words."""

    recipient: str
    action: str
    status: str | None
    diagnostic: str


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A received mail, read out of its bytes (`mail/inbound.py`); every text is plain Unicode without NUL, every size is bounded.

    `headers` are those of the mail itself by lower-case name, decoded. Message-IDs have their angle brackets. `text` is all that the mail says, `reply` what of
    it is new: without quotes. `report` names the kind of a multipart/report (RFC 6522), `returned` its recipients (RFC 3464), `feedback` its fields (RFC 5965),
    `original` the headers of the mail that comes back with it. `digest` is the same for copies of one mail in several folders. `cut`: more came than was read.
    """

    digest: bytes
    headers: dict[str, tuple[str, ...]] = {}
    message_id: str | None = None
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    from_address: str = ""
    from_name: str = ""
    reply_to: str = ""
    to: tuple[str, ...] = ()
    subject: str = ""
    date: datetime | None = None
    text: str = ""
    reply: str = ""
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    report: str | None = None
    returned: tuple[Returned, ...] = ()
    feedback: dict[str, str] = {}
    original: dict[str, str] = {}
    cut: bool = False

    def header(self, name: str) -> str:
        """The first value of a header, by its lower-case name; empty if there is none."""
        return next(iter(self.headers.get(name, ())), "")


class InboundKind(StrEnum):
    """What a received mail is (`rules/inbox`)."""

    BOUNCE = "bounce"
    AUTO_REPLY = "auto_reply"
    FEEDBACK = "feedback"
    OPT_OUT = "opt_out"
    REPLY = "reply"
    UNRELATED = "unrelated"


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """What a received mail means, as far as it says so itself.

    `message_ids` are those it speaks of: of the mail that it answers, or that came back. Of a bounce: `failure`, `row` and `remedy` of the failure table, `code`,
    `status` and `said` as the report has them, and `final` unless the other side still tries. Of an absence: `resumes_on`, if it says when. `complaint`: a report says
    that the recipient calls the mail unwanted. `personal`: nothing says that a program wrote it. `reasons` say what it was recognised by.
    """

    kind: InboundKind
    failure: FailureClass | None = None
    row: str | None = None
    remedy: str | None = None
    code: int | None = None
    status: str | None = None
    said: str = ""
    final: bool = True
    absent: bool = False
    resumes_on: date | None = None
    complaint: bool = False
    personal: bool = False
    recipients: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
