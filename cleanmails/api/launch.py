"""What stands against a campaign's start: gathered from the ledger, judged by `rules/launch.py`."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from cleanmails.ledger import campaigns, planning, workspaces
from cleanmails.ledger.db import Connection, Row
from cleanmails.records import MissingField, Step
from cleanmails.rules import content, launch
from cleanmails.rules.content import parser
from cleanmails.rules.content.tree import UNSUBSCRIBE_URL, Where
from cleanmails.rules.content.values import OWN_FIELDS


class _Text(msgspec.Struct, frozen=True):
    """A text of a sequence, and where it stands in a request."""

    field: str
    where: Where
    text: str


def check(
    db: Connection,
    workspace_id: int,
    campaign_id: int,
    now: datetime,
    *,
    steps: Sequence[Step] | None = None,
    sender_ids: Sequence[int] = (),
) -> launch.Checks:
    """All that stands against the start of a campaign as it is written, and all that one should know before.

    `steps` and `sender_ids` are its own in the order of a request, so that faults name the places of that.
    """
    row = campaigns.read(db, workspace_id, campaign_id)
    sequence = tuple(steps) if steps is not None else tuple(_step(each) for each in row["steps"])
    texts = list(_texts(sequence))
    used = {tag.name for each in texts for tag in parser.read(each.text, each.where)[0].tags}
    extra = sorted(used - OWN_FIELDS - {UNSUBSCRIBE_URL})
    audience = campaigns.audience(db, workspace_id, campaign_id, [name.lower() for name in extra])
    filled = {name.upper(): audience[name] for name in ("first_name", "last_name", "company")}
    filled |= {name.upper(): number for name, number in audience["fields"].items()}
    # On lists without leads every field may yet come; a field that none of many leads has is a slip.
    known = [name for name in extra if filled.get(name) or not audience["leads"]]
    senders = planning.senders(db, now, [campaign_id], {})
    return launch.checks(
        launch.LaunchFacts(
            now=now,
            steps=sequence,
            senders=tuple(senders[each] for each in sender_ids or sorted(senders) if each in senders),
            lists=len(row["lists"]),
            leads=audience["leads"],
            track_opens=row["track_opens"],
            track_clicks=row["track_clicks"],
            missing_field=MissingField(row["missing_field"]),
            postal_address=workspaces.read(db, workspace_id)["postal_address"],
            content_faults=tuple(
                fault
                for each in texts
                for fault in content.faults(each.text, known, where=each.where, field=each.field)
            ),
            lacking=_lacking(texts, filled, audience["leads"]),
        )
    )


def _step(row: Row) -> Step:
    return msgspec.convert(row | {"trigger": row["trigger_condition"]}, Step)


def _texts(steps: Sequence[Step]) -> Iterator[_Text]:
    for index, step in enumerate(steps):
        for number, subject in enumerate(step.subjects):
            yield _Text(f"steps[{index}].subjects[{number}]", "subject", subject)
        yield _Text(f"steps[{index}].body", "body", step.body)


def _lacking(texts: Sequence[_Text], filled: dict[str, int], leads: int) -> dict[str, int]:
    """By field that some text needs: how many leads have no value for it."""
    needed = {name for each in texts for name in content.required_fields(parser.read(each.text, each.where)[0])}
    return {name: leads - filled[name] for name in sorted(needed) if filled.get(name)}
