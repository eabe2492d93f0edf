"""The judge of the chaos test finds what it is there to find: each kind of harm is shown to it."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from cleanmails.chaos import judge
from cleanmails.chaos.judge import Blind, Mail
from cleanmails.chaos.ledger import Delivery, Sender, Walk
from cleanmails.chaos.people import Stop
from cleanmails.chaos.points import Passing

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def mail(number=1, *, after=0.0, sender="ann@out.example", to="bob@corp.example"):
    return Mail(
        received_at=NOW + timedelta(seconds=after), mail_from=sender, recipient=to, message_id=f"<{number}@out.example>"
    )


def delivery(number=1, state="sent", *, lead=1, step=0, marked=0.0, email="bob@corp.example"):
    return Delivery(
        id=number,
        campaign_id=1,
        lead_id=lead,
        step=step,
        sender_id=1,
        state=state,
        message_id=f"<{number}@out.example>",
        sending_at=NOW + timedelta(seconds=marked),
        email=email,
    )


def walk(state="ended", outcome="finished", *, steps=1):
    return Walk(campaign_id=1, lead_id=1, email="bob@corp.example", state=state, outcome=outcome, steps=steps)


def test_a_copy_and_a_stranger_are_duplicates():
    found = judge.duplicates([mail(1), mail(1), mail(2), mail(99)], [delivery(1), delivery(2, step=1)])
    assert found == {1: 1, None: 1}
    assert not judge.duplicates([mail(1), mail(2)], [delivery(1), delivery(2, step=1)])


@pytest.mark.parametrize(
    ("walked", "count"),
    [
        (walk(), 0),
        (walk(steps=2), 1),
        (walk("waiting", None), 1),
        (walk("held", None), 1),
        (walk(None, None), 1),
        (walk(outcome="failed", steps=2), 1),
        (walk(outcome="unsubscribed", steps=2), 0),
        (walk(outcome="bounced", steps=2), 0),
    ],
)
def test_who_is_lost(walked, count):
    assert len(judge.lost([mail(1)], [delivery(1)], [walked], [])) == count


def test_of_who_was_given_up_the_tries_are_told():
    [found] = judge.lost([], [], [msgspec.structs.replace(walk(outcome="failed"), tries=["connect", "dot 451"])], [])
    assert found.words == "bob@corp.example in campaign 1 got 0 of 1, and is failed (tries ended at connect, dot 451)"


def test_who_was_stopped_before_he_was_enrolled_is_not_lost():
    stop = Stop(kind="suppressed", answered=NOW, domain="corp.example")
    assert judge.lost([], [], [walk(None, None)], [stop]) == []


def test_the_ledgers_sent_is_what_the_server_has():
    assert judge.disagreements([mail(1)], [delivery(1), delivery(2, "unknown"), delivery(3, "bounced")]) == []
    assert judge.disagreements([], [delivery(1)]) == ["delivery 1 is sent, and is not at the server"]
    assert judge.disagreements([mail(1)], [delivery(1, "deferred")]) == ["delivery 1 is deferred, and is at the server"]


def test_what_came_back_later_was_at_the_server():
    [words] = judge.disagreements([mail(1)], [delivery(1, "bounced")])
    assert "bounced, and is at the server" in words
    assert judge.disagreements([mail(1)], [delivery(1, "bounced")], {mail(1).message_id}) == []


def test_a_reply_stops_its_campaign_and_a_bounce_stops_all():
    reply = Stop(kind="replied", answered=NOW, email="bob@corp.example", campaign_id=1)
    bounce = Stop(kind="bounced", answered=NOW, email="bob@corp.example")
    assert [reply.covers("bob@corp.example", id) for id in (1, 2)] == [True, False]
    assert reply.covers("eve@corp.example", 1) is False
    assert bounce.covers("bob@corp.example", 2) is True


def attempt(*points):
    """One attempt's passings; a point with a `!` is where its worker was killed."""
    names = ("before_data", "after_354", *points)
    return [Passing(at, name.rstrip("!"), 1, name.endswith("!")) for at, name in enumerate(names)]


@pytest.mark.parametrize(
    ("points", "verdict"),
    [
        ((), Blind.MAY),
        (("before_commit",), None),
        (("before_dot",), Blind.MUST),
        (("before_dot", "after_dot"), Blind.MUST),
        (("before_dot", "after_dot!"), Blind.MUST),
        (("before_dot", "after_dot", "before_commit"), Blind.MUST),
        (("before_dot", "after_dot", "after_answer"), Blind.MAY),
        (("before_dot", "after_dot", "after_answer!"), Blind.MUST),
        (("before_dot", "after_dot", "after_answer", "before_commit!"), None),
        (("before_dot", "after_dot", "after_answer", "before_commit", "after_commit"), None),
    ],
)
def test_what_the_trace_says_of_an_attempt(points, verdict):
    assert judge.blind(attempt(*points)).get(1) is verdict


def test_the_last_attempt_counts():
    whole = attempt("before_dot", "after_dot", "after_answer", "before_commit")
    assert judge.blind([*attempt("before_dot"), *whole]) == {}


def test_unknown_is_exactly_what_was_cut():
    cut = attempt("before_dot", "after_dot!")
    fine = judge.unknowns(cut, [delivery(1, "unknown")])
    assert (fine.expected, fine.found, fine.faults) == (1, 1, [])
    settled = judge.unknowns(cut, [msgspec.structs.replace(delivery(1, "sent"), evidence="A copy is in Sent.")])
    assert (settled.expected, settled.found, settled.faults) == (1, 1, [])
    missed = judge.unknowns(cut, [delivery(1, "deferred")])
    assert (missed.expected, missed.found, len(missed.faults)) == (1, 0, 1)
    invented = judge.unknowns([], [delivery(1, "unknown")])
    assert (invented.expected, invented.found, len(invented.faults)) == (0, 1, 1)


def test_a_day_is_that_of_the_mark():
    senders = [Sender(id=1, address="ann@out.example", daily_limit=1)]
    rows = [delivery(1), delivery(2, step=1, marked=-86_400)]
    assert judge.over_daily_limit([mail(1), mail(2)], rows, senders) == 0
    assert judge.over_daily_limit([mail(1), mail(2)], [delivery(1), delivery(2, step=1)], senders) == 1


@pytest.mark.parametrize(("count", "gap", "over"), [(200, 0.05, 0), (200, 0, 177), (200, 0.01, 77), (300, 0.046, 15)])
def test_a_rate_is_held_against_the_worst_second_and_the_worst_ten(count, gap, over):
    mails = [mail(n, after=n * gap, to=f"{n}@corp.example") for n in range(count)]
    assert judge.over_rate(mails, "corp.example", 20, 2) == over


@pytest.mark.parametrize(("marked", "count"), [(-1, 0), (1, 1), (11, 0)])
def test_what_was_marked_after_the_answer_to_a_stop_was_sent_after_it(marked, count):
    pause = Stop(kind="paused", answered=NOW, campaign_id=1, until=NOW + timedelta(seconds=10))
    assert judge.sent_after_stop([mail(1)], [delivery(1, marked=marked)], [pause]) == count


def test_percentiles_are_values_that_were_measured():
    assert judge.percentile([], 0.5) is None
    assert (judge.percentile([3, 1, 2], 0.5), judge.percentile(range(1, 101), 0.99)) == (2, 99)


def test_no_failure_bounds_the_rate():
    assert judge.bound(500) == 0.006
