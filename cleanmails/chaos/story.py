"""How a run goes: two campaigns whose lists grow while everything breaks, then peace, decisions on what is unknown, and the count.

The first campaign has two steps and senders without limits; the second has one step, half of the same leads, and senders whose days are nearly used up by it.
A quarter of the leads are at one provider, whose rate is low. A lead without a name is held in both campaigns, so that neither is completed before its time.
"""

import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec

from cleanmails.chaos import judge, ledger, plan
from cleanmails.chaos.faults import Breaker
from cleanmails.chaos.judge import Lost, Mail, Unknowns
from cleanmails.chaos.people import People, decide, insist
from cleanmails.chaos.points import Orders, passings
from cleanmails.chaos.watch import Watch
from cleanmails.demo.catcher.store import Met
from cleanmails.demo.stage import Stage
from cleanmails.errors import BusyError, CleanmailsError
from cleanmails.ledger import invariants
from cleanmails.ledger.db import Database

WORKERS: Final = ("plan", "plan", "render", "render", "send", "send", "send", "upkeep", "inbox")
SEND_PROCESSES: Final = WORKERS.count("send")
SEND_THREADS: Final = 8

RATE: Final = 20
LARGE: Final = "mailg.example"
"""A domain that a large provider hosts, by its MX, and that provider's rate."""

BANNED: Final = "rival.example"
"""A domain that somebody suppresses in the middle."""

DOORKEEPER: Final = "door@keeper.example"
"""A lead without a name, held until all is over."""

LEASE: Final = 8.0

ENVIRONMENT: Final = {
    "CLEANMAILS_PROVIDER_RATES": f"google={RATE},other=10000",
    "CLEANMAILS_BOUNCE_LIMIT_PERCENT": "100",
    "CLEANMAILS_SEND_THREADS": str(SEND_THREADS),
    "CLEANMAILS_WORKER_LEASE_SECONDS": str(int(LEASE)),
}

GROW_EVERY: Final = 3
"""Faults from one portion of the leads to the next, so that there is work as long as there are faults."""

BREATH: Final = 0.1
"""Seconds between two faults."""

STANDSTILL: Final = 180.0
"""Seconds without any change, after the faults, until the run is given up. Nothing that is waited for takes a fifth of it."""

OPEN_SENDERS, TIGHT_SENDERS = 16, 4
NO_GAP: Final = {"min_gap_seconds": 0, "max_gap_seconds": 0}


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    kills: int
    messages: int
    seed: int

    @property
    def leads(self) -> int:
        """Two fifths of the messages, as two of three leads' mails come in twos; a twentieth more, for those who are stopped."""
        return math.ceil(0.42 * self.messages)


class Outcome(msgspec.Struct, kw_only=True):
    """What was found. By kind of fault: `times`, `caught` (deliveries), `recoveries` (seconds). `faults` says in words what must not be."""

    seed: int
    kills: int
    seconds: float
    messages: int
    times: Mapping[str, int]
    caught: Mapping[str, set[int]]
    recoveries: Mapping[str, list[float]]
    duplicates: Counter[int | None]
    lost: list[Lost]
    lost_ids: set[int]
    unknowns: Unknowns
    unknown_ids: set[int]
    limit_overruns: int
    sent_after_stop: int
    stops: Counter[str]
    faults: list[str]

    @property
    def good(self) -> bool:
        """Nothing twice, nobody lost, nothing unknown but what was cut, no limit passed, nothing after a stop, and a sound ledger."""
        return not (
            self.duplicates
            or self.lost
            or self.faults
            or self.unknowns.expected != self.unknowns.found
            or self.limit_overruns
            or self.sent_after_stop
        )


class StandstillError(CleanmailsError):
    """The faults are over and nothing moves any more."""

    code = "standstill"


def tell(on: Stage, points: Path, terms: Terms) -> Outcome:
    """The whole story."""
    begun = time.monotonic()
    orders = Orders(points)
    with Database(on.servers.database_url, size=4, name="chaos") as database, Watch(database) as watch:
        world = World(on, terms)
        breaker = Breaker(on, watch, orders, seed=terms.seed, lease=LEASE)
        people = People(on, database, seed=terms.seed)
        _break(on, world, breaker, people, database, terms)
        breaker.relent()
        limit_overruns = world.over_limits(database)
        world.lift_limits()
        _settle(on, database, lambda: watch.unhealed == 0 and people.listen())
        with database.transaction() as db:
            before = ledger.deliveries(db)
        unknowns = judge.unknowns(passings(points), before)
        unknown_ids = {row.id for row in before if row.was_unknown}
        decide(on, {mail.message_id for mail in world.mails()})
        insist(on, lambda: people.suppress_address(DOORKEEPER))
        _settle(on, database, world.completed)
        seconds = time.monotonic() - begun
        return _judge(world, database, people, breaker, watch, unknowns, unknown_ids, limit_overruns, seconds)


