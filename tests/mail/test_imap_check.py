"""What a test of an inbox says: how far it came, and what to do."""

import contextlib
import socket
import threading

import pytest

from cleanmails.demo import certificates
from cleanmails.demo.catcher import imap as server
from cleanmails.demo.catcher.boxes import Boxes
from cleanmails.demo.catcher.imap import Deed, Fault
from cleanmails.demo.zone import Fault as Trouble
from cleanmails.demo.zone import Zone, serving
from cleanmails.mail.connector import Connector
from cleanmails.mail.dns import Resolver
from cleanmails.mail.imap import Endpoint, Timeouts
from cleanmails.mail.imap_check import check
from cleanmails.mail.smtp_check import Step
from cleanmails.records import Security

ANN = "ann@acme.example"
UP_TO = [Step.DNS, Step.TCP, Step.TLS, Step.GREETING, Step.LOGIN, Step.CAPABILITIES]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("certificates"), ["localhost"])


@pytest.fixture
def served(made):
    boxes = Boxes()
    boxes.open(ANN)
    with server.serving(boxes, certificates=made, credentials={ANN: "secret"}) as imap:
        yield imap
    boxes.close()


def look(port, security=Security.TLS, *, made=None, connector=None, timeouts=None, **options):
    values = {"host": "localhost", "port": port, "security": security, "username": ANN, "password": "secret"}
    endpoint = Endpoint(**values | {"ca_file": made and str(made.authority)} | options)
    connect = (connector or Connector(allow_private=True)).connect
    findings, code = check(endpoint, connect=connect, **({"timeouts": timeouts} if timeouts else {}))
    assert all(finding.sentence.strip() for finding in findings)
    assert [finding.ok for finding in findings[:-1]] == [True] * (len(findings) - 1)
    return findings, code


@pytest.mark.parametrize("security", Security)
def test_a_mailbox_that_opens_passes_every_step_in_order(served, made, security):
    port = served.tls_port if security is Security.TLS else served.port
    findings, code = look(port, security, made=made)
    order = {
        Security.TLS: UP_TO,
        Security.STARTTLS: [Step.DNS, Step.TCP, Step.GREETING, Step.TLS, Step.LOGIN, Step.CAPABILITIES],
        Security.PLAIN: [Step.DNS, Step.TCP, Step.GREETING, Step.LOGIN, Step.CAPABILITIES],
    }
    assert ([finding.step for finding in findings], code) == (order[security], "ok")
    assert findings[-1].ok
    assert "sent mail" in findings[-1].sentence


@pytest.mark.parametrize(
    ("options", "step", "code", "words"),
    [
        ({"password": "wrong"}, Step.LOGIN, "imap_login", "IMAP may have to be turned on"),
        ({"ca_file": None}, Step.TLS, "imap_tls", "authority"),
        ({"host": "127.0.0.2"}, Step.TCP, "connection_refused", "993"),
        ({"host": "no.such.invalid"}, Step.DNS, "unknown_host", "spelling"),
    ],
)
def test_what_breaks_is_told_with_what_to_do(served, made, options, step, code, words):
    findings, found = look(served.tls_port, made=made, **options)
    assert (findings[-1].step, findings[-1].ok, found) == (step, False, code)
    assert words in findings[-1].sentence


def test_a_certificate_of_another_name_is_told(served, made):
    findings, _ = look(served.tls_port, made=made, host="localhost.localdomain", connector=Here())
    assert findings[-1].step is Step.TLS
    assert "not for localhost.localdomain" in findings[-1].sentence


class Here:
    """Whatever is named is on this machine."""

    def connect(self, _host, port, seconds):
        return Connector(allow_private=True).connect("127.0.0.1", port, seconds)


def test_plain_text_where_tls_is_awaited_is_told(served, made):
    findings, code = look(served.port, made=made)
    assert (findings[-1].step, code) == (Step.TLS, "imap_tls")
    assert "Choose STARTTLS" in findings[-1].sentence


@pytest.mark.parametrize(("at", "step"), [("GREETING", Step.GREETING), ("LIST", Step.CAPABILITIES)])
@pytest.mark.parametrize(("deed", "code"), [(Deed.DROP, "imap_broken"), (Deed.HANG, "timeout")])
def test_a_server_that_breaks_off_is_told_by_its_step(served, made, at, step, deed, code):
    served.faults.append(Fault(at=at, deed=deed))
    patience = {"login" if at == "GREETING" else "command": 0.3} if deed is Deed.HANG else {}
    findings, found = look(served.tls_port, made=made, timeouts=Timeouts(logout=0.3, **patience))
    assert (findings[-1].step, found) == (step, code)


def test_a_name_server_that_fails_is_no_wrong_name(made):
    zone = Zone()
    zone.fail("localhost", Trouble.SERVFAIL)
    with serving(zone) as port:
        connector = Connector(allow_private=True, resolver=Resolver([("127.0.0.1", port)]))
        findings, code = look(1, made=made, connector=connector)
    assert (findings[-1].step, code) == (Step.DNS, "dns_failed")
    assert "Try again in a minute" in findings[-1].sentence


def test_a_private_address_is_refused_where_it_is_not_allowed(made):
    findings, code = look(1, made=made, connector=Connector(allow_private=False))
    assert (findings[-1].step, code) == (Step.DNS, "address_refused")


def test_what_is_no_imap_server_is_told():
    """A web server, say."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve():
            with listening.accept()[0] as peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        findings, _ = look(listening.getsockname()[1], Security.PLAIN, host="127.0.0.1")
        thread.join(10)
    assert findings[-1].step is Step.GREETING
    assert "choose TLS" in findings[-1].sentence
