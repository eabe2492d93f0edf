"""How far an import is, and how long it will still take."""

from typing import Final

import msgspec

TAKING_SHARE: Final = 2.3
"""Taking the rows lasts so long per second of reading them: measured with a million rows of a hundred bytes, and good enough for a bar."""

_SOON: Final = 1.0


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """`done` is a share from 0 to 1; `seconds_left` is None while nothing can be said."""

    done: float
    seconds_left: float | None


def of(*, read: int, size: int, reading: float, taking: float | None) -> Progress:
    """Of a file of `size` bytes of which `read` were read: `reading` seconds since that began; `taking` since all was read, or None.

    The bar moves on while the rows are taken, and never stands at its end before they are.
    """
    if taking is not None:
        expected = max((reading - taking) * TAKING_SHARE, _SOON)
        share = min(taking / expected, 0.98)
        first = 1 / (1 + TAKING_SHARE)
        return Progress(
            done=round(first + (1 - first) * share, 3), seconds_left=round(max(expected - taking, _SOON), 1)
        )
    if not read or not size:
        return Progress(done=0.0, seconds_left=None)
    share = min(read / size, 1.0)
    whole = reading / share * (1 + TAKING_SHARE)
    return Progress(done=round(share / (1 + TAKING_SHARE), 3), seconds_left=round(max(whole - reading, _SOON), 1))
