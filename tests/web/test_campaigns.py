"""A campaign from the first click to its end, as a browser without JavaScript goes through it."""

import re
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

from tests.web.test_pages import EVIL, text


class Inputs(HTMLParser):
    """Reads what a browser would post of the form with an id: names and values, in order."""

    def __init__(self, form):
        super().__init__()
        self.wanted, self.inside, self.pairs = form, False, []
        self.area = self.choice = None

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form":
            self.inside = given.get("id") == self.wanted
        if not self.inside:
            return
        name, kind = given.get("name"), given.get("type")
        if tag == "input" and name and (kind not in {"checkbox", "radio"} or "checked" in given):
            self.pairs.append((name, given.get("value") or ""))
        elif tag == "textarea":
            self.area = [name, ""]
        elif tag == "select":
            self.choice = [name, None]
        elif tag == "option" and self.choice and (self.choice[1] is None or "selected" in given):
            self.choice[1] = given["value"]

    def handle_data(self, data):
        if self.area:
            self.area[1] += data

    def handle_endtag(self, tag):
        if tag == "textarea" and self.area:
            self.pairs.append((self.area[0], self.area[1].removeprefix("\n")))
            self.area = None
        elif tag == "select" and self.choice:
            self.pairs.append((self.choice[0], self.choice[1] or ""))
            self.choice = None
        elif tag == "form":
            self.inside = False


def inputs(page, form="form"):
    """What a browser would post of a form."""
    parser = Inputs(form)
    parser.feed(page)
    assert parser.pairs
    return parser.pairs


def changed(pairs, **values):
    """The same with other values."""
    return [(name, values.get(name, value)) for name, value in pairs]


def put(browser, path, pairs):
    """Posts a form."""
    return browser.post(path, content=urlencode(pairs), headers={"Content-Type": "application/x-www-form-urlencoded"})


@pytest.fixture
def ready(house):
    """A list with two leads, and a sender that can send."""
    leads = house.leads("ada@x.example", "ben@x.example", city="Bonn")
    wanted = house.one("INSERT INTO lists (workspace_id, name) VALUES (%s, 'Visitors') RETURNING id", house.workspace)
    for lead in leads:
        house.run("INSERT INTO list_leads (list_id, lead_id) VALUES (%s, %s)", wanted, lead)
    return {"leads": leads, "list": wanted, "sender": house.sender()}


@pytest.fixture
def draft(browser):
    """The id of a campaign that was just begun."""
    made = put(browser, "/campaigns/new", changed(inputs(browser.get("/campaigns/new").text), name="Spring"))
    return int(made.headers["location"].split("/")[2])


def test_a_campaign_is_made_step_by_step_and_launched(browser, house, ready):
    page = browser.get("/campaigns/new")
    begun = put(browser, "/campaigns/new", changed(inputs(page.text), name="Q2 Outreach", track_opens="on"))
    assert begun.status_code == 303
    here = begun.headers["location"].rpartition("/")[0]
    assert begun.headers["location"] == f"{here}/lists"
    assert "Visitors 2 leads" in text(browser.get(f"{here}/lists"))
    saved = put(browser, f"{here}/lists", [*inputs(browser.get(f"{here}/lists").text), ("lists", ready["list"])])
    assert saved.headers["location"] == f"{here}/senders"
    saved = put(
        browser, f"{here}/senders", [*inputs(browser.get(f"{here}/senders").text), ("senders", ready["sender"])]
    )
    assert saved.headers["location"] == f"{here}/steps"
    steps = browser.get(f"{here}/steps")
    assert 'data-put="{{CITY}}"' in steps.text
    more = put(browser, f"{here}/steps", [*inputs(steps.text), ("_do", "add")])
    assert "Follow-up 1" in text(more)
    words = changed(
        inputs(more.text),
        **{
            "steps[0].subjects[0]": "Hey {{FIRST_NAME}}",
            "steps[0].body": "<p>{Hi|Hello}</p>\n",
            "steps[1].body": "Again",
            "steps[1].trigger_condition": "not_opened",
        },
    )
    saved = put(browser, f"{here}/steps", words)
    assert saved.headers["location"] == f"{here}/schedule"
    saved = put(browser, f"{here}/schedule", changed(inputs(browser.get(f"{here}/schedule").text), _window="always"))
    assert saved.headers["location"] == f"{here}/review"
    assert "Nothing stands against the launch." in text(browser.get(f"{here}/checks"))
    launched = put(browser, f"{here}/launch", [("_when", "now"), ("launch_at", "")])
    assert launched.headers["location"] == here
    shown = text(browser.get(here))
    assert "Launched. The first mails go out within seconds" in shown
    assert "Leads enrolled 2 Waiting 2 of 2" in shown
    assert "Launched." not in text(browser.get(here)), "it is said once"
    rows = house.all("SELECT position, subjects, body, wait_days, trigger_condition FROM steps ORDER BY position")
    assert [tuple(row.values()) for row in rows] == [
        (0, ["Hey {{FIRST_NAME}}"], "<p>{Hi|Hello}</p>\n", 0, "always"),
        (1, [], "Again", 3, "not_opened"),
    ]


