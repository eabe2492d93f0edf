#!/usr/bin/env python3
"""Make the environment if it is not there, and run a command in it. The standard library only.

python3 run.py env              make .venv from the pinned requirements; afterwards the command is .venv/bin/cleanmails
python3 run.py test [ARG ...]   run all checks; arguments go to pytest
python3 run.py machine [STEPS]  play the ledger's state machine, 100,000 random steps if no number is given: some half an hour
python3 run.py doors [REQUESTS] try the API with so many bad requests, 20,000 if no number is given, and with schemathesis at length
python3 run.py screenshots [NAME ...]  take pictures of the dashboard's pages into docs/screenshots
python3 run.py asvs             make docs/asvs.md of the markers on tests
python3 run.py COMMAND ...      run `cleanmails COMMAND` (up, demo ...)
"""

import fcntl
import hashlib
import importlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - whatever the reader's python3 is
    sys.exit("cleanmails needs Python 3.11 or later, and %s is %s." % (sys.executable, sys.version.split()[0]))  # noqa: UP031

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
SETTINGS = ("DATABASE_URL", "REDIS_URL", "PORT")
PROGRAMS = {
    "chromium": (("chromium", "chromium-browser", "google-chrome"), "BROWSER TESTS"),
    "dovecot-imapd": (("dovecot",), "TESTS WITH DOVECOT"),
}
"""Debian's packages of which tests need a program: its names, and which tests."""


def main(arguments: list[str]) -> int:
    """Run what the first argument names."""
    command, *rest = arguments or ["--help"]
    if command in {"-h", "--help"}:
        print(__doc__, end="")
        return 0
    os.chdir(ROOT)
    prepare("dev" if command in {"test", "machine", "doors", "asvs", "screenshots"} else "run")
    if command == "test":
        return test(rest)
    if command == "machine":
        return machine(rest)
    if command == "asvs":
        return subprocess.run([PYTHON, "-m", "tests.asvs"], check=False).returncode
    if command == "screenshots":
        return subprocess.run([PYTHON, "-m", "tests.web.screenshots", *rest], check=False).returncode
    if command == "doors":
        return doors(rest)
    if command != "env":
        os.execv(PYTHON, [str(PYTHON), "-m", "cleanmails.cli", command, *rest])
    print("The environment is ready: .venv/bin/cleanmails --help")
    return 0


def prepare(kind: str) -> None:
    """Make .venv hold requirements/KIND.txt and the command, if it does not yet. Two at once take turns."""
    turn = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(turn, fcntl.LOCK_EX)
    if not works():
        make()
    requirements = ROOT / "requirements" / f"{kind}.txt"
    stamp = VENV / f"{kind}.installed"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        install(requirements)
        stamp.write_text(digest)
    link()
    os.close(turn)


def works() -> bool:
    """Whether the environment's Python is there and is the one that its packages are for: after an upgrade of the system it is not."""
    question = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)"
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", question], check=False).returncode == 0


def make() -> None:
    """Make an empty .venv. Debian splits what that needs from its python3: root gets it installed, others are told."""
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if importlib.util.find_spec("ensurepip") is None and not apt_get(package):
        sys.exit(
            f"{sys.executable} cannot make an environment, because ensurepip is missing. Install it: sudo apt-get install {package}"
        )
    say(f"making {VENV}")
    run([sys.executable, "-m", "venv", "--clear", VENV], "The environment could not be made.")


def install(requirements: Path) -> None:
    """Install exactly the pinned packages; each is compared with its hash, and the list is complete, so nothing is resolved."""
    say(f"installing {requirements.relative_to(ROOT)}")
    options = ["--require-hashes", "--no-deps", "--no-input", "--disable-pip-version-check", "--quiet"]
    run(
        [PYTHON, "-m", "pip", "install", *options, "-r", requirements],
        "Not everything could be installed; once that is mended, run this again.",
    )


def link() -> None:
    """Let .venv find this folder, and put the command into it: no build, and an edit counts at once."""
    (packages,) = VENV.glob("lib/python3*/site-packages")
    (packages / "cleanmails.pth").write_text(f"{ROOT}\n")
    command = VENV / "bin" / "cleanmails"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(str(PYTHON))} -m cleanmails.cli "$@"\n')
    command.chmod(0o755)


def test(arguments: list[str]) -> int:
    """Run every check, even after one has failed, and say at the end how each came out."""
    programs()
    checks = {
        "ruff check": ["ruff", "check", "--quiet"],
        "ruff format": ["ruff", "format", "--check", "--quiet"],
        "mypy": ["mypy"],
        "pytest": ["pytest", "-n", "2", *arguments],
    }
    # The tests start servers of their own; what the environment says of others is not for them.
    environment = {
        name: value for name, value in os.environ.items() if name not in SETTINGS and not name.startswith("CLEANMAILS_")
    }
    lines, failed = [], 0
    for name, check in checks.items():
        say(name)
        start = time.monotonic()
        code = subprocess.run([PYTHON, "-m", *check], env=environment, check=False).returncode
        failed += code != 0
        lines.append(f"{name:<12} {'ok' if code == 0 else 'FAILED':<8} {time.monotonic() - start:5.1f} s")
    print("", *lines, "All checks passed." if not failed else f"{failed} of {len(checks)} checks failed.", sep="\n")
    return 1 if failed else 0


def machine(arguments: list[str]) -> int:
    """Play the long form of the ledger's state machine; the last line says how many steps, mails and cuts it saw."""
    environment = {**os.environ, "LEDGER_MACHINE_STEPS": (arguments or ["100000"])[0]}
    line: list[str | Path] = [PYTHON, "-m", "pytest", "-q", "-s", "tests/ledger/test_machine.py"]
    return subprocess.run(line, env=environment, check=False).returncode


def doors(arguments: list[str]) -> int:
    """Try the API in every way that does not fit it, at length; the last lines say how much was tried."""
    environment = {**os.environ, "DOORS_REQUESTS": (arguments or ["20000"])[0], "DOORS_EXAMPLES": "30"}
    return subprocess.run([PYTHON, "-m", "pytest", "-q", "tests/doors"], env=environment, check=False).returncode


def programs() -> None:
    """Tests drive Chromium and read from dovecot: root gets them installed, others are told what is missing."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    for package, (names, tests) in PROGRAMS.items():
        if not any(shutil.which(name, path=path) for name in names) and not apt_get(package):
            print(
                f"\n*** There is no {names[0]} here: THE {tests} WILL NOT RUN. Install it: sudo apt-get install {package} ***\n"
            )


def apt_get(package: str) -> bool:
    """Install a Debian package if we may; whether that worked."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    say(f"installing {package} by apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
    line = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    done = subprocess.run(line, env=environment, stdout=subprocess.DEVNULL, check=False).returncode == 0
    importlib.invalidate_caches()
    return done


def run(line: list[str | Path], otherwise: str) -> None:
    """Run a program, or stop with a sentence."""
    if subprocess.run(line, check=False).returncode != 0:
        sys.exit(otherwise)


def say(what: str) -> None:
    """One line on what happens now."""
    print(f"--- {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
