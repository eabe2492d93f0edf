"""Leads: all of them, and one with its history."""

from collections.abc import Sequence
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from cleanmails.api.auth import Permission
from cleanmails.api.given import Given
from cleanmails.api.leads import Lead, Leads
from cleanmails.api.lists import Lists
from cleanmails.api.personal_data import PersonalData
from cleanmails.api.suppressions import Suppressions
from cleanmails.api.timeline import Timelines
from cleanmails.errors import CleanmailsError, Fault, InvalidError
from cleanmails.records import LeadStatus
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form, Sheet
from cleanmails.web.tables import csv, csv_address, every

COLUMNS: Final = {
    "id": lambda lead: lead.id,
    "email": lambda lead: lead.email,
    "first_name": lambda lead: lead.first_name,
    "last_name": lambda lead: lead.last_name,
    "company": lambda lead: lead.company,
    "fields": lambda lead: "; ".join(f"{name}: {value}" for name, value in sorted(lead.fields.items())),
    "status": lambda lead: lead.status,
    "validation": lambda lead: lead.validation,
    "created_at": lambda lead: lead.created_at.isoformat(),
    "updated_at": lambda lead: lead.updated_at.isoformat(),
}
_MOST_AT_ONCE: Final = 200


class LeadPages(Page):
    """`/leads`."""

    @get("/leads", sync_to_thread=True)
    def all(self, desk: Given[Desk]) -> Response[str]:
        """Search and filter, and act on those that are ticked."""
        found = desk.ask(Leads.list_all, **filters(desk))
        return desk.page(
            "leads.html",
            here="leads",
            calls=[Leads.list_all, Leads.create],
            leads=found,
            lists=named_lists(desk),
            csv=csv_address(desk, "/leads.csv"),
            back=desk.here(),
            sheet=Sheet({}),
        )

    @get("/leads.csv", sync_to_thread=True)
    def download(self, desk: Given[Desk]) -> Stream:
        """The same as CSV."""
        return csv("leads", COLUMNS, every(desk, Leads.list_all, **filters(desk)))

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
        """Do one thing to all leads that are ticked."""
        back = _inside(form.text("_back"), "/leads")
        ids = form.ids("_lead")[:_MOST_AT_ONCE]
        if not ids:
            return desk.go(back, said="Tick the leads first.", kind="warn")
        try:
            return desk.go(back, said=_BULK[form.text("_do")](desk, form, ids))
        except KeyError:
            return desk.go(back, said="Choose what is to be done.", kind="warn")
        except CleanmailsError as error:
            return desk.refused(back, error)

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
            lists=[each for each in names if each.id in lead.lists],
            others=[each for each in names if each.id not in lead.lists],
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


def filters(desk: Desk) -> dict[str, Any]:
    """The search and the filter that the address asks for."""
    status = desk.param("status")
    return {"search": desk.param("q") or None, "status": LeadStatus(status) if status in set(LeadStatus) else None}


def named_lists(desk: Desk) -> Sequence[Any]:
    """The lists that leads can be put on."""
    return list(every(desk, Lists.list_all))


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


def _bulk_join(desk: Desk, form: Form, ids: Sequence[int]) -> str:
    mails = [desk.ask(Leads.read, lead_id=lead_id).email for lead_id in ids]
    [list_id] = form.ids("_list")[-1:] or [0]
    joined = desk.ask(Lists.join, list_id=list_id, data=[{"email": mail} for mail in mails])
    kept = f" {joined.suppressed} are suppressed and were not." if joined.suppressed else ""
    return f"{joined.updated + joined.created} leads are on the list.{kept}"


def _bulk_leave(desk: Desk, form: Form, ids: Sequence[int]) -> str:
    [list_id] = form.ids("_list")[-1:] or [0]
    for lead_id in ids:
        desk.ask(Lists.leave, list_id=list_id, lead_id=lead_id)
    return f"{len(ids)} leads were taken off the list."


def _bulk_suppress(desk: Desk, _form: Form, ids: Sequence[int]) -> str:
    mails = [desk.ask(Leads.read, lead_id=lead_id).email for lead_id in ids]
    desk.ask(Suppressions.create, data=[{"value": mail, "kind": "address"} for mail in mails])
    return f"{len(mails)} addresses are never mailed again."


def _bulk_delete(desk: Desk, _form: Form, ids: Sequence[int]) -> str:
    refused = 0
    for lead_id in ids:
        try:
            desk.ask(Leads.delete, lead_id=lead_id)
        except CleanmailsError:
            refused += 1
    stayed = f" {refused} were mailed before, so their record stays." if refused else ""
    return f"{len(ids) - refused} leads were deleted.{stayed}"


_BULK: Final = {"join": _bulk_join, "leave": _bulk_leave, "suppress": _bulk_suppress, "delete": _bulk_delete}


def _inside(path: str, otherwise: str) -> str:
    """Where to lead back to: a page of leads or of a list."""
    return path if path.startswith(("/leads", "/lists/")) and path.isprintable() else otherwise
