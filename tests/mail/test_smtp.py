import contextlib
import threading

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.mail import smtp
from cleanmails.mail.connector import Connector
from cleanmails.mail.smtp import Endpoint, Session, Timeouts
from cleanmails.records import Security, Stage

MESSAGE = b"Subject: hello\r\n\r\nFirst line.\r\n.dots\r\n..and more\r\nLast line.\r\n"
ON_WIRE = b"Subject: hello\r\n\r\nFirst line.\r\n..dots\r\n...and more\r\nLast line.\r\n"
ENVELOPE = ("MAIL FROM:<ann@out.example>", "RCPT TO:<bob@corp.example>", "DATA")
PATIENT = Timeouts(
    connect=10, greeting=10, tls=10, auth=10, envelope=10, data=10, body=10, dot=10, quit=10
)  # never reached on loopback


@pytest.fixture(params=["pipelined", "one by one"])
def offers(request):
    return ("PIPELINING",) if request.param == "pipelined" else ()


@contextlib.contextmanager
def connected(port, **timeouts):
    endpoint = Endpoint(host="127.0.0.1", port=port, security=Security.PLAIN, helo="app.example")
    patience = msgspec.structs.replace(PATIENT, **timeouts)
    session = Session(endpoint, connect=Connector(allow_private=True).connect, timeouts=patience)
    assert session.open() is None
    try:
        yield session
    finally:
        session.close()


def send(session, message=MESSAGE, mark=lambda: True, **options):
    return session.send("ann@out.example", "bob@corp.example", message, mark=mark, **options)


def take_envelope(peer):
    for command, reply in zip(ENVELOPE, ("250 2.1.0 ok", "250 2.1.5 ok", "354 go on"), strict=True):
        peer.hear(command)
        peer.say(reply)


def take(peer, reply="250 2.0.0 taken"):
    take_envelope(peer)
    assert peer.exactly(len(ON_WIRE) + 3) == ON_WIRE + b".\r\n"
    peer.say(reply)


def test_a_mail_that_is_taken_is_told_with_the_servers_words(play, offers):
    def part(peer):
        peer.greet(*offers)
        take(peer, "250 2.0.0 queued as 42")

    with connected(play(part)) as session:
        answer = send(session)
    assert answer.accepted
    assert (answer.stage, answer.code, answer.enhanced, answer.text) == (Stage.DOT, 250, "2.0.0", "queued as 42")


def test_the_mark_is_made_when_the_body_is_out_and_the_dot_is_not(play, offers):
    body_arrived, at_server = threading.Event(), []

    def part(peer):
        peer.greet(*offers)
        take_envelope(peer)
        assert peer.exactly(len(ON_WIRE)) == ON_WIRE
        at_server.append(peer.quiet())
        body_arrived.set()
        assert peer.exactly(3) == b".\r\n"
        peer.say("250 ok")

    def mark():
        assert body_arrived.wait(10)
        return True

    with connected(play(part)) as session:
        assert send(session, mark=mark).accepted
    assert at_server == [True]


def test_a_mail_that_may_not_be_marked_never_gets_its_dot(play, offers):
    left = []

    def part(peer):
        peer.greet(*offers)
        take_envelope(peer)
        left.append(peer.rest())

    with connected(play(part)) as session:
        answer = send(session, mark=lambda: False)
        assert not session.usable
    assert (answer.stage, answer.code, answer.text) == (Stage.BODY, None, "stopped")
    assert not left or ON_WIRE.startswith(left[0])


def test_a_mark_that_fails_cuts_the_connection_and_is_heard_of(play, offers):
    left = []

    def part(peer):
        peer.greet(*offers)
        take_envelope(peer)
        left.append(peer.rest())

    def mark():
        raise RuntimeError("the ledger is away")

    with connected(play(part)) as session:
        with pytest.raises(RuntimeError, match="the ledger is away"):
            send(session, mark=mark)
        assert not session.usable
    assert not left or ON_WIRE.startswith(left[0])


