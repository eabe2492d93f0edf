"""What is left behind where something breaks in the middle: nothing is counted twice, forgotten, or held by hands that no longer move."""

import resource
import threading
from datetime import UTC, datetime

import pytest
from msgspec import structs

from cleanmails.actors import evidence, journal, plan, record, render, send, sweep
from cleanmails.actors.journal import Ended, Journal
from cleanmails.demo import catcher
from cleanmails.demo.catcher import Rule, by_rules
from cleanmails.errors import BusyError
from cleanmails.ledger import invariants, workers
from cleanmails.ledger.db import Database
from cleanmails.mail.wire import WireError
from cleanmails.records import Answer, Stage


@pytest.fixture
def server():
    with catcher.running() as running:
        yield running


@pytest.fixture
def lane(house, server):
    """A campaign to these addresses by one sender at the local server; returns the campaign and the leads."""

    def make(*emails, **options):
        house.knows("b.example")
        leads = house.leads(*emails)
        return house.campaign(leads, [house.sender(port=server.port)], **options), leads

    return make


@pytest.fixture
def broken(work):
    """The names of the invariants that do not hold."""

    def ask():
        with work.database.transaction() as db:
            return [each.name for each in invariants.INVARIANTS if invariants.violations(db, each)]

    return ask


def due_now(house):
    house.run("UPDATE campaign_leads SET due_at = now() WHERE state = 'waiting'")


def time_passes(house, *, lease=False):
    """More than a lost message's patience; with `lease`, more than a worker may be silent."""
    house.run("UPDATE deliveries SET queued_at = queued_at - interval '1 minute'")
    if lease:
        house.run("UPDATE workers SET seen_at = seen_at - interval '1 minute'")


def test_a_refusal_before_the_dot_does_not_give_back_a_mark_that_was_given_back(
    house, work, drain, lane, server, broken
):
    lane("bob@b.example", "later@b.example")
    server.script = by_rules(
        [Rule(match="later@*", do="refuse-dot-451", times=1), Rule(match="later@*", do="refuse-rcpt-451", times=2)]
    )
    for _ in range(2):
        due_now(house)
        plan.plan(work)
        drain()
    assert house.one("SELECT tries FROM deliveries ORDER BY id DESC LIMIT 1") == 2
    assert house.one("SELECT sum(used) FROM sender_days") == 1
    assert broken() == []


@pytest.fixture
def unknown(house, work, new_work, lane):
    """A delivery whose worker died between mark and answer, swept; returns it and what its worker could still say of it."""
    campaign, (lead,) = lane("bob@b.example")
    plan.plan(work)
    (ids,) = work.queues.messages.popleft()[1]
    render.render(work, ids)
    dead = new_work()
    house.run(
        "UPDATE deliveries SET state = 'sending', worker_id = %s, token = nextval('fences'), sending_at = clock_timestamp()",
        dead.worker_id,
    )
    house.run("INSERT INTO sender_days SELECT sender_id, (now() AT TIME ZONE 'UTC')::date, 1 FROM deliveries")
    house.run("DELETE FROM workers WHERE id = %s", dead.worker_id)
    sweep.sweep(work)
    delivery = house.delivery(campaign, lead)
    assert delivery["state"] == "unknown"

    def answer(code):
        now = datetime.now(UTC)
        said = Answer(stage=Stage.DOT, code=code, enhanced=None, text="")
        ended = Ended(
            id=delivery["id"],
            token=delivery["token"],
            campaign_id=campaign,
            lead_id=lead,
            answer=said,
            started_at=now,
            finished_at=now,
        )
        record.settle(work, [ended])
        return house.delivery(campaign, lead)

    return answer


@pytest.mark.parametrize(("code", "state"), [(250, "sent"), (451, "deferred"), (550, "failed"), (None, "unknown")])
def test_a_late_answer_settles_an_unknown_delivery_and_its_attempt_counts_once(unknown, house, broken, code, state):
    delivery = unknown(code)
    assert (delivery["state"], delivery["attempts"]) == (state, 1)
    assert house.one("SELECT count(*) FROM attempts") == 1
    assert broken() == []


