"""People: invitations, roles, workspaces, second factors, lost passwords, and what is written down of all of them."""

import json
import re
from functools import partial

import pyotp
import pytest
from litestar.testing import TestClient

from cleanmails.api.auth import Permission, Role
from cleanmails.ledger import users
from tests.api.conftest import EMAIL, PASSWORD

NEW = "another good password"


class Browser:
    """Somebody's own jar of cookies, over the one client that the application has."""

    def __init__(self, client):
        self.client, self.cookies = client, {}

    def request(self, method, path, headers=None, **rest):
        self.client.cookies.clear()
        jar = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        answer = self.client.request(method, path, headers={**jar, **(headers or {})}, **rest)
        self.cookies |= dict(answer.cookies)
        return answer

    def __getattr__(self, name):
        return partial(self.request, name.upper())


@pytest.fixture
def door(anonymous):
    """Makes another browser."""
    return lambda: Browser(anonymous)


@pytest.fixture
def boss(door, owner):
    """The owner's browser, signed in."""
    client = door()
    assert sign_in(client).status_code == 200
    return client


def sign_in(client, email=EMAIL, password=PASSWORD, **more):
    return client.post("/v1/auth/login", json={"email": email, "password": password, **more})


def invite(client, email="eve@agency.example", role="member"):
    return client.post("/v1/invitations", json={"email": email, "role": role})


def token_in(answer):
    return answer.json()["link"].rpartition("/")[2]


def come_in(client, invitation, password=NEW, **more):
    return client.post("/v1/invitations/accept", json={"token": token_in(invitation), "password": password, **more})


@pytest.fixture
def joined(boss, door):
    """Invites somebody and lets them come in: `joined("viewer")` is their browser and their id."""

    def join(role="member", email="eve@agency.example"):
        client = door()
        answer = come_in(client, invite(boss, email, role))
        assert answer.status_code == 200, answer.text
        return client, answer.json()["user"]["id"]

    return join


class TestInvitations:
    @pytest.mark.asvs("6.4.1")
    def test_an_invitation_leads_in_with_its_role_and_works_once(self, boss, door):
        invitation = invite(boss, role="viewer")
        client = door()
        answer = come_in(client, invitation, name="Eve")
        assert answer.json()["role"] == "viewer"
        assert client.get("/v1/auth/me").json()["user"]["name"] == "Eve"
        assert come_in(door(), invitation).status_code == 404

    def test_a_revoked_or_expired_invitation_leads_nowhere(self, boss, door, clock):
        revoked, expired = invite(boss), invite(boss, "mia@agency.example")
        assert boss.delete(f"/v1/invitations/{revoked.json()['invitation']['id']}").status_code == 204
        assert come_in(door(), revoked).status_code == 404
        clock.forward(days=8)
        assert come_in(door(), expired).status_code == 404

    def test_who_has_an_account_comes_in_with_its_password_only(self, boss, door, joined):
        joined()
        invitation = invite(boss)
        assert come_in(door(), invitation, password="a guess at it").json()["code"] == "wrong_credentials"
        assert come_in(door(), invitation).status_code == 200

    def test_an_admin_makes_no_owners(self, joined):
        admin, _ = joined("admin")
        assert invite(admin, "new@agency.example", "owner").status_code == 403
        assert invite(admin, "new@agency.example", "admin").status_code == 201

    def test_the_page_behind_the_link_works_without_a_script(self, database, settings, boss):
        from cleanmails.web.server import application

        with TestClient(application(settings, database), raise_server_exceptions=False) as browser:
            link = token_in(invite(boss))
            assert "eve@agency.example" in browser.get(f"/invitation/{link}").text
            short = browser.post(f"/invitation/{link}", data={"password": "short"})
            assert short.status_code == 400
            done = browser.post(f"/invitation/{link}", data={"password": NEW, "name": "Eve"}, follow_redirects=False)
            assert (done.status_code, done.headers["location"]) == (303, "/")
            assert browser.get("/v1/auth/me").json()["user"]["email"] == "eve@agency.example"
            assert browser.get(f"/invitation/{link}").status_code == 404


