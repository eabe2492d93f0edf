"""A campaign as it is made: settings, lists, senders, steps, schedule, review. Each is a page with one form, and a draft keeps what was saved of them.

Later the same pages change the campaign. Two people may do so at once: what one saves is merged with what the other saved (`rules/merge.py`), unless both changed the same step or field;
then whoever comes second is shown who was first, with both versions, and decides.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from cleanmails.api.auth import Permission
from cleanmails.api.body import read_value
from cleanmails.api.campaigns import BODY_LIMIT, Campaign, Campaigns
from cleanmails.api.changes import Change, Changes
from cleanmails.api.drafts import CampaignChange, NewCampaign, WrittenStep
from cleanmails.api.edits import described
from cleanmails.api.forecast import Forecasts
from cleanmails.api.given import Given
from cleanmails.api.previews import Checks as StepWords
from cleanmails.api.previews import Previews
from cleanmails.api.senders import Senders
from cleanmails.errors import ConflictError, Fault, InvalidError, StateError
from cleanmails.ledger import overview
from cleanmails.records import CampaignStatus
from cleanmails.rules import schedule, zones
from cleanmails.rules.merge import Merged, marks, merged
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form, Sheet, flattened
from cleanmails.web.senders import standing
from cleanmails.web.tables import every

_BLANK: Final = {"subjects": [""], "body": "", "wait_days": 0, "wait_hours": 0, "trigger_condition": "always"}
_NEXT_WAIT_DAYS: Final = 3
_DAYS: Final = ((1, "Mon"), (2, "Tue"), (3, "Wed"), (4, "Thu"), (5, "Fri"), (6, "Sat"), (0, "Sun"))
_OFFICE: Final = {"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "17:00"}
_LEADS_OFFERED: Final = 50
_GROUPS: Final = ("lists", "senders")
_STEP: Final = WrittenStep.__struct_fields__


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a campaign's set-up: which fields of the API it writes, which part comes next, and which calls do the same."""

    key: str
    label: str
    fields: tuple[str, ...]
    onward: str
    calls: tuple[HTTPRouteHandler, ...] = (Campaigns.change,)


