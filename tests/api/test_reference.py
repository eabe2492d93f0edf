"""The OpenAPI document says what the application does, and the reference page shows all of it."""

import re

import pytest
from litestar.routes import HTTPRoute

from cleanmails.api import reference
from cleanmails.web.manual import manual
from tests.doors.world import IDS, parameter


@pytest.fixture
def document(app):
    return reference.document(app)


def operations(document):
    return [(path, method, each) for path, item in document["paths"].items() for method, each in item.items()]


def handlers(app):
    return [
        (route.path_format, method.lower(), handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS" and handler.resolve_include_in_schema()
    ]


def test_every_call_stands_in_the_document_and_says_what_it_does(app, document):
    assert {(path, method) for path, method, _ in operations(document)} == {
        (path, method) for path, method, _ in handlers(app)
    }
    assert all(operation["summary"].endswith(".") for _, _, operation in operations(document))


def test_every_call_has_a_name_of_its_own(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_a_closed_call_says_who_may_call_it_and_an_open_one_says_so(app, document):
    for path, method, handler in handlers(app):
        operation = document["paths"][path][method]
        if handler.opt.get("public"):
            assert operation["security"] == []
        else:
            assert operation["security"] == reference.SECURITY
            assert "owner" in operation["x-roles"]
            assert {"401", "403"} <= set(operation["responses"])


def test_every_number_that_is_asked_for_has_its_bounds(document):
    """A number that no column can hold is a fault of the request, not of the ledger."""
    for path, _, operation in operations(document):
        for given in operation.get("parameters", []):
            schema = given["schema"]
            for each in (schema, *schema.get("oneOf", []), *schema.get("anyOf", [])):
                if given["in"] == "query" and each.get("type") == "integer":
                    assert {"minimum", "maximum"} <= {*each, *schema}, (path, given["name"])


def test_every_id_in_an_address_is_tried_with_one_of_another_workspace(document):
    """Add a row of yours to tests/doors/world.py, in each of its two workspaces, and its name to `IDS` there."""
    for path in document["paths"]:
        for name in re.findall(r"{(\w+_id)}", path):
            assert parameter(name, path) in IDS, path


def test_every_refusal_is_a_problem(document):
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert answer == {"$ref": f"#/components/responses/Problem{status}"}
    for status, answer in document["components"]["responses"].items():
        assert list(answer["content"]) == ["application/problem+json"], status


def test_a_call_lists_the_refusals_that_follow_from_its_shape(document):
    for path, method, operation in operations(document):
        statuses = set(operation["responses"])
        assert {"500", "503"} <= statuses
        if "{" in path and operation["security"]:
            assert "404" in statuses
        if "requestBody" in operation:
            assert {"400", "413"} <= statuses
        if method != "get" and operation["security"]:
            assert "403" in statuses


@pytest.mark.asvs("8.2.3", "15.3.3")
def test_what_a_body_is_made_of_takes_nothing_else(document):
    schemas = document["components"]["schemas"]
    for _, _, operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            ref = media["schema"].get("$ref", "").rpartition("/")[2]
            assert not ref or schemas[ref]["additionalProperties"] is False


def test_every_reference_leads_somewhere(document):
    text = repr(document)
    for section, name in re.findall(r"#/components/(\w+)/([\w.]+)'", text):
        assert name in document["components"][section]


def test_the_document_is_served_to_everybody(anonymous, document):
    assert anonymous.get("/openapi.json").json() == document
    assert anonymous.get("/docs/openapi/openapi.json").json() == document


def test_the_manual_shows_every_call_with_an_example_to_copy(document):
    shown = {call.anchor: call for group in manual(document).groups for call in group.operations}
    for path, method, operation in operations(document):
        call = shown[operation["operationId"]]
        assert f"SERVER{path}" in call.curl
        assert ("Authorization: Bearer" in call.curl) == bool(operation["security"])
        assert (call.method, call.path) == (method.upper(), path)


def test_an_example_has_what_must_be_there(document):
    create = next(
        call for group in manual(document).groups for call in group.operations if call.anchor == "senders_create"
    )
    assert '"address": "ann@agency.example"' in create.curl
    assert '"smtp_host": "smtp.agency.example"' in create.curl
