from collections import Counter

import pytest

from cleanmails.chaos import plan
from cleanmails.chaos.points import POINTS, Orders, Passage, passings
from cleanmails.demo.catcher import Rule, by_rules


@pytest.mark.parametrize("kills", [1, 50, 500])
def test_a_seed_repeats_a_run_and_every_point_has_its_part(kills):
    planned = plan.faults(7, kills)
    assert planned == plan.faults(7, kills)
    parts = Counter(fault.point for fault in planned if fault.kind == "kill")
    assert sum(parts.values()) == kills
    assert max(parts.values()) - min(parts.get(point, 0) for point in (*POINTS, plan.ANYWHERE)) <= 1


def test_fifty_kills_bring_every_other_fault():
    assert {fault.kind for fault in plan.faults(7, 50)} == {"kill", *plan.OTHERS}
    assert plan.faults(7, 50) != plan.faults(8, 50)


def test_the_mail_server_takes_its_rules():
    told = plan.rules(3)
    assert by_rules([Rule(**rule) for rule in told["rules"]], seed=told["seed"])


def test_who_passes_a_point_without_an_order_lives_and_is_traced(tmp_path):
    orders = Orders(tmp_path)
    passage = Passage(tmp_path)
    passage("after_claim", [1, 2])
    passage("before_dot", [1])
    passage("after_dot", [])
    assert [(each.point, each.delivery_id, each.died) for each in passings(tmp_path)] == [
        ("after_claim", 1, False),
        ("after_claim", 2, False),
        ("before_dot", 1, False),
    ]
    orders.give("after_dot")
    assert orders.withdraw("after_dot") is None
    passage("after_dot", [1])


def test_an_order_is_taken_by_one(tmp_path):
    orders = Orders(tmp_path)
    first, second = Passage(tmp_path), Passage(tmp_path)
    orders.give("after_dot")
    assert [first._taken("after_dot"), second._taken("after_dot")] == [True, False]
    assert orders.death("after_dot").point == "after_dot"
    assert orders.death("after_dot") is None
