"""The guide's receiver, run as it stands: it takes what is genuine, once, and refuses the rest."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from cleanmails.rules import signing

PROGRAM = Path(__file__).parents[2] / "docs" / "receiver.py"
SECRET = signing.secret_of(b"s" * 32)
BODY = b'{"type":"email.replied","lead_id":7,"data":{"subject":"Re: Hello"}}'


@pytest.fixture
def receiver():
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), SECRET, "0"], stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]}
    ) as process:
        url = process.stdout.readline().strip()
        yield lambda headers, body=BODY: httpx.post(url, content=body, headers=headers).status_code
        process.terminate()
        printed = process.stdout.read()
        assert printed.count("email.replied 7") == 2


def test_the_receiver_of_the_guide_takes_what_is_genuine_once(receiver):
    now = datetime.now(UTC)
    headers = signing.headers([SECRET], "msg_1_1", now, BODY)
    assert [receiver(headers), receiver(headers)] == [204, 204]
    both = signing.headers([signing.secret_of(b"n" * 32), SECRET], "msg_1_2", now, BODY)
    assert receiver(both) == 204
    assert receiver(headers, BODY + b" ") == 401
    assert receiver(signing.headers([SECRET], "msg_1_3", now - timedelta(minutes=6), BODY)) == 401
    assert receiver({}) == 401
