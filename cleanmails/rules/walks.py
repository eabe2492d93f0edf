"""Where a walk goes once a delivery of it has an end (product page, "Steps, waits, triggers" and "Temporary and permanent failures")."""

from datetime import datetime

from cleanmails.records import CampaignView, Move, WalkOutcome, WalkState
from cleanmails.rules import gates, waits
from cleanmails.rules.outcome import Accepted, Bounced, Failed, HoldSender, Retry, Unknown, Verdict


def sent(campaign: CampaignView, lead_id: int, step: int, delivery_id: int, at: datetime) -> Move:
    """After a mail that was sent at `at`: the next step's wait counts from there; without a next step the walk is finished."""
    following = gates.step_after(campaign, step)
    due_at = following and waits.due_at(at, following.wait_days, following.wait_hours, campaign.timezone)
    return Move(
        campaign_id=campaign.id,
        lead_id=lead_id,
        state=WalkState.WAITING if following else WalkState.ENDED,
        step=following.position if following else step,
        due_at=due_at,
        outcome=None if following else WalkOutcome.FINISHED,
        settled_at=at,
        last_delivery_id=delivery_id,
    )


def judged(verdict: Verdict, campaign: CampaignView, lead_id: int, step: int, delivery_id: int, now: datetime) -> Move:
    """After an attempt: on once it was accepted, back to the same step for now, or to an end."""
    here = {"campaign_id": campaign.id, "lead_id": lead_id, "step": step}
    match verdict:
        case Accepted():
            return sent(campaign, lead_id, step, delivery_id, now)
        case Retry(at=at) | HoldSender(at=at):
            return Move(**here, state=WalkState.WAITING, due_at=at)
        case Failed():
            return Move(**here, state=WalkState.ENDED, outcome=WalkOutcome.FAILED)
        case Bounced():
            return Move(**here, state=WalkState.ENDED, outcome=WalkOutcome.BOUNCED)
        case Unknown():
            return Move(**here, state=WalkState.HELD, hold_reason="unknown")
