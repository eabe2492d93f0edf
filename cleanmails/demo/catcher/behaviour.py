"""How the catcher meets a mail when it is told to be difficult.

A behaviour is written `<act>-<point>`, with a number where one is needed: `refuse-rcpt-550`, `refuse-dot-421`, `drop-body`, `silence-stored`,
`tarpit-mail-2`; `greylist` is `refuse-rcpt-451` on the first try. An address asks for one behind a plus: `ann+refuse-dot-451@corp.example`.
"""

import fnmatch
import hashlib
import re
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec


class Act(StrEnum):
    """What is done. `refuse`: says a code (and leaves after 421); `drop`: hangs up; `silence`: never answers; `tarpit`: answers late."""

    REFUSE = "refuse"
    DROP = "drop"
    SILENCE = "silence"
    TARPIT = "tarpit"


class Point(StrEnum):
    """Where it is done. `body`: before it is read, though a short one may be under way whole; `dot`: the mail is whole and thrown away; `stored`: the mail is whole and kept."""

    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"
    STORED = "stored"


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """One act at one point; `number` is the code of a refusal, or the seconds of a tarpit. `times`: only so many tries of a recipient meet with it."""

    act: Act
    point: Point
    number: int = 0
    times: int | None = None

    @property
    def name(self) -> str:
        """As it is written, without its `times`."""
        return f"{self.act}-{self.point}{f'-{self.number}' if self.number else ''}"

    @property
    def reply(self) -> str:
        """The words of a refusal."""
        return f"{self.number} {_WORDS.get(self.number, f'{self.number // 100}.0.0 refused, as was asked for')}"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try: the `number`-th, from one, of this sender with this recipient. At MAIL the recipient is not known and empty."""

    mail_from: str
    recipient: str
    number: int


Script = Callable[[Attempt], Behaviour | None]
"""What decides how a try is met; None: it is taken as it should be."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A behaviour for every address that `match` (with * and ?) fits: the recipient's, at MAIL the sender's.

    `share` of the tries meet with it, drawn from the seed, the address and the try; `times` as in Behaviour.
    """

    match: str
    do: str
    times: int | None = None
    share: float = 1.0


_WORDS = {
    421: "4.3.2 shutting down",
    450: "4.2.1 mailbox busy",
    451: "4.7.1 please try again later",
    452: "4.2.2 mailbox full",
    550: "5.1.1 no such mailbox",
    552: "5.3.4 message too large",
    554: "5.7.1 not wanted here",
}
_FORM = re.compile(rf"({'|'.join(Act)})-({'|'.join(Point)})(?:-(\d+))?")


def parse(text: str) -> Behaviour:
    """Reads a behaviour as it is written. ValueError: it cannot be."""
    if text == "greylist":
        return Behaviour(act=Act.REFUSE, point=Point.RCPT, number=451, times=1)
    read = _FORM.fullmatch(text)
    if read is None:
        raise ValueError(f"{text!r} is no behaviour")
    behaviour = Behaviour(act=Act(read[1]), point=Point(read[2]), number=int(read[3] or 0))
    if behaviour.act is Act.REFUSE and not 400 <= behaviour.number < 600:
        raise ValueError(f"{text!r} needs a code from 400 to 599")
    return behaviour


def by_address(attempt: Attempt) -> Behaviour | None:
    """What the address itself asks for: the recipient's, at MAIL the sender's."""
    local = (attempt.recipient or attempt.mail_from).rpartition("@")[0]
    _, plus, asked = local.partition("+")
    try:
        behaviour = parse(asked) if plus else None
    except ValueError:
        return None
    if behaviour is None or (behaviour.point is Point.MAIL) is bool(attempt.recipient):
        return None
    return behaviour if behaviour.times is None or attempt.number <= behaviour.times else None


def by_rules(rules: Sequence[Rule], *, seed: int = 0) -> Script:
    """The first rule that fits and is drawn; where none is, what the address asks for. ValueError: a rule's behaviour is none."""
    read = [(rule, parse(rule.do)) for rule in rules]

    def decide(attempt: Attempt) -> Behaviour | None:
        for place, (rule, behaviour) in enumerate(read):
            if _fits(rule, behaviour, attempt) and _draw(f"{seed} {place} {attempt}") < rule.share:
                return behaviour
        return by_address(attempt)

    return decide


def _fits(rule: Rule, behaviour: Behaviour, attempt: Attempt) -> bool:
    if (behaviour.point is Point.MAIL) is bool(attempt.recipient):
        return False
    times = rule.times or behaviour.times
    if times is not None and attempt.number > times:
        return False
    return fnmatch.fnmatchcase((attempt.recipient or attempt.mail_from).lower(), rule.match.lower())


def _draw(what: str) -> float:
    """A number from 0 to 1, the same for the same words in every process."""
    return int.from_bytes(hashlib.blake2b(what.encode(), digest_size=8).digest()) / 2**64
