"""Lists with their leads, and the files that were uploaded onto them."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from cleanmails.api.given import Given
from cleanmails.api.imports import FILE_LIMIT, Column, Import, Imports, ImportStart
from cleanmails.api.lists import Lists
from cleanmails.api.pages import page
from cleanmails.errors import CleanmailsError, InvalidError
from cleanmails.ledger import overview
from cleanmails.records import LawfulBasis
from cleanmails.rules import content
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form, Sheet
from cleanmails.web.leads import download, found_leads, named_lists
from cleanmails.web.tables import csv, csv_address, every, sought

_TARGETS: Final = {
    "email": "E-mail address",
    "first_name": "First name",
    "last_name": "Last name",
    "full_name": "First and last name",
    "company": "Company",
}


class ListPages(Page):
    """`/lists` and `/uploads`."""

    @get("/lists", sync_to_thread=True)
    def all(self, desk: Given[Desk]) -> Response[str]:
        """Every list."""
        return self._lists(desk, Sheet({}))

    @get("/lists.csv", sync_to_thread=True)
    def download(self, desk: Given[Desk]) -> Stream:
        """The same as CSV."""
        columns = {
            "id": lambda each: each.id,
            "name": lambda each: each.name,
            "leads": lambda each: each.leads,
            "created_at": lambda each: each.created_at.isoformat(),
        }
        return csv(
            "lists", columns, every(desk, Lists.list_all, q=sought(desk), archived=desk.param("archived") == "yes")
        )

    @post("/lists", sync_to_thread=True)
    def create(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Make a list."""
        try:
            made = desk.ask(Lists.create, data={"name": form.text("name")})
        except InvalidError as error:
            return self._lists(desk, Sheet.typed(form, error), status=400)
        except CleanmailsError as error:
            return desk.refused("/lists", error)
        return desk.go(f"/lists/{made.id}", said="The list was made. Upload a file onto it.")

    @get("/lists/{list_id:int}", sync_to_thread=True)
    def one(self, list_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """One list and who is on it."""
        return self._list(desk, list_id, Sheet({}))

    @post("/lists/{list_id:int}", sync_to_thread=True)
    def rename(self, list_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Give it another name."""
        try:
            desk.ask(Lists.rename, list_id=list_id, data={"name": form.text("name")})
        except InvalidError as error:
            return self._list(desk, list_id, Sheet.typed(form, error), status=400)
        except CleanmailsError as error:
            return desk.refused(f"/lists/{list_id}", error)
        return desk.go(f"/lists/{list_id}", said="The list was renamed.")

    @post("/lists/{list_id:int}/archive", sync_to_thread=True)
    def archive(self, list_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Put it away."""
        try:
            desk.ask(Lists.archive, list_id=list_id)
        except CleanmailsError as error:
            return desk.refused(f"/lists/{list_id}", error)
        return desk.go("/lists", said="The list was put away.")

    @post("/lists/{list_id:int}/leads", sync_to_thread=True)
    def join(self, list_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Add one lead."""
        try:
            joined = desk.ask(Lists.join, list_id=list_id, data=form.flat())
        except CleanmailsError as error:
            return desk.refused(f"/lists/{list_id}", error)
        [lead] = joined.leads
        kind = "good" if lead.verdict in {"created", "updated"} else "warn"
        return desk.go(f"/lists/{list_id}", said=lead.reason or "The lead is on the list.", kind=kind)

    @post("/lists/{list_id:int}/upload", request_max_body_size=FILE_LIMIT)
    async def upload(self, list_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Receive a file, and ask what its columns mean."""
        try:
            made = await desk.ask(Imports.create, filename="")
        except CleanmailsError as error:
            return desk.refused(f"/lists/{list_id}", error)
        return desk.go(f"/uploads/{made.id}?list={list_id}")

    @get("/uploads", sync_to_thread=True)
    def uploads(self, desk: Given[Desk]) -> Response[str]:
        """Every file that was uploaded."""
        return desk.page(
            "uploads.html",
            here="lists",
            trail=[("Lists", "/lists")],
            calls=[Imports.list_all],
            uploads=desk.ask(Imports.list_all),
            names=_names(desk),
        )

    @get("/uploads/{import_id:int}", sync_to_thread=True)
    def one_upload(self, import_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """A file on its way: what its columns mean, how far it is, what became of its rows."""
        return self._upload(desk, import_id)

    @post("/uploads/{import_id:int}/start", sync_to_thread=True)
    def start(self, import_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Let a worker take it."""
        data = form.json(ImportStart)
        data |= {"tags": [tag.strip() for tag in form.text("_tags").split(",") if tag.strip()]}
        try:
            desk.ask(Imports.start, import_id=import_id, data=data)
        except InvalidError as error:
            return self._upload(desk, import_id, Sheet.typed(form, error), status=400)
        except CleanmailsError as error:
            return desk.refused(f"/uploads/{import_id}", error)
        return desk.go(f"/uploads/{import_id}")

    @post("/uploads/{import_id:int}/cancel", sync_to_thread=True)
    def cancel(self, import_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """End it before its rows are taken."""
        try:
            desk.ask(Imports.cancel, import_id=import_id)
        except CleanmailsError as error:
            return desk.refused(f"/uploads/{import_id}", error)
        return desk.go(f"/uploads/{import_id}", said="The upload was ended; nothing of it was taken.")

    def _upload(self, desk: Desk, import_id: int, sheet: Sheet | None = None, *, status: int = 200) -> Response[str]:
        upload: Import = desk.ask(Imports.read, import_id=import_id)
        waits = upload.state == "mapping"
        return desk.page(
            "upload_mapping.html" if waits else "upload.html",
            here="lists",
            trail=[("Lists", "/lists"), ("Uploads", "/uploads")],
            calls=[Imports.start] if waits else [Imports.read, Imports.rejects, Imports.progress],
            status=status,
            upload=upload,
            rejects=desk.ask(Imports.rejects, import_id=import_id) if upload.state == "done" else None,
            lists=named_lists(desk) if waits else [],
            chosen=desk.param("list"),
            meanings=[_meanings(each, place) for place, each in enumerate(upload.preview.columns)]
            if waits and upload.preview
            else [],
            bases=[
                ("", "Say nothing of it"),
                *((each.value, each.value.replace("_", " ").capitalize()) for each in LawfulBasis),
            ],
            names=_names(desk),
            sheet=sheet or Sheet({}),
        )

    def _lists(self, desk: Desk, sheet: Sheet, *, status: int = 200) -> Response[str]:
        window = desk.window()
        with desk.database.transaction() as db:
            rows = overview.lists(
                db,
                desk.principal.workspace_id,
                q=sought(desk),
                archived=desk.param("archived") == "yes",
                after=window.after,
                limit=window.fetch,
            )
        sizes = desk.sizes([row["id"] for row in rows[: window.limit]])
        return desk.page(
            "lists.html",
            here="lists",
            calls=[Lists.list_all, Lists.create],
            status=status,
            lists=page(rows, window, lambda row: row | {"leads": sizes[row["id"]]}),
            csv=csv_address(desk, "/lists.csv"),
            sheet=sheet,
        )

    def _list(self, desk: Desk, list_id: int, sheet: Sheet, *, status: int = 200) -> Response[str]:
        with desk.database.transaction() as db:
            row = overview.read_list(db, desk.principal.workspace_id, list_id)
        return desk.page(
            "list.html",
            here="lists",
            trail=[("Lists", "/lists")],
            calls=[Lists.read, Lists.list_leads, Lists.join, Imports.create],
            status=status,
            list=row | {"leads": desk.sizes([list_id])[list_id]},
            leads=found_leads(desk, list_id),
            uploads=desk.ask(Imports.list_all, list_id=list_id),
            csv=download(desk, list_id=list_id),
            back=desk.here(after=None),
            sheet=sheet,
        )


def _names(desk: Desk) -> dict[int, str]:
    return {each["id"]: each["name"] for each in named_lists(desk, archived=True)}


def _meanings(column: Column, place: int) -> list[tuple[str, str]]:
    """What a column may mean: a thing of every lead, a field by its own name, or nothing."""
    own = column.target if column.target not in {None, *_TARGETS} else content.field_name(column.name).lower()
    own = own if own and own not in _TARGETS else f"column_{place + 1}"
    return [("", "Leave it out"), *_TARGETS.items(), (own, f"Field {own.upper()}")]
