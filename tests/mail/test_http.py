"""HTTP to what users name: whatever spelling, no connection to an address that is not of the open internet; whatever answer, bounded."""

import ipaddress
import itertools
import socket

import pytest

from cleanmails.errors import UnreachableError
from cleanmails.mail.connector import Connector
from cleanmails.mail.dns import Look, Records
from cleanmails.mail.http import Client, HttpError, UrlError, target
from tests.receiver import Receiver, raw

V4 = ["127.0.0.1", "10.1.2.3", "172.16.5.4", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "198.18.0.1",
      "192.0.0.192", "168.63.129.16", "255.255.255.255", "224.0.0.1", "127.8.8.8", "100.100.100.200"]  # fmt: skip
V6 = [
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2001::1",
    "64:ff9b:1::1",
    "fec0::1",
    "3fff::1",
    "100::1",
]


def numbers(address):
    """Ways to write an IPv4 address that some reader takes for it."""
    packed = int(ipaddress.IPv4Address(address))
    parts = address.split(".")
    yield address
    yield f"{address}."
    yield str(packed)
    yield hex(packed)
    yield f"0{packed:o}"
    yield ".".join(hex(int(part)) for part in parts)
    yield ".".join(f"0{int(part):o}" for part in parts)
    yield ".".join(f"{int(part):03d}" for part in parts)
    yield f"{parts[0]}.{packed & 0xFFFFFF}"
    yield f"{parts[0]}.{parts[1]}.{packed & 0xFFFF}"
    yield f"{parts[0]}.{hex(packed & 0xFFFFFF)}"
    yield "".join(chr(0x24EA) if c == "0" else chr(0x2460 + int(c) - 1) if c.isdigit() else "。" for c in address)
    yield address.replace(".", "%2e")
    yield "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in address)
    yield f"[::ffff:{address}]"
    yield f"[::ffff:{packed >> 16:x}:{packed & 0xFFFF:x}]"
    yield f"[0:0:0:0:0:ffff:{address}]"
    yield f"[64:ff9b::{address}]"
    yield f"[2002:{packed >> 16:x}:{packed & 0xFFFF:x}::]"
    yield f"[::{address}]"


def spellings():
    for address in V4:
        for number in numbers(address):
            yield f"http://{number}/"
        yield f"http://receiver.example@{address}/"
        yield f"http://{address}:80\\@receiver.example/"
        yield f"http://receiver.example#@{address}/"
        yield f"http:/{address}/"
        yield f"http://{address}%00.receiver.example/"
        yield f"http://{address}\t.receiver.example/"
    for address in V6:
        yield from (
            f"http://[{address}]/",
            f"https://[{address}%25lo]/",
            f"http://[{address.upper()}]:80/",
            f"http://{address}/",
        )
    for name in (
        "localhost",
        "LOCALHOST",
        "localhost.",
        "lоcalhost",
        "ⓛocalhost",
        "a.localhost",
        "private.example",
        "mixed.example",
    ):
        yield from (f"http://{name}/", f"https://{name}:443/", f"http://user:pass@{name}/")
    yield from (
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://",
        "//127.0.0.1/",
        "http:///x",
        "dict://127.0.0.1:11211/",
        "http://[::1/",
        "http://]/",
    )


class Names:
    """A name server: what is private, what is both, and a name that is public at first and private from then on (TTL 0)."""

    def __init__(self):
        self.turns = itertools.count()

    def addresses(self, host):
        match host:
            case "private.example" | "localhost" | "a.localhost":
                return Records(look=Look.FOUND, values=("127.0.0.1", "::1"))
            case "mixed.example":
                return Records(look=Look.FOUND, values=("10.0.0.1", "93.184.215.14"))
            case "rebinding.example":
                return Records(look=Look.FOUND, values=("93.184.215.14" if next(self.turns) == 0 else "127.0.0.1",))
        return Records(look=Look.NOTHING)


@pytest.fixture
def dialled():
    return []


@pytest.fixture
def client(dialled):
    """A client whose socket records where it would have connected to."""

    def dial(address, _port, _seconds):
        dialled.append(address)
        raise ConnectionRefusedError(111, "recorded")

    ports = frozenset({80, 443})
    return Client(Connector(allow_private=False, ports=ports, resolver=Names(), dial=dial).connect)


