"""Forms of pages: what a browser posts becomes the JSON that the API reads, and what is wrong with it goes back to the field that it came from.

An input's name is its path in the JSON (`steps[0].subjects[1]`), so that a fault of the API names an input. A name that begins with `_` is the page's own.
Texts become what the struct wants by its types; what cannot, stays a text, and the API says what is wrong with it. Of an input given twice the last counts, so that
`<input type=hidden value="">` before a checkbox says "off".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from msgspec import inspect

from cleanmails.errors import Fault, InvalidError

MOST_FIELDS: Final = 20_000

_PART: Final = re.compile(r"[^.\[\]]+")
_YES: Final = frozenset({"on", "true", "yes", "1"})
_LEFT_OUT: Final = object()

_Leaf = list[str]
_Node = dict[str | int, Any]


class Form:
    """What was posted, in its order."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.pairs = [(name, value.replace("\r\n", "\n")) for name, value in pairs]

    @classmethod
    def read(cls, body: bytes) -> "Form":
        """A urlencoded body. InvalidError for one that is none, or holds NUL, which Postgres has no text for."""
        try:
            pairs = parse_qsl(
                body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict", strict_parsing=False
            )
        except ValueError as error:
            raise InvalidError([Fault("", "form", "This form cannot be read.")]) from error
        faults = [Fault(name, "nul", "This must not hold a NUL character.") for name, value in pairs if "\0" in value]
        if faults:
            raise InvalidError(faults)
        return cls(pairs)

    def text(self, name: str, default: str = "") -> str:
        """The last value of an input, without blanks around it."""
        return next((value for given, value in reversed(self.pairs) if given == name), default).strip()

    def all(self, name: str) -> list[str]:
        """Every value of an input that may be given often, such as a group of checkboxes."""
        return [value for given, value in self.pairs if given == name and value]

    def ids(self, name: str) -> list[int]:
        """The values that are numbers."""
        return [int(value) for value in self.all(name) if value.isascii() and value.isdigit() and len(value) < 19]

    def flat(self) -> dict[str, str]:
        """The last value by name."""
        return dict(self.pairs)

    def json(self, kind: type) -> Any:  # noqa: ANN401 - JSON of any shape
        """The JSON of a body of this struct, as far as the form says it."""
        tree: _Node = {}
        for name, value in self.pairs:
            if not name.startswith("_"):
                _plant(tree, _PART.findall(name), value)
        return _shaped(inspect.type_info(kind), tree)


async def form_of(request: Request[Any, Any, Any]) -> Form:
    """What a handler of a page gets as `form`."""
    return Form.read(await request.body())


class Sheet:
    """A form as it is shown: what stands in each input, and what is wrong with it."""

    def __init__(self, values: Mapping[str, str], faults: Iterable[Fault] = (), message: str = "") -> None:
        self.values = dict(values)
        self.faults = list(faults)
        self.message = message

    @classmethod
    def of(cls, thing: object) -> "Sheet":
        """A thing of the API, ready to be changed."""
        return cls(dict(flattened(msgspec.to_builtins(thing))))

    @classmethod
    def typed(cls, form: Form, error: InvalidError | None = None) -> "Sheet":
        """What somebody typed, with what is wrong with it."""
        return cls(form.flat(), error.faults if error else (), error.message if error else "")

    def text(self, path: str, default: str = "") -> str:
        """What stands in an input."""
        return self.values.get(path, default)

    def on(self, path: str, *, default: bool = False) -> bool:
        """Whether a checkbox is ticked."""
        return self.values[path] in _YES if path in self.values else default

    def wrong(self, path: str) -> list[str]:
        """What is wrong with an input, in sentences."""
        return [fault.message for fault in self.faults if fault.field == path]


def slug(path: str) -> str:
    """The id of an input: `steps[0].body` is `f-steps-0-body`."""
    return "f-" + re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")


def flattened(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Paths and texts of JSON, as inputs have them."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from flattened(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from flattened(item, f"{path}[{index}]")
    elif isinstance(value, bool):
        yield path, "on" if value else ""
    else:
        yield path, "" if value is None else str(value)


def _plant(tree: _Node, parts: list[str], value: str) -> None:
    """Hangs a value into the tree; numbers are places of a list. Where a name is a leaf and a branch at once, the branch wins."""
    node = tree
    keys = [int(part) if part.isdigit() and place else part for place, part in enumerate(parts)]
    for key in keys[:-1]:
        if not isinstance(node.get(key), dict):
            node[key] = {}
        node = node[key]
    leaf = node.setdefault(keys[-1], []) if keys else None
    if isinstance(leaf, list):
        leaf.append(value)


def _shaped(kind: inspect.Type, node: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """A branch or leaf as the type wants it."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        return _one_of(kind, node)
    if isinstance(kind, inspect.StructType):
        return _struct(kind, node) if isinstance(node, dict) else _last(node)
    if isinstance(kind, inspect.ListType):
        return _list(kind, node)
    if isinstance(node, dict):
        return {str(key): _last(value) if isinstance(value, list) else value for key, value in node.items()}
    return _scalar(kind, _last(node))


def _struct(kind: inspect.StructType, node: _Node) -> dict[str, Any]:
    types = {field.encode_name: field.type for field in kind.fields}
    shaped = {
        str(name): _shaped(types[str(name)], value) if name in types else _last(value) for name, value in node.items()
    }
    return {name: value for name, value in shaped.items() if value is not _LEFT_OUT}


def _list(kind: inspect.ListType, node: Any) -> list[Any]:  # noqa: ANN401 - as above
    if isinstance(node, dict):
        places = sorted(key for key in node if isinstance(key, int))
        return [_shaped(kind.item_type, node[place]) for place in places]
    return [_shaped(kind.item_type, [text]) for text in node if text]


def _one_of(kind: inspect.UnionType, node: Any) -> Any:  # noqa: ANN401 - as above
    bare = [each.type if isinstance(each, inspect.Metadata) else each for each in kind.types]
    members = [each for each in bare if not isinstance(each, (inspect.NoneType, inspect.CustomType))]
    lists = [each for each in members if isinstance(each, inspect.ListType)]
    structs = [each for each in members if isinstance(each, (inspect.StructType, inspect.DictType))]
    if isinstance(node, dict):
        return _shaped((lists if any(isinstance(key, int) for key in node) else structs or lists)[0], node)
    if _last(node) == "" and any(isinstance(each, inspect.NoneType) for each in bare):
        return None
    first = next(iter([*lists, *(each for each in members if not isinstance(each, inspect.StrType)), *members]))
    return _shaped(first, node)


def _scalar(kind: inspect.Type, text: str) -> Any:  # noqa: ANN401 - as above
    if isinstance(kind, inspect.BoolType):
        return text in _YES
    if isinstance(kind, (inspect.StrType, inspect.AnyType)):
        return text
    if text.strip() == "":
        return _LEFT_OUT
    if isinstance(kind, inspect.IntType) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", text):
        return int(text)
    if isinstance(kind, inspect.FloatType) and re.fullmatch(r"\s*-?[0-9]{1,18}(\.[0-9]{1,18})?\s*", text):
        return float(text)
    return text.strip()


def _last(node: Any) -> str:  # noqa: ANN401 - as above
    return str(node[-1]) if isinstance(node, list) and node else ""
