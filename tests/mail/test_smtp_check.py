import contextlib
import socket
import ssl
import threading

import pytest

from cleanmails.demo import certificates
from cleanmails.demo.zone import Fault, Zone, serving
from cleanmails.mail.connector import Connector
from cleanmails.mail.dns import Resolver
from cleanmails.mail.smtp import Endpoint, Timeouts
from cleanmails.mail.smtp_check import Step, check
from cleanmails.records import Security


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("certificates"), ["localhost"])


def look(port, security=Security.PLAIN, *, connector=None, timeouts=None, made=None, **options):
    endpoint = Endpoint(
        **{"host": "localhost", "port": port, "security": security, "ca_file": made and str(made.authority), **options}
    )
    connect = (connector or Connector(allow_private=True)).connect
    return check(endpoint, connect=connect, **({"timeouts": timeouts} if timeouts else {}))


def steps(findings):
    return [(finding.step, finding.ok) for finding in findings]


def failed(findings):
    """The one step that failed; those before it passed."""
    assert [finding.ok for finding in findings] == [True] * (len(findings) - 1) + [False]
    assert all(finding.sentence.strip() for finding in findings)
    return findings[-1]


def leave(peer):
    peer.hear("QUIT")
    peer.say("221 bye")


def signs_in(offer, *, reply="235 ok"):
    def part(peer):
        peer.greet(*offer)
        if peer.line().startswith("AUTH"):
            peer.say(reply)
            if reply.startswith("235"):
                leave(peer)

    return part


def test_a_server_that_takes_us_passes_every_step_in_order(play, made):
    def part(peer):
        peer.greet("STARTTLS")
        peer.hear("STARTTLS")
        peer.say("220 go on")
        peer.secure(made.server_context())
        peer.line()
        peer.say("250-mx.example", "250-PIPELINING", "250 AUTH PLAIN")
        peer.line()
        peer.say("235 welcome")
        leave(peer)

    findings = look(play(part), Security.STARTTLS, made=made, username="ann@out.example", password="secret")
    assert steps(findings) == [
        (step, True) for step in (Step.DNS, Step.TCP, Step.GREETING, Step.TLS, Step.LOGIN, Step.CAPABILITIES)
    ]
    assert "PIPELINING" in findings[-1].sentence
    assert "secret" not in str(findings)


def test_a_password_in_the_clear_is_remarked_on(play):
    findings = look(play(signs_in(["AUTH PLAIN"])), username="ann", password="secret")
    assert all(finding.ok for finding in findings)
    assert "unprotected" in findings[3].sentence


def test_the_name_and_the_port_are_told_apart():
    zone = Zone()
    zone.fail("broken.example", Fault.SERVFAIL)
    zone.add("inner.example", "A", "10.0.0.1")
    with serving(zone) as dns:
        resolver = Resolver([("127.0.0.1", dns)])
        outside = Connector(allow_private=False, resolver=resolver)
        for host, word in (("none.example", "spelling"), ("broken.example", "again"), ("inner.example", "private")):
            finding = failed(look(587, connector=outside, host=host))
            assert finding.step is Step.DNS
            assert word in finding.sentence


def test_a_port_where_nobody_listens_names_the_usual_ones():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    finding = failed(look(port, host="127.0.0.1"))
    assert finding.step is Step.TCP
    assert "587" in finding.sentence


def test_a_port_that_never_answers_is_suspected_to_be_blocked():
    def never(address, port, seconds):
        raise TimeoutError("timed out")

    finding = failed(look(25, connector=Connector(allow_private=True, dial=never)))
    assert finding.step is Step.TCP
    assert "block" in finding.sentence


def test_tls_on_a_port_for_starttls_is_recognised(play, made):
    finding = failed(look(play(lambda peer: (peer.say("220 hello"), peer.rest())), Security.TLS, made=made))
    assert finding.step is Step.TLS
    assert "STARTTLS" in finding.sentence


def test_a_server_that_waits_for_tls_is_recognised(play):
    over = threading.Event()
    hasty = Timeouts(greeting=0.05)
    finding = failed(look(play(lambda _: over.wait(10)), Security.STARTTLS, timeouts=hasty))
    over.set()
    assert finding.step is Step.GREETING
    assert "465" in finding.sentence


def test_a_server_without_starttls_is_told(play):
    finding = failed(look(play(lambda peer: peer.greet()), Security.STARTTLS))
    assert finding.step is Step.TLS
    assert "does not offer STARTTLS" in finding.sentence


def shakes_hands(made):
    def part(peer):
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            peer.secure(made.server_context())

    return part


def test_a_certificate_for_another_name_is_told(play, made):
    finding = failed(look(play(shakes_hands(made)), Security.TLS, made=made, host="127.0.0.1"))
    assert finding.step is Step.TLS
    assert "not for 127.0.0.1" in finding.sentence


def test_a_certificate_of_an_unknown_authority_is_told(play, made):
    finding = failed(look(play(shakes_hands(made)), Security.TLS))
    assert "authority that is not known" in finding.sentence


def test_something_else_than_a_mail_server_is_told(play):
    finding = failed(look(play(lambda peer: peer.say("HTTP/1.1 400 Bad Request"))))
    assert finding.step is Step.GREETING
    assert "does not greet" in finding.sentence


def test_a_server_that_does_not_want_us_is_quoted(play):
    finding = failed(look(play(lambda peer: peer.say("554 5.7.1 not from there"))))
    assert "554 5.7.1 not from there" in finding.sentence


@pytest.mark.parametrize(
    ("reply", "word"),
    [("535 5.7.8 no", "whole address"), ("454 4.7.0 later", "Try again later"), ("rubbish", "broke off")],
)
def test_a_refused_sign_in_says_what_to_do(play, reply, word):
    finding = failed(look(play(signs_in(["AUTH PLAIN"], reply=reply)), username="ann", password="secret"))
    assert finding.step is Step.LOGIN
    assert word in finding.sentence


@pytest.mark.parametrize(
    ("host", "word"),
    [
        ("smtp.gmail.com", "app password"),
        ("smtp.office365.com", "authenticated SMTP"),
        ("smtp.mail.yahoo.com", "Yahoo"),
        ("notgmail.com", "whole address"),
    ],
)
def test_large_providers_have_their_own_hint(play, host, word):
    """The name is never looked up: whatever is dialled, this machine answers."""
    port = play(signs_in(["AUTH PLAIN"], reply="535 5.7.8 no"))

    def here(_host, _port, seconds):
        return socket.create_connection(("127.0.0.1", port), timeout=seconds)

    endpoint = Endpoint(host=host, port=587, security=Security.PLAIN, username="ann", password="secret")
    assert word in failed(check(endpoint, connect=here)).sentence


def test_a_server_that_wants_encryption_before_the_sign_in_is_told(play):
    finding = failed(look(play(lambda peer: peer.greet()), username="ann", password="secret"))
    assert finding.step is Step.LOGIN
    assert "STARTTLS or TLS" in finding.sentence
