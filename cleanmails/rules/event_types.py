"""What each type of event says: one table behind the OpenAPI document, the filters and the webhooks.

A schema has a version. Fields may be added to a version; none is taken away or changes its meaning, that would be the next version.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec


class EmailData(msgspec.Struct, frozen=True, kw_only=True):
    """Which mail it was: its step, and to whom it went under which subject (null once the lead was erased). `evidence`: how an unknown outcome was settled later."""

    step: int
    email: str | None = None
    message_id: str | None = None
    subject: str | None = None
    evidence: str | None = None


class HitData(msgspec.Struct, frozen=True, kw_only=True):
    """Who is thought to have opened or clicked: a `human`, a `machine`, or `unknown`, with the reasons; `url` is where a click led, `at` when it came.

    A mail has another such event when more hits, or newer rules, change the verdict: `was` is what was thought before, null at first. Whoever counts
    people counts `human`, and takes off one where `was` is `human`.
    """

    step: int | None = None
    email: str | None = None
    verdict: str | None = None
    url: str | None = None
    was: str | None = None
    reasons: list[str] | None = None
    at: str | None = None


class ReplyData(msgspec.Struct, frozen=True, kw_only=True):
    """Who answered, under which subject, and what the answer is."""

    step: int | None = None
    email: str | None = None
    subject: str | None = None
    kind: str | None = None


class BounceData(msgspec.Struct, frozen=True, kw_only=True):
    """Why a mail came back: the class of the failure, the server's code and its words."""

    step: int | None = None
    email: str | None = None
    message_id: str | None = None
    subject: str | None = None
    failure: str | None = None
    code: int | None = None
    text: str | None = None


class AbsenceData(msgspec.Struct, frozen=True, kw_only=True):
    """Who is away, until which day if it was said; a program's answer to a message is none (`absent` false)."""

    step: int | None = None
    email: str | None = None
    subject: str | None = None
    absent: bool = False
    resumes_on: str | None = None


class LeaveData(msgspec.Struct, frozen=True, kw_only=True):
    """Why and how a lead left."""

    reason: str
    source: str | None = None


class LeadData(msgspec.Struct, frozen=True, kw_only=True):
    """The lead, as far as the event knows it; `list_id` is the list that it was made on."""

    email: str | None = None
    list_id: int | None = None
    validation: str | None = None
    label: str | None = None


class CampaignData(msgspec.Struct, frozen=True, kw_only=True):
    """Why, with figures where a rule decided; `user_id` is who did it, null for an API key or a rule."""

    user_id: int | None = None
    reason: str | None = None
    code: str | None = None
    sent: int | None = None
    bounced: int | None = None


class RunData(msgspec.Struct, frozen=True, kw_only=True):
    """Which run of the campaign began (a resume begins the next), how many leads came into it by that, and who did it: null for an API key."""

    run: int | None = None
    enrolled: int | None = None
    user_id: int | None = None


class ChangeData(msgspec.Struct, frozen=True, kw_only=True):
    """Which fields were changed, by the API's names, a step as `steps[0]`, and by whom: null for an API key."""

    fields: list[str] = []
    user_id: int | None = None


class DeletedData(msgspec.Struct, frozen=True, kw_only=True):
    """What it was called, and who deleted it: null for an API key."""

    name: str | None = None
    user_id: int | None = None


class SuppressionData(msgspec.Struct, frozen=True, kw_only=True):
    """What was suppressed and why, and for what reason it is no more; `user_id` is who took it back, null for an API key."""

    kind: str
    value: str
    reason: str
    note: str
    user_id: int | None = None


class DomainData(msgspec.Struct, frozen=True, kw_only=True):
    """The domain, its status now and before, and the records that stand otherwise than at the look before: `kind`, `state`, what it `was`, a `sentence`."""

    domain_id: int
    name: str
    status: str
    was: str | None = None
    records: list[dict[str, Any]] | None = None


