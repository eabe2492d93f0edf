"""When a mailbox is looked at: how long after a failure, how often its lesser folders, how often for a copy of a mail whose fate nobody knows."""

from typing import Final

POLL_SECONDS: Final = 60.0
"""Between two looks at a mailbox whose server does not tell by itself (no IDLE)."""

SIDE_SECONDS: Final = 180.0
"""Between two looks at the spam and Sent folders of a mailbox that idles; no IDLE may last longer than 29 minutes anyway (RFC 2177)."""

_GAPS: Final = (5, 60, 120, 300, 900, 1_800)
"""Seconds after the first, second ... failure in a row. The first is short: servers close what idles, and that is no trouble of theirs."""

_LOGIN_GAPS: Final = (300, 900, 3_600, 21_600)
"""The same for a refused sign-in: providers lock accounts that knock too often."""


def again(failures: int, code: str, dice: float) -> float:
    """Seconds until a mailbox that failed `failures` times in a row is tried again; `dice` (0 to 1) spreads them by a tenth."""
    gaps = _LOGIN_GAPS if code in {"imap_login", "oauth_refused", "sealed"} else _GAPS
    return gaps[min(failures, len(gaps)) - 1] * (0.9 + 0.2 * dice)


def next_search(age: float) -> float:
    """Seconds until the Sent folder is searched again for a mail that was handed over `age` seconds ago: often at first, since copies come at once or never."""
    return 60.0 if age < 600 else 300.0 if age < 3_600 else 3_600.0 if age < 86_400 else 21_600.0
