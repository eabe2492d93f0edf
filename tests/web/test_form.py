"""Forms of pages: from inputs to the JSON of the API, and from its faults back to inputs."""

from typing import Annotated
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from cleanmails.api.body import read_value
from cleanmails.api.drafts import CampaignChange, NewCampaign
from cleanmails.errors import InvalidError
from cleanmails.web.form import MOST_FIELDS, Form, Sheet, flattened, slug


class Wheel(msgspec.Struct):
    size: Annotated[int, msgspec.Meta(ge=1)] = 3


class Car(msgspec.Struct):
    name: str = ""
    doors: int | UnsetType | None = UNSET
    fast: bool = False
    price: float | UnsetType = UNSET
    wheels: list[Wheel] | UnsetType = UNSET
    words: list[str] | str | UnsetType = UNSET


def form(*pairs):
    return Form.read(urlencode(pairs).encode())


@pytest.mark.parametrize(
    ("pairs", "json"),
    [
        ([("name", " Ö ")], {"name": " Ö "}),
        ([("name", "a\r\nb")], {"name": "a\nb"}),
        ([("doors", "4")], {"doors": 4}),
        ([("doors", "")], {"doors": None}),
        ([("doors", "four")], {"doors": "four"}),
        ([("price", "")], {}),
        ([("price", "1.5")], {"price": 1.5}),
        ([("fast", ""), ("fast", "on")], {"fast": True}),
        ([("fast", "")], {"fast": False}),
        ([("wheels[0].size", "1"), ("wheels[7].size", "2")], {"wheels": [{"size": 1}, {"size": 2}]}),
        ([("words[1]", "b"), ("words[0]", "a")], {"words": ["a", "b"]}),
        ([("words", "a"), ("words", "b")], {"words": ["a", "b"]}),
        ([("_page", "mine")], {}),
        ([("colour", "red")], {"colour": "red"}),
        ([("name", "a"), ("name.first", "b")], {"name": {"first": "b"}}),
        ([("[]..", "a"), ("", "b")], {}),
    ],
)
def test_inputs_become_the_json_that_their_names_say(pairs, json):
    assert form(*pairs).json(Car) == json


def test_what_cannot_be_what_it_should_is_a_fault_of_its_input():
    typed = form(("doors", "four"), ("wheels[0].size", "0"), ("colour", "red"))
    with pytest.raises(InvalidError) as refused:
        read_value(Car, typed.json(Car))
    sheet = Sheet.typed(typed, refused.value)
    assert {fault.field for fault in sheet.faults} == {"doors", "wheels[0].size", "colour"}
    assert sheet.wrong("wheels[0].size") == ["This must be at least 1."]
    assert sheet.text("doors") == "four"


def test_a_campaign_survives_the_way_through_a_form():
    steps = [
        {
            "position": 0,
            "subjects": ["Hello", "Hi"],
            "body": "<p>{a|b}</p>",
            "wait_days": 0,
            "trigger_condition": "always",
        },
        {
            "position": 1,
            "subjects": [],
            "body": "Again",
            "wait_days": 3,
            "wait_hours": 2,
            "trigger_condition": "not_opened",
        },
    ]
    whole = {"name": "Q2", "check_reply": False, "track_opens": True, "max_new_leads_per_day": None, "steps": steps}
    again = form(*flattened(whole)).json(NewCampaign)
    assert read_value(NewCampaign, again) == read_value(NewCampaign, whole)


def test_a_form_is_refused_when_it_holds_nul_or_is_no_text_or_has_no_end():
    for body in (b"name=%00", b"name=\xff", b"name=%ff", b"&".join([b"a=1"] * (MOST_FIELDS + 1))):
        with pytest.raises(InvalidError):
            Form.read(body)


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=20))
def test_any_form_at_all_is_read_or_refused_and_breaks_nothing(pairs):
    try:
        read_value(CampaignChange, form(*pairs).json(CampaignChange))
    except InvalidError as error:
        assert error.faults  # noqa: PT017 - what is refused says why


def test_the_id_of_an_input_is_made_of_its_path():
    assert slug("steps[0].trigger_condition") == "f-steps-0-trigger-condition"