SECTIONS: Final = {
    each.key: each
    for each in (
        Section(
            key="settings",
            label="Settings",
            fields=("name", "check_reply", "stop_company_on_reply", "track_opens", "track_clicks", "missing_field", "on_sender_loss", "promote_winner"),
            onward="lists",
        ),
        Section(key="lists", label="Lists", fields=("lists",), onward="senders"),
        Section(key="senders", label="Senders", fields=("senders",), onward="steps"),
        Section(key="steps", label="Steps", fields=("steps",), onward="schedule", calls=(Campaigns.change, Previews.preview, StepWords.check)),
        Section(key="schedule", label="Schedule", fields=("schedule_config", "launch_at", "max_new_leads_per_day"), onward="review"),
        Section(key="review", label="Review", fields=(), onward="", calls=(Campaigns.launch_checks, Campaigns.start, Forecasts.forecast)),
    )
}  # fmt: skip


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody changed the same part meanwhile: who, what and when, and what stands there now."""

    who: str
    what: str
    at: datetime
    theirs: list[tuple[str, str]]


class SetupPages(Page):
    """`/campaigns/new` and `/campaigns/{id}/settings` to `/review`."""

    @get("/campaigns/new", sync_to_thread=True, needs=Permission.WRITE)
    def new(self, desk: Given[Desk]) -> Response[str]:
        """Begin a campaign."""
        return _new(desk, Sheet({"check_reply": "on"}))

    @post("/campaigns/new", sync_to_thread=True)
    def create(self, desk: Given[Desk], form: Given[Form]) -> Response[str] | Redirect:
        """Keep it as a draft, and go on."""
        data = form.json(NewCampaign) | {"steps": [_BLANK | {"position": 0, "subjects": []}]}
        try:
            made = desk.once(form, lambda: f"/campaigns/{desk.ask(Campaigns.create, data=data).id}/lists")
        except InvalidError as error:
            return _new(desk, Sheet.typed(form, error), status=400)
        return desk.go(made, kept="campaign-new")

    @get("/campaigns/{campaign_id:int}/settings", sync_to_thread=True)
    def settings(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """Name, replies, tracking."""
        return show(desk, desk.ask(Campaigns.read, campaign_id=campaign_id), "settings")

    @post("/campaigns/{campaign_id:int}/settings", sync_to_thread=True)
    def save_settings(
        self, campaign_id: FromPath[int], desk: Given[Desk], form: Given[Form]
    ) -> Response[str] | Redirect:
        """Save them."""
        return save(desk, campaign_id, "settings", form, form.json(CampaignChange))

    @get("/campaigns/{campaign_id:int}/lists", sync_to_thread=True)
    def lists(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """Whom it goes to."""
        return show(desk, desk.ask(Campaigns.read, campaign_id=campaign_id), "lists")

    @post("/campaigns/{campaign_id:int}/lists", sync_to_thread=True)
    def save_lists(self, campaign_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[str] | Redirect:
        """Save them."""
        return save(desk, campaign_id, "lists", form, {"lists": [{"id": each} for each in form.ids("lists")]})

    @get("/campaigns/{campaign_id:int}/senders", sync_to_thread=True)
    def senders(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """Who sends it."""
        return show(desk, desk.ask(Campaigns.read, campaign_id=campaign_id), "senders")

    @post("/campaigns/{campaign_id:int}/senders", sync_to_thread=True)
    def save_senders(
        self, campaign_id: FromPath[int], desk: Given[Desk], form: Given[Form]
    ) -> Response[str] | Redirect:
        """Save them."""
        return save(desk, campaign_id, "senders", form, {"senders": [{"id": each} for each in form.ids("senders")]})

    @get("/campaigns/{campaign_id:int}/steps", sync_to_thread=True)
    def steps(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """The sequence."""
        return show(desk, desk.ask(Campaigns.read, campaign_id=campaign_id), "steps")

    @post("/campaigns/{campaign_id:int}/steps", sync_to_thread=True, request_max_body_size=BODY_LIMIT)
    def save_steps(self, campaign_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[str] | Redirect:
        """Save it; or with `_do` change the form alone, and save nothing."""
        steps = _posted(form)
        if form.text("_do"):
            campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
            rearranged, landing = _rearranged(steps, form.text("_do"))
            sheet = Sheet(dict(form.flat()) | dict(flattened({"steps": rearranged})))
            return show(
                desk,
                campaign,
                "steps",
                sheet=sheet,
                steps=rearranged,
                landing=landing,
                version=_version(form, campaign),
                base=form.text("_base"),
            )
        tidy = [step | {"position": place, "subjects": _filled(step)} for place, step in enumerate(steps)]
        return save(desk, campaign_id, "steps", form, {"steps": tidy}, steps=steps)

    @get("/campaigns/{campaign_id:int}/schedule", sync_to_thread=True)
    def schedule(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """When it sends."""
        return show(desk, desk.ask(Campaigns.read, campaign_id=campaign_id), "schedule")

    @post("/campaigns/{campaign_id:int}/schedule", sync_to_thread=True)
    def save_schedule(
        self, campaign_id: FromPath[int], desk: Given[Desk], form: Given[Form]
    ) -> Response[str] | Redirect:
        """Save it."""
        window = form.text("_window") == "window"
        zone = form.text("schedule_config.timezone") if window else desk.zone.key
        data: dict[str, Any] = {
            "schedule_config": _window(form) if window else None,
            "max_new_leads_per_day": form.json(CampaignChange).get("max_new_leads_per_day"),
        }
        try:
            data["launch_at"] = wall_clock(form.text("launch_at"), zone)
        except InvalidError as error:
            campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
            return show(desk, campaign, "schedule", sheet=Sheet.typed(form, error), form=form, status=400)
        return save(desk, campaign_id, "schedule", form, data)

    @get("/campaigns/{campaign_id:int}/review", sync_to_thread=True)
    def review(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str] | Redirect:
        """All of it once more, with what stands against a launch and what it will send."""
        campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
        if campaign.status not in {CampaignStatus.DRAFT, CampaignStatus.PAUSED}:
            return desk.go(f"/campaigns/{campaign_id}")
        return show(desk, campaign, "review")

    @get("/campaigns/{campaign_id:int}/checks", sync_to_thread=True)
    def checks(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """What stands against a launch, by itself: on long lists it takes a moment."""
        campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
        return show(desk, campaign, "review", checks=desk.ask(Campaigns.launch_checks, campaign_id=campaign_id))

    @post("/campaigns/{campaign_id:int}/launch", sync_to_thread=True)
    def launch(self, campaign_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[str] | Redirect:
        """Launch it now or at a date, or say all that stands against it."""
        campaign: Campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
        data: dict[str, Any] = {"status": "running"}
        try:
            if form.text("_when") == "later":
                data["launch_at"] = wall_clock(form.text("launch_at"), zone_of(desk, campaign), needed=True)
            elif form.text("_when") == "now":
                data["launch_at"] = None
            started: Campaign = desk.ask(Campaigns.change, campaign_id=campaign_id, data=data)
        except InvalidError as error:
            return show(desk, campaign, "review", sheet=Sheet.typed(form, error), status=400)
        except StateError as error:
            return desk.refused(f"/campaigns/{campaign_id}", error)
        waits = started.launch_at is not None and started.launch_at > desk.now
        said = (
            "Launched. It sends nothing before its launch date."
            if waits
            else "Launched. The first mails go out within seconds, if the schedule is open."
        )
        return desk.go(f"/campaigns/{campaign_id}", said=said)


def show(
    desk: Desk,
    campaign: Campaign,
    key: str,
    *,
    sheet: Sheet | None = None,
    form: Form | None = None,
    status: int = 200,
    **more: Any,  # noqa: ANN401 - what the section's template takes
) -> Response[str]:
    """A section of a campaign, as it is or as it was typed."""
    section = SECTIONS[key]
    base = form.text("_base") if form else ""
    more = {
        "conflict": None,
        "checks": None,
        "version": campaign.version,
        "landing": "",
        "base": base or _base(campaign, key),
    } | more
    return desk.page(
        f"campaign_{key}.html",
        here="campaigns",
        trail=[("Campaigns", "/campaigns"), (campaign.name, f"/campaigns/{campaign.id}")],
        calls=section.calls,
        status=status,
        campaign=campaign,
        section=key,
        sheet=sheet or Sheet.of(campaign),
        **(_EXTRAS[key](desk, campaign, form, more) if key in _EXTRAS else {}),
        **more,
    )


def save(
    desk: Desk,
    campaign_id: int,
    key: str,
    form: Form,
    data: dict[str, Any],
    **more: Any,  # noqa: ANN401 - as above
) -> Response[str] | Redirect:
    """Saves a section and goes on to the next, or back to the campaign; or shows it again with what is wrong, or with who was first."""
    before: Campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
    version = _version(form, before)
    try:
        found = merged(_began(form, before, key), _parts(_read(data)), _parts(_saved(before, key)))
        if found.conflicts:
            more |= _clash(desk, before, key, found, form, version)
            return show(desk, before, key, sheet=Sheet.typed(form), form=form, status=409, **more)
        wanted = _whole(found, data) | {"version": before.version}
        after = desk.ask(Campaigns.change, campaign_id=campaign_id, data=wanted)
    except ConflictError:
        return save(desk, campaign_id, key, form, data, **more)  # somebody saved in this very moment
    except InvalidError as error:
        typed = Sheet.typed(form, InvalidError(_at_inputs(error.faults), error.message))
        return show(desk, before, key, sheet=typed, form=form, status=400, version=version, **more)
    except StateError as error:
        return show(desk, before, key, sheet=Sheet(form.flat(), [], error.message), form=form, status=409, **more)
    draft = after.status == CampaignStatus.DRAFT
    onward = SECTIONS[key].onward if draft and form.text("_stay") != "1" else key
    warned = " ".join(each.message for each in after.warnings)
    beside = _beside(desk, before, found.theirs, version)
    return desk.go(
        f"/campaigns/{campaign_id}/{onward}",
        said=" ".join(each for each in ("Saved.", beside, warned) if each),
        kind="warn" if warned else "good",
        kept=f"campaign-{campaign_id}-{key}",
    )


def wall_clock(text: str, zone: str, *, needed: bool = False) -> str | None:
    """What a `datetime-local` input says, in a zone, as an instant of RFC 3339. InvalidError."""
    if not text and not needed:
        return None
    try:
        shown = datetime.fromisoformat(text).replace(tzinfo=None)
        return zones.instant(shown, zone if zone in zones.names() else "UTC").isoformat()
    except (ValueError, OverflowError) as error:
        raise InvalidError([Fault("launch_at", "time", "Choose a date and a time.")]) from error


def zone_of(desk: Desk, campaign: Campaign) -> str:
    """The zone in which a campaign's dates are told: its schedule's, or the reader's."""
    return campaign.schedule_config.timezone if campaign.schedule_config else desk.zone.key


