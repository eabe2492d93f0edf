# ruff: noqa: ARG002 - every event is called alike
"""The ledger as a state machine: two workers, a sweep, a planner, people and a mail server act in any order, and any of them may stop in the middle.

After every step all invariants of the ledger hold, and the server has taken each step to each lead once at most, unless a person asked for it again.
At the end of every run the faults end too, and nobody may be left behind. The ledger is real, its time is virtual.

The suite plays a short form. The long form, at least 100,000 steps, is `make machine`.
"""

import math
import os
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from cleanmails import settings as product
from cleanmails.actors import evidence, plan, render, sweep
from cleanmails.ledger import campaigns, senders, suppressions
from tests.ledger.machine import ANSWERS, EARLY, DiedError, Hands, World

STEPS = 50
LONG = os.environ.get("LEDGER_MACHINE_STEPS")
RUNS = math.ceil(int(LONG or 600) / STEPS)

EVENTS = {
    "carry_on": 20,
    "message_comes_again": 4,
    "renderer_dies": 1,
    "taking_is_unheard": 1,
    "mark": 2,
    "mark_is_unheard": 1,
    "dot_is_answered": 4,
    "dot_is_followed_by_silence": 2,
    "worker_dies_after_the_dot": 3,
    "mail_is_refused_early": 2,
    "answers_are_settled": 3,
    "worker_dies_after_settling": 1,
    "worker_lives": 3,
    "worker_dies": 1,
    "sweep": 6,
    "moments_pass": 4,
    "hours_pass": 2,
    "day_passes": 1,
    "redis_loses_everything": 1,
    "campaign_is_paused_or_resumed": 2,
    "sender_is_paused_or_resumed": 1,
    "somebody_leaves": 1,
    "person_decides": 2,
    "copy_is_found": 1,
}
"""What may happen, and how often beside the others: most of it must be work, or no fault would find any to spoil."""

CHOICES = [name for name, weight in EVENTS.items() for _ in range(weight)]


