import pytest

from cleanmails.demo.zone import Fault, Zone, serving
from cleanmails.mail.dns import Look, Resolver


@pytest.fixture
def zone():
    return Zone()


@pytest.fixture
def resolver(zone):
    with serving(zone) as port:
        yield Resolver([("127.0.0.1", port)], timeout=3)


@pytest.fixture
def hasty(zone):
    with serving(zone) as port:
        yield Resolver([("127.0.0.1", port)], timeout=0.05)


def test_mail_hosts_come_most_preferred_first(zone, resolver):
    zone.add("corp.example", "MX", "20 b.corp.example.", "10 A.Corp.Example.", "20 a2.corp.example.")
    mx = resolver.mx("Corp.Example")
    assert mx.look is Look.FOUND
    assert [host.lower() for host in mx.hosts] == ["a.corp.example", "a2.corp.example", "b.corp.example"]
    assert not mx.null_mx
    assert not mx.implicit


def test_a_null_mx_is_a_found_refusal(zone, resolver):
    zone.add("corp.example", "MX", "0 .")
    mx = resolver.mx("corp.example")
    assert (mx.look, mx.hosts, mx.null_mx) == (Look.FOUND, (), True)


@pytest.mark.parametrize(("kind", "address"), [("A", "127.0.0.1"), ("AAAA", "::1")])
def test_a_domain_with_only_an_address_takes_mail_there(zone, resolver, kind, address):
    zone.add("corp.example", kind, address)
    mx = resolver.mx("corp.example")
    assert (mx.look, mx.hosts, mx.implicit) == (Look.FOUND, ("corp.example",), True)


def test_a_domain_without_mx_and_address_exists_and_takes_no_mail(zone, resolver):
    zone.add("corp.example", "TXT", "here")
    mx = resolver.mx("corp.example")
    assert (mx.look, mx.exists) == (Look.NOTHING, True)


def test_a_name_that_does_not_exist_is_told_apart_from_one_without_records(zone, resolver):
    zone.add("corp.example", "A", "127.0.0.1")
    assert (resolver.txt("corp.example").look, resolver.txt("corp.example").exists) == (Look.NOTHING, True)
    assert (resolver.txt("none.example").look, resolver.txt("none.example").exists) == (Look.NOTHING, False)
    assert (resolver.mx("none.example").look, resolver.mx("none.example").exists) == (Look.NOTHING, False)


@pytest.mark.parametrize("fault", [Fault.SERVFAIL, Fault.REFUSED])
def test_a_server_that_fails_is_never_taken_for_no(zone, resolver, fault):
    zone.add("corp.example", "MX", "10 mx.corp.example.")
    zone.fail("corp.example", fault)
    assert resolver.mx("corp.example").look is Look.FAILED
    assert resolver.txt("corp.example").look is Look.FAILED
    assert resolver.addresses("corp.example").look is Look.FAILED
    assert resolver.cname("corp.example").look is Look.FAILED
    assert resolver.mx("corp.example").reason


def test_a_silent_server_is_given_up_in_time_and_is_never_taken_for_no(zone, hasty):
    zone.fail("corp.example", Fault.SILENCE)
    assert hasty.mx("corp.example").look is Look.FAILED


def test_a_server_that_is_not_there_is_never_taken_for_no():
    with serving(Zone()) as port:
        pass
    assert Resolver([("127.0.0.1", port)], timeout=0.05).txt("corp.example").look is Look.FAILED


def test_an_alias_of_a_host_without_mail_takes_none(zone, resolver):
    zone.add("corp.example", "CNAME", "host.example.")
    zone.add("host.example", "TXT", "here")
    assert resolver.mx("corp.example").look is Look.NOTHING


def test_one_of_two_servers_is_enough(zone):
    failing = Zone()
    failing.fail("corp.example", Fault.SERVFAIL)
    zone.add("corp.example", "TXT", "here")
    with serving(failing) as first, serving(zone) as second:
        resolver = Resolver([("127.0.0.1", first), ("127.0.0.1", second)], timeout=10)
        assert resolver.txt("corp.example").values == ("here",)


def test_a_text_in_several_strings_is_joined_without_spaces(zone, resolver):
    zone.add("corp.example", "TXT", "v=DKIM1; p=" + "A" * 400)
    assert resolver.txt("corp.example").values == ("v=DKIM1; p=" + "A" * 400,)


def test_a_truncated_answer_is_fetched_again_over_tcp(zone, resolver):
    zone.add("corp.example", "TXT", "whole")
    zone.fail("corp.example", Fault.TRUNCATED)
    assert resolver.txt("corp.example").values == ("whole",)


def test_addresses_are_of_both_kinds_and_one_kind_is_enough(zone, resolver):
    zone.add("both.example", "AAAA", "::1")
    zone.add("both.example", "A", "127.0.0.1")
    zone.add("six.example", "AAAA", "::1")
    assert resolver.addresses("both.example").values == ("127.0.0.1", "::1")
    assert resolver.addresses("six.example").values == ("::1",)


def test_an_alias_is_itself_an_answer(zone, resolver):
    zone.add("track.corp.example", "CNAME", "Mail.Host.Example.")
    assert resolver.cname("track.corp.example").values == ("mail.host.example",)


@pytest.mark.parametrize(
    "name", ["a..b.example", "x" * 64 + ".example", ".".join(["abcdefgh"] * 40), "\udcff.example", ""]
)
def test_what_cannot_be_a_name_does_not_exist(resolver, name):
    assert resolver.mx(name).look is Look.NOTHING


def test_a_name_in_any_script_is_looked_up_in_its_ascii_form(zone, resolver):
    zone.add("xn--bcher-kva.example", "MX", "10 mx.example.")
    assert resolver.mx("bücher.example").hosts == ("mx.example",)
