import imaplib
import select
import socket
import threading
from datetime import date

import pytest

from cleanmails.demo import certificates
from cleanmails.demo.catcher import imap as server
from cleanmails.demo.catcher.boxes import Boxes
from cleanmails.demo.catcher.imap import Deed, Fault
from cleanmails.errors import UnreachableError
from cleanmails.mail.connector import Connector
from cleanmails.mail.folders import Role, roles
from cleanmails.mail.imap import ANSWER_MOST, UNASKED_MOST, Endpoint, ImapError, Session, Timeouts
from cleanmails.records import Security

ANN = "ann@acme.example"
CREDENTIALS = {ANN: 'pass word \\ "ü'}
MAIL = b"From: bob@corp.example\r\nMessage-ID: <1@corp.example>\r\nSubject: Re: Hello\r\n\r\nYes, please.\r\n"
HASTY = Timeouts(login=0.3, command=0.3, fetch=0.3, logout=0.3)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def boxes():
    boxes = Boxes()
    boxes.open(ANN)
    yield boxes
    boxes.close()


@pytest.fixture
def served(boxes):
    with server.serving(boxes) as imap:
        yield imap


@pytest.fixture
def opened(served):
    one = session(served)
    one.open()
    yield one
    one.drop()


@pytest.fixture(autouse=True)
def _dropped():
    yield
    while made_here:
        made_here.pop().drop()


made_here = []


def session(served, *, timeouts=None, port=None, **options):
    values = {
        "host": "127.0.0.1",
        "port": port or served.port,
        "security": Security.PLAIN,
        "username": ANN,
        "password": "any",
    }
    made_here.append(
        Session(Endpoint(**values | options), connect=Connector(allow_private=True).connect, timeouts=timeouts)
    )
    return made_here[-1]


def examined(one):
    one.open()
    one.examine("INBOX")
    return one


def awaited(one, seconds=30):
    """Whether the server says something while it is idle."""
    return bool(select.select([one], [], [], seconds)[0])


# Signing in.


@pytest.mark.parametrize("security", Security)
def test_a_mailbox_opens_with_every_kind_of_security(boxes, made, security):
    with server.serving(boxes, certificates=made, credentials=CREDENTIALS) as served:
        port = served.tls_port if security is Security.TLS else served.port
        one = session(served, port=port, security=security, password=CREDENTIALS[ANN], ca_file=str(made.authority))
        one.open()
        assert one.folders == {Role.INBOX: "INBOX", Role.SPAM: "Spam", Role.SENT: "Sent"}
        one.close()
        assert not one.is_open


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
def test_a_certificate_that_nobody_vouches_for_is_refused(boxes, made, security):
    with server.serving(boxes, certificates=made) as served:
        one = session(served, port=served.tls_port if security is Security.TLS else served.port, security=security)
        with pytest.raises(ImapError, match="certificate") as refused:
            one.open()
        assert refused.value.code == "imap_tls"
        assert not served.heard["LOGIN"] + served.heard["AUTHENTICATE"]


def test_without_starttls_no_password_is_sent(served):
    with pytest.raises(ImapError, match="does not offer STARTTLS"):
        session(served, security=Security.STARTTLS).open()
    assert not served.heard["LOGIN"] + served.heard["AUTHENTICATE"]


