"""How far an import is: the bar only moves on, and is at its end only at the end."""

from hypothesis import given
from hypothesis import strategies as st

from cleanmails.rules import progress


def test_nothing_read_says_nothing():
    assert progress.of(read=0, size=100, reading=3, taking=None) == progress.Progress(done=0.0, seconds_left=None)


def test_half_read_is_a_seventh_of_the_way():
    found = progress.of(read=50, size=100, reading=10, taking=None)
    assert found.done == 0.152
    assert found.seconds_left == 56.0


@given(st.integers(1, 100), st.floats(0.1, 1000), st.floats(0, 1000))
def test_taking_stands_behind_reading_and_before_the_end(read, reading, taking):
    before = progress.of(read=read, size=100, reading=reading, taking=None)
    after = progress.of(read=100, size=100, reading=reading + taking, taking=taking)
    assert 0 <= before.done <= 0.304
    assert 0.303 <= after.done < 1
    assert after.seconds_left >= 1
