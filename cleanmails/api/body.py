"""Request bodies: JSON into a struct, with every fault of it at once, field by field.

msgspec itself stops at the first fault. Here the struct's own type information (`msgspec.inspect`) is walked beside the value, so that the
structs stay plain and the answer still names everything that is wrong. What types cannot say is added in two places: for one field by a check in
its type, `Annotated[str, Meta(extra={"check": an_address})]`, a function from the value to a code and a message or None; for several fields together
by a method `faults(self) -> Iterator[Fault]` of the struct, with paths relative to it. Of a struct with wrong fields that method sees the right ones only.

A value that was sent is never repeated in a message: it may be a password.
"""
# ruff: noqa: ANN401 - what comes out of JSON, and out of a type that is only known at run time, is Any

import functools
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from types import NoneType, SimpleNamespace
from typing import Annotated, Any, Final, TypeVar, cast

import msgspec
from litestar.dto import AbstractDTO
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition
from msgspec import inspect

from cleanmails.errors import Fault, InvalidError

T = TypeVar("T")

Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
"""The id of a noun inside a body."""

FAULTS_SHOWN: Final = 500
"""More than a person or a program will mend from one answer; the last fault says how many were left out."""

Check = Callable[[Any], tuple[str, str] | None]
"""What a field may have in `Meta(extra={"check": ...})`: a fault's code and message, or None."""

_Taker = Callable[[Any, Any, str, list[Fault]], Any]


def read(struct: type[T], raw: bytes) -> T:
    """The body of a request as `struct`. InvalidError with every fault; the fault of a body that is no JSON has the field ""."""
    try:
        value = msgspec.json.decode(raw)
    except RecursionError as error:
        raise InvalidError([Fault("", "json", "The body is nested too deeply.")]) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidError([Fault("", "json", f"The body must be JSON in UTF-8: {_reason(error)}.")]) from error
    return read_value(struct, value)


def read_value(kind: type[T], value: object, field: str = "") -> T:
    """A value that was decoded from JSON as `kind`; paths of faults begin with `field`. InvalidError with every fault."""
    faults: list[Fault] = []
    taken = _take(inspect.type_info(kind), value, field, faults)
    if len(faults) > FAULTS_SHOWN:
        more = len(faults) - FAULTS_SHOWN
        faults[FAULTS_SHOWN:] = [Fault("", "more", f"And {more} more faults that are not listed here.")]
    if faults:
        raise InvalidError(faults)
    return cast("T", taken)


def join(path: str, field: str) -> str:
    """`steps[1]` and `wait_days` make `steps[1].wait_days`; an index follows without a dot."""
    return f"{path}.{field}" if path and field and not field.startswith("[") else path + field


class JsonBody(AbstractDTO[Any]):
    """Lets a handler say `data: JSONBody[NewDomain]` and get what `read` makes of the body. Set once, on the application."""

    _kinds: dict[str, Any] = {}  # noqa: RUF012 - Litestar makes no instance before it asks; one entry per handler

    @classmethod
    def create_for_field_definition(
        cls,
        field_definition: FieldDefinition,
        handler_id: str,
        backend_cls: object = None,  # noqa: ARG003 - Litestar's signature
    ) -> None:
        """Remember what a handler takes."""
        cls._kinds[handler_id] = field_definition.annotation

    @classmethod
    def create_openapi_schema(
        cls,
        field_definition: FieldDefinition,
        handler_id: str,  # noqa: ARG003 - Litestar's signature
        schema_creator: Any,
    ) -> Reference | Schema:
        """The struct's own schema."""
        schema: Reference | Schema = schema_creator.for_field_definition(field_definition)
        return schema

    def decode_builtins(self, value: dict[str, Any]) -> Any:
        """The fields of a form, as the handler's struct."""
        return read_value(self._kinds[self.asgi_connection.route_handler.handler_id], value)

    def decode_bytes(self, value: bytes) -> Any:
        """The whole body, as the handler's struct."""
        return read(self._kinds[self.asgi_connection.route_handler.handler_id], value)


