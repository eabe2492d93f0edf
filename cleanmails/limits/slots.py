"""Slots of time that one of many takes, such as the planner's five seconds."""

from redis import Redis

from cleanmails.limits.connect import answering


def first(redis: Redis, name: str, seconds: int) -> bool:
    """Whether nobody has taken the slot before, within `seconds`. BusyError without Redis: then nobody knows.

    A hint that saves work and no lock: after a flush a second caller is told the same.
    """
    with answering():
        return bool(redis.set(f"cm:slot:{name}", 1, nx=True, ex=seconds))
