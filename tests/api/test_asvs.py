"""Small things that OWASP ASVS asks for and no other test holds, and the page that says which test holds what."""

import re

import pytest

from cleanmails.api import totp
from tests import asvs
from tests.api.conftest import EMAIL, PASSWORD
from tests.api.test_people import Browser, sign_in
from tests.doors.routes import SAFE, routes


def test_the_page_is_made_of_the_markers_as_they_are():
    """Mend it: `python3 run.py asvs`."""
    assert asvs.PAGE.read_text() == asvs.page()


def test_every_requirement_is_held_by_a_test_or_says_why_not():
    tests, rows = asvs.markers(), asvs.requirements()
    wanted = {number for number, _, kind, _ in rows if kind == "test"}
    assert wanted - set(tests) == set(), "no test bears these"
    assert set(tests) - wanted == set(), "tests bear numbers that tests/asvs.txt does not expect"
    assert all(reason for _, _, kind, reason in rows if kind != "test")
    assert (len(rows), sum(level == 1 for _, level, _, _ in rows)) == (253, 70)


@pytest.mark.asvs("6.2.1", "6.2.5", "6.2.8", "6.2.9")
@pytest.mark.parametrize(
    "password", ["aaaaaaaaaaa", "          ", "пароль из слов", "\U0001f511" * 10, "Aa" * 40, "x" * 1_024]
)
def test_a_password_may_be_anything_of_ten_characters_and_counts_as_it_is(anonymous, owner, password):
    person = Browser(anonymous)
    assert sign_in(person).status_code == 200
    assert person.post("/v1/auth/password", json={"current": PASSWORD, "new": password}).status_code == 204
    assert sign_in(Browser(anonymous), password=password.swapcase() + " ").status_code in {400, 401}
    assert sign_in(Browser(anonymous), password=password).status_code == 200
    assert person.post("/v1/auth/password", json={"current": password, "new": "too short"}).status_code == 400


@pytest.mark.asvs("6.2.6")
def test_passwords_are_typed_into_fields_that_hide_them(anonymous, settings, database, owner):
    from litestar.testing import TestClient

    from cleanmails.web.server import application

    with TestClient(application(settings, database)) as browser:
        for path in ("/sign-in", "/reset-password/x"):
            inputs = re.findall(r"<input[^>]*>", browser.get(path).text)
            hidden = [each for each in inputs if 'name="password"' in each]
            assert hidden
            assert all('type="password"' in each for each in hidden), path


@pytest.mark.asvs("6.5.2")
def test_recovery_codes_have_more_than_112_random_bits():
    codes = totp.new_recovery_codes()
    assert len(set(codes)) == len(codes)
    assert all(len(code.replace("-", "")) * 5 >= 112 for code in codes), "of an alphabet of 32"


@pytest.mark.asvs("3.5.3", "3.2.1", "4.1.1", "3.4.2")
def test_what_changes_something_is_no_get_and_every_answer_says_what_it_is(app, api, database):
    for route in routes(app):
        assert route.method in SAFE or route.method in {"POST", "PUT", "PATCH", "DELETE"}
    with database.transaction() as db:
        before = db.execute("SELECT count(*) AS n FROM audit").fetchone()["n"]
    for route in routes(app):
        if route.method == "GET" and "{" not in route.path and route.path != "/v1/outreach/events/stream":
            answer = api.get(route.path, headers={"Origin": "https://evil.example"})
            assert "access-control-allow-origin" not in answer.headers, route
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert not answer.content or "/" in answer.headers["content-type"], route
            if answer.headers.get("content-type", "").startswith("text/"):
                assert "charset=utf-8" in answer.headers["content-type"].lower(), route
    with database.transaction() as db:
        assert db.execute("SELECT count(*) AS n FROM audit").fetchone()["n"] == before


@pytest.mark.asvs("13.4.4")
@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "PROPFIND"])
def test_methods_that_nobody_needs_are_not_taken(api, method):
    assert api.request(method, "/v1/outreach/lists").status_code in {400, 404, 405}


@pytest.mark.asvs("14.2.1")
def test_no_parameter_of_a_query_holds_a_secret(app):
    named = {
        each["name"] for route in routes(app) for each in route.operation.get("parameters", []) if each["in"] == "query"
    }
    assert not {name for name in named if re.search(r"token|secret|password|api_?key|credential|session", name)}


@pytest.mark.asvs("16.3.1")
def test_who_signs_in_and_who_is_refused_is_logged(anonymous, owner, lines):
    person = Browser(anonymous)
    sign_in(person, password="a wrong password")
    sign_in(person)
    events = [line["event"] for line in lines()]
    assert {"session.refused", "session.began"} <= set(events)
    assert EMAIL not in repr(lines())


@pytest.mark.asvs("3.4.1", "12.2.1")
def test_behind_https_browsers_are_told_to_stay_there(database, owner):
    from litestar.testing import TestClient

    from cleanmails.api.app import create_app
    from cleanmails.settings import load

    secure = load({"CLEANMAILS_URL": "https://mail.example.com", "CLEANMAILS_SECRET_KEY": "ab" * 32})
    with TestClient(create_app(secure, database)) as client:
        kept = client.get("/v1/auth/me").headers["strict-transport-security"]
    assert int(re.search(r"max-age=(\d+)", kept)[1]) >= 31_536_000
    assert "includeSubDomains" in kept
    with TestClient(create_app(load({}), database)) as client:
        assert "strict-transport-security" not in client.get("/v1/auth/me").headers
