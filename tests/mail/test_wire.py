import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.mail.wire import MAX_REPLY, MAX_TEXT, Reply, Wire, WireError


def read(*chunks):
    """What a wire makes of these bytes, packet by packet, after which the other end is gone."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for chunk in filter(None, chunks):
        theirs.sendall(chunk)
    theirs.close()
    wire = Wire(ours)
    try:
        return wire.reply(5)
    finally:
        wire.close()


def read_or_break(said):
    """The reply, or the words of the break."""
    try:
        return read(said)
    except WireError as broken:
        return str(broken)


@pytest.mark.parametrize(
    ("said", "code", "enhanced", "text"),
    [
        (b"250 ok\r\n", 250, None, "ok"),
        (b"250\r\n", 250, None, ""),
        (b"250 \r\n", 250, None, ""),
        (b"250 2.0.0\r\n", 250, "2.0.0", ""),
        (b"550 5.1.1 nobody\n", 550, "5.1.1", "nobody"),
        (b"550 5.1.1nobody\r\n", 550, None, "5.1.1nobody"),
        (
            b"550-5.7.1 [192.0.2.1] The user\r\n550 5.7.1 wants nothing\r\n",
            550,
            "5.7.1",
            "[192.0.2.1] The user wants nothing",
        ),
        (b"250-first\r\n250-\r\n250 last\r\n", 250, None, "first  last"),
        ("550 Empfänger unbekannt\r\n".encode(), 550, None, "Empfänger unbekannt"),
    ],
)
def test_a_reply_is_read(said, code, enhanced, text):
    reply = read(said)
    assert (reply.code, reply.enhanced, reply.text) == (code, enhanced, text)


PIECES = [b"250-a\r\n", b"250 b\r\n", b"550 c\r\n", b"250-", b"\n", b"\0", b"2"]


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)))
def test_whatever_is_said_is_a_reply_or_a_break(said):
    reply = read_or_break(said)
    if isinstance(reply, Reply):
        assert 200 <= reply.code < 600
        assert reply.text == "" or reply.text.isprintable()
    else:
        assert reply


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_where_a_reply_is_cut_into_packets_makes_no_difference(first, second):
    said = b"250-2.1.0 one\r\n250-2.1.0 two\r\n250 2.1.0 three\r\n"
    low, high = sorted((first, second))
    assert read(said[:low], said[low:high], said[high:]) == read(said)


def test_a_reply_has_a_longest_length():
    assert len(read(b"250 " + b"x" * (MAX_REPLY - 10) + b"\r\n").text) == MAX_TEXT
    for endless in (b"250 " + b"x" * MAX_REPLY + b"\r\n", b"250-x\r\n" * (MAX_REPLY // 7 + 1) + b"250 x\r\n"):
        with pytest.raises(WireError, match="no end"):
            read(*(endless[at : at + 8_000] for at in range(0, len(endless), 8_000)))


def test_what_follows_a_reply_is_kept_for_the_next_one():
    ours, theirs = socket.socketpair()
    theirs.sendall(b"250 one\r\n354 two\r\n421 three\r\n")
    wire = Wire(ours)
    assert [wire.reply(5).code for _ in range(2)] == [250, 354]
    assert wire.unasked().code == 421
    assert wire.unasked() is None
    theirs.close()
    with pytest.raises(WireError, match="closed"):
        wire.unasked()
    wire.close()
