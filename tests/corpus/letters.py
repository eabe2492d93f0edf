"""The corpus: messages modelled on what programs and people send, in bytes, each with what it is to be taken for."""

import base64
import re
import tomllib
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
ID = "<m1.k7x2@acme.example>"
ORIGINAL = f"From: Ann Miller <ann@acme.example>\nTo: bob@b.example\nMessage-ID: {ID}\nDate: Wed, 25 Nov 2026 10:00:00 +0000\nSubject: Hello Bob"
WHEN = "Thu, 26 Nov 2026 11:00:00 +0000"


def all_of_them():
    """`(id, bytes, expected)` of every message of the corpus."""
    makers = {"reports": report, "notices": notice, "automatic": automatic, "people": person, "rest": rest}
    for name, make in makers.items():
        for row in tomllib.loads((HERE / f"{name}.toml").read_text())["message"]:
            raw, expected = make(row)
            yield f"{name}-{row['id']}", raw if isinstance(raw, bytes) else raw.encode(), expected
    for name, raw, expected in strangers():
        yield f"strangers-{name}", raw, expected


def head(sender, subject, *more):
    return "\n".join(
        [f"From: {sender}", "To: ann@acme.example", f"Subject: {subject}", f"Date: {WHEN}", *filter(None, more)]
    )


def parts(subtype, *bodies):
    """A multipart mail from its parts, each with its own header."""
    inner = "".join(f"--=_b1\n{body}\n" for body in bodies)
    return f'MIME-Version: 1.0\nContent-Type: multipart/{subtype}; boundary="=_b1"\n\nThis is a MIME message.\n{inner}--=_b1--\n'


SHAPES = {  # who writes it, under which subject, with which further header
    "postfix": ("MAILER-DAEMON@mx.b.example (Mail Delivery System)", "Undelivered Mail Returned to Sender", "Auto-Submitted: auto-replied"),
    "gmail": ("Mail Delivery Subsystem <mailer-daemon@googlemail.com>", "Delivery Status Notification (Failure)", f"X-Failed-Recipients: bob@b.example\nIn-Reply-To: {ID}\nReferences: {ID}"),
    "exchange": ("Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@b.example>", "Undeliverable: Hello Bob", f"Auto-Submitted: auto-replied\nIn-Reply-To: {ID}\nReferences: {ID}"),
    "exim": ("Mail Delivery System <Mailer-Daemon@mx.b.example>", "Mail delivery failed: returning message to sender", "X-Failed-Recipients: bob@b.example\nAuto-Submitted: auto-replied"),
    "sendmail": ("Mail Delivery Subsystem <MAILER-DAEMON@mx.b.example>", "Returned mail: see transcript for details", "Auto-Submitted: auto-generated (failure)"),
    "yahoo": ("MAILER-DAEMON@yahoo.com", "Failure Notice", ""),
    "ses": ("MAILER-DAEMON@eu-west-1.amazonses.com", "Delivery Status Notification (Failure)", ""),
    "plainreport": ("mailer-daemon@mail.zoho.example", "Undelivered Mail Returned to Sender", "Auto-Submitted: auto-generated (failure)"),
    "haraka": ("MAILER-DAEMON@mx.b.example", "failed mail notification", ""),
    "opensmtpd": ("Mailer Daemon <MAILER-DAEMON@mx.b.example>", "Delivery status notification: error", ""),
    "courier": ('"Courier mail server" <MAILER-DAEMON@mx.b.example>', "NOTICE: mail delivery status.", ""),
    "powermta": ("postmaster@mta.example", "Delivery report", "Auto-Submitted: auto-generated"),
    "mdaemon": ("MDaemon@b.example", "Permanent Delivery Failure", "Return-path: <>"),
}  # fmt: skip


def report(row):
    shape, action = row.get("shape", "postfix"), row.get("action", "failed")
    sender, subject, more = SHAPES.get(shape, SHAPES["postfix"])
    recipient = row.get("recipient", "bob@b.example")
    final = row.get("final", recipient)
    text = row.get(
        "text",
        f"I'm sorry to have to inform you that your message could not\nbe delivered to one or more recipients.\n\n<{recipient}>: see below",
    )
    group = [
        f"Final-Recipient: rfc822; {final}",
        f"Original-Recipient: rfc822;{recipient}" if final != recipient else "",
        f"Action: {action}",
        f"Status: {row['status']}",
    ]
    group += [f"Diagnostic-Code: {row['diag']}"] if "diag" in row else []
    mta = ["Reporting-MTA: dns; mx.b.example", "Arrival-Date: Wed, 25 Nov 2026 10:00:01 +0000"]
    if shape == "by-id":
        mta.append(f"Original-Message-ID: {ID}")
    groups = "\n".join(mta) + "\n\n" + "\n".join(filter(None, group)) + "\n"
    status = f"Content-Type: message/delivery-status\n\n{groups}"
    human = f"Content-Type: text/plain; charset=utf-8\n\n{text}"
    copy = f"Content-Type: text/rfc822-headers\n\n{ORIGINAL}"
    if shape in {"gmail", "exchange", "ses"}:
        copy = f"Content-Type: message/rfc822\n\n{ORIGINAL}\n\nHi Bob"
    bodies = [human, status, copy]
    if shape == "global":
        bodies = [
            human,
            f"Content-Type: message/global-delivery-status; charset=utf-8\n\n{groups}",
            f"Content-Type: message/global-headers\n\n{ORIGINAL}",
        ]
    if shape in {"bare", "by-id"}:
        bodies = [human, status]
    if shape == "base64":
        coded = base64.encodebytes(text.encode()).decode()
        bodies[0] = f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{coded}"
    body = parts("report; report-type=delivery-status", *bodies)
    raw = f"{head(sender, row.get('subject', subject), more)}\n{body}"
    if shape == "nested":
        raw = f"{head(sender, row.get('subject', subject), more)}\n{parts('mixed', body.replace('=_b1', '=_b2'), 'Content-Type: text/plain' + chr(10) * 2 + 'A footer.')}"
    if shape == "truncated":
        raw = raw[: raw.index("Content-Type: text/rfc822-headers")]
    status_found = row.get("expect_status", row["status"])
    return raw, {
        "kind": "bounce",
        "class": row["class"],
        "status": status_found,
        "recipients": [recipient],
        "message_ids": row.get("message_ids", [ID]),
        "final": action == "failed",
    }


