"""Over 100,000 hostile values (three a mail) and templates, all the way to bytes: what a mail is made of never changes."""

import email
import email.policy
import random
import re
import time
import tracemalloc
from datetime import UTC, datetime

import pytest

from cleanmails.errors import CleanmailsError, TemplateError
from cleanmails.mail.html import dress
from cleanmails.mail.message import Letter, compose
from cleanmails.rules.content import Seed, ai_prompts, checks, faults, parse, resolve_body, resolve_subject

NAMES = [
    b"Date",
    b"From",
    b"To",
    b"Subject",
    b"Message-ID",
    b"List-Unsubscribe",
    b"List-Unsubscribe-Post",
    b"MIME-Version",
    b"Content-Type",
]
TO = re.compile(rb'To: (?:(?:"(?:[^"\\]|\\.)*"|[^",;:@<>()\[\]\\]+)\s+<ada@lead\.example>|ada@lead\.example)')
ADDRESS = re.compile(r"(?:href|src)=[\"']([^\"']*)")
ODD = [
    *(
        "{",
        "}",
        "|",
        "{{",
        "}}",
        "{a|b}",
        "{{NAME}}",
        "{{EMAIL|x}}",
        "{{AI:x|y}}",
        "}}}",
        "<",
        ">",
        '"',
        "'",
        "&",
        "&#10;",
        "&quot;",
        "/",
    ),
    *(
        "<script>",
        "</script>",
        "</style>",
        "<!--",
        "-->",
        "<b>",
        "</p>",
        "<a href='",
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        "\r\nBcc: x@evil.example\r\n",
    ),
    *(
        "\r\n.\r\n",
        "\0",
        "\t",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x7f",
        "\x85",
        "\u2028",
        "\u2029",
        "\ud800",
        "\udfff",
        "\u202e",
        "\ufeff",
        "\u200d",
    ),
    *(
        "=?utf-8?q?x?=",
        "=?",
        "?=",
        "=0D=0A",
        "%0d%0a",
        "--",
        "=_",
        "From ",
        "javascript:",
        "https://x.example/",
        "//",
        "@",
        ",",
        ";",
        ":",
        "\\",
    ),
    *(" ", "é", "你好", "😀", "e\u0301", "word", "x" * 90, "0", "%", "#", "?", "\x01", "\x02", "\x04", "\xa0"),
]
MARKUP = [
    *(
        "<p>",
        "<br>",
        "<ul><li>",
        "</ul>",
        "<ol>",
        "<li>",
        "<pre>",
        "</pre>",
        "<table><tr><td>",
        "<a href='https://a.example/{{X|y}}'>",
        "</a>",
        "<hr>",
    ),
    *(
        '<a href="',
        '">',
        "<style>",
        "<div style='display:none'>",
        "</div>",
        "<head>",
        "</head>",
        "<!--[if mso]>",
        "<![endif]-->",
        "<img alt='",
    ),
    *(
        "{{X|y}}",
        "{{X}}",
        "{one|",
        "two}",
        "{a|{b|c}}",
        "{{UNSUBSCRIBE_URL}}",
        "{{AI:say {{X|y}}|z}}",
        "</body>",
        "words ",
    ),
]
EVERYWHERE = parse(
    '<html><head><title>{{X|t}}</title><style>p{a:b}</style></head><body><p title="{{X|a}}" style="color:{{X|red}}">Hi {{X|you}}, {{{X|o}}|{{Y|p}}}'
    '</p><a href="{{X|https://a.example}}">{{X|b}}</a><a href=\'https://{{X|b.example}}/\'>c</a><a href="https://c.example/{{X|d}}?q={{Y|e}}">'
    '{{Y|f}}</a><a href="mailto:{{X|g}}">h</a><img src="{{Y|https://d.example}}" alt="{{Y|i}}"><pre>{{Y|j}}</pre>{{AI:On {{X|k}}|{{Y|l}}}}</body></html>',
    where="body",
)
SUBJECT = parse("{Hi|Hey} {{X|you}}: {{Y|there}}", where="subject")


def mail(body, subject, name):
    dressed = dress(
        body,
        unsubscribe_url="https://u.example/t",
        postal_address="1 Main Street",
        wrap=lambda number, _: f"https://t.example/{number}",
        pixel_url="https://t.example/p.png",
    )
    letter = Letter(
        message_id="<token@sender.example>",
        date=datetime(2026, 3, 1, tzinfo=UTC),
        sender_address="ann@sender.example",
        recipient_name=name,
        recipient_address="ada@lead.example",
        subject=subject,
        html=dressed.html,
        text=dressed.text,
        unsubscribe_url="https://u.example/t",
    )
    return dressed, compose(letter).raw


