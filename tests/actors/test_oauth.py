"""Access tokens are fetched before they end, by one at a time, and a consent that was taken back stops the sender and not the campaign's leads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from cleanmails.actors import oauth, plan
from cleanmails.actors.watch import Watch
from cleanmails.demo import certificates
from cleanmails.demo.catcher import imap, server
from cleanmails.demo.catcher.boxes import Boxes
from cleanmails.ledger import oauth as grants
from cleanmails.mail.oauth import OauthError, Tokens
from cleanmails.settings import load
from tests import authority as provider

ANN = "ann@acme.example"


@pytest.fixture
def authority():
    with provider.running() as authority:
        yield authority


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def smtp(authority, made):
    with server.running(credentials={}, tokens=authority.good, certificates=made) as smtp:
        yield smtp


@pytest.fixture
def work(new_work, authority, smtp, made, database_url, redis_url, tmp_path):
    environ = {
        "CLEANMAILS_CA_FILE": str(made.authority),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "CLEANMAILS_STATE_DIR": str(tmp_path),
    }
    return new_work(settings=load(environ | provider.environ(authority, smtp.port, smtp.port)))


@pytest.fixture
def sender(house, smtp):
    return house.sender(ANN, port=smtp.port, security="starttls")


@pytest.fixture
def granted(house, work, sender, authority):
    """The sender is connected; its access token has so many seconds left."""

    def grant(left):
        tokens = authority._given(ANN, renew=True)
        made = Tokens(access=tokens["access_token"], expires_in=left, refresh=tokens["refresh_token"], account=ANN)
        access, refresh = oauth.sealed(work.vault, sender, made)
        now = datetime.now(UTC)
        with work.database.transaction() as db:
            grants.grant(
                db, house.workspace, sender, provider="google", account=ANN, refresh=refresh, access=access,
                expires_at=now + timedelta(seconds=left), now=now,
            )  # fmt: skip
        return tokens

    return grant


def test_a_token_is_used_until_shortly_before_its_end(work, sender, granted, authority):
    given = granted(3_600)
    assert oauth.access(work, sender).token == given["access_token"]
    assert authority.asked == []
    old = granted(oauth.SPARE / 2)
    fresh = oauth.access(work, sender)
    assert fresh.token != old["access_token"]
    assert authority.good(ANN, fresh.token)
    assert oauth.access(work, sender) == fresh
    assert len(authority.asked) == 1


def test_who_signs_in_with_a_password_has_no_token(work, sender):
    assert oauth.access(work, sender) is None


def test_many_who_need_a_token_bring_about_one_fetch(work, sender, granted, authority):
    """Some providers end a refresh token that is used twice at once."""
    granted(0)
    authority.rotates = True
    together = threading.Barrier(8)

    def ask():
        together.wait()
        return oauth.access(work, sender).token

    with ThreadPoolExecutor(8) as pool:
        tokens = {future.result() for future in [pool.submit(ask) for _ in range(8)]}
    assert len(tokens) == 1
    assert len(authority.asked) == 1


def test_a_new_refresh_token_takes_the_place_of_the_old_one(house, work, sender, granted, authority):
    first = granted(0)
    authority.rotates = True
    oauth.access(work, sender)
    house.run("UPDATE oauth_grants SET expires_at = now()")
    oauth.access(work, sender)
    used = [form["refresh_token"] for form in authority.asked]
    assert used[0] == first["refresh_token"]
    assert used[1] != used[0]


def test_a_provider_that_does_not_answer_is_asked_again_later_and_not_at_once(house, work, sender, granted, authority):
    granted(oauth.SPARE / 2)
    authority.answer = (503, b"busy")
    assert oauth.access(work, sender).token, "the old one is good for some time"
    house.run("UPDATE oauth_grants SET expires_at = now()")
    with pytest.raises(OauthError, match="without JSON"):
        oauth.access(work, sender)
    assert len(authority.asked) == 1
    authority.answer = None
    house.run("UPDATE oauth_grants SET refreshing_until = now()")
    assert authority.good(ANN, oauth.access(work, sender).token)
    assert house.one("SELECT error FROM oauth_grants") is None


def test_a_consent_that_was_taken_back_is_told_and_not_asked_for_again(house, work, sender, granted, authority):
    granted(0)
    authority.withdraw()
    for _ in range(3):
        with pytest.raises(OauthError, match="revoked") as refused:
            oauth.access(work, sender)
        assert refused.value.code == "oauth_refused"
    assert len(authority.asked) == 1
    assert house.one("SELECT refused_at IS NOT NULL FROM oauth_grants")


def test_mails_go_out_by_token(house, work, smtp, sender, granted, drain):
    granted(0)
    house.knows("b.example")
    leads = house.leads("bob@b.example", "eve@b.example")
    campaign = house.campaign(leads, [sender])
    plan.plan(work)
    drain()
    assert [house.delivery(campaign, lead)["state"] for lead in leads] == ["sent", "sent"]
    assert len(smtp.mails()) == 2


def test_without_consent_the_sender_is_held_and_its_leads_are_not_to_blame(
    house, work, smtp, sender, granted, authority, drain
):
    granted(0)
    authority.withdraw()
    house.knows("b.example")
    [lead] = house.leads("bob@b.example")
    campaign = house.campaign([lead], [sender])
    plan.plan(work)
    drain()
    assert house.delivery(campaign, lead)["state"] == "deferred"
    assert house.one("SELECT status FROM senders WHERE id = %s", sender) == "restricted"
    assert house.one("SELECT status FROM leads WHERE id = %s", lead) == "active"
    assert smtp.mails() == []


def test_a_mailbox_is_read_by_token(house, work, sender, granted, authority):
    boxes = Boxes()
    with imap.serving(boxes, credentials={}, tokens=authority.good) as served:
        granted(0)
        house.run(
            "UPDATE senders SET imap_host = '127.0.0.1', imap_port = %s, imap_security = 'plain' WHERE id = %s", served.port, sender
        )  # fmt: skip
        watch = Watch(work, lambda *_: None)
        try:
            for _ in range(200):
                watch.turn(longest=0.1)
                if watch.idling:
                    break
            assert watch.idling == 1
        finally:
            watch.close()
    boxes.close()
    assert len(authority.asked) == 1
