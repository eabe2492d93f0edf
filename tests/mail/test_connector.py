import ipaddress
import socket

import pytest

from cleanmails.demo.zone import Fault, Zone, serving
from cleanmails.errors import UnreachableError
from cleanmails.mail.connector import Connector, is_public
from cleanmails.mail.dns import Resolver

# Every way to write an address that is nobody's business: what the system's look-up makes of it is judged, not how it is written.
TEXT = """
127.0.0.1 127.1 127.0.1 127.255.255.254 2130706433 0x7f000001 0x7F.0.0.1 0x7f.1 0177.0.0.1 0177.1 017700000001 0x7f.0x0.0x0.0x1
127.0.0.01 127.0x0.0.1 00000177.0.0.1 localhost LOCALHOST
0 0.0.0.0 0x0 00 0.0 10.0.0.1 10.1 0xa.0.0.1 012.0.0.1 167772161 10.255.255.255 172.16.0.1 172.31.255.255 0xac100001 2886729729
192.168.0.1 192.168.1 0300.0250.0.1 3232235521 0xc0a80001 100.64.0.1 100.100.100.200 100.127.255.255
169.254.169.254 169.254.43518 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.0.1 168.63.129.16 192.0.0.192 192.0.0.8 192.0.2.1
192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 4294967295
１２７.0.0.1 127。0。0。1 ①②⑦.⓪.⓪.①
:: ::1 [::1] 0:0:0:0:0:0:0:1 ::ffff:127.0.0.1 ::ffff:7f00:1 [::ffff:10.0.0.1] ::ffff:a9fe:a9fe ::ffff:0:127.0.0.1 ::127.0.0.1 ::7f00:1
64:ff9b::127.0.0.1 64:ff9b::a00:1 64:ff9b::169.254.169.254 64:ff9b:1::1 64:ff9b:1:ffff::8.8.8.8 2002:7f00:1:: 2002:808:808::
2001::1 2001:0:7f00:1:: 2001:10::1 2001:20::1 2001:db8::1 3fff::1 fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::1%lo fec0::1 ff02::1 ff0e::1
100::1 5f00::1 4000::1 ::fffe:7f00:1
"""
SPELLINGS = TEXT.split()


class Dialled:
    """Stands where the network would be, and keeps what was asked of it."""

    def __init__(self, *refusing):
        self.addresses = []
        self.refusing = refusing

    def __call__(self, address, _port, _seconds):
        self.addresses.append(str(address))
        if str(address) in self.refusing:
            raise ConnectionRefusedError(111, "Connection refused")
        return socket.socket()


@pytest.fixture
def zone():
    return Zone()


@pytest.fixture
def resolver(zone):
    with serving(zone) as port:
        yield Resolver([("127.0.0.1", port)], timeout=3)


def test_there_are_enough_spellings():
    assert len(SPELLINGS) == len(set(SPELLINGS)) > 60


@pytest.mark.parametrize("host", SPELLINGS)
@pytest.mark.asvs("1.3.6")
def test_no_spelling_of_a_private_address_is_connected_to(host):
    dialled = Dialled()
    with pytest.raises(UnreachableError) as refused:
        Connector(allow_private=False, dial=dialled).connect(host, 25, 1)
    assert refused.value.code == "address_refused"
    assert dialled.addresses == []


def test_nor_is_it_where_names_are_looked_up_by_ourselves(resolver):
    dialled = Dialled()
    for host in SPELLINGS:
        with pytest.raises(UnreachableError):
            Connector(allow_private=False, resolver=resolver, dial=dialled).connect(host, 25, 1)
    assert dialled.addresses == []


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "172.32.0.1",
        "100.63.255.255",
        "192.0.1.1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2606:4700::1",
        "2a00::1",
    ],
)
def test_public_addresses_are_public(address):
    assert is_public(ipaddress.ip_address(address))


def test_a_name_is_judged_by_all_its_addresses_and_only_public_ones_are_tried(zone, resolver):
    zone.add("mixed.example", "A", "127.0.0.1", "10.0.0.1", "8.8.8.8")
    zone.add("mixed.example", "AAAA", "::1", "64:ff9b::a00:1")
    dialled = Dialled()
    Connector(allow_private=False, resolver=resolver, dial=dialled).connect("mixed.example", 25, 1).close()
    assert dialled.addresses == ["8.8.8.8"]


