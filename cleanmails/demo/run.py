"""`cleanmails demo`: the main job from a CSV file to a mail server, then a count of what that server really got.

1,000 leads over 40 domains, five senders on two verified domains, and the campaign of the guide posted over HTTP. Three things differ from the
guide, so that it runs whenever it is tried and shows all there is: its window is always open, its waits are taken out, and a third step without a subject
continues the thread. Everything runs in a throwaway folder on 127.0.0.1.
"""

import argparse
import contextlib
import email
import email.policy
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dkim
import msgspec

from cleanmails import log
from cleanmails.demo.stage import WORKERS, Stage, stage
from cleanmails.demo.user import RefusedError

LEADS = 1_000
DOMAINS = 40
PATIENCE = 110.0

PROVIDERS = {"mailg.example": "aspmx.l.google.com", "mailm.example": "mailm-example.mail.protection.outlook.com"}
"""Two of the recipient domains are hosted by large providers, by their MX: their rates hold then."""

STEPS = [
    {
        "position": 0,
        "subjects": '["Hey {{FIRST_NAME}}, quick question", "{{FIRST_NAME}} — saw your work at {{COMPANY}}"]',
        "body": "<p>Hi {{FIRST_NAME}},</p><p>{I noticed|I saw} your work at {{COMPANY}}...</p>",
        "wait_days": 0,
        "trigger_condition": "always",
    },
    {
        "position": 1,
        "subjects": '["Following up"]',
        "body": "<p>Hey {{FIRST_NAME}}, just bumping this to the top...</p>",
        "wait_days": 0,
        "trigger_condition": "not_opened",
    },
    {
        "position": 2,
        "subjects": "[]",
        "body": "<p>One last line, {{FIRST_NAME}}: {have a good week|all the best}.</p>",
    },
]

CAMPAIGN = {
    "name": "Q2 Outreach",
    "status": "running",
    "check_reply": True,
    "track_opens": True,
    "track_clicks": True,
    "schedule_config": '{"days":[0,1,2,3,4,5,6],"start":"00:00","end":"24:00","timezone":"UTC"}',
    "steps": STEPS,
}


class Findings(msgspec.Struct, kw_only=True):
    """What the mail server got, held against what was to be sent."""

    expected: int
    got: int = 0
    duplicates: int = 0
    missing: int = 0
    strangers: int = 0
    dkim_pass: int = 0
    preview_equal: int = 0
    in_thread: int = 0
    to_thread: int = 0
    subjects: Counter[str] = msgspec.field(default_factory=Counter)
    settled_by_hand: int = 0
    faults: list[str] = []

    @property
    def good(self) -> bool:
        """Everything arrived, once, signed, as previewed, in its thread."""
        clean = not (self.duplicates or self.missing or self.strangers or self.faults)
        whole = self.got == self.expected == self.dkim_pass == self.preview_equal
        return clean and whole and self.in_thread == self.to_thread > 0


def main(argv: Sequence[str]) -> int:
    """Runs the demonstration; 0 if everything arrived as it should."""
    parser = argparse.ArgumentParser(
        prog="cleanmails demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leads", type=int, default=LEADS, help=f"how many leads (default {LEADS})")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it there, logs and all")
    options = parser.parse_args(argv)
    log.configure("console", level="WARNING")
    with tempfile.TemporaryDirectory(prefix="cleanmails-demo-") as throwaway:
        folder = options.keep or Path(throwaway)
        folder.mkdir(parents=True, exist_ok=True)
        with stage(folder) as set_up:
            set_up.start_catcher()
            set_up.start_processes(WORKERS)
            return set_up.play(lambda on: tell(on, options.leads))


