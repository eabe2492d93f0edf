"""A workspace that has been lived in, for `up`: domains, mailboxes and webhooks made over the API as a user would, and months of history behind them.

Of the history nothing is sent: it is over. What still runs in it goes on like any campaign of the demonstration, to the catcher.
"""

from datetime import datetime, timedelta
from typing import Final

from cleanmails.actors import figures
from cleanmails.demo import cast
from cleanmails.demo.past import Mailbox, Plot, Text, tell
from cleanmails.demo.user import User
from cleanmails.ledger import past, workers
from cleanmails.ledger.db import Database
from cleanmails.ledger.past import Past, SenderState
from cleanmails.records import Trigger

SEED: Final = 11

_HELLO: Final = (
    '<p>Hi {{FIRST_NAME | "there"}},</p><p>{I noticed|I came across|I saw} what {{COMPANY | "your team"}} does, and {wondered|asked myself} who looks after '
    '{new business|outreach} there. <a href="https://agency.example/work">Here is</a> what we did for others in {{CITY | "your region"}}.</p>'
    "<p>{Worth a short call?|Would a short call make sense?}</p><p>Best,<br>the team</p>"
)
_BUMP: Final = '<p>Hi {{FIRST_NAME | "there"}},</p><p>{Did you have a moment to look at this?|Just bringing this back to the top.}</p>'
_CASE: Final = '<p>You had a look at <a href="https://agency.example/work">our work</a>: the third case is closest to {{COMPANY | "yours"}}.</p>'
_LAST: Final = '<p>I will not write again. All the best for {{COMPANY | "you"}}!</p>'

_THREE: Final = (
    Text(subjects=('A question, {{FIRST_NAME | "if I may"}}', '{{COMPANY | "Your team"}} and us'), body=_HELLO),
    Text(subjects=(), body=_BUMP, wait_days=3),
    Text(subjects=(), body=_LAST, wait_days=6),
)
_BY_INTEREST: Final = (
    Text(
        subjects=("{{COMPANY}} in 2027", "An idea for {{COMPANY}}", 'Quick one, {{FIRST_NAME | "hello"}}'), body=_HELLO
    ),
    Text(subjects=(), body=_BUMP, wait_days=3, trigger=Trigger.NOT_OPENED),
    Text(subjects=("The case I meant",), body=_CASE, wait_days=2, trigger=Trigger.ON_CLICK),
    Text(subjects=(), body=_LAST, wait_days=7),
)
_TWO: Final = (
    Text(subjects=('Once more, {{FIRST_NAME | "if I may"}}',), body=_HELLO),
    Text(subjects=(), body=_LAST, wait_days=5),
)

PLOTS: Final = (
    Plot(name="Logistics decision makers", audience="Logistics decision makers", leads=900, began=152, a_day=36, steps=_THREE, ends="completed"),
    Plot(name="Logistics: second look", audience="Logistics decision makers", leads=0, after="Logistics decision makers", began=84, a_day=45,
         steps=_TWO, ends="completed", replies=0.02, opens=0.33),
    Plot(name="Manufacturing DACH", audience="Manufacturing DACH", leads=520, began=66, a_day=24, steps=_THREE, ends="paused", paused=44, tracked=False),
    Plot(name="SaaS founders, autumn", audience="SaaS founders", leads=1200, began=47, a_day=36, steps=_BY_INTEREST, rest=(26, 24), unknowns=7,
         nameless=14, opens=0.47, replies=0.045),
    Plot(name="Partner programme", audience="Agencies", leads=700, began=24, a_day=22, steps=_THREE, most_new=40, zone="America/New_York"),
    Plot(name="Webinar invitations", audience="Webinar sign-ups 2024", leads=380, began=13, a_day=30, steps=_TWO, ends="protected", bounces=0.11),
    Plot(name="Hotel groups, new year", audience="Hotel groups", leads=260, began=1, a_day=30, steps=_THREE, launches_in=3),
    Plot(name="Re-engagement", audience="Quiet customers", leads=180, began=2, a_day=30, steps=_TWO, ends="draft"),
)  # fmt: skip

_MAILBOXES: Final = (
    ("emma@getnorth.example", "Emma Miller", 50),
    ("felix@getnorth.example", "Felix Novak", 50),
    ("grace@north.example", "Grace Okafor", 45),
    ("henry@south.example", "Henry Larsen", 60),
    ("iris@getnorth.example", "Iris Weber", 50),
    ("jonas@south.example", "Jonas Keller", 50),
    ("kate@north.example", "Kate Silva", 50),
    ("liam@north-team.example", "Liam Patel", 40),
    ("mia@mailhost.example", "Mia Rossi", 30),
)
"""Address, name, daily limit. The last one's domain is not ours: its provider signs."""

_MESSY_FILE: Final = (
    "email,first_name,company\nrosa@amberbridge.example,Rosa,Amberbridge\nRosa@AmberBridge.example,Rosa,Amberbridge\nnot an address,Tom,\n"
    "tom@@corp.example,Tom,Corp\nmina@competitor.example,Mina,Competitor\n,Nobody,\nyusuf@birchgate.example,Yusuf,Birchgate\n"
)


