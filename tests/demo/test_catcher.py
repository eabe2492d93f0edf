import smtplib
import socket
import ssl
from datetime import UTC, datetime

import pytest

from cleanmails.demo import catcher, certificates
from cleanmails.mail.connector import Connector
from cleanmails.mail.smtp import Endpoint, Session, Timeouts
from cleanmails.records import Security, Stage

MAIL = b"Message-ID: <1@out.example>\r\nSubject: Hello\r\n there\r\nMessage-ID: <2@out.example>\r\n\r\nFirst.\r\n.second\r\n"
LARGE = b"x" * 20_000_000 + b"\r\n"
HASTY = {
    "rcpt": Timeouts(envelope=0.5),
    "data": Timeouts(data=0.1),
    "dot": Timeouts(dot=0.1),
    "stored": Timeouts(dot=0.1),
}


@pytest.fixture(params=[True, False], ids=["pipelined", "one by one"])
def caught(request):
    with catcher.running(pipelining=request.param) as running:
        yield running


def session(running, timeouts=None, **options):
    endpoint = Endpoint(
        **{"host": "127.0.0.1", "port": running.port, "security": Security.PLAIN, "helo": "app.example", **options}
    )
    return Session(endpoint, connect=Connector(allow_private=True).connect, timeouts=timeouts)


def send(running, recipient="bob@corp.example", *, mail_from="ann@out.example", raw=MAIL, timeouts=None):
    one = session(running, timeouts)
    assert one.open() is None
    answer = one.send(mail_from, recipient, raw, mark=lambda: True)
    one.close()
    return answer


def haste(asked):
    """Little patience where silence is asked for; at RCPT enough for the answer to MAIL."""
    act, point = asked.split("-")[:2]
    return HASTY[point] if act == "silence" else None


def test_a_mail_is_kept_as_it_was_sent(caught):
    begun = datetime.now(UTC)
    assert send(caught).accepted
    (mail,) = caught.mails()
    assert (mail.mail_from, mail.recipient) == ("ann@out.example", "bob@corp.example")
    assert (mail.message_id, mail.subject, mail.told) == ("<1@out.example>", "Hello there", "250 2.0.0 caught")
    assert begun <= mail.received_at <= datetime.now(UTC)
    assert caught.raw(mail.id) == MAIL
    assert mail.size == len(MAIL)


def test_the_pipeline_is_offered_only_where_it_is_wanted():
    for wanted in (True, False):
        with catcher.running(pipelining=wanted) as running:
            one = session(running)
            assert one.open() is None
            assert ("PIPELINING" in one.capabilities) is wanted
            one.close()


@pytest.mark.parametrize(
    "raw", [b"", b".\r\n", b"x\r\n.\r\n..\r\n", b"a\r\n" * 50_000, "Subject: ü\r\n\r\nö\r\n".encode()]
)
def test_any_body_comes_through(caught, raw):
    assert send(caught, raw=raw).accepted
    assert caught.raw(1) == raw or raw == b""


def test_other_clients_are_served_and_a_mail_to_two_is_kept_twice(caught):
    with smtplib.SMTP("127.0.0.1", caught.port) as client:
        client.sendmail("ann@out.example", ["bob@corp.example", "eve@corp.example"], MAIL)
        client.sendmail("ann@out.example", ["bob@corp.example"], MAIL)
    assert [mail.recipient for mail in caught.mails()] == ["bob@corp.example", "eve@corp.example", "bob@corp.example"]
    assert caught.counts() == {("<1@out.example>", "bob@corp.example"): 2, ("<1@out.example>", "eve@corp.example"): 1}


def test_commands_and_mails_in_one_write_are_answered_in_turn():
    envelope = "MAIL FROM:<a@out.example>\r\nRCPT TO:<b@corp.example>\r\nDATA\r\n"
    with catcher.running() as running, socket.create_connection(("127.0.0.1", running.port), timeout=10) as sock:
        reader = sock.makefile("rb")
        sock.sendall(f"EHLO x\r\n{envelope}".encode())
        while not reader.readline().startswith(b"354"):
            pass
        sock.sendall(f"first\r\n.\r\n{envelope}".encode())
        assert [reader.readline()[:3] for _ in range(4)] == [b"250", b"250", b"250", b"354"]
        sock.sendall(b"second\r\n.\r\nQUIT\r\n")
        assert [reader.readline()[:3] for _ in range(2)] == [b"250", b"221"]
        assert [running.raw(mail.id) for mail in running.mails()] == [b"first\r\n", b"second\r\n"]


def test_an_envelope_without_a_recipient_gets_no_body(caught):
    with smtplib.SMTP("127.0.0.1", caught.port) as client:
        client.ehlo()
        assert client.mail("ann@out.example")[0] == 250
        assert client.docmd("DATA")[0] == 503
        assert client.docmd("RCPT", "TO:<no address at all>")[0] == 553
        assert client.rset()[0] == 250


def test_signing_in_is_under_tls_and_by_the_right_password(tmp_path):
    made = certificates.make(tmp_path)
    options = {"security": Security.STARTTLS, "ca_file": str(made.authority), "username": "ann"}
    with catcher.running(certificates=made, credentials={"ann": "right"}) as running:
        one = session(running, **options, password="right")
        assert one.open() is None
        one.close()
        assert session(running, **options, password="wrong").open().code == 535
        assert session(running, username="ann", password="right").open().code == 504
        with smtplib.SMTP("127.0.0.1", running.port) as client:
            client.ehlo()
            assert client.mail("ann@out.example")[0] == 530
        assert running.mails() == []