def tell(on: Stage, leads: int) -> int:
    """The story: everything over HTTP, as a user would."""
    begun = time.monotonic()
    on.sign_in()
    set_up_workspace(on)
    list_id = on.user.post("/v1/outreach/lists", {"name": "Conference"})["id"]
    taken = on.user.post(
        f"/v1/outreach/lists/{list_id}/upload", content=people(leads), headers={"content-type": "text/csv"}
    )
    print(f"uploaded {taken['rows']} rows: {taken['created']} created")
    senders = [{"id": sender["id"]} for sender in on.user.pages("/v1/outreach/senders")]
    campaign = on.user.post("/v1/outreach/campaigns", CAMPAIGN | {"lists": [{"id": list_id}], "senders": senders})
    print(
        f"campaign {campaign['id']} is {campaign['status']}; the processes are children of this one, and any of them may be killed"
    )
    findings = Findings(expected=leads * len(STEPS))
    watch(on, campaign["id"], findings, begun + PATIENCE)
    judge(on, campaign["id"], findings)
    show(findings, time.monotonic() - begun)
    return 0 if findings.good else 1


def set_up_workspace(on: Stage) -> None:
    """Two verified domains, five senders with room for everything, and the world's DNS."""
    for number in range(DOMAINS):
        name = recipient_domain(number)
        host = PROVIDERS.get(name, f"mx.{name}")
        on.user.publish(name, "MX", f"10 {host}.")
    names = ("north.example", "south.example")
    for name in names:
        on.user.sending_domain(name)
    for place, person in enumerate(("Ann", "Ben", "Cleo", "Dan", "Eve")):
        address = f"{person.lower()}@{names[place % 2]}"
        on.user.sender(address, f"{person} Miller", daily_limit=5_000, min_gap_seconds=0, max_gap_seconds=0)


def recipient_domain(number: int) -> str:
    """The n-th of the forty domains; the first two are hosted by large providers."""
    return list(PROVIDERS)[number] if number < len(PROVIDERS) else f"company{number:02}.example"


def people(count: int) -> bytes:
    """The CSV file: names, companies and addresses, spread evenly."""
    rows = ["email,first_name,last_name,company"]
    rows += [f"lead{n}@{recipient_domain(n % DOMAINS)},Lead{n},Person,Company {n % DOMAINS}" for n in range(count)]
    return ("\n".join(rows) + "\n").encode()


def watch(on: Stage, campaign_id: int, findings: Findings, deadline: float) -> None:
    """Waits until the campaign is completed, with a line of progress. Unknown deliveries are decided as a person would: by a look at the server."""
    caught = last = 0
    while True:
        campaign = on.user.get(f"/v1/outreach/campaigns/{campaign_id}")
        new = on.user.catcher.get("/api/mails", params={"after": last}).json()
        caught, last = caught + len(new), new[-1]["id"] if new else last
        print(
            f"\r{campaign['status']}: {caught} of {findings.expected} mails at the server ",
            end="",
            file=sys.stderr,
            flush=True,
        )
        if campaign["status"] == "completed":
            break
        if time.monotonic() > deadline:
            findings.faults.append(f"the campaign is still {campaign['status']}")
            break
        findings.settled_by_hand += decide_unknown(on)
        on.supervisor.wait(0.5)
    print(file=sys.stderr)


def decide_unknown(on: Stage) -> int:
    """A worker that was killed between the final dot and the answer leaves a delivery `unknown`: the server's own list is the evidence."""
    unknown = list(on.user.pages("/v1/outreach/unknowns"))
    if not unknown:
        return 0
    there = {mail["message_id"] for mail in on.user.catcher.get("/api/mails").json()}
    for delivery in unknown:
        decision = "assume_sent" if delivery["message_id"] in there else "resend"
        # A copy in Sent may have settled it meanwhile.
        with contextlib.suppress(RefusedError):
            on.user.post(
                f"/v1/outreach/unknowns/{delivery['id']}/decide", {"decision": decision, "note": "looked at the server"}
            )
    return len(unknown)


