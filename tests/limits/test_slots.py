from concurrent.futures import ThreadPoolExecutor

from cleanmails.limits.slots import first


def test_only_one_of_many_is_first(redis):
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: first(redis, "plan:2026-03-29T10:00:05", 60), range(64)))
    assert sorted(answers) == [False] * 63 + [True]


def test_slots_of_different_names_are_apart(redis):
    assert first(redis, "plan:1", 60)
    assert first(redis, "plan:2", 60)


def test_a_slot_is_forgotten_after_its_time(redis):
    first(redis, "plan:1", 60)
    assert 0 < redis.ttl("cm:slot:plan:1") <= 60


def test_a_flush_opens_the_slot_again(redis):
    first(redis, "plan:1", 60)
    redis.flushall()
    assert first(redis, "plan:1", 60)
