"""What the answers of mail servers mean, and what follows for a delivery."""

import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.records import Answer, FailureClass, Stage
from cleanmails.rules import failures, outcome
from cleanmails.rules.failures import Remedy

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
REPLY = re.compile(
    r"(?P<code>[2-5]\d\d)(?:[ -](?P<enhanced>[245]\.\d{1,3}\.\d{1,3})(?= |$))?[ -]?(?P<text>.*)", re.DOTALL
)


def reply(line, stage=Stage.RCPT):
    """An answer as the wire hands it on: code and enhanced code of the first line, the text of all."""
    read = REPLY.fullmatch(line.replace("\\n", "\n"))
    return Answer(stage=stage, code=int(read["code"]), enhanced=read["enhanced"], text=read["text"])


def silence(stage, text="connection reset"):
    return Answer(stage=stage, code=None, enhanced=None, text=text)


def written_answers():
    for line in Path(__file__).with_name("answers.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            stage, failure, remedy, answer = line.split(maxsplit=3)
            yield pytest.param(reply(answer, Stage(stage)), FailureClass(failure), Remedy(remedy), id=answer[:70])


ANSWERS = list(written_answers())


def row_of(answer):
    return failures.classify(answer.code, answer.enhanced, answer.text, answer.stage)


# The table


@pytest.mark.parametrize(("answer", "failure", "remedy"), ANSWERS)
def test_an_answer_is_read_as_what_it_means(answer, failure, remedy):
    row = row_of(answer)
    assert (row.failure, row.remedy) == (failure, remedy), row.id


def test_there_are_answers_enough_of_every_class():
    seen = Counter(param.values[1] for param in ANSWERS)
    assert len(ANSWERS) >= 250
    assert min(seen[failure] for failure in FailureClass) >= 10


def test_every_row_of_the_table_is_reached():
    silent = [
        silence(Stage.CONNECT, "[Errno -2] Name or service not known"),
        silence(Stage.TLS, "certificate verify failed: self-signed certificate"),
        silence(Stage.TLS, "wrong version number"),
        silence(Stage.CONNECT, "timed out"),
        silence(Stage.DATA),
    ]
    rest = ["454 4.7.0 TLS not available", "250 2.0.0 Ok", "554 5.3.2 System not accepting mail", "552 No", "556 No"]
    stages = [Stage.TLS, *[Stage.RCPT] * 4]
    heard = [param.values[0] for param in ANSWERS] + [reply(*pair) for pair in zip(rest, stages, strict=True)]
    assert {row.id for row in failures.ROWS} - {row_of(answer).id for answer in heard + silent} == set()


def test_every_row_has_its_own_id_and_tells_people_what_happened_and_why_we_think_so():
    assert len({row.id for row in failures.ROWS}) == len(failures.ROWS)
    for row in failures.ROWS:
        assert row.reason.endswith(".")
        assert len(row.reason.split()) > 5
        assert row.source


def test_only_permanent_answers_condemn_an_address():
    for row in failures.ROWS:
        if row.failure is FailureClass.RECIPIENT_BAD:
            assert row.remedy is Remedy.STOP
            assert row.first is Stage.RCPT
            assert (
                row.severity == 5
                or (row.codes and min(row.codes) >= 500)
                or (row.status or row.text[0]).lstrip("^").startswith("5")
            )


STAGES_BEFORE_RCPT = [Stage.CONNECT, Stage.GREETING, Stage.TLS, Stage.AUTH, Stage.MAIL]


@pytest.mark.parametrize("stage", STAGES_BEFORE_RCPT)
def test_no_answer_is_about_the_recipient_before_it_is_named(stage):
    for param in ANSWERS:
        answer = msgspec.structs.replace(param.values[0], stage=stage)
        assert row_of(answer).failure is not FailureClass.RECIPIENT_BAD
        assert row_of(answer).failure is not FailureClass.GREYLISTED


@settings(deadline=None)
@given(
    st.one_of(st.none(), st.integers(200, 599)),
    st.one_of(
        st.none(), st.builds("{}.{}.{}".format, st.sampled_from("245"), st.integers(0, 999), st.integers(0, 999))
    ),
    st.text(),
    st.sampled_from(Stage),
)
def test_every_answer_is_of_some_class(code, enhanced, text, stage):
    assert failures.classify(code, enhanced, text, stage).failure in FailureClass


def test_a_bounce_message_is_read_by_its_status_alone():
    assert failures.classify(None, "5.1.1", "mailbox gone").failure is FailureClass.RECIPIENT_BAD
    assert failures.classify(None, "5.2.2", "").failure is FailureClass.SOFT
    assert (
        failures.classify(None, None, "smtp; 550 5.1.1 <user@example.com> user unknown").failure
        is FailureClass.RECIPIENT_BAD
    )


def test_an_enhanced_code_is_found_in_the_text_and_an_address_is_not_taken_for_one():
    assert failures.classify(550, None, "sorry (#5.1.1)").id == "no-such-user"
    assert failures.classify(550, None, "sorry, 5.1.1.7 is my name").id == "for-good"


@pytest.mark.parametrize(
    "name", ["spam", "user.unknown", "greylist", "no-such-user", "blacklist", "spf", "policy.violation"]
)
def test_the_words_in_an_address_do_not_matter(name):
    for place in (f"<{name}@{name}.example>: ", f"{name}@{name}.example ", f"({name}@{name}.example:"):
        assert failures.classify(550, None, f"{place}not today").id == "for-good"
        assert failures.classify(550, None, f"{place}user unknown").id == "no-such-user"


@pytest.mark.parametrize(
    "hostile",
    ["user " * 20_000, "a" * 100_000, "account" + " " * 100_000, "from domain address " * 5_000],
)
def test_a_hostile_text_is_read_in_no_time(hostile):
    """Every pattern by itself over the whole 100 KB, and the table over it as it is used."""
    start = time.process_time()
    for row in failures.ROWS:
        re.search("|".join(row.text) or "$", hostile)
    patterns = time.process_time() - start
    failures.classify(550, None, hostile)
    assert patterns < 30
    assert time.process_time() - start - patterns < 1


# Verdicts


def judge(line, stage=Stage.RCPT, attempt=1, now=NOW):
    answer = reply(line, stage) if isinstance(line, str) else line
    return outcome.judge(answer, attempt, now)


def test_a_mail_is_accepted_by_a_positive_answer_to_the_final_dot_only():
    assert judge("250 2.0.0 Ok", Stage.DOT) == outcome.Accepted()
    assert not isinstance(judge("250 2.1.5 Ok", Stage.RCPT), outcome.Accepted)


@pytest.mark.parametrize("answer", [silence(Stage.DOT), reply("354 go ahead", Stage.DOT)])
def test_no_proper_answer_to_the_final_dot_leaves_it_unknown(answer):
    assert isinstance(judge(answer), outcome.Unknown)


@pytest.mark.parametrize(("attempt", "minutes"), [(1, 15), (2, 60), (3, 240)])
def test_a_temporary_refusal_is_tried_again_later_and_later(attempt, minutes):
    verdict = judge("450 4.2.2 Over quota", attempt=attempt)
    assert verdict == outcome.Retry(
        failure=FailureClass.SOFT, at=NOW + minutes * MINUTE, counts=True, reason=verdict.reason, row="mailbox-full"
    )


@pytest.mark.parametrize(("attempt", "minutes"), [(1, 5), (2, 60), (3, 240)])
def test_greylisting_is_tried_again_sooner_the_first_time(attempt, minutes):
    verdict = judge("450 4.2.0 Greylisted", attempt=attempt)
    assert (verdict.failure, verdict.at) == (FailureClass.GREYLISTED, NOW + minutes * MINUTE)


@pytest.mark.parametrize(
    "line", ["450 4.2.2 Over quota", "450 4.2.0 Greylisted", "550 5.7.1 looks like spam", "421 4.3.2 shutting down"]
)
def test_after_four_tries_the_delivery_has_failed_and_the_lead_is_spared(line):
    verdict = judge(line, attempt=4)
    assert isinstance(verdict, outcome.Failed)
    assert verdict.exhausted
    assert "4 tries" in verdict.reason


def test_a_bad_recipient_bounces_at_once():
    verdict = judge("550 5.1.1 User unknown")
    assert isinstance(verdict, outcome.Bounced)
    assert verdict.failure is FailureClass.RECIPIENT_BAD
    assert "marked invalid" in verdict.reason


def test_a_final_refusal_that_is_not_the_recipients_fault_fails_at_once():
    verdict = judge("552 5.3.4 message too big", Stage.DOT)
    assert (verdict.failure, verdict.exhausted, verdict.row) == (FailureClass.SOFT, False, "mail-too-big")


def test_a_used_up_quota_holds_the_sender_until_midnight_and_costs_no_try():
    verdict = judge("550 5.4.5 Daily user sending limit exceeded", Stage.DOT, attempt=4)
    assert isinstance(verdict, outcome.HoldSender)
    assert (verdict.at, verdict.until, verdict.counts) == (MIDNIGHT, MIDNIGHT, False)


def test_a_quota_used_up_just_before_midnight_still_gives_a_rest():
    late = MIDNIGHT - MINUTE
    assert judge("550 5.4.5 Daily user sending limit exceeded", Stage.DOT, now=late).until == late + 30 * MINUTE


def test_a_refusal_for_policy_holds_the_sender_and_costs_a_try_once_the_recipient_is_named():
    named, unnamed = judge("550 5.7.1 spam", Stage.DOT), judge("550 5.7.1 spam", Stage.MAIL, attempt=4)
    assert isinstance(named, outcome.HoldSender)
    assert isinstance(unnamed, outcome.HoldSender)
    assert (named.counts, unnamed.counts) == (True, False)
    assert named.at == unnamed.at == NOW + 30 * MINUTE
    assert named.until is None


@pytest.mark.parametrize("stage", [Stage.AUTH, Stage.MAIL, Stage.RCPT, Stage.DOT])
def test_a_refused_login_never_costs_the_lead_a_try(stage):
    verdict = judge("535 5.7.8 authentication failed", stage, attempt=4)
    assert isinstance(verdict, outcome.HoldSender)
    assert (verdict.failure, verdict.counts) == (FailureClass.AUTHENTICATION, False)


@pytest.mark.parametrize("stage", STAGES_BEFORE_RCPT)
@pytest.mark.parametrize("attempt", [1, 4, 40])
def test_a_server_that_is_down_never_costs_the_lead_a_try(stage, attempt):
    verdict = judge(silence(stage), attempt=attempt)
    assert isinstance(verdict, outcome.Retry)
    assert (verdict.failure, verdict.at, verdict.counts) == (FailureClass.CONNECTION, NOW + 15 * MINUTE, False)


def test_a_mail_that_breaks_every_connection_is_given_up():
    assert judge(silence(Stage.BODY), attempt=3).counts
    assert isinstance(judge(silence(Stage.BODY), attempt=4), outcome.Failed)


@settings(deadline=None)
@given(
    st.sampled_from(ANSWERS),
    st.integers(1, 9),
    st.integers(0, 2_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
)
def test_every_verdict_says_why_and_looks_ahead(param, attempt, now):
    answer, failure, _ = param.values
    verdict = outcome.judge(answer, attempt, now)
    assert verdict.failure is failure
    assert verdict.reason
    assert verdict.row in {row.id for row in failures.ROWS}
    if isinstance(verdict, outcome.Retry | outcome.HoldSender):
        assert now + 5 * MINUTE <= verdict.at <= now + timedelta(days=1, minutes=30)
        assert not verdict.counts or attempt <= 3