def test_a_mail_whose_walk_ended_while_it_was_refused_is_cancelled_and_its_bytes_go(unknown, house, broken):
    house.run(
        "UPDATE campaign_leads SET state = 'ended', outcome = 'unsubscribed', hold_reason = NULL, ended_at = clock_timestamp()"
    )
    assert unknown(451)["state"] == "cancelled"
    assert house.all("SELECT * FROM mails") == []
    assert broken() == []


def test_a_decision_to_send_again_cancels_where_the_lead_has_left(unknown, house, work, broken):
    house.run(
        "UPDATE campaign_leads SET state = 'ended', outcome = 'unsubscribed', hold_reason = NULL, ended_at = clock_timestamp()"
    )
    with work.database.transaction() as db:
        evidence.resend(db, house.workspace, [house.one("SELECT id FROM deliveries")], "a person")
    assert house.one("SELECT state FROM deliveries") == "cancelled"
    assert broken() == []


def test_a_deferred_mail_that_the_planner_cancels_leaves_no_bytes(house, work, drain, lane, broken):
    campaign, (lead,) = lane("later+refuse-rcpt-451@b.example")
    plan.plan(work)
    drain()
    house.run("UPDATE leads SET status = 'unsubscribed'")
    due_now(house)
    plan.plan(work)
    assert house.delivery(campaign, lead)["state"] == "cancelled"
    assert house.all("SELECT * FROM mails") == []
    assert broken() == []


def test_a_campaign_whose_list_grows_at_this_moment_is_not_completed(house, work, lane, database_url):
    campaign, _ = lane("bob@b.example")
    house.run("UPDATE campaign_leads SET state = 'ended', outcome = 'finished', ended_at = now(), due_at = NULL")
    prospects = house.one(
        "INSERT INTO lists (workspace_id, name) VALUES (%s, 'Prospects') RETURNING id", house.workspace
    )
    house.run("INSERT INTO campaign_lists VALUES (%s, %s, %s)", house.workspace, campaign, prospects)
    status = "SELECT status FROM campaigns"
    with Database(database_url, size=1) as other:
        with other.transaction() as db:
            db.execute("SELECT pg_advisory_xact_lock_shared(3, %s::integer)", [prospects])
            plan.plan(work)
            assert house.one(status) == "running"
        plan.plan(work)
        assert house.one(status) == "completed"


def test_leads_that_bounce_in_two_campaigns_at_once_wait_for_nobody_for_ever(
    house, work, new_work, lane, broken, together
):
    """Each side ends the other's walks too: both take all of them first, in one order."""
    emails = [f"p{n}@b.example" for n in range(12)]
    first, leads = lane(*emails)
    second = house.campaign(leads, [house.sender("ben@acme.example")])
    plan.plan(work)
    for _, args in [message for message in work.queues.messages if message[0] == "render"]:
        render.render(work, *args)
    house.run("UPDATE deliveries SET state = 'sending', token = nextval('fences'), sending_at = clock_timestamp()")
    house.run(
        "INSERT INTO sender_days SELECT sender_id, (now() AT TIME ZONE 'UTC')::date, 12 FROM deliveries GROUP BY sender_id"
    )
    nobody = Answer(stage=Stage.DOT, code=550, enhanced="5.1.1", text="no such mailbox")
    rows = house.all("SELECT id, token, campaign_id, lead_id FROM deliveries")
    mine = {
        id: [structs.replace(ended(), answer=nobody, **row) for row in rows if row["campaign_id"] == id]
        for id in (first, second)
    }
    works = new_work(), new_work()

    def settle(campaign, hands):
        for one in mine[campaign]:
            record.settle(hands, [one])

    together(lambda: settle(first, works[0]), lambda: settle(second, works[1]))
    assert {row["outcome"] for row in house.all("SELECT outcome FROM campaign_leads")} == {"bounced"}
    assert house.one("SELECT count(*) FROM suppressions") == 12
    assert broken() == []


