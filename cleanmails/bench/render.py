"""What one mail costs: from a lead's values to signed bytes, against the same mail made by `re`, `EmailMessage` and dkimpy.

The two take turns, so that a busy machine is unfair to neither; the figures are medians of CPU time, which waiting does not count into.
"""

import argparse
import html
import importlib.util
import json
import os
import platform
import random
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from statistics import median
from time import thread_time_ns

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from cleanmails.mail import dkim
from cleanmails.mail.html import dress
from cleanmails.mail.message import Letter, compose, fingerprint, message_id
from cleanmails.rules.content import Seed, lead_fields, parse, pick_subject, resolve_body, resolve_subject

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SENDER, DOMAIN, POSTAL = "ann@sender.example", "sender.example", "Example Ltd, 1 Main Street, Exampletown"
SUBJECTS = ("{Hi|Hey} {{FIRST_NAME}}, quick question", "{{FIRST_NAME}}, your work at {{COMPANY}}")
_PARAGRAPH = (
    '<p style="margin:0 0 12px 0">{I noticed|I saw|I read} your work at {{COMPANY}}, and {wondered|asked myself} how you '
    "bring new people up to speed there &amp; keep the quality where it is. Many teams of your size told us that the first "
    "three months decide, and that most of what goes wrong then was never written down anywhere.</p>\n"
)
_LINK = (
    '<p style="margin:0 0 12px 0">Page %d of our guide is short: '
    '<a href="https://www.sender.example/guide/page-%d?utm_source=mail&amp;lead={{EMAIL}}">read it here</a> when you have a minute.</p>\n'
)
BODY = (
    '<html><body style="font-family:Arial,sans-serif;font-size:14px">\n<p>Hi {{FIRST_NAME | "there"}},</p>\n'
    + _PARAGRAPH * 9
    + "".join(_LINK % (page, page) for page in range(1, 6))
    + "<p>Best regards<br>Ann</p>\n</body></html>\n"
)


class Person(msgspec.Struct, frozen=True):
    """One lead of the benchmark."""

    id: int
    email: str
    first_name: str
    company: str


def person(number: int) -> Person:
    """The lead with this number."""
    return Person(
        number,
        f"lead{number}@lead.example",
        ("Ada", "Grace", "Zoë")[number % 3],
        ("Engines & Co", "Example")[number % 2],
    )


def ours(pem: bytes) -> Callable[[Person], bytes]:
    """The way the product makes a mail; templates and key are read once, as in a worker."""
    body = parse(BODY, where="body")
    subjects = [parse(subject, where="subject") for subject in SUBJECTS]
    key = dkim.load_key(pem, domain=DOMAIN, selector="s1")

    def make(to: Person) -> bytes:
        lead = lead_fields(email=to.email, first_name=to.first_name, company=to.company)
        seed = Seed.of(1, to.id, 0)
        token = f"https://t.sender.example/t/{to.id:032x}"
        unsubscribe = f"https://t.sender.example/unsubscribe/{to.id:032x}"
        dressed = dress(
            resolve_body(body, lead, seed, unsubscribe_url=unsubscribe),
            unsubscribe_url=unsubscribe,
            postal_address=POSTAL,
            wrap=lambda number, _: f"{token}/link/{number}",
            pixel_url=f"{token}/pixel.png",
        )
        letter = Letter(
            message_id=message_id(to.id.to_bytes(16), DOMAIN),
            date=NOW,
            sender_name="Ann Example",
            sender_address=SENDER,
            recipient_name=to.first_name,
            recipient_address=to.email,
            subject=resolve_subject(subjects[pick_subject(seed, len(subjects))], lead, seed),
            html=dressed.html,
            text=dressed.text,
            unsubscribe_url=unsubscribe,
            unsubscribe_mailto=SENDER,
        )
        raw = dkim.sign(compose(letter).raw, key, signed_at=int(NOW.timestamp()))
        fingerprint(raw)
        return raw

    return make


