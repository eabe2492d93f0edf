"""Which subject is the best is said with how sure that is, and decided only when there is enough to go by."""

import pytest

from cleanmails.rules.subjects import Tally, judge


@pytest.mark.parametrize(
    ("tallies", "best", "decided"),
    [
        ([(100, 50), (100, 10)], 0, True),
        ([(100, 10), (100, 50), (100, 12)], 1, True),
        ([(99, 50), (100, 10)], 0, False),
        ([(0, 0), (0, 0)], 0, False),
        ([(100, 20), (100, 20)], None, False),
        ([(100, 21), (100, 20)], 0, False),
        ([(100, 0), (100, 0)], None, False),
        ([(5_000, 1_100), (5_000, 1_000)], 0, True),
    ],
)
def test_the_best_is_decided_once_every_subject_has_a_hundred_mails_and_it_is_sure(tallies, best, decided):
    verdict = judge([Tally(*each) for each in tallies])
    assert (verdict.best, verdict.decided) == (best, decided)
    assert 0.5 <= verdict.confidence <= 1
    assert verdict.sentence.endswith(".")


def test_more_mails_make_it_surer():
    few, many = (judge([Tally(n, n * 3 // 10), Tally(n, n // 4)]).confidence for n in (100, 1_000))
    assert few < many
