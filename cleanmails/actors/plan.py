"""tick and plan: who is mailed next, by whom. The one planner at a time decides on a small snapshot; one transaction writes it down."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from msgspec.structs import replace

from cleanmails import log
from cleanmails.actors.work import Work, stopwatch
from cleanmails.ledger import events, planning, workers
from cleanmails.ledger.db import Connection
from cleanmails.limits.daily import Reserved
from cleanmails.records import (
    CampaignView,
    Decision,
    Ends,
    OnSenderLoss,
    Planned,
    ProviderView,
    SenderView,
    Skipped,
    Snapshot,
    Waits,
    WalkView,
)
from cleanmails.rules import gates, providers
from cleanmails.rules.plan import ASIDE, READ_WITH_GAP
from cleanmails.rules.plan import plan as decide

logger = log.get(__name__)

ROUND_SECONDS = 5
"""How often the planner looks; a tick each minute enqueues a minute's rounds."""

ANYBODY = 0
"""Stands for the sender of walks that no sender has yet."""

BATCH = 200
"""Walks read for each campaign and sender in a round; the pipe of a sender holds no more."""

FRESH = 2_000
"""First mails read for a campaign in a round, where a sender without a gap may take many of them."""

ROUNDS = 10
"""Rounds in a row while each of them finds a batch; what comes in drops is gathered until the next one."""


def tick(work: Work) -> None:
    """The scheduler's minute: a plan now and one every five seconds. It carries no information: none, one or five lead to the same state."""
    with work.database.transaction() as db:
        workers.did(db, "tick")
    for second in range(0, 60, ROUND_SECONDS):
        work.queues.plan(delay_ms=second * 1000 or None)


def plan(work: Work) -> int:
    """Plans while there is much to plan, a few rounds at most; how many mails were planned."""
    total = 0
    for _ in range(ROUNDS):
        planned = plan_round(work)
        total += planned
        if planned < BATCH:
            break
    return total


def plan_round(work: Work, at: datetime | None = None) -> int:
    """One round: gather, decide, act, commit, then enqueue. Returns how many mails were planned. `at` stands for the ledger's time where time is virtual."""
    begun = stopwatch()
    with work.database.transaction() as db:
        now = planning.take_turn(db)
        if now is None:
            return 0
        now = at or now
        done = _complete(db, now)
        snapshot, strangers = gather(work, db, now)
        planning.step_aside(db, [_stranger(walk, now) for walk in strangers])
        decisions = decide(snapshot) if snapshot.walks else []
        granted, reserved = _reserve(work, now, snapshot, decisions)
        try:
            written = _act(db, snapshot, decisions, granted)
            if not decisions and not strangers and not done:
                planning.nothing_to_keep(db)
        except BaseException:
            work.daily.release(reserved.counts, now.astimezone(UTC).date(), reserved.epoch)
            raise
    work.queues.resolve(sorted({walk.domain for walk in strangers}))
    # By sender, so that a chunk that was rendered goes on in few messages.
    by_sender = sorted(written, key=attrgetter("sender_id", "id"))
    work.queues.render([delivery.id for delivery in by_sender if delivery.state == "planned"])
    work.queues.send(delivery.sender_id for delivery in written if delivery.state == "rendered")
    if decisions:
        logger.info("plan.decided", **_counts(decisions), mails=len(written), ms=round(1000 * (stopwatch() - begun), 1))
    return len(written)


def _complete(db: Connection, now: datetime) -> int:
    """Ends the campaigns in which nobody is left; how many."""
    done = planning.complete(db, now)
    if not done:
        return 0
    events.append(
        db,
        [
            events.Event(workspace_id=row["workspace_id"], type="campaign.completed", campaign_id=row["id"])
            for row in done
        ],
    )
    for row in done:
        logger.info("campaign.completed", campaign=row["id"], workspace=row["workspace_id"])
    return len(done)


def gather(work: Work, db: Connection, now: datetime) -> tuple[Snapshot, list[WalkView]]:
    """Open campaigns, senders with room, and for each of their pairs the oldest due walks; never more than a batch a pair.

    Walks to domains whose provider nobody has looked up yet come apart: rates are per provider, so they wait until it is known.
    """
    settings = work.settings
    running = {
        id: replace(
            campaign, bounce_limit_percent=settings.bounce_limit_percent, bounce_min_sent=settings.bounce_min_sent
        )
        for id, campaign in planning.campaigns(db, now).items()
    }
    campaigns = {id: campaign for id, campaign in running.items() if gates.shut_campaign(campaign, now) is None}
    by_sender, by_provider = planning.pipe(db)
    senders = planning.senders(db, now, list(campaigns), by_sender)
    due = _due(db, now, campaigns, senders)
    walks = [walk for walk in due if walk.provider]
    rates = {walk.provider: providers.rate_of(walk.provider, settings.provider_rates) for walk in walks}
    snapshot = Snapshot(
        now=now,
        campaigns=campaigns,
        senders=senders,
        providers={name: ProviderView(name, rate, by_provider.get(name, 0)) for name, rate in rates.items()},
        walks=tuple(walks),
    )
    return snapshot, [walk for walk in due if not walk.provider]


