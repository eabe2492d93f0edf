"""Months that never were: what the demonstration's workspace has behind it, told day by day from a seed, so that every page can be judged full.

Pure: from dice, a time and ids to rows. What is decided in earnest is decided by the same rules here: answers are judged by `rules.outcome`, hits by
`rules.hits`, waits, triggers and subjects by theirs. So the ledger's invariants hold, and statistics are what the events add up to.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from email.message import EmailMessage
from itertools import islice
from random import Random
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from cleanmails.demo import cast, letters
from cleanmails.ledger.past import Past
from cleanmails.records import Answer, Stage, Trigger
from cleanmails.rules import content, hits, lifecycle, outcome, waits
from cleanmails.rules.content import Seed
from cleanmails.rules.hits import Hit, Verdict
from cleanmails.rules.outcome import Bounced, Failed

_BEFORE_IT_BOUNCES: Final = 60
"""Mails of the campaign that pauses itself, before its list turns out to be old."""

LINK: Final = "https://agency.example/work"

_GMAIL: Final = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
_CHROME: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
_RELAY: Final = "Mozilla/5.0"
_SCANNER: Final = "Mozilla/5.0 (compatible; BarracudaCentral/1.0)"

_ACCEPTED: Final = Answer(stage=Stage.DOT, code=250, enhanced="2.0.0", text="2.0.0 OK: queued")
_GREYLISTED: Final = Answer(
    stage=Stage.RCPT, code=451, enhanced="4.7.1", text="4.7.1 Greylisting in action, please come back later"
)
_NO_SUCH_USER: Final = Answer(
    stage=Stage.RCPT, code=550, enhanced="5.1.1", text="5.1.1 The email account that you tried to reach does not exist."
)
_REFUSED: Final = Answer(
    stage=Stage.DOT, code=554, enhanced="5.7.1", text="5.7.1 Message rejected as spam by content filtering."
)
_SILENCE: Final = Answer(
    stage=Stage.DOT, code=None, enhanced=None, text="The connection was closed before the answer to the final dot."
)

_JSON: Final = msgspec.json.Encoder()


class Mailbox(msgspec.Struct, frozen=True):
    """A sender of the history: `most` mails a day."""

    id: int
    address: str
    most: int = 40


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """One step as it is written."""

    subjects: tuple[str, ...]
    body: str
    wait_days: int = 0
    trigger: Trigger = Trigger.ALWAYS


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """What is to happen in one campaign. Times are days before now; shares are of one.

    `audience` names its list; `after` the campaign whose list it mails once more. `ends` is how it stands now. `rest` are the days of a pause that is over.
    """

    name: str
    audience: str
    leads: int
    began: float
    a_day: int
    steps: tuple[Text, ...]
    ends: str = "running"
    after: str | None = None
    zone: str | None = "Europe/Berlin"
    tracked: bool = True
    bounces: float = 0.012
    opens: float = 0.42
    clicks: float = 0.12
    replies: float = 0.035
    leaves: float = 0.008
    most_new: int | None = None
    rest: tuple[float, float] | None = None
    paused: float | None = None
    launches_in: float | None = None
    unknowns: int = 0
    nameless: int = 0


class Walk(msgspec.Struct, kw_only=True):
    """One lead on its way."""

    lead: "Lead"
    due_at: datetime
    step: int = 0
    state: str = "waiting"
    sender: Mailbox | None = None
    settled_at: datetime | None = None
    last: int | None = None
    hold: str | None = None
    outcome: str | None = None
    ended_at: datetime | None = None
    opened_at: datetime | None = None
    clicked_at: datetime | None = None
    mailed: bool = False


class Lead(msgspec.Struct, kw_only=True):
    """Somebody on a list."""

    id: int
    person: cast.Person
    company: str
    created_at: datetime
    validation: str
    status: str = "active"
    updated_at: datetime | None = None


class Drawn(msgspec.Struct, frozen=True):
    """A hit before it is judged."""

    kind: Literal["open", "click"]
    link: int | None
    at: datetime
    remote: str
    agent: str


def tell(
    plots: Sequence[Plot],
    mailboxes: Sequence[Mailbox],
    *,
    seed: int,
    now: datetime,
    workspace_id: int,
    take: Callable[[str], int],
) -> Past:
    """The whole history up to `now`. `take` draws an id of a table; the same ids and time give the same rows."""
    teller = Teller(mailboxes, Random(seed), now, workspace_id, take)  # noqa: S311 - dice, not secrets
    for plot in plots:
        teller.play(plot)
    return teller.past()


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """A message that came in, about a mail. `label`: what somebody made of it."""

    at: datetime
    campaign: int
    lead: "Lead"
    sender: int
    delivery: int
    subject: str
    kind: str
    text: str
    label: str | None


class Teller:
    """Tells one campaign after the other; days of senders are shared."""

    def __init__(
        self, mailboxes: Sequence[Mailbox], dice: Random, now: datetime, workspace_id: int, take: Callable[[str], int]
    ) -> None:
        self.mailboxes, self.dice, self.now, self.workspace_id, self.take = mailboxes, dice, now, workspace_id, take
        self.crowd = cast.people(dice)
        self.told = Past()
        self.leads: list[Lead] = []
        self.events: list[tuple[Any, ...]] = []
        self.used: Counter[tuple[int, date]] = Counter()
        self.members: dict[str, list[Lead]] = {}
        self.lists: dict[str, int] = {}
        self.came: list[Came] = []
        self.tokens = 0

    def play(self, plot: Plot) -> None:
        """One campaign from its list to where it stands now."""
        Play(self, plot).run()

    def past(self) -> Past:
        """Everything that was told, in order."""
        told, ws = self.told, self.workspace_id
        for lead in self.leads:
            person, reasons = lead.person, '["bounced"]' if lead.status == "bounced" else "[]"
            fields = _text({"job_title": person.job_title, "city": person.city})
            validation = "invalid" if lead.status == "bounced" else lead.validation
            names = (person.email, person.first_name, person.last_name, lead.company)
            told.leads.append(
                (
                    lead.id,
                    ws,
                    *names,
                    fields,
                    lead.status,
                    validation,
                    reasons,
                    lead.created_at,
                    lead.updated_at or lead.created_at,
                )
            )
        told.sender_days = [(sender, day, n) for (sender, day), n in sorted(self.used.items())]
        told.suppressions.sort(key=lambda row: row[6])
        self.write_inbox()
        told.events = sorted(self.events, key=lambda row: row[0])
        return told

    def write_inbox(self) -> None:
        """What came in, in the order in which it came; what is about the same lead and campaign is one conversation, and read unless it is new."""
        threads: dict[tuple[int, int], tuple[Any, ...]] = {}
        for uid, each in enumerate(sorted(self.came, key=lambda came: came.at), 1):
            key = self.take("inbox_messages")
            unsure = each.text == letters.UNSURE
            place = (each.campaign, each.lead.id)
            before = threads.get(place)
            thread = before[0] if before else None if unsure else self.take("threads")
            about = (None, None, None, None) if unsure else (thread, each.campaign, each.lead.id, each.delivery)
            evidence = {"why": "ambiguous", "candidates": [each.delivery]} if unsure else {"tier": "reference"}
            person = each.lead.person
            name, words = f"{person.first_name} {person.last_name}", f"{each.text}\n\nBest,\n{person.first_name}"
            digest = hashlib.sha256(f"{each.delivery}:{each.at}".encode()).digest()
            head = (
                key,
                self.workspace_id,
                each.sender,
                digest,
                "INBOX",
                uid,
                "review" if unsure else "settled",
                each.kind,
                "{}",
            )
            tail = (
                f"<{uid}.{digest[:6].hex()}@{person.company.domain}>",
                person.email,
                name,
                each.subject,
                words,
                words,
                each.at,
                each.at,
            )
            self.told.inbox_messages.append((*head, *about, _text(evidence), *tail))
            if unsure:
                continue
            fresh = each.at > self.now - timedelta(days=2)
            label = None if fresh and each.kind == "reply" else each.label
            parts = (each.subject, each.text[:140].replace("\n", " "), label, fresh, each.kind, each.at, key)
            threads[place] = (thread, self.workspace_id, *place, each.sender, *parts, before[-1] if before else each.at)
            if label and each.kind == "reply":
                self.event(
                    each.at + timedelta(minutes=30),
                    "lead.labelled",
                    data={"email": person.email, "label": label},
                    campaign=each.campaign,
                    lead=each.lead.id,
                )
        self.told.threads = list(threads.values())

    def audience(self, name: str, size: int, at: datetime, nameless: int) -> list[Lead]:
        """The people of a list; they were uploaded just before `at`."""
        self.lists[name] = self.take("lists")
        self.told.lists.append((self.lists[name], self.workspace_id, name, at, at))
        made = self.members[name] = []
        for number, person in enumerate(islice(self.crowd, size)):
            validation = self.dice.choices(("valid", "catchall", "role", "pending"), (88, 6, 2, 4))[0]
            company = "" if number < nameless else person.company.name
            made.append(
                Lead(id=self.take("leads"), person=person, company=company, created_at=at, validation=validation)
            )
            self.told.list_leads.append((self.lists[name], made[-1].id, at))
            self.event(at, "lead.created", lead=made[-1].id, data={"list_id": self.lists[name]})
        self.leads += made
        return made

    def event(
        self,
        at: datetime,
        kind: str,
        *,
        data: dict[str, Any],
        campaign: int | None = None,
        lead: int | None = None,
        delivery: int | None = None,
        sender: int | None = None,
    ) -> None:
        """A fact."""
        self.events.append((at, self.workspace_id, kind, campaign, lead, delivery, sender, _text(data)))


class Play:
    """One campaign."""

    def __init__(self, teller: Teller, plot: Plot) -> None:
        self.teller, self.plot, self.dice, self.now = teller, plot, teller.dice, teller.now
        self.id = teller.take("campaigns")
        self.start = self.back(plot.began)
        self.zone = plot.zone or "UTC"
        self.stop = self.back(plot.paused) if plot.paused is not None else None
        self.launch = self.now + timedelta(days=plot.launches_in) if plot.launches_in is not None else None
        self.templates = [[content.parse(subject, where="subject") for subject in step.subjects] for step in plot.steps]
        self.sent: Counter[int] = Counter()
        self.bounced: Counter[int] = Counter()
        self.begun: Counter[date] = Counter()
        self.paused_by: str | None = None
        self.unknowns = plot.unknowns
        self.walks: list[Walk] = []

    def back(self, days: float) -> datetime:
        """So many days ago, on a round minute."""
        return (self.now - timedelta(days=days)).replace(second=0, microsecond=0)

    def run(self) -> None:
        """Enrol, live through the days, write down."""
        teller, plot = self.teller, self.plot
        created = self.start - timedelta(hours=5)
        people = (
            teller.members[plot.audience]
            if plot.after
            else teller.audience(plot.audience, plot.leads, created, plot.nameless)
        )
        teller.event(created + timedelta(minutes=20), "campaign.created", data={}, campaign=self.id)
        if plot.ends != "draft":
            teller.event(self.start, "campaign.started", data={}, campaign=self.id)
            self.walks = [
                Walk(lead=lead, due_at=self.launch or self.start) for lead in people if lead.status == "active"
            ]
            self.days()
        self.write(created)

    def days(self) -> None:
        """Every day from the start to now: follow-ups first, then so many new leads as the day takes."""
        if self.launch is not None:
            return
        fresh, waiting = iter(self.walks), list[Walk]()
        held_over: list[Walk] = []
        day = self.start.astimezone(ZoneInfo(self.zone)).date()
        while day <= self.now.astimezone(ZoneInfo(self.zone)).date():
            window = self.window(day)
            day += timedelta(days=1)
            if window is None:
                continue
            due = [walk for walk in waiting if walk.due_at < window[1]]
            new = held_over + list(islice(fresh, max(0, self.plot.a_day - len(held_over))))
            timed = sorted(
                ((self.moment(walk, window), walk.lead.id, walk) for walk in (*due, *new)), key=lambda each: each[:2]
            )
            for at, _, walk in timed:
                if at < self.now and not self.resting(at) and (walk.sender or self.room(at)):
                    self.meet(walk, at)
            held_over = [walk for walk in new if walk.sender is None and walk.state == "waiting"]
            waiting = [walk for walk in (*waiting, *new) if walk.sender and walk.state == "waiting"]

    def window(self, day: date) -> tuple[datetime, datetime] | None:
        """When it sends on a day: in office hours from Monday to Friday, or always."""
        if self.plot.zone is None:
            opening = datetime.combine(day, time(), UTC)
            return opening, opening + timedelta(days=1)
        if day.weekday() > 4:
            return None
        opening, closing = (
            datetime.combine(day, time(hour), ZoneInfo(self.plot.zone)).astimezone(UTC) for hour in (9, 17)
        )
        return opening, closing

    def moment(self, walk: Walk, window: tuple[datetime, datetime]) -> datetime:
        """When in the window its mail goes: any time after it is due."""
        opening = max(window[0], walk.due_at, self.start)
        return (
            opening
            + (max(window[1], opening) - opening) * self.dice.random()
            + timedelta(milliseconds=self.dice.randrange(1000))
        )

    def resting(self, at: datetime) -> bool:
        """Whether the campaign was paused then."""
        rest = self.plot.rest
        paused = self.stop is not None and at >= self.stop
        return paused or (rest is not None and self.back(rest[0]) <= at < self.back(rest[1]))

    def run_of(self, at: datetime) -> int:
        """Its runs are counted by its resumes."""
        return 2 if self.plot.rest and at >= self.back(self.plot.rest[1]) else 1

    def room(self, at: datetime) -> list[Mailbox]:
        """Who has something left of that day."""
        return [box for box in self.teller.mailboxes if self.teller.used[box.id, at.date()] < box.most]

    def meet(self, walk: Walk, at: datetime) -> None:
        """The step's turn: skipped by its trigger, held for want of a field, or mailed."""
        step = self.plot.steps[walk.step]
        unmet = _unmet(step.trigger, walk, at)
        if unmet:
            self.row(walk, state="skipped", reason=unmet, settled_at=at)
            self.go_on(walk, at)
            return
        room = self.room(at)
        if walk.sender is not None and walk.sender not in room:
            return
        if walk.sender is None:
            walk.sender = self.dice.choice(room)
            self.begun[at.astimezone(ZoneInfo(self.zone)).date()] += 1
        if "{{COMPANY}}" in "".join(step.subjects) and not walk.lead.company:
            walk.state, walk.hold = "held", "missing_field"
            self.row(
                walk,
                state="held",
                reason="missing_field: COMPANY",
                planned_at=at,
                provider=walk.lead.person.company.provider,
            )
            return
        self.mail(walk, at)

    def go_on(self, walk: Walk, at: datetime) -> None:
        """After a step that settled: to the next one, or to the end."""
        walk.settled_at = at
        if walk.step + 1 == len(self.plot.steps):
            self.end(walk, "finished", at)
            return
        walk.step += 1
        walk.due_at = waits.due_at(at, self.plot.steps[walk.step].wait_days, 0, self.zone)

    def end(self, walk: Walk, how: str, at: datetime) -> None:
        """The walk is over."""
        if walk.state != "ended":
            walk.state, walk.outcome, walk.ended_at, walk.hold = "ended", how, at, None

    def mail(self, walk: Walk, at: datetime) -> None:
        """One mail, and everything that came of it up to now."""
        sender, teller, dice = walk.sender, self.teller, self.dice
        assert sender is not None
        made = self.rendered(walk, at)
        run = self.run_of(at)
        if dice.random() < self.plot.bounces and self.may_bounce(run):
            self.turned_away(walk, made, at, run)
            return
        if self.unknowns and at > self.now - timedelta(days=9) and dice.random() < 0.1:
            self.never_heard(walk, made, at)
            return
        attempts = 1
        if dice.random() < 0.02 and at + timedelta(minutes=6) < self.now:
            self.attempt(made, _GREYLISTED, at)
            at, attempts = at + timedelta(minutes=5, seconds=40), 2
        elif dice.random() < 0.002:
            self.filtered(walk, made, at)
            return
        self.attempt(made, _ACCEPTED, at)
        teller.used[sender.id, at.date()] += 1
        self.sent[self.run_of(at)] += 1
        self.told(walk, made, at, "email.sent")
        walk.mailed, walk.last, walk.opened_at, walk.clicked_at = True, made["id"], None, None
        given = {
            "state": "sent",
            "attempts": attempts,
            "tries": attempts,
            "sending_at": at,
            "settled_at": at + timedelta(milliseconds=380),
        }
        given |= {"reply_code": _ACCEPTED.code, "reply_text": _ACCEPTED.text}
        self.go_on(walk, at)
        met = self.seen(walk, made, at)
        self.row(walk, **made | given | met)

    def rendered(self, walk: Walk, at: datetime) -> dict[str, Any]:
        """What a mail is made of."""
        person, lead, sender = walk.lead.person, walk.lead, walk.sender
        assert sender is not None
        seed = Seed.of(self.id, lead.id, walk.step)
        fields = content.lead_fields(
            email=person.email, first_name=person.first_name, last_name=person.last_name, company=lead.company
        )
        opening = next(place for place in range(walk.step, -1, -1) if self.templates[place])
        index = content.pick_subject(
            seed if opening == walk.step else Seed.of(self.id, lead.id, opening), len(self.templates[opening])
        )
        subject = content.resolve_subject(self.templates[opening][index], fields, seed)
        return {
            "id": self.teller.take("deliveries"),
            "step": walk.step,
            "provider": person.company.provider,
            "planned_at": at - timedelta(seconds=4),
            "rendered_at": at - timedelta(seconds=2),
            "message_id": f"<{self.dice.randbytes(12).hex()}@{sender.address.partition('@')[2]}>",
            "mail_date": at - timedelta(seconds=2),
            "subject": subject if opening == walk.step else f"Re: {subject}",
            "subject_index": index if opening == walk.step else None,
            "starts_thread": opening == walk.step,
            "hash": hashlib.sha256(f"{self.id}:{lead.id}:{walk.step}".encode()).digest(),
            "links": [LINK] if self.plot.tracked else None,
            "sender": sender.id,
        }

    def may_bounce(self, run: int) -> bool:
        """Only the campaign that pauses itself may come near the limit."""
        if self.plot.ends == "protected":
            return self.sent[run] >= _BEFORE_IT_BOUNCES
        return 100 * (self.bounced[run] + 1) <= 3.5 * (self.sent[run] + 1)

    def turned_away(self, walk: Walk, made: dict[str, Any], at: datetime, run: int) -> None:
        """A hard bounce: at the door, or a day later as a message."""
        verdict = outcome.judge(_NO_SUCH_USER, 1, at)
        assert isinstance(verdict, Bounced)
        told = {
            "reason": verdict.reason,
            "failure": verdict.failure,
            "reply_code": _NO_SUCH_USER.code,
            "reply_text": _NO_SUCH_USER.text,
        }
        self.attempt(made, _NO_SUCH_USER, at)
        self.sent[run] += 1
        self.bounced[run] += 1
        answer = {"failure": verdict.failure, "code": _NO_SUCH_USER.code, "text": _NO_SUCH_USER.text}
        self.told(walk, made, at, "email.bounced", answer)
        self.row(walk, **made | told | {"state": "bounced", "attempts": 1, "tries": 1, "settled_at": at})
        self.end(walk, "bounced", at)
        walk.lead.status, walk.lead.updated_at = "bounced", at
        self.suppress(walk, "bounced", f"delivery {made['id']}: {_NO_SUCH_USER.text}", at)
        if self.plot.ends == "protected" and lifecycle.over_bounce_limit(self.sent[run], self.bounced[run]):
            self.stop = at + timedelta(seconds=1)
            self.paused_by = lifecycle.auto_pause(self.sent[run], self.bounced[run])
            figures = {
                "reason": self.paused_by,
                "code": "bounce_protect",
                "sent": self.sent[run],
                "bounced": self.bounced[run],
            }
            self.teller.event(self.stop, "campaign.paused", data=figures, campaign=self.id)

    def never_heard(self, walk: Walk, made: dict[str, Any], at: datetime) -> None:
        """The connection broke between the dot and the answer. Its bytes are kept, as for every mail that is not settled."""
        self.unknowns -= 1
        self.attempt(made, _SILENCE, at)
        self.teller.used[made["sender"], at.date()] += 1
        raw = _letter(walk, made)
        made["hash"] = hashlib.sha256(raw).digest()
        self.row(
            walk,
            **made
            | {
                "state": "unknown",
                "attempts": 1,
                "tries": 1,
                "sending_at": at,
                "reason": outcome.Unknown().reason,
                "reply_text": _SILENCE.text,
            },
        )
        self.teller.told.mails.append((made["id"], raw))
        walk.state, walk.hold = "held", "unknown"

    def filtered(self, walk: Walk, made: dict[str, Any], at: datetime) -> None:
        """Refused for good, and the lead is not to blame."""
        verdict = outcome.judge(_REFUSED, 4, at)
        self.attempt(made, _REFUSED, at)
        assert isinstance(verdict, Failed)
        told = {
            "reason": verdict.reason,
            "failure": verdict.failure,
            "reply_code": _REFUSED.code,
            "reply_text": _REFUSED.text,
        }
        self.row(walk, **made | told | {"state": "failed", "attempts": 1, "tries": 1, "settled_at": at})
        self.end(walk, "failed", at)

    def attempt(self, made: dict[str, Any], answer: Answer, at: datetime) -> None:
        """One try as it is logged. The last one has the delivery's token."""
        verdict = outcome.judge(answer, 4, at)
        refused = None if answer.accepted or answer.unknown else verdict
        self.teller.tokens += 1
        made["token"] = self.teller.tokens
        how = "accepted" if answer.accepted else "unknown" if answer.unknown else "refused"
        marked = at if answer.stage is Stage.DOT else None
        told = (
            how,
            answer.stage.value,
            answer.code,
            answer.enhanced,
            answer.text,
            getattr(refused, "failure", None),
            getattr(refused, "row", None),
        )
        self.teller.told.attempts.append(
            (
                made["id"],
                made["token"],
                self.teller.workspace_id,
                made["sender"],
                *told,
                marked,
                at - timedelta(milliseconds=600),
                at + timedelta(milliseconds=350),
            )
        )

    def seen(self, walk: Walk, made: dict[str, Any], at: datetime) -> dict[str, Any]:
        """What people and machines did with it: opens, clicks, an answer, a farewell. The walk hears of it."""
        plot, dice = self.plot, self.dice
        answered = self.before_next(at) if dice.random() < plot.replies else None
        left = self.before_next(at) if answered is None and dice.random() < plot.leaves else None
        met: dict[str, Any] = {}
        if plot.tracked:
            opened = answered is not None or left is not None or dice.random() < plot.opens
            met |= self.hit(walk, made, at, opened=opened, by=min(filter(None, (answered, left)), default=None))
        if answered is not None:
            met["replied_at"] = answered
            answer = {"subject": f"Re: {made['subject'].removeprefix('Re: ')}", "kind": "reply"}
            self.told(walk, made, answered, "email.replied", answer)
            self.end(walk, "replied", answered)
            label, _, words = dice.choices(letters.REPLIES, [weight for _, weight, _ in letters.REPLIES])[0]
            self.come(walk, made, answered, "reply", words, label)
        elif left is None and dice.random() < 0.012 and at + timedelta(minutes=3) < self.now:
            self.come(walk, made, at + timedelta(minutes=2), "auto_reply", letters.AWAY, "out_of_office")
        if left is not None:
            self.leave(walk, made, left)
        return met

    def come(self, walk: Walk, made: dict[str, Any], at: datetime, kind: str, words: str, label: str | None) -> None:
        """A message about a mail. Now and then it cannot be told which mail is meant."""
        unsure = kind == "reply" and at > self.now - timedelta(days=4) and self.dice.random() < 0.15
        subject = f"Re: {made['subject'].removeprefix('Re: ')}"
        self.teller.came.append(
            Came(at=at, campaign=self.id, lead=walk.lead, sender=made["sender"], delivery=made["id"], subject=subject, kind=kind, text=words, label=label)
        )  # fmt: skip
        if unsure:
            later = min(at + timedelta(hours=3), self.now - timedelta(minutes=1))
            self.teller.came.append(
                Came(at=later, campaign=self.id, lead=walk.lead, sender=made["sender"], delivery=made["id"], subject="Your mail", kind="reply", text=letters.UNSURE, label=None)
            )  # fmt: skip

    def before_next(self, at: datetime) -> datetime | None:
        """Some time before the next step could be due; None if that is still to come."""
        then = at + timedelta(days=min(1.6, self.dice.expovariate(2.2) + 0.01))
        return then if then < self.now - timedelta(minutes=1) else None

    def leave(self, walk: Walk, made: dict[str, Any], at: datetime) -> None:
        """One click, and never again."""
        walk.lead.status, walk.lead.updated_at = "unsubscribed", at
        self.suppress(walk, "unsubscribed", "one-click", at)
        self.end(walk, "unsubscribed", at)
        data = {"reason": "unsubscribed", "source": "one-click"}
        self.teller.event(at, "lead.unsubscribed", data=data, campaign=self.id, lead=walk.lead.id, delivery=made["id"])

    def suppress(self, walk: Walk, reason: str, source: str, at: datetime) -> None:
        """Never to be mailed again."""
        self.teller.told.suppressions.append(
            (self.teller.workspace_id, "address", walk.lead.person.email, reason, source, "", at)
        )

    def hit(
        self, walk: Walk, made: dict[str, Any], at: datetime, *, opened: bool, by: datetime | None
    ) -> dict[str, Any]:
        """Hits as they came, judged by the rules; what follows for the mail."""
        drawn = [each for each in self.drawn(at, opened=opened, by=by) if each.at < self.now - timedelta(seconds=5)]
        if not drawn:
            return {}
        rows = [(self.teller.take("hits"), each) for each in drawn]
        asked = [
            Hit(
                id=key,
                kind=each.kind,
                at=each.at,
                link=each.link,
                method="GET",
                remote=each.remote,
                user_agent=each.agent,
            )
            for key, each in rows
        ]
        judged = hits.judge(asked, sent_at=at, links=1)
        firsts: dict[str, datetime] = {}
        was: dict[str, Verdict | None] = {"open": None, "click": None}
        for key, each in rows:
            said = judged[key]
            row = (
                key,
                self.teller.workspace_id,
                made["id"],
                each.kind,
                each.link,
                each.at,
                "GET",
                each.remote,
                each.agent,
            )
            self.teller.told.hits.append((*row, said.verdict.value, list(said.reasons)))
            if said.verdict is Verdict.HUMAN:
                firsts.setdefault(each.kind, each.at)
            before = was[each.kind]
            best = hits.best([verdict for verdict in (before, said.verdict) if verdict])
            if best is not before and best is not None:
                was[each.kind] = best
                data = {
                    "verdict": best.value,
                    "was": before.value if before else None,
                    "reasons": list(said.reasons),
                    "at": each.at.isoformat(),
                }
                type_ = "email.opened" if each.kind == "open" else "email.clicked"
                data |= {"url": LINK} if each.link else {}
                self.told(walk, made, each.at + timedelta(seconds=2), type_, data)
        walk.opened_at, walk.clicked_at = firsts.get("open"), firsts.get("click")
        return {"opened_at": walk.opened_at, "clicked_at": walk.clicked_at}

    def drawn(self, at: datetime, *, opened: bool, by: datetime | None) -> Iterator[Drawn]:
        """A relay that loads images on arrival, a scanner that follows links, and the reader."""
        dice = self.dice
        remote = f"198.51.100.{dice.randrange(1, 255)}"
        if dice.random() < 0.14:
            yield Drawn("open", None, at + timedelta(seconds=dice.uniform(1, 40)), "203.0.113.7", _RELAY)
        elif dice.random() < 0.05:
            yield Drawn("click", 1, at + timedelta(seconds=dice.uniform(0.3, 1.8)), "203.0.113.90", _SCANNER)
        if not opened:
            return
        seen = min(
            at + timedelta(minutes=3 + dice.expovariate(1 / 190)),
            by - timedelta(minutes=2) if by else datetime.max.replace(tzinfo=UTC),
        )
        seen = max(seen, at + timedelta(seconds=70))
        yield Drawn("open", None, seen, remote, dice.choice((_GMAIL, _CHROME)))
        if dice.random() < self.plot.clicks / self.plot.opens:
            yield Drawn("click", 1, seen + timedelta(seconds=dice.uniform(8, 200)), remote, _CHROME)

    def told(
        self, walk: Walk, made: dict[str, Any], at: datetime, type_: str, data: Mapping[str, Any] | None = None
    ) -> None:
        """A fact about a mail."""
        facts = {"step": made["step"], "email": walk.lead.person.email}
        if type_ in {"email.sent", "email.bounced"}:
            facts |= {"message_id": made["message_id"], "subject": made["subject"]}
        self.teller.event(
            at,
            type_,
            data=facts | dict(data or {}),
            campaign=self.id,
            lead=walk.lead.id,
            delivery=made["id"],
            sender=made["sender"],
        )

    def row(self, walk: Walk, **given: Any) -> None:  # noqa: ANN401 - columns of a delivery
        """A delivery as it stands in the end."""
        key = given.get("id") or self.teller.take("deliveries")
        step = given.get("step", walk.step)
        sender = given.get("sender") or (walk.sender.id if walk.sender and given["state"] == "held" else None)
        names = ("provider", "state", "attempts", "tries", "token", "planned_at", "rendered_at", "sending_at", "settled_at", "message_id", "mail_date", "subject",
                 "subject_index", "starts_thread", "hash", "reason", "evidence", "failure", "reply_code", "reply_text", "opened_at", "clicked_at", "replied_at",
                 "links")  # fmt: skip
        zeros = {"attempts": 0, "tries": 0}
        values = tuple(given.get(name, zeros.get(name)) for name in names)
        self.teller.told.deliveries.append(
            (key, self.teller.workspace_id, self.id, walk.lead.id, step, sender, *values)
        )

    def write(self, created: datetime) -> None:
        """The campaign with its walks, as they stand now."""
        plot, told, ws = self.plot, self.teller.told, self.teller.workspace_id
        ended = [walk.ended_at for walk in self.walks if walk.ended_at]
        done = plot.ends == "completed" and len(ended) == len(self.walks)
        completed = max(ended) + timedelta(seconds=30) if done else None
        status = {
            "draft": "draft",
            "completed": "completed" if done else "running",
            "protected": "paused" if self.stop else "running",
        }.get(plot.ends, plot.ends)
        schedule = (
            _text({"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "17:00", "timezone": plot.zone})
            if plot.zone
            else None
        )
        started, run = (None, 0) if plot.ends == "draft" else (self.start, 2 if plot.rest else 1)
        settings = (plot.tracked, plot.tracked, schedule, self.launch, plot.most_new, self.paused_by)
        told.campaigns.append(
            (
                self.id,
                ws,
                plot.name,
                status,
                *settings,
                run,
                started,
                completed,
                created,
                completed or self.stop or self.start,
            )
        )
        for place, step in enumerate(plot.steps):
            told.steps.append(
                (self.id, place, list(step.subjects), step.body, step.wait_days, step.trigger.value, created)
            )
        told.campaign_lists.append((ws, self.id, self.teller.lists[plot.audience]))
        told.campaign_senders += [(ws, self.id, box.id) for box in self.teller.mailboxes]
        begins = {1: self.start, 2: self.back(plot.rest[1]) if plot.rest else None}
        told.campaign_runs += [(self.id, n, begins[n], self.sent[n], self.bounced[n]) for n in range(1, run + 1)]
        told.campaign_days += [(self.id, day, n) for day, n in sorted(self.begun.items())]
        for walk in sorted(self.walks, key=lambda each: each.lead.id):
            due = walk.due_at if walk.state == "waiting" else None
            bound = walk.sender.id if walk.sender else None
            ways = (walk.state, walk.step, due, bound, walk.settled_at, walk.last, walk.hold, walk.outcome)
            told.campaign_leads.append((self.id, walk.lead.id, ws, *ways, self.start, walk.ended_at))
        self.milestones(completed)

    def milestones(self, completed: datetime | None) -> None:
        """What people and the system did with the campaign."""
        if self.plot.rest:
            self.teller.event(self.back(self.plot.rest[0]), "campaign.paused", data={}, campaign=self.id)
            self.teller.event(self.back(self.plot.rest[1]), "campaign.resumed", data={}, campaign=self.id)
        if self.plot.paused is not None:
            self.teller.event(self.back(self.plot.paused), "campaign.paused", data={}, campaign=self.id)
        if completed:
            self.teller.event(completed, "campaign.completed", data={}, campaign=self.id)


def _unmet(trigger: Trigger, walk: Walk, at: datetime) -> str | None:
    """As `rules.triggers.unmet`, which asks more of a walk than is told here."""
    clicked = walk.clicked_at is not None and walk.clicked_at < at
    opened = clicked or (walk.opened_at is not None and walk.opened_at < at)
    if trigger is Trigger.ALWAYS:
        return None
    if not walk.mailed:
        return "nothing_received"
    if trigger is Trigger.NOT_OPENED:
        return "already_opened" if opened else None
    if trigger is Trigger.ON_OPEN:
        return None if opened else "never_opened"
    return None if clicked else "never_clicked"


def _letter(walk: Walk, made: dict[str, Any]) -> bytes:
    """The bytes of a mail whose fate is unknown."""
    letter = EmailMessage()
    letter["From"], letter["To"] = "agency@north.example", walk.lead.person.email
    letter["Subject"], letter["Message-ID"] = made["subject"], made["message_id"]
    letter.set_content(f"Hi {walk.lead.person.first_name},\n\na short question about {walk.lead.company}.\n")
    return letter.as_bytes()


def _text(data: dict[str, Any]) -> str:
    return _JSON.encode(data).decode()
