"""The webhooks workers: the stream of events is read for each outlet by its own cursor, and what an outlet wants is sent to it, lane by lane.

Nothing here is in the way of mails: no message in Redis, no row written where events are made. At least once: a worker that dies in the middle of a run
leaves a lease that ends, and its run is sent again under the same ids.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import msgspec

from cleanmails import log
from cleanmails.actors.work import Work
from cleanmails.errors import BusyError, CleanmailsError, SealError, UnreachableError
from cleanmails.ledger import events, outlets
from cleanmails.ledger.db import Database, Row
from cleanmails.ledger.events import Event
from cleanmails.ledger.outlets import Result
from cleanmails.mail.connector import Connector
from cleanmails.mail.http import Client, Connect, Response, UrlError, target
from cleanmails.rules import event_types, retries, signing
from cleanmails.rules.retries import Outcome
from cleanmails.settings import Settings
from cleanmails.vault import Vault

THREADS: Final = 64
"""Requests at once of a worker process."""

BATCH: Final = 1_000
ROOM: Final = 5_000
"""Events that wait for one outlet before its cursor stops; the stream keeps the rest."""

RUN: Final = 100
RUN_SECONDS: Final = 20.0
ATTEMPT_SECONDS: Final = 15.0
EXCHANGES: Final = 4
"""Requests that one event takes at most: a CRM is asked before it is told."""

LEASE_SECONDS: Final = RUN_SECONDS + EXCHANGES * ATTEMPT_SECONDS + 10.0
"""A run begins no event after RUN_SECONDS, and each of its requests ends within ATTEMPT_SECONDS: the lease outlasts them all."""

IDLE_SECONDS: Final = 0.2
ANSWER_MOST: Final = 1_024

logger = log.get(__name__)


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """What deliveries are made with. The clock decides what is due; sockets have their own."""

    database: Database
    vault: Vault
    connect: Connect
    clock: Callable[[], datetime]
    dice: random.Random
    ca_file: str | None = None
    patience: float = ATTEMPT_SECONDS
    stop: threading.Event = msgspec.field(default_factory=threading.Event)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt met with: an HTTP status, or None and what broke in `error`."""

    status: int | None
    error: str | None = None
    answer: str = ""
    asked: float | None = None


class Tell(Protocol):
    """Sends one event to an outlet."""

    def __call__(self, client: Client, outlet: Row, secrets: Sequence[str], row: Row, now: datetime) -> Reply:
        """`outlet` and `row` as the ledger has them. UnreachableError when there was no answer."""


def connector(settings: Settings) -> Connector:
    """The connector for outlets: its ports are those that the settings allow."""
    ports = settings.webhook_ports
    return Connector(allow_private=settings.allow_private_hosts, ports=frozenset(ports) if ports else None)


def secret_name(outlet_id: int) -> str:
    """What an outlet's secret is sealed for."""
    return f"outlet:{outlet_id}:secret"


def body_of(row: Mapping[str, Any], workspace_id: int) -> bytes:
    """The JSON of an event as webhooks get it: always the same bytes for the same event."""
    names = ("campaign_id", "lead_id", "delivery_id", "sender_id", "data")
    body = {
        "id": row["id"],
        "type": row["type"],
        "version": event_types.version(row["type"]),
        "timestamp": row["at"],
        "workspace_id": workspace_id,
        **{name: row[name] for name in names},
    }
    return msgspec.json.encode(body, order="deterministic")


def tell_webhook(client: Client, outlet: Row, secrets: Sequence[str], row: Row, now: datetime) -> Reply:
    """One signed POST. The id is that of the outlet and the event, whatever attempt or replay it is."""
    body = body_of(row, outlet["workspace_id"])
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "cleanmails-webhooks",
        **signing.headers(secrets, f"msg_{outlet['id']}_{row['id']}", now, body),
    }
    response = client.request("POST", target(outlet["url"]), headers, body, most=ANSWER_MOST)
    return reply(response)


def reply(response: Response) -> Reply:
    """An HTTP answer as it is logged: its first kilobyte as text, without what Postgres has no text for."""
    answer = response.body[:ANSWER_MOST].decode("utf-8", "replace").replace("\0", "\ufffd")
    asked = retries.retry_after(response.headers.get("retry-after"))
    return Reply(status=response.status, answer=answer, asked=asked)


def tellers() -> Mapping[str, Tell]:
    """How each kind of outlet is told."""
    from cleanmails.actors import crm  # it is made of what stands above

    return {"webhook": tell_webhook, **crm.TELLERS}


