"""Bodies: every fault of one at once, with its path."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.api.body import FAULTS_SHOWN, Id, read, read_value
from cleanmails.errors import Fault, InvalidError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def lucky(value: int) -> tuple[str, str] | None:
    return ("unlucky", "Not thirteen.") if value == 13 else None


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    wait: Annotated[int, msgspec.Meta(ge=0, le=365, extra={"check": lucky})] = 0
    words: list[str] | str = ""


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=5)]
    colour: Colour = Colour.RED
    mode: Literal["slow", "fast"] = "slow"
    legs: Annotated[tuple[Leg, ...], msgspec.Meta(max_length=3)] = ()
    start: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    share: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    extra: dict[str, Any] = {}
    target: Id | None = None
    note: str | msgspec.UnsetType = msgspec.UNSET
    luck: Annotated[int, msgspec.Meta(extra={"check": lucky})] | str | None = None

    def faults(self) -> Iterator[Fault]:
        if self.share is not None and not self.legs:
            yield Fault("legs", "needed", "A share needs legs.")
        if self.name == self.note:
            yield Fault("note", "repeats", "This repeats the name.")


def faults(value: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidError) as caught:
        read(Journey, value if isinstance(value, bytes) else msgspec.json.encode(value))
    return [(fault.field, fault.code) for fault in caught.value.faults]


def test_a_right_body_becomes_the_struct():
    journey = read(
        Journey,
        b'{"name": "north", "colour": "blue", "legs": [{"wait": 2, "words": ["a"]}, {"words": "b"}],'
        b' "start": "2030-01-31T09:00:00Z", "share": 0.5, "extra": {"a": [1]}, "target": 7, "note": "x"}',
    )
    assert journey.colour is Colour.BLUE
    assert journey.legs == (Leg(wait=2, words=["a"]), Leg(words="b"))
    assert journey.start is not None
    assert journey.note == "x"


def test_what_is_left_out_keeps_its_default():
    assert read(Journey, b'{"name": "north"}') == Journey(name="north")
    assert read(Journey, b'{"name": "north"}').note is msgspec.UNSET


@pytest.mark.asvs("2.2.1", "2.2.2")
def test_every_fault_is_named_at_once():
    found = faults(
        {
            "colour": "green",
            "mode": 3,
            "legs": [{"wait": -1}, {"wait": "1", "words": [1, "a", None]}, {"wait": 13}, 4],
            "start": "tomorrow",
            "share": 1,
            "target": 0,
            "note": None,
            "luck": 13,
            "sped": True,
        }
    )
    assert sorted(found) == sorted(
        [
            ("sped", "unknown_field"),
            ("name", "required"),
            ("colour", "choice"),
            ("mode", "type"),
            ("legs", "too_long"),
            ("legs[0].wait", "too_small"),
            ("legs[1].wait", "type"),
            ("legs[1].words[0]", "type"),
            ("legs[1].words[2]", "type"),
            ("legs[2].wait", "unlucky"),
            ("legs[3]", "type"),
            ("start", "time"),
            ("share", "too_large"),
            ("target", "too_small"),
            ("note", "type"),
            ("luck", "unlucky"),
        ]
    )


@pytest.mark.asvs("2.2.3")
def test_what_fields_say_together_is_said_beside_what_is_wrong_with_others():
    assert faults({"name": "same", "note": "same", "share": 0.5}) == [("legs", "needed"), ("note", "repeats")]
    assert faults({"name": "same", "note": "same", "share": 0.5, "colour": "green"}) == [
        ("colour", "choice"),
        ("legs", "needed"),
        ("note", "repeats"),
    ]
    assert faults({"note": "same", "share": 0.5}) == [("name", "required"), ("legs", "needed")]


def test_nothing_is_said_of_fields_that_are_wrong_themselves():
    assert faults({"name": "n", "share": 0.5, "legs": 3}) == [("legs", "type")]


@pytest.mark.asvs("14.2.4")
def test_a_message_says_what_is_right_and_never_what_was_sent():
    with pytest.raises(InvalidError) as caught:
        read(Journey, b'{"name": "hunter2hunter2", "colour": "hunter2", "legs": "hunter2", "start": "hunter2"}')
    messages = {fault.field: fault.message for fault in caught.value.faults}
    assert messages == {
        "name": "This must have at most 5 characters.",
        "colour": "This must be one of: red, blue.",
        "legs": "This must be a list.",
        "start": "This must be a time in RFC 3339 with a zone, like 2030-01-31T09:00:00Z.",
    }


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[1", b"nope", b"\xff\xfe", b'{"name": "\xff"}', b"[" * 500_000, b'{"name": "\\ud800"}', b"1e999"],
)
def test_what_is_no_json_is_one_fault_of_the_whole_body(raw):
    assert faults(raw) == [("", "json")]


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"x"', b"1", b"true"])
def test_a_body_of_the_wrong_kind_is_one_fault_of_the_whole_body(raw):
    assert faults(raw) == [("", "type")]


@pytest.mark.asvs("1.3.3")
def test_a_nul_is_refused_wherever_it_hides():
    found = faults({"name": "a\0", "extra": {"k": [{"deep": "\0"}]}, "note": "\0"})
    assert found == [("name", "nul"), ("extra.k", "nul"), ("note", "nul")]
    assert read_value(dict[str, Any], {"k": "\\u0000"}) == {"k": "\\u0000"}, "a backslash and letters are no NUL"


@pytest.mark.asvs("15.3.5")
def test_numbers_are_not_guessed_from_other_things():
    for value in ("1", 1.5, True, None, [], {}):
        assert ("legs[0].wait", "type") in faults({"name": "n", "legs": [{"wait": value}]})


def test_an_answer_lists_so_many_faults_and_counts_the_rest():
    found = faults({"name": "n", **{f"x{number}": 1 for number in range(FAULTS_SHOWN + 20)}})
    assert len(found) == FAULTS_SHOWN + 1
    assert found[-1] == ("", "more")


def test_paths_begin_where_the_value_stands():
    with pytest.raises(InvalidError) as caught:
        read_value(list[Leg], [{"wait": -1}], "steps")
    assert [fault.field for fault in caught.value.faults] == ["steps[0].wait"]


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
JSON = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(max_size=4), PLAIN, max_size=3)
LEGS = st.lists(st.dictionaries(st.sampled_from(["wait", "words"]), JSON), max_size=4)
FIELDS = st.sampled_from([*Journey.__struct_fields__, "else"])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(FIELDS, JSON | LEGS))
def test_whatever_comes_is_either_taken_as_msgspec_would_or_refused_with_reasons(value):
    raw = msgspec.json.encode(value)
    try:
        taken = read(Journey, raw)
    except InvalidError as refused:
        reasons = [fault.message for fault in refused.faults]
    else:
        reasons = [] if taken == msgspec.json.decode(raw, type=Journey) else [""]
    assert all(reasons)
