from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanmails.errors import StateError
from cleanmails.records import CampaignStatus, WalkCounts
from cleanmails.rules import lifecycle

DRAFT, RUNNING, PAUSED, COMPLETED = CampaignStatus
ALLOWED = {(DRAFT, RUNNING), (RUNNING, PAUSED), (PAUSED, RUNNING)}
BY_SYSTEM = {(RUNNING, PAUSED), (RUNNING, COMPLETED)}


@pytest.mark.parametrize(("current", "wanted"), list(product(CampaignStatus, CampaignStatus)))
def test_only_these_changes_of_status_are_allowed(current, wanted):
    for allowed, by_system in ((ALLOWED, False), (BY_SYSTEM, True)):
        if (current, wanted) in allowed:
            lifecycle.check_move(current, wanted, by_system=by_system)
        else:
            with pytest.raises(StateError):
                lifecycle.check_move(current, wanted, by_system=by_system)


@pytest.mark.parametrize(
    ("current", "wanted", "code"),
    [
        (RUNNING, RUNNING, "already_running"),
        (PAUSED, PAUSED, "already_paused"),
        (DRAFT, DRAFT, "already_draft"),
        (COMPLETED, COMPLETED, "already_completed"),
        (DRAFT, PAUSED, "not_started"),
        (PAUSED, DRAFT, "already_started"),
        (COMPLETED, RUNNING, "campaign_completed"),
        (RUNNING, COMPLETED, "completed_by_system"),
    ],
)
def test_a_refused_change_says_why(current, wanted, code):
    with pytest.raises(StateError) as refused:
        lifecycle.check_move(current, wanted)
    assert refused.value.code == code
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize(
    ("sent", "bounced", "pauses"),
    [(0, 0, False), (19, 19, False), (20, 1, False), (20, 2, True), (100, 5, False), (100, 6, True), (1000, 50, False)],
)
def test_a_campaign_pauses_itself_above_five_percent_of_at_least_twenty(sent, bounced, pauses):
    assert (lifecycle.auto_pause(sent, bounced) is not None) is pauses


def test_the_reason_of_a_pause_bears_its_figures():
    assert lifecycle.auto_pause(120, 9) == "9 of 120 mails bounced hard (7.5%); the limit is 5 %."


@given(sent=st.integers(0, 10_000), share=st.floats(0, 1), limit=st.floats(0.1, 100), least=st.integers(1, 1000))
def test_the_limit_and_the_least_number_are_settings(sent, share, limit, least):
    bounced = int(sent * share)
    over = lifecycle.over_bounce_limit(sent, bounced, limit, least)
    assert over is (sent >= least and bounced * 100 > sent * limit)


@pytest.mark.parametrize(
    ("changes", "done"),
    [({}, True), ({"waiting": 1}, False), ({"in_flight": 1}, False), ({"held": 1}, False), ({"ended": 0}, False)],
)
def test_a_campaign_is_done_when_every_walk_has_ended_and_there_was_one(changes, done):
    counts = {"campaign_id": 1, "waiting": 0, "due": 0, "in_flight": 0, "held": 0, "ended": 5, "next_due_at": None}
    assert lifecycle.completed(WalkCounts(**(counts | changes))) is done
