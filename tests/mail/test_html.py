import pytest

from cleanmails.mail.html import dress
from cleanmails.records import LinkSlot, Resolved

URL = "https://u.example/unsubscribe/t?a=1&b=2"


def body(markup="<p>Hi</p>", text="Hi", **more):
    return Resolved(pieces=(markup,), text=text, **more)


def test_a_body_alone_stays_as_it_is():
    dressed = dress(body())
    assert (dressed.html, dressed.text) == ("<p>Hi</p>", "Hi\n")


def test_links_are_wrapped_by_number_in_the_html_and_not_in_the_text():
    pieces = ('<a href="', "https://a.example/?x=1&amp;y=2", '">a</a><a href="', "https://b.example", '">b</a>')
    links = (LinkSlot(1, "https://a.example/?x=1&y=2", 1), LinkSlot(3, "https://b.example", 3))
    asked = []

    def wrap(number, url):
        asked.append((number, url))
        return f'https://t.example/{number}?"&'

    dressed = dress(Resolved(pieces=pieces, text="a <https://a.example/?x=1&y=2>", links=links), wrap=wrap)
    assert (
        dressed.html == '<a href="https://t.example/1?&quot;&amp;">a</a><a href="https://t.example/3?&quot;&amp;">b</a>'
    )
    assert dressed.text == "a <https://a.example/?x=1&y=2>\n"
    assert asked == [(1, "https://a.example/?x=1&y=2"), (3, "https://b.example")]


def test_the_footer_has_the_link_and_the_postal_address_in_both_parts():
    dressed = dress(body(), unsubscribe_url=URL, postal_address="Example & Co\n1 Main Street\r\n\n")
    assert 'href="https://u.example/unsubscribe/t?a=1&amp;b=2"' in dressed.html
    assert "Example &amp; Co<br>1 Main Street<br>" in dressed.html
    assert dressed.text == f"Hi\n\n-- \nExample & Co\n1 Main Street\nUnsubscribe: {URL}\n"


def test_a_link_that_the_author_placed_is_not_placed_again():
    dressed = dress(body(unsubscribe=True), unsubscribe_url=URL, postal_address="1 Main Street")
    assert URL not in dressed.text
    assert "Unsubscribe" not in dressed.html
    assert "1 Main Street" in dressed.html


def test_the_pixel_is_the_last_thing_and_needs_no_footer():
    dressed = dress(body(), pixel_url="https://t.example/p.png?a&b")
    assert (
        dressed.html
        == '<p>Hi</p><img src="https://t.example/p.png?a&amp;b" width="1" height="1" alt="" style="border:0">'
    )


@pytest.mark.parametrize("end", ["</body></html>", "</BODY>\n</HTML>\n", "</html>", "</body >"])
def test_what_is_added_stands_inside_the_page(end):
    dressed = dress(body(f"<html><body><p>Straße</p>{end}"), unsubscribe_url=URL, pixel_url="https://t.example/p.png")
    assert dressed.html.endswith(end)
    assert dressed.html.index(URL.partition("?")[0]) < dressed.html.index("p.png") < dressed.html.index(end)
