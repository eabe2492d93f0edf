"""The scheduler process: periodiq, which enqueues a tick at the start of each minute. `periodiq cleanmails.actors.scheduler` imports this file.

The tick carries no information. Two schedulers, or none for an hour, change nothing but when the planner is woken.
"""

import os

import dramatiq
from periodiq import PeriodiqMiddleware, cron

from cleanmails import log, settings
from cleanmails.actors.broker import TICK_AGE_MS, make_broker

_settings = settings.load(os.environ)
log.configure(_settings.log_format)
broker = make_broker(_settings.servers().redis_url, middleware=[PeriodiqMiddleware(skip_delay=30)])
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name="plan", actor_name="tick", max_age=TICK_AGE_MS, periodic=cron("* * * * *"))
def tick() -> None:
    """Enqueued here, done by the plan workers (`actors/plan.py`)."""
    raise AssertionError("the scheduler process takes no messages")


@dramatiq.actor(queue_name="upkeep", actor_name="upkeep", max_age=TICK_AGE_MS, periodic=cron("0 * * * *"))
def upkeep() -> None:
    """Enqueued here, done by the upkeep workers (`actors/upkeep.py`)."""
    raise AssertionError("the scheduler process takes no messages")
