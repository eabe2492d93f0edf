"""What people do on pages: forms that go right, forms that go wrong and keep what was typed, and what one may not do."""

import re
from html import unescape

import pytest

from tests.web.test_pages import text


def said(browser, answer):
    """Where a form led, and what is said there."""
    assert answer.status_code == 303, text(answer)
    page = browser.get(answer.headers["location"])
    notice = re.search(r'<div class="notice [^"]*"[^>]*><p>(.*?)</p>', page.text, re.DOTALL)
    return unescape(notice[1]) if notice else ""


def test_a_list_is_made_filled_by_file_and_searched(browser, house):
    made = browser.post("/lists", data={"name": "Autumn"})
    assert said(browser, made) == "The list was made. Upload a file onto it."
    at = made.headers["location"]
    file = b"email,first_name\nada@corp.example,Ada\nnobody,Bob\n"
    sent = browser.post(f"{at}/upload", files={"file": ("autumn.csv", file, "text/csv")})
    page = browser.get(sent.headers["location"])
    assert "What the columns mean" in text(page)
    assert '<option value="email" selected>' in page.text
    upload = sent.headers["location"].partition("?")[0]
    wrong = browser.post(f"{upload}/start", data={"columns[0]": "", "columns[1]": "first_name", "header": "on"})
    assert wrong.status_code == 400
    columns = {
        "columns[0]": "email",
        "columns[1]": "first_name",
        "header": "on",
        "list_id": at.rpartition("/")[2],
        "_tags": "fair, 2026",
    }
    assert browser.post(f"{upload}/start", data=columns).headers["location"] == upload
    assert "It waits for its turn." in text(browser.get(upload))
    taken = browser.post(
        f"/v1/outreach/lists/{at.rpartition('/')[2]}/upload", content=file, headers={"content-type": "text/csv"}
    )
    page = text(browser.get(f"/uploads/{taken.json()['id']}"))
    assert "Created 1 of 2 rows" in page
    assert "nobody,Bob" in page
    assert "ada@corp.example" in browser.get(f"/v1/outreach/leads/download?list_id={at.rpartition('/')[2]}").text
    assert "No lead of this list matches." in text(browser.get(f"{at}?q=zzz"))
    assert "Another list has this name." in said(browser, browser.post("/lists", data={"name": "Autumn"}))


def test_a_form_that_is_wrong_says_why_and_keeps_what_was_typed(browser, house):
    for path, data, sentence in (
        ("/leads/new", {"email": "not one", "company": "Kept Ltd"}, "e-mail address"),
        ("/senders/new", {"address": "ann@", "smtp_host": "-", "name": "Kept Ltd", "daily_limit": "-1"}, "at least 0"),
        ("/domains", {"name": "not a domain", "selector": "Kept Ltd"}, "domain"),
        ("/webhooks/new", {"url": "ftp://x", "name": "Kept Ltd", "types": "email.replied"}, "address of a receiver"),
        ("/suppressions", {"values": "x y z", "note": "Kept Ltd"}, "x y z:"),
        ("/settings", {"name": "", "postal_address": "Kept Ltd", "tracking_domain": ""}, "name"),
        ("/settings/ai", {"kind": "openai", "model": "m", "key": "", "url": "Kept Ltd", "_do": "save"}, "address like"),
    ):
        page = browser.post(path, data=data)
        assert page.status_code == 400, path
        assert sentence in text(page), path
        assert "Kept Ltd" in page.text, path
        assert 'aria-invalid="true"' in page.text, path


def test_what_is_ticked_is_done_to_all_of_it(browser, house):
    leads = house.leads("a@x.example", "b@x.example", "c@x.example")
    made = browser.post("/lists", data={"name": "Chosen"}).headers["location"]
    ticked = {"_lead": [str(leads[0]), str(leads[1])], "_list": made.rpartition("/")[2], "_back": "/leads"}

    def act(**data):
        return said(browser, browser.post("/leads/bulk", data=data))

    assert act(**ticked, _do="add_to_list").startswith("2 of 2 leads were put on the list")
    assert act(**ticked | {"_lead": str(leads[0])}, _do="remove_from_list") == "1 of 1 leads were taken off the list."
    assert act(**ticked, _do="add_tags", _tags="fair, 2026") == "2 of 2 leads were tagged."
    assert house.one("SELECT count(*) FROM leads WHERE tags @> '{fair,2026}'") == 2
    assert act(**ticked, _do="suppress").startswith("2 of 2 addresses")
    assert act(_whole="yes", _back="/leads?status=active&q=c", _do="delete").startswith("1 of 1 leads were deleted.")
    assert house.one("SELECT count(*) FROM leads") == 2
    assert "Tick the leads first." in said(browser, browser.post("/leads/bulk", data={"_do": "delete"}))
    assert browser.post("/leads/bulk", data={"_do": "x", "_back": "//evil.example"}).headers["location"] == "/leads"


