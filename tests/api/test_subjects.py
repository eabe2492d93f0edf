"""Subjects against each other: figures of people, how sure they are, and the winner that later mails get."""

import pytest

from cleanmails.actors.promote import promote
from tests.api.test_previews import house, pair, work  # noqa: F401 - fixtures

SUBJECTS = ["One", "Two"]


@pytest.fixture
def tried(house):  # noqa: F811
    """A campaign whose subjects had a hundred mails each; the second was opened by half of its readers, the first by a tenth."""
    house.ann = house.sender()
    house.leads_ = house.leads(*(f"l{n}@x.example" for n in range(204)))
    campaign = house.campaign(house.leads_, [house.ann], steps=[{"subjects": SUBJECTS}], promote_winner="opens")
    house.run(
        """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, token, planned_at, rendered_at, sending_at,
                                   settled_at, message_id, hash, attempts, subject_index, opened_at)
           SELECT %s, %s, lead_id, 0, %s, 'x', 'sent', 1, now(), now(), now(), now(), '<' || lead_id || '@x>', '', 1, n %% 2,
                  CASE WHEN n %% 20 IN (0, 1, 3, 5, 7, 9) THEN now() END
           FROM (SELECT lead_id, row_number() OVER (ORDER BY lead_id) - 1 AS n FROM campaign_leads WHERE campaign_id = %s) t WHERE n < 200""",
        house.workspace,
        campaign,
        house.ann,
        campaign,
    )
    return campaign


def figures(api, campaign):
    return api.get(f"/v1/outreach/campaigns/{campaign}/subjects").json()


def subjects_of(api, campaign, leads):
    path = f"/v1/outreach/campaigns/{campaign}/preview"
    return {api.post(path, json={"lead_id": lead}).json()["subject"] for lead in leads}


def test_the_figures_say_which_is_the_best_and_how_sure_that_is(api, tried):
    [step] = figures(api, tried)["steps"]
    counted = [(each["sent"], each["opened"], each["replied"], each["open_rate"]) for each in step["subjects"]]
    assert counted == [(100, 10, 0, 0.1), (100, 50, 0, 0.5)]
    assert (step["by_opens"]["best"], step["by_opens"]["decided"]) == (1, True)
    assert step["by_opens"]["confidence"] > 0.99
    assert step["by_replies"]["decided"] is False
    assert step["winner"] is None


def test_later_mails_get_the_winner_and_what_was_sent_keeps_its_own(api, tried, house, work):  # noqa: F811
    late = house.leads_[200:]
    assert promote(work) == 1
    assert figures(api, tried)["steps"][0]["winner"] == 1
    assert subjects_of(api, tried, late) == {"Two"}
    assert subjects_of(api, tried, house.leads_[:2]) == {"One", "Two"}
    assert promote(work) == 0


def test_new_subjects_begin_anew(api, tried, work):  # noqa: F811
    promote(work)
    api.post(f"/v1/outreach/campaigns/{tried}/pause")
    steps = [{"position": 0, "subjects": ["One", "Three"], "body": "<p>Hi</p>"}]
    assert api.patch(f"/v1/outreach/campaigns/{tried}", json={"steps": steps}).status_code == 200
    [step] = figures(api, tried)["steps"]
    assert (step["winner"], [each["sent"] for each in step["subjects"]]) == (None, [0, 0])


def test_without_being_asked_nobody_is_promoted(api, tried, work):  # noqa: F811
    api.patch(f"/v1/outreach/campaigns/{tried}", json={"promote_winner": None})
    assert promote(work) == 0
