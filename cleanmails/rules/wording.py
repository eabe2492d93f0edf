"""What the gates say to people: one sentence per gate that is open, one per reason for being shut. Codes are for programs, these are not."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from cleanmails.rules import zones
from cleanmails.rules.gates import Gate

OPEN: Final[Mapping[str, str]] = {
    "bounces": "{figure} of {limit} mails bounced hard since the launch or the last resume.",
    "status": "The campaign is running.",
    "launch": "The campaign has been launched.",
    "schedule": "The sending window is open: {limit}.",
    "walk": "The lead is waiting for its next step.",
    "lead": "The lead may be mailed.",
    "sequence": "The next step is number {figure} of {limit}.",
    "wait": "The wait is over.",
    "trigger": "The step's trigger is met.",
    "new_leads": "The lead does not exceed the campaign's new leads a day.",
    "sender": "The sender of the lead's mails is there.",
    "senders": "{figure} of the campaign's {limit} senders can send now.",
    "sender_exists": "The sender exists.",
    "sender_status": "The sender is ready.",
    "sender_domain": "The sender's domain is verified, or signed by its provider.",
    "sender_health": "The sender's health is {figure}; it must be above {limit}. It comes back by itself after a rest.",
    "daily_limit": "The sender has used {figure} of the {limit} mails that it may send today.",
    "cooldown": "The sender is not cooling down.",
    "gap": "The gap after the sender's last mail is over.",
    "pipe": "{figure} of at most {limit} mails of the sender are on their way.",
    "provider": "The recipient's provider is given no more than its rate.",
}
"""By the gate's name."""

SHUT: Final[Mapping[str, str]] = {
    "bounce_protect": "{figure} of {limit} mails bounced hard since the launch or the last resume: too many. Clean the list, then resume.",
    "campaign_draft": "The campaign is a draft and has not been started.",
    "campaign_paused": "The campaign is paused: {figure}",
    "campaign_completed": "The campaign is completed.",
    "launch_at_not_reached": "The campaign sends nothing before its launch time.",
    "out_of_schedule": "The sending window is shut: it is {figure}, and mails go out {limit}.",
    "walk_ended": "The lead's walk has ended: {figure}.",
    "in_flight": "A mail to the lead is on its way now.",
    "unknown_delivery": "The last mail may or may not have been accepted; it is not sent again before somebody decides.",
    "missing_field": "The lead lacks a field that the mail needs and that has no fallback.",
    "lead_held": "The lead is held ({figure}) and needs a decision.",
    "unsubscribed": "The lead has unsubscribed.",
    "suppressed": "The lead's address or its domain is suppressed.",
    "invalid": "The lead's address is marked invalid.",
    "bounced": "Mail to the lead's address bounced.",
    "sequence_finished": "There is no step left: the lead has had all {limit}.",
    "retry_not_due": "The last attempt failed for now; the next one is due later.",
    "start_delay_not_met": "The wait before the first mail is not over.",
    "follow_up_delay_not_met": "The wait after the last step is not over.",
    "trigger_not_met": "The step's trigger {limit} is not met: {figure}. If that is so when the wait is over, the step is skipped.",
    "new_leads_limit_met": "{figure} of {limit} new leads were mailed today.",
    "no_senders_available": "No sender of the campaign can send, and it is not known when one can.",
    "sender_gone": "The sender of the lead's mails was removed, and the campaign waits for it rather than take another.",
    "sender_warmup": "The sender is warming up.",
    "sender_paused": "The sender is paused.",
    "sender_restricted": "The sender's sign-in was refused; it sends nothing until it is tested again.",
    "sender_domain_not_verified": "The DNS records of the sender's domain are {figure}; they must be verified.",
    "sender_unhealthy": "The sender's health is {figure}; it must be above {limit}. It comes back by itself after a rest.",
    "daily_limit_met": "The sender has used all {limit} mails that it may send today.",
    "ramp_up_limit_met": "The sender is ramping up, and has used all {limit} mails that it may send today. Each day on which it sends raises the limit.",
    "sender_cooling_down": "The sender rests after three errors in a row.",
    "sender_gap_not_over": "The gap after the last mail is not over.",
    "sender_busy": "As many mails of the sender as may be at once are on their way.",
    "domain_limit_reached": "The recipient's provider is given mails as fast as its rate allows: {figure} are on their way, {limit:g} may be.",
    "healthy": "Mails go out as planned.",
    "no_leads": "The campaign has no leads: its lists are empty, or nobody on them may be mailed. It waits for leads that are added to them.",
    "leads_held": "{figure} leads are held and need a decision; nobody else is waiting.",
}
"""By the code."""

