import dns.message
import dns.query
import dns.rcode
import pytest

from cleanmails.demo.zone import Fault, Zone, serving


@pytest.fixture
def zone():
    return Zone()


@pytest.fixture
def port(zone):
    with serving(zone) as port:
        yield port


def ask(port, name, kind, via=dns.query.udp, timeout=2):
    return via(dns.message.make_query(name, kind), "127.0.0.1", port=port, timeout=timeout)


def values(response):
    return [rdata.to_text() for rrset in response.answer for rdata in rrset]


def test_a_record_that_was_added_is_answered_over_udp_and_tcp(zone, port):
    zone.add("corp.example", "MX", "10 mx.corp.example.")
    assert values(ask(port, "Corp.example", "MX"))[0].lower() == "10 mx.corp.example."
    assert values(ask(port, "corp.example", "MX", via=dns.query.tcp)) == ["10 mx.corp.example."]


def test_a_name_without_that_type_is_no_error_and_an_unknown_name_is(zone, port):
    zone.add("a.corp.example", "A", "127.0.0.1")
    assert ask(port, "a.corp.example", "MX").rcode() == dns.rcode.NOERROR
    assert ask(port, "corp.example", "MX").rcode() == dns.rcode.NOERROR  # something stands below it
    assert ask(port, "b.corp.example", "MX").rcode() == dns.rcode.NXDOMAIN


def test_a_replaced_record_is_gone_and_an_empty_replacement_takes_the_name_away(zone, port):
    zone.add("corp.example", "TXT", "old")
    zone.replace("corp.example", "TXT", "new")
    assert zone.texts("corp.example") == [b"new"]
    zone.replace("corp.example", "TXT")
    assert ask(port, "corp.example", "TXT").rcode() == dns.rcode.NXDOMAIN


def test_a_long_text_travels_in_strings_of_255_bytes_and_comes_out_whole(zone, port):
    zone.add("long.example", "TXT", "k" * 600)
    (rdata,) = ask(port, "long.example", "TXT", via=dns.query.tcp).answer[0]
    assert [len(string) for string in rdata.strings] == [255, 255, 90]
    assert zone.texts("long.example") == [b"k" * 600]


def test_a_wildcard_answers_for_every_name_that_has_nothing_of_its_own(zone, port):
    zone.add("*.example", "MX", "10 mx.example.")
    zone.add("own.example", "TXT", "here")
    assert values(ask(port, "any.example", "MX")) == ["10 mx.example."]
    assert values(ask(port, "deep.any.example", "MX")) == ["10 mx.example."]
    assert values(ask(port, "own.example", "MX")) == []
    assert ask(port, "below.own.example", "MX").rcode() == dns.rcode.NXDOMAIN


def test_an_alias_is_followed_and_a_circle_of_aliases_ends(zone, port):
    zone.add("www.corp.example", "CNAME", "host.corp.example.")
    zone.add("host.corp.example", "A", "127.0.0.2")
    zone.add("round.example", "CNAME", "round.example.")
    assert values(ask(port, "www.corp.example", "A")) == ["host.corp.example.", "127.0.0.2"]
    assert values(ask(port, "www.corp.example", "CNAME")) == ["host.corp.example."]
    assert ask(port, "round.example", "A").rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize(("fault", "code"), [(Fault.SERVFAIL, dns.rcode.SERVFAIL), (Fault.REFUSED, dns.rcode.REFUSED)])
def test_a_fault_is_answered_until_it_is_lifted(zone, port, fault, code):
    zone.add("corp.example", "A", "127.0.0.1")
    zone.fail("corp.example", fault)
    assert ask(port, "corp.example", "A").rcode() == code
    zone.fail("corp.example", None)
    assert ask(port, "corp.example", "A").rcode() == dns.rcode.NOERROR


def test_silence_is_silence(zone, port):
    zone.fail("corp.example", Fault.SILENCE)
    with pytest.raises(dns.exception.Timeout):
        ask(port, "corp.example", "A", timeout=0.05)


def test_a_truncated_answer_is_whole_over_tcp(zone, port):
    zone.add("corp.example", "TXT", "whole")
    zone.fail("corp.example", Fault.TRUNCATED)
    response, over_tcp = dns.query.udp_with_fallback(
        dns.message.make_query("corp.example", "TXT"), "127.0.0.1", port=port, timeout=2
    )
    assert over_tcp
    assert values(response) == ['"whole"']


def test_an_answer_too_large_for_udp_says_so_by_itself(zone, port):
    zone.add("big.example", "TXT", *(f"{number} " + "x" * 200 for number in range(10)))
    response, over_tcp = dns.query.udp_with_fallback(
        dns.message.make_query("big.example", "TXT"), "127.0.0.1", port=port, timeout=2
    )
    assert over_tcp
    assert len(values(response)) == 10


def test_garbage_is_not_answered_and_harms_nobody(zone, port):
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"\x00\x01garbage", ("127.0.0.1", port))
    zone.add("corp.example", "A", "127.0.0.1")
    assert values(ask(port, "corp.example", "A")) == ["127.0.0.1"]
