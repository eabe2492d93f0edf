"""docs/asvs.md, made of the markers on tests (`@pytest.mark.asvs("8.2.2")`) and of tests/asvs.txt, which says why the others need none: `python3 run.py asvs`."""

import ast
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "asvs.md"
DATA = ROOT / "tests" / "asvs.txt"
STANDARD = "https://github.com/OWASP/ASVS/tree/v5.0.0/5.0/en"

CHAPTERS = (
    "Encoding and sanitization", "Validation and business logic", "Web frontend", "API and web service", "File handling", "Authentication", "Session management",
    "Authorization", "Self-contained tokens", "OAuth and OIDC", "Cryptography", "Secure communication", "Configuration", "Data protection", "Secure coding and architecture",
    "Security logging and error handling", "WebRTC",
)  # fmt: skip

WORDS = {"held": "by how it is built", "yours": "whoever runs it", "none": "does not apply", "open": "**not held**"}


def markers():
    """Which tests bear which numbers: `{"8.2.2": ["tests/doors/test_matrix.py::test_..."]}`. Read, not imported."""
    found = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                for number in numbers(node.decorator_list):
                    found[number].append(f"{name}::{node.name}")
    return dict(found)


def numbers(decorators):
    """The arguments of the marks among some decorators."""
    for each in decorators:
        if isinstance(each, ast.Call) and ast.unparse(each.func) == "pytest.mark.asvs":
            yield from (argument.value for argument in each.args)


def requirements():
    """Number, level, kind and reason of each requirement, in order."""
    rows = [line.split(" ", 3) for line in DATA.read_text().splitlines() if line and not line.startswith("#")]
    return [(number, int(level), kind, "".join(rest)) for number, level, kind, *rest in rows]


def page():
    """The whole page."""
    tests, rows = markers(), requirements()
    counts = {kind: sum(row[2] == kind for row in rows) for kind in ("test", *WORDS)}
    lines = [
        "# OWASP ASVS 5.0, levels 1 and 2",
        "",
        "Made by `python3 run.py asvs` of the markers on tests and of `tests/asvs.txt`; a test holds it up to date. The requirements in their own words:",
        f"[OWASP ASVS 5.0.0]({STANDARD}).",
        "",
        f"{len(rows)} requirements: {counts['test']} held by tests, {counts['held']} by how it is built, {counts['yours']} are for whoever runs an installation,",
        f"{counts['none']} do not apply, {counts['open']} are not held.",
    ]
    chapter = 0
    for number, level, kind, reason in rows:
        if int(number.partition(".")[0]) != chapter:
            chapter = int(number.partition(".")[0])
            lines += [
                "",
                f"## V{chapter} {CHAPTERS[chapter - 1]}",
                "",
                "| requirement | level | | |",
                "|---|---|---|---|",
            ]
        said = "test" if kind == "test" else WORDS[kind]
        shown = "<br>".join(f"`{each}`" for each in tests.get(number, [])) if kind == "test" else reason
        lines.append(f"| V{number} | {level} | {said} | {shown} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    sys.exit(print(f"{PAGE.relative_to(ROOT)}: {len(requirements())} requirements"))
