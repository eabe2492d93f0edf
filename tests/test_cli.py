"""The command `cleanmails`, and the files that name its subcommands."""

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cleanmails import settings
from cleanmails.cli import COMMANDS, _function, main

ROOT = Path(__file__).parents[1]


def test_help_shows_every_command_with_a_line(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for name, (_, line) in COMMANDS.items():
        assert any(re.fullmatch(rf"\s+{name}\s+{re.escape(line)}", each) for each in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_what_it_takes(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        _function(COMMANDS[name][0])(["--help"])
    assert capsys.readouterr().out.startswith(f"usage: cleanmails {name}")


def test_an_unknown_command_is_refused():
    with pytest.raises(SystemExit, match="2"):
        main(["sned"])


def test_a_wrong_setting_stops_the_start_with_a_sentence(monkeypatch, capsys):
    monkeypatch.setenv("PORT", "http")
    assert main(["migrate"]) == 1
    assert capsys.readouterr().err == "PORT must be a whole number from 1 to 65535, not 'http'.\n"


def test_migrating_twice_is_nothing(database_url):
    line = [sys.executable, "-m", "cleanmails.cli", "migrate"]
    done = subprocess.run(line, env={**os.environ, "DATABASE_URL": database_url}, capture_output=True, check=True)
    event = json.loads(done.stdout)
    assert (event["event"], event["applied"]) == ("database.migrated", 0)


def test_settings_prints_the_table(capsys):
    assert main(["settings"]) == 0
    assert capsys.readouterr().out == f"{settings.table()}\n"


def test_each_process_of_the_procfile_is_a_command():
    for line in (ROOT / "Procfile").read_text().splitlines():
        name, command = re.fullmatch(r"(\w+): cleanmails (\w+)(?: \w+)?", line).groups()
        assert command in COMMANDS, name


def test_each_target_of_the_makefile_is_known_to_run():
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    run = (ROOT / "run.py").read_text()
    carried_out = set(re.findall(r'command [!=]= "(\w+)"', run)) | set(COMMANDS)
    assert set(targets.split()) <= carried_out
    assert set(re.findall(r"^python3 run.py ([a-z]+)", run, re.MULTILINE)) <= carried_out


def test_an_old_python_can_read_run_far_enough_to_say_so():
    ast.parse((ROOT / "run.py").read_text(), feature_version=(3, 7))


def test_what_runs_is_part_of_what_is_tested():
    """`test` installs one list, `up` the other: the same packages at the same versions."""
    run, dev = (
        {line for line in (ROOT / "requirements" / name).read_text().splitlines() if "==" in line}
        for name in ("run.txt", "dev.txt")
    )
    assert run
    assert run <= dev


def test_every_pin_has_a_hash():
    for name in ("run.txt", "dev.txt"):
        blocks = re.split(r"\n(?=\w)", (ROOT / "requirements" / name).read_text())
        assert all("--hash=sha256:" in block for block in blocks)


def test_a_wheel_carries_the_sql(tmp_path):
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    carried = set(zipfile.ZipFile(wheel).namelist())
    statements = {f"cleanmails/{path.relative_to(ROOT)}" for path in (ROOT / "sql").rglob("*.sql")}
    assert statements
    assert statements <= carried
