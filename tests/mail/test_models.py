"""Asking a model: both dialects, and everything that a server may do instead of answering."""

import pytest

from cleanmails.errors import UnreachableError
from cleanmails.mail.connector import Connector
from cleanmails.mail.models import MAX_BYTES, Model, ask
from tests.modelserver import Played, playing

connect = Connector(allow_private=True).connect


@pytest.fixture
def played():
    with playing() as server:
        yield server


def model(played, **changes):
    values = {"kind": "openai", "url": played.url + "/v1", "model": "small", "key": "secret-key"} | changes
    return Model(**values)


def refused(played, **changes):
    with pytest.raises(UnreachableError) as caught:
        ask(model(played, **changes), "Say something.", connect=connect)
    assert "secret-key" not in caught.value.message
    return caught.value.code


def test_chat_completions_are_spoken(played):
    assert ask(model(played), "Say something.", connect=connect) == "a kind word"
    [(path, headers, body)] = played.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret-key"
    assert body["model"] == "small"
    assert body["messages"][-1] == {"role": "user", "content": "Say something."}


def test_gemini_is_spoken(played):
    gemini = model(played, kind="gemini", url=played.url)
    assert ask(gemini, "Say something.", connect=connect) == "a kind word"
    [(path, headers, body)] = played.asked
    assert path == "/v1beta/models/small:generateContent"
    assert headers["x-goog-api-key"] == "secret-key"
    assert body["contents"][0]["parts"] == [{"text": "Say something."}]


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("  two\r\nlines ", "two lines"),
        ("“quoted”", "quoted"),
        ("One sentence. Another one. And a third that is too long", "One sentence. Another one."),
        ("w" * 100, "w" * 40),
        ("words and words and words and words and words", "words and words and words and words and"),
    ],
)
def test_an_answer_is_one_line_of_bounded_length(played, said, heard):
    played.say = said
    assert ask(model(played, max_characters=40), "?", connect=connect) == heard


@pytest.mark.parametrize("status", [301, 400, 401, 429, 500])
def test_a_status_that_is_no_answer_is_a_failure(played, status):
    played.status = status
    assert refused(played) == "model_refused"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b"null",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": ""}}]}',
        b"\xff\xfe",
        b"[" * 10_000,
    ],
)
def test_rubbish_is_a_failure(played, data):
    played.say = lambda handler: Played.raw(handler, data)
    assert refused(played) == "model_broken"


def test_an_answer_without_end_is_a_failure(played):
    played.say = lambda handler: Played.raw(handler, b" " * (MAX_BYTES + 100_000))
    assert refused(played) == "model_broken"


def test_a_slow_model_is_left(played):
    played.say = lambda _: played.released.wait()
    assert refused(played, timeout=0.1) == "model_slow"


def test_a_model_that_drips_is_left(played):
    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            while not played.released.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            pass

    played.say = drip
    assert refused(played, timeout=0.2) == "model_slow"


def test_a_model_that_hangs_up_is_a_failure(played):
    played.say = lambda handler: handler.connection.close()
    assert refused(played) == "model_broken"


@pytest.mark.parametrize("said", ["see https://evil.example", "go to www.evil.example", "[click](evil)"])
def test_a_link_from_a_model_is_a_failure(played, said):
    played.say = said
    assert refused(played) == "model_link"


def test_a_model_inside_our_own_network_is_not_asked(played):
    with pytest.raises(UnreachableError) as caught:
        ask(model(played), "?", connect=Connector(allow_private=False).connect)
    assert caught.value.code == "address_refused"
    assert played.asked == []