def naive(pem: bytes) -> Callable[[Person], bytes]:
    """The way it is written first: patterns over patterns, the standard library's message, dkimpy's signature."""
    import dkim as dkimpy

    signed = [
        name.encode() for name in dkim.SIGNED if name not in {"in-reply-to", "references", "reply-to", "feedback-id"}
    ]

    def make(to: Person) -> bytes:
        dice = random.Random(to.id)  # noqa: S311 - it picks words
        token = f"https://t.sender.example/t/{to.id:032x}"
        unsubscribe = f"https://t.sender.example/unsubscribe/{to.id:032x}"
        markup = _filled(BODY, to, dice, html.escape)
        links = iter(range(1, 100))
        markup = re.sub(r'href="https?://[^"]*"', lambda _: f'href="{token}/link/{next(links)}"', markup)
        footer = f'<div>{POSTAL}<br><a href="{unsubscribe}">Unsubscribe</a></div><img src="{token}/pixel.png">'
        markup = markup.replace("</body>", footer + "</body>")
        mail = EmailMessage(policy=SMTP)
        mail["Date"] = NOW
        mail["From"] = f"Ann Example <{SENDER}>"
        mail["To"] = f"{to.first_name} <{to.email}>"
        mail["Subject"] = _filled(dice.choice(SUBJECTS), to, dice, str)
        mail["Message-ID"] = f"<{to.id:032x}@{DOMAIN}>"
        mail["List-Unsubscribe"] = f"<{unsubscribe}>, <mailto:{SENDER}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(html.unescape(re.sub(r"<[^>]*>", "", markup)))
        mail.add_alternative(markup, subtype="html")
        raw = mail.as_bytes()
        signature: bytes = dkimpy.sign(
            raw, b"s1", DOMAIN.encode(), pem, canonicalize=(b"relaxed", b"relaxed"), include_headers=signed
        )
        return signature + raw

    return make


def _filled(text: str, to: Person, dice: random.Random, escape: Callable[[str], str]) -> str:
    values = {"FIRST_NAME": to.first_name, "COMPANY": to.company, "EMAIL": to.email}
    text = re.sub(r"\{\{(\w+)(?:\s*\|[^}]*)?\}\}", lambda tag: escape(values[tag[1]]), text)
    return re.sub(r"\{([^{}]*\|[^{}]*)\}", lambda group: dice.choice(group[1].split("|")), text)


def measure(mails: int) -> dict[str, object]:
    """Figures in microseconds of CPU a mail, medians over `mails` of ours and a tenth as many of the others, taking turns."""
    pem, _ = dkim.generate_key()
    make, make_naive = ours(pem), naive(pem)
    private = dkim.load_key(pem, domain=DOMAIN, selector="s1").private

    def rsa(_: Person) -> bytes:
        return private.sign(bytes(700), padding.PKCS1v15(), hashes.SHA256())

    size = len(make(person(0)))
    make_naive(person(0))
    own: list[int] = []
    others: list[int] = []
    alone: list[int] = []
    for number in range(mails):
        own.append(_cpu(make, number))
        if number % 10 == 0:
            others.append(_cpu(make_naive, number))
            alone.append(_cpu(rsa, number))
    cost, naive_cost = median(own) / 1_000, median(others) / 1_000
    return {
        "cpu_us_per_mail": round(cost, 1),
        "naive_cpu_us_per_mail": round(naive_cost, 1),
        "ratio": round(naive_cost / cost, 1),
        "rsa_cpu_us": round(median(alone) / 1_000, 1),
        "conditions": {
            "mails": len(own),
            "naive_mails": len(others),
            "html_bytes": len(BODY),
            "mail_bytes": size,
            "links": 5,
            "python": platform.python_version(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "load": [round(load, 1) for load in os.getloadavg()],
        },
    }


def _cpu(make: Callable[[Person], bytes], number: int) -> int:
    to = person(number)
    started = thread_time_ns()
    make(to)
    return thread_time_ns() - started


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def main(argv: Sequence[str]) -> int:
    """`cleanmails bench render [--json] [--mails N]`: 0, or 2 and a sentence if dkimpy is not installed."""
    parser = argparse.ArgumentParser(prog="cleanmails bench render", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--mails", type=int, default=1_000, help="how many of ours; a tenth as many of the others (default %(default)s)"
    )
    options = parser.parse_args(argv)
    if importlib.util.find_spec("dkim") is None:
        print("The other side of this benchmark is dkimpy, which comes with the extra “dev”.", file=sys.stderr)
        return 2
    figures = measure(max(options.mails, 10))
    if options.json:
        print(json.dumps(figures))
        return 0
    print("One mail, from a lead's values to signed bytes, in microseconds of CPU (medians)")
    print(f"  cleanmails             {figures['cpu_us_per_mail']:>9}   of which OpenSSL's RSA {figures['rsa_cpu_us']}")
    print(f"  EmailMessage + dkimpy  {figures['naive_cpu_us_per_mail']:>9}   {figures['ratio']} times as much")
    print(f"  conditions: {figures['conditions']}")
    return 0