# At RCPT the patience must outlast the answer to MAIL.
HASTE = {
    Stage.MAIL: {"envelope": 0.1},
    Stage.RCPT: {"envelope": 0.5},
    Stage.DATA: {"data": 0.1},
    Stage.DOT: {"dot": 0.1},
}


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.BODY, Stage.DOT])
@pytest.mark.parametrize("manner", ["hangs up", "falls silent"])
def test_every_break_is_told_with_its_stage(play, offers, stage, manner):
    over = threading.Event()

    def part(peer):
        peer.greet(*offers)
        for at, command, reply in zip(
            (Stage.MAIL, Stage.RCPT, Stage.DATA), ENVELOPE, ("250 ok", "250 ok", "354 go on"), strict=True
        ):
            peer.hear(command)
            if at is stage:
                return leave(peer)
            peer.say(reply)
        if stage is Stage.DOT:
            peer.exactly(len(ON_WIRE) + 3)
        else:
            peer.exactly(len(ON_WIRE))
        return leave(peer)

    def leave(peer):
        if manner == "falls silent":
            assert over.wait(10)
        else:
            peer.hang_up()
            over.set()

    def mark():
        if stage is Stage.BODY:
            if manner == "falls silent":
                return False  # silence is no fault of a server before it has the whole mail
            assert over.wait(10)
        return True

    hasty = HASTE.get(stage, {}) if manner == "falls silent" else {}
    with connected(play(part), **hasty) as session:
        answer = send(session, mark=mark)
        assert not session.usable
    over.set()
    assert (answer.stage, answer.code, answer.enhanced) == (stage, None, None)
    assert answer.text
    assert answer.unknown is (stage is Stage.DOT)


def test_a_refusal_at_the_dot_is_an_answer_and_the_connection_lives_on(play, offers):
    def part(peer):
        peer.greet(*offers)
        take(peer, "552-5.2.2 The mailbox\r\n552 5.2.2 is full")
        take(peer)

    with connected(play(part)) as session:
        answer = send(session)
        assert (answer.stage, answer.code, answer.enhanced, answer.text) == (
            Stage.DOT,
            552,
            "5.2.2",
            "The mailbox is full",
        )
        assert not answer.accepted
        assert not answer.unknown
        assert send(session).accepted


def test_a_refused_recipient_in_one_write_leaves_data_to_be_read_and_the_transaction_to_be_taken_back(play):
    def part(peer):
        peer.greet("PIPELINING")
        peer.hear(*ENVELOPE)
        peer.say("250 ok", "550 5.1.1 nobody here", "554 5.5.1 no valid recipients")
        peer.hear("RSET")
        peer.say("250 ok")
        take(peer)

    with connected(play(part)) as session:
        answer = send(session, mark=never)
        assert (answer.stage, answer.code, answer.enhanced, answer.text) == (Stage.RCPT, 550, "5.1.1", "nobody here")
        assert send(session).accepted


def never():
    raise AssertionError("no mark is asked for without a body")


def test_a_server_that_waits_for_a_body_without_recipient_gets_a_lone_dot(play):
    def part(peer):
        peer.greet("PIPELINING")
        peer.hear(*ENVELOPE)
        peer.say("250 ok", "550 5.1.1 nobody here", "354 go on")
        assert peer.exactly(3) == b".\r\n"
        peer.say("554 5.5.1 no valid recipients")
        take(peer)

    with connected(play(part)) as session:
        assert (send(session, mark=never).stage, send(session).accepted) == (Stage.RCPT, True)


@pytest.mark.parametrize("ending", [(), ("354 go on",), ("421 too many errors",), ("rubbish",)])
def test_a_refusal_stands_even_if_the_server_leaves_right_after_it(play, ending):
    def part(peer):
        peer.greet("PIPELINING")
        peer.hear(*ENVELOPE)
        peer.say("250 ok", "550 5.1.1 nobody here", *ending)

    with connected(play(part)) as session:
        answer = send(session, mark=never)
        assert (answer.stage, answer.code) == (Stage.RCPT, 550)
        assert not session.usable


def test_a_refused_sender_in_one_write_is_the_answer(play):
    def part(peer):
        peer.greet("PIPELINING")
        peer.hear(*ENVELOPE)
        peer.say("451 4.7.1 later", "503 need MAIL", "503 need RCPT")
        take(peer)

    with connected(play(part)) as session:
        answer = send(session, mark=never)
        assert (answer.stage, answer.code, answer.enhanced) == (Stage.MAIL, 451, "4.7.1")
        assert send(session).accepted


