"""Marks of many threads, asked for together: each thread hears of its own mail, and an error reaches all whom it may concern."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from msgspec.structs import replace

from cleanmails.errors import BusyError


def all_at_once(marks, asked):
    """Asks for all from a thread each; what each heard, in order. Every thread is on its way before the first one asks."""
    here = threading.Barrier(len(asked))

    def ask(mark):
        with marks.coming():
            here.wait(10)
            return marks.ask(mark)

    with ThreadPoolExecutor(len(asked)) as threads:
        return list(threads.map(ask, asked))


def commits(house, asked):
    """In how many transactions they were marked."""
    return house.one(
        "SELECT count(DISTINCT xmin::text) FROM deliveries WHERE id = ANY (%s) AND state = 'sending'",
        [m.id for m in asked],
    )


def test_threads_are_granted_their_own_mails_in_one_transaction(house, ready):
    work, asked = ready
    house.run("UPDATE campaigns SET status = 'paused' WHERE id = ANY (%s)", [mark.campaign_id for mark in asked[::2]])
    assert all_at_once(work.marks, asked) == [False, True] * 8
    # A slow machine may leave some behind: they ask on their own.
    assert commits(house, asked) <= 4


def test_mails_of_one_sender_are_never_asked_for_together(house, ready):
    work, asked = ready
    one = asked[0].sender_id
    house.run("UPDATE senders SET daily_limit = 5 WHERE id = %s", one)
    house.run("UPDATE deliveries SET sender_id = %s", one)
    granted = all_at_once(work.marks, [replace(mark, sender_id=one) for mark in asked])
    assert sorted(granted) == [False] * 11 + [True] * 5
    assert commits(house, asked) == 5
    assert house.one("SELECT used FROM sender_days WHERE sender_id = %s", one) == 5


def test_whoever_is_alone_waits_for_nobody(ready, monkeypatch):
    work, (mark, *_) = ready
    monkeypatch.setattr("cleanmails.actors.marks.LINGER", 3_600)
    with work.marks.coming():
        assert work.marks.ask(mark)


def test_one_that_never_comes_is_not_waited_for(ready):
    work, (mark, *_) = ready
    with ThreadPoolExecutor(1) as other, work.marks.coming():
        assert other.submit(work.marks.ask, mark).result(5)


def test_a_ledger_that_does_not_answer_grants_nobody_and_the_next_try_is_as_any_other(house, ready):
    work, asked = ready
    work.marks.ask(asked[0])
    house.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND position('mark_sending' IN query) > 0"
    )
    with pytest.raises(BusyError):
        work.marks.ask(asked[1])
    assert all_at_once(work.marks, asked[1:]) == [True] * 15


def test_whose_walk_somebody_holds_is_refused_and_keeps_no_company_waiting(ready, database_url):
    work, asked = ready
    held = asked[3]
    with psycopg.connect(database_url) as db:
        walk = [held.campaign_id, held.lead_id]
        db.execute("SELECT FROM campaign_leads WHERE campaign_id = %s AND lead_id = %s FOR UPDATE", walk)
        assert all_at_once(work.marks, asked) == [mark is not held for mark in asked]
    assert work.marks.ask(held)
