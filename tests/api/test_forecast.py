"""What a campaign will send, asked over HTTP: as it is, as a draft, and as it might be."""

from datetime import UTC, datetime, time, timedelta
from resource import RUSAGE_CHILDREN, getrusage

import pytest

from cleanmails.api import apart
from cleanmails.errors import BusyError
from cleanmails.rules.forecast import Cohort
from cleanmails.rules.virtual import Assumed
from tests.ledger.conftest import Rows
from tests.rules.views import NOW, WORKDAYS, campaign, follow_up, sender, step, walk

CAMPAIGNS = "/v1/outreach/campaigns"
TWO_STEPS = [
    {"position": 0, "subjects": ["Hello {{FIRST_NAME}}"], "body": "<p>Hi {{FIRST_NAME}}</p>"},
    {"position": 1, "body": "<p>Once more</p>", "wait_days": 2},
]


@pytest.fixture
def house(database_url, owner):
    made = Rows(database_url)
    made.workspace = owner
    made.people = made.leads(*(f"p{n}@example.com" for n in range(7)))
    made.prospects = made.list(*made.people)
    made.ann = made.sender("ann@acme.example", limit=3)
    made.knows("example.com")
    yield made
    made.db.close()


@pytest.fixture
def draft(api, house):
    request = {"name": "Spring", "lists": [{"id": house.prospects}], "senders": [{"id": house.ann}], "steps": TWO_STEPS}
    return f"{CAMPAIGNS}/{api.post(CAMPAIGNS, json=request).json()['id']}"


def by_day(told):
    return [(day["first"], day["follow_ups"]) for day in told["days"]]


def test_whom_a_campaign_leaves_out_may_be_supposed(api, draft, house):
    house.run("UPDATE leads SET validation = 'role' WHERE id = %s", house.people[0])

    def mails(**changes):
        return api.post(f"{draft}/forecast", json={"changes": changes}).json()["mails"]

    assert (mails(), mails(skip_validation=["role"])) == (14, 12)


def test_a_draft_is_foretold_day_by_day_and_stays_a_draft(api, draft, house):
    launch = datetime.combine(datetime.now(UTC).date() + timedelta(days=2), time(), UTC)
    answer = api.post(f"{draft}/forecast", json={"changes": {"launch_at": launch.isoformat()}})
    told = answer.json()
    assert answer.status_code == 200
    told["days"] = [day for day in told["days"] if day["date"] >= launch.date().isoformat()]
    assert by_day(told) == [(3, 0), (3, 0), (0, 3), (0, 3), (1, 0), (0, 0), (0, 1)]
    assert (told["mails"], told["waiting"], told["never"]) == (14, 0, [])
    assert told["days"][0]["by_sender"] == [{"sender_id": house.ann, "address": "ann@acme.example", "mails": 3}]
    assert (told["days"][0]["by_provider"], told["days"][0]["binding"]) == ({"other": 3}, "daily_limit_met")
    assert told["days"][0]["sentence"]
    assert told["finish"][:10] == told["days"][-1]["date"]
    assert told["assumed"] == {"reply_rate": 0, "bounce_rate": 0, "open_rate": 0, "click_rate": 0, "seed": 0}
    assert api.get(draft).json()["status"] == "draft"
    assert house.all("SELECT FROM campaign_leads") == []


def test_other_settings_are_tried_without_being_written(api, draft, house):
    changes = {"senders": [{"id": house.ann, "daily_limit": 50}], "steps": TWO_STEPS[:1], "max_new_leads_per_day": 4}
    told = api.post(f"{draft}/forecast", json={"changes": changes}).json()
    assert by_day(told) == [(4, 0), (3, 0)]
    assert told["days"][0]["binding"] == "new_leads_limit_met"
    assert len(api.get(draft).json()["steps"]) == 2


def test_what_is_assumed_of_people_is_printed_and_counts(api, draft):
    told = api.post(f"{draft}/forecast", json={"assumed": {"reply_rate": 1.0, "seed": 7}}).json()
    assert by_day(told) == [(3, 0), (3, 0), (1, 0)]
    assert (told["assumed"]["reply_rate"], told["assumed"]["seed"]) == (1.0, 7)