def test_all_that_stands_against_a_launch_is_shown_with_where_to_mend_it(browser, draft):
    refused = put(browser, f"/campaigns/{draft}/launch", [("_when", "now")])
    assert refused.status_code == 400
    page = text(refused)
    for sentence in ("Attach at least one list", "Attach at least one sender"):
        assert sentence in page
    assert f'href="/campaigns/{draft}/lists#f-lists"' in refused.text


def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(browser, draft):
    page = browser.get(f"/campaigns/{draft}/steps").text
    typed = changed(
        inputs(page), **{"steps[0].wait_days": "a week", "steps[0].body": EVIL, "steps[0].subjects[0]": "S" * 1001}
    )
    refused = put(browser, f"/campaigns/{draft}/steps", typed)
    assert refused.status_code == 400
    assert dict(inputs(refused.text)) == dict(typed)
    assert 'id="f-steps-0-wait-days-fault">This must be a whole number.' in refused.text
    assert "at most 1000 characters" in text(refused)
    window = put(
        browser,
        f"/campaigns/{draft}/schedule",
        [
            ("_window", "window"),
            ("_days", "1"),
            ("schedule_config.start", "9"),
            ("schedule_config.end", "25:00"),
            ("schedule_config.timezone", "Mars/Base"),
            ("launch_at", "soon"),
            ("_version", "1"),
        ],
    )
    assert window.status_code == 400
    assert "Choose a date and a time." in text(window)
    assert 'value="Mars/Base"' in window.text
    empty = put(browser, "/campaigns/new", [("name", " ")])
    assert empty.status_code == 400
    assert "This must have something in it." in text(empty)


def test_a_form_that_is_sent_twice_makes_one_campaign(browser, house):
    pairs = changed(inputs(browser.get("/campaigns/new").text), name="Once")
    first, second = (put(browser, "/campaigns/new", pairs) for _ in range(2))
    assert first.headers["location"] == second.headers["location"]
    assert house.one("SELECT count(*) FROM campaigns") == 1


def test_two_people_who_change_different_parts_are_both_right(browser, draft, house):
    mine = inputs(browser.get(f"/campaigns/{draft}/settings").text)
    put(
        browser,
        f"/campaigns/{draft}/schedule",
        changed(
            inputs(browser.get(f"/campaigns/{draft}/schedule").text),
            _window="window",
            **{"schedule_config.start": "10:00"},
        ),
    )
    assert put(browser, f"/campaigns/{draft}/settings", changed(mine, name="Mine")).status_code == 303
    assert house.all("SELECT name, schedule->>'start' AS start FROM campaigns") == [{"name": "Mine", "start": "10:00"}]


def test_who_comes_second_is_told_who_was_first_and_loses_neither(browser, draft, house):
    mine = changed(inputs(browser.get(f"/campaigns/{draft}/settings").text), name="Mine")
    theirs = inputs(browser.get(f"/campaigns/{draft}/settings").text)
    put(browser, f"/campaigns/{draft}/settings", changed(theirs, name="Theirs"))
    told = put(browser, f"/campaigns/{draft}/settings", mine)
    assert told.status_code == 409
    assert re.search(r"owner@agency.example changed the name at .*, after you opened this page", text(told))
    assert dict(inputs(told.text))["name"] == "Mine"
    assert "Theirs" in told.text
    assert house.one("SELECT name FROM campaigns") == "Theirs"
    assert put(browser, f"/campaigns/{draft}/settings", inputs(told.text)).status_code == 303
    assert house.one("SELECT name FROM campaigns") == "Mine"