def _new(desk: Desk, sheet: Sheet, status: int = 200) -> Response[str]:
    return desk.page(
        "campaign_settings.html",
        here="campaigns",
        trail=[("Campaigns", "/campaigns")],
        calls=(Campaigns.create,),
        status=status,
        campaign=None,
        section="settings",
        sheet=sheet,
        conflict=None,
        version=0,
    )


def _version(form: Form, campaign: Campaign) -> int:
    """The version that was read when the form was made."""
    text = form.text("_version")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else campaign.version


def _base(campaign: Campaign, key: str) -> str:
    """What a form carries of the section that it was made of: the marks of its parts."""
    return msgspec.json.encode(marks(_parts(_saved(campaign, key)))).decode()


def _began(form: Form, campaign: Campaign, key: str) -> dict[str, str]:
    """The marks that a form carries. Without any, what is saved now counts as read if the version says so, and nothing does otherwise."""
    try:
        return msgspec.json.decode(form.text("_base"), type=dict[str, str])
    except msgspec.DecodeError:
        return marks(_parts(_saved(campaign, key))) if _version(form, campaign) == campaign.version else {}


def _read(data: dict[str, Any]) -> dict[str, Any]:
    """A section as somebody wrote it, in the form of the API. InvalidError."""
    change = read_value(CampaignChange, data)
    found: dict[str, Any] = msgspec.to_builtins(change)
    return {name: value for name, value in found.items() if name in data}


