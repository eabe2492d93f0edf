from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.limits.connect import connect
from cleanmails.limits.daily import Daily

DAY = date(2026, 3, 29)
LIMIT = {1: 50, 2: 10}


@pytest.fixture
def daily(redis):
    return Daily(redis)


def test_a_missing_counter_is_unknown_and_not_zero(daily):
    assert daily.used([1, 2], DAY) == {1: None, 2: None}
    assert daily.room(LIMIT, DAY) == {1: None, 2: None}


def test_a_missing_counter_grants_nothing_and_stays_missing(daily):
    assert daily.reserve({1: 5}, LIMIT, DAY).counts == {1: 0}
    assert daily.used([1], DAY) == {1: None}


def test_room_is_the_limit_less_what_is_used_and_never_below_zero(daily):
    daily.rebuild({1: 20, 2: 11}, DAY)
    assert daily.room(LIMIT, DAY) == {1: 30, 2: 0}


def test_a_reservation_is_cut_to_what_is_left(daily):
    daily.rebuild({1: 45, 2: 0}, DAY)
    assert daily.reserve({1: 9, 2: 3}, LIMIT, DAY).counts == {1: 5, 2: 3}
    assert daily.used([1, 2], DAY) == {1: 50, 2: 3}
    assert daily.reserve({1: 1}, LIMIT, DAY).counts == {1: 0}


def test_one_missing_counter_does_not_hold_the_others(daily):
    daily.rebuild({1: 0}, DAY)
    assert daily.reserve({1: 2, 2: 2}, LIMIT, DAY).counts == {1: 2, 2: 0}


def test_a_lowered_limit_grants_nothing_and_takes_nothing_back(daily):
    daily.rebuild({1: 30}, DAY)
    assert daily.reserve({1: 5}, {1: 20}, DAY).counts == {1: 0}
    assert daily.used([1], DAY) == {1: 30}


def test_a_wish_below_zero_gives_nothing_back(daily):
    daily.rebuild({1: 30}, DAY)
    assert daily.reserve({1: -5}, LIMIT, DAY).counts == {1: 0}
    assert daily.used([1], DAY) == {1: 30}


def test_what_is_given_back_can_be_taken_again(daily):
    daily.rebuild({1: 0}, DAY)
    reserved = daily.reserve({1: 50}, LIMIT, DAY)
    daily.release({1: 3}, DAY, reserved.epoch)
    assert daily.room({1: 50}, DAY) == {1: 3}


def test_giving_back_never_goes_below_zero(daily):
    daily.rebuild({1: 2}, DAY)
    daily.release({1: 5}, DAY, daily.epoch(DAY))
    assert daily.used([1], DAY) == {1: 0}


def test_giving_back_never_makes_a_counter(daily):
    daily.rebuild({1: 2}, DAY)
    daily.release({2: 1}, DAY, daily.epoch(DAY))
    assert daily.used([2], DAY) == {2: None}


def test_giving_back_where_there_are_no_counters_does_nothing(daily):
    assert daily.epoch(DAY) is None
    daily.release({1: 1}, DAY, daily.epoch(DAY))
    assert daily.used([1], DAY) == {1: None}


def test_what_was_reserved_before_a_flush_is_not_taken_off_figures_that_never_held_it(daily, redis):
    daily.rebuild({1: 10}, DAY)
    reserved = daily.reserve({1: 40}, LIMIT, DAY)
    redis.flushall()
    daily.rebuild({1: 10}, DAY)
    daily.release(reserved.counts, DAY, reserved.epoch)
    assert daily.used([1], DAY) == {1: 10}


@pytest.mark.parametrize("bring_in", [Daily.rebuild, Daily.replace])
def test_figures_of_the_ledger_begin_an_epoch(daily, bring_in):
    daily.rebuild({1: 10}, DAY)
    before = daily.epoch(DAY)
    bring_in(daily, {2: 5}, DAY)
    assert daily.epoch(DAY) != before


def test_a_rebuild_that_changes_nothing_begins_no_epoch(daily):
    daily.rebuild({1: 10}, DAY)
    before = daily.epoch(DAY)
    daily.rebuild({1: 10}, DAY)
    assert daily.epoch(DAY) == before


def test_a_rebuild_leaves_alone_what_is_there(daily):
    daily.rebuild({1: 20}, DAY)
    daily.rebuild({1: 3, 2: 4}, DAY)
    assert daily.used([1, 2], DAY) == {1: 20, 2: 4}


def test_replacing_sets_up_and_down(daily):
    daily.rebuild({1: 20, 2: 4}, DAY)
    daily.replace({1: 3, 2: 9}, DAY)
    assert daily.used([1, 2], DAY) == {1: 3, 2: 9}