class TestMembers:
    @pytest.mark.asvs("8.3.1")
    def test_a_role_counts_from_the_next_request_on(self, boss, joined):
        eve, eve_id = joined("member")
        assert eve.post("/v1/outreach/lists", json={"name": "Mine"}).status_code == 201
        assert boss.patch(f"/v1/users/{eve_id}", json={"role": "viewer"}).status_code == 204
        assert eve.post("/v1/outreach/lists", json={"name": "Other"}).status_code == 403

    def test_who_is_taken_out_is_out_at_once(self, boss, joined):
        eve, eve_id = joined()
        assert boss.delete(f"/v1/users/{eve_id}").status_code == 204
        assert eve.get("/v1/auth/me").status_code == 401
        assert [member["email"] for member in boss.get("/v1/users").json()["items"]] == [EMAIL]

    def test_the_last_owner_stays(self, boss):
        me = boss.get("/v1/auth/me").json()["user"]["id"]
        assert boss.delete(f"/v1/users/{me}").json()["code"] == "last_owner"
        assert boss.patch(f"/v1/users/{me}", json={"role": "admin"}).json()["code"] == "last_owner"

    def test_an_admin_touches_no_owner(self, boss, joined):
        me = boss.get("/v1/auth/me").json()["user"]["id"]
        admin, admin_id = joined("admin")
        assert admin.patch(f"/v1/users/{me}", json={"role": "viewer"}).status_code == 403
        assert admin.delete(f"/v1/users/{me}").status_code == 403
        assert admin.patch(f"/v1/users/{admin_id}", json={"role": "owner"}).status_code == 403

    def test_people_of_another_workspace_are_unknown(self, stranger, joined):
        _, eve_id = joined()
        assert stranger.patch(f"/v1/users/{eve_id}", json={"role": "viewer"}).status_code == 404
        assert stranger.delete(f"/v1/users/{eve_id}").status_code == 404


class TestWorkspaces:
    def test_one_is_made_switched_into_and_archived(self, boss):
        here = boss.get("/v1/workspace").json()["id"]
        made = boss.post("/v1/workspaces", json={"name": "Client"}).json()["id"]
        token = boss.cookies["auth_token"]
        assert boss.post("/v1/auth/switch", json={"workspace_id": made}).status_code == 204
        assert boss.cookies["auth_token"] != token
        assert boss.get("/v1/workspace").json()["name"] == "Client"
        assert boss.post("/v1/workspace/archive").status_code == 204
        assert boss.get("/v1/workspace").status_code == 401
        sign_in(boss)
        assert [each["id"] for each in boss.get("/v1/auth/workspaces").json()] == [here]

    def test_there_is_no_way_into_others(self, boss, stranger):
        other = stranger.get("/v1/workspace").json()["id"]
        assert boss.post("/v1/auth/switch", json={"workspace_id": other}).status_code == 404

    def test_one_with_a_running_campaign_is_not_archived(self, boss, database, owner):
        with database.transaction() as db:
            db.execute(
                "INSERT INTO campaigns (workspace_id, name, status, started_at) VALUES (%s, 'A', 'running', now())",
                [owner],
            )
        assert boss.post("/v1/workspace/archive").json()["code"] == "campaigns_running"

    @pytest.mark.usefixtures("a_sender")
    def test_an_export_holds_everything_but_credentials(self, boss):
        boss.post("/v1/outreach/lists", json={"name": "Prospects"})
        lines = [json.loads(line) for line in boss.get("/v1/workspace/export").text.splitlines()]
        kinds = {line["kind"] for line in lines}
        assert {"workspace", "member", "sender", "list"} <= kinds
        assert not [line for line in lines if any("sealed" in key or "hash" in key for key in line["row"])]


@pytest.fixture
def a_sender(database, owner):
    with database.transaction() as db:
        db.execute(
            "INSERT INTO senders (workspace_id, address, smtp_host, smtp_port, smtp_security, smtp_sealed) "
            "VALUES (%s, 'ann@agency.example', 'mail.example', 587, 'starttls', '\\x00')",
            [owner],
        )


