"""Connecting a mailbox on the pages: to the provider and back."""

import pytest

from tests import authority as provider
from tests.web.test_pages import text


@pytest.fixture(scope="module")
def authority():
    with provider.running() as authority:
        yield authority


@pytest.fixture
def environ(authority):
    # Nobody listens for mail there: the consent holds, and the sender waits for its test.
    return provider.environ(authority, 1, 1)


def test_a_sender_is_connected_by_consent(browser, house, authority):
    sender = house.sender("ann@acme.example")
    page = browser.get(f"/senders/{sender}")
    assert f'href="/senders/connect/google?sender={sender}"' in page.text
    assert "Microsoft" not in page.text
    there = browser.get(f"/senders/connect/google?sender={sender}")
    assert there.status_code == 303
    assert there.headers["location"].startswith("https://consent.example/page?")
    back = browser.get(
        "/v1/oauth/google/callback", params=authority.consent(there.headers["location"], "ann@acme.example")
    )
    assert back.headers["location"] == f"/senders/{sender}?oauth=connected&sender_id={sender}"
    page = text(browser.get(back.headers["location"]))
    assert "it signs in by its owner's consent now" in page
    assert "by consent at Google" in page


def test_what_went_wrong_is_said(browser, house, authority):
    sender = house.sender("ann@acme.example")
    there = browser.get(f"/senders/connect/google?sender={sender}").headers["location"]
    back = browser.get("/v1/oauth/google/callback", params=authority.consent(there, "ben@acme.example"))
    assert "Somebody else consented" in text(browser.get(back.headers["location"]))
    assert browser.get(f"/senders/connect/microsoft?sender={sender}").headers["location"] == f"/senders/{sender}"
    assert browser.get("/senders/connect/nobody").status_code == 404


def test_how_the_inbox_fares_is_shown(browser, house):
    sender = house.sender("ann@acme.example")
    house.run(
        "UPDATE senders SET imap_host = 'imap.acme.example', imap_port = 993, imap_security = 'tls' WHERE id = %s",
        sender,
    )
    assert "not looked at yet" in text(browser.get(f"/senders/{sender}"))
    house.run(
        """INSERT INTO mailboxes (sender_id, failures, error_code, error, failed_at, due_at)
           VALUES (%s, 2, 'imap_login', 'The server refused the sign-in.', now(), now() + interval '1 hour')""",
        sender,
    )
    page = text(browser.get(f"/senders/{sender}"))
    assert "replies and bounces are not seen: The server refused the sign-in." in page
    assert "tried again" in page
