import email
import email.policy
import json

import dkim as oracle

from cleanmails.bench import render
from cleanmails.mail import dkim


def test_both_sides_make_the_same_kind_of_mail():
    pem, public = dkim.generate_key()
    for make in (render.ours(pem), render.naive(pem)):
        raw = make(render.person(1))
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert [part.get_content_type() for part in message.walk()] == [
            "multipart/alternative",
            "text/plain",
            "text/html",
        ]
        markup = message.get_body(("html",)).get_payload(decode=True)
        assert markup.count(b"/link/") == 5
        assert markup.count(b"/pixel.png") == 1
        assert oracle.verify(raw, dnsfunc=lambda *_, **__: dkim.dns_record(public).encode())
    assert 3_800 < len(render.BODY) < 4_300


def test_the_figures_are_one_json_object(capsys):
    assert render.main(["--json", "--mails", "60"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures.keys() == {"cpu_us_per_mail", "naive_cpu_us_per_mail", "ratio", "rsa_cpu_us", "conditions"}
    assert figures["ratio"] > 3
    assert figures["rsa_cpu_us"] < figures["cpu_us_per_mail"] < figures["naive_cpu_us_per_mail"]
    assert figures["conditions"]["mails"] == 60


def test_the_figures_can_be_read(capsys):
    assert render.main(["--mails", "10"]) == 0
    assert "times as much" in capsys.readouterr().out