class TestSecondFactor:
    def set_up(self, client, clock):
        secret = client.post("/v1/auth/second-factor", json={"password": PASSWORD}).json()["secret"]
        app = pyotp.TOTP(secret)
        answer = client.post("/v1/auth/second-factor/confirm", json={"code": app.at(clock())})
        assert answer.status_code == 200, answer.text
        return app, answer.json()["recovery_codes"]

    @pytest.mark.asvs("6.5.1", "6.5.5")
    def test_once_confirmed_a_code_is_asked_for_and_works_once(self, boss, door, clock):
        app, _ = self.set_up(boss, clock)
        assert sign_in(door()).json()["code"] == "second_factor_required"
        assert sign_in(door(), code="000000").json()["code"] == "wrong_code"
        assert sign_in(door(), code=app.at(clock())).json()["code"] == "wrong_code", "the confirmation used it up"
        clock.forward(seconds=30)
        assert sign_in(door(), code=app.at(clock())).status_code == 200
        assert sign_in(door(), code=app.at(clock())).json()["code"] == "wrong_code"

    def test_an_unconfirmed_one_asks_nobody(self, boss, door):
        boss.post("/v1/auth/second-factor", json={"password": PASSWORD})
        assert sign_in(door()).status_code == 200

    def test_a_recovery_code_works_once(self, boss, door, clock):
        _, codes = self.set_up(boss, clock)
        assert len(set(codes)) == 10
        assert sign_in(door(), code=codes[0].upper()).status_code == 200
        assert sign_in(door(), code=codes[0]).json()["code"] == "wrong_code"

    def test_a_recovery_code_lets_in_where_the_secret_does_not_open(self, boss, door, clock, database):
        _, codes = self.set_up(boss, clock)
        with database.transaction() as db:
            db.execute("UPDATE users SET totp_sealed = set_byte(totp_sealed, 20, 1 + get_byte(totp_sealed, 20) % 255)")
        assert sign_in(door(), code="000000").json()["code"] == "sealed"
        client = door()
        assert sign_in(client, code=codes[0]).status_code == 200
        assert client.post("/v1/auth/second-factor/remove", json={"password": PASSWORD}).status_code == 204
        assert sign_in(door()).status_code == 200

    def test_wrong_codes_are_slowed_down_like_passwords(self, boss, door, clock):
        self.set_up(boss, clock)
        answers = [sign_in(door(), code="000000").status_code for _ in range(6)]
        assert answers == [401] * 5 + [429]

    def test_an_invitation_is_no_way_around_it(self, boss, door, clock):
        self.set_up(boss, clock)
        invitation = invite(boss, EMAIL, "viewer")
        assert come_in(door(), invitation, password=PASSWORD).json()["code"] == "second_factor_required"

    @pytest.mark.asvs("7.5.1")
    def test_it_is_removed_with_the_password_only(self, boss, door, clock):
        self.set_up(boss, clock)
        assert boss.post("/v1/auth/second-factor/remove", json={"password": "not it at all"}).status_code == 401
        assert boss.post("/v1/auth/second-factor/remove", json={"password": PASSWORD}).status_code == 204
        assert sign_in(door()).status_code == 200

    def test_the_secret_is_sealed(self, boss, database, clock):
        app, _ = self.set_up(boss, clock)
        with database.transaction() as db:
            (row,) = db.execute("SELECT totp_sealed FROM users").fetchall()
        assert app.secret.encode() not in bytes(row["totp_sealed"])


class TestSessions:
    @pytest.mark.asvs("7.5.2")
    def test_they_are_listed_and_ended(self, boss, door):
        other = door()
        sign_in(other)
        listed = boss.get("/v1/auth/sessions").json()
        assert sorted(each["current"] for each in listed) == [False, True]
        (theirs,) = (each["id"] for each in listed if not each["current"])
        assert boss.delete(f"/v1/auth/sessions/{theirs}").status_code == 204
        assert other.get("/v1/auth/me").status_code == 401
        assert boss.delete(f"/v1/auth/sessions/{theirs}").status_code == 404

    def test_nobody_ends_those_of_others(self, boss, joined):
        eve, _ = joined()
        (mine,) = (each["id"] for each in boss.get("/v1/auth/sessions").json())
        assert eve.delete(f"/v1/auth/sessions/{mine}").status_code == 404

    @pytest.mark.asvs("6.1.2", "6.2.4", "6.2.11")
    @pytest.mark.parametrize(
        "new", ["1q2w3e4r5t6y", "QWERTYUIOP", "password123!", "cleanmails1", "Cleanmails-2026", "owner@agency.example"]
    )
    def test_what_is_guessed_first_is_no_password(self, boss, new):
        answer = boss.post("/v1/auth/password", json={"current": PASSWORD, "new": new})
        assert (answer.status_code, answer.json()["faults"][0]["field"]) == (400, "new")
        assert "only you would put together" in answer.json()["faults"][0]["message"]

    @pytest.mark.asvs("6.2.2", "6.2.3", "7.4.3")
    def test_a_new_password_ends_the_others(self, boss, door):
        other = door()
        sign_in(other)
        assert boss.post("/v1/auth/password", json={"current": "wrong one here", "new": NEW}).status_code == 401
        assert boss.post("/v1/auth/password", json={"current": PASSWORD, "new": NEW}).status_code == 204
        assert other.get("/v1/auth/me").status_code == 401
        assert boss.get("/v1/auth/me").status_code == 200
        assert sign_in(other, password=NEW).status_code == 200

    @pytest.mark.asvs("7.2.4")
    def test_signing_in_ends_the_session_that_was_there(self, boss, door):
        before = boss.cookies["auth_token"]
        sign_in(boss)
        assert door().get("/v1/auth/me", headers={"Cookie": f"auth_token={before}"}).status_code == 401
        assert len(boss.get("/v1/auth/sessions").json()) == 1


