"""What a request changes of a campaign, written into the ledger: all of it, or nothing with all that stands against it."""

from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import UNSET, UnsetType

from cleanmails.api import launch
from cleanmails.api.auth import Principal
from cleanmails.api.drafts import CampaignChange, Chosen, settings
from cleanmails.errors import ConflictError, Fault, InvalidError, StateError
from cleanmails.ledger import campaign_changes, campaigns, walks
from cleanmails.ledger.db import Connection, Row
from cleanmails.records import CampaignStatus
from cleanmails.rules.launch import Checks, LaunchWarning
from cleanmails.rules.lifecycle import check_move

_WEIGHTY: Final = ("steps", "lists", "senders", "track_opens", "track_clicks")
"""What of a running campaign may only be changed to what could be launched."""


_PLAIN: Final = (
    "name", "status", "check_reply", "stop_company_on_reply", "track_opens", "track_clicks", "schedule", "launch_at", "max_new_leads_per_day", "on_sender_loss",
    "missing_field", "promote_winner", "skip_validation",
)  # fmt: skip
_NAMES: Final = {
    "schedule_config": "schedule",
    "launch_at": "launch date",
    "archived_at": "archive",
    "skip_validation": "classes of addresses left out",
}


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
    moves = _moves(db, workspace, current, change)
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
    changed = differences(current, campaigns.read(db, workspace, campaign_id))
    if not current["version"]:
        note(db, principal, campaign_id, changed, kind="campaign.created")
    elif changed:
        note(db, principal, campaign_id, changed)
    return checks.warnings


def begin(db: Connection, principal: Principal, current: Row, now: datetime) -> list[LaunchWarning]:
    """Starts or resumes a campaign that is held (`campaigns.hold`). StateError; InvalidError with all that stands against it."""
    workspace, campaign_id = principal.workspace_id, current["id"]
    check_move(CampaignStatus(current["status"]), CampaignStatus.RUNNING)
    if current["archived_at"] is not None:
        raise StateError("The campaign has been put away; restore it first.", code="campaign_archived")
    checks = launch.check(db, workspace, campaign_id, now)
    if checks.faults:
        raise InvalidError(checks.faults, "The campaign cannot start; nothing was changed.")
    campaigns.start(db, workspace, campaign_id, user_id=principal.user_id)
    note(db, principal, campaign_id, ["status"])
    return checks.warnings


def note(
    db: Connection, principal: Principal, campaign_id: int, fields: Sequence[str], *, kind: str = "campaign.changed"
) -> None:
    """Writes down who changed these fields, at the version that the campaign has now, and tells it. Of its status others tell: that it was started, or paused."""
    told = [field for field in fields if field != "status"]
    if told or kind != "campaign.changed":
        more = {"fields": told} if kind == "campaign.changed" else {}
        campaigns.tell(db, principal.workspace_id, campaign_id, kind, user_id=principal.user_id, **more)
    campaign_changes.append(db, campaign_id, fields, user_id=principal.user_id, api_key_id=principal.api_key_id)


def differences(before: Row, after: Row) -> list[str]:
    """The fields in which two readings of a campaign differ, a step as `steps[0]`; `schedule` has the API's name."""
    fields = [
        "schedule_config" if name == "schedule" else name
        for name in (*_PLAIN, "lists", "senders")
        if before[name] != after[name]
    ]
    old, new = ({step["position"]: step for step in row["steps"]} for row in (before, after))
    places = sorted(place for place in old.keys() | new.keys() if old.get(place) != new.get(place))
    return [*fields, *(f"steps[{place}]" for place in places)]


def described(fields: Sequence[str]) -> str:
    """Fields for people: `the schedule and step 2`."""
    names = [
        f"step {int(each[6:-1]) + 1}"
        if each.startswith("steps[")
        else f"the {_NAMES.get(each, each.replace('_', ' '))}"
        for each in fields
    ]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "nothing"


def _stale(last: Row | None) -> str:
    """Who was first, as far as anybody was: the system changes campaigns too."""
    if last is None:
        return "The campaign has been changed since you read it; read it again."
    who = last["who"] or "Somebody"
    return f"{who} changed {described(last['fields'])} since you read the campaign; read it again."


def _moves(db: Connection, workspace_id: int, current: Row, change: CampaignChange) -> bool:
    """Whether the status is to change. StateError where it may not, or nothing may; ConflictError for a change of what is no longer so."""
    status = CampaignStatus(current["status"])
    if not isinstance(change.version, UnsetType) and change.version != current["version"]:
        since = campaign_changes.read(db, workspace_id, current["id"], since=change.version, limit=1)
        raise ConflictError(_stale(since[0] if since else None), code="stale")
    if current["archived_at"] is not None and change.status == CampaignStatus.RUNNING:
        raise StateError("The campaign has been put away; restore it first.", code="campaign_archived")
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
