from html.parser import HTMLParser

import pytest

from cleanmails.errors import MissingFieldError, TemplateError
from cleanmails.records import LinkSlot
from cleanmails.rules.content import Seed, ai_prompts, lead_fields, parse, resolve_body, resolve_subject

SEED = Seed.of(7, 8, 0)
HOSTILE = "\"'><script>alert(1)</script>{a|b}{{EMAIL}}&amp;\r\nBcc: x@evil.example\x00"


def resolved(text, *, lead=None, **options):
    fields = lead_fields(email="ada@lead.example", extra=lead or {})
    return resolve_body(parse(text, where="body"), fields, SEED, **options)


def markup(text, **options):
    return "".join(resolved(text, **options).pieces)


class Structure(HTMLParser):
    """The tags and attributes of a page, without any of its words."""

    def __init__(self, text):
        super().__init__()
        self.seen = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag):
        self.seen.append(tag)


class TestValues:
    @pytest.mark.parametrize(
        ("template", "value", "expected"),
        [
            ("<p>{{X}}</p>", "a < b & c", "<p>a &lt; b &amp; c</p>"),
            ('<p title="{{X}}">', 'say "hi"', '<p title="say &quot;hi&quot;">'),
            ("<p title='{{X}}'>", "it's", "<p title='it&#x27;s'>"),
            ('<p style="color:{{X}}">', "red;background:url(x)", '<p style="color:redbackgroundurlx">'),
            (
                '<a href="https://x.example/?q={{X}}&amp;b">',
                "a b&c/ü",
                '<a href="https://x.example/?q=a%20b%26c%2F%C3%BC&amp;b">',
            ),
            ('<a href="https://x.example{{X}}">', "@evil.example", '<a href="https://x.example%40evil.example">'),
            ('<a href="mailto:{{X}}?subject=hi">', "a@b.example", '<a href="mailto:a@b.example?subject=hi">'),
            ('<a href="{{X}}">', "https://x.example/?a=1&b=2", '<a href="https://x.example/?a=1&amp;b=2">'),
            ('<a href="{{X}}">', "shop.example/path", '<a href="https://shop.example/path">'),
            ('<a href="https://{{X}}/me">', "shop.example", '<a href="https://shop.example/me">'),
            ('<a href="https://{{X}}">', "https://shop.example/path", '<a href="https://shop.example/path">'),
            ('<a href="https://{{X}}.x.example">', "a/b", '<a href="https://a%2Fb.x.example">'),
            ('<img src="{{X}}">', "https://x.example/a.png", '<img src="https://x.example/a.png">'),
        ],
    )
    @pytest.mark.asvs("1.3.1")
    def test_a_value_is_escaped_by_where_it_lands(self, template, value, expected):
        assert markup(template, lead={"X": value}) == expected

    @pytest.mark.parametrize(
        "value",
        ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "//x.example", " \x01javascript:x", "a b"],
    )
    def test_a_value_that_is_no_address_to_go_to_counts_as_missing(self, value):
        with pytest.raises(MissingFieldError):
            markup('<a href="{{X}}">', lead={"X": value})
        assert markup('<a href="{{X|https://x.example}}">', lead={"X": value}) == '<a href="https://x.example">'
        assert markup('<a href="{{X}}">', lead={"X": value}, blank=True) == '<a href="">'

    @pytest.mark.asvs("1.3.5", "1.3.7")
    def test_a_value_is_never_read_again(self):
        assert markup("<p>{{X}}</p>", lead={"X": "{a|b} {{EMAIL}} <b>"}) == "<p>{a|b} {{EMAIL}} &lt;b&gt;</p>"

    @pytest.mark.parametrize(
        "template",
        [
            "<p>{{X}}</p>",
            '<p title="{{X}}">',
            "<p title='{{X}}'>",
            '<a href="https://x.example/{{X}}">',
            "<title>{{X}}</title>",
            "<{{X}}>",
        ],
    )
    def test_no_value_changes_the_markup(self, template):
        harmless = Structure(markup(template, lead={"X": "a"})).seen
        assert Structure(markup(template, lead={"X": HOSTILE})).seen == harmless

    def test_a_subject_stays_one_line(self):
        template = parse("{{X}}, hi", where="subject")
        line = resolve_subject(template, {"X": "a\r\nBcc: b@evil.example\u2028c\x00\ud800d"}, SEED)
        assert line == "a Bcc: b@evil.example cd, hi"

    def test_a_subject_is_not_html(self):
        assert resolve_subject(parse("<b> & {{X}}", where="subject"), {"X": "R&D"}, SEED) == "<b> & R&D"

    def test_a_value_of_megabytes_is_cut(self):
        assert len(markup("<p>{{X}}</p>", lead={"X": "x" * 10_000_000})) < 5_000

    def test_a_mail_that_the_values_make_too_long_is_refused(self):
        with pytest.raises(TemplateError, match="more than 2,000,000"):
            resolved("{{X}}" * 1_000, lead={"X": "x" * 4_000})


class TestMissing:
    def test_a_missing_value_holds_the_mail_and_names_the_field(self):
        with pytest.raises(MissingFieldError) as caught:
            resolved("<p>{{Job title}}</p>", lead={"Job title": " \t "})
        assert caught.value.field == "JOB_TITLE"

    def test_a_missing_value_may_be_blank_where_the_campaign_says_so(self):
        assert markup("<p>Hi {{X}}!</p>", blank=True) == "<p>Hi !</p>"

    def test_an_option_that_is_not_chosen_needs_nothing(self):
        texts = set()
        template = parse("{{{X}}|hello}", where="subject")
        for lead in range(50):
            try:
                texts.add(resolve_subject(template, {}, Seed.of(1, lead, 0)))
            except MissingFieldError:
                texts.add(None)
        assert texts == {None, "hello"}

    def test_a_leads_own_fields_stand_before_extra_ones_unless_they_are_empty(self):
        assert lead_fields(email="a@lead.example", first_name="Ada", extra={"name": "X", "Last name": "Byron"}) == {
            "FIRST_NAME": "Ada",
            "LAST_NAME": "Byron",
            "EMAIL": "a@lead.example",
            "COMPANY": "",
        }


