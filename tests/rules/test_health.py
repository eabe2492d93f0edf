"""What attempts do to a sender's health, and when a sender rests."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.records import Answer, FailureClass, SenderStatus, Stage
from cleanmails.rules import health, outcome
from cleanmails.rules.health import SenderChange, after

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

REPLIES = {
    "accepted": (250, "2.0.0", "Ok"),
    "soft": (452, "4.2.2", "Over quota"),
    "greylisted": (450, "4.2.0", "Greylisted"),
    "final": (552, "5.3.4", "Too big"),
    "bad": (550, "5.1.1", "User unknown"),
    "outsider": (550, "5.7.133", "Not for outsiders"),
    "policy": (550, "5.7.1", "Spam"),
    "put off": (421, "4.7.28", "Unusual rate of mail"),
    "quota": (550, "5.4.5", "Daily user sending limit exceeded"),
    "login": (535, "5.7.8", "No"),
    "down": (None, None, "timed out"),
}


def met(name, *, attempt=1):
    code, enhanced, text = REPLIES[name]
    stage = Stage.CONNECT if name == "down" else Stage.DOT
    return outcome.judge(Answer(stage=stage, code=code, enhanced=enhanced, text=text), attempt, NOW)


UNKNOWN = outcome.judge(Answer(stage=Stage.DOT, code=None, enhanced=None, text="reset"), 1, NOW)


@pytest.mark.parametrize(
    ("name", "attempt", "points"),
    [
        ("accepted", 1, 1),
        ("soft", 1, -5),
        ("soft", 4, -5),
        ("final", 1, -10),
        ("outsider", 1, -10),
        ("policy", 1, -10),
        ("policy", 4, -10),
        ("put off", 1, -10),
        ("bad", 1, -15),
        ("greylisted", 1, 0),
        ("greylisted", 4, 0),
        ("quota", 1, 0),
        ("login", 1, 0),
        ("down", 1, 0),
    ],
)
def test_health_rises_slowly_and_falls_by_how_bad_it_was(name, attempt, points):
    assert after(met(name, attempt=attempt), 50, 0, NOW).health == 50 + points


def test_health_stays_between_none_and_a_hundred():
    assert after(met("accepted"), 100, 0, NOW).health == 100
    assert after(met("bad"), 7, 0, NOW).health == 0


def test_an_accepted_mail_ends_the_row_of_errors_and_touches_no_cooldown():
    assert after(met("accepted"), 50, 7, NOW) == SenderChange(health=51, errors_in_row=0)


@pytest.mark.parametrize("name", ["soft", "final", "bad", "outsider", "down"])
def test_the_third_error_in_a_row_and_each_one_after_it_makes_a_cooldown(name):
    assert [after(met(name), 50, row, NOW).cooldown_until for row in range(4)] == [
        None,
        None,
        NOW + 30 * MINUTE,
        NOW + 30 * MINUTE,
    ]
    assert after(met(name), 50, 2, NOW).errors_in_row == 3


def test_an_unknown_outcome_is_an_error_without_points():
    assert after(UNKNOWN, 50, 0, NOW) == SenderChange(health=50, errors_in_row=1)


def test_greylisting_is_no_error():
    assert after(met("greylisted"), 50, 2, NOW) == SenderChange(health=50, errors_in_row=2)


def test_a_refused_login_restricts_the_sender():
    assert after(met("login"), 50, 0, NOW) == SenderChange(health=50, errors_in_row=1, status=SenderStatus.RESTRICTED)


def test_a_refusal_for_policy_rests_the_sender_longer_each_time_and_a_day_at_most():
    rests = [after(met("policy"), 50, row, NOW).cooldown_until - NOW for row in range(8)]
    assert rests == [minutes * MINUTE for minutes in (30, 60, 120, 240, 480, 960, 1440, 1440)]


def test_a_delivery_given_up_over_policy_rests_the_sender_as_well():
    assert after(met("policy", attempt=4), 50, 0, NOW).cooldown_until == NOW + 30 * MINUTE


def test_a_recipient_who_is_closed_to_us_does_not_rest_the_sender():
    assert after(met("outsider"), 50, 0, NOW).cooldown_until is None


def test_a_used_up_quota_rests_the_sender_until_midnight():
    assert after(met("quota"), 50, 0, NOW).cooldown_until == datetime(2026, 3, 5, tzinfo=UTC)


@settings(deadline=None)
@given(st.sampled_from(sorted(REPLIES)), st.integers(1, 5), st.integers(0, 100), st.integers(0, 2000))
def test_whatever_happens_the_change_makes_sense(name, attempt, health, errors):
    verdict = met(name, attempt=attempt)
    change = after(verdict, health, errors, NOW)
    assert 0 <= change.health <= 100
    assert change.errors_in_row in (0, errors, errors + 1)
    assert change.cooldown_until is None or NOW < change.cooldown_until <= NOW + timedelta(days=1, minutes=30)
    restricted = isinstance(verdict, outcome.HoldSender) and verdict.failure is FailureClass.AUTHENTICATION
    assert change.status is (SenderStatus.RESTRICTED if restricted else None)
    if isinstance(verdict, outcome.HoldSender) and not restricted:
        assert change.cooldown_until >= verdict.at or verdict.counts


@pytest.mark.parametrize(("level", "hours"), [(20, 6), (12, 54), (0, 126)])
def test_bad_health_comes_back_by_rest_alone(level, hours):
    """Nothing is sent at 20 or below, so no accepted mail could lift it."""
    back = NOW + timedelta(hours=hours)
    assert health.rests_until(level, NOW) == back
    assert health.recovered(level, NOW, back - timedelta(seconds=1)) == level
    assert health.recovered(level, NOW, back) == 21


def test_who_is_healthy_enough_does_not_rest():
    assert health.rests_until(21, NOW) is None
    assert health.recovered(21, NOW, NOW + timedelta(days=99)) == 21
