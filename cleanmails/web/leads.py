"""Leads: all of them, and one with its history."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from cleanmails.api import pages
from cleanmails.api.auth import Permission
from cleanmails.api.given import Given
from cleanmails.api.leads import Lead, LeadFilter, Leads, TagCount
from cleanmails.api.lists import Lists
from cleanmails.api.personal_data import PersonalData
from cleanmails.api.suppressions import Suppressions
from cleanmails.api.timeline import Timelines
from cleanmails.errors import CleanmailsError, Fault, InvalidError
from cleanmails.ledger import overview
from cleanmails.ledger.db import Row
from cleanmails.records import LeadStatus, Validation
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form, Sheet

_MOST_AT_ONCE: Final = 200

ENGAGEMENTS: Final = (
    ("", "All"),
    ("opened", "Opened"),
    ("clicked", "Clicked"),
    ("replied", "Replied"),
    ("silent", "Silent"),
)


class LeadPages(Page):
    """`/leads`."""

    @get("/leads", sync_to_thread=True)
    def all(self, desk: Given[Desk]) -> Response[str]:
        """Search and filter, and act on those that are ticked."""
        found = found_leads(desk)
        return desk.page(
            "leads.html",
            here="leads",
            calls=[Leads.list_all, Leads.create],
            leads=found,
            lists=named_lists(desk),
            csv=download(desk),
            tags=_tags(desk),
            campaigns=[("", "All"), *desk.started()],
            back=desk.here(after=None),
            engagements=ENGAGEMENTS,
            sheet=Sheet({}),
        )

    @get("/leads/new", sync_to_thread=True)
    def new(self, desk: Given[Desk]) -> Response[str]:
        """Ask for one lead."""
        return self._form(desk, Sheet({}))

    @post("/leads/new", sync_to_thread=True)
    def create(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Add one lead, and put it on a list if one was chosen."""
        try:
            made = desk.ask(Leads.create, data=_with_fields(form))
            for list_id in form.ids("_list"):
                desk.ask(Lists.join, list_id=list_id, data={"email": made.email})
        except InvalidError as error:
            return self._form(desk, Sheet.typed(form, error), status=400)
        except CleanmailsError as error:
            return self._form(desk, Sheet(form.flat(), [Fault("email", error.code, error.message)]), status=409)
        return desk.go(f"/leads/{made.id}", said="The lead was added.", kept="lead-new")

    @post("/leads/bulk", sync_to_thread=True)
    def bulk(self, desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Do one thing to all leads that are ticked, or to all that the search finds."""
        back, action = _inside(form.text("_back"), "/leads"), form.text("_do")
        data: dict[str, Any] = {"action": action}
        if form.text("_whole"):
            data["filter"] = _filter_of(back)
        elif ids := form.ids("_lead")[:_MOST_AT_ONCE]:
            data["ids"] = ids
        else:
            return desk.go(back, said="Tick the leads first.", kind="warn")
        if action.endswith("_list"):
            data["list_id"] = next(iter(reversed(form.ids("_list"))), None)
        if action.endswith("_tags"):
            data["tags"] = [tag.strip() for tag in form.text("_tags").split(",") if tag.strip()]
        try:
            done = desk.ask(Leads.bulk, data={name: value for name, value in data.items() if value is not None})
        except CleanmailsError as error:
            return desk.refused(back, error)
        return desk.go(back, said=_DONE[action](done.found, done.changed) + (_MORE if done.more else ""))

    @get("/leads/{lead_id:int}", sync_to_thread=True)
    def one(self, lead_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """What is known of a lead, where it stands, and what happened."""
        return self._lead(desk, lead_id)

    @post("/leads/{lead_id:int}", sync_to_thread=True)
    def change(self, lead_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Change what is known."""
        try:
            desk.ask(Leads.change, lead_id=lead_id, data=_with_fields(form))
        except InvalidError as error:
            return self._lead(desk, lead_id, Sheet.typed(form, error), status=400)
        return desk.go(
            f"/leads/{lead_id}", said="Saved. Mails that are not written yet use it.", kept=f"lead-{lead_id}"
        )

    @post("/leads/{lead_id:int}/suppress", sync_to_thread=True)
    def suppress(self, lead_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Never mail this address again."""
        lead: Lead = desk.ask(Leads.read, lead_id=lead_id)
        desk.ask(Suppressions.create, data={"value": lead.email, "note": form.text("note")})
        return desk.go(f"/leads/{lead_id}", said=f"{lead.email} is never mailed again.")

    @post("/leads/{lead_id:int}/delete", sync_to_thread=True)
    def delete(self, lead_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Delete a lead that was never mailed."""
        try:
            desk.ask(Leads.delete, lead_id=lead_id)
        except CleanmailsError as error:
            return desk.refused(f"/leads/{lead_id}", error)
        return desk.go("/leads", said="The lead was deleted.")

    @post("/leads/{lead_id:int}/lists", sync_to_thread=True)
    def join(self, lead_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Put it on a list, or take it off one."""
        lead: Lead = desk.ask(Leads.read, lead_id=lead_id)
        try:
            for list_id in form.ids("join"):
                desk.ask(Lists.join, list_id=list_id, data={"email": lead.email})
            for list_id in form.ids("leave"):
                desk.ask(Lists.leave, list_id=list_id, lead_id=lead_id)
        except CleanmailsError as error:
            return desk.refused(f"/leads/{lead_id}", error)
        return desk.go(f"/leads/{lead_id}", said="The lists were changed.")

    @post("/leads/{lead_id:int}/erase", sync_to_thread=True)
    def erase(self, lead_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Forget a person who asked for it."""
        lead: Lead = desk.ask(Leads.read, lead_id=lead_id)
        try:
            desk.ask(PersonalData.erase, data={"email": lead.email, "note": form.text("note")})
        except CleanmailsError as error:
            return desk.refused(f"/leads/{lead_id}", error)
        return desk.go("/leads", said="The address is forgotten, and is never mailed again.")

    def _lead(self, desk: Desk, lead_id: int, sheet: Sheet | None = None, *, status: int = 200) -> Response[str]:
        lead: Lead = desk.ask(Leads.read, lead_id=lead_id)
        names = named_lists(desk)
        return desk.page(
            "lead.html",
            here="leads",
            trail=[("Leads", "/leads")],
            calls=[Leads.read, Leads.change, Timelines.list_events, Timelines.list_walks],
            status=status,
            lead=lead,
            walks=desk.ask(Timelines.list_walks, lead_id=lead_id),
            happened=desk.ask(Timelines.list_events, lead_id=lead_id),
            lists=[each for each in names if each["id"] in lead.lists],
            others=[each for each in names if each["id"] not in lead.lists],
            sheet=sheet or Sheet.of(lead),
            may_write=desk.may(Permission.WRITE),
            may_erase=desk.may(Permission.MANAGE),
        )

    def _form(self, desk: Desk, sheet: Sheet, *, status: int = 200) -> Response[str]:
        return desk.page(
            "lead_new.html",
            here="leads",
            trail=[("Leads", "/leads")],
            calls=[Leads.create],
            status=status,
            sheet=sheet,
            lists=named_lists(desk),
        )


def found_leads(desk: Desk, list_id: int | None = None) -> pages.Page[Lead]:
    """A page of the leads that the address asks for, of all or of those on a list."""
    found: pages.Page[Lead] = desk.ask(Leads.list_all, among=LeadFilter(**filters(desk)), list_id=list_id)
    return found


def filters(desk: Desk) -> dict[str, Any]:
    """The search and the filters that the address asks for, as the API takes them."""
    return _understood(desk.param)


def download(desk: Desk, **more: object) -> str:
    """Where the leads that are shown can be had as CSV."""
    asked = {name: str(value) for name, value in (filters(desk) | more).items() if value is not None}
    return f"/v1/outreach/leads/download?{urlencode(asked)}" if asked else "/v1/outreach/leads/download"


def _understood(param: Callable[[str], str]) -> dict[str, Any]:
    status, validation, engagement, campaign = (
        param(name) for name in ("status", "validation", "engagement", "campaign_id")
    )
    return {
        "search": param("q")[:200] or None,
        "status": LeadStatus(status) if status in set(LeadStatus) else None,
        "validation": Validation(validation) if validation in set(Validation) else None,
        "tag": param("tag")[:50] or None,
        "campaign_id": int(campaign) if campaign.isascii() and campaign.isdigit() and len(campaign) < 19 else None,
        "engagement": engagement if engagement in dict(ENGAGEMENTS) and engagement else None,
    }


def _filter_of(back: str) -> dict[str, Any]:
    """The filter of the page that a form came from: what stood in its address, and its list."""
    path, _, query = back.partition("?")
    params = dict(parse_qsl(query))
    found = _understood(lambda name: params.get(name, "").strip())
    on_list = path.removeprefix("/lists/") if path.startswith("/lists/") else ""
    if on_list.isascii() and on_list.isdigit() and len(on_list) < 19:
        found["list_id"] = int(on_list)
    told: dict[str, Any] = msgspec.to_builtins(found)
    return {name: value for name, value in told.items() if value is not None}


def named_lists(desk: Desk, *, archived: bool = False) -> list[Row]:
    """The lists that leads can be put on, or those too that were put away: `id` and `name`."""
    with desk.database.transaction() as db:
        return overview.lists(db, desk.principal.workspace_id, archived=archived)


def _tags(desk: Desk) -> list[TagCount]:
    """The tags to choose from; where many leads have some, as they were counted a moment ago."""

    def count() -> list[TagCount]:
        found: list[TagCount] = desk.ask(Leads.list_tags)
        return found

    return desk.kept("tags", desk.principal.workspace_id, count, lambda tags: sum(each.leads for each in tags))


def _with_fields(form: Form) -> dict[str, Any]:
    """The JSON of a lead: its own fields, and the others by their names; one whose name is new comes in two inputs."""
    data: dict[str, Any] = {
        name: form.text(name)
        for name in ("email", "first_name", "last_name", "company")
        if form.all(name) or name in form.flat()
    }
    fields = {name.removeprefix("fields."): value for name, value in form.pairs if name.startswith("fields.")}
    if form.text("_field_name"):
        fields[form.text("_field_name")] = form.text("_field_value")
    if fields:
        data["fields"] = fields
    return data


_MORE: Final = " There are more: do it once more for them."
_DONE: Final[dict[str, Callable[[int, int], str]]] = {
    "add_to_list": lambda found, changed: (
        f"{changed} of {found} leads were put on the list; the others were on it, or are suppressed."
    ),
    "remove_from_list": lambda found, changed: f"{changed} of {found} leads were taken off the list.",
    "add_tags": lambda found, changed: f"{changed} of {found} leads were tagged.",
    "remove_tags": lambda found, changed: f"The tags were taken off {changed} of {found} leads.",
    "suppress": lambda found, changed: f"{changed} of {found} addresses are never mailed again from here on.",
    "delete": lambda found, changed: (
        f"{changed} of {found} leads were deleted. The record of those that were mailed stays."
    ),
}


def _inside(path: str, otherwise: str) -> str:
    """Where to lead back to: a page of leads or of a list."""
    return path if path.startswith(("/leads", "/lists/")) and path.isprintable() else otherwise
