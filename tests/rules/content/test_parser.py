import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.errors import TemplateError
from cleanmails.rules.content import Seed, faults, lead_fields, parse, required_fields, resolve_body, resolve_subject

LEAD = lead_fields(
    email="ada@lead.example", first_name="Ada", last_name="Byron", company="Engines", extra={"Job title": "Countess"}
)


def body(text, seed=1, **options):
    return "".join(resolve_body(parse(text, where="body"), LEAD, Seed.of(1, seed, 0), **options).pieces)


def subject(text, seed=1):
    return resolve_subject(parse(text, where="subject"), LEAD, Seed.of(1, seed, 0))


def outcomes(text, read=body):
    return {read(text, seed) for seed in range(200)}


def error(text, where="body"):
    with pytest.raises(TemplateError) as caught:
        parse(text, where=where)
    return caught.value


class TestFields:
    @pytest.mark.parametrize(
        "tag", ["{{FIRST_NAME}}", "{{NAME}}", "{{ first_name }}", "{{First Name}}", "{{&nbsp;First-Name }}"]
    )
    def test_a_field_is_found_however_it_is_spelt(self, tag):
        assert body(f"<p>Hi {tag}</p>") == "<p>Hi Ada</p>"

    def test_an_extra_field_goes_by_its_name(self):
        assert body("<i>{{JOB_TITLE}}</i>") == body("<i>{{job title}}</i>") == "<i>Countess</i>"

    @pytest.mark.parametrize("written", ['"there"', "'there'", "there", "“there”", "&quot;there&quot;"])
    def test_a_fallback_may_be_quoted_in_any_way_or_not_at_all(self, written):
        assert body(f"<p>{{{{NICK | {written}}}}}</p>") == "<p>there</p>"

    def test_a_fallback_is_plain_text_and_escaped_as_a_value_is(self):
        assert body("<p>{{NICK | 'R&amp;D <3'}}</p>") == "<p>R&amp;D &lt;3</p>"

    def test_a_quoted_fallback_stands_inside_a_quoted_attribute(self):
        assert body('<img alt="Hi {{NICK | "you"}}">') == '<img alt="Hi you">'

    def test_required_are_the_fields_that_stand_somewhere_without_a_fallback(self):
        template = parse(
            '<p>{{NAME}} {{NICK|"x"}} {a|{{City}}} <a href="{{UNSUBSCRIBE_URL}}">{{AI:on {{COMPANY}}|none}}</a></p>',
            where="body",
        )
        assert required_fields(template) == {"FIRST_NAME", "CITY"}
        assert required_fields(parse("{{AI:on {{COMPANY}}}} {{AI:x|{{NAME}}}}", where="body")) == {
            "COMPANY",
            "FIRST_NAME",
        }


class TestSpintax:
    def test_one_option_is_chosen_and_every_one_by_somebody(self):
        assert outcomes("<p>{a|b|c}</p>") == {"<p>a</p>", "<p>b</p>", "<p>c</p>"}

    def test_groups_nest(self):
        assert outcomes("{a|{b|c} d|}", subject) == {"a", "b d", "c d", ""}

    def test_options_hold_fields_and_markup(self):
        text = '<p>{<b>{{NAME}}</b>|<a href="https://x.example/?a|b">it</a>}</p>'
        assert outcomes(text) == {"<p><b>Ada</b></p>", '<p><a href="https://x.example/?a|b">it</a></p>'}

    def test_a_group_may_begin_with_a_field_or_with_a_group(self):
        assert outcomes("{{{NAME}}|Hello}", subject) == {"Ada", "Hello"}
        assert outcomes("{{a|b}|c}", subject) == {"a", "b", "c"}

    def test_a_pipe_outside_of_groups_is_a_pipe(self):
        assert subject("Sales | Marketing") == "Sales | Marketing"

    def test_editing_one_group_does_not_reshuffle_the_others(self):
        before = [subject(f"{{a|b|c}} {{d|e|f}} {lead}", lead) for lead in range(100)]
        after = [subject(f"{{a|b|{{x|y}}}} {{d|e|f}} {lead}", lead) for lead in range(100)]
        assert [words.split()[1:] for words in before] == [words.split()[1:] for words in after]


class TestBracesThatAreKept:
    @pytest.mark.parametrize(
        "text",
        [
            "<style>p{color:red} a|b{margin:0} @media print{p{x:y}}</style>",
            '<script type="application/ld+json">{"a": {"b": "c|d"}, "e": "{{"}</script>',
            "<!-- {a|b} -->",
            "<!--[if mso]><p>x</p><![endif]-->",
            '<p style="x:{a|b}" data-x=\'{"a":"b|c"}\' onclick="f({a|b})">x</p>',
            '<a href="https://x.example/{a}/{b|c}">x</a>',
            '<p>{no pipe} {} { nested {too} } {"json": [1, 2]}</p>',
            "<!DOCTYPE html><?xml version='1.0'?><p>x</p>",
        ],
    )
    def test_braces_without_a_choice_survive(self, text):
        assert body(text) == text

    def test_a_choice_inside_braces_without_a_pipe_is_made(self):
        assert outcomes("{ see {a|b} }", subject) == {"{ see a }", "{ see b }"}

    def test_what_only_outlook_reads_is_read_as_markup(self):
        assert body('<!--[if mso]><a href="https://x.example/{{NAME}}">{{NAME}}</a><![endif]-->').count("Ada") == 2


