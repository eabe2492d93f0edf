"""The class of an address, and why."""

import pytest
from disposable_email_domains import blocklist
from hypothesis import given
from hypothesis import strategies as st

from cleanmails.records import Validation
from cleanmails.rules import validation
from cleanmails.rules.validation import REASONS, Judged, judge, meant_domain

BURNER = min(blocklist)


@pytest.mark.parametrize(
    ("email", "accepts_mail", "expected", "reasons"),
    [
        ("ann@firm.example", True, "valid", ()),
        ("ann@firm.example", None, "pending", ("dns_failed",)),
        ("ann@firm.example", False, "invalid", ("no_such_domain",)),
        ("ann@@firm.example", True, "invalid", ("syntax",)),
        ("ann@firm", True, "invalid", ("syntax",)),
        (f"ann@{BURNER}", True, "disposable", ("disposable",)),
        (f"ann@mail.{BURNER}", True, "disposable", ("disposable",)),
        (f"info@{BURNER}", None, "disposable", ("disposable",)),
        (f"ann@{BURNER}", False, "invalid", ("no_such_domain",)),
        ("info@firm.example", True, "role", ("role",)),
        ("sales+spring@firm.example", True, "role", ("role",)),
        ("information@firm.example", True, "valid", ()),
        ("info@firm.example", None, "pending", ("dns_failed", "role")),
        ("ann@gmail.com", True, "valid", ("free_provider",)),
        ("info@gmx.de", True, "role", ("role", "free_provider")),
        ("ann@gmial.com", False, "invalid", ("no_such_domain", "did_you_mean:ann@gmail.com")),
        ("ann@t-onlne.de", True, "valid", ("did_you_mean:ann@t-online.de",)),
    ],
)
def test_the_gravest_finding_decides_and_the_rest_stands_in_the_reasons(email, accepts_mail, expected, reasons):
    found = judge(email, accepts_mail)
    assert found == Judged(Validation(expected), reasons)
    assert all(reason.partition(":")[0] in REASONS for reason in found.reasons)


@pytest.mark.parametrize(
    ("domain", "meant"),
    [
        ("gmai.com", "gmail.com"), ("gmaill.com", "gmail.com"), ("gnail.com", "gmail.com"), ("gmail.con", "gmail.com"), ("gmail.cm", "gmail.com"),
        ("yaho.com", "yahoo.com"), ("yahoo.ocm", "yahoo.com"), ("outlok.com", "outlook.com"), ("iclod.com", "icloud.com"), ("t-onlne.de", "t-online.de"),
        ("gxm.de", "gmx.de"),
        # names of their own
        ("gmail.com", None), ("ymail.com", None), ("mail.com", None), ("gmx.at", None), ("aon.com", None), ("agency.example", None), ("web.dev", None),
    ],
)  # fmt: skip
def test_a_slip_names_what_is_meant_and_a_name_of_its_own_is_no_slip(domain, meant):
    assert meant_domain(domain) == meant


def test_no_popular_domain_is_a_slip_of_another():
    assert not {name for name in validation._words().popular if meant_domain(name)}


@given(st.text(max_size=40), st.sampled_from([True, False, None]))
def test_whatever_it_is_it_gets_a_class(text, accepts_mail):
    found = judge(text, accepts_mail)
    assert found.validation is not Validation.CATCHALL
    assert found.validation is Validation.VALID or found.reasons


def test_the_words_are_written_in_lower_case_and_stand_once():
    words = validation._words()
    assert all(word == word.lower() and "@" not in word for word in words.roles | words.popular)
