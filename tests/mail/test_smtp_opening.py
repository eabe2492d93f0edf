import base64
import contextlib
import ssl
import threading

import msgspec
import pytest

from cleanmails.demo import certificates
from cleanmails.demo.zone import Zone, serving
from cleanmails.mail.connector import Connector
from cleanmails.mail.dns import Resolver
from cleanmails.mail.smtp import Endpoint, Session, Timeouts
from cleanmails.records import Security, Stage

PATIENT = Timeouts(connect=10, greeting=10, tls=10, auth=10, envelope=10, data=10, body=10, dot=10, quit=10)
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("certificates"), ["localhost", "127.0.0.1", "smtp.corp.example"])


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("strangers"), ["other.example"])


def session(port, security=Security.PLAIN, *, made=None, connect=None, timeouts=PATIENT, host="127.0.0.1", **options):
    endpoint = Endpoint(
        host=host, port=port, security=security, helo="app.example", ca_file=made and str(made.authority), **options
    )
    return Session(endpoint, connect=connect or Connector(allow_private=True).connect, timeouts=timeouts)


def opened(*args, **options):
    """Opens a session and leaves it; gives the answer."""
    one = session(*args, **options)
    answer = one.open()
    one.close()
    return answer


def leave(peer):
    peer.hear("QUIT")
    peer.say("221 bye")


def test_nobody_listening_is_a_fault_of_connecting(play):
    port = play()
    one = session(port, connect=Connector(allow_private=True, ports=frozenset({1})).connect)
    answer = one.open()
    assert (answer.stage, answer.code) == (Stage.CONNECT, None)
    assert one.cause.code == "port_refused"


def test_whatever_way_of_connecting_may_fail():
    def connect(host, port, seconds):
        raise ConnectionRefusedError(111, "Connection refused")

    one = session(25, connect=connect)
    answer = one.open()
    assert (answer.stage, answer.code) == (Stage.CONNECT, None)
    assert "refused" in answer.text


@pytest.mark.parametrize("line", ["554 5.7.1 no", "421 4.3.2 too busy"])
def test_a_greeting_that_refuses_is_told(play, line):
    answer = opened(play(lambda peer: peer.say(line)))
    assert (answer.stage, answer.code) == (Stage.GREETING, int(line[:3]))


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n", b"220", b"354 go on\r\n"])
def test_a_greeting_that_is_none_is_told(play, said):
    answer = opened(play(lambda peer: peer.raw(said)))
    assert (answer.stage, answer.code) == (Stage.GREETING, None)


def test_a_server_that_never_greets_is_given_up(play):
    over = threading.Event()
    hasty = msgspec.structs.replace(PATIENT, greeting=0.05)
    answer = opened(play(lambda _: over.wait(10)), timeouts=hasty)
    over.set()
    assert (answer.stage, answer.code) == (Stage.GREETING, None)


def test_what_is_offered_is_known_afterwards(play):
    def part(peer):
        peer.greet("SIZE 1000", "auth plain LOGIN", "PIPELINING")
        leave(peer)

    one = session(play(part))
    assert one.open() is None
    assert one.capabilities == {"SIZE": "1000", "AUTH": "PLAIN LOGIN", "PIPELINING": "", "HELP": ""}
    one.close()


def test_starttls_is_verified_and_what_was_offered_before_is_forgotten(play, made):
    def part(peer):
        peer.greet("STARTTLS", "PIPELINING")
        peer.hear("STARTTLS")
        peer.say("220 go on")
        peer.secure(made.server_context())
        peer.hear("EHLO app.example")
        peer.say("250-mx.example", "250 SIZE 1000")
        leave(peer)

    one = session(play(part), Security.STARTTLS, made=made)
    assert one.open() is None
    assert one.capabilities == {"SIZE": "1000"}
    one.close()


