"""HubSpot, Pipedrive and Slack on the stream of events: each an outlet like a webhook, with its own cursor, order per lead, retries and log.

An event takes a few exchanges (find or make the person, then what happened); the first that is not answered well ends the attempt, and the event is tried again
from its beginning. So people are upserted, and before a mail or a deal is made for the second time, at a replay, or after a worker that died, it is looked for.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from cleanmails.actors.outlets import Reply, Tell, reply
from cleanmails.ledger.db import Row
from cleanmails.mail.http import Client, Response, target
from cleanmails.rules import crm

PLACES: Final[Mapping[str, str]] = {
    "hubspot": "https://api.hubapi.com",
    "pipedrive": "https://api.pipedrive.com",
    "slack": "https://hooks.slack.com",
}
"""Where each kind is, unless an integration says otherwise (a company's own Pipedrive domain)."""

_ANSWER_MOST: Final = 65_536
_GONE: Final = Reply(status=200, answer="The lead is not there any more; nobody was told.")


class _RefusedError(Exception):
    """An exchange was answered with something other than success."""

    def __init__(self, said: Reply) -> None:
        self.said = said


def tell_slack(client: Client, outlet: Row, secrets: Sequence[str], row: Row, now: datetime) -> Reply:  # noqa: ARG001 - a Tell
    """One message. The credential is the address itself, which whoever has it may write to."""
    body = msgspec.json.encode(crm.slack_message(row))
    response = client.request("POST", target(secrets[0]), {"Content-Type": "application/json"}, body)
    return reply(response)


def tell_hubspot(client: Client, outlet: Row, secrets: Sequence[str], row: Row, now: datetime) -> Reply:  # noqa: ARG001 - a Tell
    """The contact, by its address; then the mail in its history, or the deal of a meeting."""
    api = _Api(client, outlet["url"], {"Authorization": f"Bearer {secrets[0]}"})
    options, objects = outlet["options"], "/crm/v3/objects"
    try:
        if row["type"] == "webhook.test":
            return api.ask("GET", f"{objects}/contacts?limit=1")[0]
        if not row.get("lead_email"):
            return _GONE
        fields = options.get("fields") or crm.HUBSPOT_FIELDS
        said, found = api.ask("POST", f"{objects}/contacts/batch/upsert", crm.hubspot_contact(row, fields))
        contact = str(_first(found, "results")["id"])
        if crm.is_mail(row):
            made = crm.hubspot_email(row, contact)
            again = _may_be_known(row) and _holds(api, "emails", contact, "hs_timestamp", crm.milliseconds(row["at"]))
            return said if again else api.ask("POST", f"{objects}/emails", made)[0]
        if crm.is_meeting(row) and not _holds(api, "deals", contact, "dealname", crm.deal_name(row)):
            return api.ask("POST", f"{objects}/deals", crm.hubspot_deal(row, contact, options))[0]
    except _RefusedError as refused:
        return refused.said
    return said


def tell_pipedrive(client: Client, outlet: Row, secrets: Sequence[str], row: Row, now: datetime) -> Reply:  # noqa: ARG001 - a Tell
    """The person, found by its address or made; then the mail as a done activity, or the deal of a meeting."""
    api = _Api(client, outlet["url"], {"x-api-token": secrets[0]})
    options = outlet["options"]
    try:
        if row["type"] == "webhook.test":
            return api.ask("GET", "/api/v1/users/me")[0]
        if not row.get("lead_email"):
            return _GONE
        said, person = _person(api, row, options.get("fields") or crm.PIPEDRIVE_FIELDS)
        if crm.is_mail(row):
            again = _may_be_known(row) and _done(api, person, f"(event {row['id']})")
            return said if again else api.ask("POST", "/api/v2/activities", crm.pipedrive_activity(row, person))[0]
        if crm.is_meeting(row) and not _deal(api, person, crm.deal_name(row)):
            return api.ask("POST", "/api/v2/deals", crm.pipedrive_deal(row, person, options))[0]
    except _RefusedError as refused:
        return refused.said
    return said


TELLERS: Final[Mapping[str, Tell]] = {"slack": tell_slack, "hubspot": tell_hubspot, "pipedrive": tell_pipedrive}


class _Api:
    """Exchanges JSON with one API in somebody's name."""

    def __init__(self, client: Client, place: str, credentials: Mapping[str, str]) -> None:
        self._client, self._place = client, place.rstrip("/")
        self._headers = {**credentials, "Accept": "application/json", "User-Agent": "cleanmails"}

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[Reply, Any]:
        """What is logged of the answer, and the answer. _RefusedError for what is no success, or no JSON."""
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        raw = b"" if body is None else msgspec.json.encode(body)
        response = self._client.request(method, target(self._place + path), headers, raw, most=_ANSWER_MOST)
        said = reply(response)
        if not 200 <= response.status < 300:
            raise _RefusedError(said)
        return said, _decoded(response)


def _may_be_known(row: Row) -> bool:
    """Whether the event was told before, or begun to be."""
    return bool(row["attempts"] or row.get("replayed"))


def _decoded(response: Response) -> Any:  # noqa: ANN401 - JSON
    try:
        return msgspec.json.decode(response.body or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _RefusedError(Reply(status=None, error="garbage: the answer is no JSON.")) from error


def _first(found: Any, name: str) -> Any:  # noqa: ANN401 - JSON
    """The first of a list in an answer. _RefusedError if the answer has another shape than the API promises."""
    try:
        return found[name][0]
    except (KeyError, IndexError, TypeError) as error:
        raise _RefusedError(Reply(status=None, error=f"garbage: the answer has no {name}.")) from error


def _items(found: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """Pipedrive's lists: `data` or `data.items`, null for none."""
    data = found.get("data") if isinstance(found, dict) else None
    listed = data.get("items") if isinstance(data, dict) else data
    return listed if isinstance(listed, list) else []


def _holds(api: _Api, objects: str, contact: str, name: str, value: str) -> bool:
    _, found = api.ask("POST", f"/crm/v3/objects/{objects}/search", crm.hubspot_search(contact, name, value))
    return bool(isinstance(found, dict) and found.get("total"))


def _person(api: _Api, row: Row, fields: Mapping[str, str]) -> tuple[Reply, int]:
    address = quote(row["lead_email"], safe="")
    _, found = api.ask("GET", f"/api/v2/persons/search?term={address}&fields=email&exact_match=true&limit=1")
    known = [each["item"]["id"] for each in _items(found) if isinstance(each, dict) and "item" in each]
    wanted = crm.pipedrive_person(row, fields)
    if known:
        own = {"custom_fields": wanted["custom_fields"]} if "custom_fields" in wanted else {}
        said, _ = api.ask("PATCH", f"/api/v2/persons/{known[0]}", own) if own else (Reply(status=200), None)
        return said, int(known[0])
    said, made = api.ask("POST", "/api/v2/persons", wanted)
    try:
        return said, int(made["data"]["id"])
    except (KeyError, TypeError, ValueError) as error:
        raise _RefusedError(Reply(status=None, error="garbage: the answer has no person.")) from error


def _done(api: _Api, person: int, mark: str) -> bool:
    _, found = api.ask(
        "GET", f"/api/v2/activities?person_id={person}&done=true&limit=100&sort_by=add_time&sort_direction=desc"
    )
    return any(mark in str(each.get("note")) for each in _items(found) if isinstance(each, dict))


def _deal(api: _Api, person: int, title: str) -> bool:
    _, found = api.ask("GET", f"/api/v2/deals?person_id={person}&limit=100")
    return any(each.get("title") == title for each in _items(found) if isinstance(each, dict))