def fan_out(post: Post) -> int:
    """Moves the cursors of all outlets that are behind; how many events were passed."""
    with post.database.transaction() as db:
        behind = outlets.behind(db, ROOM)
    passed = 0
    for outlet_id in behind:
        with post.database.transaction() as db:
            passed += outlets.fan_out(db, outlet_id, BATCH)
    return passed


def open_lanes(post: Post) -> list[tuple[int, int]]:
    """Lanes that have something to be sent now."""
    with post.database.transaction() as db:
        return outlets.open_lanes(db, post.clock())


def run_lane(post: Post, outlet_id: int, lane: int) -> int:
    """Sends what is due in a lane, oldest first; how many attempts were made. Nothing, if somebody else has the lane."""
    now = post.clock()
    with post.database.transaction() as db:
        outlet = outlets.take_lane(db, outlet_id, lane, now=now, lease=LEASE_SECONDS)
        rows = outlets.read_lane(db, outlet_id, lane, now=now, limit=RUN) if outlet else []
    if outlet is None:
        return 0
    if outlet["lost"]:
        rows = [row | {"replayed": True} for row in rows]
    results: list[Result] = []
    asked: list[float] = []
    try:
        _run(post, outlet, rows, results, asked)
    finally:
        _settle(post, outlet, lane, results, max(asked, default=None))
    return len(results)


def _run(post: Post, outlet: Row, rows: Sequence[Row], results: list[Result], asked: list[float]) -> None:
    tell = tellers()[outlet["kind"]]
    ends = time.monotonic() + RUN_SECONDS
    with Client(post.connect, ca_file=post.ca_file, patience=post.patience) as client:
        for row in rows:
            if post.stop.is_set() or time.monotonic() > ends:
                return
            result, said = _attempt(post, tell, client, outlet, row)
            results.append(result)
            if result.outcome == Outcome.BUSY:
                asked.append(said.asked or retries.GAPS[0])
            # A failure ends the run: what may go in spite of it is found by the next, if the outlet need not rest.
            if result.outcome in {Outcome.FAILED, Outcome.BUSY, Outcome.GONE}:
                return


def _attempt(post: Post, tell: Tell, client: Client, outlet: Row, row: Row) -> tuple[Result, Reply]:
    if row["id"] is None:
        nothing = Reply(status=None, error="The event was dropped with its month, by the policy on retention.")
        expired = Result(
            message_id=row["message_id"], state="given_up", outcome="expired", at=post.clock(), error=nothing.error
        )
        return expired, nothing
    now, began = post.clock(), time.monotonic()
    try:
        said = tell(client, outlet, _secrets(post, outlet), row, now)
    except (UnreachableError, SealError) as error:
        said = Reply(status=None, error=f"{error.code}: {error.message}")
    except UrlError as error:
        said = Reply(status=None, error=f"url: {error}")
    outcome = retries.outcome(said.status)
    due = None
    if outcome is not Outcome.DELIVERED:
        due = retries.next_attempt(row["attempts"] + 1, row["first_at"] or now, now, post.dice.random(), said.asked)
    state = "delivered" if outcome is Outcome.DELIVERED else "pending" if due or outcome is Outcome.GONE else "given_up"
    result = Result(
        message_id=row["message_id"],
        state=state,  # type: ignore[arg-type] # one of the three
        outcome=outcome,
        at=now,
        due_at=due,
        status=said.status,
        ms=round(1_000 * (time.monotonic() - began)),
        error=said.error,
        answer=said.answer,
    )
    return result, said


def _settle(post: Post, outlet: Row, lane: int, results: Sequence[Result], asked: float | None) -> None:
    """Writes what a run came to, and what follows for the outlet: rest, or the end."""
    now, outlet_id = post.clock(), outlet["id"]
    outcomes = [result.outcome for result in results]
    failed = int(Outcome.FAILED in outcomes)
    with post.database.transaction() as db:
        if not outlets.return_lane(db, outlet_id, lane, outlet["token"]):
            logger.warning("outlet.lane_lost", outlet=outlet_id, lane=lane, results=len(results))
            return
        if not results:
            return
        outlets.write(db, outlet_id, results)
        counted = outlets.count(db, outlet_id, delivered=Outcome.DELIVERED in outcomes, failures=failed, now=now)
        failures = counted["failures_in_row"] if counted else 0
        rest = retries.rest(failures, now, post.dice.random()) if failed else None
        if asked is not None:
            rest = now + timedelta(seconds=min(asked, retries.LONGEST_ASKED))
        if rest is not None:
            outlets.let_rest(db, outlet_id, rest)
        reason = _end(results, failures)
        off = outlets.switch_off(db, outlet_id, reason, now=now) if reason else None
        if off is not None:
            data = {"webhook_id": outlet_id, "kind": off["kind"], "reason": reason, "failures": failures}
            events.append(db, [Event(type="webhook.disabled", workspace_id=off["workspace_id"], data=data)])
    if reason:
        logger.warning("outlet.switched_off", outlet=outlet_id, reason=reason)