def live(database: Database, user: User, workspace_id: int) -> None:
    """Fills the workspace that `user` is signed in to, and makes a second, empty one beside it."""
    for company in cast.companies():
        user.publish(company.domain, "MX", company.mx)
    user.sending_domain("getnorth.example")
    user.sending_domain("north-team.example")
    user.post("/v1/outreach/domains", {"name": "trynorth.example"})
    boxes = [
        Mailbox(user.sender(address, name, daily_limit=limit), address, limit - 12)
        for address, name, limit in _MAILBOXES
    ]
    remember(database, boxes, workspace_id)
    _break_domain(user, "north-team.example")
    _webhooks(database, user, workspace_id)
    user.post(
        "/v1/outreach/suppressions", {"value": "competitor.example", "note": "asked by phone never to be written to"}
    )
    podcast = user.post("/v1/outreach/lists", {"name": "Podcast guests"})
    kind = {"content-type": "text/csv"}
    user.post(f"/v1/outreach/lists/{podcast['id']}/upload", content=_MESSY_FILE.encode(), headers=kind)
    user.post("/v1/invitations", {"email": "maria@agency.example", "role": "member"})
    user.post("/v1/api-keys", {"name": "Reporting sheet", "role": "viewer"})
    user.post("/v1/workspaces", {"name": "Empty workspace"})


def remember(database: Database, boxes: list[Mailbox], workspace_id: int, plots: tuple[Plot, ...] = PLOTS) -> Past:
    """Writes the history of these mailboxes and how they stand now, in one transaction; then statistics are counted."""
    with database.transaction() as db:
        now = workers.now(db)
        sources = {noun: past.ids(db, noun) for noun in past.NOUNS}
        told = tell(plots, boxes, seed=SEED, now=now, workspace_id=workspace_id, take=lambda noun: next(sources[noun]))
        past.know_domains(db, ((each.domain, each.provider, each.mx.split()[1]) for each in cast.companies()))
        past.write(db, told)
        past.dress_senders(db, workspace_id, _states(boxes, now))
        workers.did(db, "upkeep")  # what it does each hour, a new installation has just done
    while figures.count(database):
        pass
    return told


def _states(boxes: list[Mailbox], now: datetime) -> list[SenderState]:
    """Healthy, tired, resting, cooling down, locked out, on leave."""
    day, created = timedelta(days=1), now - timedelta(days=160)
    soft = "The mailbox is full; it may have room later."
    policy = "The other side refused the mail for its policy, or our reputation."
    told: dict[str, dict[str, object]] = {
        "felix": {"health": 96},
        "grace": {"health": 88, "error": soft, "error_at": now - 2 * day},
        "henry": {
            "health": 61,
            "error": policy,
            "error_at": now - day / 3,
            "cooldown_until": now + timedelta(minutes=40),
        },
        "iris": {"health": 14, "error": policy, "error_at": now - day / 6},
        "jonas": {
            "status": "restricted",
            "health": 70,
            "error": "The login was refused: 535 5.7.8 Authentication failed.",
            "error_at": now - 3 * day,
        },
        "kate": {"status": "paused", "reason": "On leave until January", "health": 93},
        "mia": {"health": 82},
    }
    states = []
    for box in boxes:
        facts = told.get(box.address.partition("@")[0], {})
        if facts.get("status") == "restricted":
            facts = facts | {"reason": facts["error"]}
        states.append(SenderState(id=box.id, created_at=created, **facts))  # type: ignore[arg-type]
    return states


def _break_domain(user: User, name: str) -> None:
    """Somebody replaced the DKIM record; the next look finds it."""
    [domain] = [each for each in user.pages("/v1/outreach/domains") if each["name"] == name]
    [dkim] = [each for each in domain["records"] if each["kind"] == "dkim"]
    user.publish(dkim["name"], "TXT", "v=DKIM1; k=rsa; p=")
    user.post(f"/v1/outreach/domains/{domain['id']}/verify")


def _webhooks(database: Database, user: User, workspace_id: int) -> None:
    """One that is well and one whose receiver is down. Nobody listens at their addresses, and neither is told of what goes on now."""
    user.post(
        "/v1/outreach/webhooks",
        {"name": "Data warehouse", "url": "http://127.0.0.1:9/cleanmails", "types": ["campaign.completed"]},
    )
    broken = user.post(
        "/v1/outreach/webhooks", {"name": "CRM bridge", "url": "http://127.0.0.1:9/replies", "types": ["email.replied"]}
    )
    with database.transaction() as db:
        now = workers.now(db)
        times = {
            "at": now - timedelta(hours=9),
            "delivered_at": now - timedelta(days=3),
            "created_at": now - timedelta(days=120),
        }
        past.break_webhook(db, workspace_id, broken["webhook"]["id"], **times)
