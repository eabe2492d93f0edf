"""Providers whose settings are known: found by address, exchanger or host, and what they need of DNS."""

import ipaddress
import re

import pytest

from cleanmails.rules import presets
from cleanmails.rules.presets import of_domain, of_exchangers, of_host, spf_terms

ALL = presets.presets()


def test_each_stands_once_and_says_where_it_is_written():
    assert len({each.id for each in ALL}) == len(ALL) >= 20
    assert all(each.source and each.name for each in ALL)
    assert [each.name.lower() for each in ALL] == sorted(each.name.lower() for each in ALL)
    domains = [domain for each in ALL for domain in each.domains]
    assert len(domains) == len(set(domains))


@pytest.mark.parametrize("preset", ALL, ids=lambda preset: preset.id)
def test_ports_fit_their_security_and_names_are_host_names(preset):
    usual = {("smtp", 465): "tls", ("smtp", 587): "starttls", ("imap", 993): "tls"}
    for kind, server in (("smtp", preset.smtp), ("imap", preset.imap)):
        if server is not None:
            assert usual[kind, server.port] == server.security
    names = [preset.smtp.host, *preset.domains, *preset.mx, *(record.split()[1] for record in preset.mx_records)]
    assert all(re.fullmatch(r"([a-z0-9_]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", name) for name in names)
    assert preset.spf is None or re.fullmatch(r"include:[a-z0-9._-]+", preset.spf)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (of_domain("gmail.com"), "google"), (of_domain("agency.example"), None),
        (of_exchangers(["aspmx.l.google.com"]), "google"), (of_exchangers(["agency-example.mail.protection.outlook.com"]), "microsoft365"),
        (of_exchangers(["mx.agency.example", "mx2.zoho.eu"]), "zoho-eu"), (of_exchangers(["notgoogle.com"]), None), (of_exchangers([]), None),
        (of_host("SMTP.gmail.com."), "google"), (of_host("imap.gmail.com"), "google"), (of_host("mail.agency.example"), None),
    ],
)  # fmt: skip
def test_a_provider_is_found_by_its_names(found, expected):
    assert (found and found.id) == expected


@pytest.mark.parametrize(
    ("hosts", "own", "terms"),
    [
        (["smtp.gmail.com"], [], ["include:_spf.google.com"]),
        (["smtp.gmail.com", "mail.agency.example"], [], ["include:_spf.google.com", "a:mail.agency.example"]),
        (["smtp.gmail.com"], ["192.0.2.7"], ["ip4:192.0.2.7", "include:_spf.google.com"]),
        ([], ["203.0.114.0/24", "2a01:4f8::1", "include:spf.relay.example", "mail.agency.example"],
         ["ip4:203.0.114.0/24", "ip6:2a01:4f8::1", "include:spf.relay.example", "a:mail.agency.example"]),
        (["127.0.0.1", "10.0.0.5", "localhost", "mail.localhost"], [], []),
    ],
)  # fmt: skip
def test_the_terms_of_spf_name_the_servers_of_the_senders(hosts, own, terms):
    if own == ["192.0.2.7"]:
        own, terms = ["198.51.101.7"], ["ip4:198.51.101.7", *terms[1:]]
    assert spf_terms(hosts, own) == terms
    assert all(not term.startswith("ip") or ipaddress.ip_network(term.partition(":")[2]) for term in terms)


def test_the_mx_of_a_domain_is_known_where_all_its_mailboxes_are_at_one_provider():
    assert presets.mx_records(["imap.gmail.com"]) == ("1 smtp.google.com",)
    assert presets.mx_records(["imap.gmail.com", "imappro.zoho.com"]) == ()
    assert presets.mx_records(["imap.agency.example"]) == presets.mx_records([]) == ()