def _saved(campaign: Campaign, key: str) -> dict[str, Any]:
    """A section as it is saved."""
    whole = msgspec.to_builtins(campaign)
    return {name: whole[name] for name in SECTIONS[key].fields}


def _parts(data: dict[str, Any]) -> dict[str, Any]:
    """What two people may change each for himself: every list, every sender, every step, and every other field."""
    parts: dict[str, Any] = {}
    for name, value in data.items():
        if name in _GROUPS:
            parts |= {f"{name}[{each['id']}]": {"id": each["id"]} for each in value}
        elif name == "steps":
            parts |= {f"steps[{place}]": {each: step[each] for each in _STEP} for place, step in enumerate(value)}
        elif name == "launch_at" and value:
            # An input shows minutes, in the zone of the schedule.
            parts[name] = datetime.fromisoformat(value).astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
        elif name == "schedule_config" and value:
            window = schedule.parse(value)
            parts[name] = schedule.as_json(window) if window else None
        else:
            parts[name] = value.strip() if isinstance(value, str) else value
    return parts


def _whole(found: Merged, data: dict[str, Any]) -> dict[str, Any]:
    """What is to be saved: groups whole, and of the other fields those that were changed here."""
    wanted: dict[str, Any] = {name: value for name, value in data.items() if name in found.mine}
    for group in (*_GROUPS, "steps"):
        if group in data:
            kept = [part for name, part in found.parts.items() if name.partition("[")[0] == group]
            wanted[group] = kept
    if "steps" in wanted:
        places = sorted(int(name[6:-1]) for name in found.parts if name.startswith("steps["))
        wanted["steps"] = [found.parts[f"steps[{place}]"] | {"position": at} for at, place in enumerate(places)]
    return wanted


