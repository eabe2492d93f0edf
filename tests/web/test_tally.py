"""Figures that are kept for a moment: small ones never, great ones until they are counted again behind the reader's back."""

import threading
from functools import partial

from cleanmails.web.tally import GREAT, Tally


def test_what_is_small_is_counted_each_time():
    tally, counts = Tally(int), iter(range(1, 9))
    assert [tally.read(7, lambda: next(counts)) for _ in range(3)] == [1, 2, 3]


def test_what_is_great_is_shown_as_it_was_and_counted_again_once_it_is_old():
    now = [0.0]
    tally, done = Tally(int, clock=lambda: now[0]), threading.Event()

    def again():
        done.set()
        return GREAT + 2

    assert tally.read(7, lambda: GREAT + 1) == GREAT + 1
    assert tally.read(7, lambda: 0) == GREAT + 1
    assert tally.read(8, lambda: 5) == 5
    now[0] = 1.1
    assert tally.read(7, again) == GREAT + 1
    assert done.wait(30)
    [thread] = [each for each in threading.enumerate() if each.name == "tally"] or [None]
    if thread is not None:
        thread.join(30)
    assert tally.read(7, lambda: 0) == GREAT + 2


def test_what_is_counted_again_is_counted_one_by_one_whatever_becomes_of_it():
    now, done, at_once, most = [0.0], threading.Barrier(2), [0], [0]
    tally = Tally(int, clock=lambda: now[0])

    def count(id):
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        at_once[0] -= 1
        if id == 2:
            raise ValueError
        if id == 3:
            done.wait(30)
        return GREAT + 10 + id

    for id in (1, 2, 3):
        tally.read(id, lambda: GREAT)
    now[0] = 1.1
    for id in (1, 2, 3):
        tally.read(id, partial(count, id))
    done.wait(30)
    for each in [each for each in threading.enumerate() if each.name == "tally"]:
        each.join(30)
    assert [tally.read(id, lambda: 0) for id in (1, 2, 3)] == [GREAT + 11, GREAT, GREAT + 13]
    assert most == [1]
