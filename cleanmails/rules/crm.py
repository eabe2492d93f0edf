"""What CRMs and Slack are told of an event: the bodies of their public APIs, as plain data. Nothing here speaks to anybody.

An event row is what `ledger.outlets.read_lane` gives: the event with its lead and campaign. `fields` maps a lead's fields to properties of the CRM.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

Row = Mapping[str, Any]
Json = dict[str, Any]

HUBSPOT_FIELDS: Final[Mapping[str, str]] = {"first_name": "firstname", "last_name": "lastname", "company": "company"}
"""Contact properties that every HubSpot account has."""

PIPEDRIVE_FIELDS: Final[Mapping[str, str]] = {}
"""Beside name and address, which are always given; Pipedrive keeps everything else in fields that the account made."""

DEFAULT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "slack": (
        "campaign.completed",
        "campaign.paused",
        "email.replied",
        "lead.labelled",
        "lead.unsubscribed",
        "webhook.disabled",
    ),
    "hubspot": ("email.replied", "email.sent", "lead.labelled"),
    "pipedrive": ("email.replied", "email.sent", "lead.labelled"),
}
"""What each kind is told if nobody says otherwise."""

EMAIL_TO_CONTACT: Final = 198
DEAL_TO_CONTACT: Final = 3
"""HubSpot's own numbers of the associations that are defined in every account."""

_SAID: Final[Mapping[str, str]] = {
    "campaign.completed": "The campaign is completed",
    "campaign.paused": "The campaign was paused",
    "campaign.resumed": "The campaign goes on",
    "campaign.started": "The campaign was started",
    "email.bounced": "A mail bounced",
    "email.clicked": "A link was followed",
    "email.opened": "A mail was opened",
    "email.replied": "There is a reply",
    "email.sent": "A mail was sent",
    "lead.created": "There is a new lead",
    "lead.labelled": "A conversation was labelled",
    "lead.unsubscribed": "A lead left",
    "webhook.disabled": "A webhook was switched off",
    "webhook.test": "This is a test of cleanmails",
}


def is_meeting(row: Row) -> bool:
    """Whether an event says that a meeting was booked: then a deal is made."""
    return bool(row["type"] == "lead.labelled" and (row["data"] or {}).get("label") == "meeting_booked")


def is_mail(row: Row) -> bool:
    """Whether an event is a mail of one side to the other: an engagement."""
    return row["type"] in {"email.sent", "email.replied"}


def name_of(row: Row) -> str:
    """What a lead is called: its names, else its address."""
    names = " ".join(filter(None, (row.get("first_name"), row.get("last_name"))))
    return names or row.get("lead_email") or ""


def deal_name(row: Row) -> str:
    """What a deal is called. It is how the deal is found again, so it depends on nothing but lead and campaign."""
    return f"{row.get('company') or name_of(row)}: {row.get('campaign_name') or 'meeting'}"


def properties(row: Row, fields: Mapping[str, str]) -> dict[str, str]:
    """A lead's values under the CRM's names; what a lead does not have is left out, so that nothing there is overwritten by a blank."""
    own = {name: row.get(name) for name in ("first_name", "last_name", "company")}
    values = {**(row.get("fields") or {}), **own}
    return {target: str(values[name]) for name, target in fields.items() if values.get(name)}


def hubspot_contact(row: Row, fields: Mapping[str, str]) -> Json:
    """POST /crm/v3/objects/contacts/batch/upsert: made or changed by its address."""
    given = {"email": row["lead_email"], **properties(row, fields)}
    return {"inputs": [{"idProperty": "email", "id": row["lead_email"], "properties": given}]}


def hubspot_email(row: Row, contact_id: str) -> Json:
    """POST /crm/v3/objects/emails: a mail in a contact's history."""
    sent = row["type"] == "email.sent"
    given = {
        "hs_timestamp": milliseconds(row["at"]),
        "hs_email_direction": "EMAIL" if sent else "INCOMING_EMAIL",
        "hs_email_status": "SENT",
        "hs_email_subject": _subject(row),
        "hs_email_text": f"Campaign: {row.get('campaign_name') or ''}",
    }
    return {"properties": given, "associations": [_association(contact_id, EMAIL_TO_CONTACT)]}


