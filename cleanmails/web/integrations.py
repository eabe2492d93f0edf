"""Integrations: HubSpot, Pipedrive and Slack, connected, mapped, tried out, and how they fare."""

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from cleanmails.api.auth import Permission
from cleanmails.api.given import Given
from cleanmails.api.integrations import Integration, IntegrationChange, Integrations, NewIntegration
from cleanmails.errors import InvalidError
from cleanmails.rules import crm
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form, Sheet
from cleanmails.web.outlets import COLUMNS, INTEGRATION, types
from cleanmails.web.tables import csv, csv_address, every, sought

KINDS: Final[Mapping[str, str]] = {"hubspot": "HubSpot", "pipedrive": "Pipedrive", "slack": "Slack"}
_USUAL: Final[Mapping[str, Mapping[str, str]]] = {
    "hubspot": crm.HUBSPOT_FIELDS,
    "pipedrive": crm.PIPEDRIVE_FIELDS,
    "slack": {},
}
_BLANK_ROWS: Final = 3
"""Rows of the mapping that wait to be filled in; who needs more saves in between."""


class IntegrationPages(Page):
    """`/integrations`."""

    @get("/integrations", sync_to_thread=True)
    def all(self, desk: Given[Desk]) -> Response[str]:
        """Every integration and how it fares, and what else can be connected."""
        return desk.page(
            "integrations.html",
            here="integrations",
            calls=[Integrations.list_all, Integrations.create],
            integrations=desk.ask(Integrations.list_all, q=sought(desk)),
            csv=csv_address(desk, "/integrations.csv"),
            kinds=KINDS,
            may_setup=desk.may(Permission.SETUP),
        )

    @get("/integrations.csv", sync_to_thread=True)
    def download(self, desk: Given[Desk]) -> Stream:
        """The same as CSV."""
        return csv(
            "integrations",
            {**COLUMNS, "kind": lambda each: each.kind},
            every(desk, Integrations.list_all, q=sought(desk)),
        )

    @get("/integrations/new", sync_to_thread=True)
    def new(self, desk: Given[Desk]) -> Response[str]:
        """Ask for a credential and what goes where."""
        kind = desk.param("kind")
        kind = kind if kind in KINDS else "hubspot"
        return self._form(desk, Sheet({}), kind=kind, chosen=crm.DEFAULT_TYPES[kind], fields=[])

    @post("/integrations/new", sync_to_thread=True)
    def create(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Connect it."""
        fields = _mapping(form)
        data = form.json(NewIntegration) | {"fields": dict(fields) or None}
        try:
            made = desk.ask(Integrations.create, data=data)
        except InvalidError as error:
            kind = form.text("kind")
            kind = kind if kind in KINDS else "hubspot"
            sheet = Sheet.typed(form, error)
            return self._form(desk, sheet, kind=kind, chosen=form.all("types"), fields=fields, status=400)
        said = f"{KINDS[made.kind]} is connected, and told of what happens from now on. Test it once."
        return desk.go(INTEGRATION.at(made.id), said=said, kept=f"integration-{made.kind}")

    @get("/integrations/{integration_id:int}", sync_to_thread=True)
    def one(self, integration_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """One integration: what it is told, and how that went."""
        return self._one(desk, integration_id, Sheet({}))

    @get("/integrations/{integration_id:int}/log.csv", sync_to_thread=True)
    def download_log(self, integration_id: FromPath[int], desk: Given[Desk]) -> Stream:
        """Its attempts as CSV."""
        return INTEGRATION.log(desk, integration_id)

    @get("/integrations/{integration_id:int}/edit", sync_to_thread=True)
    def edit(self, integration_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """What is set of it."""
        made = desk.ask(Integrations.read, integration_id=integration_id)
        fields = list((made.fields or {}).items())
        return self._form(desk, Sheet.of(made), kind=made.kind, chosen=made.types, fields=fields, made=made)

    @post("/integrations/{integration_id:int}/edit", sync_to_thread=True)
    def change(self, integration_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Save what is set; without a new credential the old one stays."""
        made = desk.ask(Integrations.read, integration_id=integration_id)
        fields = _mapping(form)
        data = form.json(IntegrationChange) | {"fields": dict(fields) or None}
        if not data.get("credential"):
            data.pop("credential", None)
        try:
            desk.ask(Integrations.change, integration_id=integration_id, data=data)
        except InvalidError as error:
            sheet, chosen = Sheet.typed(form, error), form.all("types")
            return self._form(desk, sheet, kind=made.kind, chosen=chosen, fields=fields, made=made, status=400)
        return desk.go(INTEGRATION.at(integration_id), said="Saved.", kept=f"integration-{integration_id}")

    @post("/integrations/{integration_id:int}/state", sync_to_thread=True)
    def set_state(self, integration_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Switch it off or on."""
        return INTEGRATION.switch(desk, form, integration_id)

    @post("/integrations/{integration_id:int}/test", sync_to_thread=True)
    def test(self, integration_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Try its credential now."""
        return INTEGRATION.test(desk, integration_id)

    @post("/integrations/{integration_id:int}/replay", sync_to_thread=True)
    def replay(self, integration_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Tell it of events once more."""
        try:
            return INTEGRATION.replay(desk, form, integration_id)
        except InvalidError as error:
            return self._one(desk, integration_id, Sheet.typed(form, error), status=400)

    @post("/integrations/{integration_id:int}/delete", sync_to_thread=True)
    def delete(self, integration_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Disconnect it."""
        desk.ask(Integrations.remove, integration_id=integration_id)
        return desk.go("/integrations", said="It is disconnected; its credential and its log are gone.")

    def _one(self, desk: Desk, integration_id: int, sheet: Sheet, *, status: int = 200) -> Response[str]:
        made = desk.ask(Integrations.read, integration_id=integration_id)
        return desk.page(
            "integration.html",
            here="integrations",
            trail=[("Integrations", "/integrations")],
            calls=[
                Integrations.read,
                Integrations.list_attempts,
                Integrations.list_messages,
                Integrations.replay,
                Integrations.test,
            ],
            status=status,
            outlet=made,
            at=INTEGRATION.at(integration_id),
            kind=KINDS[made.kind],
            fields=_USUAL[made.kind] if made.fields is None else made.fields,
            sheet=sheet,
            may_setup=desk.may(Permission.SETUP),
            **INTEGRATION.shown(desk, integration_id),
        )

    def _form(
        self,
        desk: Desk,
        sheet: Sheet,
        *,
        kind: str,
        chosen: list[str] | tuple[str, ...],
        fields: list[tuple[str, str]],
        made: Integration | None = None,
        status: int = 200,
    ) -> Response[str]:
        return desk.page(
            "integration_form.html",
            here="integrations",
            trail=[("Integrations", "/integrations")],
            calls=[Integrations.change if made else Integrations.create],
            status=status,
            sheet=sheet,
            outlet=made,
            kind=kind,
            kinds=KINDS,
            usual=_USUAL[kind],
            fields=[*fields, *[("", "")] * _BLANK_ROWS],
            types=types(),
            chosen=set(chosen),
        )


def _mapping(form: Form) -> list[tuple[str, str]]:
    """The rows of the mapping in which something stands: the field of a lead, and where it goes."""
    pairs: dict[str, list[str]] = {}
    for name, value in form.pairs:
        noun, _, row = name.partition("[")
        if noun in {"_field", "_property"}:
            pairs.setdefault(row, ["", ""])[noun == "_property"] = value.strip()
    return [(field, to) for field, to in pairs.values() if field or to]
