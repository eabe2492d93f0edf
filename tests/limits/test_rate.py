import heapq
import math
import random
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.limits.connect import connect
from cleanmails.limits.rate import Hand, Rate, Slot, pace

# --- the arithmetic of a pace -------------------------------------------------------------------------------------------


@given(st.floats(0.001, 10_000) | st.integers(1, 10_000).map(float))
def test_mails_as_late_as_a_pace_allows_never_make_a_second_hold_more_than_the_rate_plus_one(rate):
    to_keep = pace(rate)
    late = 2 * to_keep.hearing * 0.999
    early = to_keep.tolerance + (to_keep.handful - 1) * to_keep.interval
    assert math.floor((1 + early + late) / to_keep.interval) + 1 <= rate + 1


@given(st.floats(0.001, 10_000))
def test_every_pace_uses_95_percent_of_the_rate_and_allows_some_lateness_and_no_two_mails_at_once(rate):
    to_keep = pace(rate)
    assert 1 / to_keep.interval == pytest.approx(rate * 0.952, rel=0.001)
    assert to_keep.hearing > 0.0166
    assert 0 < to_keep.tolerance <= to_keep.interval / 2


@pytest.mark.parametrize(("rate", "spare"), [(2, 0.575), (5, 0.26), (1.9, 0.105), (0.5, 1.1)])
def test_lateness_is_shared_out_in_thirds(rate, spare):
    to_keep = pace(rate)
    assert to_keep.tolerance == pytest.approx(spare / 3, abs=0.001)
    assert to_keep.hearing == pytest.approx(spare / 3, abs=0.001)


@pytest.mark.parametrize(("rate", "handful"), [(0.5, 1), (5, 1), (72, 1), (74, 2), (2_000, 32), (10_000, 159)])
def test_slots_come_in_handfuls_where_they_are_close_together(rate, handful):
    assert pace(rate).handful == handful


@pytest.mark.parametrize("rate", [0, -1, math.nan])
def test_a_rate_that_is_not_above_zero_is_refused(rate):
    with pytest.raises(ValueError, match="above 0"):
        pace(rate)


# --- the script, on a clock of the test's own ---------------------------------------------------------------------------

SCRIPT = files("cleanmails.limits").joinpath("rate.lua").read_text()
START = 1_800_000_000_000_000


class Clocked:
    """The real script on the real server, told the time instead of asking for it."""

    def __init__(self, redis):
        assert SCRIPT.count("redis.call('TIME')") == 1
        self.redis = redis
        self.text = SCRIPT.replace("redis.call('TIME')", "{ARGV[4], ARGV[5]}")

    def wait(self, now, interval, tolerance, wanted=1):
        seconds = now // 1_000_000, now % 1_000_000
        return self.redis.eval(self.text, 2, "cm:rate:a", "cm:rate-since", interval, tolerance, wanted, *seconds)


class Bucket:
    """The same by another reading of I.371, the continuous-state leaky bucket: what happened before it is born counts as a slot just taken."""

    def __init__(self, interval, tolerance):
        self.interval, self.full = interval, interval + tolerance
        self.forget()

    def forget(self):
        self.level = self.born = None

    def wait(self, now):
        if self.born is None or now < self.born:
            self.born, self.level, self.last = now, self.full, now
        self.level = min(self.full, max(0, self.level - (now - self.last)))
        self.last = now
        wait = max(0, self.level - (self.full - self.interval))
        if wait == 0:
            self.level += self.interval
        return wait


# Minutes long, so that no key expires by the server's own clock in the middle.
INTERVAL = 90_000_000
LENGTHS = st.sampled_from([0.001, 0.3, 0.5, 0.9, 1, 1.1, 2.5, 7]).map(lambda intervals: int(intervals * INTERVAL))
FORWARD = st.tuples(st.just("pass"), LENGTHS)
BACK = st.tuples(st.just("step back"), LENGTHS)
FLUSH = st.just(("flush", 0))
EVENTS = st.lists(FORWARD | FORWARD | BACK | FLUSH, min_size=8, max_size=25)


@settings(max_examples=40)
@given(slack=st.sampled_from([0, 0.1, 0.5, 1, 2.2]), events=EVENTS)
def test_the_script_does_what_a_leaky_bucket_does(session_valkey, slack, events):
    clocked, tolerance = fresh(session_valkey), int(INTERVAL * slack)
    bucket, now = Bucket(INTERVAL, tolerance), START
    for event, micros in [("pass", 0), *events]:
        now += {"pass": micros, "step back": -micros, "flush": 0}[event]
        if event == "flush":
            clocked.redis.flushall()
            bucket.forget()
        assert clocked.wait(now, INTERVAL, tolerance) == bucket.wait(now)


