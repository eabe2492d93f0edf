"""ask: the questions of AI tags are put to the workspace's model before a mail is rendered; outside of every transaction, and away from the render workers.

What was answered, or that it was not, is written down once for a lead, a step and a question: a retry and the preview read the same words.
"""

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from cleanmails import log
from cleanmails.actors import render
from cleanmails.actors.work import Kit, Work, stopwatch
from cleanmails.errors import BusyError, SealError, UnreachableError
from cleanmails.ledger import ai, deliveries
from cleanmails.ledger.db import Row
from cleanmails.limits.breaker import Breaker
from cleanmails.limits.connect import connect
from cleanmails.limits.rate import Rate
from cleanmails.mail.connector import Connector
from cleanmails.mail.models import Model
from cleanmails.mail.models import ask as put
from cleanmails.rules import content

PER_SECOND: Final = 10.0
"""Questions a second to a workspace's model, all processes together."""

AT_ONCE: Final = 4
"""Threads of a process that may wait for models; the others are for the rest of its work."""

_PATIENCE: Final = 30
"""Seconds that a question waits for its turn before it is left for later."""

logger = log.get(__name__)
_turns = threading.BoundedSemaphore(AT_ONCE)


def ask(work: Work, ids: Sequence[int]) -> None:
    """Asks what the mails of a chunk need, and hands them back to be rendered."""
    if not _turns.acquire(blocking=False):
        work.queues.ask(ids, delay_ms=1_000)
        return
    try:
        with work.finishing(lambda db: deliveries.release(db, ids, work.worker_id)):
            _ask(work, ids)
    finally:
        _turns.release()


def _ask(work: Work, ids: Sequence[int]) -> None:
    begun = stopwatch()
    with work.database.transaction() as db:
        held = deliveries.take_planned(db, ids, work.worker_id)
        rows = deliveries.render_facts(db, held)
    asked = 0
    sealed: set[int] = set()
    for row in rows:
        if row["body"] is None or row["workspace_id"] in sealed:
            continue
        try:
            asked += len(missing(work, row, work.settings.servers().redis_url))
        except SealError as error:
            # Not a fallback, which would be for good: its mails wait for the key, and those of others go on.
            sealed.add(row["workspace_id"])
            logger.error("model.sealed", workspace=row["workspace_id"], reason=error.message)  # noqa: TRY400 - no trace is needed
    waiting = {row["id"] for row in rows if row["workspace_id"] in sealed}
    with work.database.transaction() as db:
        deliveries.set_aside(db, [(id, token) for id, token in held if id in waiting])
        deliveries.release(db, ids, work.worker_id)
    work.queues.render([id for id, _ in held if id not in waiting])
    logger.info("models.asked", mails=len(rows), questions=asked, ms=round(1000 * (stopwatch() - begun), 1))


def missing(kit: Kit, row: Row, redis_url: str) -> list[content.Prompt]:
    """Asks what is not answered yet of one mail's questions, and writes it down; returns what was asked. BusyError: not now.

    A model that fails, or failed too often lately, has answered nothing: the fallback stands in for good, and without one the mail is held.
    """
    questions = render.questions(row)
    if not questions:
        return []
    with kit.database.transaction() as db:
        known = ai.known(db, [row])[row["id"]].answers
        settings = ai.settings(db, row["workspace_id"])
    open_ones = [question for question in questions if question.key not in known]
    if settings is None or not open_ones:
        return []
    model = model_of(kit, row["workspace_id"], settings)
    for question in open_ones:
        answer, failure = _answer(kit, row["workspace_id"], model, question.text, redis_url)
        with kit.database.transaction() as db:
            ai.keep(db, row, question.key, answer=answer, failure=failure)
    return open_ones


def model_of(kit: Kit, workspace_id: int, settings: Row) -> Model:
    """A workspace's model, from the row of its settings."""
    return Model(
        kind=settings["kind"],
        url=settings["url"],
        model=settings["model"],
        key=kit.vault.open(bytes(settings["key_sealed"]), f"ai:{workspace_id}:key").decode(),
        timeout=settings["timeout_seconds"],
        max_characters=settings["max_characters"],
    )


def try_out(kit: Kit, model: Model, question: str) -> str:
    """One question outside of all counts. UnreachableError."""
    ca_file = str(kit.settings.ca_file) if kit.settings.ca_file else None
    return put(
        model, question, connect=Connector(allow_private=kit.settings.allow_private_hosts).connect, ca_file=ca_file
    )


def _answer(kit: Kit, workspace_id: int, model: Model, question: str, redis_url: str) -> tuple[str | None, str | None]:
    """The answer, or why there is none."""
    (breaker, rate), name = _limits(redis_url), f"ai:{workspace_id}"
    if not breaker.closed(name):
        return None, "The model failed too often lately."
    for _ in range(_PATIENCE):
        if rate.turn(name, PER_SECOND).granted:
            break
    else:
        raise BusyError("The model is asked as often as it may be.", retry_after=5)
    try:
        answer = try_out(kit, model, question)
    except UnreachableError as error:
        breaker.failed(name)
        logger.warning("model.failed", workspace=workspace_id, code=error.code, reason=error.message)
        return None, error.message
    breaker.worked(name)
    return answer, None


@lru_cache(maxsize=4)
def _limits(url: str) -> tuple[Breaker, Rate]:
    redis = connect(url)
    return Breaker(redis), Rate(redis)
