import pytest

from cleanmails.rules.content import Severity, checks

TEXT = "<p>Hello {{FIRST_NAME}}, this is a mail with enough words to be read.</p>"


def codes(subjects=("Quick question",), body=TEXT, known=None):
    return {finding.code for finding in checks(subjects, body, known)}


def test_a_plain_mail_has_no_findings():
    assert (
        checks(
            ["Hey {{FIRST_NAME}}, quick question"],
            f'{TEXT}<p>{{I saw|I read}} it. <a href="https://a.example">here</a></p>',
        )
        == []
    )


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ("ACT ON THIS {TODAY|NOW}", "capitals"),
        ("Really?!", "punctuation"),
        ("x" * 80, "long_subject"),
        ("Re: our talk", "false_reply"),
        ("{Hello|Act now}", "trigger_words"),
        ("{a|b", "template"),
    ],
)
def test_a_subject_that_harms_is_found(subject, code):
    assert code in codes(("Fine", subject))


@pytest.mark.parametrize(
    ("addition", "code"),
    [
        ("<p>It is risk-free.</p>", "trigger_words"),
        ("<a href='https://a.example'>x</a>" * 6, "many_links"),
        ("<img src='x' alt='x'>" * 4, "many_images"),
        ("<img src='x'>", "no_alt"),
        ("<a href='/page'>x</a>", "relative_link"),
        ("<script>1</script>", "not_in_mails"),
        ("<div><b>x</div>", "broken_html"),
        ("</i>", "broken_html"),
        ("<p>" + "long " * 25_000 + "</p>", "large"),
        ("<!-- {{NAME}} -->", "tag_not_read"),
        ("<p title='{a|b}'>", "spintax_not_read"),
        ("{FIRST_NAME}", "single_braces"),
        ("{{x!}}", "template"),
    ],
)
def test_a_body_that_harms_is_found(addition, code):
    assert code in codes(body=TEXT + addition)


def test_a_picture_alone_is_no_text():
    assert "no_text" in codes(body="<img src='x' alt=''>")


def test_elements_that_may_stay_open_are_not_broken():
    assert (
        codes(body=f"<html><body>{TEXT}<ul><li>a<li>b</ul><p>c<table><tr><td>x</table><br><v:fill x='y' /></html>")
        == set()
    )


def test_unknown_tags_are_found_if_the_fields_are_known():
    assert "unknown_tag" in codes(body=f"{TEXT}{{{{CITY}}}}", known=["country"])
    assert codes(body=f"{TEXT}{{{{CITY}}}}", known=["City"]) == codes(body=f"{TEXT}{{{{CITY}}}}") == set()


def test_only_what_cannot_be_sent_is_an_error():
    severe = {
        finding.code
        for finding in checks(["FREE MONEY!!!"], TEXT + "{{x!}}<b>", [])
        if finding.severity is Severity.ERROR
    }
    assert severe == {"template"}


def test_every_finding_is_a_sentence():
    findings = checks(["Re: ACT NOW, WINNER!!"], "<img src=x></b>" + "<a href='x'>y</a>" * 9 + "<form>{{BAD}}", [])
    assert len(findings) >= 8
    assert all(finding.sentence[-1] in ".?" for finding in findings)