@settings(max_examples=40)
@given(slack=st.sampled_from([0, 0.1, 0.5]), events=EVENTS)
def test_neither_a_flush_nor_a_clock_set_back_brings_slots_closer_together_or_keeps_anybody_long(
    session_valkey, slack, events
):
    clocked, tolerance = fresh(session_valkey), int(INTERVAL * slack)
    passed, offset, taken = 0, START, []
    for event, micros in events:
        passed += micros if event == "pass" else 0
        offset -= micros if event == "step back" else 0
        if event == "flush":
            clocked.redis.flushall()
        wait = clocked.wait(offset + passed, INTERVAL, tolerance)
        assert wait <= INTERVAL
        if wait == 0:
            taken.append(passed)
    for first in range(len(taken)):
        for last in range(first + 1, len(taken)):
            assert taken[last] - taken[first] >= (last - first) * INTERVAL - tolerance
    assert clocked.wait(offset + passed + INTERVAL, INTERVAL, tolerance) == 0


def fresh(server):
    if server.process is None:
        server.start()
    redis = connect(server.url)
    redis.flushall()
    return Clocked(redis)


def test_after_a_rest_no_more_than_the_burst_go_at_once(session_valkey):
    clocked, minute = fresh(session_valkey), 60_000_000
    clocked.wait(START, minute, 2 * minute)
    later = START + 1000 * minute
    assert [clocked.wait(later, minute, 2 * minute) for _ in range(4)] == [0, 0, 0, minute]


@pytest.mark.parametrize("rate", [0.9, 2, 5, 20])
def test_a_crowd_that_wakes_late_uses_nine_tenths_of_a_rate_and_never_more_than_one_above_it(session_valkey, rate):
    """Six workers on simulated time, a millisecond of theirs being a second of the script's, so that no key expires."""
    clocked, dice, to_keep = fresh(session_valkey), random.Random(7), pace(rate)
    interval, tolerance = math.ceil(to_keep.interval * 1e9), math.floor(to_keep.tolerance * 1e9)
    workers = sorted((dice.random(), worker) for worker in range(6))
    granted = []
    while (now := workers[0][0]) < 1 + 60 / rate:
        wait = clocked.wait(START + round(now * 1e9), interval, tolerance) / 1e9
        if wait == 0:
            granted.append(now)
        late = dice.uniform(0.0001, to_keep.tolerance)
        heapq.heapreplace(workers, (now + wait + late, workers[0][1]))
    arrived = [each + dice.uniform(0, 2 * to_keep.hearing) for each in granted]
    assert max(sum(start <= each < start + 1 for each in arrived) for start in arrived) <= rate + 1
    assert (len(granted) - 1) / (granted[-1] - granted[0]) >= 0.9 * rate


@pytest.mark.parametrize("rate", [100, 500])
def test_a_crowd_with_handfuls_never_sends_more_than_one_above_the_rate_either(session_valkey, rate):
    """As above; a worker that holds slots uses one a millisecond, and now and then it rests until they are worth nothing."""
    clocked, dice, to_keep = fresh(session_valkey), random.Random(7), pace(rate)
    interval = math.ceil(to_keep.interval * 1e9)
    tolerance = math.floor((to_keep.tolerance + (to_keep.handful - 1) * to_keep.interval) * 1e9)
    hands = [Hand() for _ in range(4)]
    workers = sorted((dice.random() / 10, worker) for worker in range(4))
    used, taken = [], []
    while (now := workers[0][0]) < 2:
        hand, pause = hands[workers[0][1]], dice.choice([0.001, 0.001, 0.001, 0.03])
        if hand.draw(now):
            used.append(now)
        else:
            answer = clocked.wait(START + round(now * 1e9), interval, tolerance, min(hand.wanted, to_keep.handful))
            slots = 1 - answer if answer <= 0 else 0
            hand.take(slots, now + to_keep.hearing)
            used += [now] * (slots > 0)
            taken += [slots] if slots else []
            pause = max(pause, answer / 1e9)
        heapq.heapreplace(workers, (now + pause, workers[0][1]))
    arrived = [each + dice.uniform(0, to_keep.hearing) for each in used]
    assert max(sum(start <= each < start + 1 for each in arrived) for start in arrived) <= rate + 1
    assert len(used) / (used[-1] - used[0]) >= 0.6 * rate
    assert max(taken) > 1