def test_many_mails_go_over_one_secured_connection(tmp_path):
    made = certificates.make(tmp_path)
    with catcher.running(certificates=made) as running:
        one = session(
            running,
            host="localhost",
            security=Security.STARTTLS,
            ca_file=str(made.authority),
            username="a",
            password="b",
        )
        assert one.open() is None
        for number in range(30):
            assert one.usable
            assert one.send("ann@out.example", f"lead{number}@corp.example", MAIL * 100, mark=lambda: True).accepted
        one.close()
        assert len(running.mails()) == 30


@pytest.mark.parametrize(
    ("asked", "stage", "code"),
    [
        ("refuse-rcpt-550", Stage.RCPT, 550),
        ("refuse-rcpt-421", Stage.RCPT, 421),
        ("refuse-data-451", Stage.DATA, 451),
        ("refuse-body-552", Stage.BODY, 552),
        ("refuse-dot-421", Stage.DOT, 421),
        ("refuse-dot-451", Stage.DOT, 451),
        ("drop-rcpt", Stage.RCPT, None),
        ("drop-data", Stage.DATA, None),
        ("drop-body", Stage.BODY, None),
        ("drop-dot", Stage.DOT, None),
        ("silence-rcpt", Stage.RCPT, None),
        ("silence-data", Stage.DATA, None),
        ("silence-dot", Stage.DOT, None),
    ],
)
def test_an_address_can_ask_for_trouble_and_nothing_is_kept(caught, asked, stage, code):
    raw = LARGE if "body" in asked else MAIL  # so large that the server speaks before all is written
    answer = send(caught, f"bob+{asked}@corp.example", raw=raw, timeouts=haste(asked))
    assert (answer.stage, answer.code) == (stage, code)
    assert caught.mails() == []
    assert send(caught).accepted


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [("drop-stored", None, ""), ("silence-stored", None, ""), ("refuse-stored-451", 451, "451")],
)
def test_a_mail_can_be_kept_and_its_sender_left_in_doubt(caught, asked, code, told):
    answer = send(caught, f"bob+{asked}@corp.example", timeouts=haste(asked))
    assert (answer.stage, answer.code) == (Stage.DOT, code)
    (mail,) = caught.mails()
    assert mail.told[:3] == told


def test_a_sender_can_ask_for_trouble_too(caught):
    assert send(caught, mail_from="ann+refuse-mail-550@out.example").stage is Stage.MAIL
    assert send(caught, mail_from="ann+drop-mail@out.example").stage is Stage.MAIL
    assert send(caught, mail_from="ann+refuse-rcpt-550@out.example").accepted


def test_a_tarpit_answers_late_and_takes_the_mail(caught):
    assert send(caught, "bob+tarpit-dot-0@corp.example").accepted
    assert send(caught, "bob+tarpit-rcpt-3600@corp.example", timeouts=HASTY["rcpt"]).stage is Stage.RCPT


def test_greylisting_ends_with_the_second_try(caught):
    assert send(caught, "bob+greylist@corp.example").code == 451
    assert send(caught, "bob+greylist@corp.example").accepted


def test_rules_go_before_addresses_and_can_be_changed(caught):
    caught.script = catcher.by_rules([catcher.Rule(match="*@Slow.example", do="refuse-rcpt-450", times=2)])
    assert [send(caught, "bob@slow.example").code for _ in range(3)] == [450, 450, 250]
    assert send(caught, "bob@corp.example").accepted
    caught.script = catcher.by_address
    assert send(caught, "eve@slow.example").accepted


def test_whom_it_let_wait_it_knows_after_a_restart(tmp_path):
    codes = []
    for _ in range(2):
        with catcher.running(tmp_path) as running:
            running.script = catcher.by_rules([catcher.Rule(match="*", do="refuse-rcpt-450", times=3)])
            codes += [send(running, "bob@slow.example").code for _ in range(2)]
    assert codes == [450, 450, 450, 250]


def test_only_the_newest_are_kept_and_they_outlive_the_catcher(tmp_path):
    with catcher.running(tmp_path, kept=50) as running:
        one = session(running)
        assert one.open() is None
        for number in range(200):
            assert one.send("ann@out.example", f"lead{number}@corp.example", MAIL, mark=lambda: True).accepted
        one.close()
    with catcher.running(tmp_path, kept=50) as running:
        assert [mail.recipient for mail in running.mails()] == [
            f"lead{number}@corp.example" for number in range(150, 200)
        ]
        assert send(running).accepted
        assert running.mails(after=200)[0].id == 201


def test_a_catcher_that_ends_lets_nobody_hang():
    with catcher.running() as running:
        sock = socket.create_connection(("127.0.0.1", running.port), timeout=10)
        assert sock.recv(100).startswith(b"220")
    assert sock.recv(100) == b""
    sock.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", running.port), timeout=1)


def test_a_context_without_trust_is_refused(tmp_path):
    with catcher.running(certificates=certificates.make(tmp_path)) as running:
        with smtplib.SMTP("127.0.0.1", running.port) as client, pytest.raises(ssl.SSLCertVerificationError):
            client.starttls(context=ssl.create_default_context())
        assert send(running).accepted