def test_an_unknown_mail_is_decided_alone_and_with_others(browser, house):
    sender = house.sender()
    leads = house.leads("a@x.example", "b@x.example", "c@x.example")
    campaign = house.campaign(leads, [sender])
    for lead in leads:
        house.run(
            """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, attempts, planned_at, queued_at, rendered_at,
                                       message_id, hash, sending_at, token, reason, subject)
               VALUES (%s, %s, %s, 0, %s, 'other', 'unknown', 1, now(), now(), now(), gen_random_uuid()::text, '', now(), 1, 'why', 'Hi')""",
            house.workspace, campaign, lead, sender,
        )  # fmt: skip
        house.run(
            "UPDATE campaign_leads SET state = 'held', due_at = NULL, hold_reason = 'unknown' WHERE lead_id = %s", lead
        )
    ids = [row["id"] for row in house.all("SELECT id FROM deliveries ORDER BY id")]
    assert "1 of 1 count as sent." in said(
        browser, browser.post("/unknown/decide", data={"_one": f"{ids[0]} assume_sent"})
    )
    both = {"ids": [str(each) for each in ids], "decision": "resend", "note": "not in Sent"}
    assert "2 of 3 go out again. 1 had been settled" in said(browser, browser.post("/unknown/decide", data=both))
    assert house.one("SELECT reason FROM deliveries WHERE id = %s", ids[2]).endswith("not in Sent")
    assert "Of every mail it is known" in text(browser.get("/unknown"))


def test_secrets_are_shown_once_and_nowhere_else(browser, house):
    key = browser.post("/settings/keys", data={"name": "Sheet", "role": "viewer", "scopes": "read", "_days": "30"})
    secret = re.search(r"cm_live_[\w-]{20,}", key.text)[0]
    assert secret not in browser.get("/settings/keys").text
    hook = browser.post("/webhooks/new", data={"url": "http://127.0.0.1:9/x", "types": "email.replied"})
    secret = re.search(r"whsec_[\w+/=]{20,}", hook.text)[0]
    assert secret not in browser.get("/webhooks/1").text
    invited = browser.post("/settings/people", data={"email": "new@agency.example", "role": "member"})
    assert "/invitation/" in invited.text
    assert "new@agency.example" in text(browser.get("/settings/people"))


def test_a_crm_is_connected_mapped_and_switched_off(browser, house):
    assert "Nothing is connected yet." in text(browser.get("/integrations"))
    data = {
        "credential": "pat-eu1-secret",
        "name": "Sales",
        "types": ["email.sent", "email.replied"],
        "_field[0]": "first_name",
        "_property[0]": "firstname",
        "_field[1]": "city",
        "_property[1]": "",
        "pipeline": "default",
    }
    new = data | {"kind": "hubspot"}
    wrong = browser.post("/integrations/new", data=new)
    assert wrong.status_code == 400
    assert 'value="city"' in wrong.text
    assert "pat-eu1" not in wrong.text
    made = browser.post("/integrations/new", data=new | {"_property[1]": "town", "url": "http://127.0.0.1:9"})
    at = made.headers["location"]
    assert said(browser, made).startswith("HubSpot is connected")
    assert house.one("SELECT options FROM outlets") == {
        "fields": {"first_name": "firstname", "city": "town"},
        "pipeline": "default",
        "stage": "",
    }
    sealed = house.one("SELECT sealed FROM outlets")
    again = browser.post(f"{at}/edit", data=data | {"_field[1]": "", "credential": ""})
    assert said(browser, again) == "Saved."
    assert house.one("SELECT options->'fields' FROM outlets") == {"first_name": "firstname"}
    assert house.one("SELECT sealed FROM outlets") == sealed
    browser.post(f"{at}/edit", data=data | {"_field[1]": "", "credential": "pat-eu1-other"})
    assert house.one("SELECT sealed FROM outlets") != sealed
    assert said(browser, browser.post(f"{at}/test")).startswith("No answer: ")
    assert said(browser, browser.post(f"{at}/state", data={"state": "off"})) == "It is off: events wait for it."
    assert "Switched off by a person. Nothing is lost" in text(browser.get(at))
    assert said(browser, browser.post(f"{at}/state", data={"state": "on"})).startswith("It is on")
    assert browser.post(f"{at}/replay", data={}).status_code == 400
    assert said(browser, browser.post(f"{at}/replay", data={"first_id": "1"})).startswith("0 events")
    assert "pat-eu1" not in browser.get(f"{at}/edit").text
    assert browser.get(at.replace("integrations", "webhooks")).status_code == 404
    assert said(browser, browser.post(f"{at}/delete")).startswith("It is disconnected")
    assert browser.get(at).status_code == 404