def _end(results: Sequence[Result], failures: int) -> str | None:
    """Why an outlet is switched off, if it is."""
    last = results[-1]
    if last.outcome == Outcome.GONE:
        return "The receiver answered 410 (gone): it wants no more events."
    if failures >= retries.OFF_AFTER:
        said = f"status {last.status}" if last.status is not None else last.error or "no answer"
        return f"{failures} attempts failed in a row, the last with {said}."
    return None


def _secrets(post: Post, outlet: Row) -> list[str]:
    """The secrets that sign, or the credential, newest first."""
    sealed = [outlet["sealed"]] if outlet["sealed"] is not None else []
    if outlet["old_sealed"] is not None and outlet["old_until"] > post.clock():
        sealed.append(outlet["old_sealed"])
    return [post.vault.open(bytes(each), secret_name(outlet["id"])).decode() for each in sealed]


def pump(post: Post) -> int:
    """Reads the stream and sends what is due, in the calling thread, until nothing is left to do now; how many attempts were made."""
    made = 0
    while True:
        passed = fan_out(post)
        did = sum(run_lane(post, *lane) for lane in open_lanes(post))
        made += did
        if not passed and not did:
            return made


def start(work: Work) -> list[threading.Thread]:
    """Starts the threads of a webhooks worker; they end when `work.stop` is set."""
    settings = work.settings
    post = Post(
        database=work.database,
        vault=work.vault,
        connect=connector(settings).connect,
        clock=_utc_now,
        dice=random.Random(),  # noqa: S311 - it spreads retries
        ca_file=str(settings.ca_file) if settings.ca_file else None,
        stop=work.stop,
    )
    threads = [threading.Thread(target=body, args=(post,), name=body.__name__) for body in (keep_reading, keep_sending)]
    for thread in threads:
        thread.start()
    return threads


def keep_reading(post: Post) -> None:
    """Moves the cursors until the worker stops."""
    _keep(post, "fan_out", fan_out)


def keep_sending(post: Post) -> None:
    """Starts runs until the worker stops, and waits for those that were started."""
    dispatch = Dispatch()
    _keep(post, "dispatch", dispatch.turn)
    dispatch.close()


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _keep(post: Post, name: str, turn: Callable[[Post], int]) -> None:
    """Takes turns until the worker stops; after a turn with nothing to do it pauses."""
    while not post.stop.is_set():
        try:
            busy = turn(post)
        except BusyError as error:
            logger.warning("outlets.left", turn=name, reason=error.message)
            busy = 0
        except Exception:
            logger.exception("outlets.failed", turn=name)
            busy = 0
        post.stop.wait(0.02 if busy else IDLE_SECONDS)


class Dispatch:
    """Gives open lanes to threads. A lane that had a full run is run again at once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="outlet")
        self._running: set[tuple[int, int]] = set()
        self._lock = threading.Lock()

    def turn(self, post: Post) -> int:
        """Starts what is open and for which there is a thread; how many lanes."""
        started = 0
        for lane in open_lanes(post):
            with self._lock:
                if lane in self._running or len(self._running) >= THREADS:
                    continue
                self._running.add(lane)
            self._pool.submit(self._run, post, lane)
            started += 1
        return started

    def close(self) -> None:
        """Waits for the runs that were started."""
        self._pool.shutdown()

    def _run(self, post: Post, lane: tuple[int, int]) -> None:
        try:
            while run_lane(post, *lane) >= RUN and not post.stop.is_set():
                pass
        except CleanmailsError as error:
            logger.warning("outlet.left", outlet=lane[0], reason=error.message)
        except Exception:
            logger.exception("outlet.failed", outlet=lane[0])
        finally:
            with self._lock:
                self._running.discard(lane)
