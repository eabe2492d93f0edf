import email
import email.policy
from datetime import UTC, datetime, timedelta, timezone
from email.header import decode_header, make_header
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.errors import InvalidError
from cleanmails.mail.html import dress
from cleanmails.mail.message import Letter, compose, fingerprint, message_id, wire_address
from cleanmails.rules.content import Seed, lead_fields, parse, resolve_body

DATE = datetime(2026, 3, 1, 9, 5, 7, tzinfo=UTC)
ANY_TEXT = st.text(st.characters(), max_size=300)  # lone surrogates and controls included

GOLDEN = Path(__file__).parent / "golden"


def letter(**changed):
    fields = {
        "message_id": "<token@sender.example>",
        "date": DATE,
        "sender_name": "Ann",
        "sender_address": "ann@sender.example",
        "recipient_address": "ada@lead.example",
        "subject": "Quick question",
        "html": "<p>Hello</p>\n",
        "text": "Hello\n",
    }
    return Letter(**(fields | changed))


def parsed(mail) -> EmailMessage:
    message = email.message_from_bytes(compose(mail).raw, policy=email.policy.default)
    assert not message.defects
    return message


def parts(mail):
    message = parsed(mail)
    assert message.get_content_type() == "multipart/alternative"
    plain, markup = message.iter_parts()
    assert (plain.get_content_type(), markup.get_content_type()) == ("text/plain", "text/html")
    assert not plain.defects
    assert not markup.defects
    return plain, markup


def assert_well_formed(raw):
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\0" not in raw
    assert max(map(len, raw.split(b"\r\n"))) < 998


class TestHeaders:
    def test_a_personal_mail_has_these_headers_and_no_others(self):
        assert parsed(letter()).keys() == [
            "Date",
            "From",
            "To",
            "Subject",
            "Message-ID",
            "MIME-Version",
            "Content-Type",
        ]

    def test_all_that_may_vary_comes_through(self):
        mail = parsed(
            letter(
                recipient_name="Ada Byron",
                in_reply_to="<1@sender.example>",
                references=tuple(f"<{n}.{'x' * 40}@sender.example>" for n in range(5)),
                reply_to="answers@sender.example",
                unsubscribe_url="https://u.example/unsubscribe/token",
                unsubscribe_mailto="ann@sender.example",
                feedback_id="12:3:outreach:sender",
            )
        )
        assert mail["To"] == "Ada Byron <ada@lead.example>"
        assert mail["In-Reply-To"] == "<1@sender.example>"
        assert len(mail["References"].split()) == 5
        assert mail["Reply-To"] == "answers@sender.example"
        assert (
            mail["List-Unsubscribe"]
            == "<https://u.example/unsubscribe/token>, <mailto:ann@sender.example?subject=unsubscribe>"
        )
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert mail["Feedback-ID"] == "12:3:outreach:sender"

    def test_one_click_is_offered_only_with_an_address_to_post_to(self):
        assert "List-Unsubscribe-Post" not in parsed(letter(unsubscribe_mailto="ann@sender.example"))

    def test_an_address_with_signs_of_links_in_it_can_be_unsubscribed_from_by_mail(self):
        """RFC 6068, 2: an address may hold what ends one in a link."""
        field = parsed(letter(unsubscribe_mailto="ann?50%&o'neil+x@sender.example"))["List-Unsubscribe"]
        link = urlsplit(field.strip("<>"))
        assert (unquote(link.path), link.query) == ("ann?50%&o'neil+x@sender.example", "subject=unsubscribe")

    def test_the_date_is_given_in_utc(self):
        east = timezone(timedelta(hours=5, minutes=30))
        assert parsed(letter(date=DATE.astimezone(east)))["Date"] == "Sun, 01 Mar 2026 09:05:07 +0000"
        with pytest.raises(InvalidError):
            compose(letter(date=DATE.replace(tzinfo=None)))

    @pytest.mark.parametrize(
        "text",
        [
            "Grüße aus Köln",
            "你好，一个问题 " * 12,
            "مرحبا",
            "Привет, Ада",
            "नमस्ते",
            "👩‍👩‍👧 hi",
            "a =?utf-8?q?b?= c",
            "x" * 200,
            "word " * 60 + "end",
            "e\u0301" * 80,
        ],
    )
    def test_a_subject_in_any_language_comes_through_on_short_lines(self, text):
        raw = compose(letter(subject=text, recipient_name=text)).raw
        head = raw.partition(b"\r\n\r\n")[0]
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert message["Subject"] == text.strip()
        # The library's new parser leaves blanks between the encoded words of a name; its old one knows better (RFC 2047, 6.2).
        to = email.message_from_bytes(raw)["To"].replace("\r\n", "")
        assert str(make_header(decode_header(to))).replace('"', "") == f"{text.strip()} <ada@lead.example>"
        assert message["To"].addresses[0].addr_spec == "ada@lead.example"
        assert head.isascii()
        assert max(map(len, head.split(b"\r\n"))) <= 78

    @pytest.mark.parametrize(
        "name",
        [
            'Dr. "Ada" Byron',
            "Byron, Ada",
            "a\\b",
            "ada@evil.example",
            "<x@evil.example>",
            "Ada (x)",
            "a,b@evil.example,c",
        ],
    )
    def test_a_name_is_never_taken_for_an_address(self, name):
        mail = parsed(letter(recipient_name=name, sender_name=name))
        for field in ("To", "From"):
            assert [address.display_name for address in mail[field].addresses] == [name]
        assert mail["To"].addresses[0].addr_spec == "ada@lead.example"

    @settings(deadline=None)
    @given(subject=ANY_TEXT, name=ANY_TEXT)
    @pytest.mark.asvs("1.3.11")
    def test_no_text_adds_a_header_or_a_recipient(self, subject, name):
        mail = compose(letter(subject=subject, recipient_name=name, sender_name=name))
        message = email.message_from_bytes(mail.raw, policy=email.policy.default)
        assert message.keys() == ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"]
        assert [address.addr_spec for address in message["To"].addresses] == ["ada@lead.example"]
        assert [address.addr_spec for address in message["From"].addresses] == ["ann@sender.example"]
        assert_well_formed(mail.raw)

    @pytest.mark.parametrize("field", ["message_id", "in_reply_to", "feedback_id", "unsubscribe_url"])
    @pytest.mark.parametrize("value", ["<a@b>\r\nBcc: x@evil.example", "ü", "a\tb", "a" * 1_000, "\ud800"])
    def test_values_of_our_own_that_cannot_stand_in_a_header_are_refused(self, field, value):
        with pytest.raises(InvalidError):
            compose(letter(**{field: value}))