def test_what_a_page_refused_is_not_written_down_as_done(browser, house):
    written = "SELECT count(*) FROM audit WHERE action LIKE 'webhookpages.%%'"
    browser.post("/webhooks/new", data={"url": "http://127.0.0.1:9/x", "types": "email.replied"})
    assert house.one(written) == 1
    refused = browser.post("/webhooks/1/state", data={"state": "sideways"})
    assert "faults" in said(browser, refused)
    assert house.one(written) == 1
    browser.post("/webhooks/1/state", data={"state": "off"})
    assert house.one(written) == 2


def test_a_credential_that_does_not_open_says_what_to_do(browser, house):
    browser.post("/webhooks/new", data={"url": "http://127.0.0.1:9/x", "types": "email.replied"})
    house.run("UPDATE outlets SET sealed = set_byte(sealed, 20, (get_byte(sealed, 20) + 1) %% 256)")
    answer = browser.post("/v1/outreach/webhooks/1/test")
    assert (answer.status_code, answer.json()["code"]) == (409, "sealed")
    assert "Enter it anew." in said(browser, browser.post("/webhooks/1/test"))


def test_a_suppression_is_taken_back_for_a_reason_only(browser, house):
    assert "is never mailed again" in said(
        browser, browser.post("/suppressions", data={"values": "ada@x.example", "note": ""})
    )
    entry = house.one("SELECT id FROM suppressions")
    assert "Say why" in said(browser, browser.post(f"/suppressions/{entry}/remove", data={"note": " "}))
    assert "It may be mailed again." in said(
        browser, browser.post(f"/suppressions/{entry}/remove", data={"note": "asked"})
    )
    uploaded = browser.post(
        "/suppressions/upload", files={"file": ("x.txt", b"a@x.example\nnobody at all\n", "text/plain")}
    )
    assert "Of 2 rows 1 were added" in said(browser, uploaded)


def test_a_lead_is_changed_field_by_field(browser, house):
    [lead] = house.leads("ada@x.example", city="Graz", role="CTO")
    data = {
        "first_name": "Ada",
        "last_name": "",
        "company": "X",
        "fields.city": "",
        "fields.role": "CEO",
        "_field_name": "Team size",
        "_field_value": "5",
    }
    assert "Saved." in said(browser, browser.post(f"/leads/{lead}", data=data))
    assert house.one("SELECT fields FROM leads") == {"role": "CEO", "team_size": "5"}


def test_who_may_only_look_is_offered_nothing_and_refused_everything(browser, house):
    house.leads("ada@x.example")
    house.sender()
    house.run("UPDATE memberships SET role = 'viewer'")
    for path in (
        "/leads",
        "/senders",
        "/domains",
        "/webhooks",
        "/integrations",
        "/suppressions",
        "/lists",
        "/settings",
    ):
        page = browser.get(path)
        assert page.status_code == 200, path
        main = page.text.partition("<main")[2].partition("<dialog")[0]
        buttons = re.findall(r"<button[^>]*>", re.sub(r'<form class="filters".*?</form>', "", main, flags=re.DOTALL))
        assert [each for each in buttons if "data-copy" not in each] == [], path
    for path in ("/settings/keys", "/settings/audit", "/leads/new"):
        assert browser.get(path).status_code in {200, 403}
    for path, data in (
        ("/lists", {"name": "x"}),
        ("/suppressions", {"values": "a@b.example"}),
        ("/domains", {"name": "x.example"}),
        ("/settings/keys", {"name": "x"}),
    ):
        assert browser.post(path, data=data).status_code == 403, path


@pytest.mark.parametrize("path", ["/leads?after=x", "/senders?after=!", "/webhooks?after=a&q="])
def test_a_cursor_that_no_page_gave_out_is_refused_kindly(browser, house, path):
    page = browser.get(path)
    assert page.status_code == 400
    assert "This is not a cursor of a page" in text(page)