def assert_shape(raw):
    """Headers, recipient, parts and lines, by bytes."""
    head, _, body = raw.partition(b"\r\n\r\n")
    fields = head.replace(b"\r\n ", b" ").split(b"\r\n")
    assert [field.partition(b":")[0] for field in fields] == NAMES
    assert TO.fullmatch(fields[2]), fields[2]
    boundary = fields[-1].partition(b'"')[2].rstrip(b'"')
    assert body.count(b"--" + boundary) == 3
    assert not set(raw.replace(b"\r\n", b"")) & {0, 10, 13}
    assert max(map(len, raw.split(b"\r\n"))) < 998


def assert_parsed(raw, dressed, subject):
    """The same by the standard library, and all words come through."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert [address.addr_spec for address in message["To"].addresses] == ["ada@lead.example"]
    assert message["Subject"] == subject
    assert not message.defects
    for part, words in zip(message.iter_parts(), (dressed.text, dressed.html), strict=True):
        assert part.get_payload(decode=True).decode().replace("\r\n", "\n") == words


def shape_of(markup):
    return tuple(map(markup.count, "<>\"'"))


@pytest.mark.parametrize("chunk", range(4))
def test_no_value_changes_what_a_mail_is(chunk):
    dice = random.Random(f"values {chunk}")
    seed = Seed.of(1, 1, 0)
    key = ai_prompts(EVERYWHERE, {}, seed)[0].key
    usual = shape_of(mail(resolve_body(EVERYWHERE, {}, seed), "", "")[0].html)
    for turn in range(6_000):
        x, y, answer = ("".join(dice.choices(ODD, k=dice.randrange(1, 9))) for _ in range(3))
        lead = {"X": x, "Y": y}
        body = resolve_body(EVERYWHERE, lead, seed, answers={key: answer})
        subject = resolve_subject(SUBJECT, lead, seed)
        dressed, raw = mail(body, subject, x)
        assert shape_of(dressed.html) == usual, lead
        assert all(url.startswith(("https://", "mailto:", "tel:", "sms:")) for url in ADDRESS.findall(dressed.html)), (
            lead
        )
        assert_shape(raw)
        if turn % 100 == 0:
            assert_parsed(raw, dressed, subject)


@pytest.mark.parametrize("chunk", range(4))
def test_any_template_is_a_mail_or_an_error_in_a_sentence(chunk):
    dice = random.Random(f"templates {chunk}")
    seed = Seed.of(1, 1, 0)
    lead = {"X": "<\r\n{a|b}", "EMAIL": "ada@lead.example"}
    mails, refusals = 0, set()
    for turn in range(7_500):
        text = "".join(dice.choices(MARKUP + ODD if turn % 2 else MARKUP, k=dice.randrange(1, 8)))
        if turn % 20 == 0:
            assert all(finding.sentence[-1] in ".?" for finding in checks([text], text, []))
        try:
            body = resolve_body(parse(text, where="body"), lead, seed, unsubscribe_url="https://u.example/t")
            subject = resolve_subject(parse(text.replace("{{UNSUBSCRIBE_URL}}", ""), where="subject"), lead, seed)
        except CleanmailsError as error:
            refusals.add(error.message[-1])
            continue
        mails += 1
        assert not set(body.text) & set(map(chr, (*range(9), 11, 12, *range(14, 32))))
        dressed, raw = mail(body, subject, text)
        assert_shape(raw)
        if turn % 50 == 0:
            assert_parsed(raw, dressed, subject)
    assert mails > 2_000
    assert refusals == {"."}


@pytest.mark.parametrize(
    "unit", ["x", "{", "}", "{a|b}", "<", "<a ", "\n", "\u2028", "\ud800", "{{X}}", "{{AI:", '"', "&amp;", "\0", "<!--"]
)
def test_ten_megabytes_take_little_time_and_memory(unit):
    huge = unit * (10_000_000 // len(unit))
    seed = Seed.of(1, 1, 0)
    tracemalloc.start()
    started = time.process_time()
    for where in ("subject", "body"):
        (fault,) = faults(huge, [], where=where)
        assert fault.message.endswith("can be sent.")
        with pytest.raises(TemplateError):
            parse(huge, where=where)
    lead = {"X": huge, "Y": huge}
    body = resolve_body(EVERYWHERE, lead, seed, answers={"": huge})
    _, raw = mail(body, resolve_subject(SUBJECT, lead, seed), huge)
    assert_shape(raw)
    assert len(raw) < 1_000_000
    assert time.process_time() - started < 5
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()
