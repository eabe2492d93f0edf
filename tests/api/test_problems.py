"""Refusals: one form for all of them, and nothing of the inside in them."""

import ast
from pathlib import Path

import pytest
from litestar import get
from litestar.testing import TestClient

from cleanmails import errors
from cleanmails.api import problems
from cleanmails.api.app import create_app
from cleanmails.api.codes import CODES

# Errors that never reach a handler: they are turned into a value, or stop the start.
INTERNAL = {errors.CleanmailsError, errors.MissingFieldError, errors.SettingsError, errors.UnreachableError}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/auth/login", 405, "method_not_allowed"),
        ("GET", "/v1/auth/me", 401, "not_signed_in"),
        ("DELETE", "/v1/api-keys/one", 404, "not_found"),
    ],
)
def test_a_refusal_is_a_problem(anonymous, method, path, status, code):
    answer = anonymous.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["code"] == code
    assert set(answer.json()) == {"type", "title", "status", "code", "detail"}


def test_a_method_that_is_not_taken_says_which_are(anonymous):
    assert "POST" in anonymous.get("/v1/auth/login").headers["allow"]


def test_all_faults_of_a_request_come_in_one_answer(api):
    answer = api.post("/v1/api-keys", json={"name": "", "role": "owner", "expires_at": "soon", "colour": "red"})
    assert answer.status_code == 400
    assert {(fault["field"], fault["code"]) for fault in answer.json()["faults"]} == {
        ("name", "blank"),
        ("role", "choice"),
        ("expires_at", "time"),
        ("colour", "unknown_field"),
    }


def test_no_body_is_a_fault_of_the_body(anonymous, owner):
    answer = anonymous.post("/v1/auth/login")
    assert answer.status_code == 400
    assert [(fault["field"], fault["code"]) for fault in answer.json()["faults"]] == [("", "json")]


@pytest.mark.asvs("15.2.2")
def test_a_body_that_is_too_large_is_not_read(anonymous):
    assert anonymous.post("/v1/auth/login", content=b" " * 1_000_001).status_code == 413


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=many", "after=!!", "after=a", "after=YTk5", "after=" + "9" * 400]
)
def test_a_wrong_window_is_a_fault_of_its_parameter(api, query):
    answer = api.get(f"/v1/api-keys?{query}")
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["faults"]] == [query.partition("=")[0]]


@pytest.mark.asvs("1.4.2")
def test_an_id_beyond_all_ids_is_unknown(api):
    for path in ("/v1/api-keys", "/v1/outreach/domains", "/v1/outreach/senders"):
        assert api.delete(f"{path}/{2**63}").status_code == 404


def test_a_nul_in_the_query_is_a_fault_of_its_parameter(api):
    answer = api.get("/v1/api-keys?limit=5&search=a%00b")
    assert answer.status_code == 400
    assert [(fault["field"], fault["code"]) for fault in answer.json()["faults"]] == [("search", "nul")]


def test_cursors_lead_through_the_whole_list_once(api):
    made = [api.post("/v1/api-keys", json={"name": f"key {n}"}).json()["api_key"]["id"] for n in range(5)]
    seen, path = [], "/v1/api-keys?limit=2"
    while path:
        answer = api.get(path).json()
        assert len(answer["items"]) <= 2
        seen += [item["id"] for item in answer["items"]]
        path = answer["next"] and f"/v1/api-keys?limit=2&after={answer['next']}"
    assert seen[-5:] == made
    assert len(seen) == len(set(seen))


@pytest.mark.asvs("16.5.1", "16.3.4")
def test_the_unexpected_tells_a_number_and_no_more(settings, database, lines):
    @get("/broken", sync_to_thread=True, public=True)
    def broken() -> None:
        raise RuntimeError("the inside")

    with TestClient(create_app(settings, database, dashboard=[broken]), raise_server_exceptions=False) as client:
        answer = client.get("/broken")
    assert answer.status_code == 500
    assert "inside" not in answer.text
    (failed,) = [line for line in lines() if line["event"] == "request.failed"]
    assert failed["incident"] == answer.json()["incident"]
    assert "inside" in str(failed["exc_info"])


@pytest.mark.asvs("16.5.2")
def test_a_ledger_that_does_not_answer_is_a_503_with_a_time_to_come_back(anonymous, database):
    database.close()
    answer = anonymous.get("/healthz")
    assert (answer.status_code, answer.json()["code"]) == (503, "ledger_down")
    assert int(answer.headers["retry-after"]) >= 1


def test_every_error_that_crosses_a_room_has_a_status():
    known = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CleanmailsError)
    }
    assert known - INTERNAL == set(problems.STATUSES)


def codes_raised():
    """Every `SomeError(..., code="...")` of the source, but for errors that never reach a handler."""
    for path in Path(errors.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                kind = getattr(errors, node.func.id, None)
                if kind in problems.STATUSES:
                    yield from (
                        each.value.value
                        for each in node.keywords
                        if each.arg == "code" and isinstance(each.value, ast.Constant)
                    )


def test_every_code_is_explained_and_none_is_made_up():
    of_classes = {kind.code for kind in problems.STATUSES}
    of_the_frame = {problems.TOO_MANY, "internal", "refused", *problems.PLAIN_CODES.values()}
    assert set(codes_raised()) | of_classes | of_the_frame == set(CODES)


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/v1/auth/me"])
@pytest.mark.asvs("3.4.1", "3.4.3", "3.4.4", "3.4.5", "3.4.6")
def test_every_answer_has_the_security_headers(anonymous, path):
    headers = anonymous.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
