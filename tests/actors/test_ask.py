"""AI tags: asked once and away from the render worker; what fails gives the fallback, or holds the lead."""

import pytest

from cleanmails.actors import ask, plan
from cleanmails.actors import render as rendering
from cleanmails.errors import BusyError
from cleanmails.ledger import walks
from cleanmails.limits.breaker import Breaker
from cleanmails.limits.connect import connect
from tests.modelserver import playing

FALLBACK = "<p>Hi, {{AI:Praise {{COMPANY}}|<b>nice</b> work}}.</p><p>{{AI:Praise {{COMPANY}}|nice work}}</p>"
BARE = "<p>{{AI:Praise {{COMPANY}}}}</p>"


@pytest.fixture
def played():
    with playing() as server:
        yield server


@pytest.fixture
def model(house, played):
    house.run(
        "INSERT INTO ai_settings (workspace_id, kind, url, model, key_sealed, timeout_seconds, max_characters) VALUES (%s, 'openai', %s, 'm', %s, 1, 200)",
        house.workspace,
        played.url,
        house.vault.seal(b"key", f"ai:{house.workspace}:key"),
    )


@pytest.fixture
def spring(house):
    house.knows("x.example")
    house.bob = house.leads("bob@x.example")[0]
    return lambda body, **columns: house.campaign([house.bob], [house.sender()], steps=[{"body": body}], **columns)


def step(work, actor):
    """Does the one message in the queues, which is for this actor."""
    [(name, (ids,))] = work.queues.messages
    assert name == actor
    work.queues.messages.clear()
    {"render": rendering.render, "ask": ask.ask}[actor](work, ids)


def html(house, campaign):
    delivery = house.delivery(campaign, house.bob)
    return bytes(house.one("SELECT raw FROM mails WHERE delivery_id = %s", delivery["id"])).decode()


def test_a_question_is_asked_once_before_the_mail_is_made(house, work, model, played, spring):
    campaign = spring(FALLBACK)
    played.say = "great <script>alert(1)</script> {{EMAIL}} {a|b}"
    plan.plan(work)
    step(work, "render")
    assert house.states(campaign) == ["planned"]
    assert played.asked == []
    step(work, "ask")
    step(work, "render")
    assert house.states(campaign) == ["rendered"]
    assert [body["messages"][-1]["content"] for _, _, body in played.asked] == ["Praise Initech"]
    words = html(house, campaign)
    assert words.count("great &lt;script&gt;alert(1)&lt;/script&gt; {{EMAIL}} {a|b}") == 2
    ask.ask(work, [house.delivery(campaign, house.bob)["id"]])
    assert len(played.asked) == 1


def test_a_failure_gives_the_fallback_for_good(house, work, model, played, spring):
    campaign = spring(FALLBACK)
    played.status = 500
    plan.plan(work)
    for actor in ("render", "ask", "render"):
        step(work, actor)
    assert "nice work" in html(house, campaign)
    kept = house.all("SELECT answer, failure FROM ai_answers")
    assert [(row["answer"], "500" in row["failure"]) for row in kept] == [(None, True)]


@pytest.mark.parametrize("columns", [{}, {"missing_field": "blank"}])
def test_a_failure_without_a_fallback_holds_the_lead_until_it_is_tried_again(
    house, work, model, played, spring, columns
):
    campaign = spring(BARE, **columns)
    played.status = 500
    plan.plan(work)
    for actor in ("render", "ask", "render"):
        step(work, actor)
    assert house.walk(campaign, house.bob)["hold_reason"] == "missing_field"
    played.status = 200
    with work.database.transaction() as db:
        assert walks.free_held(db, house.workspace) == 1
    work.queues.messages.clear()
    plan.plan(work)
    for actor in ("render", "ask", "render"):
        step(work, actor)
    assert "a kind word" in html(house, campaign)


def test_without_a_model_nobody_is_asked(house, work, played, spring):
    campaign = spring(FALLBACK)
    plan.plan(work)
    step(work, "render")
    assert house.states(campaign) == ["rendered"]
    assert "nice work" in html(house, campaign)
    assert played.asked == []


def test_a_field_that_the_question_needs_and_the_lead_lacks_asks_nothing(house, work, model, played, spring):
    campaign = spring(FALLBACK)
    house.run("UPDATE leads SET company = ''")
    plan.plan(work)
    step(work, "render")
    assert house.states(campaign) == ["rendered"]
    assert played.asked == []


def test_a_message_that_was_lost_is_found_again(house, work, model, spring):
    campaign = spring(FALLBACK)
    plan.plan(work)
    step(work, "render")
    delivery = house.delivery(campaign, house.bob)
    assert delivery["worker_id"] is None
    assert house.one("SELECT queued_at > now() + interval '1 minute' FROM deliveries")


class TestBreaker:
    @pytest.fixture
    def breaker(self, redis_url):
        return Breaker(connect(redis_url), failures=5)

    def test_it_opens_after_five_failures_in_a_row(self, breaker):
        for _ in range(4):
            breaker.failed("b1")
        assert breaker.closed("b1")
        breaker.worked("b1")
        for _ in range(4):
            breaker.failed("b1")
        assert breaker.closed("b1")
        breaker.failed("b1")
        assert not breaker.closed("b1")

    def test_after_the_pause_one_more_failure_is_enough(self, breaker, redis_url):
        for _ in range(5):
            breaker.failed("b2")
        connect(redis_url).delete("cm:open:b2")
        assert breaker.closed("b2")
        breaker.failed("b2")
        assert not breaker.closed("b2")

    def test_without_redis_nobody_knows(self):
        with pytest.raises(BusyError):
            Breaker(connect("unix:///nowhere/redis.sock")).closed("b3")

    @pytest.mark.usefixtures("model")
    def test_an_open_breaker_asks_nobody_and_gives_the_fallback(self, house, work, played, spring, redis_url):
        campaign = spring(FALLBACK)
        breaker = Breaker(connect(redis_url))
        for _ in range(5):
            breaker.failed(f"ai:{house.workspace}")
        plan.plan(work)
        for actor in ("render", "ask", "render"):
            step(work, actor)
        breaker.worked(f"ai:{house.workspace}")
        assert played.asked == []
        assert "nice work" in html(house, campaign)


def test_a_models_key_that_does_not_open_keeps_its_mails_waiting_and_no_others(house, work, model, played, spring):
    """A fallback would be for good, and the key may be entered anew in a minute."""
    campaign = spring(FALLBACK)
    key = house.one("SELECT key_sealed FROM ai_settings")
    house.run("UPDATE ai_settings SET key_sealed = %s", house.vault.seal(b"key", "ai:0:key"))
    plan.plan(work)
    step(work, "render")
    step(work, "ask")
    assert not any(ids for _, (ids,) in work.queues.messages)
    assert house.states(campaign) == ["planned"]
    assert house.one("SELECT count(*) FROM ai_answers") == 0
    house.run("UPDATE ai_settings SET key_sealed = %s", key)
    ask.ask(work, [house.delivery(campaign, house.bob)["id"]])
    step(work, "render")
    assert house.states(campaign) == ["rendered"]