class World:
    """The workspace: made over HTTP, as a user would."""

    def __init__(self, on: Stage, terms: Terms) -> None:
        self._on, self.terms = on, terms
        on.sign_in()
        on.user.publish(LARGE, "MX", "10 aspmx.l.google.com.")
        on.user.sending_domain("north.example")
        limit = math.ceil(terms.leads / 2 / TIGHT_SENDERS * 1.1) + 3
        self._wide = [self._sender(f"open{n}", 100_000) for n in range(OPEN_SENDERS)]
        self._tight = [self._sender(f"tight{n}", limit) for n in range(TIGHT_SENDERS)]
        self._lists = [int(on.user.post("/v1/outreach/lists", {"name": name})["id"]) for name in ("All", "Half")]
        self._given = 0
        for list_id in self._lists:
            self._upload(list_id, [f"{DOORKEEPER},,Doors"])
        steps = [
            {"position": 0, "subjects": ["Hello {{FIRST_NAME}}"], "body": "<p>Hi {{FIRST_NAME}} of {{COMPANY}}</p>"},
            {"position": 1, "subjects": [], "body": "<p>{{FIRST_NAME}}, did you {see|read} it?</p>"},
        ]
        self.campaigns = [
            self._campaign("Two steps", self._lists[0], self._wide, steps),
            self._campaign("Near the limit", self._lists[1], self._tight, steps[:1]),
        ]

    def _sender(self, name: str, limit: int) -> int:
        return self._on.user.sender(f"{name}@north.example", name.title(), daily_limit=limit, **NO_GAP)

    def _campaign(self, name: str, list_id: int, senders: list[int], steps: list[dict[str, Any]]) -> int:
        body = {
            "name": name,
            "status": "running",
            "lists": [{"id": list_id}],
            "senders": [{"id": id} for id in senders],
            "steps": steps,
        }
        return int(self._on.user.post("/v1/outreach/campaigns", body)["id"])

    def grow(self, share: float) -> None:
        """The lists hold this share of all leads from here on."""
        upto = round(self.terms.leads * share)
        for place, list_id in enumerate(self._lists):
            rows = [_row(n) for n in range(self._given, upto) if place == 0 or n % 2 == 0]
            if rows:
                insist(self._on, lambda list_id=list_id, rows=rows: self._upload(list_id, rows))  # type: ignore[misc]
        self._given = upto

    def _upload(self, list_id: int, rows: list[str]) -> None:
        content = "\n".join(["email,first_name,company", *rows, ""]).encode()
        path = f"/v1/outreach/lists/{list_id}/upload"
        self._on.user.post(path, content=content, headers={"content-type": "text/csv"})

    def mails(self) -> list[Mail]:
        """Everything that the server kept."""
        return msgspec.convert(self._on.user.catcher.get("/api/mails").raise_for_status().json(), list[Mail])

    def met(self) -> list[Met]:
        """How the mail server was difficult."""
        return msgspec.convert(self._on.user.catcher.get("/api/met").raise_for_status().json(), list[Met])

    def over_limits(self, database: Database) -> int:
        """Mails beyond a sender's day, and beyond the large provider's rate. What was marked a moment ago may come meanwhile; it is counted then too."""
        with database.transaction() as db:
            senders, rows = ledger.senders(db), ledger.deliveries(db)
        mails = self.mails()
        days = judge.over_daily_limit(mails, rows, senders)
        return days + judge.over_rate(mails, LARGE, RATE, SEND_PROCESSES * SEND_THREADS)

    def lift_limits(self) -> None:
        """So that all mails find a sender today, whatever became of those that nobody knows of."""
        for id in self._tight:
            insist(self._on, lambda id=id: self._on.user.patch(f"/v1/outreach/senders/{id}", {"daily_limit": 100_000}))  # type: ignore[misc]

    def completed(self) -> bool:
        """Whether the product says that it has nothing left to do."""
        states = {self._on.user.get(f"/v1/outreach/campaigns/{id}")["status"] for id in self.campaigns}
        return states == {"completed"}