class TestAddresses:
    def test_a_domain_is_written_in_a_labels(self):
        assert wire_address("ada@MÜNCHEN.example") == "ada@xn--mnchen-3ya.example"
        assert wire_address("Ada.B+x@Lead.Example") == "Ada.B+x@lead.example"

    @pytest.mark.parametrize(
        "address",
        [
            *(
                "",
                "ada",
                "@lead.example",
                "ada@",
                "a b@lead.example",
                "ada@lead..example",
                "ada@-lead.example",
                "a@b@lead.example",
            ),
            *(
                "ada@lead.example\r\nBcc: x@evil.example",
                "a,b@lead.example",
                "<ada@lead.example>",
                "ada@lead.example,x@evil.example",
            ),
            *(
                f"{'a' * 65}@lead.example",
                f"ada@{'a' * 64}.example",
                f"ada@{'a.' * 127}example",
                "ada@lead_x.example",
                ".a@lead.example",
            ),
            *(
                "ada\ud800@lead.example",
                "ada@\u200b.example",
                "a\x00@lead.example",
                '"a b"@lead.example',
                "a" * 10_000_000,
                "a@" + "ü" * 10_000_000,
            ),
        ],
    )
    def test_what_is_no_address_is_refused_with_a_sentence(self, address):
        for refused in (lambda: wire_address(address), lambda: compose(letter(recipient_address=address))):
            with pytest.raises(InvalidError) as caught:
                refused()
            assert caught.value.faults[0].message.endswith("no address that a mail can be sent to.")
            assert len(caught.value.faults[0].message) < 200

    def test_a_local_part_beyond_ascii_needs_smtputf8(self):
        plain, international = (
            compose(letter(recipient_address="ada@münchen.example")),
            compose(letter(recipient_address="adä@lead.example")),
        )
        assert not plain.needs_smtputf8
        assert international.needs_smtputf8
        assert "adä@lead.example".encode() in international.raw

    def test_a_message_id_is_on_the_senders_domain(self):
        assert (
            message_id(b"\x00\xff" * 8, "Müller.example") == "<00ff00ff00ff00ff00ff00ff00ff00ff@xn--mller-kva.example>"
        )