def test_there_are_at_least_three_hundred_spellings():
    assert len(set(spellings())) >= 300


def test_no_spelling_leads_to_an_address_that_is_not_of_the_open_internet(client, dialled):
    for url in spellings():
        with pytest.raises((UrlError, UnreachableError)):
            client.request("POST", target(url), {}, b"")
    assert {str(address) for address in dialled} <= {"93.184.215.14"}


@pytest.mark.asvs("1.3.6")
def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_judged(client, dialled):
    for _ in range(3):
        with pytest.raises(UnreachableError):
            client.request("POST", target("http://rebinding.example/"), {}, b"")
    assert [str(address) for address in dialled] == ["93.184.215.14"]


@pytest.mark.parametrize("port", [22, 25, 5432, 6379, 11211])
def test_other_ports_are_refused(client, dialled, port):
    with pytest.raises(UnreachableError, match="not allowed"):
        client.request("POST", target(f"http://93.184.215.14:{port}/"), {}, b"")
    assert dialled == []


def test_names_and_paths_are_read():
    assert target("https://Büro.example/a?b=c").url == "https://xn--bro-hoa.example/a?b=c"
    assert target("http://[2606:4700::1]:8080").authority == "[2606:4700::1]:8080"
    assert target("https://receiver.example").path == "/"


def asked(port, patience=5.0, most=1_024):
    with Client(Connector(allow_private=True).connect, patience=patience) as client:
        return client.request("POST", target(f"http://127.0.0.1:{port}/"), {}, b"{}", most=most)


def test_ten_gigabytes_are_cut_off_after_a_kilobyte():
    sent = []

    def flood(connection, _):
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        while True:
            sent.append(connection.send(b"x" * 65_536))

    with raw(flood) as port:
        answer = asked(port)
    assert (answer.status, len(answer.body), answer.cut) == (200, 1_024, True)
    assert sum(sent) < 100_000_000


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "garbage"),
        (b"\x16\x03\x01\x02\x00" * 20_000, "garbage"),
        (b"HTTP/1.1 999 No\r\n\r\n", "garbage"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "garbage"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "garbage"),
        (b"HTTP/1.1 200", "garbage"),
        (b"", "closed"),
    ],
)
def test_garbage_is_named(said, code):
    def talk(connection, _):
        connection.recv(65_536)
        connection.sendall(said)

    with raw(talk) as port, pytest.raises(HttpError) as caught:
        asked(port)
    assert caught.value.code == code


def test_who_drips_a_byte_at_a_time_does_not_stretch_the_deadline():
    def drip(connection, ends):
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not ends.wait(0.05):
            connection.sendall(b"X")

    with raw(drip) as port, pytest.raises(HttpError) as caught:
        asked(port, patience=0.5)
    assert caught.value.code == "timeout"


@pytest.mark.asvs("12.3.2")
def test_who_never_speaks_tls_is_named():
    def talk(connection, _):
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    client = Client(Connector(allow_private=True).connect)
    with raw(talk) as port, pytest.raises(HttpError) as caught:
        client.request("POST", target(f"https://127.0.0.1:{port}/"), {}, b"")
    assert caught.value.code == "tls"


def test_chunks_are_joined_and_the_connection_is_kept():
    connections = []

    def talk(connection, _):
        connections.append(connection)
        while connection.recv(65_536):
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    with raw(talk) as port, Client(Connector(allow_private=True).connect) as client:
        for _ in range(3):
            assert client.request("POST", target(f"http://127.0.0.1:{port}/"), {}, b"").body == b"abcde"
    assert len(connections) == 1


def test_a_kept_connection_that_was_closed_is_opened_anew():
    with Receiver() as receiver, Client(Connector(allow_private=True).connect) as client:
        for _ in range(2):
            assert client.request("POST", target(receiver.url), {}, b"{}").status == 200
            client._sock.shutdown(socket.SHUT_RDWR)
    assert len(receiver.requests) == 2


@pytest.mark.asvs("1.2.1")
def test_a_header_with_a_line_break_is_never_sent():
    client = Client(Connector(allow_private=True).connect)
    with raw(lambda *_: None) as port, pytest.raises(HttpError):
        client.request("POST", target(f"http://127.0.0.1:{port}/"), {"X": "a\r\nB: c"}, b"")