def test_without_starttls_nothing_is_said_in_the_clear(play):
    left = []

    def part(peer):
        peer.greet("AUTH PLAIN")
        left.append(peer.rest())

    answer = opened(play(part), Security.STARTTLS, username="ann", password=PASSWORD)
    assert (answer.stage, answer.code) == (Stage.TLS, None)
    assert "STARTTLS" in answer.text
    assert left in ([], [b""])


def test_a_refused_starttls_is_told(play):
    def part(peer):
        peer.greet("STARTTLS")
        peer.hear("STARTTLS")
        peer.say("454 4.7.0 not now")

    answer = opened(play(part), Security.STARTTLS)
    assert (answer.stage, answer.code) == (Stage.TLS, 454)


def test_words_slipped_in_before_tls_end_the_session(play, made):
    def part(peer):
        peer.greet("STARTTLS")
        peer.hear("STARTTLS")
        peer.say("220 go on", "250 AUTH PLAIN")
        peer.rest()

    answer = opened(play(part), Security.STARTTLS, made=made)
    assert (answer.stage, answer.code) == (Stage.TLS, None)
    assert "in between" in answer.text


def greets_in_tls(made):
    def part(peer):
        peer.secure(made.server_context())
        peer.greet("PIPELINING")
        leave(peer)

    return part


def test_tls_from_the_first_byte_is_verified(play, made):
    assert opened(play(greets_in_tls(made)), Security.TLS, made=made) is None


def tries_tls(made):
    def part(peer):
        with contextlib.suppress(ssl.SSLError, ConnectionError, EOFError):
            peer.secure(made.server_context())
            peer.line()
            raise AssertionError("something was said to a server that nobody vouches for")

    return part


def test_a_certificate_of_an_unknown_authority_is_refused(play, made):
    one = session(play(tries_tls(made)), Security.TLS)
    answer = one.open()
    assert (answer.stage, answer.code) == (Stage.TLS, None)
    assert "certificate" in answer.text
    assert isinstance(one.cause, ssl.SSLCertVerificationError)


def test_a_certificate_for_another_name_is_refused(play, strangers):
    answer = opened(play(tries_tls(strangers)), Security.TLS, made=strangers)
    assert (answer.stage, answer.code) == (Stage.TLS, None)
    assert "127.0.0.1" in answer.text


def test_the_name_is_kept_for_tls_though_its_address_is_connected_to(play, made):
    named = []

    def part(peer):
        context = made.server_context()
        context.sni_callback = lambda _socket, name, _context: named.append(name)
        peer.secure(context)
        peer.greet()
        leave(peer)

    zone = Zone()
    zone.add("smtp.corp.example", "A", "127.0.0.1")
    with serving(zone) as dns:
        connect = Connector(allow_private=True, resolver=Resolver([("127.0.0.1", dns)])).connect
        assert opened(play(part), Security.TLS, made=made, host="smtp.corp.example", connect=connect) is None
    assert named == ["smtp.corp.example"]


def test_tls_towards_a_server_that_speaks_plainly_is_told(play, made):
    answer = opened(play(lambda peer: (peer.say("220 hello"), peer.rest())), Security.TLS, made=made)
    assert (answer.stage, answer.code) == (Stage.TLS, None)


def test_a_server_silent_in_the_handshake_is_given_up(play, made):
    over = threading.Event()
    hasty = msgspec.structs.replace(PATIENT, tls=0.05)
    answer = opened(play(lambda _: over.wait(10)), Security.TLS, made=made, timeouts=hasty)
    over.set()
    assert (answer.stage, answer.code) == (Stage.TLS, None)


def test_a_missing_file_of_authorities_is_told(play, tmp_path):
    one = Session(
        Endpoint(
            host="127.0.0.1", port=play(lambda peer: peer.rest()), security=Security.TLS, ca_file=str(tmp_path / "none")
        ),
        connect=Connector(allow_private=True).connect,
    )
    answer = one.open()
    assert (answer.stage, answer.code) == (Stage.TLS, None)
    assert "authorities" in answer.text


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def signs_in(offer, *dialogue):
    """A server that offers `AUTH offer`; then, in turn, hears a line and says one."""

    def part(peer):
        peer.greet(*([offer] if offer else []))
        for heard, said in zip(dialogue[::2], dialogue[1::2], strict=True):
            peer.hear(heard)
            peer.say(said)

    return part