def _changes(desk: Desk, campaign: Campaign, parts: Sequence[str], version: int) -> tuple[list[Change], list[str]]:
    """Who changed any of these parts since a version, the newest first, and what as the log of changes names it."""
    wanted = {each.partition("[")[0] if each.startswith(_GROUPS) else each for each in parts}
    found: list[Change] = desk.ask(Changes.list_all, campaign_id=campaign.id).items
    since = [each for each in found if each.version > version and wanted & set(each.fields)]
    return since, sorted(wanted)


def _clash(desk: Desk, campaign: Campaign, key: str, found: Merged, form: Form, version: int) -> dict[str, Any]:
    """What a page shows when both have changed the same. From here on these parts count as read; the others go on from where the form began."""
    since, what = _changes(desk, campaign, found.conflicts, version)
    saved = marks(_parts(_saved(campaign, key)))
    base = {name: each for name, each in _began(form, campaign, key).items() if name not in found.conflicts}
    base |= {name: each for name, each in saved.items() if name in found.conflicts}
    conflict = Conflict(
        who=(since[0].who if since else None) or "Somebody",
        what=described(what),
        at=since[0].at if since else campaign.updated_at,
        theirs=_theirs(campaign, key, found.conflicts),
    )
    return {"conflict": conflict, "base": msgspec.json.encode(base).decode()}


def _beside(desk: Desk, campaign: Campaign, parts: Sequence[str], version: int) -> str:
    """Who changed other parts meanwhile, which stay."""
    since, what = _changes(desk, campaign, parts, version) if parts else ([], [])
    who = " and ".join(dict.fromkeys(each.who or "somebody" for each in since))
    return f"{who[:1].upper()}{who[1:]} changed {described(what)} meanwhile; that is kept too." if who else ""


def _theirs(campaign: Campaign, key: str, conflicts: Sequence[str]) -> list[tuple[str, str]]:
    """What is saved now of what clashes, for reading."""
    if key == "steps":
        return [
            (f"Step {each.position + 1}", "\n".join([*(f"Subject: {subject}" for subject in each.subjects), each.body]))
            for each in campaign.steps
            if f"steps[{each.position}]" in conflicts
        ] or [("Steps", f"{len(campaign.steps)} are left.")]
    whole = _saved(campaign, key)
    return [
        (name.replace("_", " ").capitalize(), str(whole[name])) for name in SECTIONS[key].fields if name in conflicts
    ]


def _at_inputs(faults: Sequence[Fault]) -> list[Fault]:
    """Faults as the form names its inputs: `lists[0].id` is the group `lists`."""
    grouped = ("lists[", "senders[")
    return [
        msgspec.structs.replace(each, field=each.field.partition("[")[0]) if each.field.startswith(grouped) else each
        for each in faults
    ]


def _filled(step: dict[str, Any]) -> Any:  # noqa: ANN401 - a list, or what is wrong with it
    subjects = step.get("subjects", [])
    return [each for each in subjects if each.strip()] if isinstance(subjects, list) else subjects


def _window(form: Form) -> dict[str, Any]:
    return {
        "days": form.ids("_days"),
        "start": form.text("schedule_config.start"),
        "end": form.text("schedule_config.end"),
        "timezone": form.text("schedule_config.timezone"),
    }


def _shown(place: int, step: dict[str, Any]) -> dict[str, Any]:
    """A step as the form shows it, whatever of it was posted. The first mail has at least one subject."""
    subjects = step.get("subjects")
    subjects = subjects if isinstance(subjects, list) else [subjects] if subjects else []
    return _BLANK | step | {"subjects": subjects or ([""] if place == 0 else [])}


def _posted(form: Form) -> list[dict[str, Any]]:
    """The steps of a form, as far as they are steps."""
    steps = form.json(CampaignChange).get("steps")
    return [each for each in steps if isinstance(each, dict)] if isinstance(steps, list) else []


