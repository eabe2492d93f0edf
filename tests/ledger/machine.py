"""What the ledger's state machine plays with: a small world, two send workers in slow motion, and a mail server that only counts.

A worker here is the send path taken apart: take, mark, dot, note, settle are steps of their own, so that anything can happen between any two of them.
Everything that touches the ledger is the product's own.
"""

import shutil
import threading
from collections import Counter, deque
from datetime import UTC, datetime

import msgspec

from cleanmails.actors import record
from cleanmails.actors.journal import Ended, Journal
from cleanmails.actors.work import Work
from cleanmails.ledger import deliveries, invariants, workers
from cleanmails.ledger.deliveries import Mark
from cleanmails.limits.connect import connect
from cleanmails.limits.daily import Daily
from cleanmails.limits.rate import Rate
from cleanmails.records import Answer, Stage
from cleanmails.vault import Vault
from tests.actors.conftest import Kept
from tests.actors.house import House

LEASE = 8.0
CHUNK = 3


class DiedError(BaseException):
    """The process is gone: nothing of it runs any more, not even what cleans up."""


class Name(msgspec.Struct):
    """A lease that nobody renews: the machine says when a worker gives a sign of life."""

    worker_id: int


class World:
    """A workspace with two campaigns, four leads on both and two senders of a few mails a day; its server, and the time that passes in it."""

    def __init__(self, database, redis_url, configured):
        self.database, self.configured = database, configured
        self.redis = connect(redis_url)
        self.redis.flushdb()
        shutil.rmtree(configured.state_dir, ignore_errors=True)
        house = self.house = House(database.url, vault=None, dkim_pair=("", ""))
        house.run(
            "TRUNCATE workspaces, leads, list_leads, deliveries, mails, attempts, workers, duties, recipient_domains RESTART IDENTITY CASCADE"
        )
        house.workspace = house.one(
            "INSERT INTO workspaces (name, postal_address) VALUES ('Acme', '1 Main Street') RETURNING id"
        )
        house.knows("b.example", "c.example")
        self.leads = house.leads("ada@b.example", "bob@b.example", "cleo@c.example", "dan@c.example")
        house.run("UPDATE leads SET first_name = '' WHERE id = %s", self.leads[3])
        self.senders = [
            house.sender("ann@acme.example", limit=5),
            house.sender("ben@acme.example", limit=6, gap=(5, 8)),
        ]
        self.campaigns = [
            house.campaign(self.leads, self.senders, steps=({}, {"subjects": [], "wait_days": 1})),
            house.campaign(self.leads, self.senders[:1]),
        ]
        self.queues = Kept()
        self.server = Server()

    def work(self, progress=None):
        """The surroundings of one more worker process."""
        with self.database.transaction() as db:
            name = workers.register(db, "machine", "here", 1)
        return Work(
            settings=self.configured,
            database=self.database,
            queues=self.queues,
            daily=Daily(self.redis),
            rate=Rate(self.redis),
            vault=Vault.from_settings(self.configured),
            lease=Name(name),
            stop=threading.Event(),
            progress=progress,
        )

    def broken(self):
        """The invariants that do not hold."""
        with self.database.transaction() as db, db.pipeline():
            found = [(each, db.execute(each.statement, {"limit": 5})) for each in invariants.INVARIANTS]
            return {each.name: rows for each, cursor in found if (rows := cursor.fetchall())}

    def seconds_pass(self, seconds):
        """Whatever is waited for comes closer. What has happened keeps its time: only its order matters."""
        for statement in (
            "UPDATE campaign_leads SET due_at = due_at - %(by)s WHERE due_at IS NOT NULL",
            "UPDATE campaign_leads SET settled_at = settled_at - %(by)s WHERE settled_at IS NOT NULL",
            "UPDATE deliveries SET queued_at = queued_at - %(by)s WHERE queued_at IS NOT NULL",
            "UPDATE senders SET cooldown_until = cooldown_until - %(by)s, free_at = free_at - %(by)s",
            "UPDATE workers SET seen_at = seen_at - %(by)s",
            "UPDATE duties SET done_at = done_at - %(by)s",
        ):
            self.house.db.execute(statement.replace("%(by)s", f"interval '{seconds} seconds'"))

    def day_passes(self):
        """Midnight: the counted days are yesterday's, in Redis too."""
        self.seconds_pass(86_400)
        for statement in (
            "UPDATE sender_days SET day = day + 10000",
            "UPDATE sender_days SET day = day - 10001",
            "UPDATE attempts SET marked_at = marked_at - interval '1 day'",
            "UPDATE deliveries SET sending_at = sending_at - interval '1 day', planned_at = planned_at - interval '1 day'",
            "UPDATE campaign_leads SET ended_at = ended_at - interval '1 day'",
            "UPDATE suppressions SET created_at = created_at - interval '1 day'",
        ):
            self.house.run(statement)
        self.redis.flushdb()
        self.server.today.clear()

    def close(self):
        self.redis.close()
        self.house.db.close()


