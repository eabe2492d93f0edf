"""Which class of failure an answer of a mail server belongs to. The knowledge is in `failures.toml`, row by row with its sources."""

import re
import tomllib
from enum import StrEnum
from importlib.resources import files

import msgspec

from cleanmails.records import FailureClass, Stage

_STAGES = tuple(Stage)

# What is read of an answer. RFC 5321 (4.5.3.1.5) allows 512 octets a line, and no server needs more than a few lines for its reason.
_LONGEST = 2_000

# Many servers repeat code and enhanced code on every line of an answer, in the middle of sentences once the lines are joined.
_LINE_HEAD = re.compile(r"^[ \t]*(?:[245][0-9]{2}[ -])?(?:[245]\.[0-9]{1,3}\.[0-9]{1,3}[ \t])?", re.MULTILINE)
_ENHANCED = re.compile(r"(?:^|[\s(#])([245])(\.[0-9]{1,3}\.[0-9]{1,3})(?=$|[\s):;,])")

# What an address is made of says nothing of the refusal: a lead may well live at spam@example.com.
_ADDRESS = re.compile(r"[^\s<>()\[\]:;,]{1,64}@[^\s<>()\[\]:;,]{1,255}")


class Remedy(StrEnum):
    """What is done about a refusal."""

    RETRY = "retry"
    """The delivery is tried again later. The try counts, if the recipient was named by then."""
    HOLD = "hold"
    """The other side refuses our mail: the sender rests, then the delivery is tried again. Counts like `retry`."""
    ACCOUNT = "account"
    """The sender's own provider refuses the account: the sender rests. The try does not count."""
    QUOTA = "quota"
    """The account has sent enough for today: the sender rests until tomorrow. The try does not count."""
    MEND = "mend"
    """A person has to mend the login or the settings: the sender is restricted. The try does not count."""
    STOP = "stop"
    """Final: the same mail would be refused again."""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the table; `failures.toml` says what the columns mean."""

    id: str
    failure: FailureClass
    remedy: Remedy
    reason: str
    source: str
    silent: bool = False
    severity: int | None = None
    codes: frozenset[int] = frozenset()
    status: str | None = None
    text: tuple[str, ...] = ()
    first: Stage = Stage.RCPT
    last: Stage = Stage.DOT


class _Reply(msgspec.Struct, frozen=True):
    """An answer, made ready to be held against rows. `status` has the first digit of the code, whatever the server wrote in its place."""

    code: int | None
    severity: int | None
    status: str
    words: str


class _Matcher:
    """A row, made ready to be held against answers."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.stages = frozenset(_STAGES[_STAGES.index(row.first) : _STAGES.index(row.last) + 1])
        self.status = re.compile(row.status) if row.status else None
        self.text = re.compile("|".join(row.text)) if row.text else None

    def fits(self, reply: _Reply, stage: Stage) -> bool:
        row = self.row
        return (
            stage in self.stages
            and row.silent is (reply.severity is None)
            and row.severity in (None, reply.severity)
            and (not row.codes or reply.code in row.codes)
            and self._says(reply)
        )

    def _says(self, reply: _Reply) -> bool:
        if self.status and self.status.fullmatch(reply.status):
            return True
        if self.text:
            return self.text.search(reply.words) is not None
        return self.status is None


def _load() -> tuple[Row, ...]:
    table = tomllib.loads(files(__package__).joinpath("failures.toml").read_text(encoding="utf-8"))
    return msgspec.convert(table["row"], tuple[Row, ...])


ROWS = _load()
_MATCHERS = tuple(_Matcher(row) for row in ROWS)


def classify(code: int | None, enhanced: str | None, text: str, stage: Stage = Stage.RCPT) -> Row:
    """The row of the table that decides on an answer: its class, its remedy and the sentence for people.

    `enhanced` is the status code of RFC 3463 ("5.1.1"); without it the text is searched for one. Without a reply code its first digit stands in,
    so that a bounce message (RFC 3464) can be classified by its status and diagnostic text; with neither, no server has answered at all. What a
    bounce message says of a login or an account is not about ours: of its rows, only those on recipients and policy call for anything.
    """
    reply = _read(code, enhanced, text[:_LONGEST])
    return next(matcher.row for matcher in _MATCHERS if matcher.fits(reply, stage))


def row(id: str) -> Row:
    """The row of this id."""
    return next(each for each in ROWS if each.id == id)


def _read(code: int | None, enhanced: str | None, text: str) -> _Reply:
    found = _ENHANCED.search(enhanced or text)
    severity = code // 100 if code is not None else int(found[1]) if found else None
    status = f"{severity}{found[2]}" if found else ""
    said = _ADDRESS.sub("@", _LINE_HEAD.sub("", text))
    words = " ".join([status, *said.split()]).lower().strip()
    return _Reply(code, severity, status, words)