def _take(kind: inspect.Type, value: object, at: str, faults: list[Fault]) -> Any:
    """`value` as `kind`; what is returned means nothing once a fault was added."""
    checks: list[Check] = []
    while isinstance(kind, inspect.Metadata):
        checks += [kind.extra["check"]] if kind.extra and "check" in kind.extra else []
        kind = kind.type
    word, accepted, take = _KINDS[type(kind)]
    if accepted and type(value) not in accepted:
        faults.append(Fault(at, "type", f"This must be {word}."))
        return None
    before = len(faults)
    taken = take(kind, value, at, faults)
    if len(faults) == before:
        faults += [Fault(at, *found) for check in checks if (found := check(taken))]
    return taken


def _struct(kind: inspect.StructType, value: dict[str, object], at: str, faults: list[Fault]) -> Any:
    before = len(faults)
    known = {field.encode_name: field for field in kind.fields}
    faults += [
        Fault(join(at, name[:100]), "unknown_field", "There is no such field.") for name in value if name not in known
    ]
    given: dict[str, Any] = {}
    for name, field in known.items():
        own: list[Fault] = []
        if name in value:
            given[field.name] = _take(field.type, value[name], join(at, name), own)
        elif field.required:
            own = [Fault(join(at, name), "required", "This field is required.")]
        if own:
            given.pop(field.name, None)
            faults += own
    record = kind.cls(**given) if len(faults) == before else _fragment(kind, value, given)
    faults += [Fault(join(at, fault.field), fault.code, fault.message) for fault in _asked(record, kind.cls)]
    return record


def _asked(record: object, struct: type) -> Iterator[Fault]:
    """What a struct says against itself. Of a fragment it says what can be said without the fields that are at fault."""
    if hasattr(struct, "faults"):
        try:
            yield from struct.faults(record)
        except AttributeError:
            if isinstance(record, struct):
                raise


def _fragment(kind: inspect.StructType, value: dict[str, object], given: dict[str, Any]) -> SimpleNamespace:
    """The right fields of a struct that has wrong ones, to be read like it; those that were left out have their defaults."""
    left_out = {
        field.name: field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        for field in msgspec.structs.fields(kind.cls)
        if not field.required and field.encode_name not in value
    }
    return SimpleNamespace(**left_out | given)


def _union(kind: inspect.UnionType, value: object, at: str, faults: list[Fault]) -> Any:
    """The first member that takes the value; else the faults of the member that came nearest: the first of the value's own JSON kind."""
    fitting = [each for each in kind.types if not _accepted(each) or type(value) in _accepted(each)]
    nearest: list[Fault] = []
    for each in fitting:
        own: list[Fault] = []
        taken = _take(each, value, at, own)
        if not own:
            return taken
        nearest = nearest or own
    words = dict.fromkeys(_KINDS[type(_bare(each))][0] for each in kind.types)
    faults += nearest or [Fault(at, "type", f"This must be {' or '.join(words)}.")]
    return None


def _accepted(kind: inspect.Type) -> tuple[type, ...]:
    return _KINDS[type(_bare(kind))][1]


