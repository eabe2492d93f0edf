"""A zone file with what people publish, right, wrong, split, duplicate and missing: the finding for each record, and what DMARC makes of it."""

from pathlib import Path

import dns.rdatatype
import dns.zone
import pytest

from cleanmails.demo.zone import Zone, serving
from cleanmails.mail import dkim
from cleanmails.mail.dns import Resolver
from cleanmails.mail.domains import Kind, alignment, check_domain, verdict

OK, MISSING, WRONG = "ok", "missing", "wrong"


@pytest.fixture(scope="module")
def key():
    return dkim.generate_key()[1]


@pytest.fixture(scope="module")
def resolver(key):
    text = (Path(__file__).parent / "domains.zone").read_text()
    text = text.replace("KEY1", key[:230]).replace("KEY2", key[230:])
    zone = Zone()
    for name, _, rdata in dns.zone.from_text(text, relativize=False, check_origin=False).iterate_rdatas():
        if rdata.rdtype == dns.rdatatype.TXT:
            zone.add(name.to_text(), "TXT", b"".join(rdata.strings).decode())
        else:
            zone.add(name.to_text(), dns.rdatatype.to_text(rdata.rdtype), rdata.to_text())
    with serving(zone) as port:
        yield Resolver([("127.0.0.1", port)])


def look(resolver, key, name):
    found = check_domain(
        f"{name}.example", "cm", key, resolver=resolver, spf=["a:mail.right.example"], tracking=(f"links.{name}.example", "app.example")
    )  # fmt: skip
    return found, {finding.kind: finding for finding in found}


@pytest.mark.parametrize(
    ("name", "status", "states"),
    [
        ("right", "verified", (OK, OK, OK, OK, OK)),
        ("sub.right", "verified", (OK, OK, OK, OK, OK)),
        ("wrong", "faulty", (WRONG, WRONG, WRONG, WRONG, WRONG)),
        ("split", "faulty", (OK, WRONG, OK, OK, OK)),
        ("duplicate", "faulty", (WRONG, WRONG, WRONG, OK, OK)),
        ("missing", "pending", (MISSING, MISSING, MISSING, MISSING, MISSING)),
        ("lacking", "verified", (WRONG, OK, OK, OK, MISSING)),
        ("cut", "faulty", (OK, WRONG, MISSING, OK, MISSING)),
    ],
)
def test_each_record_has_its_finding(resolver, key, name, status, states):
    findings, by_kind = look(resolver, key, name)
    assert tuple(by_kind[kind].state for kind in (Kind.SPF, Kind.DKIM, Kind.DMARC, Kind.MX, Kind.TRACKING)) == states
    assert verdict(findings) == status
    assert all(finding.sentence for finding in findings)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("wrong", Kind.SPF, "lets everybody send"),
        ("wrong", Kind.DKIM, "another one than ours"),
        ("wrong", Kind.DMARC, "none, quarantine or reject"),
        ("wrong", Kind.MX, "takes no mail"),
        ("wrong", Kind.TRACKING, "leads elsewhere"),
        ("split", Kind.DKIM, "several records"),
        ("duplicate", Kind.SPF, "several SPF records"),
        ("duplicate", Kind.DKIM, "several records"),
        ("duplicate", Kind.DMARC, "several DMARC records"),
        ("missing", Kind.DKIM, "no such TXT record"),
        ("lacking", Kind.SPF, "lacks a:mail.right.example"),
        ("cut", Kind.DKIM, "cut off after 230"),
        ("sub.right", Kind.DMARC, "_dmarc.right.example"),
    ],
)
def test_the_finding_says_what_is_amiss(resolver, key, name, kind, words):
    assert words in look(resolver, key, name)[1][kind].sentence


def test_what_is_found_stands_beside_what_is_expected(resolver, key):
    spf = look(resolver, key, "lacking")[1][Kind.SPF]
    assert spf.found == ("v=spf1 ip4:198.51.100.1 -all",)
    assert spf.expected == "v=spf1 a:mail.right.example ip4:198.51.100.1 -all"
    assert not spf.hinders, "mail that the domain signs passes DMARC all the same"


@pytest.mark.parametrize(
    ("name", "passes", "words"),
    [
        ("right", (True, True, True), "The policy is none"),
        ("lacking", (True, False, True), "The policy is reject"),
        ("split", (False, True, True), "The policy is quarantine"),
        ("missing", (False, False, False), "no policy yet"),
        ("wrong", (False, False, False), "Mail fails DMARC"),
    ],
)
def test_alignment_is_explained_in_sentences(resolver, key, name, passes, words):
    told = alignment(f"{name}.example", look(resolver, key, name)[0])
    assert tuple(each.passes for each in told) == passes
    assert words in told[-1].sentence
    assert all(f"{name}.example" in each.sentence for each in told[:2])