def test_two_people_at_different_steps_and_fields_are_both_right(browser, draft, house, ready):
    """Each opens the page, and neither knows of the other."""
    here = f"/campaigns/{draft}"
    three = [*inputs(browser.get(f"{here}/steps").text)]
    for place in (1, 2):
        three = inputs(put(browser, f"{here}/steps", [*three, ("_do", "add")]).text)
        three = changed(three, **{f"steps[{place}].body": f"body {place}"})
    put(browser, f"{here}/steps", changed(three, **{"steps[0].body": "body 0", "steps[0].subjects[0]": "Hello"}))
    pages = {part: inputs(browser.get(f"{here}/{part}").text) for part in ("steps", "settings")}
    house.run("UPDATE users SET name = 'Ben'")
    put(browser, f"{here}/steps", changed(pages["steps"], **{"steps[1].body": "Ben's\nwords"}))
    put(browser, f"{here}/settings", changed(pages["settings"], name="Ben's name"))
    mine = put(browser, f"{here}/steps", [*changed(pages["steps"], **{"steps[2].body": "Mine"}), ("_stay", "1")])
    assert "Saved. Ben changed step 2 meanwhile; that is kept too." in text(browser.get(mine.headers["location"]))
    put(browser, f"{here}/settings", [*pages["settings"], ("track_clicks", "on")])
    assert [row["body"] for row in house.all("SELECT body FROM steps ORDER BY position")] == [
        "body 0",
        "Ben's\nwords",
        "Mine",
    ]
    assert house.all("SELECT name, track_clicks FROM campaigns") == [{"name": "Ben's name", "track_clicks": True}]

    # One takes the last step away, the other writes in the second; then both write in the second.
    old = inputs(browser.get(f"{here}/steps").text)
    put(browser, f"{here}/steps", inputs(put(browser, f"{here}/steps", [*old, ("_do", "remove-2")]).text))
    assert put(browser, f"{here}/steps", changed(old, **{"steps[1].body": "second"})).status_code == 303
    assert [row["body"] for row in house.all("SELECT body FROM steps ORDER BY position")] == ["body 0", "second"]
    told = put(browser, f"{here}/steps", changed(old, **{"steps[0].body": "first", "steps[1].body": "another second"}))
    assert told.status_code == 409
    assert "Ben changed step 2 at" in text(told)
    assert put(browser, f"{here}/steps", inputs(told.text)).status_code == 303
    assert [row["body"] for row in house.all("SELECT body FROM steps ORDER BY position")] == ["first", "another second"]


@pytest.mark.parametrize(
    ("order", "bodies"),
    [
        ("add", "abc."),
        ("remove-1", "ac"),
        ("up-2", "acb"),
        ("down-0", "bac"),
        ("up-0", "abc"),
        ("down-9", "abc"),
        ("nonsense", "abc"),
    ],
)
def test_steps_are_moved_added_and_removed_without_being_saved(browser, draft, house, order, bodies):
    pairs = [("_do", order)]
    pairs += [
        (f"steps[{place}].{name}", value)
        for place, body in enumerate("abc")
        for name, value in (("body", body), ("wait_days", "1"))
    ]
    page = put(browser, f"/campaigns/{draft}/steps", pairs)
    shown = [value or "." for name, value in inputs(page.text) if name.endswith("].body")]
    assert "".join(each.strip() for each in shown) == bodies
    assert house.one("SELECT count(*) FROM steps") == 1


def test_one_campaign_shows_its_figures_its_leads_and_why(browser, house):
    sender = house.sender()
    leads = house.leads("a@x.example", "b@x.example", "c@x.example")
    campaign = house.campaign(leads, [sender], steps=({}, {"subjects": [], "wait_days": 2}))
    house.sent(campaign, leads[0], sender, subject="Hello Bob")
    house.failed(campaign, leads[1], sender, "5.1.1 no such user")
    here = f"/campaigns/{campaign}"
    page = text(browser.get(here))
    assert "Leads enrolled 3 Waiting 1 of 3 On their way 0 of 3 Held 0 of 3 Ended 2 of 3" in page
    assert "Bounced 1 50.0 %" in page
    assert re.search(
        r"c@x.example Bob · Initech waiting 1 of 2 due since", text(browser.get(f"{here}/leads?state=waiting"))
    )
    ended = text(browser.get(f"{here}/leads?outcome=bounced"))
    assert "b@x.example" in ended
    assert "a@x.example" not in ended
    assert "No lead is like this." in text(browser.get(f"{here}/leads?q=zzz"))
    why = text(browser.get(f"{here}/leads/{leads[2]}"))
    assert "Step 1 goes out in the next round." in why
    assert "The campaign is running." in why
    assert "5.1.1 no such user" in text(browser.get(f"{here}/leads/{leads[1]}"))
    mail = browser.get(f"{here}/preview/mail?step=0&lead={leads[2]}")
    assert "Hi Bob of Initech" in mail.text
    assert mail.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert mail.headers["x-frame-options"] == "SAMEORIGIN"
    assert "Hello Bob" in text(browser.get(f"{here}/preview?step=0&lead={leads[2]}"))