class Server:
    """Counts what it took, by (campaign, lead, step), and by sender since midnight."""

    def __init__(self):
        self.taken = Counter()
        self.today = Counter()

    def take(self, row):
        self.taken[row["campaign_id"], row["lead_id"], row["step"]] += 1
        self.today[row["sender_id"]] += 1


ANSWERS = {
    "accepted": Answer(stage=Stage.DOT, code=250, enhanced="2.0.0", text="taken"),
    "busy": Answer(stage=Stage.DOT, code=451, enhanced="4.3.0", text="try again later"),
    "nobody": Answer(stage=Stage.DOT, code=550, enhanced="5.1.1", text="no such mailbox"),
    "policy": Answer(stage=Stage.DOT, code=554, enhanced="5.7.1", text="not wanted here"),
    "silence": Answer(stage=Stage.DOT, code=None, enhanced=None, text="the server closed the connection"),
}
EARLY = {
    "busy": Answer(stage=Stage.RCPT, code=451, enhanced="4.3.0", text="try again later"),
    "nobody": Answer(stage=Stage.RCPT, code=550, enhanced="5.1.1", text="no such mailbox"),
    "cut": Answer(stage=Stage.BODY, code=None, enhanced=None, text="the server closed the connection"),
    "down": Answer(stage=Stage.CONNECT, code=None, enhanced=None, text="connection refused"),
}


class Hands:
    """A send worker in slow motion: what it holds between two steps, and the journal that outlives it."""

    def __init__(self, world):
        self.world = world
        self.work = world.work()
        self.journal = Journal(self.work.journals, str(self.work.worker_id))
        self.ledger = world.database.own()
        self.taken, self.marked, self.ended = deque(), deque(), []

    def beat(self):
        """A sign of life; who was buried begins anew under another name, as a process does."""
        with self.world.database.transaction() as db:
            if not workers.beat(db, self.work.worker_id):
                self.work.lease.worker_id = workers.register(db, "machine", "here", 1)

    def take(self, sender_id, *, heard):
        """What it takes; unheard, the answer to the commit was lost, and a worker gives up what it may have taken. One chunk of a sender at a time."""
        if any(row["sender_id"] == sender_id for row in (*self.taken, *self.marked)):
            return
        with self.world.database.transaction() as db:
            rows = deliveries.take_rendered(db, sender_id, self.work.worker_id, CHUNK)
        if heard:
            self.taken += [row | {"sender_id": sender_id} for row in rows]
        else:
            with self.world.database.transaction() as db:
                deliveries.release_sender(db, sender_id, self.work.worker_id)

    def mark(self, *, heard):
        """Asks for the last word on the mail that it took first; whether the dot may be written. Refused or unheard, the mail goes back."""
        row = self.taken.popleft()
        mark = Mark(
            id=row["id"],
            token=row["token"],
            campaign_id=row["campaign_id"],
            lead_id=row["lead_id"],
            sender_id=row["sender_id"],
            worker_id=self.work.worker_id,
            gap=8.0 if row["sender_id"] == self.world.senders[1] else 0.0,
            lease=LEASE,
        )
        granted = bool(deliveries.mark_sending(self.ledger, [mark]))
        with self.world.database.transaction() as db:
            reason = "" if granted else deliveries.why_not(db, mark)
        if granted and heard:
            self.marked.append(row)
        elif reason != "fenced":
            record.put_back(self.work, [(row, reason or "ledger_down")])
        return row if granted else None

    def dot(self, answer, *, stored, noted):
        """The server has the whole mail. `noted`: the worker lives to write the answer down; else it must die now."""
        row = self.marked.popleft()
        if stored:
            self.world.server.take(row)
        if noted:
            ended = _ended(row, answer)
            self.journal.note(ended)
            self.ended.append(ended)

    def refused(self, answer):
        """The mail did not come as far as its dot."""
        self.ended.append(_ended(self.taken.popleft(), answer))

    def settle(self, *, clear=True):
        record.settle(self.work, self.ended)
        self.ended = []
        if clear:
            self.journal.clear()

    def die(self):
        """What it held stays where it was; its journal is an orphan."""
        self.journal.leave()
        self.ledger.close()


def _ended(row, answer):
    now = datetime.now(UTC)
    return Ended(
        id=row["id"],
        token=row["token"],
        campaign_id=row["campaign_id"],
        lead_id=row["lead_id"],
        answer=answer,
        started_at=now,
        finished_at=now,
    )