def notice(row):
    raw = f"{head(row['from'], row['subject'], row.get('head'))}\n\n{row['text'].replace('ORIGINAL', ORIGINAL)}\n"
    expected = {
        "kind": "bounce",
        "class": row["class"],
        "recipients": [row.get("recipient", "bob@b.example")],
        "message_ids": row.get("message_ids", [ID]),
        "final": not row.get("delayed", False),
    }
    return raw, expected | ({"status": row["status"]} if "status" in row else {})


def automatic(row):
    shape = row.get("shape", "plain")
    top = head("Bob <bob@b.example>", row["subject"], f"In-Reply-To: {ID}", row.get("head"))
    expected = {
        "kind": "auto_reply",
        "resumes_on": row.get("resumes"),
        "absent": row.get("absent", True),
        "message_ids": [ID],
    }
    if shape == "mdn":
        told = f"Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822;bob@b.example\nOriginal-Message-ID: {ID}\nDisposition: automatic-action/MDN-sent-automatically; displayed\n"
        return (
            f"{top}\n{parts('report; report-type=disposition-notification', 'Content-Type: text/plain' + chr(10) * 2 + row['text'], told)}",
            expected,
        )
    if shape == "html":
        return f"{top}\nContent-Type: text/html; charset=utf-8\n\n{row['text']}\n", expected
    if shape == "latin-1":
        return f"{top}\n\n{row['text']}\n".encode("latin-1"), expected
    return f"{top}\nContent-Type: text/plain; charset=utf-8\n\n{row['text']}\n", expected


def person(row):
    answers = row.get("references", True)
    top = head(
        "Bob <bob@b.example>",
        row.get("subject", "Re: Hello Bob"),
        f"In-Reply-To: {ID}\nReferences: {ID}" if answers else "",
    )
    kind = "html" if row.get("shape") == "html" else "plain"
    expected = {"kind": row.get("kind", "reply"), "message_ids": [ID] if answers else []}
    return f"{top}\nContent-Type: text/{kind}; charset=utf-8\n\n{row['text']}\n", expected | (
        {"new": row["new"]} if "new" in row else {}
    )


def rest(row):
    expected = {"kind": row["kind"], "message_ids": [ID] if row["kind"] == "feedback" or row.get("message_ids") else []}
    if row["kind"] == "feedback":
        expected |= {"complaint": row.get("complaint", True), "recipients": row.get("recipients", [])}
    return row["raw"].replace("ORIGINAL", ORIGINAL), expected


def strangers():
    """Whole mails as they stand in `strangers.txt`; what all of one kind begin with is written there once."""
    heading, *blocks = (HERE / "strangers.txt").read_text().split("\n=== ")
    macros = {"ORIGINAL": ORIGINAL, "DATE": f"Date: {WHEN}", "ID": ID}
    for line in heading.splitlines():
        if line.startswith("$"):
            name, _, value = line[1:].partition(" = ")
            macros[name] = value.replace("\\n", "\n")
    for block in blocks:
        first, _, raw = block.partition("\n")
        name, kind, *told = first.split()
        options = dict(each.split("=", 1) for each in told)
        yield name, _encoded(_filled(raw, macros), options), _told(kind, raw, options)


def _filled(text, macros):
    for _ in range(3):
        for name in sorted(macros, key=len, reverse=True):
            text = text.replace(f"${name}", macros[name])
    return text


def _encoded(text, options):
    ends = {"cr": "\r", "crlf": "\r\n"}
    return text.replace("\n", ends.get(options.get("ends"), "\n")).encode(options.get("charset", "utf-8"))


def _told(kind, raw, options):
    ours = [ID] if re.search(r"\$(ID|ORIGINAL|HEADERS|COPY|ANSWER|AUTOMATIC)\b", raw) else []
    expected = {"kind": kind}
    if options.get("ids") != "any":
        expected["message_ids"] = [] if options.get("ids") == "none" else ours
    if kind == "bounce":
        expected |= {name: options[name] for name in ("class", "status") if name in options}
        expected["recipients"] = options.get("to", "bob@b.example").split(",")
    if kind == "auto_reply":
        expected["resumes_on"] = date.fromisoformat(options["back"]) if "back" in options else None
    if kind == "feedback" and "to" in options:
        expected["recipients"] = options["to"].split(",")
    return expected
