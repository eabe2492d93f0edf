"""Every message of the corpus is taken for what it is."""

from datetime import UTC, datetime

import pytest

from cleanmails.mail import inbound
from cleanmails.rules import inbox
from tests.corpus.letters import all_of_them

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
CORPUS = list(all_of_them())


def told(raw):
    letter = inbound.parse(raw)
    meaning = inbox.judge(letter, NOW)
    return {
        "kind": meaning.kind,
        "class": meaning.failure,
        "status": meaning.status,
        "recipients": list(meaning.recipients),
        "message_ids": list(meaning.message_ids),
        "resumes_on": meaning.resumes_on,
        "absent": meaning.absent,
        "final": meaning.final,
        "complaint": meaning.complaint,
        "new": letter.reply,
    }


@pytest.mark.parametrize(("raw", "expected"), [each[1:] for each in CORPUS], ids=[each[0] for each in CORPUS])
def test_it_is_taken_for_what_it_is(raw, expected):
    found = told(raw)
    assert {name: found[name] for name in expected} == expected


def test_there_are_enough_of_them_and_each_once():
    assert len({raw for _, raw, _ in CORPUS}) == len(CORPUS)
    assert len(CORPUS) >= 300
