"""When what was refused by an outlet is tried again: the table of the product, its jitter, and its end after three days."""

from datetime import UTC, datetime, timedelta

import pytest

from cleanmails.rules import retries
from cleanmails.rules.retries import Outcome

NOW = datetime(2030, 1, 31, 9, tzinfo=UTC)
TABLE = (5, 60, 300, 1_800, 7_200, 18_000, 36_000, 43_200, 43_200, 43_200)


@pytest.mark.parametrize(("failures", "seconds"), list(enumerate(TABLE, 1)))
def test_each_gap_is_that_of_the_table_give_or_take_a_tenth(failures, seconds):
    spread = [retries.gap(failures, dice).total_seconds() for dice in (0.0, 0.25, 0.5, 0.75, 1 - 1e-9)]
    assert spread == sorted(spread)
    assert spread[0] == pytest.approx(0.9 * seconds)
    assert spread[2] == pytest.approx(seconds)
    assert spread[4] == pytest.approx(1.1 * seconds)


@pytest.mark.parametrize("dice", [0.0, 0.5, 0.999])
def test_an_event_is_tried_for_three_days_and_then_given_up(dice):
    now, attempts = NOW, 0
    while (due := retries.next_attempt(attempts + 1, NOW, now, dice)) is not None:
        assert due > now
        now, attempts = due, attempts + 1
    assert 10 <= attempts <= 13
    assert timedelta(days=2.3) < now - NOW <= retries.PATIENCE


def test_what_a_server_asks_for_is_granted_up_to_an_hour():
    assert retries.next_attempt(1, NOW, NOW, 0.5, asked=120) == NOW + timedelta(seconds=120)
    assert retries.next_attempt(1, NOW, NOW, 0.5, asked=86_400) == NOW + timedelta(hours=1)
    assert retries.next_attempt(4, NOW, NOW, 0.5, asked=1) == NOW + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, Outcome.DELIVERED), (204, Outcome.DELIVERED), (301, Outcome.FAILED), (304, Outcome.FAILED), (400, Outcome.FAILED), (401, Outcome.FAILED),
     (410, Outcome.GONE), (429, Outcome.BUSY), (500, Outcome.FAILED), (503, Outcome.FAILED), (None, Outcome.FAILED)],
)  # fmt: skip
def test_what_a_status_means(status, outcome):
    assert retries.outcome(status) is outcome


@pytest.mark.parametrize(("header", "seconds"), [("0", 0.0), ("120", 120.0), (None, None), ("", None), ("-1", None), ("1.5", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("9" * 30, None), ("١٢", None)])  # fmt: skip
def test_only_seconds_are_read_of_a_retry_after(header, seconds):
    assert retries.retry_after(header) == seconds
