import base64
import contextlib
import email
import email.policy
import json
import signal
import smtplib
import subprocess
import sys

import dkim
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from litestar.testing import TestClient

from cleanmails.demo import catcher
from cleanmails.demo.catcher import letter, web
from cleanmails.demo.zone import Zone, serving
from cleanmails.mail.dns import Resolver

MAIL = (
    "From: Ann <ann@out.example>\r\nTo: Bob <bob@corp.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    "Message-ID: <1@out.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain wörds\r\n"
    "--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    '<p>rich wörds <img src="http://127.0.0.1:1/pixel.png"><script>alert(1)</script></p>\r\n--b--\r\n'
).encode()


@pytest.fixture
def zone():
    return Zone()


@pytest.fixture
def running():
    with catcher.running() as running:
        yield running


@pytest.fixture
def client(running, zone):
    with TestClient(web.create_app(running, zone), base_url="http://127.0.0.1") as client:
        yield client


def keep(running, raw=MAIL, *, mail_from="ann@out.example", recipient="bob@corp.example", told="250 ok"):
    return running.store.add(mail_from, recipient, raw, received_at=1_790_000_000.0, told=told)


def test_an_empty_catcher_says_so(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "No mail yet." in page.text


def test_the_newest_mails_come_first_page_by_page(client, running):
    for number in range(120):
        keep(running, recipient=f"lead{number}@corp.example")
    first = client.get("/")
    assert "lead119@" in first.text
    assert "lead70@" in first.text
    assert "lead69@" not in first.text
    second = client.get("/", params={"before": 71})
    assert "lead69@" in second.text
    assert "lead70@" not in second.text
    assert "before=71" in first.text
    last = client.get("/", params={"before": 21})
    assert "lead0@" in last.text
    assert "Older" not in last.text


def test_a_search_finds_senders_and_recipients_by_a_part_in_any_case(client, running):
    keep(running, recipient="Carol@north.example")
    keep(running, mail_from="carol@out.example", recipient="dave@south.example")
    keep(running)
    found = client.get("/", params={"address": "CAROL@"}).text
    assert "Carol@north.example" in found
    assert "dave@south.example" in found
    assert "bob@corp.example" not in found
    assert "No mail from or to" in client.get("/", params={"address": "<nobody>"}).text


def test_a_mail_is_shown_with_its_head_and_every_view(client, running):
    number = keep(running)
    page = client.get(f"/mails/{number}").text
    assert "Grüße" in page
    assert "Ann &lt;ann@out.example&gt;" in page
    assert f'src="/mails/{number}/html"' in page
    assert 'sandbox="allow-popups' in page
    assert "plain wörds" in client.get(f"/mails/{number}?view=text").text
    assert "multipart/alternative" in client.get(f"/mails/{number}?view=headers").text
    assert "&lt;script&gt;" in client.get(f"/mails/{number}?view=raw").text
    assert "not signed" in page


def test_the_mails_own_page_runs_nothing_and_fetches_nothing_unasked(client, running):
    number = keep(running)
    page = client.get(f"/mails/{number}/html")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups")
    assert "script" not in policy
    assert "img-src data:" in policy
    assert "http:" not in policy
    assert "http:" in client.get(f"/mails/{number}/html?images=true").headers["content-security-policy"]
    assert "rich wörds" in page.text


def test_our_own_pages_have_no_script_and_take_their_style_from_a_file(client, running):
    keep(running)
    for path in ("/", "/mails/1"):
        page = client.get(path)
        assert "script" not in page.headers["content-security-policy"]
        assert "<script" not in page.text
        assert "style=" not in page.text
    assert "text/css" in client.get("/static/catcher.css").headers["content-type"]


def test_what_the_sender_never_heard_is_marked(client, running):
    keep(running, told="")
    assert "sender heard nothing" in client.get("/").text


def test_mails_are_listed_as_json_and_given_as_they_came(client, running):
    numbers = [keep(running) for _ in range(3)]
    listed = client.get("/api/mails").json()
    assert [mail["id"] for mail in listed] == numbers
    assert (listed[0]["message_id"], listed[0]["subject"]) == ("<1@out.example>", "Grüße")
    assert [mail["id"] for mail in client.get("/api/mails", params={"after": numbers[0]}).json()] == numbers[1:]
    assert [mail["id"] for mail in client.get("/api/mails", params={"limit": 1}).json()] == numbers[:1]
    raw = client.get(f"/api/mails/{numbers[0]}/raw")
    assert raw.content == MAIL
    assert raw.headers["content-type"] == "message/rfc822"
    assert client.get("/api/duplicates").json() == [
        {"message_id": "<1@out.example>", "recipient": "bob@corp.example", "count": 3}
    ]


@pytest.mark.parametrize(
    "path", ["/mails/7", "/mails/7/html", "/api/mails/7/raw", "/api/mails/7/signatures", "/mails/x", "/none"]
)
def test_what_is_not_there_is_not_found(client, path):
    assert client.get(path).status_code == 404


def test_records_are_published_over_http_and_replace_each_other(client, zone):
    for value in ("old", "new"):
        assert (
            client.post("/api/zone", json={"name": "out.example", "kind": "TXT", "values": [value]}).status_code == 204
        )
    assert zone.texts("out.example") == [b"new"]
    alias = {"name": "track.out.example", "kind": "CNAME", "values": ["app.example"]}
    assert client.post("/api/zone", json=alias).status_code == 204
    with serving(zone) as port:
        assert Resolver([("127.0.0.1", port)]).cname("track.out.example").values == ("app.example",)


@pytest.mark.parametrize(
    "record",
    [
        {"name": "out.example", "kind": "MX", "values": ["no preference"]},
        {"name": "out.example", "kind": "LUNCH", "values": ["x"]},
        {"name": "a..b", "kind": "TXT", "values": ["x"]},
        {"name": "out.example", "kind": "A", "values": ["1.2.3"]},
    ],
)
def test_what_is_no_record_is_refused(client, zone, record):
    assert client.post("/api/zone", json=record).status_code == 400
    assert zone.texts("out.example") == []


def test_behaviours_are_changed_over_http(client, running):
    rules = {"rules": [{"match": "*", "do": "refuse-rcpt-550"}]}
    assert client.post("/api/behaviours", json=rules).status_code == 204
    assert running.behaviour("ann@out.example", "bob@corp.example").number == 550
    assert client.post("/api/behaviours", json={"rules": []}).status_code == 204
    assert running.behaviour("ann@out.example", "bob@corp.example") is None
    assert client.post("/api/behaviours", json={"rules": [{"match": "*", "do": "explode"}]}).status_code == 400


@pytest.mark.parametrize("host", ["evil.example", "192.0.2.1", ""])
def test_only_the_loopback_address_is_answered(client, host):
    assert client.get("/", headers={"host": host}).status_code == 403
    assert client.post("/api/behaviours", json={"rules": []}, headers={"host": host}).status_code == 403


def test_a_form_on_another_site_cannot_change_anything(client):
    forged = client.post(
        "/api/behaviours",
        content='{"rules": [], "x": "="}',
        headers={"content-type": "text/plain", "origin": "http://evil.example"},
    )
    assert forged.status_code >= 400


OUT = MAIL.replace(
    b"Subject:",
    b"Reply-To: ann@out.example\r\nReferences: <0@out.example>\r\n"
    b"List-Unsubscribe: <https://out.example/u/1>, <mailto:ann@out.example?subject=unsubscribe>\r\nSubject:",
)
OUR_PAGE = {"sec-fetch-site": "same-origin"}


def answered(running, number=1):
    """What lies in the sender's inbox."""
    return email.message_from_bytes(running.boxes.raw("ann@out.example", "INBOX", number), policy=email.policy.default)


def test_a_button_at_a_mail_puts_a_reply_into_the_senders_inbox(client, running):
    number = keep(running, OUT)
    form = {"kind": "reply", "text": "Call me äh tomorrow.", "until": ""}
    page = client.post(f"/mails/{number}/answer", data=form, headers=OUR_PAGE)
    assert page.status_code == 200
    assert "A reply is in the inbox of ann@out.example" in page.text
    reply = answered(running)
    assert (reply["From"], reply["To"], reply["Subject"]) == ("bob@corp.example", "ann@out.example", "Re: Grüße")
    assert reply["In-Reply-To"] == "<1@out.example>"
    assert reply["References"] == "<0@out.example> <1@out.example>"
    assert "Call me äh tomorrow." in reply.get_content()
    assert reply["Auto-Submitted"] is None


def test_every_button_sends_what_it_says(client, running):
    number = keep(running, OUT)
    for kind in ("bounce", "away", "unsubscribe", "complain"):
        asked = {"kind": kind, "until": "2027-01-11"} if kind == "away" else {"kind": kind}
        assert client.post(f"/api/mails/{number}/answer", json=asked).status_code == 204
    bounce, away, leave, complaint = (answered(running, uid) for uid in (1, 2, 3, 4))
    assert (bounce.get_content_type(), bounce.get_param("report-type")) == ("multipart/report", "delivery-status")
    [_, status, head] = bounce.iter_parts()
    assert "Final-Recipient: rfc822; bob@corp.example" in status.as_string()
    assert "Message-ID: <1@out.example>" in head.as_string()
    assert away["Auto-Submitted"] == "auto-replied"
    assert "back on 11 January 2027" in away.get_content()
    assert (leave["From"], leave["To"], leave["Subject"]) == ("bob@corp.example", "ann@out.example", "unsubscribe")
    assert complaint.get_param("report-type") == "feedback-report"
    assert "Feedback-Type: abuse" in complaint.as_string()
    assert "Message-ID: <1@out.example>" in complaint.as_string()
    assert len({message["Message-ID"] for message in (bounce, away, leave, complaint)}) == 4


@pytest.mark.parametrize(
    ("raw", "asked"),
    [
        (MAIL, {"kind": "unsubscribe"}),
        (b"Subject: nobody\r\n\r\nx", {"kind": "reply"}),
        (MAIL, {"kind": "dance"}),
        (MAIL, {"kind": "away", "until": "soon"}),
    ],
)
def test_what_cannot_be_answered_is_said(client, running, raw, asked):
    number = keep(running, raw)
    assert client.post(f"/api/mails/{number}/answer", json=asked).status_code == 400
    assert client.post(f"/mails/{number}/answer", data=asked, headers=OUR_PAGE).status_code == 400
    assert not running.boxes.entries("ann@out.example", "INBOX")


def test_no_other_site_presses_a_button(client, running):
    number = keep(running, OUT)
    for headers in ({}, {"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}):
        assert client.post(f"/mails/{number}/answer", data={"kind": "reply"}, headers=headers).status_code == 403
    assert not running.boxes.exists("ann@out.example")


def test_who_has_a_mailbox_finds_a_copy_of_what_he_sent(running):
    running.boxes.open("ann@out.example")
    with smtplib.SMTP("127.0.0.1", running.port) as smtp:
        for sender in ("ann@out.example", "ben@out.example"):
            smtp.sendmail(sender, ["bob@corp.example"], MAIL)
    [entry] = running.boxes.entries("ann@out.example", "Sent")
    assert running.boxes.raw("ann@out.example", "Sent", entry.uid) == MAIL
    assert not running.boxes.exists("ben@out.example")


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signed(key, raw=MAIL):
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return dkim.sign(raw, b"cm1", b"out.example", private) + raw


def public(key):
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


def test_a_signature_is_verified_by_the_key_in_the_zone(client, running, zone, key):
    good, changed = keep(running, signed(key)), keep(running, signed(key).replace(b"plain", b"plane"))
    assert not client.get(f"/api/mails/{good}/signatures").json()[0]["holds"]
    zone.add("cm1._domainkey.out.example", "TXT", public(key))
    assert client.get(f"/api/mails/{good}/signatures").json() == [
        {"domain": "out.example", "holds": True, "reason": ""}
    ]
    assert not client.get(f"/api/mails/{changed}/signatures").json()[0]["holds"]
    assert '<span class="good">pass</span>' in client.get(f"/mails/{good}").text
    assert '<span class="bad">fail</span>' in client.get(f"/mails/{changed}").text


def test_every_signature_is_judged_by_itself(zone, key):
    zone.add("cm1._domainkey.out.example", "TXT", public(key))
    twice = b"DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=x; h=from; bh=x; b=y\r\n" + signed(key)
    found = letter.read(twice, zone.texts).signatures
    assert [(one.domain, one.holds) for one in found] == [("other.example", False), ("out.example", True)]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"no header at all",
        b"Content-Type: text/html; charset=klingon\r\n\r\n<p>\xff</p>",
        b"Content-Type: multipart/mixed; boundary=\r\n\r\nx",
        b"Subject: =?utf-8?b?A?= =?klingon?q?x?=\r\n\r\nx",
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!",
        b"From: \xff\xfe <a@\r\nSubject: =?utf-8?b?!?=\r\nDate: =\r\nTo: ,,,;:<\r\n\r\nx",
        b"DKIM-Signature: rubbish\r\nDKIM-Signature:\r\n\r\nx",
        b"Message-ID: <[x\r\nReferences: <\r\nContent-Disposition: ;;\r\n\r\nx",
    ],
)
def test_a_broken_mail_is_shown_all_the_same(client, running, raw):
    number = keep(running, raw)
    for view in web.VIEWS:
        assert client.get(f"/mails/{number}?view={view}").status_code == 200
    assert client.get(f"/mails/{number}/html").status_code == 200


@contextlib.contextmanager
def process(folder):
    """The catcher as a process on any free ports; gives the ports. It ends as a process manager ends it."""
    line = [sys.executable, "-m", "cleanmails.demo.catcher", "--folder", str(folder)]
    line += ["--smtp-port", "0", "--http-port", "0", "--dns-port", "0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as started:
        try:
            assert started.stdout is not None
            yield json.loads(started.stdout.readline())
        finally:
            started.send_signal(signal.SIGTERM)
            assert b"Traceback" not in started.communicate(timeout=60)[0]


def test_as_a_process_it_takes_mail_answers_for_names_and_outlives_a_restart(tmp_path):
    with process(tmp_path) as ports:
        with smtplib.SMTP("127.0.0.1", ports["smtp"]) as client:
            client.sendmail("ann@out.example", ["bob@corp.example"], MAIL)
        record = {"name": "out.example", "kind": "TXT", "values": ["here"]}
        httpx.post(f"http://127.0.0.1:{ports['http']}/api/zone", json=record, timeout=60).raise_for_status()
        assert Resolver([("127.0.0.1", ports["dns"])], timeout=60).mx("any.example").hosts == ("mx.example",)
    with process(tmp_path) as ports:
        assert len(httpx.get(f"http://127.0.0.1:{ports['http']}/api/mails", timeout=60).json()) == 1
        assert Resolver([("127.0.0.1", ports["dns"])], timeout=60).txt("out.example").values == ("here",)