class WebhookData(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint that was switched off, of which `kind` (`webhook`, `hubspot`, `pipedrive`, `slack`), and why."""

    webhook_id: int
    kind: str | None = None
    reason: str
    failures: int | None = None


class AnyData(msgspec.Struct, frozen=True, kw_only=True):
    """What is known beside the ids; no field of it is promised."""


class Kind(msgspec.Struct, frozen=True):
    """A type of event: what it says, the shape of its `data`, the version of that shape. `frequent` ones reach a webhook only if it asks for them by name."""

    meaning: str
    data: type[msgspec.Struct] = AnyData
    version: int = 1
    frequent: bool = False


TYPES: Final[Mapping[str, Kind]] = {
    "campaign.changed": Kind("A campaign was edited, put away or taken back.", ChangeData),
    "campaign.completed": Kind("Every lead of a campaign has ended its walk.", CampaignData),
    "campaign.created": Kind("A campaign was made.", CampaignData),
    "campaign.deleted": Kind("A campaign was deleted.", DeletedData),
    "campaign.paused": Kind("A campaign was paused, by a person or by its bounces.", CampaignData),
    "campaign.resumed": Kind("A campaign goes on.", RunData),
    "campaign.started": Kind("A campaign was started.", RunData),
    "email.auto_replied": Kind("A program answered for a recipient, who may be away.", AbsenceData),
    "domain.changed": Kind("A domain's DNS records stand otherwise than at the look before.", DomainData),
    "email.bounced": Kind("A mail came back for good.", BounceData),
    "email.clicked": Kind("A link of a mail was followed.", HitData, frequent=True),
    "email.complained": Kind("A recipient told his provider that a mail is unwanted.", EmailData),
    "email.opened": Kind("A mail was opened.", HitData, frequent=True),
    "email.replied": Kind("A person answered a mail.", ReplyData),
    "email.returned": Kind("A mail came back, and the address is not to blame.", BounceData),
    "email.sent": Kind("A mail was accepted by the recipient's server.", EmailData),
    "lead.created": Kind("A lead was made.", LeadData),
    "lead.labelled": Kind("A conversation was given a label, such as `meeting_booked`.", LeadData),
    "lead.unsubscribed": Kind("A lead left, and is mailed no more.", LeaveData),
    "lead.validated": Kind("An address was looked at.", LeadData),
    "suppression.removed": Kind("A suppression was taken back.", SuppressionData),
    "webhook.disabled": Kind("A webhook or an integration was switched off.", WebhookData),
    "webhook.test": Kind(
        "A test that somebody asked for; it goes to one endpoint alone and is not in the stream.", AnyData
    ),
}
"""Every type by name."""


def version(type_: str) -> int:
    """The version of a type's schema; 1 for one that is not listed."""
    return TYPES[type_].version if type_ in TYPES else 1


def misfit(type_: str, data: Mapping[str, Any]) -> str | None:
    """What of an event is not as its schema says; None: it fits. A field that the schema does not have is a misfit too."""
    if type_ not in TYPES:
        return f"{type_} is not listed"
    kind = TYPES[type_].data
    unknown = [] if kind is AnyData else sorted(set(data) - set(kind.__struct_fields__))
    try:
        msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        return f"{type_}: {error}"
    return f"{type_}: there is no {', '.join(unknown)} in its schema" if unknown else None


def schemas(base: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas of all types for the OpenAPI document: `base` is that of any event. `Event` becomes one of them, told apart by `type`."""
    structs = [
        AbsenceData,
        AnyData,
        BounceData,
        CampaignData,
        ChangeData,
        DeletedData,
        DomainData,
        EmailData,
        HitData,
        LeadData,
        LeaveData,
        ReplyData,
        RunData,
        SuppressionData,
        WebhookData,
    ]
    _, shapes = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    named: dict[str, Any] = {}
    for name, kind in TYPES.items():
        own = {
            "type": {"const": name, "type": "string"},
            "version": {"const": kind.version, "type": "integer"},
            "data": {"$ref": f"#/components/schemas/{kind.data.__name__}"},
        }
        title = "Event" + "".join(word.capitalize() for word in name.split("."))
        named[title] = {
            **base,
            "title": title,
            "description": kind.meaning,
            "properties": {**base["properties"], **own},
        }
    mapping = {named[title]["properties"]["type"]["const"]: f"#/components/schemas/{title}" for title in named}
    refs = [{"$ref": ref} for ref in mapping.values()]
    union = {
        "description": "A fact of the workspace; `type` tells which, `version` is that of its schema.",
        "oneOf": refs,
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }
    return {**shapes, **named, "Event": union}