# --- the limiter, on the server's clock ---------------------------------------------------------------------------------

SLOW = 0.01  # a mail in 105 seconds: a machine that stands still for a while changes nothing


@pytest.fixture
def rate(redis):
    """A limiter whose server has been up for longer than any interval used here, and whose answers are never late."""
    remember_long(redis)
    return Rate(redis, clock=lambda: 0.0)


def remember_long(redis):
    redis.set("cm:rate-since", f"{redis.info('server')['run_id']}:0")


def test_the_first_may_go_at_once_and_the_second_after_an_interval(rate):
    assert rate.take("google", SLOW) == Slot(granted=True, wait=0.0)
    second = rate.take("google", SLOW)
    assert not second.granted
    assert 50 < second.wait <= 105.001


def test_asking_takes_nothing(rate):
    rate.take("google", SLOW)
    waits = [rate.take("google", SLOW).wait for _ in range(20)]
    assert waits == sorted(waits, reverse=True)


def test_providers_do_not_wait_for_each_other(rate):
    assert rate.take("google", SLOW).granted
    assert rate.take("yahoo", SLOW).granted


def test_a_burst_may_be_taken_at_once(rate):
    assert [rate.take("ai", SLOW, burst=3).granted for _ in range(4)] == [True, True, True, False]


def test_a_rate_that_was_raised_holds_at_once(rate):
    rate.take("google", SLOW)
    assert rate.take("google", 2 * SLOW).wait <= 52.501


def test_a_handful_is_asked_for_once_and_lasts_a_moment(redis):
    remember_long(redis)
    now = [100.0]
    rate = Rate(redis, clock=lambda: now[0])
    before = redis.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    assert all(rate.take("google", 10_000).granted for _ in range(15))  # 1 + 2 + 4 + 8
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] - before <= 5
    assert rate.take("google", 10_000).granted
    now[0] += 1  # what is left of it is worth nothing now
    redis.set("cm:rate:google", f"{(redis.time()[0] + 60) * 1_000_000}", px=60_000)
    assert not rate.take("google", 10_000).granted


def test_a_turn_waits_for_its_slot(rate):
    assert all(rate.turn("google", 20).granted for _ in range(3))


def test_a_turn_that_would_wait_beyond_the_horizon_is_told_how_long_and_does_not_sleep(redis):
    naps = []
    rate = Rate(redis, sleep=naps.append)
    rate.take("google", SLOW)
    slot = rate.turn("google", SLOW, horizon=1.0)
    assert not slot.granted
    assert 50 < slot.wait <= 105.001
    assert naps == []


def test_a_turn_that_is_overtaken_again_and_again_gives_up_at_the_horizon(redis):
    now, naps = [0.0], []

    def sleep_while_another_takes_the_slot(seconds):
        naps.append(seconds)
        now[0] += seconds
        remember_long(redis)
        redis.delete("cm:rate:google")
        assert Rate(redis, clock=lambda: 0.0).take("google", 4).granted

    rate = Rate(redis, clock=lambda: now[0], sleep=sleep_while_another_takes_the_slot)
    assert not rate.turn("google", 4, horizon=1.0).granted
    assert len(naps) >= 3
    assert sum(naps) <= 1.0


def test_a_slot_whose_answer_comes_too_late_is_not_used(redis):
    remember_long(redis)
    moments = iter([10.0, 60.0])
    assert Rate(redis, clock=lambda: next(moments)).take("google", SLOW) == Slot(granted=False, wait=0.0)
    assert not Rate(redis).take("google", SLOW).granted


def test_after_a_restart_nothing_goes_before_an_interval_is_over(forgetful):
    with connect(forgetful.url) as redis:
        rate = Rate(redis, clock=lambda: 0.0)
        remember_long(redis)
        redis.save()
        assert rate.take("google", SLOW).granted
        forgetful.kill()
        forgetful.start()
        assert 95 < rate.take("google", SLOW).wait <= 105.1


def test_what_is_past_leaves_no_key(rate, redis):
    rate.take("google", SLOW)
    assert 0 < redis.pttl("cm:rate:google") <= 105_001