def _stranger(walk: WalkView, now: datetime) -> Waits:
    """Until its domain is looked up, which takes moments and wakes the planner."""
    until = now + timedelta(seconds=ROUND_SECONDS - 1)
    return Waits(
        campaign_id=walk.campaign_id, lead_id=walk.lead_id, step=walk.step, reason="provider_unknown", until=until
    )


def _due(
    db: Connection, now: datetime, campaigns: dict[int, CampaignView], senders: dict[int, SenderView]
) -> list[WalkView]:
    """Follow-ups of the senders that may send; where at least one of them may, first mails, and follow-ups of lost senders that others may take over."""
    free = {id for id, sender in senders.items() if gates.shut_sender(sender, now) is None}
    # A sender with a gap takes one mail a round; some more are read because a skipped step costs a walk without a mail.
    gapless = {id for id in free if not senders[id].max_gap}
    most: dict[tuple[int, int], int] = {}
    for campaign in campaigns.values():
        usable = campaign.sender_ids & free
        if usable:
            most[campaign.id, ANYBODY] = FRESH if usable & gapless else BATCH
            most |= {(campaign.id, id): BATCH if id in gapless else READ_WITH_GAP for id in usable}
    reassigning = [
        id
        for id, campaign in campaigns.items()
        if (id, ANYBODY) in most and campaign.on_sender_loss is OnSenderLoss.REASSIGN
    ]
    most |= dict.fromkeys(planning.lost_pairs(db, reassigning), BATCH)
    lanes: dict[int, list[tuple[int, int]]] = {}
    for pair in sorted(planning.due_pairs(db, now, most)):
        lanes.setdefault(most[pair], []).append(pair)
    return [walk for limit, pairs in sorted(lanes.items()) for walk in planning.due_walks(db, now, pairs, limit)]


def _reserve(
    work: Work, now: datetime, snapshot: Snapshot, decisions: Iterable[Decision]
) -> tuple[list[Planned], Reserved]:
    """Takes the planned mails off their senders' day in Redis; what is left of the list. A counter that is missing there is rebuilt from the ledger first."""
    planned = [decision for decision in decisions if isinstance(decision, Planned)]
    wanted = Counter(mail.sender_id for mail in planned)
    day = now.astimezone(UTC).date()
    missing = [id for id, used in work.daily.used(wanted, day).items() if used is None] if wanted else []
    if missing:
        work.daily.rebuild({id: snapshot.senders[id].used_today for id in missing}, day)
    limits = {id: snapshot.senders[id].daily_limit for id in wanted}
    reserved = work.daily.reserve(wanted, limits, day) if wanted else Reserved({}, None)
    left = Counter(reserved.counts)
    kept = []
    for mail in planned:
        if left[mail.sender_id] > 0:
            left[mail.sender_id] -= 1
            kept.append(mail)
    return kept, reserved


def _act(
    db: Connection, snapshot: Snapshot, decisions: Sequence[Decision], granted: Sequence[Planned]
) -> list[planning.Written]:
    """Writes the decisions down; deliveries that are now in the pipe."""
    now = snapshot.now
    new = {(walk.campaign_id, walk.lead_id) for walk in snapshot.walks if walk.is_new}
    written = planning.write_planned(db, now, granted) if granted else []
    if written:
        first = Counter(d.campaign_id for d in written if d.fresh and (d.campaign_id, d.lead_id) in new)
        planning.count_new(db, now, first)
        planning.note_planned(db, now, {delivery.campaign_id for delivery in written})
    if skipped := [d for d in decisions if isinstance(d, Skipped)]:
        planning.write_skipped(db, now, skipped)
    if aside := [d for d in decisions if isinstance(d, Waits) and d.reason in ASIDE and d.until is not None]:
        planning.step_aside(db, aside)
    if ends := [d for d in decisions if isinstance(d, Ends)]:
        planning.write_ends(db, now, ends)
    return written


def _counts(decisions: Iterable[Decision]) -> dict[str, int]:
    return dict(Counter(type(decision).__name__.lower() for decision in decisions))