def test_a_refusal_one_by_one_asks_no_further(play):
    def part(peer):
        peer.greet()
        peer.hear(ENVELOPE[0])
        peer.say("550 5.7.1 not you")
        peer.hear(*ENVELOPE[:1])
        peer.say("250 ok")
        peer.hear(ENVELOPE[1])
        peer.say("450 4.2.1 later")
        peer.hear("RSET")
        peer.say("250 ok")
        take(peer)

    with connected(play(part)) as session:
        answers = [send(session, mark=never), send(session, mark=never), send(session)]
    assert [(answer.stage, answer.code) for answer in answers] == [
        (Stage.MAIL, 550),
        (Stage.RCPT, 450),
        (Stage.DOT, 250),
    ]


def test_a_refused_data_is_told_and_taken_back(play, offers):
    def part(peer):
        peer.greet(*offers)
        for command, reply in zip(ENVELOPE, ("250 ok", "250 ok", "451 4.3.0 no room"), strict=True):
            peer.hear(command)
            peer.say(reply)
        peer.hear("RSET")
        peer.say("250 ok")
        take(peer)

    with connected(play(part)) as session:
        answer = send(session, mark=never)
        assert (answer.stage, answer.code) == (Stage.DATA, 451)
        assert send(session).accepted


@pytest.mark.parametrize("place", range(4))
def test_421_ends_the_session_wherever_it_comes(play, offers, place):
    replies = ["250 ok", "250 ok", "354 go on", "250 ok"]
    replies[place] = "421 4.3.2 shutting down"

    def part(peer):
        peer.greet(*offers)
        for command, reply in zip(ENVELOPE, replies, strict=False):
            peer.hear(command)
            peer.say(reply)
            if reply.startswith("421"):
                return
        peer.exactly(len(ON_WIRE) + 3)
        peer.say(replies[3])

    with connected(play(part)) as session:
        answer = send(session)
        assert not session.usable
    stage = (Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT)[place]
    assert (answer.stage, answer.code, answer.enhanced, answer.text) == (stage, 421, "4.3.2", "shutting down")


RUBBISH = {
    "no code": b"hello there\r\n",
    "a code beyond all codes": b"999 what\r\n",
    "a code glued to the text": b"250ok\r\n",
    "lines that disagree": b"250-taken\r\n550 not taken\r\n",
    "bytes": bytes(range(128, 256)) + b"\n",
    "an empty line": b"\r\n",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a line without end": b"250 " + b"x" * 40_000,
    "lines without end": b"250-more\r\n" * 4_000,
    "an order to go on": b"354 go on\r\n",
}


@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_after_the_dot_leaves_the_mail_unknown(play, offers, rubbish):
    def part(peer):
        peer.greet(*offers)
        take_envelope(peer)
        peer.exactly(len(ON_WIRE) + 3)
        peer.raw(rubbish)
        peer.rest()

    with connected(play(part)) as session:
        answer = send(session)
        assert not session.usable
    assert answer.unknown
    assert len(answer.text) < 200


@pytest.mark.parametrize("rubbish", [text for kind, text in RUBBISH.items()], ids=RUBBISH)
def test_rubbish_before_the_dot_is_a_break_that_is_safe(play, offers, rubbish):
    def part(peer):
        peer.greet(*offers)
        peer.hear(ENVELOPE[0])
        peer.raw(rubbish)
        peer.rest()

    with connected(play(part)) as session:
        answer = send(session, mark=never)
        assert not session.usable
    assert (answer.stage, answer.code) == (Stage.MAIL, None)


def test_consent_where_data_was_asked_for_is_a_break(play, offers):
    def part(peer):
        peer.greet(*offers)
        for command in ENVELOPE:
            peer.hear(command)
            peer.say("250 ok")
        peer.rest()

    with connected(play(part)) as session:
        answer = send(session, mark=never)
    assert (answer.stage, answer.code) == (Stage.DATA, None)