class BrokenError(Exception):
    """What nobody foresaw."""


def breaking(point):
    def progress(passed, ids):
        if passed == point:
            raise BrokenError

    return progress


@pytest.mark.parametrize(
    ("point", "state"),
    [
        ("after_claim", "sent"),
        ("before_data", "sent"),
        ("after_354", "sent"),
        ("before_dot", "unknown"),
        ("after_answer", "unknown"),
        ("before_commit", "sent"),
        ("after_commit", "sent"),
    ],
)
def test_what_broke_in_a_living_worker_is_found_by_the_sweep(house, work, new_work, drain, lane, broken, point, state):
    campaign, (lead,) = lane("bob@b.example")
    plan.plan(work)
    render.render(work, work.queues.messages.popleft()[1][0])
    _, args = work.queues.messages.popleft()
    fragile = new_work(progress=breaking(point))
    hand = send.Hand(fragile)
    with pytest.raises(BrokenError):
        send.send(fragile, hand, send.Turns(), *args)
    for _ in range(2):
        time_passes(house)
        sweep.sweep(work)
        drain()
    assert house.delivery(campaign, lead)["state"] == state
    assert broken() == []
    hand.close()
    hand.journal.close()


def test_what_broke_while_it_was_rendered_is_found_by_the_sweep(house, work, new_work, drain, lane):
    campaign, (lead,) = lane("bob@b.example")
    plan.plan(work)
    with pytest.raises(BrokenError):
        render.render(new_work(progress=breaking("after_claim")), work.queues.messages.popleft()[1][0])
    time_passes(house)
    sweep.sweep(work)
    drain()
    assert house.delivery(campaign, lead)["state"] == "sent"


def test_the_next_chunk_of_a_thread_clears_nothing_that_the_last_one_could_not_settle(
    house, work, new_work, drain, lane
):
    campaign, (bob, eve) = lane("bob@b.example", "eve@b.example")
    plan.plan(work)
    render.render(work, work.queues.messages.popleft()[1][0])
    _, (sender,) = work.queues.messages.popleft()
    points = []

    def progress(point, ids):
        points.append(point)
        if points.count("before_commit") == 1 and point == "before_commit":
            raise BrokenError

    fragile = new_work(progress=progress)
    hand, turns = send.Hand(fragile), send.Turns()
    with pytest.raises(BrokenError):
        send.send(fragile, hand, turns, sender)
    send.send(fragile, hand, turns, sender)
    sweep.sweep(work)
    assert [house.delivery(campaign, lead)["state"] for lead in (bob, eve)] == ["sent", "sent"]
    hand.close()
    hand.journal.close()


def test_a_journal_without_room_stops_the_chunk_before_its_first_mail(house, work, drain, lane, server, monkeypatch):
    lane("bob@b.example")
    plan.plan(work)
    monkeypatch.setattr(journal, "ROOM", 1 << 62)
    drain(limit=3)
    assert server.mails() == []
    monkeypatch.undo()
    drain()
    assert len(server.mails()) == 1


def ended():
    now = datetime.now(UTC)
    answer = Answer(stage=Stage.DOT, code=250, enhanced=None, text="")
    return Ended(id=1, token=1, campaign_id=1, lead_id=1, answer=answer, started_at=now, finished_at=now)


def test_a_line_that_the_disk_does_not_take_whole_does_not_stand(tmp_path):
    book = Journal(tmp_path, "1")
    book.note(ended())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    whole = (tmp_path / "1.jsonl").stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (whole + 10, hard))
        with pytest.raises(OSError, match="full"):
            book.note(ended())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    book.leave()
    (orphan,) = journal.orphans(tmp_path)
    assert len(orphan.ended) == 1


def test_a_line_that_cannot_be_read_costs_that_one_answer(tmp_path):
    (tmp_path / "1.jsonl").write_bytes(b"\x00\x00\n" + journal._encode(ended()) + b"\n")
    (orphan,) = journal.orphans(tmp_path)
    assert len(orphan.ended) == 1