class TestParts:
    @pytest.mark.parametrize(
        ("text", "encoding"),
        [
            ("plain words\n", "7bit"),
            ("Grüße, and a good many plain words\n", "quoted-printable"),
            ("long " * 300, "quoted-printable"),
            ("a\nFrom here on\n", "base64"),
            ("你好，这是一封信。\n" * 5, "base64"),
            (".\n..\n-- \ntrailing \n", "7bit"),
            ("", "7bit"),
        ],
    )
    def test_the_plainest_encoding_that_is_safe_is_taken(self, text, encoding):
        plain, markup = parts(letter(text=text, html=text))
        for part in (plain, markup):
            assert part["Content-Transfer-Encoding"] == encoding
            assert part.get_payload(decode=True).decode().replace("\r\n", "\n") == text

    @settings(deadline=None)
    @given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=2_000))
    def test_any_words_come_through_unharmed(self, text):
        mail = letter(text=text, html=text)
        assert_well_formed(compose(mail).raw)
        for part in parts(mail):
            assert part.get_payload(decode=True).decode().replace("\r\n", "\n") == text

    def test_lone_line_breaks_become_lines(self):
        plain, _ = parts(letter(text="a\rb\nc\r\nd"))
        assert plain.get_payload(decode=True) == b"a\r\nb\r\nc\r\nd"

    def test_a_mail_of_megabytes_is_still_a_mail(self):
        mail = letter(
            text="\0\ud800\u2028" * 500_000,
            html="<" * 10_000_000,
            subject="s" * 10_000_000,
            recipient_name="é" * 10_000_000,
        )
        raw = compose(mail).raw
        assert_well_formed(raw)
        assert len(raw) < 24_000_000


class TestSameness:
    def test_the_same_letter_gives_the_same_bytes(self):
        assert compose(letter()) == compose(letter())

    def test_the_fingerprint_leaves_out_date_and_signature_alone(self):
        raw = compose(letter()).raw
        later = compose(letter(date=DATE + timedelta(days=1))).raw
        signed = b"DKIM-Signature: v=1; a=b;\r\n b=x\r\n y\r\n" + later
        assert raw != later
        assert fingerprint(raw) == fingerprint(later) == fingerprint(signed)
        assert fingerprint(raw) != fingerprint(compose(letter(subject="Other")).raw)
        assert fingerprint(raw) != fingerprint(compose(letter(text="Date: x\r\nHello\r\n")).raw)


def tracked():
    """A body with its links wrapped, the pixel and the footer, as a campaign that tracks sends it."""
    template = parse(
        '<html><body><p>Hi {{FIRST_NAME}}, see <a href="https://shop.example/?a=1&amp;b=2">the shop</a> or'
        ' <a href="mailto:ann@sender.example">write</a>.</p></body></html>',
        where="body",
    )
    body = resolve_body(template, lead_fields(email="ada@lead.example", first_name="Ada"), Seed.of(1, 2, 0))
    dressed = dress(
        body,
        unsubscribe_url="https://u.example/unsubscribe/t",
        postal_address="1 Main Street",
        wrap=lambda number, _: f"https://u.example/t/token/link/{number}",
        pixel_url="https://u.example/t/token/pixel.png",
        decoy_url="https://u.example/t/token/link/0",
    )
    return letter(
        html=dressed.html,
        text=dressed.text,
        unsubscribe_url="https://u.example/unsubscribe/t",
        feedback_id="7:1:0:acmeco",
    )


@pytest.mark.parametrize("name", ["plain", "languages", "reply", "tracked"])
def test_golden_mails_do_not_change(name):
    mails = {
        "plain": letter(unsubscribe_url="https://u.example/unsubscribe/t", unsubscribe_mailto="ann@sender.example"),
        "languages": letter(
            sender_name="Jürgen Müller",
            recipient_name="李小龙",
            recipient_address="bruce@例え.example",
            subject="Grüße — 你好",
            text="Schöne Grüße\n-- \nJürgen\n",
            html="<p>你好，这是一封信。</p>",
        ),
        "reply": letter(
            subject="Re: " + "a subject of many words " * 5,
            in_reply_to="<2@sender.example>",
            references=("<1@sender.example>", "<2@sender.example>"),
            html=f"<p>{'one long line ' * 80}</p>",
        ),
        "tracked": tracked(),
    }
    golden = (GOLDEN / f"{name}.eml").read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert compose(mails[name]).raw == golden
