from datetime import UTC, datetime, timedelta

import pytest

from cleanmails.records import CampaignStatus, CampaignView, FailureClass, Step, WalkOutcome, WalkState
from cleanmails.rules import walks
from cleanmails.rules.outcome import Accepted, Bounced, Failed, HoldSender, Retry, Unknown

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def campaign(*steps):
    return CampaignView(
        id=1,
        workspace_id=1,
        name="Spring",
        status=CampaignStatus.RUNNING,
        launch_at=None,
        schedule=None,
        steps=steps,
        sender_ids=frozenset({1}),
    )


FIRST = Step(position=0, subjects=("Hello",), body="x")
SECOND = Step(position=2, subjects=(), body="x", wait_days=3, wait_hours=1)


def test_after_a_mail_the_next_step_is_due_after_its_wait():
    move = walks.judged(Accepted(), campaign(FIRST, SECOND), 7, 0, 70, NOW)
    assert (move.state, move.step, move.due_at) == (WalkState.WAITING, 2, NOW + timedelta(days=3, hours=1))
    assert (move.settled_at, move.last_delivery_id, move.outcome) == (NOW, 70, None)


def test_after_the_last_mail_the_walk_is_finished():
    move = walks.judged(Accepted(), campaign(FIRST), 7, 0, 70, NOW)
    assert (move.state, move.outcome, move.due_at, move.last_delivery_id) == (
        WalkState.ENDED,
        WalkOutcome.FINISHED,
        None,
        70,
    )


LATER = NOW + timedelta(minutes=15)
WHY = {"reason": "", "row": "x"}


@pytest.mark.parametrize(
    ("verdict", "state", "due_at", "outcome"),
    [
        (Retry(failure=FailureClass.SOFT, at=LATER, counts=True, **WHY), WalkState.WAITING, LATER, None),
        (HoldSender(failure=FailureClass.POLICY, at=LATER, counts=False, **WHY), WalkState.WAITING, LATER, None),
        (Failed(failure=FailureClass.SOFT, exhausted=True, **WHY), WalkState.ENDED, None, WalkOutcome.FAILED),
        (Bounced(**WHY), WalkState.ENDED, None, WalkOutcome.BOUNCED),
        (Unknown(), WalkState.HELD, None, None),
    ],
)
def test_a_mail_that_was_not_sent_keeps_its_step(verdict, state, due_at, outcome):
    move = walks.judged(verdict, campaign(FIRST, SECOND), 7, 0, 70, NOW)
    assert (move.state, move.step, move.due_at, move.outcome) == (state, 0, due_at, outcome)
    assert move.last_delivery_id is None
    assert (move.hold_reason == "unknown") is isinstance(verdict, Unknown)
