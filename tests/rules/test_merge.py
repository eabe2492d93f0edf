"""Two people's changes brought together."""

from itertools import product

from cleanmails.rules.merge import mark, marks, merged

BASE = {"a": 1, "b": 2, "c": 3}


def test_what_only_one_touched_is_as_that_one_left_it():
    found = merged(marks(BASE), BASE | {"a": 10}, BASE | {"b": 20})
    assert found.parts == {"a": 10, "b": 20, "c": 3}
    assert (found.mine, found.theirs, found.conflicts) == (["a"], ["b"], [])


def test_what_both_touched_is_a_conflict_unless_they_did_the_same():
    found = merged(marks(BASE), BASE | {"a": 10, "b": 7}, BASE | {"a": 11, "b": 7})
    assert found.conflicts == ["a"]
    assert found.parts == {"a": 10, "b": 7, "c": 3}


def test_what_one_took_away_stays_away_unless_the_other_has_changed_it():
    mine = {"b": 2, "c": 3}
    assert merged(marks(BASE), mine, BASE | {"d": 4}).parts == {"b": 2, "c": 3, "d": 4}
    assert merged(marks(BASE), mine, BASE | {"a": 5}).conflicts == ["a"]
    assert merged(marks(BASE), BASE, mine).parts == mine


def test_nobodys_change_is_ever_dropped_in_silence():
    """Every case of one part: gone, as it was, or one of two others, on each of three sides."""
    for base, mine, theirs in product([None, 1], [None, 1, 2, 3], [None, 1, 2, 3]):
        sides = [{} if each is None else {"x": each} for each in (base, mine, theirs)]
        found = merged(marks(sides[0]), sides[1], sides[2])
        changed = {each for each in (mine, theirs) if each != base}
        if len(changed) > 1:
            assert found.conflicts == ["x"]
        else:
            assert found.conflicts == []
            assert found.parts.get("x") == next(iter(changed), base)


def test_a_mark_looks_at_what_is_said_and_not_at_how():
    assert mark({"a": "x\r\ny", "b": 1}) == mark({"b": 1, "a": "x\ny"})
    assert mark(1) != mark("1")