def test_days_are_apart(daily):
    daily.rebuild({1: 50}, DAY)
    assert daily.used([1], DAY + timedelta(days=1)) == {1: None}


def test_counters_go_after_48_hours(daily, redis):
    daily.rebuild({1: 0}, DAY)
    assert 0 < redis.ttl("cm:day:20260329") <= 48 * 3600


def test_nothing_asked_is_nothing_done(daily):
    assert daily.room({}, DAY) == {}
    assert daily.reserve({}, {}, DAY).counts == {}


def test_a_flush_makes_counters_unknown(daily, redis):
    daily.rebuild({1: 20}, DAY)
    redis.flushall()
    assert daily.reserve({1: 1}, LIMIT, DAY).counts == {1: 0}
    assert daily.room({1: 50}, DAY) == {1: None}


def test_a_server_that_comes_back_with_old_counts_is_not_believed(forgetful):
    with connect(forgetful.url) as redis:
        daily = Daily(redis)
        daily.rebuild({1: 0}, DAY)
        redis.save()
        assert daily.reserve({1: 50}, LIMIT, DAY).counts == {1: 50}
        forgetful.kill()
        forgetful.start()
        assert redis.hget("cm:day:20260329", "1") == b"0"
        assert daily.reserve({1: 50}, LIMIT, DAY).counts == {1: 0}
        assert daily.room({1: 50}, DAY) == {1: None}


def test_a_thousand_senders_go_in_one_call(daily, redis):
    senders = dict.fromkeys(range(1, 1001), 50)
    daily.rebuild(dict.fromkeys(senders, 49), DAY)
    redis.config_resetstat()
    assert daily.reserve(dict.fromkeys(senders, 2), senders, DAY).counts == dict.fromkeys(senders, 1)
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == 1


class Ledger:
    """What is true: mails planned by each sender. The counters may say more than that, never less."""

    def __init__(self):
        self.planned = {1: 3, 2: 1}
        self.limits = {1: 7, 2: 3}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("plan"), st.integers(1, 2), st.integers(0, 5)),
        st.tuples(st.just("fail"), st.integers(1, 2), st.integers(0, 5)),
        st.tuples(st.just("cancel"), st.integers(1, 2), st.integers(0, 5)),
        st.tuples(st.just("crash"), st.integers(1, 2), st.integers(0, 5)),
        st.sampled_from([("flush",), ("rebuild",), ("replace",)]),
    ),
    max_size=25,
)


@settings(max_examples=40)
@given(steps=STEPS)
def test_counters_never_say_less_than_the_ledger(session_valkey, steps):
    if session_valkey.process is None:
        session_valkey.start()
    with connect(session_valkey.url) as redis:
        redis.flushall()
        daily, ledger = Daily(redis), Ledger()
        daily.rebuild(ledger.planned, DAY)
        for verb, *arguments in steps:
            {
                "plan": plan,
                "fail": fail,
                "cancel": cancel,
                "crash": crash,
                "flush": lambda *_: redis.flushall(),
                "rebuild": lambda daily, ledger: daily.rebuild(ledger.planned, DAY),
                "replace": lambda daily, ledger: daily.replace(ledger.planned, DAY),
            }[verb](daily, ledger, *arguments)
            used = daily.used([1, 2], DAY)
            assert all(used[each] is None or used[each] >= ledger.planned[each] for each in used)
            assert all(ledger.planned[each] <= ledger.limits[each] for each in ledger.limits)


def plan(daily, ledger, sender, wanted):
    ledger.planned[sender] += daily.reserve({sender: wanted}, ledger.limits, DAY).counts[sender]


def crash(daily, ledger, sender, wanted):
    """The planner dies between its reservation and its commit."""
    daily.reserve({sender: wanted}, ledger.limits, DAY)


def fail(daily, ledger, sender, wanted):
    """The planner's transaction is rolled back; before it gives back what it had reserved, figures of the ledger come in."""
    reserved = daily.reserve({sender: wanted}, ledger.limits, DAY)
    (daily.replace if wanted % 2 else daily.rebuild)(ledger.planned, DAY)
    daily.release(reserved.counts, DAY, reserved.epoch)


def cancel(daily, ledger, sender, count):
    """Planned mails are given up; upkeep comes between the commit and the release."""
    epoch = daily.epoch(DAY)
    given_up = min(count, ledger.planned[sender])
    ledger.planned[sender] -= given_up
    if count % 2:
        daily.replace(ledger.planned, DAY)
    daily.release({sender: given_up}, DAY, epoch)