class TestAi:
    TEXT = '<p>{{AI:Write about {{COMPANY}} &amp; {{X|"them"}}|I like {{COMPANY}}}}</p>'

    def prompts(self, text, lead):
        return ai_prompts(parse(text, where="body"), lead, SEED)

    def test_a_prompt_has_its_fields_filled_in_and_a_stable_key(self):
        (prompt,) = self.prompts(self.TEXT, {"COMPANY": "Engines"})
        assert (prompt.text, prompt.fallback) == ("Write about Engines & them", "I like Engines")
        assert prompt.key == "819e92d8c4145dc192ae555e430fc7b8"

    def test_an_answer_is_escaped_as_a_value_is(self):
        (prompt,) = self.prompts(self.TEXT, {"COMPANY": "E"})
        answers = {prompt.key: "<script>\n{a|b} {{EMAIL}}"}
        assert markup(self.TEXT, lead={"COMPANY": "E"}, answers=answers) == "<p>&lt;script&gt; {a|b} {{EMAIL}}</p>"

    def test_no_answer_is_the_fallback(self):
        assert markup(self.TEXT, lead={"COMPANY": "E"}) == "<p>I like E</p>"
        assert markup('{{AI:x|"quoted, {{EMAIL}}"}}') == "quoted, ada@lead.example"

    def test_no_answer_and_no_fallback_hold_the_mail_even_where_blanks_are_allowed(self):
        for blank in (False, True):
            with pytest.raises(MissingFieldError) as caught:
                markup("<p>{{AI:Say it}}</p>", blank=blank)
            assert caught.value.field == "AI"

    def test_a_prompt_that_lacks_a_field_is_not_asked(self):
        assert self.prompts("{{AI:On {{COMPANY}}|hello}}", {}) == []
        assert markup("{{AI:On {{X}}|hello}}") == "hello"

    def test_each_question_is_asked_once_and_only_those_of_chosen_options(self):
        assert len(self.prompts("{{AI:a|x}} {{AI:a|x}}", {})) == 1
        text = "{ {{AI:a|x}} | {{AI:b|x}} }"
        asked = {ai_prompts(parse(text, where="body"), {}, Seed.of(1, lead, 0))[0].text for lead in range(50)}
        assert asked == {"a", "b"}
        assert all(len(ai_prompts(parse(text, where="body"), {}, Seed.of(1, lead, 0))) == 1 for lead in range(50))

    def test_what_is_missing_elsewhere_does_not_keep_prompts_from_being_gathered(self):
        assert [prompt.text for prompt in self.prompts("{{NOBODY}} {{AI:a}}", {})] == ["a"]


class TestLinks:
    TEXT = (
        '<a href="https://a.example/?x=1&amp;y=2">a</a><a href="mailto:x@y.example">m</a><a href="tel:+1">t</a><a href="#top">u</a>'
        '<a href="/relative">r</a><a href="https://">i</a><a href="{{UNSUBSCRIBE_URL}}">stop</a><a class=x href=\'{{X}}\'>x</a>'
        '<link href="https://css.example"><a name="here">n</a><A HREF="HTTP://B.example">b</A>'
    )

    def test_web_links_are_numbered_by_their_place_and_the_rest_is_left_alone(self):
        body = resolved(self.TEXT, lead={"X": "https://x.example/{{EMAIL}}"}, unsubscribe_url="https://u.example/t")
        assert [(link.number, link.url) for link in body.links] == [
            (1, "https://a.example/?x=1&y=2"),
            (3, "https://x.example/{{EMAIL}}"),
            (4, "HTTP://B.example"),
        ]
        assert [body.pieces[link.piece] for link in body.links] == [
            "https://a.example/?x=1&amp;y=2",
            "https://x.example/{{EMAIL}}",
            "HTTP://B.example",
        ]
        assert 'href="https://u.example/t"' in "".join(body.pieces)
        assert body.unsubscribe

    def test_an_address_that_is_none_once_filled_in_is_no_link_and_moves_no_number(self):
        body = resolved(self.TEXT, blank=True)
        assert [link.number for link in body.links] == [1, 4]
        assert not resolved("<p>x</p>").unsubscribe

    def test_a_number_does_not_depend_on_the_options_picked(self):
        template = parse('{<a href="https://a.example">a</a>|b}<a href="https://c.example">c</a>', where="body")
        links = {resolve_body(template, {}, Seed.of(1, lead, 0)).links[-1] for lead in range(30)}
        assert {(link.number, link.url) for link in links} == {(2, "https://c.example")}

    def test_an_address_without_quotes_is_a_link_too(self):
        body = resolved("<a class=x href=https://a.example/y?z=1>a</a>")
        assert body.pieces == ("<a class=x href=", "https://a.example/y?z=1", ">a</a>")
        assert body.links == (LinkSlot(1, "https://a.example/y?z=1", 1),)

    def test_a_slot_is_a_plain_value(self):
        body = resolved('<a href="https://a.example">a</a>')
        assert body.links == (LinkSlot(1, "https://a.example", 1),)