def _rearranged(steps: list[dict[str, Any]], order: str) -> tuple[list[dict[str, Any]], str]:
    """The steps after a button: `add`, `remove-1`, `up-1`, `down-1`, `subject-1`, `drop-1-0`; and which input to go to."""
    name, *numbers = order.split("-")
    places = [int(each) for each in numbers if each.isdigit()]
    steps = [dict(step) for step in steps]
    for step in steps:
        step["subjects"] = step["subjects"] if isinstance(step.get("subjects"), list) else []
    if name == "add" and len(steps) < 50:
        first = not steps
        steps.append(_BLANK | {"subjects": [""] if first else [], "wait_days": 0 if first else _NEXT_WAIT_DAYS})
        return steps, f"steps[{len(steps) - 1}].body"
    if not places or places[0] >= len(steps):
        return steps, ""
    at = places[0]
    if name == "remove":
        del steps[at]
        return steps, ""
    if name in {"up", "down"}:
        other = at + (1 if name == "down" else -1)
        if 0 <= other < len(steps):
            steps[at], steps[other] = steps[other], steps[at]
        return steps, f"steps[{min(max(other, 0), len(steps) - 1)}].body"
    if name == "subject":
        steps[at]["subjects"] = [*steps[at]["subjects"], ""]
        return steps, f"steps[{at}].subjects[{len(steps[at]['subjects']) - 1}]"
    if name == "drop" and len(places) > 1:
        steps[at]["subjects"] = [each for place, each in enumerate(steps[at]["subjects"]) if place != places[1]]
    return steps, ""


def _lists_extra(desk: Desk, campaign: Campaign, form: Form | None, _more: dict[str, Any]) -> dict[str, Any]:
    chosen = set(form.ids("lists")) if form else {each.id for each in campaign.lists}
    with desk.database.transaction() as db:
        lists = overview.lists(db, desk.principal.workspace_id)
    sizes = desk.sizes([each["id"] for each in lists])
    return {"lists": [each | {"leads": sizes[each["id"]]} for each in lists], "chosen": chosen}


def _senders_extra(desk: Desk, campaign: Campaign, form: Form | None, _more: dict[str, Any]) -> dict[str, Any]:
    chosen = set(form.ids("senders")) if form else {each.id for each in campaign.senders}
    return {"senders": list(every(desk, Senders.list_all)), "chosen": chosen, "standing": standing}


def _steps_extra(desk: Desk, campaign: Campaign, _form: Form | None, more: dict[str, Any]) -> dict[str, Any]:
    with desk.database.transaction() as db:
        leads = overview.sample_leads(db, desk.principal.workspace_id, campaign.id, limit=_LEADS_OFFERED)
        fields = overview.extra_fields(db, desk.principal.workspace_id, campaign.id)
    if "steps" not in more:
        saved = [msgspec.to_builtins(each) for each in campaign.steps]
        more["steps"] = saved or [_BLANK | {"position": 0}]
    more["steps"] = [_shown(place, step) for place, step in enumerate(more["steps"])]
    return {"leads": leads, "fields": fields}


def _schedule_extra(desk: Desk, campaign: Campaign, form: Form | None, _more: dict[str, Any]) -> dict[str, Any]:
    stored = campaign.schedule_config
    days = set(form.ids("_days")) if form else set(stored.days if stored else _OFFICE["days"])
    windowed = form.text("_window") == "window" if form else stored is not None
    zone = zone_of(desk, campaign)
    defaults = {
        "schedule_config.start": str(_OFFICE["start"]),
        "schedule_config.end": str(_OFFICE["end"]),
        "schedule_config.timezone": zone,
    }
    launch = campaign.launch_at.astimezone(zones.zone(zone)).strftime("%Y-%m-%dT%H:%M") if campaign.launch_at else ""
    return {
        "days": days,
        "names": _DAYS,
        "windowed": windowed,
        "defaults": defaults,
        "launch": form.text("launch_at") if form else launch,
        "zones": sorted(zones.names()),
        "zone": zone,
    }


def _review_extra(desk: Desk, campaign: Campaign, _form: Form | None, _more: dict[str, Any]) -> dict[str, Any]:
    return {"zone": zone_of(desk, campaign), "names": dict(_DAYS)}


_EXTRAS: Final[dict[str, Callable[[Desk, Campaign, Form | None, dict[str, Any]], dict[str, Any]]]] = {
    "lists": _lists_extra,
    "senders": _senders_extra,
    "steps": _steps_extra,
    "schedule": _schedule_extra,
    "review": _review_extra,
}
"""What the template of a section needs beside the campaign."""