class Ledger(RuleBasedStateMachine):
    """One rule, so that the shares hold; `which` and `number` choose among what there is."""

    def __init__(self, make_world, seen):
        super().__init__()
        self.world = make_world()
        self.seen = seen
        self.house, self.server = self.world.house, self.world.server
        self.workers = [Hands(self.world), Hands(self.world)]
        self.messages, self.done = [], []
        self.stopped, self.paused, self.resting = set(), set(), set()
        self.again = Counter()

    @rule(event=st.sampled_from(CHOICES), which=st.integers(0, 1), number=st.integers(0, 59))
    def step(self, event, which, number):
        self.seen["steps"] += 1
        getattr(self, event)(self.workers[which], number)
        self._collect()

    # The pipeline.

    def carry_on(self, hands, number):
        """What the worker would do next if nothing happened, several times."""
        for _ in range(4 + number % 12):
            self._next_move(hands)
            self._collect()

    def _next_move(self, hands):
        if hands.marked:
            self._dot(hands, "accepted", stored=True)
        elif hands.taken:
            self._mark(hands, heard=True)
        elif hands.ended:
            hands.settle()
        elif message := next((each for each in reversed(self.messages) if each not in self.done), None):
            self.done.append(message)
            self._do(hands, message)
        else:
            self.done.clear()
            plan.plan(hands.work)

    def message_comes_again(self, hands, number):
        """Every message ever sent may come at any time, as often as it likes."""
        if self.messages:
            self._do(hands, self.messages[-1 - number % len(self.messages)])

    def renderer_dies(self, _hands, number):
        renders = [args for actor, args in self.messages if actor == "render"]
        if renders:
            self._render_and_die(renders[-1][0], ("after_claim", "after_render")[number % 2])

    def taking_is_unheard(self, hands, number):
        """The answer to its commit is lost."""
        hands.take(self.world.senders[number % 2], heard=False)

    def mark(self, hands, number):
        self._mark(self._one_with("taken", hands), heard=True)

    def mark_is_unheard(self, hands, number):
        self._mark(self._one_with("taken", hands), heard=False)

    def _mark(self, hands, *, heard):
        row = hands.mark(heard=heard) if hands else None
        if row is not None:
            assert row["lead_id"] not in self.stopped, "a mail was marked after its lead was stopped"
            assert row["campaign_id"] not in self.paused, "a mail was marked in a paused campaign"
            assert row["sender_id"] not in self.resting, "a mail was marked by a paused sender"

    def dot_is_answered(self, hands, number):
        said = ("accepted", "busy", "accepted", "nobody", "accepted", "policy")[number % 6]
        self._dot(self._one_with("marked", hands), said, stored=said == "accepted")

    def dot_is_followed_by_silence(self, hands, number):
        self._dot(self._at_the_dot(hands), "silence", stored=number % 2 == 0)

    def _dot(self, hands, said, *, stored, noted=True):
        if hands:
            hands.dot(ANSWERS[said], stored=stored, noted=noted)
            self.seen["dots"] += 1

    def worker_dies_after_the_dot(self, hands, number):
        """Before it has written the answer down."""
        if hands := self._at_the_dot(hands):
            self._dot(hands, "silence", stored=number % 3 > 0, noted=False)
            self.seen["cut after the dot"] += 1
            self._die(hands)

    def mail_is_refused_early(self, hands, number):
        if hands := self._one_with("taken", hands):
            hands.refused(EARLY[sorted(EARLY)[number % len(EARLY)]])

    def answers_are_settled(self, hands, number):
        if hands := self._one_with("ended", hands):
            hands.settle()

    def worker_dies_after_settling(self, hands, number):
        """Its journal stands still, though the ledger has it all."""
        if hands := self._one_with("ended", hands):
            hands.settle(clear=False)
            self._die(hands)

    # Time and death.

    def worker_lives(self, hands, number):
        hands.beat()

    def worker_dies(self, hands, number):
        self._die(hands)

    def sweep(self, hands, number):
        sweep.sweep(hands.work)

    def moments_pass(self, hands, number):
        self.world.seconds_pass((9, 11, 30)[number % 3])

    def hours_pass(self, hands, number):
        self.world.seconds_pass((100, 1_200, 20_000)[number % 3])

    def day_passes(self, hands, number):
        self.world.day_passes()

    def redis_loses_everything(self, hands, number):
        self.world.redis.flushdb()
        self.messages.clear()

    # People.

    def campaign_is_paused_or_resumed(self, hands, number):
        id, workspace = self.world.campaigns[number % 2], self.house.workspace
        if id in self.paused:
            self._resume(id)
        elif self.house.one("SELECT status FROM campaigns WHERE id = %s", id) == "running":
            with self.world.database.transaction() as db:
                campaigns.hold_marks(db, workspace, id)
                campaigns.hold(db, workspace, id)
                campaigns.pause(db, workspace, id, user_id=None)
            self.paused.add(id)

    def sender_is_paused_or_resumed(self, hands, number):
        id = self.world.senders[number % 2]
        if id in self.resting:
            self._wake(id)
            return
        with self.world.database.transaction() as db:
            senders.lock(db, self.house.workspace, id, stop=True)
            db.execute("UPDATE senders SET status = 'paused' WHERE id = %s", [id])
        self.resting.add(id)

    def somebody_leaves(self, hands, number):
        lead_id = self.world.leads[number % 4]
        email = self.house.one("SELECT email FROM leads WHERE id = %s", lead_id)
        with self.world.database.transaction() as db:
            if number % 5 == 0:
                domain = email.partition("@")[2]
                suppressions.suppress(db, self.house.workspace, "domain", domain, "manual")
                left = self.house.all("SELECT id FROM leads WHERE domain = %s", domain)
            else:
                suppressions.suppress(
                    db, self.house.workspace, "address", email, ("manual", "unsubscribed")[number % 2]
                )
                left = [{"id": lead_id}]
        self.stopped |= {row["id"] for row in left}

    def person_decides(self, hands, number):
        if unknown := self._unknown():
            self._decide(unknown[number % len(unknown)], again=number % 3 == 0)

    def copy_is_found(self, hands, number):
        """In the Sent folder lies what the server took."""
        for row in self._unknown():
            if self.server.taken[_step(row)]:
                self._decide(row, again=False)

    # What must be true.

    @invariant()
    def the_ledger_is_sound(self):
        broken = self.world.broken()
        assert not broken, broken

    @invariant()
    def nobody_gets_a_mail_twice(self):
        twice = {key: n for key, n in self.server.taken.items() if n > 1 + self.again[key]}
        assert not twice, twice

    @invariant()
    def no_sender_passes_its_limit(self):
        for sender_id, limit in zip(self.world.senders, (5, 6), strict=True):
            assert self.server.today[sender_id] <= limit

    def teardown(self):
        """The faults end: whoever may be mailed gets every step, and every walk comes to its end."""
        try:
            self._recover()
            self.the_ledger_is_sound()
            self.nobody_gets_a_mail_twice()
            self._nobody_is_left_behind()
        finally:
            self.seen["mails"] += sum(self.server.taken.values())
            for hands in self.workers:
                hands.die()
            self.world.close()

    def _recover(self):
        for id in list(self.paused):
            self._resume(id)
        for id in self.world.senders:
            self._wake(id)
        self.house.run("UPDATE leads SET first_name = 'Dan' WHERE first_name = ''")
        self.house.run(
            "UPDATE campaign_leads SET state = 'waiting', hold_reason = NULL, due_at = now() WHERE hold_reason = 'missing_field'"
        )
        for _ in range(20):
            self.world.day_passes()
            self.house.run("UPDATE senders SET health = 100, errors_in_row = 0, cooldown_until = NULL, free_at = NULL")
            for hands in self.workers:
                hands.beat()
                self._finish(hands)
            sweep.sweep(self.workers[0].work)
            for row in self._unknown():
                self._decide(row, again=not self.server.taken[_step(row)])
            plan.plan(self.workers[0].work)
            self._work_off()
            if not self.house.one("SELECT count(*) FROM campaign_leads WHERE state <> 'ended'"):
                return

    def _work_off(self):
        while self.world.queues.messages:
            self._do(self.workers[0], self.world.queues.messages.popleft())
            self._finish(self.workers[0])

    def _finish(self, hands):
        while hands.taken:
            hands.mark(heard=True)
        while hands.marked:
            hands.dot(ANSWERS["accepted"], stored=True, noted=True)
        hands.settle()

    def _nobody_is_left_behind(self):
        walks = self.house.all("SELECT campaign_id, lead_id, state, outcome, step FROM campaign_leads")
        assert {walk["state"] for walk in walks} == {"ended"}, walks
        decided = self.house.all(
            "SELECT campaign_id, lead_id, step FROM deliveries WHERE evidence LIKE 'assume_sent%%'"
        )
        proven = {_step(row) for row in decided}
        for walk in walks:
            if walk["outcome"] == "finished":
                for step in range(walk["step"] + 1):
                    key = walk["campaign_id"], walk["lead_id"], step
                    assert self.server.taken[key] or key in proven, f"{key} was lost"

    # Small moves.

    def _do(self, hands, message):
        actor, args = message
        if actor == "render":
            render.render(hands.work, *args)
        elif actor == "send":
            hands.take(*args, heard=True)

    def _collect(self):
        self.messages += self.world.queues.messages
        self.world.queues.messages.clear()
        del self.messages[:-60]

    def _at_the_dot(self, hands):
        """A worker with a mail that is marked; the asked-for one is led there, if there is a way."""
        for _ in range(12):
            if ready := self._one_with("marked", hands):
                return ready
            self._next_move(hands)
            self._collect()
        return None

    def _one_with(self, what, hands):
        """The asked-for worker if it has something of the kind, else the other, else None."""
        return next((each for each in (hands, *self.workers) if getattr(each, what)), None)

    def _render_and_die(self, ids, point):
        def progress(passed, _ids):
            if passed == point:
                raise DiedError

        work = self.world.work(progress)
        try:
            render.render(work, ids)
        except DiedError:
            self.house.run("UPDATE workers SET seen_at = seen_at - interval '1 minute' WHERE id = %s", work.worker_id)

    def _die(self, hands):
        hands.die()
        self.workers[self.workers.index(hands)] = Hands(self.world)

    def _resume(self, id):
        self.paused.discard(id)
        if self.house.one("SELECT status FROM campaigns WHERE id = %s", id) == "paused":
            with self.world.database.transaction() as db:
                campaigns.hold(db, self.house.workspace, id)
                campaigns.start(db, self.house.workspace, id, user_id=None)

    def _wake(self, id):
        self.resting.discard(id)
        self.house.run("UPDATE senders SET status = 'ready' WHERE id = %s", id)

    def _unknown(self):
        return self.house.all(
            "SELECT id, campaign_id, lead_id, step FROM deliveries WHERE state = 'unknown' ORDER BY id"
        )

    def _decide(self, row, *, again):
        act, word = (evidence.resend, "resend") if again else (evidence.assume_sent, "assume_sent")
        with self.world.database.transaction() as db:
            done = act(db, self.house.workspace, [row["id"]], word)
        assert done == [row["id"]]
        self.again[_step(row)] += again


def _step(row):
    return row["campaign_id"], row["lead_id"], row["step"]


def test_nothing_is_sent_twice_or_lost_whatever_happens_in_whatever_order(database, redis_url, tmp_path):
    environment = {
        "DATABASE_URL": database.url,
        "REDIS_URL": redis_url,
        "CLEANMAILS_STATE_DIR": str(tmp_path / "state"),
    }
    configured = product.load(environment)
    seen = Counter()
    run_state_machine_as_test(
        lambda: Ledger(lambda: World(database, redis_url, configured), seen),
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=LONG is None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
    print(f"{dict(seen)}")
    assert seen["dots"] > 0
    assert seen["cut after the dot"] > 0