UNMET: Final[Mapping[str, str]] = {
    "nothing_received": "the lead has received nothing so far",
    "never_opened": "the last mail was not opened",
    "never_clicked": "nothing in the last mail was clicked",
    "already_opened": "the last mail was opened",
}

FORETOLD: Final[Mapping[str, str]] = {
    "bounce_protect": "Too many mails bounce hard: the campaign is paused, and somebody has to look at its list.",
    "campaign_completed": "The campaign is completed.",
    "launch_at_not_reached": "The launch time has not come.",
    "out_of_schedule": "The sending window is shut.",
    "nothing_left": "Everybody has had every mail that is due.",
    "follow_up_delay_not_met": "Nobody is due: every lead that is left waits for the time of its next mail.",
    "new_leads_limit_met": "The campaign's new leads a day are used up.",
    "daily_limit_met": "The daily limits of the senders are used up.",
    "ramp_up_limit_met": "The senders are ramping up, and have used what they may send so far.",
    "domain_limit_reached": "The rate of the recipients' provider is used up.",
    "sender_gap_not_over": "The gap between two mails of a sender lets no more through.",
    "sender_busy": "The senders send as fast as they can.",
    "sender_cooling_down": "The senders rest after errors in a row.",
    "sender_unhealthy": "The senders rest until their health has come back.",
    "sender_warmup": "The senders are warming up.",
    "sender_paused": "The senders are paused.",
    "sender_restricted": "The senders' sign-in was refused; they send nothing until they are tested again.",
    "sender_domain_not_verified": "The senders' domain is not verified.",
    "sender_gone": "The sender of these leads was removed, and the campaign waits for it.",
    "no_senders_available": "No sender of the campaign can send, and it is not known when one can.",
    "unknown_delivery": "It is not known whether their last mail was accepted; somebody has to decide.",
    "missing_field": "They lack a field that the mail needs and that has no fallback.",
    "lead_held": "They are held and need a decision.",
    "unsubscribed": "They have unsubscribed.",
    "suppressed": "Their address or its domain is suppressed.",
    "invalid": "Their address is marked invalid.",
    "bounced": "Mail to their address bounced.",
    "sequence_finished": "There is no step left for them.",
}
"""What a forecast says by code: what binds a day, and why leads get no further mail."""

FIRST_TO_OPEN: Final[Mapping[str, str]] = {
    "daily_limit_met": "today's limit is used up",
    "ramp_up_limit_met": "it is ramping up, and today's limit is used up",
    "sender_cooling_down": "it rests after three errors in a row",
    "sender_gap_not_over": "the gap after the last mail is not over",
    "sender_busy": "mails are on their way",
}
"""What shuts the sender that opens first, where none of a campaign's senders can send."""


def worded(gate: Gate, timezone: str) -> Gate:
    """The gate with its sentence; times as a wall clock of the zone shows them."""
    return replace(gate, sentence=sentence(gate, timezone))


def sentence(gate: Gate, timezone: str) -> str:
    """What a gate says of itself."""
    if gate.code is None:
        template = OPEN[gate.name]
    elif gate.name == "senders" and gate.code in FIRST_TO_OPEN:
        template = f"None of the campaign's {{limit}} senders can send now. Of the one that opens first: {FIRST_TO_OPEN[gate.code]}."
    else:
        template = SHUT[gate.code]
    said = template.format(figure=UNMET.get(str(gate.figure), gate.figure), limit=gate.limit)
    return f"{said} Opens {clock(gate.opens_at, timezone)}." if gate.opens_at else said


def clock(at: datetime, timezone: str) -> str:
    """An instant for people: `Mon 02 Nov 2026, 09:00 Europe/Berlin`."""
    return f"{zones.reading(at, timezone):%a %d %b %Y, %H:%M} {timezone}"
