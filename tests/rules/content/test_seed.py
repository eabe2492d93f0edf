from collections import Counter

import pytest

from cleanmails.rules.content import Seed, draw, pick_subject


@pytest.mark.parametrize("subjects", [2, 3, 7])
def test_subjects_are_spread_evenly_over_leads(subjects):
    leads = 10_000
    counts = Counter(pick_subject(Seed.of(12, lead, 0), subjects) for lead in range(leads))
    expected = leads / subjects
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert len(counts) == subjects
    assert chi_square < 23  # 99.9 % of fair dice with up to seven sides stay below


def test_draws_never_change():
    # Mails are stored by what these numbers chose: another result would make every preview differ from what was sent.
    seed = Seed.of(1, 2, 3)
    assert seed.key.hex() == "d8d04ea0b95c7194fac55962ed40864fc1ea776d20bf77d339c8909bd8b34df1"
    assert [draw(seed, name, 1_000) for name in ("subject", "gap", "body/0.0")] == [756, 924, 803]


def test_dice_with_different_names_are_independent():
    same = sum(draw(Seed.of(1, lead, 0), "a", 2) == draw(Seed.of(1, lead, 0), "b", 2) for lead in range(4_000))
    assert 1_850 < same < 2_150


def test_campaign_lead_and_step_all_count():
    assert len({Seed.of(*ids) for ids in [(1, 2, 3), (12, 3, 0), (1, 23, 0), (3, 2, 1), (1, 2, 4)]}) == 5


def test_a_die_of_one_side_falls_on_it():
    assert draw(Seed.of(1, 1, 1), "x", 1) == 0
