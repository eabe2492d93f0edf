"""What a request changes of a campaign, written into the ledger: all of it, or nothing with all that stands against it."""

from collections.abc import Container, Iterable, Iterator
from datetime import datetime
from typing import Final

from msgspec import UNSET, UnsetType

from cleanmails.api import launch
from cleanmails.api.auth import Principal
from cleanmails.api.drafts import CampaignChange, Chosen, settings
from cleanmails.errors import ConflictError, Fault, InvalidError, StateError
from cleanmails.ledger import campaigns, walks
from cleanmails.ledger.db import Connection, Row
from cleanmails.records import CampaignStatus
from cleanmails.rules.launch import Checks, LaunchWarning
from cleanmails.rules.lifecycle import check_move

_WEIGHTY: Final = ("steps", "lists", "senders", "track_opens", "track_clicks")
"""What of a running campaign may only be changed to what could be launched."""


def write(
    db: Connection, principal: Principal, campaign_id: int, change: CampaignChange, now: datetime
) -> list[LaunchWarning]:
    """Everything that a request wants of a campaign, its status included; returns what one should know of it.

    NotFoundError, ConflictError (`stale`), StateError; InvalidError with all that stands against it, a launch included.
    """
    workspace, wanted = principal.workspace_id, change.status
    if wanted == CampaignStatus.PAUSED:
        campaigns.hold_marks(db, workspace, campaign_id)
    current = campaigns.hold(db, workspace, campaign_id, _ids(change.lists))
    moves = _moves(current, change)
    faults = _put(db, workspace, current, change)
    checks = Checks([], [])
    starts = moves and wanted == CampaignStatus.RUNNING
    if starts or (not moves and _weighs(current, change)):
        steps = None if isinstance(change.steps, UnsetType) else [each.step() for each in change.steps]
        checks = launch.check(db, workspace, campaign_id, now, steps=steps, sender_ids=_ids(change.senders))
    if faults or checks.faults:
        raise InvalidError([*faults, *checks.faults])
    if starts:
        campaigns.start(db, workspace, campaign_id, user_id=principal.user_id)
    elif moves:
        campaigns.pause(db, workspace, campaign_id, user_id=principal.user_id)
    return checks.warnings


def begin(db: Connection, principal: Principal, current: Row, now: datetime) -> list[LaunchWarning]:
    """Starts or resumes a campaign that is held (`campaigns.hold`). StateError; InvalidError with all that stands against it."""
    workspace, campaign_id = principal.workspace_id, current["id"]
    check_move(CampaignStatus(current["status"]), CampaignStatus.RUNNING)
    checks = launch.check(db, workspace, campaign_id, now)
    if checks.faults:
        raise InvalidError(checks.faults, "The campaign cannot start; nothing was changed.")
    campaigns.start(db, workspace, campaign_id, user_id=principal.user_id)
    return checks.warnings


def _moves(current: Row, change: CampaignChange) -> bool:
    """Whether the status is to change. StateError where it may not, or nothing may; ConflictError for a change of what is no longer so."""
    status = CampaignStatus(current["status"])
    if not isinstance(change.version, UnsetType) and change.version != current["version"]:
        raise ConflictError("The campaign has been changed since you read it; read it again.", code="stale")
    if status == CampaignStatus.COMPLETED:
        raise StateError("The campaign is completed; make a copy of it instead.", code="campaign_completed")
    if isinstance(change.status, UnsetType) or change.status == status:
        return False
    check_move(status, change.status)
    return True


def _weighs(current: Row, change: CampaignChange) -> bool:
    """Whether a running campaign would become another one: it must be one that could be launched."""
    running = current["status"] == CampaignStatus.RUNNING
    return running and any(getattr(change, name) is not UNSET for name in _WEIGHTY)


def _put(db: Connection, workspace_id: int, current: Row, change: CampaignChange) -> list[Fault]:
    """Writes what a request says; what it names that is not there is left out and told of."""
    campaign_id, written, faults = current["id"], settings(current, change), list[Fault]()
    campaigns.write(db, campaign_id, written)
    if current["launch_at"] is not None and written["launch_at"] != current["launch_at"]:
        walks.move_launch(db, campaign_id, current["launch_at"], written["launch_at"])
    if not isinstance(change.steps, UnsetType):
        campaigns.put_steps(db, campaign_id, [each.step() for each in change.steps])
    if change.steps is not UNSET or written["missing_field"] != current["missing_field"]:
        walks.free_held(db, workspace_id, campaign_id=campaign_id)
    if not isinstance(change.lists, UnsetType):
        known = campaigns.known_lists(db, workspace_id, _ids(change.lists))
        faults += _unknown("lists", change.lists, known)
        campaigns.put_lists(db, workspace_id, current, known)
    if not isinstance(change.senders, UnsetType):
        known = campaigns.known_senders(db, workspace_id, _ids(change.senders))
        faults += _unknown("senders", change.senders, known)
        campaigns.put_senders(db, workspace_id, campaign_id, known, written["on_sender_loss"])
    return faults


def _ids(chosen: Iterable[Chosen] | UnsetType) -> list[int]:
    return [] if isinstance(chosen, UnsetType) else [each.id for each in chosen]


def _unknown(field: str, chosen: Iterable[Chosen], known: Container[int]) -> Iterator[Fault]:
    """A foreign id is as unknown as one that never was."""
    for index, each in enumerate(chosen):
        if each.id not in known:
            yield Fault(f"{field}[{index}].id", "unknown_id", f"There is no such {field[:-1]} in this workspace.")
