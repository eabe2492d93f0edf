"""Suppressions: who is never mailed, and why."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from cleanmails.api.given import Given
from cleanmails.api.imports import UPLOAD_LIMIT
from cleanmails.api.suppression_files import SuppressionFiles
from cleanmails.api.suppressions import Suppressions
from cleanmails.errors import CleanmailsError, Fault, InvalidError
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form, Sheet

_REASONS = ("unsubscribed", "bounced", "complained", "manual", "imported")


class SuppressionPages(Page):
    """`/suppressions`."""

    @get("/suppressions", sync_to_thread=True)
    def all(self, desk: Given[Desk]) -> Response[str]:
        """Search and filter."""
        return self._all(desk, Sheet({}))

    @post("/suppressions", sync_to_thread=True)
    def create(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Suppress addresses and domains, one a line."""
        lines = [line.strip() for line in form.text("values").splitlines() if line.strip()]
        try:
            made = desk.ask(Suppressions.create, data=[{"value": line, "note": form.text("note")} for line in lines])
        except InvalidError as error:
            return self._all(desk, Sheet(form.flat(), _by_line(error, lines)), status=400)
        said = f"{made[0].value} is never mailed again." if len(made) == 1 else f"{len(made)} entries are never mailed."
        return desk.go("/suppressions", said=said)

    @post("/suppressions/upload", request_max_body_size=UPLOAD_LIMIT)
    async def upload(self, desk: Given[Desk]) -> Redirect:
        """Suppress what a file names."""
        try:
            done = await desk.ask(SuppressionFiles.upload)
        except CleanmailsError as error:
            return desk.refused("/suppressions", error)
        said = f"Of {done.rows} rows {done.added} were added, {done.known} were known, {done.invalid} name nothing."
        bad = " ".join(f"Line {each.line}: {each.reason}" for each in done.bad_lines[:3])
        return desk.go("/suppressions", said=f"{said} {bad}".strip(), kind="warn" if done.invalid else "good")

    @get("/suppressions/{suppression_id:int}", sync_to_thread=True)
    def one(self, suppression_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """One entry, and the way to take it back."""
        return desk.page(
            "suppression.html",
            here="suppressions",
            trail=[("Suppressions", "/suppressions")],
            calls=[Suppressions.read, Suppressions.remove],
            suppressed=desk.ask(Suppressions.read, suppression_id=suppression_id),
        )

    @post("/suppressions/{suppression_id:int}/remove", sync_to_thread=True)
    def remove(self, suppression_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Take it back, for a reason."""
        try:
            desk.ask(Suppressions.remove, suppression_id=suppression_id, note=form.text("note")[:1_000])
        except CleanmailsError as error:
            return desk.refused(f"/suppressions/{suppression_id}", error)
        return desk.go("/suppressions", said="It may be mailed again. Campaigns that ended for it stay ended.")

    def _all(self, desk: Desk, sheet: Sheet, *, status: int = 200) -> Response[str]:
        kind, reason = desk.param("kind"), desk.param("reason")
        found = desk.ask(
            Suppressions.list_all,
            search=desk.param("q") or None,
            kind=kind if kind in {"address", "domain"} else None,
            reason=reason if reason in _REASONS else None,
        )
        calls = [Suppressions.list_all, Suppressions.create, SuppressionFiles.upload, SuppressionFiles.download]
        return desk.page(
            "suppressions.html", here="suppressions", calls=calls, status=status, entries=found, sheet=sheet
        )


def _by_line(error: InvalidError, lines: list[str]) -> list[Fault]:
    """Faults of `[3].value` as faults of the one input, with the line that they speak of."""
    told = []
    for fault in error.faults:
        place = fault.field.partition("]")[0].removeprefix("[")
        line = lines[int(place)][:80] if place.isdigit() and int(place) < len(lines) else ""
        field = "note" if fault.field.endswith("note") else "values"
        told.append(
            Fault(field, fault.code, f"{line}: {fault.message}" if line and field == "values" else fault.message)
        )
    return told or [Fault("values", "required", "Name at least one address or domain.")]
