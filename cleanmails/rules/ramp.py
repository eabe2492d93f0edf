"""A ramp-up from one UTC day to the next. What today's limit is, the ledger says (`sql/functions/day_limit.sql`); here is what becomes of it."""

from msgspec.structs import replace

from cleanmails.records import Ramp, SenderView


def growing(sender: SenderView) -> bool:
    """Whether a sender's limit of today is less than what its ramp-up leads to."""
    return sender.ramp is not None and sender.daily_limit < sender.ramp.most


def most(sender: SenderView) -> int:
    """What a sender's limit may come to by itself."""
    return sender.daily_limit if sender.ramp is None else max(sender.daily_limit, sender.ramp.most)


def next_day(sender: SenderView) -> SenderView:
    """A sender as the next UTC day begins: nothing is used, and a day on which it has sent lets it send more."""
    limit = sender.daily_limit
    if sender.ramp is not None and sender.used_today > 0 and limit < sender.ramp.most:
        limit = min(sender.ramp.most, limit + sender.ramp.step)
    return replace(sender, used_today=0, daily_limit=limit)


def supposed(sender: SenderView, limit: int) -> SenderView:
    """A sender as if its daily limit were another: one that still grows goes on from where it is."""
    if sender.ramp is None or not growing(sender):
        return replace(sender, daily_limit=limit)
    return replace(sender, daily_limit=min(sender.daily_limit, limit), ramp=Ramp(sender.ramp.step, limit))