def test_the_mail_that_is_being_written_is_shown_and_nothing_of_it_is_kept(browser, draft, ready, house):
    typed = {
        "lead": ready["leads"][0],
        "step": 3,
        "subjects": "Now {{FIRST_NAME}}",
        "body": "<script>alert(1)</script>{a|a}",
    }
    shown = browser.post(f"/campaigns/{draft}/preview/mail", data=typed)
    assert "Now Bob" in shown.text
    assert "script-src" not in shown.headers["content-security-policy"], (
        "nothing but what is named may be loaded or run"
    )
    assert house.one("SELECT count(*) FROM audit WHERE path LIKE '%%preview%%'") == 0
    broken = browser.post(f"/campaigns/{draft}/preview/mail", data=typed | {"body": "{a|b"})
    assert broken.status_code == 200


def test_pausing_says_that_no_more_will_go_and_resuming_goes_on(browser, house):
    sender = house.sender()
    leads = house.leads("a@x.example")
    campaign = house.campaign(leads, [sender])
    lists = house.one("INSERT INTO lists (workspace_id, name) VALUES (%s, 'L') RETURNING id", house.workspace)
    house.run(
        "INSERT INTO campaign_lists (workspace_id, campaign_id, list_id) VALUES (%s, %s, %s)",
        house.workspace,
        campaign,
        lists,
    )
    here = f"/campaigns/{campaign}"
    assert browser.post(f"{here}/pause").headers["location"] == here
    assert "Paused. 0 more will go." in text(browser.get(here))
    browser.post(f"{here}/resume")
    assert "Resumed." in text(browser.get(here))
    for action, said in (("archive", "running"), ("delete", "running")):
        browser.post(f"{here}/{action}")
        assert said in text(browser.get(here))
    browser.post(f"{here}/pause")
    browser.post(f"{here}/archive")
    assert "This campaign was put away." in text(browser.get(here))
    browser.post(f"{here}/restore")
    copy = browser.post(f"{here}/duplicate").headers["location"]
    assert "Copy of Spring" in text(browser.get(copy))


def test_the_forecast_says_what_would_be_sent_and_what_if(browser, house, ready):
    campaign = house.campaign(ready["leads"], [ready["sender"]])
    house.run(
        "INSERT INTO campaign_lists (workspace_id, campaign_id, list_id) VALUES (%s, %s, %s)",
        house.workspace,
        campaign,
        ready["list"],
    )
    page = text(browser.get(f"/campaigns/{campaign}/forecast?limit=1&replies=abc&days=30"))
    assert "Mails per day as a table" in page
    assert "Mails per day, if so as a table" in page
    assert "2 mails in" in page


def test_whoever_may_only_read_sees_no_way_to_change(browser, draft, house):
    house.run("UPDATE memberships SET role = 'viewer'")
    for part in ("settings", "lists", "senders", "steps", "schedule", "review"):
        page = browser.get(f"/campaigns/{draft}/{part}")
        assert page.status_code == 200
        assert not re.search(r"<button[^>]*>(Save|Launch)", page.text)
    assert browser.post(f"/campaigns/{draft}/settings", data={"name": "X"}).status_code == 403
    assert browser.get("/campaigns/new").status_code == 403


def test_ten_thousand_letters_and_scripts_break_no_page(browser, house, ready):
    campaign = house.campaign(ready["leads"], [ready["sender"]])
    house.run("UPDATE campaigns SET name = %s", EVIL + "\u202e" + "x" * 10_000)
    house.run("UPDATE leads SET first_name = %s, company = %s", EVIL, EVIL)
    house.run("UPDATE lists SET name = %s", EVIL)
    house.run("UPDATE steps SET subjects = ARRAY[%s], body = %s", EVIL, EVIL)
    here = f"/campaigns/{campaign}"
    for path in (
        "",
        "/leads",
        "/steps",
        "/lists",
        "/senders",
        "/settings",
        "/schedule",
        "/activity",
        f"/leads/{ready['leads'][0]}",
        "/preview",
    ):
        page = browser.get(here + path)
        assert page.status_code == 200, path
        assert EVIL not in page.text
        assert page.text.count("<script") == 1