def test_a_name_that_changes_its_mind_is_asked_only_once(zone, resolver):
    zone.add("rebind.example", "A", "8.8.8.8")

    class Rebinding(Dialled):
        def __call__(self, address, port, seconds):
            zone.replace("rebind.example", "A", "127.0.0.1")
            return super().__call__(address, port, seconds)

    dialled = Rebinding()
    Connector(allow_private=False, resolver=resolver, dial=dialled).connect("rebind.example", 25, 1).close()
    assert dialled.addresses == ["8.8.8.8"]
    assert zone.asked == [("rebind.example", "A"), ("rebind.example", "AAAA")]


def test_an_alias_of_a_private_name_is_private(zone, resolver):
    zone.add("alias.example", "CNAME", "inner.example.")
    zone.add("inner.example", "A", "192.168.0.1")
    with pytest.raises(UnreachableError) as refused:
        Connector(allow_private=False, resolver=resolver, dial=Dialled()).connect("alias.example", 25, 1)
    assert refused.value.code == "address_refused"


def test_the_next_address_is_tried_when_one_refuses(zone, resolver):
    zone.add("two.example", "A", "8.8.8.8", "8.8.4.4")
    dialled = Dialled("8.8.8.8")
    Connector(allow_private=False, resolver=resolver, dial=dialled).connect("two.example", 25, 1).close()
    assert min(dialled.addresses) == "8.8.4.4"


def test_private_addresses_are_for_those_who_may(zone, resolver):
    with socket.create_server(("127.0.0.1", 0)) as server:
        zone.add("here.example", "A", "127.0.0.1")
        port = server.getsockname()[1]
        sock = Connector(allow_private=True, resolver=resolver).connect("here.example", port, 5)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        sock.close()


def test_ipv6_is_dialled_too():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        Connector(allow_private=True).connect("::1", server.getsockname()[1], 5).close()


@pytest.mark.asvs("13.2.4", "13.2.5")
def test_other_ports_are_refused_before_any_look_up(zone, resolver):
    with pytest.raises(UnreachableError) as refused:
        Connector(allow_private=True, ports=frozenset({465, 587}), resolver=resolver, dial=Dialled()).connect(
            "a.example", 6379, 1
        )
    assert refused.value.code == "port_refused"
    assert zone.asked == []


def test_a_host_that_does_not_exist_is_told_apart_from_a_look_up_that_failed(zone, resolver):
    connector = Connector(allow_private=True, resolver=resolver, dial=Dialled())
    zone.fail("broken.example", Fault.SERVFAIL)
    for host, code in (("none.example", "unknown_host"), ("broken.example", "dns_failed")):
        with pytest.raises(UnreachableError) as failed:
            connector.connect(host, 25, 1)
        assert failed.value.code == code


@pytest.mark.parametrize("host", ["a\0b", "x" * 64 + ".example", "a..b", "\udcff"])
def test_what_cannot_be_a_host_is_unknown(resolver, host):
    for connector in (
        Connector(allow_private=True, dial=Dialled()),
        Connector(allow_private=True, resolver=resolver, dial=Dialled()),
    ):
        with pytest.raises(UnreachableError) as failed:
            connector.connect(host, 25, 1)
        assert failed.value.code == "unknown_host"


def test_nobody_listening_is_said_with_the_place():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UnreachableError) as failed:
        Connector(allow_private=True).connect("127.0.0.1", port, 1)
    assert failed.value.code == "connection_refused"
    assert f"127.0.0.1:{port}" in failed.value.message


def test_no_answer_is_a_timeout():
    def never(address, port, seconds):
        raise TimeoutError("timed out")

    with pytest.raises(UnreachableError) as failed:
        Connector(allow_private=True, dial=never).connect("127.0.0.1", 25, 0.5)
    assert failed.value.code == "timeout"


def test_the_addresses_of_a_host_share_the_time(zone, resolver):
    zone.add("many.example", "A", *(f"8.8.8.{number}" for number in range(1, 5)))
    shares = []

    def slow(address, port, seconds):
        shares.append(seconds)
        raise TimeoutError("timed out")

    with pytest.raises(UnreachableError):
        Connector(allow_private=False, resolver=resolver, dial=slow).connect("many.example", 25, 8)
    assert len(shares) == 4
    assert shares[0] <= 2