def judge(on: Stage, campaign_id: int, findings: Findings) -> None:
    """Reads every mail that the server got, and holds it against the ledger's deliveries."""
    deliveries = {row["message_id"]: row for row in on.user.pages(f"/v1/outreach/campaigns/{campaign_id}/deliveries")}
    mails = on.user.catcher.get("/api/mails").json()
    findings.got = len(mails)
    seen = Counter(mail["message_id"] for mail in mails)
    per_step = Counter((deliveries[id]["lead_id"], deliveries[id]["step"]) for id in seen if id in deliveries)
    findings.duplicates = sum(seen.values()) - len(seen) + sum(per_step.values()) - len(per_step)
    findings.strangers = sum(id not in deliveries for id in seen)
    findings.missing = findings.expected - len(per_step)
    made = [row for row in deliveries.values() if row["hash"]]
    findings.preview_equal = sum(previews_equal(on, campaign_id, row) for row in made)
    by_walk = {(row["lead_id"], row["step"]): id for id, row in deliveries.items()}
    for mail in mails:
        row = deliveries.get(mail["message_id"])
        if row is not None:
            read_mail(on, mail, row, by_walk, findings)


def previews_equal(on: Stage, campaign_id: int, row: dict[str, Any]) -> bool:
    """Whether a preview, made anew, has the hash that the ledger keeps of the mail that was sent."""
    wanted = {"lead_id": row["lead_id"], "step": row["step"]}
    shown = on.user.post(f"/v1/outreach/campaigns/{campaign_id}/preview", wanted)
    return bool(shown["hash"] == row["hash"])


def read_mail(
    on: Stage, mail: dict[str, Any], row: dict[str, Any], by_walk: dict[tuple[int, int], str], findings: Findings
) -> None:
    """One mail: its signature, its thread, its subject."""
    raw = on.user.catcher.get(f"/api/mails/{mail['id']}/raw").content
    findings.dkim_pass += dkim.verify(raw, dnsfunc=lambda name, **_: txt(on, name))
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    if row["step"] == 0:
        findings.subjects["A" if parsed["Subject"].startswith("Hey ") else "B"] += 1
    if row["step"] == 2:
        findings.to_thread += 1
        before = by_walk[row["lead_id"], 1]
        threaded = (
            parsed["In-Reply-To"] == before
            and before in parsed["References"]
            and parsed["Subject"] == "Re: Following up"
        )
        findings.in_thread += threaded


_known: dict[str, bytes] = {}


def txt(on: Stage, name: bytes) -> bytes | None:
    """A TXT record as the local DNS has it: the verifier asks the same server as the product."""
    key = name.decode().rstrip(".")
    if key not in _known:
        from cleanmails.mail.dns import Resolver

        values = Resolver([("127.0.0.1", on.ports.dns)]).txt(key).values
        _known[key] = values[0].encode() if values else b""
    return _known[key] or None


def show(findings: Findings, seconds: float) -> None:
    """A table, and the one line."""
    rows = {
        "mails expected": findings.expected,
        "mails at the server": findings.got,
        "twice": findings.duplicates,
        "missing": findings.missing,
        "not ours": findings.strangers,
        "signature verified": findings.dkim_pass,
        "preview has the ledger's hash": f"{findings.preview_equal} of {findings.expected}",
        "third mails in their thread": f"{findings.in_thread} of {findings.to_thread}",
        "first subject": json.dumps(dict(sorted(findings.subjects.items()))),
        "unknown, settled by a look at the server": findings.settled_by_hand,
    }
    for name, value in rows.items():
        print(f"{name:<42} {value}")
    for fault in findings.faults:
        print(f"fault: {fault}")
    subjects = f"{findings.subjects['A']}:{findings.subjects['B']}"
    print(
        f"{'ok' if findings.good else 'FAILED'}: sent {findings.got} of {findings.expected}, duplicates {findings.duplicates}, missing {findings.missing}, "
        f"dkim pass {findings.dkim_pass}, follow-ups in thread {findings.in_thread}, subjects A/B {subjects}, seconds {seconds:.1f}"
    )
