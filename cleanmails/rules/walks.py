"""Where a walk goes once a delivery of it has an end (product page, "Steps, waits, triggers" and "Temporary and permanent failures")."""

from datetime import datetime

from msgspec.structs import replace

from cleanmails.records import CampaignView, Move, WalkOutcome, WalkState
from cleanmails.rules import gates, waits
from cleanmails.rules.outcome import Accepted, Bounced, Failed, HoldSender, Retry, Unknown, Verdict


def sent(campaign: CampaignView, lead_id: int, step: int, delivery_id: int, at: datetime) -> Move:
    """After a mail that was sent at `at`: the next step's wait counts from there; without a next step the walk is finished."""
    here = Move(
        campaign_id=campaign.id,
        lead_id=lead_id,
        state=WalkState.ENDED,
        step=step,
        outcome=WalkOutcome.FINISHED,
        settled_at=at,
        last_delivery_id=delivery_id,
    )
    following = gates.step_after(campaign, step)
    if following is None:
        return here
    due_at = waits.due_at(at, following.wait_days, following.wait_hours, campaign.timezone)
    return replace(here, state=WalkState.WAITING, step=following.position, due_at=due_at, outcome=None)


def judged(verdict: Verdict, campaign: CampaignView, lead_id: int, step: int, delivery_id: int, now: datetime) -> Move:
    """After an attempt: on once it was accepted, back to the same step for now, or to an end."""
    here = Move(campaign_id=campaign.id, lead_id=lead_id, state=WalkState.WAITING, step=step)
    match verdict:
        case Accepted():
            return sent(campaign, lead_id, step, delivery_id, now)
        case Retry(at=at) | HoldSender(at=at):
            return replace(here, due_at=at)
        case Failed():
            return replace(here, state=WalkState.ENDED, outcome=WalkOutcome.FAILED)
        case Bounced():
            return replace(here, state=WalkState.ENDED, outcome=WalkOutcome.BOUNCED)
        case Unknown():
            return replace(here, state=WalkState.HELD, hold_reason="unknown")