def test_a_server_that_drips_its_answer_is_given_up_at_the_stages_limit(play, offers):
    gone = threading.Event()

    def part(peer):
        peer.greet(*offers)
        take_envelope(peer)
        peer.exactly(len(ON_WIRE) + 3)
        with contextlib.suppress(ConnectionError):
            while not gone.wait(0.02):
                peer.raw(b"2")

    with connected(play(part), dot=0.2) as session:
        answer = send(session)
    gone.set()
    assert answer.unknown


def test_a_server_that_never_ends_its_answer_is_given_up_at_the_stages_limit(play, offers):
    gone = threading.Event()

    def part(peer):
        peer.greet(*offers)
        peer.hear(ENVELOPE[0])
        with contextlib.suppress(ConnectionError):
            while not gone.wait(0.02):
                peer.raw(b"250-wait\r\n")

    with connected(play(part), envelope=0.2) as session:
        answer = send(session, mark=never)
    gone.set()
    assert (answer.stage, answer.code) == (Stage.MAIL, None)


@pytest.mark.parametrize(
    ("said", "code"),
    [("552 5.3.4 too large", 552), ("421 4.3.2 shutting down", 421), ("250 taken already", None), ("rubbish", None)],
)
def test_what_is_said_before_the_dot_is_heard_and_no_dot_follows(play, offers, said, code):
    spoken, left = threading.Event(), []

    def part(peer):
        peer.greet(*offers)
        take_envelope(peer)
        peer.exactly(len(ON_WIRE))
        peer.say(said)
        spoken.set()
        left.append(peer.rest())

    with connected(play(part)) as session:
        answer = send(session, mark=lambda: spoken.wait(10))
        assert not session.usable
    assert (answer.stage, answer.code) == (Stage.BODY, code)
    assert left in ([], [b""])


def test_a_server_that_refuses_in_the_middle_of_a_large_body_is_safe(play, offers):
    def part(peer):
        peer.greet(*offers)
        take_envelope(peer)
        peer.exactly(1000)
        peer.say("552 5.3.4 too large")

    with connected(play(part)) as session:
        answer = send(session, b"x" * 20_000_000 + b"\r\n", mark=never)
    assert answer.stage is Stage.BODY
    assert answer.code in (552, None)  # a reset by the peer can swallow its last words


def test_a_server_that_reads_no_further_is_given_up(play, offers):
    over = threading.Event()

    def part(peer):
        peer.greet(*offers)
        take_envelope(peer)
        assert over.wait(10)

    with connected(play(part), body=0.1) as session:
        answer = send(session, b"x" * 20_000_000 + b"\r\n", mark=never)
    over.set()
    assert (answer.stage, answer.code) == (Stage.BODY, None)


def test_the_envelope_comes_in_one_write_where_the_server_takes_that(play):
    def part(peer):
        peer.greet("PIPELINING")
        whole = "".join(f"{line}\r\n" for line in ENVELOPE).encode()
        assert peer.exactly(len(whole)) == whole  # nothing has been answered yet
        peer.say("250 ok", "250 ok", "354 go on")
        peer.exactly(len(ON_WIRE) + 3)
        peer.say("250 ok")

    with connected(play(part)) as session:
        assert send(session).accepted


def test_answers_that_come_in_one_piece_are_told_apart(play, offers):
    def part(peer):
        peer.greet(*offers)
        take_envelope(peer)
        peer.exactly(len(ON_WIRE) + 3)
        peer.say("250 ok", "421 enough for today")

    with connected(play(part)) as session:
        assert send(session).accepted
        assert not session.usable


@pytest.mark.parametrize(
    ("offered", "message", "utf8", "parameters"),
    [
        ((), MESSAGE, False, ""),
        (("SIZE 1000000",), MESSAGE, False, f" SIZE={len(MESSAGE)}"),
        (("8BITMIME", "SIZE"), MESSAGE, False, f" SIZE={len(MESSAGE)}"),
        (("8bitmime",), "Subject: ü\r\n\r\nx\r\n".encode(), False, " BODY=8BITMIME"),
        ((), "Subject: ü\r\n\r\nx\r\n".encode(), False, ""),
        (("SMTPUTF8", "8BITMIME"), MESSAGE, True, " SMTPUTF8"),
    ],
)
def test_what_the_server_offers_is_used_where_the_mail_needs_it(play, offered, message, utf8, parameters):
    def part(peer):
        peer.greet(*offered)
        peer.hear(ENVELOPE[0] + parameters)
        peer.say("550 seen enough")

    with connected(play(part)) as session:
        assert send(session, message, mark=never, smtputf8=utf8).code == 550


