"""What a person writes of a campaign, and how it is read. `schedule_config` and `subjects` may come as JSON or as text that holds JSON."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from cleanmails.api.body import Id, read_value
from cleanmails.api.fields import Title
from cleanmails.errors import Fault, InvalidError
from cleanmails.records import CampaignStatus, MissingField, OnSenderLoss, PromoteWinner, Step, Trigger
from cleanmails.rules import schedule
from cleanmails.rules.launch import MAX_WAIT_DAYS, MAX_WAIT_HOURS

MOST_STEPS: Final = 50

Skippable = Literal["pending", "catchall", "disposable", "role"]

Subjects = Annotated[list[Annotated[str, msgspec.Meta(max_length=1_000)]], msgspec.Meta(max_length=50)]
SubjectsText = Annotated[str, msgspec.Meta(max_length=100_000)]

_EXAMPLE: Final = {"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "17:00", "timezone": "Europe/Berlin"}
_FIRST_LAUNCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LAST_LAUNCH: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""At the ends of the calendar a wait or a zone leads out of it, and whoever reads the campaign fails."""

_PLAIN: Final = (
    "name", "check_reply", "stop_company_on_reply", "track_opens", "track_clicks", "launch_at", "max_new_leads_per_day", "on_sender_loss", "missing_field",
    "promote_winner", "skip_validation",
)  # fmt: skip


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A list or a sender that a campaign is to use."""

    id: Id


class WrittenStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a sequence. Several `subjects` are tried against each other; none continues the thread of the mail before.

    `subjects` is a list, a text that holds a JSON list, or one plain subject. The wait counts from when the step before settled.
    """

    position: Annotated[int, msgspec.Meta(ge=0, lt=MOST_STEPS)]
    subjects: Subjects | SubjectsText = []
    body: Annotated[str, msgspec.Meta(max_length=500_000)] = ""
    wait_days: Annotated[int, msgspec.Meta(ge=0, le=MAX_WAIT_DAYS)] = 0
    wait_hours: Annotated[int, msgspec.Meta(ge=0, le=MAX_WAIT_HOURS)] = 0
    trigger_condition: Trigger = Trigger.ALWAYS

    def faults(self) -> Iterator[Fault]:
        """Subjects must be readable."""
        try:
            read_subjects(self.subjects)
        except InvalidError as error:
            yield from error.faults

    def step(self) -> Step:
        """The step as the rules know it."""
        return Step(
            position=self.position,
            subjects=tuple(read_subjects(self.subjects)),
            body=self.body,
            wait_days=self.wait_days,
            wait_hours=self.wait_hours,
            trigger=self.trigger_condition,
        )


class CampaignChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change of a campaign; what is left out stays. Lists, senders and steps are given whole.

    `skip_validation` names the classes of addresses that are not taken in when the campaign starts or its lists grow; invalid ones never are.
    With `version` the change is refused (409, `stale`) if somebody else has changed the campaign since it was read.
    """

    name: Title | UnsetType = UNSET
    status: CampaignStatus | UnsetType = UNSET
    check_reply: bool | UnsetType = UNSET
    stop_company_on_reply: bool | UnsetType = UNSET
    track_opens: bool | UnsetType = UNSET
    track_clicks: bool | UnsetType = UNSET
    schedule_config: (
        Annotated[dict[str, Any], msgspec.Meta(examples=[_EXAMPLE])]
        | Annotated[str, msgspec.Meta(max_length=10_000)]
        | UnsetType
        | None
    ) = UNSET
    launch_at: Annotated[datetime, msgspec.Meta(tz=True)] | UnsetType | None = UNSET
    max_new_leads_per_day: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | UnsetType | None = UNSET
    on_sender_loss: OnSenderLoss | UnsetType = UNSET
    missing_field: MissingField | UnsetType = UNSET
    promote_winner: PromoteWinner | UnsetType | None = UNSET
    skip_validation: Annotated[list[Skippable], msgspec.Meta(max_length=4)] | UnsetType = UNSET
    lists: Annotated[list[Chosen], msgspec.Meta(max_length=1_000)] | UnsetType = UNSET
    senders: Annotated[list[Chosen], msgspec.Meta(max_length=1_000)] | UnsetType = UNSET
    steps: Annotated[list[WrittenStep], msgspec.Meta(max_length=MOST_STEPS)] | UnsetType = UNSET
    version: int | UnsetType = UNSET

    def faults(self) -> Iterator[Fault]:
        """The launch must be on a day that all calendars have, the schedule must be one, and each step must have a place of its own."""
        launch_at = getattr(self, "launch_at", None)
        if isinstance(launch_at, datetime) and not _FIRST_LAUNCH <= launch_at < _LAST_LAUNCH:
            yield Fault("launch_at", "far", "Give a time of the years from 2000 to 2099.")
        if not isinstance(self.schedule_config, UnsetType):
            try:
                schedule.parse(self.schedule_config)
            except InvalidError as error:
                yield from error.faults
        places = [] if isinstance(self.steps, UnsetType) else [each.position for each in self.steps]
        for index, position in enumerate(places):
            if position in places[:index]:
                yield Fault(f"steps[{index}].position", "same_position", f"Another step has the position {position}.")


class NewCampaign(CampaignChange, frozen=True, kw_only=True):
    """A campaign to be made; with the status `running` it is launched at once, or not made at all.

    Left out: `check_reply` on, `stop_company_on_reply` off (a reply ends the walks of others at the same company too), `track_opens` and `track_clicks` off, no schedule (always open), no limit of new leads, `on_sender_loss` wait,
    `missing_field` hold, `promote_winner` none, `skip_validation` disposable.
    """

    name: Title
    status: CampaignStatus = CampaignStatus.DRAFT

    def faults(self) -> Iterator[Fault]:
        """What holds for a change, and a status with which a campaign can begin."""
        if getattr(self, "status", None) in {CampaignStatus.PAUSED, CampaignStatus.COMPLETED}:
            yield Fault("status", "choice", "A new campaign is a draft or running.")
        yield from CampaignChange.faults(self)


def settings(current: dict[str, Any], change: CampaignChange) -> dict[str, Any]:
    """All settings of a campaign as columns: those of `change`, and where it says nothing those there are."""
    given = {name: value for name in _PLAIN if (value := getattr(change, name)) is not UNSET}
    if not isinstance(change.schedule_config, UnsetType):
        window = schedule.parse(change.schedule_config)
        given["schedule"] = schedule.as_json(window) if window else None
    kept = {name: current[name] for name in (*_PLAIN, "schedule")}
    return kept | given | {"name": str(given.get("name", kept["name"])).strip()}


def read_subjects(given: list[str] | str) -> list[str]:
    """A list of subjects as it is, as a text that holds it, or one subject. `[Quick] question` is a subject; `["Quick"` is a slip. InvalidError."""
    if isinstance(given, list):
        return given
    text = given.strip()
    if not text.startswith("["):
        return [given] if text else []
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        if text[1:].lstrip().startswith('"'):
            raise InvalidError(
                [Fault("subjects", "json", "This looks like a JSON list of subjects and is none.")]
            ) from None
        return [given]
    return read_value(Subjects, found, "subjects")
