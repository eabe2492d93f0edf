"""schemathesis reads the OpenAPI document and makes requests of it, right and wrong ones: no failure, no status, type or shape that is not in the document.

The suite tries a few for each operation; `python3 run.py doors` tries many.
"""

import os

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cleanmails.api.auth import Role
from tests.doors.test_bad_requests import TOO_FINAL

EXAMPLES = int(os.environ.get("DOORS_EXAMPLES", "1"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_document_says_all_that_the_api_answers(wire, ledger, count):
    schema = schemathesis.openapi.from_asgi("/openapi.json", wire.app)
    headers = {"Cookie": f"auth_token={ledger.ours.sessions[Role.OWNER]}"}
    found = []
    for result in schema.get_all_operations():
        operation = result.ok()
        name = operation.definition.raw["operationId"]
        if name in TOO_FINAL or name == "events_stream":
            continue

        @hypothesis.settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def tried(case):
            case.call_and_validate(headers=headers, checks=CHECKS)
            count("schemathesis requests")

        try:
            tried()
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - it is listed, with all others
            found.append(f"{name}: {error!r} {getattr(error, 'exceptions', '')}"[:1500])
    assert not found, f"{len(found)} found\n" + "\n".join(found)
