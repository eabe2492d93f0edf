"""The demonstration's history: whatever it tells, the ledger must be sound and statistics must add up."""

import itertools
from collections import defaultdict
from datetime import UTC, datetime

import msgspec
import pytest

from cleanmails.actors import doctor
from cleanmails.demo import lived, past
from cleanmails.ledger.db import Database
from tests.actors.house import House

NOW = datetime(2026, 11, 26, 14, 30, tzinfo=UTC)
BOXES = [past.Mailbox(number, f"box{number}@north.example", 40) for number in range(1, 7)]
FEW = tuple(
    msgspec.structs.replace(
        plot, leads=plot.leads // 5, a_day=plot.a_day // 5 + 1, nameless=9, bounces=max(plot.bounces, 0.03)
    )
    for plot in lived.PLOTS
)


def told(seed=5):
    ids = defaultdict(lambda: itertools.count(1))
    return past.tell(FEW, BOXES, seed=seed, now=NOW, workspace_id=1, take=lambda noun: next(ids[noun]))


@pytest.fixture(scope="module")
def history():
    return told()


def test_the_same_seed_tells_the_same_history_and_another_one_another(history):
    assert told() == history
    assert told(seed=6).events != history.events


def test_it_is_about_the_past_alone(history):
    assert max(row[0] for row in history.events) < NOW
    assert [row for row in history.deliveries if row[7] in {"planned", "rendered", "sending", "deferred"}] == []
    assert history.events == sorted(history.events, key=lambda row: row[0])


def test_there_is_a_campaign_in_each_state_and_something_of_everything(history):
    assert {row[3] for row in history.campaigns} == {"draft", "running", "paused", "completed"}
    assert sum(row[9] is not None for row in history.campaigns) == 1, "one has paused itself"
    assert {row[7] for row in history.deliveries} == {"sent", "bounced", "skipped", "held", "unknown", "failed"}
    assert {row[10] for row in history.campaign_leads} >= {"finished", "replied", "bounced", "unsubscribed", None}
    assert {row[9] for row in history.hits} >= {"human", "machine"}


def test_no_mailbox_sends_more_on_a_day_than_it_may(history):
    most = {box.id: box.most for box in BOXES}
    assert all(used <= most[sender] for sender, _, used in history.sender_days)


def test_the_ledger_is_sound_with_it(database_url):
    house = House(database_url, vault=None, dkim_pair=("", ""))
    boxes = [
        past.Mailbox(house.sender(f"{name}@north.example"), f"{name}@north.example", 40)
        for name in ("emma", "henry", "jonas")
    ]
    with house.db, Database(database_url, size=2) as database:
        made = lived.remember(database, boxes, house.workspace, FEW)
        assert doctor.examine(database) == 0
        counted = house.one("SELECT sum(sent)::integer FROM figures WHERE scope = 'day'")
        assert counted == sum(row[7] in {"sent", "bounced"} for row in made.deliveries) > 500
        assert house.one("SELECT count(*) FROM events_default") == 0
