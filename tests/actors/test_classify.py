"""`cleanmails classify`: one object a line, with the fields that are promised."""

import json

import pytest

from cleanmails.cli import main
from tests.corpus.letters import ID, all_of_them

FIELDS = ["file", "kind", "class", "status", "recipients", "message_ids", "resumes_on", "reasons"]


@pytest.fixture
def files(tmp_path):
    corpus = {name: raw for name, raw, _ in all_of_them()}
    wanted = ["reports-gmail-no-such-user", "automatic-de-outlook", "people-opt-de-verteiler", "rest-newsletter"]
    for name in wanted:
        (tmp_path / f"{name}.eml").write_bytes(corpus[name])
    return [str(tmp_path / f"{name}.eml") for name in wanted]


def test_each_file_is_an_object_on_a_line(files, capsys):
    assert main(["classify", *files, "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(each) for each in told] == [FIELDS] * 4
    assert [each["file"] for each in told] == files
    assert [each["kind"] for each in told] == ["bounce", "auto_reply", "opt_out", "unrelated"]
    bounce, absence = told[:2]
    assert (bounce["class"], bounce["status"], bounce["recipients"], bounce["message_ids"]) == (
        "recipient_bad", "5.1.1", ["bob@b.example"], [ID],
    )  # fmt: skip
    assert (absence["resumes_on"], absence["class"]) == ("2026-12-04", None)


def test_what_cannot_be_read_is_named_and_the_others_are_told(files, tmp_path, capsys):
    assert main(["classify", str(tmp_path / "none.eml"), files[0]]) == 1
    shown = capsys.readouterr()
    assert "none.eml: No such file" in shown.err
    assert shown.out.startswith(f"{files[0]}: bounce class=recipient_bad status=5.1.1")
