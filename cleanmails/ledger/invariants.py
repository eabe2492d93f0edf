"""What must be true of the ledger at every moment: statements that return the rows which say otherwise.

Run by tests after every step, by `cleanmails doctor`, and by upkeep each hour.
"""

from typing import Final

import msgspec

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


class Invariant(msgspec.Struct, frozen=True):
    """A promise of the ledger, in a sentence; its statement; and what to do where it is broken."""

    name: str
    promise: str
    statement: bytes
    remedy: str


STOP: Final = "Stop the send workers first. "
"""Where a second copy may be on its way."""

INVARIANTS: Final = (
    Invariant(
        "walks_add_up",
        "The walks of a campaign are waiting, in flight, held or ended, and add up to its enrolled.",
        sql("invariants.walks_add_up"),
        "A walk is in a state that the product does not know: was the database changed by hand, or by a newer version?",
    ),
    Invariant(
        "one_delivery",
        "There is one delivery for each step to each lead.",
        sql("invariants.one_delivery"),
        STOP + "A unique constraint is gone: restore it from the schema, and compare the copies with the server's log.",
    ),
    Invariant(
        "one_acceptance",
        "No delivery was accepted twice.",
        sql("invariants.one_acceptance"),
        STOP + "The lead has got the mail twice; compare its attempts with the server's log, and report it with them.",
    ),
    Invariant(
        "sent_is_proven",
        "What counts as sent was accepted or has evidence, and what was accepted counts as sent.",
        sql("invariants.sent_is_proven"),
        STOP + "Look for the Message-ID in the sender's Sent folder or the server's log before anything is sent again.",
    ),
    Invariant(
        "in_flight_has_its_mail",
        "A walk in flight has exactly one mail on its way.",
        sql("invariants.in_flight_has_its_mail"),
        "With none, the lead would wait for ever: pause the campaign and report it with the history of these leads.",
    ),
    Invariant(
        "held_has_its_cause",
        "A walk that is held has the mail for which it is held.",
        sql("invariants.held_has_its_cause"),
        "No decision can let these leads go on: report it with their history.",
    ),
    Invariant(
        "unsettled_fits_its_walk",
        "A mail that is not settled has a walk that waits for it.",
        sql("invariants.unsettled_fits_its_walk"),
        "The mail and its walk disagree on what comes next: pause the campaign and report it with the history of these leads.",
    ),
    Invariant(
        "days_are_counted",
        "A sender's day counts what was accepted, may have been, or is being sent.",
        sql("invariants.days_are_counted"),
        "A count that is too low lets the sender pass its limit: lower the limit by the difference until midnight UTC.",
    ),
    Invariant(
        "runs_are_counted",
        "The runs of a campaign add up to its mails that were sent or bounced.",
        sql("invariants.runs_are_counted"),
        "Auto-pause judges by wrong figures: watch the campaign's bounces yourself until it is resumed, which counts anew.",
    ),
    Invariant(
        "completed_is_over",
        "A completed campaign has no open walk.",
        sql("invariants.completed_is_over"),
        "These leads were left behind: put them on a list of a new campaign, and report it.",
    ),
    Invariant(
        "nothing_after_a_stop",
        "No mail was marked after its walk had ended or its address was suppressed.",
        sql("invariants.nothing_after_a_stop"),
        STOP
        + "Somebody was mailed who must not be. If the server's clock was set back, that explains it; else report it.",
    ),
    Invariant(
        "unknown_is_explained",
        "Every unknown mail has a reason and its attempt.",
        sql("invariants.unknown_is_explained"),
        "Decide on it by the server's log all the same; the way by which it became unknown has a fault, so report it.",
    ),
    Invariant(
        "attempts_are_counted",
        "A delivery counts its attempts as they were written down.",
        sql("invariants.attempts_are_counted"),
        "The history of these mails has a gap or a stranger in it; report it.",
    ),
    Invariant(
        "bytes_are_kept",
        "The bytes of a mail are kept until it is settled, and no longer.",
        sql("invariants.bytes_are_kept"),
        "Bytes that are missing cannot be sent again, and bytes left over hold personal data: report it.",
    ),
    Invariant(
        "mails_have_walks",
        "Every delivery is of a walk, and bytes and attempts are of a delivery.",
        sql("invariants.mails_have_walks"),
        "A lead or a campaign was deleted and left something behind; nobody is mailed by it. Report it.",
    ),
    Invariant(
        "lists_hold_leads",
        "Whoever is on a list is a lead of the list's workspace.",
        sql("invariants.lists_hold_leads"),
        "Nobody is mailed by such a row; delete it, and report how many there were.",
    ),
    Invariant(
        "figures_add_up",
        "Statistics are what the events add up to.",
        sql("figures.add_up"),
        "Count them anew: `cleanmails recount`. If it comes again, report it.",
    ),
)

LIMIT: Final = 100
"""Rows that one invariant returns at most: whoever reads them needs examples, not all."""


def violations(db: Connection, invariant: Invariant, limit: int = LIMIT) -> list[Row]:
    """The rows that break it; none if all is well. Some statements read whole tables."""
    return db.execute(invariant.statement, {"limit": limit}).fetchall()
