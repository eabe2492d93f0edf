"""Domains: the records to publish, what DNS has of them, and the keys that sign."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from cleanmails.api.auth import Permission
from cleanmails.api.dkim_keys import DkimKeys
from cleanmails.api.domains import Domain, Domains, NewDomain
from cleanmails.api.given import Given
from cleanmails.api.senders import Senders
from cleanmails.errors import CleanmailsError, Fault, InvalidError
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form, Sheet
from cleanmails.web.tables import csv, csv_address, every, sought

_COLUMNS = {
    "id": lambda each: each.id,
    "name": lambda each: each.name,
    "status": lambda each: each.status,
    "senders": lambda each: each.senders,
    "checked_at": lambda each: each.checked_at.isoformat() if each.checked_at else "",
    "amiss": lambda each: " ".join(finding.sentence for finding in each.findings if finding.state != "ok"),
}


class DomainPages(Page):
    """`/domains`."""

    @get("/domains", sync_to_thread=True)
    def all(self, desk: Given[Desk]) -> Response[str]:
        """Every domain."""
        return self._all(desk, Sheet({}))

    @get("/domains.csv", sync_to_thread=True)
    def download(self, desk: Given[Desk]) -> Stream:
        """The same as CSV."""
        return csv("domains", _COLUMNS, every(desk, Domains.list_all, q=sought(desk)))

    @post("/domains", sync_to_thread=True)
    def create(self, desk: Given[Desk], form: Given[Form]) -> Response[Any]:
        """Add one, with a key of its own."""
        try:
            made = desk.ask(Domains.create, data=form.json(NewDomain))
        except InvalidError as error:
            return self._all(desk, Sheet.typed(form, error), status=400)
        except CleanmailsError as error:
            return self._all(desk, Sheet(form.flat(), [Fault("name", error.code, error.message)]), status=409)
        return desk.go(f"/domains/{made.id}", said="Publish these records where the domain's DNS is kept, then verify.")

    @get("/domains/{domain_id:int}", sync_to_thread=True)
    def one(self, domain_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """One domain: what to publish, and what was found."""
        domain: Domain = desk.ask(Domains.read, domain_id=domain_id)
        senders = [each for each in every(desk, Senders.list_all) if each.domain and each.domain.id == domain_id]
        return desk.page(
            "domain.html",
            here="domains",
            trail=[("Domains", "/domains")],
            calls=[Domains.read, Domains.verify, DkimKeys.list_keys, DkimKeys.add],
            domain=domain,
            found={each.kind: each for each in domain.findings},
            published={each.kind for each in domain.records},
            keys=desk.ask(DkimKeys.list_keys, domain_id=domain_id),
            senders=senders,
            may_setup=desk.may(Permission.SETUP),
        )

    @post("/domains/{domain_id:int}/verify", sync_to_thread=True)
    def verify(self, domain_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Look its records up now."""
        try:
            domain = desk.ask(Domains.verify, domain_id=domain_id)
        except CleanmailsError as error:
            return desk.refused(f"/domains/{domain_id}", error)
        kind = {"verified": "good", "faulty": "bad"}.get(domain.status, "warn")
        return desk.go(f"/domains/{domain_id}", said=f"The domain is {domain.status}.", kind=kind)

    @post("/domains/{domain_id:int}/delete", sync_to_thread=True)
    def delete(self, domain_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Take it away."""
        try:
            desk.ask(Domains.remove, domain_id=domain_id)
        except CleanmailsError as error:
            return desk.refused(f"/domains/{domain_id}", error)
        return desk.go("/domains", said="The domain and its key were deleted.")

    @post("/domains/{domain_id:int}/keys", sync_to_thread=True)
    def add_key(self, domain_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Make a key to change to."""
        back = f"/domains/{domain_id}"
        data = {"selector": form.text("selector")} if form.text("selector") else {}
        try:
            desk.ask(DkimKeys.add, domain_id=domain_id, data=data)
        except CleanmailsError as error:
            return desk.refused(back, error)
        return desk.go(f"{back}#keys", said="The new key waits: publish its record, then verify and activate it.")

    @post("/domains/{domain_id:int}/keys/{key_id:int}", sync_to_thread=True)
    def act_on_key(
        self, domain_id: FromPath[int], key_id: FromPath[int], desk: Given[Desk], form: Given[Form]
    ) -> Redirect:
        """Verify, activate or forget a key."""
        acts = {"verify": DkimKeys.verify, "activate": DkimKeys.activate, "remove": DkimKeys.remove}
        act, back = acts.get(form.text("_do")), f"/domains/{domain_id}"
        if act is None:
            return desk.go(back)
        try:
            key = desk.ask(act, domain_id=domain_id, key_id=key_id)
        except CleanmailsError as error:
            return desk.refused(back, error)
        said = (key.finding.sentence if key.finding else key.advice) if key else "The key was forgotten."
        return desk.go(back, said=said or key.advice)

    def _all(self, desk: Desk, sheet: Sheet, *, status: int = 200) -> Response[str]:
        return desk.page(
            "domains.html",
            here="domains",
            calls=[Domains.list_all, Domains.create],
            status=status,
            domains=desk.ask(Domains.list_all, q=sought(desk)),
            csv=csv_address(desk, "/domains.csv"),
            sheet=sheet,
            may_setup=desk.may(Permission.SETUP),
        )
