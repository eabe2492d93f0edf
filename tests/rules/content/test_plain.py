import re

import pytest

from cleanmails.rules.content import Seed, parse, resolve_body


def text(body, **fields):
    lead = {name.upper(): value for name, value in fields.items()}
    return resolve_body(parse(body, where="body"), lead, Seed.of(1, 1, 0), unsubscribe_url="https://u.example/t").text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>Hi   there,</p>\n\n<p>how\nare you?</p>", "Hi there,\n\nhow are you?"),
        ("a<br>b<br/><br>c", "a\nb\n\nc"),
        ("<div>a</div><div>b</div><div><br></div><div>c<br></div><div>d</div>", "a\nb\n\nc\nd"),
        ("<div><div><p>a</p></div></div><div>b</div>", "a\n\nb"),
        ("<ul><li>one</li> <li><p>two</p></li></ul>after", "- one\n- two\n\nafter"),
        ("<ol><li>a<ul><li>b</ul><li>c</ol>", "1. a\n  - b\n2. c"),
        ("<h1>T</h1>x<hr>y", "T\n\nx\n\n---\n\ny"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<p>a &amp; b &lt;c&gt;&nbsp;&mdash; d</p>", "a & b <c> — d"),
        ("<p>a <b> b </b> c</p>", "a b c"),
        ("<pre>if x:\n    y</pre>", "if x:\n    y"),
        ("<img src='x' alt='A dog'>", "A dog"),
        ("<head><title>T</title></head><body>x<style>y</style><script>z</script><!-- c --></body>", "x"),
        ("<head><title>T</title><body>x", "x"),
        ("<div style='display: none'>pre<div>header</div></div>shown", "shown"),
        ("a<!--[if mso]>b<![endif]-->c<!--[if !mso]><!-->d<!--<![endif]-->e", "acde"),
    ],
)
def test_markup_reads_as_text(body, expected):
    assert text(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<a href='https://a.example/x?a=1&amp;b=2'>look <b>here</b></a>.", "look here <https://a.example/x?a=1&b=2>."),
        ("<a href='https://a.example/'>a.example</a>", "a.example"),
        ("<a href='https://a.example/x'>https://a.example/x</a>", "https://a.example/x"),
        ("<a href='mailto:me@a.example?subject=x'>write</a>", "write <me@a.example>"),
        ("<a href='mailto:me@a.example'>me@a.example</a>", "me@a.example"),
        ("<a href='#top'>up</a> <a name='x'>y</a>", "up y"),
        ("<a href='https://a.example/{{X}}'>see</a>", "see <https://a.example/1%202>"),
        ("<a href='{{UNSUBSCRIBE_URL}}'>stop</a>", "stop <https://u.example/t>"),
        ("<a href='{{UNSUBSCRIBE_URL}}'>{{UNSUBSCRIBE_URL}}</a>", "https://u.example/t"),
        ("<div style='display:none'><a href='https://a.example/{{X}}'>see</a></div>x", "x"),
    ],
)
def test_links_keep_their_addresses(body, expected):
    assert text(body, x="1 2") == expected


def test_values_are_read_as_they_are():
    assert text("<p>Hi {{X}},</p><p>{{Y}} </p>", x="A & <B>", y="{c|d}") == "Hi A & <B>,\n\n{c|d}"


def test_hidden_values_and_those_in_attributes_are_not_read():
    assert text("<p title='{{X}}'>a<span style='display:none'>{{X}}</span></p>", x="b") == "a"


def test_the_text_follows_the_same_choices():
    template = parse("<p>{Hello |}{Hello|Good day}, {x|<b>y</b>} {really|} {a |b}{c|} z</p>", where="body")
    for lead in range(20):
        body = resolve_body(template, {}, Seed.of(1, lead, 0))
        markup = "".join(body.pieces)
        assert " ".join(re.sub("<[^>]*>", "", markup).split()) == body.text
