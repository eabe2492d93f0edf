"""Which provider takes a domain's mail, and at what rate."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.rules import providers
from cleanmails.rules.providers import provider_of, rate_of

RATES = {"google": 2.0, "microsoft": 2.0, "yahoo": 2.0, "icloud": 2.0, "proton": 1.0, "other": 5.0}


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("aspmx.l.google.com", "google"),
        ("alt1.aspmx.l.google.com", "google"),
        ("smtp.google.com", "google"),
        ("aspmx2.googlemail.com", "google"),
        ("example-com.mail.protection.outlook.com", "microsoft"),
        ("hotmail-com.olc.protection.outlook.com", "microsoft"),
        ("example-com.a-v1.mx.microsoft", "microsoft"),
        ("mta5.am0.yahoodns.net", "yahoo"),
        ("mx-att.mail.am0.yahoodns.net", "yahoo"),
        ("mx1.biz.mail.yahoo.com", "yahoo"),
        ("mx01.mail.icloud.com", "icloud"),
        ("mail.protonmail.ch", "proton"),
        ("eu-smtp-inbound-1.mimecast.com", "mimecast"),
        ("mxa-00000000.gslb.pphosted.com", "proofpoint"),
        ("mx1-us1.ppe-hosted.com", "proofpoint"),
        ("d0000a.ess.barracudanetworks.com", "barracuda"),
        ("MX01.MAIL.ICLOUD.COM.", "icloud"),
    ],
)
def test_a_domain_belongs_to_whom_its_mail_exchanger_belongs(host, provider):
    assert provider_of("example.com", [host]) == provider


@pytest.mark.parametrize(
    ("domain", "provider"),
    [
        ("gmail.com", "google"),
        ("hotmail.com", "microsoft"),
        ("AOL.com", "yahoo"),
        ("ymail.com", "yahoo"),
        ("me.com", "icloud"),
        ("pm.me", "proton"),
    ],
)
def test_a_providers_own_domain_needs_no_look_up(domain, provider):
    assert provider_of(domain, []) == provider


@pytest.mark.parametrize(
    "hosts", [[], ["mx.example.net"], ["."], ["google.com.example.net"], ["notgoogle.com"], ["com"]]
)
def test_any_other_domain_is_its_own_provider(hosts):
    assert provider_of("Example.COM.", hosts) == "example.com"


def test_yahoo_japan_is_not_yahoo():
    assert provider_of("yahoo.co.jp", ["mx1.mail.yahoo.co.jp"]) == "yahoo.co.jp"


def test_the_first_exchanger_that_is_known_decides():
    assert (
        provider_of("example.com", ["mx.example.com", "eu-smtp-inbound-1.mimecast.com", "aspmx.l.google.com"])
        == "mimecast"
    )


def test_gateways_and_other_domains_have_the_rate_of_other():
    assert rate_of("proton", RATES) == 1.0
    assert rate_of("mimecast", RATES) == rate_of("example.com", RATES) == 5.0


def test_every_provider_with_a_rate_of_its_own_is_found_by_domain_and_by_exchanger():
    named = set(RATES) - {"other"}
    assert named == set(providers.DOMAINS.values())
    assert named <= set(providers.EXCHANGERS.values())


@settings(deadline=None)
@given(st.text(min_size=1), st.lists(st.text()))
def test_whatever_dns_says_there_is_a_provider_and_no_name_of_the_table_is_a_domain(domain, hosts):
    assert provider_of(domain, hosts) in {*providers.EXCHANGERS.values(), domain.rstrip(".").lower()}
    assert not any("." in name for name in providers.EXCHANGERS.values())
