"""Random campaigns on virtual time, through the planner and the ledger as they are: what explain announces and the forecast foretells is what happens.

Mail servers are left out: what is planned counts as accepted at once, and the real rules and statements move the walk.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from cleanmails.actors import plan
from cleanmails.ledger import deliveries, planning
from cleanmails.records import Snapshot
from cleanmails.rules import explain, rotation, walks
from cleanmails.rules.content import Seed
from cleanmails.rules.forecast import Cohort, forecast
from cleanmails.rules.outcome import Accepted

MONDAY = datetime(2027, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAYS = 4


class Theatre:
    """A house on virtual time. A round is a minute long, and so is everything else."""

    def __init__(self, house, work, seed):
        self.house, self.work, self.dice = house, work, Random(seed)
        self.campaigns = []
        self.forbidden = set()
        self.sent = []

    def build(self):
        house, dice = self.house, self.dice
        house.knows("a.example", "b.example")
        senders = [
            house.sender(f"s{n}@acme{n}.example", limit=dice.choice([2, 4, 9]), gap=dice.choice([(0, 0), (60, 60), (120, 120)]))
            for n in range(dice.randint(1, 3))
        ]  # fmt: skip
        for number in range(dice.randint(1, 2)):
            people = house.leads(*(f"c{number}p{n}@{dice.choice('ab')}.example" for n in range(dice.randint(4, 9))))
            window = (
                f'{{"days": [1, 2, 3, 4], "start": "09:00", "end": "09:{dice.randint(6, 12):02}", "timezone": "UTC"}}'
            )
            later = [
                {"subjects": [], "wait_days": dice.randint(0, 1), "wait_hours": 0, "trigger_condition": trigger}
                for trigger in dice.choices(["always", "on_open", "not_opened"], k=dice.randint(0, 2))
            ]
            own = dice.sample(senders, dice.randint(1, len(senders)))
            limit = dice.choice([None, 3])
            made = house.campaign(people, own, steps=({}, *later), schedule=window, max_new_leads_per_day=limit)
            self.campaigns.append(made)
            self.forbidden |= set(dice.sample(people, 2))
        house.run("UPDATE campaign_leads SET due_at = %s", MONDAY)
        for lead, kind in zip(
            sorted(self.forbidden), ("unsubscribed", "invalid", "suppressed", "suppressed"), strict=False
        ):
            if kind == "unsubscribed":
                house.run("UPDATE leads SET status = 'unsubscribed' WHERE id = %s", lead)
            elif kind == "invalid":
                house.run("UPDATE leads SET validation = 'invalid' WHERE id = %s", lead)
            else:
                house.run(
                    """INSERT INTO suppressions (workspace_id, kind, value, reason)
                       SELECT workspace_id, 'address', email, 'manual' FROM leads WHERE id = %s""",
                    lead,
                )

    def world(self, now):
        """What the planner sees, and every walk that is open."""
        open_walks = self.house.all(
            "SELECT campaign_id, lead_id FROM campaign_leads WHERE state <> 'ended' ORDER BY 1, 2"
        )
        with self.work.database.transaction() as db:
            snapshot = Snapshot(
                now=now,
                campaigns=planning.campaigns(db, now, self.campaigns),
                senders=planning.senders(db, now, self.campaigns, {}),
                providers={},
                walks=(),
            )
            found = [planning.walk(db, self.house.workspace, row["campaign_id"], row["lead_id"]) for row in open_walks]
        return snapshot, found

    def accept(self, now):
        """All that is planned goes out; its senders rest, its walks go on."""
        rows = self.house.all("SELECT * FROM deliveries WHERE state = 'planned' ORDER BY id")
        with self.work.database.transaction() as db:
            views = planning.campaigns(db, now, self.campaigns)
            for row in rows:
                sender, campaign, lead, step = (row[name] for name in ("sender_id", "campaign_id", "lead_id", "step"))
                db.execute(
                    """UPDATE deliveries SET state = 'sent', rendered_at = %(now)s, sending_at = %(now)s, settled_at = %(now)s, token = 1, hash = '',
                              message_id = id::text WHERE id = %(id)s""",
                    {"now": now, "id": row["id"]},
                )
                db.execute(
                    """INSERT INTO sender_days AS d (sender_id, day, used) VALUES (%s, %s, 1)
                       ON CONFLICT (sender_id, day) DO UPDATE SET used = d.used + 1""",
                    [sender, now.date()],
                )
                bounds = db.execute(
                    "SELECT min_gap_seconds, max_gap_seconds FROM senders WHERE id = %s", [sender]
                ).fetchone()
                rest = rotation.gap(Seed.of(campaign, lead, step), *bounds.values())
                db.execute(
                    "UPDATE senders SET health = least(100, health + 1), free_at = %s WHERE id = %s",
                    [now + timedelta(seconds=rest), sender],
                )
                db.execute("UPDATE campaign_runs SET sent = sent + 1 WHERE campaign_id = %s", [campaign])
                deliveries.move_walks(db, now, [walks.judged(Accepted(), views[campaign], lead, step, row["id"], now)])
                self.sent.append((now, campaign, lead, step, sender))
        self.work.queues.messages.clear()
        return {(row["campaign_id"], row["lead_id"]) for row in rows}


def minutes():
    """The rounds: every minute in which any window could be open."""
    return [MONDAY + timedelta(days=day, hours=9) + minute * MINUTE for day in range(DAYS) for minute in range(-1, 14)]


@pytest.mark.parametrize("seed", range(6))
def test_explain_announces_and_the_forecast_foretells_what_happens(house, work, seed):
    theatre = Theatre(house, work, seed)
    theatre.build()
    snapshot, found = theatre.world(MONDAY)
    cohorts = [Cohort(walk) for walk in found]
    foretold = {
        campaign: forecast(
            campaign, list(snapshot.campaigns.values()), list(snapshot.senders.values()), cohorts, {}, MONDAY, horizon_days=DAYS
        )
        for campaign in theatre.campaigns
    }  # fmt: skip

    promised = None
    for now in minutes():
        snapshot, found = theatre.world(now)
        told = {(walk.campaign_id, walk.lead_id): explain.explain(snapshot, walk) for walk in found}
        times = [each.next_mail_at for each in told.values() if each.next_mail_at is not None]
        if promised is not None and promised > now:
            assert min(times) == promised, "nothing has happened since, so the next mail is where it was"
        before = house.one("SELECT count(*) FROM deliveries") + house.one(
            "SELECT count(*) FROM campaign_leads WHERE state = 'ended'"
        )

        assert plan.plan_round(work, at=now) == len(house.all("SELECT FROM deliveries WHERE state = 'planned'"))
        mailed = theatre.accept(now)

        after = house.one("SELECT count(*) FROM deliveries") + house.one(
            "SELECT count(*) FROM campaign_leads WHERE state = 'ended'"
        )
        assert all(told[walk].blocking is None and told[walk].next_mail_at == now for walk in mailed)
        assert bool(mailed) == any(each.blocking is None for each in told.values())
        promised = min(times) if times and after == before else None

    for campaign in theatre.campaigns:
        happened = Counter(
            (now.date(), step > 0 and not first(theatre, campaign, lead, step))
            for now, owner, lead, step, _ in theatre.sent
            if owner == campaign
        )
        said = foretold[campaign]
        assert {day.date: (day.first, day.follow_ups) for day in said.days if day.first + day.follow_ups} == {
            day: (happened[day, False], happened[day, True]) for day, _ in happened
        }
        by_sender = Counter((now.date(), sender) for now, owner, _, _, sender in theatre.sent if owner == campaign)
        assert {(day.date, sender): mails for day in said.days for sender, mails in day.by_sender.items()} == by_sender
    keeps_the_rules(theatre)


def first(theatre, campaign, lead, step):
    """Whether a mail was the first that the lead got of the campaign: the steps before it may have been skipped."""
    return not any(owner == campaign and who == lead and earlier < step for _, owner, who, earlier, _ in theatre.sent)


def keeps_the_rules(theatre):
    """Read from what was sent alone: who, when, how many, how far apart, each step once."""
    house, sent = theatre.house, theatre.sent
    assert sent
    assert not {lead for _, _, lead, _, _ in sent} & theatre.forbidden
    assert len({(campaign, lead, step) for _, campaign, lead, step, _ in sent}) == len(sent)
    windows = {row["id"]: row["schedule"] for row in house.all("SELECT id, schedule FROM campaigns")}
    assert all(windows[campaign]["start"] <= f"{now:%H:%M}" < windows[campaign]["end"] for now, campaign, *_ in sent)
    assert all(now.isoweekday() in windows[campaign]["days"] for now, campaign, *_ in sent)
    for row in house.all("SELECT id, daily_limit, min_gap_seconds FROM senders"):
        own = [now for now, _, _, _, sender in sent if sender == row["id"]]
        assert max(Counter(now.date() for now in own).values(), default=0) <= row["daily_limit"]
        assert all((b - a).total_seconds() >= row["min_gap_seconds"] for a, b in pairwise(own))