def test_plain_text_behind_starttls_ends_the_conversation(made):
    """What is put in before TLS begins would be read as if it had come under it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def play():
            peer, _ = listener.accept()
            with peer, peer.makefile("rb") as lines:
                peer.sendall(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n")
                tag = lines.readline().split()[0]
                peer.sendall(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n" + tag + b" OK done\r\n")
                tag = lines.readline().split()[0]
                peer.sendall(tag + b" OK go on\r\n* OK [ALERT] injected\r\n")
                lines.read()

        thread = threading.Thread(target=play)
        thread.start()
        one = session(None, port=listener.getsockname()[1], security=Security.STARTTLS)
        with pytest.raises(ImapError, match="plain text"):
            one.open()
        thread.join()


def test_a_wrong_password_is_told_apart_from_a_server_that_is_busy(boxes):
    with server.serving(boxes, credentials=CREDENTIALS) as served:
        with pytest.raises(ImapError, match="wrong name or password") as refused:
            session(served, password="secret-word").open()
        assert refused.value.code == "imap_login"
        assert "secret-word" not in str(refused.value)
        served.faults = [Fault(at="AUTHENTICATE", deed=Deed.REFUSE)]
        with pytest.raises(ImapError, match="now") as refused:
            session(served, password=CREDENTIALS[ANN]).open()
        assert refused.value.code == "imap_refused"


def test_an_access_token_goes_before_a_password(boxes):
    with server.serving(boxes, credentials={}, tokens=lambda user, token: (user, token) == (ANN, "good")) as served:
        one = session(served, oauth_token="good")
        one.open()
        one.close()
        with pytest.raises(ImapError) as refused:
            session(served, oauth_token="stale").open()
        assert refused.value.code == "imap_login"
        assert "stale" not in str(refused.value)


def test_an_endpoint_shows_no_secret():
    shown = repr(
        Endpoint(host="h", port=1, security=Security.TLS, username=ANN, password="hidden", oauth_token="veiled")
    )
    assert "hidden" not in shown
    assert "veiled" not in shown


def test_a_private_address_is_refused_where_the_settings_say_so(served):
    values = {"host": "127.0.0.1", "port": served.port, "security": Security.PLAIN, "username": ANN}
    one = Session(Endpoint(**values), connect=Connector(allow_private=False).connect)
    with pytest.raises(UnreachableError) as refused:
        one.open()
    assert refused.value.code == "address_refused"


# Reading.


def test_reading_leaves_no_trace(boxes, served, opened):
    uid = boxes.append(ANN, "INBOX", MAIL)
    opened.examine("INBOX")
    assert opened.fetch(opened.after(0)) == {uid: MAIL}
    assert opened.fetch([uid], most=10) == {uid: MAIL[:10]}
    assert opened.sizes([uid]) == {uid: len(MAIL)}
    assert boxes.standing(ANN, "INBOX").unseen == 1
    assert not served.heard.keys() & {"SELECT", "STORE", "MOVE", "COPY", "EXPUNGE", "APPEND"}


def test_what_came_after_a_uid_is_found(boxes, opened):
    uids = [boxes.append(ANN, "INBOX", MAIL) for _ in range(3)]
    opened.examine("INBOX")
    assert opened.after(uids[0]) == uids[1:]
    assert opened.after(uids[2]) == []


def test_what_came_since_a_day_is_found(boxes, opened):
    boxes.append(ANN, "INBOX", MAIL, at=1_790_000_000.0)  # 2026-09-21
    recent = boxes.append(ANN, "INBOX", MAIL, at=1_790_100_000.0)  # 2026-09-22
    opened.examine("INBOX")
    assert opened.since(date(2026, 9, 22)) == [recent]
    assert opened.since(date(2026, 9, 23)) == []


def test_a_folder_tells_how_it_stands(boxes, opened):
    boxes.append(ANN, "Sent", MAIL)
    looked, opened_up = opened.look("Sent"), opened.examine("Sent")
    assert looked == opened_up
    assert (looked.next, looked.messages) == (2, 1)
    boxes.renumber(ANN, "Sent")
    assert opened.look("Sent").validity == looked.validity + 1


def test_a_message_is_found_by_its_id(boxes, opened):
    boxes.append(ANN, "Sent", MAIL)
    opened.examine("Sent")
    assert opened.holds("<1@corp.example>")
    assert not opened.holds("<2@corp.example>")


def test_a_folder_that_is_not_there_is_no_end(opened):
    with pytest.raises(ImapError) as refused:
        opened.examine("Archive")
    assert refused.value.code == "imap_refused"


# Waiting.


def test_mail_is_heard_of_while_waiting(boxes, opened):
    opened.examine("INBOX")
    opened.after(0)
    assert opened.idle()
    assert not opened.heard()
    uid = boxes.append(ANN, "INBOX", MAIL)
    assert awaited(opened)
    assert opened.heard()
    opened.done()
    assert opened.after(0) == [uid]


def test_mail_that_came_between_search_and_waiting_is_not_slept_over(boxes, opened):
    opened.examine("INBOX")
    assert opened.after(0) == []
    boxes.append(ANN, "INBOX", MAIL)
    assert not opened.idle() or (awaited(opened) and opened.heard())


def test_a_message_that_goes_away_while_waiting_is_no_news(boxes, opened):
    uid = boxes.append(ANN, "INBOX", MAIL)
    opened.examine("INBOX")
    assert opened.after(0) == [uid]
    assert opened.idle()
    boxes.remove(ANN, "INBOX", uid)
    assert awaited(opened)
    assert not opened.heard()


def test_a_server_that_does_not_stop_talking_while_we_wait_is_left(boxes, served, opened):
    """One thread listens to a thousand servers: it must not be held by one."""
    opened.examine("INBOX")
    assert opened.after(0) == []
    assert opened.idle()
    session = next(iter(served.sessions))
    chatter = b"* OK still here\r\n" * (UNASKED_MOST // 10)
    served.loop.call_soon_threadsafe(session._writer.write, chatter)
    assert awaited(opened)

    def listen():
        while awaited(opened):
            opened.heard()

    with pytest.raises(ImapError, match="more than was asked for"):
        listen()


def test_a_server_that_leaves_while_we_wait_is_noticed(boxes):
    with server.serving(boxes) as served:
        one = examined(session(served))
        assert one.after(0) == []
        assert one.idle()
    assert awaited(one)
    with pytest.raises(ImapError):
        one.heard()
    assert not one.is_open


# Servers that do wrong.


@pytest.mark.parametrize("at", ["GREETING", "AUTHENTICATE", "LIST", "EXAMINE", "SEARCH", "FETCH"])
@pytest.mark.parametrize("deed", [Deed.HANG, Deed.DROP, Deed.BYE, Deed.GARBAGE])
def test_a_broken_conversation_is_an_error_with_a_sentence(boxes, served, at, deed):
    uid = boxes.append(ANN, "INBOX", MAIL)
    served.faults = [Fault(at=at, deed=deed)]
    one = session(served, timeouts=HASTY if deed is Deed.HANG else None)

    def read():
        one.open()
        one.examine("INBOX")
        one.after(0)
        one.fetch([uid])

    with pytest.raises(ImapError) as broken:
        read()
    refused = deed is Deed.BYE and at == "GREETING"
    assert broken.value.code == ("timeout" if deed is Deed.HANG else "imap_refused" if refused else "imap_broken")
    assert broken.value.message.endswith(".")
    assert "b'" not in broken.value.message
    assert not one.is_open


def test_a_message_cut_in_the_middle_is_no_message(boxes, served):
    uid = boxes.append(ANN, "INBOX", MAIL * 5)
    served.faults = [Fault(at="FETCH", deed=Deed.MIDWAY)]
    with pytest.raises(ImapError):
        examined(session(served)).fetch([uid])


def test_a_message_of_four_gigabytes_is_not_waited_for(boxes, served):
    uid = boxes.append(ANN, "INBOX", MAIL)
    served.faults = [Fault(at="FETCH", deed=Deed.FLOOD)]
    with pytest.raises(ImapError, match="not asked for"):
        examined(session(served)).fetch([uid])


def test_uids_that_were_not_asked_for_are_not_believed(boxes, served):
    first, second = (boxes.append(ANN, "INBOX", MAIL) for _ in range(2))
    served.faults = [Fault(at="FETCH", deed=Deed.STRAY), Fault(at="SEARCH", deed=Deed.TWICE)]
    one = examined(session(served))
    assert one.fetch([second]).keys() == {second}
    assert one.after(0) == [first, second]


def test_a_message_that_is_not_handed_out_is_left_out(boxes, served):
    uid = boxes.append(ANN, "INBOX", MAIL)
    served.faults = [Fault(at="FETCH", deed=Deed.SWALLOW)]
    one = examined(session(served))
    assert one.fetch([uid]) == {}
    assert one.listed(uid)


@pytest.mark.parametrize(
    "said",
    [
        b"* OK hi\r\n" + b"x" * 2_000_000,
        b"* OK hi\r\n* CAPABILITY IMAP4rev1\r\n",
        b"* PREAUTH who are you\r\n",
        b"* BYE no\r\n",
        b"\xff\xfe\x00\r\n",
        b"* OK {99999999999}\r\n",
        b"",
    ],
    ids=["endless line", "no answer", "signed in already", "bye", "no text", "huge literal", "nothing"],
)
def test_a_stranger_on_the_port_is_an_error(said):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def play():
            peer, _ = listener.accept()
            with peer:
                try:
                    peer.sendall(said)
                    while peer.recv(65_536):
                        pass
                except OSError:
                    pass

        thread = threading.Thread(target=play)
        thread.start()
        one = session(None, port=listener.getsockname()[1], timeouts=HASTY, security=Security.STARTTLS)
        with pytest.raises(ImapError):
            one.open()
        thread.join()


def test_more_than_was_asked_for_is_not_held(served):
    one = session(served)
    one.open()
    one._client.wire._left = 10
    with pytest.raises(imaplib.IMAP4.abort, match="more than was asked for"):
        one._client.noop()
    one.drop()
    assert ANSWER_MOST > 25_000_000


# Folders.


@pytest.mark.parametrize(
    ("listing", "found"),
    [
        ([], {Role.INBOX: "INBOX"}),
        ([((), "/", "INBOX/Junk"), ((), "/", "Junk")], {Role.SPAM: "Junk"}),
        ([(("\\Junk",), "/", "Müll"), ((), "/", "Spam")], {Role.SPAM: "Müll"}),
        ([(("\\HasNoChildren", "\\Sent"), "/", "[Gmail]/Sent Mail")], {Role.SENT: "[Gmail]/Sent Mail"}),
        (
            [((), ".", "INBOX.Gesendete Elemente"), ((), ".", "INBOX.Spam")],
            {Role.SENT: "INBOX.Gesendete Elemente", Role.SPAM: "INBOX.Spam"},
        ),
        ([(("\\Noselect",), "/", "Sent"), ((), None, "Отправленные")], {Role.SENT: "Отправленные"}),
        ([((), "/", "Sent to the moon")], {}),
    ],
)
def test_folders_are_known_by_use_and_else_by_name(listing, found):
    assert roles(listing) == {Role.INBOX: "INBOX"} | found