def test_who_will_never_be_mailed_is_counted_with_the_reason(api, draft, house):
    gone, bad, bare, blocked = house.people[:4]
    house.run("UPDATE leads SET status = 'unsubscribed' WHERE id = %s", gone)
    house.run("UPDATE leads SET validation = 'invalid' WHERE id = %s", bad)
    house.run("UPDATE leads SET first_name = ' ' WHERE id = %s", bare)
    house.run(
        """INSERT INTO suppressions (workspace_id, kind, value, reason)
           SELECT workspace_id, 'address', email, 'manual' FROM leads WHERE id = %s""",
        blocked,
    )
    told = api.post(f"{draft}/forecast", json={}).json()
    assert {each["code"]: each["leads"] for each in told["never"]} == {
        "unsubscribed": 1, "invalid": 1, "missing_field": 1, "suppressed": 1,
    }  # fmt: skip
    assert all(each["sentence"] for each in told["never"])
    assert sum(day["first"] for day in told["days"]) == 3


def test_a_campaign_without_a_usable_sender_mails_nobody(api, draft, house):
    house.run("UPDATE senders SET status = 'restricted'")
    told = api.post(f"{draft}/forecast", json={}).json()
    assert (told["days"], told["finish"]) == ([], None)
    assert [(each["code"], each["leads"]) for each in told["never"]] == [("no_senders_available", 7)]


def test_a_running_campaign_that_shares_the_sender_takes_its_part(api, draft, house):
    alone = len(api.post(f"{draft}/forecast", json={}).json()["days"])
    others = house.list(*house.leads(*(f"o{n}@example.com" for n in range(6))), name="Others")
    request = {
        "name": "First", "status": "running", "lists": [{"id": others}], "senders": [{"id": house.ann}], "steps": TWO_STEPS[:1],
    }  # fmt: skip
    other = api.post(CAMPAIGNS, json=request).json()["id"]
    told = api.post(f"{draft}/forecast", json={}).json()
    assert told["shares_senders_with"] == [other]
    assert len(told["days"]) > alone


def test_what_cannot_be_supposed_is_refused_with_its_field(api, draft, stranger, house):
    steps = [TWO_STEPS[0], TWO_STEPS[1] | {"trigger_condition": "on_open"}]
    changes = {"steps": steps, "senders": [{"id": 999_999}], "lists": [{"id": 999_999}]}
    answer = api.post(f"{draft}/forecast", json={"changes": changes})
    assert answer.status_code == 400
    assert {fault["field"] for fault in answer.json()["faults"]} == {
        "changes.steps[1].trigger_condition", "changes.senders[0].id", "changes.lists[0].id",
    }  # fmt: skip
    wrong = {"changes": {"schedule_config": {"days": [9]}}, "assumed": {"reply_rate": 2}, "horizon_days": 0}
    fields = {fault["field"] for fault in api.post(f"{draft}/forecast", json=wrong).json()["faults"]}
    assert {"assumed.reply_rate", "horizon_days"} <= fields
    days = {"changes": {"schedule_config": {"days": [9], "start": "09:00", "end": "17:00", "timezone": "UTC"}}}
    [fault] = api.post(f"{draft}/forecast", json=days).json()["faults"]
    assert "days" in fault["field"]
    assert stranger.post(f"{draft}/forecast", json={}).status_code == 404


def many():
    ours = campaign(schedule=WORKDAYS, steps=(step(0), step(1, wait_days=1)), sender_ids=frozenset({1, 2}))
    return apart.Question(
        campaign_id=1,
        campaigns=[ours],
        senders=[sender(1), sender(2, free_at=NOW)],
        cohorts=[Cohort(walk(1, provider="google"), apart.AT_HAND), Cohort(follow_up(2_000, opened_at=NOW))],
        rates={"google": 2.0},
        start=NOW,
        horizon_days=4,
        assumed=Assumed(reply_rate=0.1, seed=3),
    )


def test_a_forecast_of_many_leads_is_made_in_a_process_of_its_own_and_is_the_same():
    """Through JSON and back: every field of the question and of the answer survives."""
    question = many()
    here = question.answer()
    assert sum(day.first for day in here.days) > 100
    before = getrusage(RUSAGE_CHILDREN).ru_utime
    assert apart.foretell(question) == here
    assert getrusage(RUSAGE_CHILDREN).ru_utime > before


def test_a_forecast_that_takes_too_long_ends_and_says_what_to_do():
    with pytest.raises(BusyError, match="fewer days"):
        apart.foretell(many(), longest=1e-6)


def test_a_viewer_may_ask(viewer, draft):
    assert viewer.post(f"{draft}/forecast", json={}).status_code == 200