class TestKeys:
    def test_a_scope_narrows_a_role(self, boss, anonymous):
        made = boss.post("/v1/api-keys", json={"name": "CRM", "role": "admin", "scopes": ["read"]}).json()
        headers = {"Authorization": f"Bearer {made['key']}"}
        assert anonymous.get("/v1/outreach/lists", headers=headers).status_code == 200
        assert anonymous.post("/v1/outreach/lists", json={"name": "A"}, headers=headers).status_code == 403
        assert made["api_key"]["scopes"] == ["read"]

    def test_a_scope_gives_nothing_that_the_role_lacks(self, boss, anonymous):
        scopes = [permission.value for permission in Permission]
        made = boss.post("/v1/api-keys", json={"name": "CRM", "role": "viewer", "scopes": scopes}).json()
        headers = {"Authorization": f"Bearer {made['key']}"}
        assert anonymous.post("/v1/outreach/lists", json={"name": "A"}, headers=headers).status_code == 403

    def test_a_key_makes_nothing_that_may_do_more_than_itself(self, boss, anonymous, door):
        scopes = ["read", "manage", "people"]
        made = boss.post("/v1/api-keys", json={"name": "CRM", "scopes": scopes}).json()["key"]
        key = {"headers": {"Authorization": f"Bearer {made}"}}
        for wider in ({}, {"scopes": [*scopes, "write"]}, {"role": "member"}):
            answer = anonymous.post("/v1/api-keys", json={"name": "More", **wider}, **key)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), wider
        for narrow in ({"scopes": ["manage"]}, {"role": "viewer"}, {"role": "member", "scopes": ["read"]}):
            assert anonymous.post("/v1/api-keys", json={"name": "Less", **narrow}, **key).status_code == 201, narrow
        eve = {"email": "eve@acme.example"}
        for role, status in (("admin", 403), ("member", 403), ("viewer", 201)):
            assert anonymous.post("/v1/invitations", json={**eve, "role": role}, **key).status_code == status
        come_in(door(), invite(boss, "eve@acme.example", "viewer"), password=NEW)
        member = boss.get("/v1/users").json()["items"][-1]["id"]
        assert anonymous.patch(f"/v1/users/{member}", json={"role": "admin"}, **key).status_code == 403

    @pytest.mark.parametrize("path", ["/v1/auth/sessions", "/v1/auth/workspaces"])
    def test_what_concerns_a_person_is_not_for_keys(self, api, path):
        assert api.get(path).json()["code"] == "people_only"


class TestAudit:
    def entries(self, boss, **query):
        return boss.get("/v1/audit", params=query).json()["items"]

    @pytest.mark.asvs("16.2.1")
    def test_it_says_who_did_what_to_which_thing(self, boss, api):
        made = boss.post("/v1/outreach/lists", json={"name": "Prospects"}).json()["id"]
        api.patch(f"/v1/outreach/lists/{made}", json={"name": "Leads"})
        change, creation, sign_in_ = self.entries(boss)
        assert (creation["action"], creation["object_id"], creation["user"]) == ("lists.create", made, EMAIL)
        assert (change["object_id"], change["user"], change["api_key"]) == (made, None, "admin")
        assert sign_in_["action"] == "session.begin"

    def test_what_was_refused_or_only_read_is_not_in_it(self, boss):
        before = len(self.entries(boss))
        boss.get("/v1/outreach/lists")
        boss.post("/v1/outreach/lists", json={"name": ""})
        assert len(self.entries(boss)) == before

    def test_it_is_searched_by_noun_user_and_time(self, boss, clock):
        boss.post("/v1/outreach/lists", json={"name": "A"})
        assert [each["action"] for each in self.entries(boss, action="lists")] == ["lists.create"]
        assert self.entries(boss, action="list") == []
        assert self.entries(boss, user_id=999) == []
        assert self.entries(boss, until=clock().replace(year=2000).isoformat()) == []

    def test_it_is_for_those_who_answer_for_people(self, joined, stranger):
        member, _ = joined("member")
        assert member.get("/v1/audit").status_code == 403
        assert stranger.get("/v1/audit").json()["items"] == []


