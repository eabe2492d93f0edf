import pytest

from cleanmails.rules import duties

FRESH = dict.fromkeys(duties.LATE, 1.0)


def test_who_did_its_duty_lately_is_not_late():
    assert [duty for duty in duties.judged(FRESH) if duty.late] == []


@pytest.mark.parametrize(
    ("name", "age", "said"),
    [
        ("tick", 151, "2 minutes"),
        ("plan", 61, "61 seconds"),
        ("sweep", 7_300, "2 hours"),
        ("upkeep", None, "as long as"),
    ],
)
def test_who_did_it_too_long_ago_or_never_is_named_with_what_to_look_for(name, age, said):
    ages = {key: value for key, value in (FRESH | {name: age}).items() if value is not None}
    [late] = [duty for duty in duties.judged(ages) if duty.late]
    assert late.name == name
    assert said in late.sentence


def test_an_hourly_duty_is_not_late_before_its_first_turn():
    ages = {name: age for name, age in FRESH.items() if name != "upkeep"}
    assert [duty.name for duty in duties.judged(ages | {"installation": 600}) if duty.late] == []
    assert [duty.name for duty in duties.judged(ages | {"installation": 9_001}) if duty.late] == ["upkeep"]
    ages = {name: age for name, age in FRESH.items() if name != "plan"}
    assert [duty.name for duty in duties.judged(ages | {"installation": 10}) if duty.late] == ["plan"]