PLAIN = "AUTH PLAIN " + encoded("\0ann\0correct horse")
BEARER = "AUTH XOAUTH2 " + encoded("user=ann\1auth=Bearer t0ken\1\1")
BYE = ("QUIT", "221 bye")


@pytest.mark.parametrize("offer", ["AUTH PLAIN LOGIN", "AUTH LOGIN PLAIN CRAM-MD5", "AUTH=PLAIN", "auth plain"])
def test_plain_is_used_where_it_is_offered(play, offer):
    port = play(signs_in(offer, PLAIN, "235 2.7.0 welcome", *BYE))
    assert opened(port, username="ann", password=PASSWORD) is None


def test_login_is_used_where_plain_is_not_offered(play):
    port = play(
        signs_in(
            "AUTH LOGIN",
            "AUTH LOGIN",
            "334 VXNlcm5hbWU6",
            encoded("ann"),
            "334 UGFzc3dvcmQ6",
            encoded(PASSWORD),
            "235 ok",
            *BYE,
        )
    )
    assert opened(port, username="ann", password=PASSWORD) is None


def test_a_token_goes_before_the_password(play):
    port = play(signs_in("AUTH PLAIN XOAUTH2", BEARER, "235 ok", *BYE))
    assert opened(port, username="ann", password=PASSWORD, oauth_token="t0ken") is None


def test_a_refused_token_is_explained_and_then_refused(play):
    port = play(signs_in("AUTH XOAUTH2", BEARER, "334 eyJzdGF0dXMiOiI0MDEifQ==", "", "535 5.7.8 token expired"))
    answer = opened(port, username="ann", oauth_token="t0ken")
    assert (answer.stage, answer.code, answer.enhanced, answer.text) == (Stage.AUTH, 535, "5.7.8", "token expired")


def test_a_server_that_never_stops_asking_is_a_break(play):
    port = play(signs_in("AUTH PLAIN", PLAIN, "334 more"))
    answer = opened(port, username="ann", password=PASSWORD)
    assert (answer.stage, answer.code) == (Stage.AUTH, None)


def test_a_refused_password_is_told_and_never_repeated(play):
    echo = f"535 5.7.8 {PLAIN} means ann with {PASSWORD} is unknown"
    answer = opened(play(signs_in("AUTH PLAIN", PLAIN, echo)), username="ann", password=PASSWORD)
    assert (answer.stage, answer.code, answer.enhanced) == (Stage.AUTH, 535, "5.7.8")
    assert answer.text == "AUTH PLAIN *** means ann with *** is unknown"


def test_no_way_to_sign_in_is_a_refusal_of_the_sender_and_not_of_the_mail(play):
    for offer in (None, "AUTH CRAM-MD5"):
        answer = opened(play(signs_in(offer)), username="ann", password=PASSWORD)
        assert (answer.stage, answer.code, answer.enhanced) == (Stage.AUTH, 504, "5.5.4")


def test_without_a_user_nobody_signs_in(play):
    assert opened(play(signs_in("AUTH PLAIN", *BYE))) is None


def test_an_endpoint_never_shows_its_secrets():
    endpoint = Endpoint(
        host="smtp.example", port=587, security=Security.TLS, username="ann", password=PASSWORD, oauth_token="t0ken"
    )
    assert repr(endpoint) == "Endpoint(ann at smtp.example:587, tls)"
    assert PASSWORD not in f"{endpoint} {[endpoint]}"


def test_a_session_can_be_opened_again(play):
    port = play(lambda peer: peer.greet(), lambda peer: (peer.greet("PIPELINING"), leave(peer)))
    one = session(port)
    assert one.open() is None
    assert one.open() is None
    assert "PIPELINING" in one.capabilities
    one.close()
