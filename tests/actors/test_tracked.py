"""What tracking puts into a mail: wrapped links, the pixel and the link nobody sees, by the campaign's switches, and nothing else."""

import email
import email.policy
import re

import msgspec
import pytest

from cleanmails.actors import plan, render
from cleanmails.mail.tokens import Purpose

BODY = """<p>Hi {{FIRST_NAME}}</p>
<a href="https://shop.example/?a=1&amp;b=2">Shop</a> {<a href="https://one.example/">One</a>|<a href="https://two.example/">Two</a>}
<a href="mailto:ann@acme.example">Write</a> <a href="#top">Top</a> <a href="{{UNSUBSCRIBE_URL}}">Leave</a> <a href="http://">Broken</a>
<a href="tel:+15551">Call</a> <a href="https://{{SITE}}/">Yours</a>"""


@pytest.fixture
def mail(house, work, drain):
    """Makes the mail of a campaign with these switches: its HTML, its text, and its delivery."""

    def make(body=BODY, **switches):
        house.knows("example.com")
        [lead] = house.leads("bob@example.com", site="bob.example")
        campaign = house.campaign([lead], [house.sender()], steps=[{"body": body}], **switches)
        plan.plan(work)
        delivery = house.delivery(campaign, lead)
        render.render(work, [delivery["id"]])
        raw = house.one("SELECT raw FROM mails WHERE delivery_id = %s", delivery["id"])
        message = email.message_from_bytes(raw, policy=email.policy.default)
        html, text = (message.get_body((kind,)).get_content() for kind in ("html", "plain"))
        return html, text, house.delivery(campaign, lead)

    return make


def test_without_its_switches_a_mail_is_left_alone(mail):
    html, _, delivery = mail()
    assert "/t/" not in html
    assert 'href="https://shop.example/?a=1&amp;b=2"' in html
    assert delivery["links"] is None


def test_web_links_are_wrapped_and_all_others_left_alone(mail, work):
    html, text, delivery = mail(track_clicks=True)
    stem = f"/t/{work.tokens.sign(Purpose.CLICK, delivery['id'])}/link/"
    numbers = [int(number) for number in re.findall(rf'href="[^"]*{re.escape(stem)}(\d+)"', html)]
    assert numbers[-1] == 0
    led = [delivery["links"][number - 1] for number in numbers[:-1]]
    assert led[0] == "https://shop.example/?a=1&b=2"
    assert led[1] in {"https://one.example/", "https://two.example/"}
    assert led[2] == "https://bob.example/"
    assert [link for link in delivery["links"] if link] == led
    for kept in ("mailto:ann@acme.example", "#top", "tel:+15551"):
        assert f'href="{kept}"' in html
    assert f"/unsubscribe/{work.tokens.sign(Purpose.UNSUBSCRIBE, delivery['id'])}" in html
    assert "pixel.png" not in html
    assert "/t/" not in text
    assert "https://shop.example/?a=1&b=2" in text


def test_the_link_nobody_sees_is_seen_heard_and_reached_by_nobody(mail):
    html, _, _ = mail(track_clicks=True)
    [decoy] = re.findall(r'<a href="[^"]*/link/0"[^>]*>(.*?)</a>', html)
    [tag] = re.findall(r'<a href="[^"]*/link/0"[^>]*>', html)
    assert decoy == ""
    assert all(part in tag for part in ('aria-hidden="true"', 'tabindex="-1"', "display:none"))


def test_a_mail_without_links_has_no_hidden_one_either(mail):
    html, _, delivery = mail("<p>Hi</p>", track_clicks=True, track_opens=True)
    assert "/link/" not in html
    assert html.count("pixel.png") == 1
    assert delivery["links"] is None


def test_rendering_again_says_the_same(mail, house, work):
    _, _, first = mail(track_clicks=True, track_opens=True)
    house.run("UPDATE deliveries SET state = 'planned', token = NULL, worker_id = NULL")
    render.render(work, [first["id"]])
    again = house.delivery(first["campaign_id"], first["lead_id"])
    assert (again["hash"], again["links"]) == (first["hash"], first["links"])


def test_links_lead_over_the_workspaces_own_name_once_it_is_verified(mail, house, work):
    house.run("UPDATE workspaces SET tracking_domain = 'go.acme.example'")
    html, _, delivery = mail(track_opens=True)
    assert "go.acme.example" not in html
    house.run("UPDATE workspaces SET tracking_verified_at = now()")
    house.run("UPDATE deliveries SET state = 'planned', token = NULL, worker_id = NULL")
    render.render(work, [delivery["id"]])
    raw = house.one("SELECT raw FROM mails WHERE delivery_id = %s", delivery["id"])
    assert b"https://go.acme.example/t/" in raw.replace(b"=\r\n", b"")


def test_google_is_told_whose_mail_it_is_if_the_installation_has_a_name(house, new_work, configured):
    work = new_work(settings=msgspec.structs.replace(configured, feedback_id="acmeco"))
    house.knows("example.com")
    [lead] = house.leads("bob@example.com")
    campaign = house.campaign([lead], [house.sender()])
    plan.plan(work)
    delivery = house.delivery(campaign, lead)
    render.render(work, [delivery["id"]])
    raw = house.one("SELECT raw FROM mails WHERE delivery_id = %s", delivery["id"])
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert message["Feedback-ID"] == f"{campaign}:{house.workspace}:0:acmeco"
