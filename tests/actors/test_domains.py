"""Domains are looked at again each day, and with them the tracking name."""

import pytest
from msgspec.structs import replace

from cleanmails.actors import domains
from cleanmails.demo.zone import Fault, Zone, serving


@pytest.fixture
def zone():
    return Zone()


@pytest.fixture
def configured(configured, zone):
    with serving(zone) as port:
        yield replace(configured, dns_servers=(("127.0.0.1", port),), public_url="https://app.example")


@pytest.fixture
def domain(house, zone):
    """A domain that is verified, published, and was looked at two days ago."""
    made = house.domain("acme.example")
    zone.add("cm._domainkey.acme.example", "TXT", f"v=DKIM1; k=rsa; p={house.public}")
    zone.add("acme.example", "TXT", "v=spf1 a mx ~all")
    zone.add("acme.example", "MX", "10 mx.acme.example.")
    zone.add("_dmarc.acme.example", "TXT", "v=DMARC1; p=none")
    house.run("UPDATE domains SET checked_at = now() - interval '2 days'")
    return made


def age(house):
    return house.one("SELECT now() - checked_at < interval '1 minute' FROM domains")


def test_a_verified_domain_is_looked_at_once_a_day(house, work, domain):
    assert domains.look_again(work) == 1
    assert age(house)
    assert house.one("SELECT status FROM domains") == "verified"
    assert domains.look_again(work) == 0, "not twice on the same day"


def test_a_key_that_was_taken_out_of_dns_stops_the_domain_and_is_an_event(house, work, domain, zone):
    domains.look_again(work)
    house.run("UPDATE domains SET checked_at = now() - interval '2 days'")
    zone.replace("cm._domainkey.acme.example", "TXT", "v=DKIM1; p=")
    domains.look_again(work)
    assert house.one("SELECT status FROM domains") == "faulty"
    told = house.all("SELECT data FROM events WHERE type = 'domain.changed' ORDER BY id")[-1]["data"]
    assert (told["name"], told["was"], told["status"]) == ("acme.example", "verified", "faulty")
    assert [(each["kind"], each["was"], each["state"]) for each in told["records"]] == [("dkim", "ok", "wrong")]


def test_a_name_server_that_fails_leaves_the_domain_as_it_is(house, work, domain, zone):
    zone.fail("acme.example", Fault.SERVFAIL)
    zone.fail("cm._domainkey.acme.example", Fault.SERVFAIL)
    domains.look_again(work)
    assert house.one("SELECT status FROM domains") == "verified"


def test_a_tracking_name_that_leads_elsewhere_is_used_no_more(house, work, domain, zone):
    house.run("UPDATE workspaces SET tracking_domain = 'links.acme.example', tracking_verified_at = now()")
    zone.add("links.acme.example", "CNAME", "elsewhere.example.")
    domains.look_again(work)
    assert house.one("SELECT tracking_verified_at FROM workspaces") is None
    zone.replace("links.acme.example", "CNAME", "app.example.")
    house.run("UPDATE domains SET checked_at = now() - interval '2 days'")
    domains.look_again(work)
    assert house.one("SELECT tracking_verified_at FROM workspaces") is not None


def test_a_domain_that_was_never_verified_waits_for_a_person(house, work, domain):
    house.run("UPDATE domains SET verified_at = NULL, status = 'pending'")
    assert domains.look_again(work) == 0
