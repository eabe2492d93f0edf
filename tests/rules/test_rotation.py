from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanmails.rules import rotation
from cleanmails.rules.content.seed import Seed
from tests.rules.views import sender

HEALTHS = [[100, 100], [100, 50], [100, 21, 60], [30, 40, 50, 60, 70, 80, 90, 100, 21, 22]]


@pytest.mark.parametrize("healths", HEALTHS)
@pytest.mark.parametrize(("first", "stride"), [(1, 1), (1_000_003, 1), (5, 2), (17, 10), (40, 97), (3, 4096)])
def test_choices_are_proportional_to_health_within_five_percent(healths, first, stride):
    usable = [sender(id, health=health) for id, health in enumerate(healths, 1)]
    chosen = Counter(rotation.choose(usable, lead_id).id for lead_id in range(first, first + 10_000 * stride, stride))
    for view in usable:
        fair = 10_000 * view.health / sum(healths)
        assert abs(chosen[view.id] - fair) <= 0.05 * fair


@given(lead_id=st.integers(1, 2**63), healths=st.lists(st.integers(21, 100), min_size=1, max_size=6))
def test_the_same_lead_gets_the_same_choice(lead_id, healths):
    usable = [sender(id, health=health) for id, health in enumerate(healths, 1)]
    assert rotation.choose(usable, lead_id) is rotation.choose(list(usable), lead_id)


@given(lead_id=st.integers(1, 2**63))
def test_a_domain_is_avoided_where_another_choice_exists(lead_id):
    usable = [sender(1), sender(2), sender(3)]
    assert rotation.choose(usable, lead_id, {"sender1.example", "sender3.example"}).id == 2


@given(lead_id=st.integers(1, 2**63))
def test_where_all_domains_are_to_be_avoided_any_will_do(lead_id):
    usable = [sender(1), sender(2)]
    all_of_them = {"sender1.example", "sender2.example"}
    assert rotation.choose(usable, lead_id, all_of_them) is rotation.choose(usable, lead_id)


def test_nobody_to_choose_from_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="nobody"):
        rotation.choose([], 1)


@given(lead_id=st.integers(1, 10**9), gaps=st.tuples(st.integers(0, 300), st.integers(0, 300)).map(sorted))
def test_a_gap_lies_between_its_bounds_and_is_the_deliverys_own(lead_id, gaps):
    seed = Seed.of(1, lead_id, 0)
    gap = rotation.gap(seed, *gaps)
    assert gaps[0] <= gap <= gaps[1]
    assert gap == rotation.gap(seed, *gaps)


def test_gaps_use_the_whole_range_evenly():
    drawn = Counter(rotation.gap(Seed.of(1, lead_id, 0), 30, 33) for lead_id in range(2000))
    assert set(drawn) == {30, 31, 32, 33}
    assert all(400 < count < 600 for count in drawn.values())
