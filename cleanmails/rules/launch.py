"""Launch checks: everything that stands against starting a campaign, as one list (product page, "Campaigns")."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

import msgspec

from cleanmails.errors import Fault
from cleanmails.records import MissingField, SenderView, Step, Trigger
from cleanmails.rules import gates

MAX_WAIT_DAYS: Final = 365
MAX_WAIT_HOURS: Final = 24 * 365
"""A longer wait is a slip of the hand, and past some size no date at all."""

NEEDS_OPENS: Final = frozenset({Trigger.ON_OPEN, Trigger.NOT_OPENED})


class LaunchFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a campaign that is to start.

    `senders` are all attached ones; `leads` counts who would be mailed. `content_faults` are the unknown tags and broken spintax of subjects and
    bodies, each with its field (`steps[0].body`); `lacking` counts, by field, the leads without a value where the text has no fallback.
    """

    now: datetime
    steps: tuple[Step, ...]
    senders: tuple[SenderView, ...]
    lists: int
    leads: int
    track_opens: bool
    track_clicks: bool
    missing_field: MissingField
    postal_address: str
    content_faults: tuple[Fault, ...] = ()
    lacking: Mapping[str, int] = {}


class LaunchWarning(msgspec.Struct, frozen=True):
    """Something that does not hinder the start, and how many leads, mails or senders it concerns."""

    field: str
    code: str
    message: str
    count: int


class Checks(msgspec.Struct, frozen=True):
    """The result: a campaign starts if there are no faults."""

    faults: list[Fault]
    warnings: list[LaunchWarning]


def checks(facts: LaunchFacts) -> Checks:
    """All that stands against a start, and all that one should know before."""
    faults = [
        *_sequence_faults(facts),
        *wait_faults(facts.steps),
        *trigger_faults(facts.steps, track_opens=facts.track_opens, track_clicks=facts.track_clicks),
        *facts.content_faults,
        *_audience_faults(facts),
        *_sender_faults(facts),
    ]
    return Checks(faults, list(_warnings(facts)))


def wait_faults(steps: tuple[Step, ...]) -> Iterator[Fault]:
    """Waits that cannot be; refused for drafts as well."""
    for index, step in enumerate(steps):
        for name, value, most in (
            ("wait_days", step.wait_days, MAX_WAIT_DAYS),
            ("wait_hours", step.wait_hours, MAX_WAIT_HOURS),
        ):
            if not 0 <= value <= most:
                yield Fault(f"steps[{index}].{name}", "wait", f"Give a whole number from 0 to {most}.")


def _sequence_faults(facts: LaunchFacts) -> Iterator[Fault]:
    if not facts.steps:
        yield Fault("steps", "no_steps", "Add at least one step, with a subject and a body.")
    if sorted(step.position for step in facts.steps) != list(range(len(facts.steps))):
        yield Fault("steps", "positions", "Number the steps 0, 1, 2 and so on, each once.")
    for index, step in enumerate(facts.steps):
        if step.position == 0 and not step.subjects:
            yield Fault(f"steps[{index}].subjects", "no_subject", "Give the first step a subject.")
        if any(not subject.strip() for subject in step.subjects):
            yield Fault(f"steps[{index}].subjects", "empty_subject", "Write this subject, or take it out.")
        if not step.body.strip():
            yield Fault(f"steps[{index}].body", "no_body", "Write the body of this step.")


def trigger_faults(steps: tuple[Step, ...], *, track_opens: bool, track_clicks: bool) -> Iterator[Fault]:
    """Triggers that could never be met."""
    for index, step in enumerate(steps):
        field = f"steps[{index}].trigger_condition"
        if step.position == 0 and step.trigger is not Trigger.ALWAYS:
            yield Fault(field, "first_trigger", "The first step has no mail before it: its trigger must be always.")
        elif step.trigger in NEEDS_OPENS and not track_opens:
            yield Fault(field, "needs_track_opens", f"{step.trigger} needs open tracking: switch track_opens on.")
        elif step.trigger is Trigger.ON_CLICK and not track_clicks:
            yield Fault(field, "needs_track_clicks", "on_click needs click tracking: switch track_clicks on.")


def _audience_faults(facts: LaunchFacts) -> Iterator[Fault]:
    if not facts.lists:
        yield Fault("lists", "no_lists", "Attach at least one list of leads.")


def _sender_faults(facts: LaunchFacts) -> Iterator[Fault]:
    if not facts.senders:
        yield Fault("senders", "no_senders", "Attach at least one sender.")
    elif not any(_usable(facts, sender) for sender in facts.senders):
        yield Fault(
            "senders", "no_usable_sender", "None of the senders can send: make one of them ready, or attach another."
        )
    for index, sender in enumerate(facts.senders):
        if gates.sender_domain(sender, facts.now).code:
            message = f"{sender.address} sends from {sender.domain}, whose DNS records are {sender.domain_status}: publish and verify them."
            yield Fault(f"senders[{index}]", "domain_not_verified", message)


def _usable(facts: LaunchFacts, sender: SenderView) -> bool:
    """Whether a sender will send, now or at a known time: a limit that is used up today is no hindrance."""
    asked = gates.sender_gates(sender, facts.now)
    return all(gate.passed for gate in asked) or gates.opening(asked) is not None


def _warnings(facts: LaunchFacts) -> Iterator[LaunchWarning]:
    idle = [sender for sender in facts.senders if not _usable(facts, sender)]
    if 0 < len(idle) < len(facts.senders):
        names = ", ".join(sender.address for sender in idle)
        yield LaunchWarning("senders", "senders_not_usable", f"These senders cannot send now: {names}.", len(idle))
    if facts.lists and not facts.leads:
        message = "Nobody on the attached lists can be mailed yet: the campaign waits for leads that are added to them."
        yield LaunchWarning("lists", "no_leads", message, 0)
    held = (
        "are held and not mailed"
        if facts.missing_field is MissingField.HOLD
        else "get a mail with a blank in its place"
    )
    for name, count in sorted(facts.lacking.items()):
        if count:
            yield LaunchWarning(
                "steps",
                "missing_field",
                f"{count} leads have no {name}, for which there is no fallback: they {held}.",
                count,
            )
    if not facts.postal_address.strip():
        message = "The workspace has no postal address for the footer; the law of many countries asks for one."
        yield LaunchWarning("postal_address", "no_postal_address", message, facts.leads)