def test_an_address_beyond_ascii_needs_smtputf8(play):
    def part(peer):
        peer.greet("SMTPUTF8")
        peer.hear("MAIL FROM:<ann@out.example> SMTPUTF8")
        peer.say("250 ok")
        peer.hear("RCPT TO:<jörg@corp.example>")
        peer.say("550 seen enough")

    with connected(play(part, lambda peer: peer.greet())) as session:
        assert session.send("ann@out.example", "jörg@corp.example", MESSAGE, mark=never).code == 550
        assert session.open() is None
        answer = session.send("ann@out.example", "jörg@corp.example", MESSAGE, mark=never)
        assert (answer.stage, answer.code, answer.enhanced) == (Stage.RCPT, 553, "5.6.7")


@pytest.mark.parametrize(
    "address", ["", "a b@corp.example", "a@corp.example>\r\nRSET", "<a@corp.example>", "a\0@corp.example"]
)
def test_an_address_that_cannot_stand_in_an_envelope_is_never_said(play, address):
    with connected(play(lambda peer: (peer.greet(), peer.hear("QUIT")))) as session:
        assert session.send("ann@out.example", address, MESSAGE, mark=never).stage is Stage.RCPT
        assert session.send(address, "bob@corp.example", MESSAGE, mark=never).stage is Stage.MAIL


def test_progress_is_told_point_by_point(play, offers):
    def part(peer):
        peer.greet(*offers)
        take(peer)

    points = []
    with connected(play(part)) as session:
        send(session, mark=lambda: points.append("mark") or True, progress=points.append)
    assert points == ["before_data", "after_354", "mark", "before_dot", "after_dot", "after_answer"]


def test_one_connection_takes_many_mails(play, offers):
    def part(peer):
        peer.greet(*offers)
        for _ in range(50):
            take(peer)
        peer.hear("QUIT")
        peer.say("221 bye")

    with connected(play(part)) as session:
        assert all(send(session).accepted and session.usable for _ in range(50))


@pytest.mark.parametrize("farewell", ["421 4.4.2 idle for too long", None])
def test_a_server_that_left_between_two_mails_is_noticed(play, offers, farewell):
    left = threading.Event()

    def part(peer):
        peer.greet(*offers)
        take(peer)
        if farewell:
            peer.say(farewell)
        peer.hang_up()
        left.set()

    with connected(play(part)) as session:
        assert send(session).accepted
        assert left.wait(10)
        assert not session.usable
        assert send(session, mark=never).stage is Stage.CONNECT


def test_a_server_that_does_not_answer_quit_is_left_anyway(play):
    over = threading.Event()

    def part(peer):
        peer.greet()
        peer.hear("QUIT")
        assert over.wait(10)

    with connected(play(part), quit=0.05) as session:
        session.close()
        over.set()
        assert not session.usable


def test_what_a_server_says_is_kept_printable_and_short(play, offers):
    def part(peer):
        peer.greet(*offers)
        take_envelope(peer)
        peer.exactly(len(ON_WIRE) + 3)
        peer.raw(b"550-5.7.1 bad\x00\x1b[31m \xff words\r\n" * 300 + b"550 5.7.1 end\r\n")

    with connected(play(part)) as session:
        answer = send(session)
    assert answer.text.startswith("bad [31m � words bad")
    assert answer.text.isprintable()
    assert len(answer.text) <= 2000


def unstuffed(lines):
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines.split(b"\r\n"))


@settings(deadline=None)
@given(st.lists(st.sampled_from([b".", b"..", b"a", b"", b".a", b"\r\n", b"\n"]), max_size=30).map(b"".join))
def test_no_body_can_end_itself_and_every_body_arrives_whole(body):
    wire = smtp.stuffed(body)
    assert wire.endswith(b"\r\n")
    assert b"\n.\r\n" not in b"\n" + wire
    assert b"\n.\n" not in b"\n" + wire
    if b"\n" not in body.replace(b"\r\n", b""):
        assert unstuffed(wire) in (body, body + b"\r\n")