def hubspot_deal(row: Row, contact_id: str, options: Mapping[str, Any]) -> Json:
    """POST /crm/v3/objects/deals."""
    given = {"dealname": deal_name(row), "pipeline": options.get("pipeline") or "default"}
    given["dealstage"] = options.get("stage") or "appointmentscheduled"
    return {"properties": given, "associations": [_association(contact_id, DEAL_TO_CONTACT)]}


def hubspot_search(contact_id: str, name: str, value: str) -> Json:
    """POST /crm/v3/objects/{emails,deals}/search: what a contact has already, so that an attempt that broke makes nothing twice."""
    filters = [
        {"propertyName": "associations.contact", "operator": "EQ", "value": contact_id},
        {"propertyName": name, "operator": "EQ", "value": value},
    ]
    return {"filterGroups": [{"filters": filters}], "limit": 1}


def pipedrive_person(row: Row, fields: Mapping[str, str]) -> Json:
    """POST or PATCH /api/v2/persons."""
    own = properties(row, fields)
    return {
        "name": name_of(row),
        "emails": [{"value": row["lead_email"], "primary": True}],
        **({"custom_fields": own} if own else {}),
    }


def pipedrive_activity(row: Row, person_id: int) -> Json:
    """POST /api/v2/activities: a mail in a person's history."""
    at: datetime = row["at"]
    direction = "Sent" if row["type"] == "email.sent" else "Reply"
    return {
        "subject": f"{direction}: {_subject(row)}"[:255],
        "type": "email",
        "done": True,
        "due_date": f"{at:%Y-%m-%d}",
        "due_time": f"{at:%H:%M}",
        "note": f"Campaign: {row.get('campaign_name') or ''} (event {row['id']})",
        "participants": [{"person_id": person_id, "primary": True}],
    }


def pipedrive_deal(row: Row, person_id: int, options: Mapping[str, Any]) -> Json:
    """POST /api/v2/deals."""
    chosen = {"pipeline_id": options.get("pipeline"), "stage_id": options.get("stage")}
    numbers = {name: int(value) for name, value in chosen.items() if value}
    return {"title": deal_name(row), "person_id": person_id, **numbers}


def slack_message(row: Row) -> Json:
    """An incoming webhook's body: what happened in a line, who and where below it. `text` is what a notification shows."""
    said = _SAID.get(row["type"], row["type"].replace(".", " "))
    data = row["data"] or {}
    who = " ".join(filter(None, (name_of(row), f"({row['company']})" if row.get("company") else "")))
    lines = [f"*{_plain(said)}*" + (f": {_plain(who)}" if who else "")]
    about = [
        _plain(str(part))
        for part in (
            row.get("lead_email") if row.get("lead_email") != name_of(row) else None,
            row.get("campaign_name"),
            data.get("subject"),
            str(data["label"]).replace("_", " ") if data.get("label") else None,
            data.get("reason"),
        )
        if part
    ]
    blocks: list[Json] = [{"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)[:3_000]}}]
    context = " · ".join(
        [*about, f"<!date^{int(row['at'].timestamp())}^{{date_short_pretty}} {{time}}|{row['at']:%Y-%m-%d %H:%M} UTC>"]
    )
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": context[:3_000]}]})
    return {"text": _plain(f"{said}: {who}" if who else said)[:3_000], "blocks": blocks}


def milliseconds(at: datetime) -> str:
    """HubSpot's times."""
    return str(round(at.timestamp() * 1_000))


def _subject(row: Row) -> str:
    return str((row["data"] or {}).get("subject") or "(no subject)")


def _association(to: str, type_id: int) -> Json:
    kinds = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}]
    return {"to": {"id": to}, "types": kinds}


def _plain(text: str) -> str:
    """Text in Slack's markup: these three would be commands, mentions of everybody among them."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
