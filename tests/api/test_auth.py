"""Signing in and out, keys, roles, and other people's pages."""

import pytest
from litestar.testing import TestClient

from cleanmails.api import auth, passwords
from cleanmails.api import owner as first_start
from cleanmails.api.app import create_app
from cleanmails.api.auth import Permission, Role
from cleanmails.settings import load
from tests.api.conftest import EMAIL, PASSWORD

WRONG = "not the password at all"


def login(client, password=PASSWORD, email=EMAIL):
    return client.post("/v1/auth/login", json={"email": email, "password": password})


def cookie_of(answer):
    return answer.headers["set-cookie"]


@pytest.mark.asvs("7.2.1", "7.2.2")
def test_a_right_password_begins_a_session(anonymous, owner):
    answer = login(anonymous)
    assert answer.status_code == 200
    assert answer.json()["role"] == "owner"
    assert anonymous.get("/v1/auth/me").json() == answer.json()


def test_the_address_is_taken_in_any_case_and_with_blanks_around(anonymous, owner):
    assert login(anonymous, email=f" {EMAIL.upper()} ").status_code == 200


@pytest.mark.asvs("3.3.2", "3.3.4")
def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(anonymous, owner):
    cookie = cookie_of(login(anonymous)).lower()
    assert cookie.startswith("auth_token=")
    assert {"httponly", "samesite=lax", "path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "secure" not in cookie


def test_behind_tls_the_cookie_is_secure(database, owner):
    app = create_app(load({"CLEANMAILS_URL": "https://mail.example.com", "CLEANMAILS_SECRET_KEY": "07" * 32}), database)
    with TestClient(app) as client:
        assert "secure" in cookie_of(login(client)).lower()


@pytest.mark.asvs("7.2.3", "11.5.1")
def test_only_the_hash_of_a_token_is_kept(anonymous, owner, database):
    login(anonymous)
    token = anonymous.cookies["auth_token"]
    assert len(token) >= 43, "256 bits in base64url"
    with database.transaction() as db:
        rows = db.execute("SELECT token_hash FROM sessions").fetchall()
    assert [row["token_hash"] for row in rows] == [auth.token_hash(token)]


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(anonymous, owner):
    wrong, unknown = login(anonymous, WRONG), login(anonymous, WRONG, "nobody@agency.example")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["code"] == "wrong_credentials"


def test_an_unknown_user_costs_the_same_work(monkeypatch):
    verified = []
    monkeypatch.setattr(passwords, "_hasher", Recorder(passwords._hasher, verified))
    assert passwords.matches(None, WRONG) is False
    assert passwords.matches(passwords.hash_password(PASSWORD), WRONG) is False
    assert len(verified) == 2


@pytest.mark.asvs("11.4.2")
def test_hashes_cost_what_owasp_advises(dear_hasher):
    assert dear_hasher.hash("x").startswith("$argon2id$v=19$m=47104,t=1,p=1$")


class Recorder:
    """Passes on to a real hasher, and counts."""

    def __init__(self, hasher, verified):
        self._hasher, self._verified = hasher, verified

    def verify(self, hashed, password):
        self._verified.append(hashed)
        return self._hasher.verify(hashed, password)

    def hash(self, password):
        return self._hasher.hash(password)


@pytest.mark.asvs("6.3.1", "2.4.1")
def test_many_misses_make_an_account_wait_longer_and_longer(anonymous, owner, clock):
    for _ in range(5):
        assert login(anonymous, WRONG).status_code == 401
    waits = []
    for _ in range(3):
        answer = login(anonymous)
        assert answer.status_code == 429, "a right password has to wait as well"
        waits.append(int(answer.headers["retry-after"]))
        clock.forward(seconds=waits[-1])
        assert login(anonymous, WRONG).status_code == 401
    assert waits == [1, 2, 4]
    clock.forward(hours=2)
    assert login(anonymous).status_code == 200


@pytest.mark.asvs("6.3.1")
def test_one_address_cannot_try_many_accounts(anonymous, owner):
    for number in range(20):
        assert login(anonymous, WRONG, f"user{number}@agency.example").status_code == 401
    assert login(anonymous, WRONG, "another@agency.example").status_code == 429


@pytest.mark.asvs("7.3.1")
def test_a_session_lives_seven_days_after_its_last_use(anonymous, owner, clock):
    login(anonymous)
    for _ in range(3):
        clock.forward(days=6)
        assert anonymous.get("/v1/auth/me").status_code == 200
    clock.forward(days=7, minutes=1)
    assert anonymous.get("/v1/auth/me").status_code == 401


@pytest.mark.asvs("7.3.2")
def test_a_session_ends_at_last_however_much_it_is_used(anonymous, owner, clock):
    assert "Max-Age=2592000" in login(anonymous).headers["set-cookie"]
    for days in range(29):
        clock.forward(days=1)
        assert anonymous.get("/v1/auth/me").status_code == 200
        if days == 20:
            assert anonymous.post("/v1/auth/switch", json={"workspace_id": owner}).status_code == 204
    clock.forward(days=1, minutes=1)
    assert anonymous.get("/v1/auth/me").status_code == 401


class TestBehindHttps:
    @pytest.fixture
    def environ(self):
        return {"CLEANMAILS_URL": "https://mail.agency.example", "CLEANMAILS_SECRET_KEY": "07" * 32}

    @pytest.mark.usefixtures("owner")
    @pytest.mark.asvs("3.3.1", "3.3.3")
    def test_no_other_host_can_plant_the_cookie_of_a_session(self, anonymous):
        said = login(anonymous).headers["set-cookie"]
        assert said.startswith("__Host-auth_token=")
        assert {"Secure", "HttpOnly", "Path=/"} <= set(said.split("; "))
        assert "Domain" not in said
        token = said.partition("=")[2].partition(";")[0]
        anonymous.cookies.clear()
        me, browser = "/v1/auth/me", {"Sec-Fetch-Site": "same-origin"}

        def seen(cookie, **headers):
            return anonymous.get(me, headers={"Cookie": cookie, **headers}).status_code

        assert seen(f"__Host-auth_token={token}", **browser) == 200
        assert seen(f"auth_token={token}") == 200, "a program may send the plain name"
        assert seen(f"auth_token={token}", **browser) == 401, "a browser may have been given it by a subdomain"
        assert seen(f"auth_token={token}; __Host-auth_token=planted") == 401
        assert anonymous.post("/v1/auth/logout", headers={"Cookie": f"__Host-auth_token={token}"}).status_code == 204
        assert seen(f"__Host-auth_token={token}") == 401


@pytest.mark.asvs("7.4.1")
def test_signing_out_ends_the_session_for_good(anonymous, owner):
    login(anonymous)
    token = anonymous.cookies["auth_token"]
    assert anonymous.post("/v1/auth/logout").status_code == 204
    assert "auth_token" not in anonymous.cookies
    assert anonymous.get("/v1/auth/me", headers={"Cookie": f"auth_token={token}"}).status_code == 401


@pytest.mark.asvs("7.4.2")
def test_a_disabled_user_is_out_at_once(anonymous, owner, database):
    login(anonymous)
    with database.transaction() as db:
        db.execute("UPDATE users SET disabled_at = now()")
    assert anonymous.get("/v1/auth/me").status_code == 401
    assert login(anonymous).status_code == 401


@pytest.mark.parametrize(
    "header", ["Basic abc", "Bearer", "Bearer cm_live_wrong", "Bearer \N{POUND SIGN}".encode("latin-1")]
)
@pytest.mark.asvs("6.3.4")
def test_whatever_is_no_key_is_nobody(anonymous, owner, header):
    answer = anonymous.get("/v1/auth/me", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_key_acts_until_it_is_revoked(api, anonymous):
    made = api.post("/v1/api-keys", json={"name": "CRM sync", "role": "member"}).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert made["key"].startswith("cm_live_")
    assert made["key"].startswith(made["api_key"]["prefix"])
    assert anonymous.get("/v1/auth/me", headers=headers).json()["role"] == "member"
    listed = api.get("/v1/api-keys").json()["items"]
    assert [key["used_at"] is not None for key in listed if key["name"] == "CRM sync"] == [True]
    assert made["key"] not in api.get("/v1/api-keys").text
    assert api.delete(f"/v1/api-keys/{made['api_key']['id']}").status_code == 204
    assert anonymous.get("/v1/auth/me", headers=headers).status_code == 401


def test_a_key_ends_when_it_expires(api, clock):
    expires = clock.now.replace(microsecond=0)
    made = api.post("/v1/api-keys", json={"name": "short", "expires_at": expires.isoformat()}).json()
    clock.forward(seconds=1)
    assert api.get("/v1/auth/me", headers={"Authorization": f"Bearer {made['key']}"}).status_code == 401


def test_keys_of_another_workspace_are_unknown(api, stranger):
    made = api.post("/v1/api-keys", json={"name": "mine"}).json()["api_key"]
    assert stranger.delete(f"/v1/api-keys/{made['id']}").status_code == 404
    assert made["id"] not in [key["id"] for key in stranger.get("/v1/api-keys").json()["items"]]


@pytest.mark.parametrize("role", ["viewer", "member"])
def test_who_may_not_manage_keys_can_neither_make_nor_see_them(anonymous, owner, key_of, role):
    headers = key_of(owner, role)
    assert anonymous.post("/v1/api-keys", json={"name": "x"}, headers=headers).status_code == 403
    assert anonymous.get("/v1/api-keys", headers=headers).status_code == 403


def test_every_permission_says_who_has_it():
    assert set(auth.PERMISSIONS) == set(Permission)
    assert auth.PERMISSIONS[Permission.READ][1] == frozenset(Role)
    assert all(Role.VIEWER not in roles for need, (_, roles) in auth.PERMISSIONS.items() if need is not Permission.READ)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
@pytest.mark.asvs("3.5.1", "3.5.2")
def test_a_page_of_another_site_cannot_act_with_the_cookie(anonymous, owner, headers):
    login(anonymous)
    answer = anonymous.post("/v1/api-keys", json={"name": "x"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert anonymous.get("/v1/auth/me", headers=headers).status_code == 200, "reading changes nothing"


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver.localhost"}])
def test_our_own_pages_and_plain_programs_act_with_the_cookie(anonymous, owner, headers):
    login(anonymous)
    assert anonymous.post("/v1/api-keys", json={"name": "x"}, headers=headers).status_code == 201


def test_another_site_cannot_sign_a_person_in(anonymous, owner):
    answer = anonymous.post(
        "/v1/auth/login", json={"email": EMAIL, "password": PASSWORD}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403


def test_a_key_needs_no_origin(api):
    assert api.post("/v1/api-keys", json={"name": "x"}, headers={"Origin": "https://crm.example"}).status_code == 201


@pytest.mark.asvs("16.2.5")
def test_no_secret_is_ever_logged(anonymous, owner, lines):
    login(anonymous, WRONG)
    login(anonymous)
    token = anonymous.cookies["auth_token"]
    key = anonymous.post("/v1/api-keys", json={"name": "x"}).json()["key"]
    anonymous.get("/v1/auth/me", headers={"Authorization": f"Bearer {key}"})
    anonymous.get(f"/nowhere/{token}?token={token}")
    assert not any(secret in repr(lines()) for secret in (WRONG, PASSWORD, token, key))
    served = [line for line in lines() if line["event"] == "request.served"]
    routes = ["/v1/auth/login", "/v1/auth/login", "/v1/api-keys", "/v1/auth/me", "-"]
    assert [line["route"] for line in served] == routes
    assert served[2]["workspace_id"] == owner
    assert "workspace_id" not in served[4]


@pytest.mark.asvs("6.3.2")
def test_the_first_start_makes_one_owner(database, anonymous):
    password = first_start.first_owner(database, "First@Agency.example")
    assert password
    assert first_start.first_owner(database, "second@agency.example") is None
    assert login(anonymous, password, "first@agency.example").json()["role"] == "owner"


def test_a_lost_password_is_replaced_and_ends_all_sessions(database, anonymous, owner):
    login(anonymous)
    password = first_start.reset_password(database, EMAIL)
    assert anonymous.get("/v1/auth/me").status_code == 401
    assert login(anonymous).status_code == 401
    assert login(anonymous, password).status_code == 200
    assert first_start.reset_password(database, "nobody@agency.example") is None


def test_the_owner_command_shows_the_password_once(database_url, database, monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert first_start.main(["--email", EMAIL]) == 0
    assert "password: " in capsys.readouterr().out
    assert first_start.main(["--email", EMAIL]) == 1
    assert "already" in capsys.readouterr().err