class TestPlainBodies:
    def test_line_breaks_of_a_body_without_tags_are_kept(self):
        assert body("Hi {{NAME}},\r\n\r\nhow are you?\n") == "Hi Ada,<br>\n<br>\nhow are you?"

    def test_a_lone_angle_bracket_cannot_open_a_tag(self):
        assert body("<p>1 < 2, <{{NAME}}></p>") == "<p>1 &lt; 2, &lt;Ada></p>"


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "line", "column", "words"),
        [
            ("<p>\nHi {there|you</p>", 2, 4, "Closing brace missing: the group opened at line 2, column 4"),
            ("<p>a}</p>", 1, 5, "Opening brace missing"),
            ("<p>{{ user.name() }}</p>", 1, 4, "is no tag"),
            ("<p>{{a|b|c}}</p>", 1, 4, "single braces"),
            ("<p>{{}}</p>", 1, 4, "is no tag"),
            ("<p>{{AI:say it</p>", 1, 4, "Closing braces missing: the AI tag opened at line 1, column 4"),
            ("<p>{{AI: |x}}</p>", 1, 4, "asks nothing"),
            ("<p>x</p>\n<a href='x>y</a>", 2, 10, "Closing quote missing"),
            ("<p>x</p\n", 1, 5, "has no “>”"),
            ("<!-- x", 1, 1, "has no end"),
            ("<style>p{", 1, 1, "has no end"),
            ("<p title={{NAME}}>x</p>", 1, 10, "in quotes"),
            ("<p {{NAME}}>x</p>", 1, 1, "outside the quotes"),
            ('<p onclick="f({{NAME}})">x</p>', 1, 15, "it would be run"),
        ],
    )
    def test_an_error_says_where_and_what_to_mend(self, text, line, column, words):
        found = error(text)
        assert (found.line, found.column) == (line, column)
        assert words in found.message
        assert found.message.endswith(".")

    def test_the_unsubscribe_link_cannot_stand_in_a_subject(self):
        assert "cannot stand in a subject" in error("{{UNSUBSCRIBE_URL}}", "subject").message

    def test_all_errors_come_at_once_in_order(self):
        found = faults("<p>{{FIRST_NAM}} {{x y!}} } {a|b</p>\n{{city}}", ["City"], where="body", field="steps[0].body")
        assert [fault.code for fault in found] == ["unknown_tag", "template", "template", "template"]
        assert {fault.field for fault in found} == {"steps[0].body"}
        assert "did you mean {{FIRST_NAME}}?" in found[0].message

    def test_nobody_reads_more_than_fifty_errors(self):
        assert len(faults("}" * 1_000, [], where="body")) == 50


class TestBounds:
    @pytest.mark.parametrize(
        "text",
        [
            "{" * 1_000,
            "{" * 1_000 + "}" * 1_000,
            "{a|" * 1_000 + "b" + "}" * 1_000,
            "{{" * 1_000,
            "{" * 10_000_000,
            "<a " * 3_000_000,
            "{{AI:" * 90_000,
        ],
    )
    def test_deep_or_long_texts_are_refused_quickly_with_a_sentence(self, text):
        started = time.process_time()
        assert error(text).message.endswith(".")
        assert time.process_time() - started < 2

    @pytest.mark.parametrize(
        "unit",
        [
            "<a b='c'>",
            "<",
            "&nbsp;",
            "<br>\n",
            '<p style="{a|b}">',
            "<!---->",
            " ",
            "<a href=x>y</a>",
            "<b> </b>",
            "&#10; ",
        ],
    )
    def test_time_grows_with_the_length_alone(self, unit):
        text = "<p>" + unit * (100_000 // len(unit))
        started = time.process_time()
        body(text)
        assert time.process_time() - started < 3

    @pytest.mark.parametrize("unit", ["{a|b}", "{x}", "{{NAME}}", "{ | }", "{a}}", "<p title='{{NAME}}'>"])
    def test_there_may_be_thousands_of_tags_and_groups_and_no_more(self, unit):
        assert unit == "{a}}" or body(unit * 5_000)
        assert faults(unit * 10_000, [], where="body")


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("{}|<>\"'= \n/aAI:!-")))
def test_any_text_is_a_tree_or_errors_that_are_sentences(text):
    for where in ("subject", "body"):
        found = faults(text, ["a"], where=where)
        assert all(fault.message[-1] in ".?" for fault in found)
        if not any(fault.code == "template" for fault in found):
            assert parse(text, where=where).where == where
