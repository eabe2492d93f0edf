"""Every refusal in one form: problem details (RFC 9457), out of one table from errors to statuses.

What was not expected answers 500 with an incident's number and nothing else; the log has the rest under that number.
"""

import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from cleanmails import log
from cleanmails.errors import (
    AuthError,
    BusyError,
    CleanmailsError,
    ConflictError,
    Fault,
    ForbiddenError,
    InvalidError,
    MismatchError,
    NotFoundError,
    SealError,
    StaleError,
    StateError,
    TemplateError,
)

TOO_MANY: Final = "too_many_requests"
"""The code of a BusyError that the caller brought about: 429 (RFC 6585, 4). Every other one is ours: 503."""

STATUSES: Final[Mapping[type[CleanmailsError], HTTPStatus]] = {
    InvalidError: HTTPStatus.BAD_REQUEST,
    TemplateError: HTTPStatus.BAD_REQUEST,
    AuthError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    StateError: HTTPStatus.CONFLICT,
    ConflictError: HTTPStatus.CONFLICT,
    SealError: HTTPStatus.CONFLICT,
    MismatchError: HTTPStatus.UNPROCESSABLE_ENTITY,
    StaleError: HTTPStatus.PRECONDITION_FAILED,
    BusyError: HTTPStatus.SERVICE_UNAVAILABLE,
}

PLAIN_CODES: Final[Mapping[int, str]] = {
    400: "invalid",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}
"""Codes of what Litestar itself refuses."""

Handler = Callable[[Request[Any, Any, Any], Exception], Response[Any]]

_log = log.get(__name__)


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was refused (RFC 9457). `code` is stable; `faults` lists all that is wrong with an invalid request.

    `incident` names the log lines of an unexpected failure.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    faults: list[Fault] = []
    incident: str | None = None


def from_error(error: CleanmailsError) -> Problem:
    """What an error of ours answers. An error that is in no row of the table is our own slip, and must not come here."""
    status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
    if isinstance(error, BusyError) and error.code == TOO_MANY:
        status = HTTPStatus.TOO_MANY_REQUESTS
    faults = error.faults if isinstance(error, InvalidError) else []
    if isinstance(error, TemplateError):
        faults = [Fault("", error.code, f"Line {error.line}, column {error.column}: {error.message}")]
    return _problem(status, error.code, error.message, faults=faults)


def from_http(error: HTTPException) -> Problem:
    """What Litestar refused by itself: no route, no such method, a body that is too large, a parameter of the wrong type."""
    faults = [_parameter_fault(each) for each in error.extra] if isinstance(error.extra, list) else []
    detail = "The request has faults; nothing was changed." if faults else _plain_detail(error)
    code = PLAIN_CODES.get(error.status_code, "refused")
    return _problem(HTTPStatus(error.status_code), code, detail, faults=faults)


def from_anything(error: Exception) -> Problem:
    """What to say of a failure: the one function behind API and pages. The unexpected is logged here, under the incident it answers with."""
    if isinstance(error, CleanmailsError) and isinstance(error, tuple(STATUSES)):
        return from_error(error)
    if isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return from_http(error)
    incident = secrets.token_hex(6)
    _log.error("request.failed", incident=incident, exc_info=error)
    detail = f"Something went wrong here, and was written down as incident {incident}."
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail, incident=incident)


def headers(error: Exception, problem: Problem) -> dict[str, str]:
    """The headers that a refusal must have: RFC 9110, 11.6.1 and 10.2.3, and `Allow`."""
    given = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        given["WWW-Authenticate"] = 'Bearer realm="cleanmails"'
    if isinstance(error, BusyError):
        given["Retry-After"] = str(error.retry_after)
    return given


def answer(_request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """The exception handler of the API."""
    problem = from_anything(error)
    return Response(
        problem, status_code=problem.status, media_type="application/problem+json", headers=headers(error, problem)
    )


def _problem(
    status: HTTPStatus, code: str, detail: str, *, faults: list[Fault] | None = None, incident: str | None = None
) -> Problem:
    return Problem(
        type=f"/docs/api#problem-{code}",
        title=status.phrase,
        status=status.value,
        code=code,
        detail=detail,
        faults=faults or [],
        incident=incident,
    )


def _plain_detail(error: HTTPException) -> str:
    if (
        error.detail != HTTPStatus(error.status_code).phrase
        and error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    ):
        return error.detail  # ours: where else the body may go
    return {
        HTTPStatus.NOT_FOUND: "There is nothing at this address.",
        HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take that method.",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than this address takes.",
    }.get(HTTPStatus(error.status_code), error.detail)


def _parameter_fault(found: object) -> Fault:
    """One entry of Litestar's list of faulty parameters."""
    entry = found if isinstance(found, dict) else {}
    if entry.get("key") == "data":
        return Fault("", "json", "The body must be JSON; there is none.")
    return Fault(str(entry.get("key", "")), "parameter", str(entry.get("message", "This parameter is not right.")))