def test_a_journal_that_its_worker_had_settled_says_nothing_new(house, work, drain, lane, server, broken):
    """Also of an answer that never came: the ledger holds it as unknown, and counts one try."""
    campaign, (lead,) = lane("bob@b.example")
    server.script = by_rules([Rule(match="*", do="drop-stored")])
    plan.plan(work)
    drain()
    delivery = house.delivery(campaign, lead)
    assert (delivery["state"], delivery["tries"]) == ("unknown", 1)
    silence = Answer(stage=Stage.DOT, code=None, enhanced=None, text="")
    again = {"id": delivery["id"], "token": delivery["token"], "campaign_id": campaign, "lead_id": lead}
    left_behind(work, structs.replace(ended(), answer=silence, **again))
    sweep.sweep(work)
    assert house.delivery(campaign, lead) == delivery
    assert list(work.journals.glob("left.jsonl")) == []
    assert broken() == []


def test_a_journal_that_cannot_be_settled_holds_up_nothing_else(house, work, new_work, drain, lane, monkeypatch):
    campaign, (lead,) = lane("bob@b.example")
    plan.plan(work)
    dead = new_work()
    house.run("UPDATE deliveries SET worker_id = %s, token = nextval('fences')", dead.worker_id)
    house.run("UPDATE workers SET seen_at = seen_at - interval '1 minute' WHERE id = %s", dead.worker_id)
    left_behind(work, ended())

    def fail(_work, _ended):
        raise BrokenError

    with monkeypatch.context() as broken:
        broken.setattr(record, "settle", fail)
        sweep.sweep(work)
    assert list(work.journals.glob("left.jsonl")) != []
    drain()
    assert house.delivery(campaign, lead)["state"] == "sent"


def left_behind(work, one):
    """A dead worker's journal with this answer in it."""
    book = Journal(work.journals, "left")
    book.note(one)
    book.leave()


def test_a_mail_that_was_marked_and_cut_before_its_dot_is_known_to_be_unsent(
    house, work, new_work, drain, lane, server, broken
):
    """The server hung up between mark and dot, and the worker died before that was settled: its journal says that no dot was written."""
    campaign, (lead,) = lane("bob@b.example")
    plan.plan(work)
    render.render(work, work.queues.messages.popleft()[1][0])
    _, args = work.queues.messages.popleft()
    fragile = new_work(progress=breaking("before_commit"))
    hand = send.Hand(fragile)
    session = hand.session(fragile, house.all("SELECT *, false AS oauth FROM senders")[0])
    cut(session)
    with pytest.raises(BrokenError):
        send.send(fragile, hand, send.Turns(), *args)
    assert house.delivery(campaign, lead)["state"] == "sending"
    sweep.sweep(work)
    assert (house.delivery(campaign, lead)["state"], server.mails()) == ("deferred", [])
    due_now(house)
    plan.plan(work)
    drain()
    assert (house.delivery(campaign, lead)["state"], len(server.mails())) == ("sent", 1)
    assert broken() == []
    hand.close()
    hand.journal.close()


def cut(session):
    """Lets the server seem to hang up after the mark and before the dot."""
    hear = session._hear_out

    def hear_nothing(wire):
        session._hear_out = hear
        raise WireError("the server closed the connection")

    session._hear_out = hear_nothing


def test_a_sweep_that_fails_is_followed_by_the_next(new_work, monkeypatch):
    work = new_work()
    tried = []

    def fail(_work, **_apart):
        tried.append(1)
        if len(tried) == 2:
            work.stop.set()
        raise BrokenError

    monkeypatch.setattr(sweep, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(sweep, "sweep", fail)
    thread = threading.Thread(target=sweep.keep, args=(work,), daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert len(tried) == 2


def test_a_ledger_that_takes_no_writes_is_waited_for(house, database_url):
    name = house.one("SELECT current_database()")
    house.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with Database(database_url, size=1) as database, pytest.raises(BusyError), database.transaction() as db:
        workers.did(db, "plan")