def _row(n: int) -> str:
    domain = LARGE if n % 4 == 0 else BANNED if n % 50 == 49 else f"company{n % 20:02}.example"
    return f"lead{n}@{domain},Lead{n},Company {n}"


def _break(on: Stage, world: World, breaker: Breaker, people: People, database: Database, terms: Terms) -> None:
    """All faults, while the lists grow with them, time is short, and people stop mails."""
    faults = plan.faults(terms.seed, terms.kills)
    over = threading.Event()
    world.grow(0.1)
    breaker.misbehave()
    with ThreadPoolExecutor(2) as pool:
        helpers: list[Future[None]] = [
            pool.submit(_hurry, database, over),
            pool.submit(people.live, world.campaigns, BANNED, max(3, terms.leads // 50), over),
        ]
        try:
            for number, fault in enumerate(faults):
                if number % GROW_EVERY == 0:
                    world.grow(0.1 + 0.9 * number / len(faults))
                _say(f"fault {number + 1} of {len(faults)}: {fault.kind} {fault.point}")
                breaker.inflict(fault, lambda: on.supervisor.wait(0.0))
                if on.supervisor.wait(BREATH):
                    raise StandstillError("It was told to stop.")
            world.grow(1.0)
        finally:
            over.set()
        for helper in helpers:
            helper.result()


def _say(what: str) -> None:
    """Progress, for eyes."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def _hurry(database: Database, over: threading.Event) -> None:
    while not over.wait(1.0):
        _hurry_once(database)


def _hurry_once(database: Database) -> None:
    try:
        with database.transaction() as db:
            ledger.hurry(db)
    except BusyError:
        return


def _settle(on: Stage, database: Database, done: Callable[[], bool]) -> None:
    """Until no walk is open and no mail on its way, and `done`. StandstillError if nothing changes any more."""
    last: object = None
    _say("the faults are over")
    changed = time.monotonic()
    while True:
        _hurry_once(database)
        try:
            with database.transaction() as db:
                now = ledger.open_work(db)
        except BusyError:
            now = (-1, -1)
        if now == (0, 0) and done():
            return
        if now != last:
            last, changed = now, time.monotonic()
        if time.monotonic() - changed > STANDSTILL:
            raise StandstillError(f"{now[0]} walks are open and {now[1]} mails on their way, and nothing moves.")
        if on.supervisor.wait(0.3):
            raise StandstillError("It was told to stop.")


def _judge(
    world: World,
    database: Database,
    people: People,
    breaker: Breaker,
    watch: Watch,
    unknowns: Unknowns,
    unknown_ids: set[int],
    limit_overruns: int,
    seconds: float,
) -> Outcome:
    """Everything held together, after the last mail."""
    mails = world.mails()
    with database.transaction() as db:
        rows, walks, senders = ledger.deliveries(db), ledger.walks(db), ledger.senders(db)
        received = ledger.received(db)
        broken = [each.name for each in invariants.INVARIANTS if invariants.violations(db, each)]
    lost = judge.lost(mails, rows, walks, people.stops)
    wrong = judge.disagreements(mails, rows, people.answers.keys())
    met = world.met()
    losers = {(each.campaign_id, each.email) for each in lost}
    return Outcome(
        seed=world.terms.seed,
        kills=sum(count for kind, count in breaker.done.items() if kind.startswith("kill ")),
        seconds=seconds,
        messages=len(mails),
        times=breaker.done + Counter(f"smtp {each.behaviour}" for each in met),
        caught={**watch.caught, **judge.concerned(met, rows, senders)},
        recoveries=watch.recoveries,
        duplicates=judge.duplicates(mails, rows),
        lost=lost,
        lost_ids={row.id for row in rows if (row.campaign_id, row.email) in losers},
        unknowns=unknowns,
        unknown_ids=unknown_ids,
        limit_overruns=limit_overruns,
        sent_after_stop=judge.sent_after_stop(mails, rows, people.stops),
        stops=Counter(stop.kind for stop in people.stops),
        faults=[
            *(f"the invariant {name} is broken" for name in broken),
            *(each.words for each in lost),
            *wrong,
            *(
                f"what came back about {each.about} was settled twice"
                for each in received
                if each.settled > each.messages
            ),
            *unknowns.faults,
        ],
    )
