"""The short form of `make chaos`: fifty workers killed while everything else breaks too, counted at the mail server."""

import json
import os
import subprocess
import sys

FIELDS = {"kills", "messages", "duplicates", "lost", "unknown_expected", "unknown_found", "limit_overruns", "sent_after_stop", "recovery_p50_s", "recovery_p99_s"}  # fmt: skip


def test_nobody_is_mailed_twice_and_nobody_is_lost_whatever_breaks(tmp_path):
    """In a process of its own, because it keeps others alive from its main thread."""
    line = [sys.executable, "-m", "cleanmails.cli", "chaos", "--kills", "50", "--messages", "500", "--seed", "11", "--json"]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLEANMAILS_")}
    ran = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=1_500)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)
    assert set(found) == FIELDS
    assert (found["kills"], found["duplicates"], found["lost"]) == (50, 0, 0)
    assert (found["limit_overruns"], found["sent_after_stop"]) == (0, 0)
    assert found["unknown_found"] == found["unknown_expected"] > 0
    assert found["messages"] > 400
