import signal
from datetime import date

import pytest

from cleanmails.errors import BusyError, SettingsError
from cleanmails.limits.connect import Script, answering, connect
from cleanmails.limits.daily import Daily
from cleanmails.limits.rate import Rate
from cleanmails.limits.slots import first

DAY = date(2026, 3, 29)

CALLS = {
    "used": lambda redis: Daily(redis).used([1], DAY),
    "room": lambda redis: Daily(redis).room({1: 50}, DAY),
    "reserve": lambda redis: Daily(redis).reserve({1: 1}, {1: 50}, DAY),
    "epoch": lambda redis: Daily(redis).epoch(DAY),
    "release": lambda redis: Daily(redis).release({1: 1}, DAY, "epoch"),
    "rebuild": lambda redis: Daily(redis).rebuild({1: 1}, DAY),
    "replace": lambda redis: Daily(redis).replace({1: 1}, DAY),
    "take": lambda redis: Rate(redis).take("google", 2),
    "turn": lambda redis: Rate(redis).turn("google", 2),
    "first": lambda redis: first(redis, "plan", 5),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_without_redis_every_call_is_refused_as_busy(call, tmp_path):
    with connect(f"unix://{tmp_path}/nobody") as redis, pytest.raises(BusyError) as caught:
        call(redis)
    assert caught.value.code == "redis_unavailable"
    assert caught.value.__cause__ is not None


def test_every_call_works_again_on_the_same_client_after_a_kill_and_a_restart(valkey, redis):
    for call in CALLS.values():
        call(redis)
    valkey.kill()
    for call in CALLS.values():
        with pytest.raises(BusyError):
            call(redis)
    valkey.start()
    for call in CALLS.values():
        call(redis)


def test_every_call_survives_a_script_flush(redis):
    for call in CALLS.values():
        call(redis)
        redis.script_flush()
        call(redis)


@pytest.fixture
def hanging(valkey):
    """Called, the server hangs; called again, it goes on."""
    signals = iter([signal.SIGSTOP, signal.SIGCONT])
    yield lambda: valkey.process.send_signal(next(signals))
    valkey.process.send_signal(signal.SIGCONT)


def test_a_lost_answer_is_neither_asked_for_again_nor_taken_for_that_of_another_question(valkey, hanging):
    with connect(f"{valkey.url}?socket_timeout=1") as redis:
        redis.ping()
        hanging()
        with pytest.raises(BusyError), answering():
            redis.incr("once")
        hanging()
        assert redis.get("another") is None
        assert int(redis.get("once") or 0) <= 1


def test_a_full_server_is_busy(redis):
    Daily(redis).rebuild({1: 0}, DAY)
    redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(BusyError):
            Daily(redis).reserve({1: 1}, {1: 50}, DAY)
    finally:
        redis.config_set("maxmemory", 0)


def test_a_script_is_sent_as_text_only_while_the_server_does_not_know_it(redis):
    redis.script_flush()
    redis.config_resetstat()
    script = Script(redis, "daily.lua")
    for _ in range(3):
        script(["cm:day:20260329"], ["used", ""])
    assert redis.info("commandstats")["cmdstat_eval"]["calls"] == 1


@pytest.mark.parametrize("url", ["http://localhost", "redis://localhost:redis", "redis://localhost:99999"])
def test_a_url_that_cannot_be_read_stops_the_start(url):
    with pytest.raises(SettingsError, match="REDIS_URL"):
        connect(url)


def test_timeouts_are_short(valkey):
    with connect(valkey.url) as redis:
        options = redis.connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (2, 2)
