import pytest
from msgspec.structs import replace

from cleanmails.errors import Fault
from cleanmails.records import DomainStatus, MissingField, SenderStatus, Trigger
from cleanmails.rules.launch import Checks, LaunchFacts, checks
from tests.rules.views import NOW, sender, step

READY = LaunchFacts(
    now=NOW,
    steps=(step(0), step(1, wait_days=3)),
    senders=(sender(1), sender(2)),
    lists=1,
    leads=10,
    track_opens=False,
    track_clicks=False,
    missing_field=MissingField.HOLD,
    postal_address="1 Main Street, Springfield",
)


def found(**changes):
    return {(fault.field, fault.code) for fault in checks(replace(READY, **changes)).faults}


def warned(**changes):
    return {(warning.field, warning.code, warning.count) for warning in checks(replace(READY, **changes)).warnings}


def test_a_campaign_that_has_everything_may_start():
    assert checks(READY) == Checks([], [])


@pytest.mark.parametrize(
    ("steps", "field", "code"),
    [
        ((), "steps", "no_steps"),
        ((step(0), step(2)), "steps", "positions"),
        ((step(0), step(0)), "steps", "positions"),
        ((step(1), step(2)), "steps", "positions"),
        ((step(0, subjects=()),), "steps[0].subjects", "no_subject"),
        ((step(1), step(0, subjects=())), "steps[1].subjects", "no_subject"),
        ((step(0, subjects=("Hello", " ")),), "steps[0].subjects", "empty_subject"),
        ((step(0, body=" \n"),), "steps[0].body", "no_body"),
        ((step(0, wait_days=-1),), "steps[0].wait_days", "wait"),
        ((step(0), step(1, wait_days=366)), "steps[1].wait_days", "wait"),
        ((step(0), step(1, wait_hours=10**12)), "steps[1].wait_hours", "wait"),
        ((step(0, trigger=Trigger.NOT_OPENED),), "steps[0].trigger_condition", "first_trigger"),
        ((step(0), step(1, trigger=Trigger.ON_OPEN)), "steps[1].trigger_condition", "needs_track_opens"),
        ((step(0), step(1, trigger=Trigger.NOT_OPENED)), "steps[1].trigger_condition", "needs_track_opens"),
        ((step(0), step(1, trigger=Trigger.ON_CLICK)), "steps[1].trigger_condition", "needs_track_clicks"),
    ],
)
def test_a_sequence_that_cannot_be_sent_is_refused_with_the_field(steps, field, code):
    assert found(steps=steps) == {(field, code)}


def test_triggers_are_fine_with_their_tracking():
    steps = (step(0), step(1, trigger=Trigger.ON_OPEN), step(2, trigger=Trigger.ON_CLICK))
    assert found(steps=steps, track_opens=True, track_clicks=True) == set()


def test_steps_may_come_in_any_order():
    assert found(steps=(step(1), step(0))) == set()


def test_a_follow_up_needs_no_subject_of_its_own():
    assert found(steps=(step(0), step(1, subjects=()))) == set()


def test_somebody_must_be_written_to_and_somebody_must_write():
    assert found(lists=0, senders=()) == {("lists", "no_lists"), ("senders", "no_senders")}


@pytest.mark.parametrize(
    "changes",
    [
        {"status": SenderStatus.RESTRICTED},
        {"status": SenderStatus.WARMUP},
        {"health": 20},
        {"daily_limit": 0},
        {"gone": True},
    ],
)
def test_at_least_one_sender_must_be_usable(changes):
    lame = sender(1, **changes)
    assert found(senders=(lame,)) == {("senders", "no_usable_sender")}
    assert found(senders=(lame, sender(2))) == set()
    assert warned(senders=(lame, sender(2))) == {("senders", "senders_not_usable", 1)}


def test_a_sender_that_rests_until_a_known_time_is_usable():
    assert found(senders=(sender(used_today=50),)) == set()


@pytest.mark.parametrize("status", [DomainStatus.PENDING, DomainStatus.FAULTY])
def test_each_sender_on_a_domain_of_ours_needs_it_verified(status):
    faults = checks(replace(READY, senders=(sender(1), sender(2, domain_status=status)))).faults
    assert [(fault.field, fault.code) for fault in faults] == [("senders[1]", "domain_not_verified")]
    assert "sender2.example" in faults[0].message


def test_what_is_wrong_with_the_text_is_passed_on_with_all_the_rest():
    unknown = Fault("steps[0].body", "unknown_tag", "There is no field FOO.")
    assert found(content_faults=(unknown,), lists=0) == {("steps[0].body", "unknown_tag"), ("lists", "no_lists")}


@pytest.mark.parametrize(("choice", "words"), [(MissingField.HOLD, "held"), (MissingField.BLANK, "blank")])
def test_leads_that_lack_a_field_are_counted(choice, words):
    result = checks(replace(READY, lacking={"FIRST_NAME": 3, "COMPANY": 0}, missing_field=choice))
    assert result.faults == []
    (warning,) = result.warnings
    assert (warning.code, warning.count) == ("missing_field", 3)
    assert "FIRST_NAME" in warning.message
    assert words in warning.message


def test_a_missing_postal_address_is_a_warning_for_every_lead():
    assert warned(postal_address=" ") == {("postal_address", "no_postal_address", 10)}


def test_lists_without_anybody_are_a_warning_because_they_may_grow():
    assert warned(leads=0) == {("lists", "no_leads", 0)}
