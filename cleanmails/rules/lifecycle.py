"""The life of a campaign: which changes of status are allowed, when it pauses itself, and when it is done (product page, "Campaigns")."""

from collections.abc import Mapping
from typing import Final

from cleanmails.errors import StateError
from cleanmails.records import CampaignStatus, WalkCounts

PERSON_MOVES: Final[Mapping[CampaignStatus, frozenset[CampaignStatus]]] = {
    CampaignStatus.DRAFT: frozenset({CampaignStatus.RUNNING}),
    CampaignStatus.RUNNING: frozenset({CampaignStatus.PAUSED}),
    CampaignStatus.PAUSED: frozenset({CampaignStatus.RUNNING}),
    CampaignStatus.COMPLETED: frozenset(),
}
"""What a person may ask for, from each status."""

SYSTEM_MOVES: Final[Mapping[CampaignStatus, frozenset[CampaignStatus]]] = {
    CampaignStatus.RUNNING: frozenset({CampaignStatus.PAUSED, CampaignStatus.COMPLETED})
}
"""What the system does by itself: it pauses on bounces, and completes what is done."""


def check_move(current: CampaignStatus, wanted: CampaignStatus, *, by_system: bool = False) -> None:
    """Raise StateError when a campaign may not go from one status to another.

    Codes: `already_running`, `already_paused`, `already_completed`, `already_draft` when it is there; `campaign_completed` when nothing can follow;
    `completed_by_system` when only the system may say so; `not_started` to pause a draft; `already_started` to make a draft of what has begun.
    """
    moves = SYSTEM_MOVES if by_system else PERSON_MOVES
    if wanted in moves.get(current, frozenset()):
        return
    code, message = _refusal(current, wanted)
    raise StateError(message, code=code)


def _refusal(current: CampaignStatus, wanted: CampaignStatus) -> tuple[str, str]:
    if wanted is current:
        return (
            f"already_{current}",
            f"The campaign is {current} already."
            if current is not CampaignStatus.DRAFT
            else "The campaign is a draft already.",
        )
    if current is CampaignStatus.COMPLETED:
        return (
            "campaign_completed",
            "The campaign is completed: every lead's walk has ended. Start a copy of it instead.",
        )
    if wanted is CampaignStatus.COMPLETED:
        return (
            "completed_by_system",
            "A campaign completes by itself, when the walk of every lead has ended. Pause it to stop it now.",
        )
    if wanted is CampaignStatus.DRAFT:
        return "already_started", "A campaign that has started cannot be a draft again. Pause it to change it."
    return "not_started", "The campaign is a draft: there is nothing to pause yet."


def over_bounce_limit(sent: int, bounced: int, limit_percent: float = 5.0, min_sent: int = 20) -> bool:
    """Whether hard bounces are more than the limit allows of what was sent since launch or the last resume, once enough was sent to tell."""
    return sent >= min_sent and bounced * 100 > sent * limit_percent


def auto_pause(sent: int, bounced: int, limit_percent: float = 5.0, min_sent: int = 20) -> str | None:
    """Why a campaign must pause itself, with the figures, or None. The counts begin anew at every resume."""
    if not over_bounce_limit(sent, bounced, limit_percent, min_sent):
        return None
    return f"{bounced} of {sent} mails bounced hard ({bounced / sent:.1%}); the limit is {limit_percent:g} %."


def completed(counts: WalkCounts) -> bool:
    """Whether a running campaign is done: it has leads, and the walk of each has ended. A retry that is due keeps its walk waiting.

    A held lead still needs a person, so it keeps the campaign open. One without any lead waits for its lists to grow.
    """
    return counts.ended > 0 and counts.waiting == counts.in_flight == counts.held == 0
