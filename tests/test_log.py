"""What a log line looks like, whoever writes it. Each in a process of its own: logging is set up once per process."""

import json
import subprocess
import sys

import pytest

PRELUDE = """
import logging, structlog
from cleanmails import log
log.configure({form!r})
logger = log.get("cleanmails.test")
"""


def lines(body: str, form: str = "json") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE.format(form=form) + body], capture_output=True, text=True, check=True
    )
    assert not done.stderr
    return done.stdout.splitlines()


def event(body: str) -> dict:
    (line,) = lines(body)
    return json.loads(line)


@pytest.mark.asvs("16.4.1")
def test_an_event_is_one_line_of_json_with_time_level_and_name():
    (line,) = lines('logger.info("delivery.sent", delivery=7)')
    assert list(json.loads(line)) == ["time", "level", "event", "delivery", "logger"]
    assert line.startswith('{"time":"20')
    assert '"level":"info","event":"delivery.sent","delivery":7' in line


def test_context_is_bound_once_and_stands_in_every_line():
    given = event('structlog.contextvars.bind_contextvars(campaign=3)\nlogger.info("campaign.planned")')
    assert given["campaign"] == 3


@pytest.mark.asvs("16.2.5")
def test_secrets_are_redacted_at_any_depth():
    given = event(
        'logger.info("x.y", password="hunter2", api_key="hunter2", keyword="shown", lock_key=None,'
        ' headers={"Authorization": "hunter2", "X-Session-Token": "hunter2", "Accept": "shown"}, rows=[{"smtp_password": "hunter2"}])'
    )
    assert "hunter2" not in json.dumps(given)
    assert given["keyword"] == given["headers"]["Accept"] == "shown"
    assert given["lock_key"] is None


def test_libraries_write_the_same_lines():
    given = event('logging.getLogger("uvicorn.error").warning("port %d in use", 8000, extra={"token": "hunter2"})')
    assert (given["event"], given["level"], given["logger"]) == ("port 8000 in use", "warning", "uvicorn.error")
    assert given["token"] == "[redacted]"


def test_a_traceback_is_part_of_its_line_and_shows_no_local_variables():
    body = "def f():\n    secret = 'hunter' + '2'\n    return 1 / 0\ntry:\n    f()\nexcept ZeroDivisionError:\n    logger.exception('x.failed')"
    given = event(body)
    assert "ZeroDivisionError" in given["exception"]
    for form in ("json", "console"):
        assert "hunter2" not in "".join(lines(body, form))


def test_what_json_does_not_know_is_written_as_text():
    given = event('import pathlib, datetime\nlogger.info("x.y", path=pathlib.Path("/a"), error=ValueError("b"))')
    assert (given["path"], given["error"]) == ("/a", "b")


def test_the_console_form_is_for_eyes():
    (line,) = lines('logger.info("delivery.sent", delivery=7)', form="console")
    assert "delivery.sent" in line
    assert "delivery=7" in line
    assert not line.startswith("{")
