from datetime import timedelta

import pytest

from cleanmails.records import Trigger
from cleanmails.rules import triggers
from tests.rules.views import NOW, follow_up, walk

OPENED = {"opened_at": NOW - timedelta(hours=1)}
CLICKED = {"clicked_at": NOW - timedelta(hours=1)}


@pytest.mark.parametrize(
    ("trigger", "changes", "why_not"),
    [
        (Trigger.ALWAYS, {}, None),
        (Trigger.ALWAYS, OPENED, None),
        (Trigger.ON_OPEN, {}, "never_opened"),
        (Trigger.ON_OPEN, OPENED, None),
        (Trigger.ON_OPEN, CLICKED, None),
        (Trigger.ON_CLICK, {}, "never_clicked"),
        (Trigger.ON_CLICK, OPENED, "never_clicked"),
        (Trigger.ON_CLICK, CLICKED, None),
        (Trigger.NOT_OPENED, {}, None),
        (Trigger.NOT_OPENED, OPENED, "already_opened"),
        (Trigger.NOT_OPENED, CLICKED, "already_opened"),
    ],
)
def test_a_trigger_asks_what_people_did_with_the_last_mail(trigger, changes, why_not):
    lead = follow_up(**changes)
    assert triggers.unmet(trigger, lead) == why_not
    assert triggers.met(trigger, lead) is (why_not is None)


@pytest.mark.parametrize("trigger", [Trigger.ON_OPEN, Trigger.ON_CLICK, Trigger.NOT_OPENED])
def test_a_lead_that_got_nothing_meets_no_condition_on_a_mail(trigger):
    assert triggers.unmet(trigger, walk(step=1)) == "nothing_received"


def test_a_lead_that_got_nothing_still_gets_what_is_sent_always():
    assert triggers.met(Trigger.ALWAYS, walk(step=1))