class TestShares:
    @pytest.fixture
    def campaign(self, database, owner):
        with database.transaction() as db:
            return db.execute(
                "INSERT INTO campaigns (workspace_id, name) VALUES (%s, 'Spring') RETURNING id", [owner]
            ).fetchone()["id"]

    def test_a_link_shows_the_figures_until_it_is_revoked(self, boss, anonymous, campaign):
        made = boss.post(f"/v1/outreach/campaigns/{campaign}/shares", json={"name": "Client"}).json()
        path = f"/v1/shared/{token_in(Answer(made))}"
        assert anonymous.get(path).json()["campaign"] == "Spring"
        assert boss.delete(f"/v1/outreach/campaigns/{campaign}/shares/{made['share']['id']}").status_code == 204
        assert anonymous.get(path).status_code == 404

    def test_it_expires(self, boss, anonymous, campaign, clock):
        made = boss.post(f"/v1/outreach/campaigns/{campaign}/shares", json={"name": "Client", "days": 1}).json()
        clock.forward(days=1, seconds=1)
        assert anonymous.get(f"/v1/shared/{token_in(Answer(made))}").status_code == 404

    def test_campaigns_of_others_are_unknown(self, stranger, campaign):
        answer = stranger.post(f"/v1/outreach/campaigns/{campaign}/shares", json={"name": "Client"})
        assert answer.status_code == 404


class Answer:
    """Something that was read before."""

    def __init__(self, content):
        self._content = content

    def json(self):
        return self._content


class TestLostPasswords:
    @pytest.fixture
    def environ(self, post):
        port = post.port
        return {
            "CLEANMAILS_SYSTEM_SMTP": f"smtp+plain://127.0.0.1:{port}",
            "CLEANMAILS_SYSTEM_FROM": "system@agency.example",
        }

    @pytest.fixture
    def post(self, tmp_path):
        from cleanmails.demo.catcher import running

        with running(tmp_path, port=0) as catcher:
            yield catcher

    def mailed(self, post):
        return [post.raw(mail.id).decode() for mail in post.mails()]

    @pytest.mark.asvs("6.4.3")
    def test_a_link_comes_by_mail_works_once_and_ends_all_sessions(self, boss, door, post):
        assert door().post("/v1/auth/forgot", json={"email": EMAIL}).status_code == 202
        (raw,) = self.mailed(post)
        token = re.search(r"/reset-password/([\w-]+)", raw.replace("=\r\n", ""))[1]
        answer = door().post("/v1/auth/reset", json={"token": token, "password": NEW})
        assert answer.status_code == 204
        assert boss.get("/v1/auth/me").status_code == 401
        assert sign_in(door(), password=NEW).status_code == 200
        again = door().post("/v1/auth/reset", json={"token": token, "password": NEW})
        assert again.json()["code"] == "wrong_token"

    def test_a_link_that_was_asked_for_before_the_password_changed_leads_nowhere(self, boss, door, post):
        door().post("/v1/auth/forgot", json={"email": EMAIL})
        token = re.search(r"/reset-password/([\w-]+)", self.mailed(post)[0].replace("=\r\n", ""))[1]
        assert boss.post("/v1/auth/password", json={"current": PASSWORD, "new": NEW}).status_code == 204
        answer = door().post("/v1/auth/reset", json={"token": token, "password": "yet another good one"})
        assert answer.json()["code"] == "wrong_token"

    @pytest.mark.usefixtures("owner")
    def test_nobody_learns_who_has_an_account(self, door, post):
        assert door().post("/v1/auth/forgot", json={"email": "nobody@agency.example"}).status_code == 202
        assert self.mailed(post) == []

    def test_an_invitation_is_mailed_too(self, boss, post):
        answer = invite(boss)
        assert answer.json()["mailed"] is True
        assert token_in(answer) in self.mailed(post)[0].replace("=\r\n", "")


def test_every_role_is_described_by_the_table():
    from cleanmails.api.auth import PERMISSIONS

    assert set(PERMISSIONS) == set(Permission)
    assert all(roles <= set(Role) and Role.OWNER in roles for _, roles in PERMISSIONS.values())


def test_there_is_no_registration(anonymous, owner, database):
    with database.transaction() as db:
        assert users.first_owner(db, email="thief@evil.example", password_hash="x") is None
