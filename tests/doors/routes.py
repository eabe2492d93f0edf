"""Every route of the application with what the OpenAPI document says of it: what the tests of this folder are generated from."""

import json
import re
from urllib.parse import urlencode

import msgspec
from litestar.routes import HTTPRoute

from cleanmails.api import reference
from cleanmails.api.auth import PERMISSIONS, Permission, Role, needed
from cleanmails.web.manual import _example
from tests.api.conftest import PASSWORD
from tests.doors.world import NOWHERE, parameter

SAFE = {"GET", "HEAD"}

BODIES = {
    "account_begin_second_factor": {"password": PASSWORD},
    "account_change_password": {"current": PASSWORD, "new": PASSWORD},
    "account_confirm_second_factor": {"code": "000000"},
    "account_remove_second_factor": {"password": PASSWORD},
    "leads_create": {"email": "fresh@agency.example"},
    "integrations_create": {"kind": "hubspot", "credential": "x", "url": "http://127.0.0.1:1"},
    "integrations_change": {"name": "New"},
    "lists_split": {"names": ["A half", "The other half"]},
    "lists_rename": {"name": "Renamed"},
    "personaldata_erase": {"email": "nobody@agency.example"},
    "dkimkeys_add": {"selector": "next"},
    "invitations_create": {"email": "new@agency.example", "role": "viewer"},
    "models_write": {"kind": "openai", "model": "small", "key": "k", "url": "http://127.0.0.1:1/"},
    "people_change": {"role": "member"},
    "senders_create": {"address": "new@agency.example", "smtp_host": "127.0.0.1", "smtp_port": 1, "smtp_password": "x"},
    "senders_test_new": {
        "address": "new@agency.example",
        "smtp_host": "127.0.0.1",
        "smtp_port": 1,
        "smtp_password": "x",
    },
    "campaigns_create": {"name": "New", "steps": [{"position": 0, "subjects": ["Hi"], "body": "<p>Hi</p>"}]},
    "webhooks_create": {"url": "http://127.0.0.1:1/hook"},
    "webhooks_change": {"name": "New"},
}
"""Bodies that are taken, where the document's example is not enough; `{lead_id}` and the like stand for ids."""


MANY = {"leads_bulk": "lead_id", "unknowns_decide_many": "delivery_id"}
"""What `ids` in a body are of."""

QUERIES = {"events_stream": "?seconds=1", "oauth_callback": "?state=nobodys", "suppressions_remove": "?note=mistake"}
"""Queries without which a request is not one, or its answer would not end."""


class Route(msgspec.Struct, frozen=True):
    """One way in. `need` is None for an open one; `operation` what the document says, or nothing for a page."""

    method: str
    path: str
    name: str
    need: Permission | None
    operation: dict
    schema: tuple | None
    media: str
    cross_site: bool = False

    @property
    def parameters(self):
        """(name in the address, what it is the id of)."""
        return [(name, parameter(name, self.path)) for name in re.findall(r"{(\w+)}", self.path)]

    @property
    def is_page(self):
        return not self.operation

    @property
    def is_final(self):
        """A form that asks for nothing, and ends the workspace or its reader's sessions."""
        return self.is_page and self.path in {"/settings/archive", "/settings/account/sessions", "/sign-out"}

    @property
    def ids(self):
        return [noun for _, noun in self.parameters if noun.endswith("_id")]

    @property
    def roles(self):
        return PERMISSIONS[self.need][1] if self.need else frozenset(Role)

    def at(self, ids):
        """The address with ids, by what they are of."""
        path = re.sub(r"{(\w+)}", lambda found: str(ids.get(parameter(found[1], self.path), NOWHERE)), self.path)
        return path + QUERIES.get(self.name, "")

    def body(self, ids):
        """A body that is taken, and its headers."""
        if self.schema is None:
            return b"", {}
        if self.media != "application/json":
            return b"email\r\nnew@agency.example\r\n", {"content-type": "text/csv"}
        value = dict(BODIES.get(self.name) or _example(*self.schema))
        value |= {name: ids[name] for name in value if name in ids}
        if self.name == "leads_bulk":
            value = {"action": "add_tags", "tags": ["warm"], "ids": [ids["lead_id"]]}
        if self.name == "unknowns_decide_many":
            value["ids"] = [ids["delivery_id"]]
        return json.dumps(value).encode(), {"content-type": "application/json"}

    def with_foreign(self, ids, theirs):
        """Requests that name an id of `theirs` in the query or the body: (where, address, body, headers)."""
        body, headers = self.body(ids)
        for each in self.operation.get("parameters", []):
            if each["in"] == "query" and each["name"] in theirs.ids:
                query = f"{self.at(ids)}{'&' if self.name in QUERIES else '?'}{each['name']}={theirs.ids[each['name']]}"
                yield f"?{each['name']}", query, body, headers
        if self.is_page and self.method not in SAFE and not self.is_final:
            named = theirs.ids | {"workspace_id": theirs.workspace}
            yield (
                "a form",
                self.at({}),
                urlencode(named).encode(),
                {"content-type": "application/x-www-form-urlencoded"},
            )
        if self.media == "application/json":
            document, schema = self.schema
            named = theirs.ids | {"workspace_id": theirs.workspace}
            if self.name in MANY:
                named["ids"] = [theirs.ids[MANY[self.name]]]
            for place, value in foreign(document, schema, named):
                yield place, self.at(ids), json.dumps(json.loads(body) | value).encode(), headers

    def __str__(self):
        return f"{self.method} {self.path}"


def routes(app):
    """All that answer by a handler of ours."""
    document = reference.document(app)
    found = []
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or route.path_format.startswith(("/static", "/docs/openapi")):
            continue
        for method, (handler, _) in route.route_handler_map.items():
            if method == "OPTIONS":
                continue
            operation = document["paths"].get(route.path_format, {}).get(method.lower(), {})
            content = operation.get("requestBody", {}).get("content", {})
            media = next((kind for kind in ("application/json", "text/csv") if kind in content), "")
            schema = (document, content[media]["schema"]) if media else None
            function = getattr(handler.fn, "func", handler.fn)
            need = None if handler.opt.get("public") else needed(handler, safe=method in SAFE)
            name = operation.get("operationId") or function.__qualname__
            cross_site = bool(handler.opt.get("cross_site"))
            found.append(Route(method, route.path_format, name, need, operation, schema, media, cross_site))
    return found


def foreign(document, schema, ids):
    """(where, a body's part) for every field of a body that is an id: `lead_id`, `campaign_ids`, `lists: [{"id": 1}]`."""
    for name, field in resolved(document, schema).get("properties", {}).items():
        noun = name.removesuffix("s")
        if name == "ids" and "ids" in ids:
            yield name, {name: ids["ids"]}
        if name.endswith("_id") and name in ids:
            yield name, {name: ids[name]}
        elif name.endswith("_ids") and noun in ids:
            yield name, {name: [ids[noun]]}
        elif f"{noun}_id" in ids and '"id"' in json.dumps(list(parts(document, field))):
            yield name, {name: [{"id": ids[f"{noun}_id"]}]}


def parts(document, schema):
    """What a field may be made of."""
    schema = resolved(document, schema)
    yield {"properties": list(schema.get("properties", {}))}
    for each in [*schema.get("oneOf", []), *schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]:
        yield from parts(document, each)


def resolved(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema
