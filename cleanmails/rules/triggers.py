"""Triggers: whether a step's condition on the last mail that the lead really got is met.

Judged once, when the wait is over and the window is open (product page, "Steps, waits, triggers"). Only what people did counts: the walk carries no
opens and clicks of machines. A click is an open too, for who clicked has seen the mail, with or without its pixel.
"""

from typing import Final

from cleanmails.records import Trigger, WalkView

FOR_GOOD: Final = frozenset({"nothing_received", "already_opened"})
"""Reasons for which a condition stays unmet, whatever people do until it is judged."""


def met(trigger: Trigger, walk: WalkView) -> bool:
    """Whether the step may be sent."""
    return unmet(trigger, walk) is None


def unmet(trigger: Trigger, walk: WalkView) -> str | None:
    """Why the step is to be skipped, as a code, or None when its condition is met.

    All conditions but `always` speak of a mail. A lead that got none (each step before was skipped, or settled by a person as never sent) meets none
    of them, `not_opened` included: there is nothing that it left unopened, and nothing that a follow-up could refer to.
    """
    if trigger is Trigger.ALWAYS:
        return None
    if not walk.mailed:
        return "nothing_received"
    opened = walk.opened_at is not None or walk.clicked_at is not None
    if trigger is Trigger.NOT_OPENED:
        return "already_opened" if opened else None
    if trigger is Trigger.ON_OPEN:
        return None if opened else "never_opened"
    return None if walk.clicked_at is not None else "never_clicked"
