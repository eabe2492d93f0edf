"""The OpenAPI document arranged for reading: groups of operations, each with its parameters, fields, answers and a curl call to copy."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

Json = dict[str, Any]

_WORTH_SHOWING = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "maxLength": "up to {} characters",
    "maxItems": "up to {} entries",
}


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a body or an answer, or a parameter: `kind` is its type in words, `target` the schema that it is made of, if any."""

    name: str
    kind: str
    target: str | None
    required: bool
    notes: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `answers` are status, meaning and schema."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    permission: str | None
    roles: list[str]
    parameters: list[Field]
    body: str | None
    fields: list[Field]
    answers: list[tuple[str, str, str | None]]
    curl: str


class Group(msgspec.Struct, frozen=True):
    """The operations of one noun."""

    name: str
    anchor: str
    operations: list[Operation]


class Part(msgspec.Struct, frozen=True):
    """A schema: what answers and bodies are made of. `words` are the values of an enumeration."""

    name: str
    description: str
    fields: list[Field]
    words: list[str]


class Manual(msgspec.Struct, frozen=True):
    """The whole reference."""

    title: str
    version: str
    description: str
    groups: list[Group]
    parts: list[Part]


def manual(document: Json) -> Manual:
    """The reference of an OpenAPI document."""
    groups: dict[str, list[Operation]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(document, method, path, operation))
    return Manual(
        document["info"]["title"],
        document["info"]["version"],
        document["info"]["description"],
        [Group(name, _anchor(name), operations) for name, operations in groups.items()],
        [_part(name, schema) for name, schema in document["components"]["schemas"].items()],
    )


def _operation(document: Json, method: str, path: str, operation: Json) -> Operation:
    content: Json = operation.get("requestBody", {}).get("content", {})
    media, body = next(((kind, each["schema"]) for kind, each in content.items()), ("", None))
    schema = _resolved(document, body) if body else {}
    return Operation(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation["description"],
        permission=operation.get("x-permission"),
        roles=operation.get("x-roles", []),
        parameters=[_parameter(each) for each in operation.get("parameters", [])],
        body=_target(body) if body else None,
        fields=_fields(schema),
        answers=list(_answers(document, operation)),
        curl=_curl(document, method, path, operation, media, body),
    )


def _parameter(given: Json) -> Field:
    field = _field(given["name"], given["schema"], required=given["required"])
    return msgspec.structs.replace(field, kind=f"{field.kind}, in the {given['in']}")


def _fields(schema: Json) -> list[Field]:
    required = schema.get("required", [])
    fields = [_field(name, each, required=name in required) for name, each in schema.get("properties", {}).items()]
    return sorted(fields, key=lambda field: not field.required)


def _field(name: str, schema: Json, *, required: bool) -> Field:
    notes = [schema.get("description", "")]
    notes += [words.format(f"{schema[key]:g}") for key, words in _WORTH_SHOWING.items() if key in schema]
    if schema.get("default") is not None:
        notes.append(f"default {json.dumps(schema['default'], ensure_ascii=False)}")
    return Field(
        name=name,
        kind=_kind(schema),
        target=_target(schema),
        required=required,
        notes="; ".join(note.rstrip(".") for note in notes if note),
    )


def _kind(schema: Json) -> str:
    """A type in words."""
    if "$ref" in schema:
        return _name(schema["$ref"])
    if "enum" in schema:
        return " or ".join(json.dumps(word) for word in schema["enum"])
    if choices := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(dict.fromkeys(_kind(each) for each in choices))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "anything")


def _target(schema: Json) -> str | None:
    """The named schema that a type is made of, inside of lists and choices too."""
    if "$ref" in schema:
        return _name(schema["$ref"])
    inner = schema.get("oneOf") or schema.get("anyOf") or ([schema["items"]] if "items" in schema else [])
    return next((target for each in inner if (target := _target(each))), None)


def _answers(document: Json, operation: Json) -> Iterator[tuple[str, str, str | None]]:
    for status, given in operation["responses"].items():
        answer = _resolved(document, given)
        schema: Json = next((each["schema"] for each in answer.get("content", {}).values() if "schema" in each), {})
        yield status, answer["description"], _target(schema)


def _curl(document: Json, method: str, path: str, operation: Json, media: str, body: Json | None) -> str:
    lines = [f"curl -X {method.upper()} SERVER{path}" if method != "get" else f"curl SERVER{path}"]
    if operation.get("security"):
        lines.append('-H "Authorization: Bearer $CLEANMAILS_KEY"')
    if body and media == "application/json":
        example = json.dumps(_example(document, body), ensure_ascii=False).replace("'", "'\\''")
        lines += ['-H "Content-Type: application/json"', f"-d '{example}'"]
    elif body:
        lines += [f"-F '{name}=@{name}'" for name in _resolved(document, body).get("properties", {"file": {}})]
    return " \\\n  ".join(lines)


def _example(document: Json, schema: Json) -> Any:  # noqa: ANN401 - JSON of any shape
    """A value that a schema would take: what must be there, and the first of each choice."""
    schema = _resolved(document, schema)
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if choices := schema.get("oneOf") or schema.get("anyOf"):
        return _example(document, choices[0])
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            names = [name for name in schema.get("properties", {}) if name in required] or list(
                schema.get("properties", {})
            )[:1]
            return {name: _example(document, schema["properties"][name]) for name in names}
        case "array":
            return [_example(document, schema.get("items", {}))]
        case "integer" | "number":
            return schema.get("default", int(schema.get("minimum", 1)))
        case "boolean":
            return schema.get("default", True)
        case _:
            return "2030-01-31T09:00:00Z" if schema.get("format") == "date-time" else schema.get("default") or "..."


def _part(name: str, schema: Json) -> Part:
    return Part(name, schema.get("description", ""), _fields(schema), [str(word) for word in schema.get("enum", [])])


def _resolved(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        _, _, section, name = schema["$ref"].split("/")
        schema = document["components"][section][name]
    return schema


def _name(ref: str) -> str:
    return ref.rpartition("/")[2]


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")