def _bare(kind: inspect.Type) -> inspect.Type:
    """A type without what is noted beside it."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def _list(kind: Any, value: list[object], at: str, faults: list[Fault]) -> Any:
    _sized(kind, len(value), "entries", at, faults)
    taken = [_take(kind.item_type, item, f"{at}[{index}]", faults) for index, item in enumerate(value)]
    return _COLLECTIONS[type(kind)](taken) if not faults else None


def _mapping(kind: inspect.DictType, value: dict[str, object], at: str, faults: list[Fault]) -> Any:
    _sized(kind, len(value), "entries", at, faults)
    return {
        _take(kind.key_type, name, join(at, name[:100]), faults): _take(
            kind.value_type, item, join(at, name[:100]), faults
        )
        for name, item in value.items()
    }


def _text(kind: inspect.StrType, value: str, at: str, faults: list[Fault]) -> str:
    if "\0" in value:
        faults.append(Fault(at, "nul", "This must not hold a NUL character."))
    _sized(kind, len(value), "characters", at, faults)
    if kind.pattern is not None and not re.search(_python_pattern(kind.pattern), value):
        faults.append(Fault(at, "pattern", f"This must match {kind.pattern}."))
    return value


@functools.cache
def _python_pattern(pattern: str) -> str:
    """JSON Schema's patterns end at the end; Python's `$` would let a line break follow."""
    return re.sub(r"(?<!\\)\$$", r"\\Z", pattern)


def _sized(kind: Any, length: int, unit: str, at: str, faults: list[Fault]) -> None:
    if kind.max_length is not None and length > kind.max_length:
        faults.append(Fault(at, "too_long", f"This must have at most {kind.max_length} {unit}."))
    if kind.min_length is not None and length < kind.min_length:
        few = f"at least {kind.min_length} {unit}" if kind.min_length > 1 else "something in it"
        faults.append(Fault(at, "too_short", f"This must have {few}."))


def _number(kind: Any, value: float, at: str, faults: list[Fault]) -> float:
    for bound, breaks, code, words in (
        (kind.ge, value.__lt__, "too_small", "at least"),
        (kind.gt, value.__le__, "too_small", "more than"),
        (kind.le, value.__gt__, "too_large", "at most"),
        (kind.lt, value.__ge__, "too_large", "less than"),
    ):
        if bound is not None and breaks(bound):
            faults.append(Fault(at, code, f"This must be {words} {bound:,}."))
    return float(value) if isinstance(kind, inspect.FloatType) else value


def _choice(kind: Any, value: str, at: str, faults: list[Fault]) -> Any:
    words = [each.value for each in kind.cls] if isinstance(kind, inspect.EnumType) else list(kind.values)
    if value not in words:
        faults.append(Fault(at, "choice", f"This must be one of: {', '.join(map(str, words))}."))
        return None
    return kind.cls(value) if isinstance(kind, inspect.EnumType) else value


def _instant(kind: inspect.DateTimeType, value: str, at: str, faults: list[Fault]) -> Any:
    try:
        return msgspec.convert(value, Annotated[datetime, msgspec.Meta(tz=kind.tz)])
    except msgspec.ValidationError:
        zone = " with a zone" if kind.tz else ""
        faults.append(Fault(at, "time", f"This must be a time in RFC 3339{zone}, like 2030-01-31T09:00:00Z."))
        return None


def _date(_kind: inspect.DateType, value: str, at: str, faults: list[Fault]) -> Any:
    try:
        return msgspec.convert(value, date)
    except msgspec.ValidationError:
        faults.append(Fault(at, "date", "This must be a date like 2030-01-31."))
        return None


def _anything(_kind: inspect.AnyType, value: object, at: str, faults: list[Fault]) -> object:
    """Free JSON, which Postgres keeps as jsonb: that knows no NUL."""
    if _holds_nul(value):
        faults.append(Fault(at, "nul", "This must not hold a NUL character."))
    return value


def _holds_nul(value: object) -> bool:
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(_holds_nul(part) for part in value)
    return isinstance(value, str) and "\0" in value


def _same(_kind: object, value: object, _at: str, _faults: list[Fault]) -> object:
    return value


def _reason(error: Exception) -> str:
    """What msgspec says, in lower case and without its own full stop."""
    text = str(error).rstrip(".")
    return text[:1].lower() + text[1:]


_KINDS: Final[dict[type[inspect.Type], tuple[str, tuple[type, ...], _Taker]]] = {
    inspect.AnyType: ("anything", (), _anything),
    inspect.NoneType: ("null", (NoneType,), _same),
    inspect.BoolType: ("true or false", (bool,), _same),
    inspect.IntType: ("a whole number", (int,), _number),
    inspect.FloatType: ("a number", (int, float), _number),
    inspect.StrType: ("text", (str,), _text),
    inspect.EnumType: ("text", (str,), _choice),
    inspect.LiteralType: ("text", (str,), _choice),
    inspect.DateTimeType: ("a time", (str,), _instant),
    inspect.DateType: ("a date", (str,), _date),
    inspect.ListType: ("a list", (list,), _list),
    inspect.VarTupleType: ("a list", (list,), _list),
    inspect.SetType: ("a list", (list,), _list),
    inspect.FrozenSetType: ("a list", (list,), _list),
    inspect.DictType: ("an object", (dict,), _mapping),
    inspect.StructType: ("an object", (dict,), _struct),
    inspect.UnionType: ("", (), _union),
}
"""Per kind of type: what it is called, the JSON types it is made of (none: any), and its check."""

_COLLECTIONS: Final[dict[type[inspect.Type], Callable[[list[Any]], Any]]] = {
    inspect.ListType: list,
    inspect.VarTupleType: tuple,
    inspect.SetType: set,
    inspect.FrozenSetType: frozenset,
}
