"""Once with a server that we did not write: dovecot, if it is on this machine. What our own server cannot show is whether we read IMAP as others speak it."""

import imaplib
import ssl
import time

import pytest

from cleanmails.actors.watch import Watch
from cleanmails.demo import certificates
from cleanmails.mail.connector import Connector
from cleanmails.mail.folders import Role
from cleanmails.mail.imap import Endpoint, Session
from cleanmails.records import Security
from cleanmails.settings import load
from tests import dovecot

ANN = "ann@acme.example"
PASSWORD = dovecot.PASSWORD.replace(" ", "_")


def letter(number):
    return f"From: bob{number}@corp.example\r\nMessage-ID: <{number}@corp.example>\r\nSubject: Re: Grüße\r\n\r\nJa.\r\n".encode()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def ports(made):
    if dovecot.program() is None:
        pytest.skip(
            "DOVECOT IS NOT ON THIS MACHINE, SO NOTHING WAS TRIED AGAINST IT (Debian: apt-get install dovecot-imapd)"
        )
    with dovecot.running(made) as ports:
        yield ports


@pytest.fixture
def person(ports, made):
    """Ann at her mail program, which puts messages into her folders."""
    context = ssl.create_default_context(cafile=str(made.authority))
    with imaplib.IMAP4_SSL("127.0.0.1", ports[1], ssl_context=context, timeout=20) as client:
        client.login(ANN, PASSWORD)
        yield client


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_dovecot_is_read_as_our_own_server_is(ports, made, person, security):
    end = Endpoint(
        host="127.0.0.1", port=ports[security is Security.TLS], security=security, username=ANN, password=PASSWORD, ca_file=str(made.authority)
    )  # fmt: skip
    one = Session(end, connect=Connector(allow_private=True).connect)
    one.open()
    try:
        assert one.folders == {Role.INBOX: "INBOX", Role.SPAM: "Junk", Role.SENT: "Sent Messages"}
        before = one.look("INBOX")
        assert person.append("INBOX", "", None, letter(security))[0] == "OK"
        standing = one.examine("INBOX")
        assert standing.validity == before.validity
        [uid] = one.after(before.next - 1)
        assert standing.next == uid + 1
        assert one.fetch([uid]) == {uid: letter(security)}
        assert one.fetch([uid], most=20) == {uid: letter(security)[:20]}
        assert one.sizes([uid]) == {uid: len(letter(security))}
        assert one.holds(f"<{security}@corp.example>")
        assert not one.holds("<nobody@corp.example>")
        assert one.idle()
        person.append("INBOX", "", None, letter("news"))
        ends = time.monotonic() + 20
        while not one.heard():
            assert time.monotonic() < ends
        one.done()
        assert len(one.after(uid)) == 1
        assert b"UNSEEN 0" not in person.status("INBOX", "(UNSEEN)")[1][0]
        assert person.select("INBOX", readonly=True)[0] == "OK"
        assert person.search(None, "SEEN")[1] == [b""]
    finally:
        one.close()


def test_a_mailbox_at_dovecot_is_watched(house, new_work, made, ports, person, database_url, redis_url):
    environ = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "CLEANMAILS_CA_FILE": str(made.authority)}
    work = new_work(settings=load(environ))
    sender = house.sender(ANN)
    sealed = work.vault.seal(PASSWORD.encode(), f"sender:{sender}:imap_password")
    house.run(
        "UPDATE senders SET imap_host = '127.0.0.1', imap_port = %s, imap_security = 'starttls', imap_sealed = %s WHERE id = %s", ports[0], sealed, sender
    )  # fmt: skip
    person.append("Junk", "", None, letter("spam"))
    came = []
    watch = Watch(work, lambda _work, _sender, folder, uid, raw, _now: came.append((str(folder), uid, raw)))

    def read():
        return [(folder, raw) for folder, _, raw in came]

    def until(come_true):
        ends = time.monotonic() + 60
        while not come_true():
            assert time.monotonic() < ends, came
            watch.turn(longest=0.2)

    try:
        until(lambda: watch.idling == 1)
        person.append("INBOX", "", None, letter("late"))
        until(lambda: ("inbox", letter("late")) in read())
    finally:
        watch.close()
    assert ("spam", letter("spam")) in read()
    assert len(came) == len(set(came)), "no message twice"
