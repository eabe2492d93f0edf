"""The OpenAPI document: what Litestar reads off the handlers, completed with what all of them have in common.

Every status that an operation can answer stands in it: those of its own, those that `responses=also(...)` adds, and those that follow from its
shape (a body can be wrong, an id unknown, a session missing, the ledger down).
"""

import inspect
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute
from litestar.types import Method

from cleanmails import __version__
from cleanmails.api.auth import COOKIE, PERMISSIONS, needed
from cleanmails.api.comfort import CONDITIONAL
from cleanmails.api.problems import Problem
from cleanmails.rules import event_types

SECURITY: Final[list[dict[str, list[str]]]] = [{"session": []}, {"apiKey": []}]

_MEANINGS: Final = {
    400: "The request has faults; `faults` lists every one of them.",
    401: "Nobody is signed in, or the credentials do not hold.",
    403: "The role may not do this, or the request comes from a page of another site.",
    404: "There is no such thing in this workspace.",
    409: "The thing is in a state that does not allow this, or another one has its name already.",
    412: "The thing is not any more as `If-Match` says; nothing was changed. Read it again.",
    413: "The body is too large.",
    422: "The `Idempotency-Key` was used for another request.",
    429: "Too many requests; `Retry-After` says when to try again.",
    500: "Something went wrong here; `incident` names it in the log.",
    503: "A part that is needed does not answer; `Retry-After` says when to try again.",
}
IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text of your own: for 24 hours the same request with the same key is answered as the first was, and not done again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` that a GET of this address answered: the write is done only if a GET would still answer it, else it is 412. Of two such writes at once one is done.",
    "schema": {"type": "string", "minLength": 1},
}
_WITH_RETRY_AFTER: Final = (429, 503)


def also(*statuses: int) -> dict[int, ResponseSpec]:
    """Statuses that a handler answers beside those that follow from its shape: `responses=also(409)`."""
    return {
        status: ResponseSpec(data_container=Problem, description=HTTPStatus(status).phrase, generate_examples=False)
        for status in statuses
    }


def config() -> OpenAPIConfig:
    """What the application is told. Litestar wants a place of its own for its routes; what it serves there is the same document."""
    return OpenAPIConfig(
        title="cleanmails",
        version=__version__,
        description="Multi-step cold e-mail campaigns. Ids belong to the workspace of the session or key; those of any other are unknown (404).",
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        components=Components(
            security_schemes={
                "session": SecurityScheme(
                    type="apiKey",
                    security_scheme_in="cookie",
                    name=COOKIE,
                    description="Set by `POST /v1/auth/login`; behind https browsers know it as `__Host-auth_token`, and programs may send either.",
                ),
                "apiKey": SecurityScheme(type="http", scheme="bearer", description="A key of `POST /v1/api-keys`."),
            }
        ),
        openapi_router=Router(
            "/docs/openapi",
            route_handlers=[],
            include_in_schema=False,
            opt={"public": True},
            dto=None,
            return_dto=None,
        ),
        render_plugins=[_Document()],
    )


@get("/openapi.json", sync_to_thread=True, public=True, include_in_schema=False)
def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The document."""
    return Response(msgspec.json.encode(document(request.app)), media_type="application/json")


def document(app: Litestar) -> dict[str, Any]:
    """The complete OpenAPI 3.1 document; made once per application, and not to be changed by whoever gets it."""
    known: dict[str, Any] | None = app.state.get("openapi")
    if known is None:
        known = _with_plain_names(app.openapi_schema.to_schema())
        for operation, handler in _operations(app, known):
            _complete(operation, handler)
            _close(operation.get("requestBody"), known["components"]["schemas"])
        _widen(known)
        known["components"]["responses"] = {f"Problem{status}": _problem(status) for status in _MEANINGS}
        for name, schema in known["components"]["schemas"].items():
            schema.setdefault("description", _docstrings().get(name, ""))
        known["components"]["schemas"] |= event_types.schemas(known["components"]["schemas"]["Event"])
        app.state["openapi"] = known
    return known


class _Document(JsonRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 - Litestar's own is not complete
        return msgspec.json.encode(document(request.app))


def _operations(app: Litestar, schema: dict[str, Any]) -> Iterator[tuple[dict[str, Any], HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path_format in schema["paths"]:
            for method, (handler, _) in route.route_handler_map.items():
                operation = schema["paths"][route.path_format].get(method.lower())
                if operation is not None:
                    yield operation, handler


def _complete(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    said = inspect.cleandoc(operation.get("description", ""))
    operation["summary"], operation["description"] = _first_sentence(said)
    if handler.opt.get("public"):
        operation["security"] = []
    else:
        need = needed(handler, safe="get" in {method.lower() for method in handler.http_methods})
        operation["security"] = SECURITY
        operation["x-permission"] = need.value
        operation["x-roles"] = sorted(role.value for role in PERMISSIONS[need][1])
    if not handler.opt.get("public") and "GET" not in handler.http_methods:
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    if _conditional(handler):
        operation["parameters"].append(IF_MATCH)
    own = {status: given for status, given in operation["responses"].items() if int(status) < HTTPStatus.BAD_REQUEST}
    declared = {int(status) for status in operation["responses"]} - {int(status) for status in own}
    faults = sorted(declared & {401, 404, 409, 429} | set(_follows(operation, handler)))
    for given in own.values():
        given.pop("headers", None)
    own.get("204", {}).pop("content", None)
    operation["responses"] = own | {
        str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in faults
    }


def _follows(operation: dict[str, Any], handler: HTTPRouteHandler) -> Iterator[int]:
    """The refusals that an operation can meet with whatever it does."""
    places = {parameter["in"] for parameter in operation.get("parameters", [])}
    public = handler.opt.get("public")
    yield 400  # a query can hold a NUL, an Idempotency-Key can be none
    if "requestBody" in operation:
        yield 413
    if "path" in places:
        yield 404
    if not public:
        yield from (401, 429)
    if not public and "GET" not in handler.http_methods:
        yield from (409, 422)
    if _conditional(handler):
        yield 412
    if not public or ("GET" not in handler.http_methods and not handler.opt.get("cross_site")):
        yield 403
    yield from (500, 503)


def _conditional(handler: HTTPRouteHandler) -> bool:
    """Whether `If-Match` is heeded (`api/comfort.py`)."""
    return not handler.opt.get("public") and bool(handler.http_methods & CONDITIONAL)


def _problem(status: int) -> dict[str, Any]:
    problem: dict[str, Any] = {
        "description": _MEANINGS[status],
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in _WITH_RETRY_AFTER:
        problem["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return problem


def _close(part: Any, schemas: dict[str, Any]) -> None:  # noqa: ANN401 - JSON of any shape
    """What a body is made of takes no fields that are not listed."""
    if isinstance(part, list):
        for each in part:
            _close(each, schemas)
    elif isinstance(part, dict) and "$ref" in part:
        schema = schemas[part["$ref"].rpartition("/")[2]]
        if "properties" in schema and "additionalProperties" not in schema:
            schema["additionalProperties"] = False
            _close(schema["properties"], schemas)
    elif isinstance(part, dict):
        _close(list(part.values()), schemas)


def _widen(part: Any) -> None:  # noqa: ANN401 - as above
    """A union takes what any of its members takes. Litestar says `oneOf`, by which a whole number that may be a number too would be neither."""
    if isinstance(part, list):
        for each in part:
            _widen(each)
    elif isinstance(part, dict):
        if isinstance(part.get("oneOf"), list):
            part["anyOf"] = part.pop("oneOf")
        _widen(list(part.values()))


def _with_plain_names(schema: dict[str, Any]) -> dict[str, Any]:
    """`Page_cleanmails.api.domains.Domain_` is `DomainPage`."""
    text = re.sub(r"Page_[\w.]*?(\w+)_(?=\")", r"\1Page", msgspec.json.encode(schema).decode())
    plain: dict[str, Any] = msgspec.json.decode(text)
    return plain


def _docstrings() -> dict[str, str]:
    """What our structs say of themselves, by name."""
    structs = [msgspec.Struct]
    for each in structs:
        structs += each.__subclasses__()
    return {
        each.__name__: inspect.cleandoc(each.__doc__ or "")
        for each in structs
        if each.__module__.startswith("cleanmails.")
    }


def _first_sentence(text: str) -> tuple[str, str]:
    """The first sentence, and the rest."""
    end = re.search(r"\.(\s+|$)", text)
    return (text[: end.start() + 1], text[end.end() :]) if end else (text, "")


def operation_id(handler: HTTPRouteHandler) -> str:
    """`Domains.create` is `domains_create`: its anchor in the reference, too."""
    function = getattr(handler.fn, "func", handler.fn)  # a sync handler is wrapped for its thread
    return str(function.__qualname__).rpartition("<locals>.")[2].replace(".", "_").lower()


def summary(handler: HTTPRouteHandler) -> str:
    """What a handler does, in its first sentence."""
    return _first_sentence(inspect.cleandoc(handler.fn.__doc__ or ""))[0]


def _operation_id(handler: HTTPRouteHandler, _method: Method, _path: list[Any]) -> str:
    return operation_id(handler)
