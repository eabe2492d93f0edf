"""Addresses: what is taken, in which form, and that the quick check never says more than the full one."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from cleanmails.rules import address

LABELS = st.text("abcxyz019-", min_size=1, max_size=12)
LOCALS = st.text("abcXYZ019_+-.", min_size=1, max_size=20)
TOPS = st.sampled_from(["com", "example", "test", "io", "local", "invalid", "onion", "arpa", "localhost", "c1", "x"])


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada.Lovelace+list@Mail.Example.COM ", "ada.lovelace+list@mail.example.com"),
        ("o'brien@example.org", "o'brien@example.org"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@lab.test", "ada@lab.test"),
        (f"{'a' * 64}@example.com", f"{'a' * 64}@example.com"),
    ],
)
def test_an_address_has_one_written_form(text, form):
    assert address.normal(text) == form
    assert address.normal(form) == form


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "ada", "ada@", "@example.com", "ada@example", "ada@test", "a@b@example.com", "ada@example..com", ".ada@example.com", "ada@-x.com",
        "ada lovelace@example.com", "Ada <ada@example.com>", "<ada@example.com>", '"a b"@example.com', "ada@[127.0.0.1]", "ada@printer.local",
        "ada@x.invalid", "jürgen@example.com", "ada@exam\x00ple.com", "ada\x00@example.com", "ada@example.com\nbcc: x@example.com", f"{'a' * 65}@example.com",
        f"ada@{'x' * 64}.com", "a" * 100_000 + "@example.com", "ada@ab--cd.example", "ada@example.c1", "ada@\u212aelvin", "ada@example.com,bob@example.com",
    ],
)  # fmt: skip
def test_what_cannot_be_mailed_is_refused_with_a_sentence(text):
    with pytest.raises(address.AddressError, match=r"\.$"):
        address.normal(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Ada@Example.com", "ada@example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("JÜRGEN@example.com", "jürgen@example.com"),
        ("Ju\u0308rgen@Bücher.example", "jürgen@xn--bcher-kva.example"),
        ("李小龙@例え.example", "李小龙@xn--r8jz45g.example"),
    ],
)
def test_a_recipient_may_be_written_in_any_script(text, form):
    assert address.recipient(text) == form
    assert address.recipient(form) == form


@pytest.mark.parametrize(
    "text", ["", "jürgen", "jürgen@", "jürgen@example", "a b@bücher.example", "jür\ngen@example.com", "\u212aelvin@example.com", "ü" * 65 + "@example.com",
             "\u202eadü@example.com", "ü" * 100_000 + "@example.com"],
)  # fmt: skip
def test_a_recipient_that_cannot_be_is_refused(text):
    with pytest.raises(address.AddressError, match=r"\.$"):
        address.recipient(text)


@given(local=st.text(max_size=20))
def test_one_form_is_found_again(local):
    try:
        form = address.recipient(f"{local}@example.com")
    except address.AddressError:
        return
    assert address.recipient(form) == form


def test_a_kelvin_sign_is_no_k():
    # str.lower() makes a plain k of it: an address must not change its owner that way.
    assert address.normal("ada@\u212aelvin.example") == "ada@kelvin.example"  # IDNA itself maps it in a domain
    with pytest.raises(address.AddressError):
        address.normal("\u212aelvin@example.com")


@given(local=LOCALS, labels=st.lists(LABELS, min_size=1, max_size=4), top=TOPS)
@example(local="a", labels=["a-b"], top="local")
def test_the_quick_check_says_what_the_full_one_says(local, labels, top):
    text = f"{local}@{'.'.join(labels)}.{top}"
    try:
        expected = validate_email(
            text, check_deliverability=False, allow_smtputf8=False, strict=True, test_environment=True
        ).ascii_email.lower()
    except EmailNotValidError:
        expected = None
    try:
        found = address.normal(text)
    except address.AddressError:
        found = None
    assert found == expected


@pytest.mark.parametrize(
    ("text", "form"),
    [("Example.COM", "example.com"), ("@example.com", "example.com"), (" bücher.example", "xn--bcher-kva.example")],
)
def test_a_domain_is_written_like_the_end_of_an_address(text, form):
    assert address.domain(text) == form


@pytest.mark.parametrize(
    "text", ["", "@", "com", "a@example.com", "*.example.com", "http://example.com", "example.com/x"]
)
def test_what_is_no_domain_is_refused(text):
    with pytest.raises(address.AddressError):
        address.domain(text)
