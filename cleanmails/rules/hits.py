"""Whose hit it was: a person's, a machine's, or nobody can say; with the reasons.

All hits of one mail are judged together, because machines show themselves in the pattern: all links in one second, in the order of the page, the
link that no person sees. Judging again with the same rules gives the same; with other rules it is how history is mended (`cleanmails reclassify`).
The knowledge of names and networks is in `hits.toml`, row by row with its sources.
"""

import ipaddress
import tomllib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal

import msgspec

TOO_SOON: Final = timedelta(seconds=2)
"""After delivery. Faster than any person opens a mail that has just come."""

BURST: Final = timedelta(seconds=1)
"""Several links within it were not clicked by a hand."""

SETTLING: Final = timedelta(seconds=60)
"""After delivery, in which scanners look at a mail; what happens in it in an odd order is doubted."""

SEVERAL: Final = 3
"""Links that make a burst even if the mail has more of them."""

DECOY: Final = 0


class Verdict(StrEnum):
    """Whose hit it was."""

    HUMAN = "human"
    MACHINE = "machine"
    UNKNOWN = "unknown"


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A request for the pixel (`open`, no link) or a link (`click`) of a mail. `remote` is the address it came from, if that is known."""

    id: int
    kind: Literal["open", "click"]
    at: datetime
    link: int | None = None
    method: str = "GET"
    remote: str | None = None
    user_agent: str = ""


class Judged(msgspec.Struct, frozen=True):
    """A verdict with its reasons, the weightiest first."""

    verdict: Verdict
    reasons: tuple[str, ...]


class Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of `agents`; `hits.toml` says what the columns mean."""

    id: str
    match: str
    verdict: Verdict
    source: str
    exact: bool = False


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of `networks`."""

    id: str
    ranges: tuple[str, ...]
    source: str


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole table."""

    agents: tuple[Agent, ...]
    networks: tuple[Network, ...]


KNOWN: Final = msgspec.convert(tomllib.loads(files("cleanmails.rules").joinpath("hits.toml").read_text()), Known)

_Net = ipaddress.IPv4Network | ipaddress.IPv6Network
_NETWORKS: Final[tuple[tuple[_Net, str], ...]] = tuple(
    (ipaddress.ip_network(text), network.id) for network in KNOWN.networks for text in network.ranges
)


def judge(hits: Sequence[Hit], *, sent_at: datetime | None, links: int) -> dict[int, Judged]:
    """The verdict on each hit of one mail, by id. `hits` in the order they came; `links` is how many wrapped links the mail has.

    A machine's mark outweighs everything; of what is left, one doubt is enough for `unknown`.
    """
    bursts, decoyed = _bursts(hits, links), {_visitor(hit) for hit in hits if hit.link == DECOY}
    first_open = min((hit.at for hit in hits if hit.kind == "open"), default=None)
    judged: dict[int, Judged] = {}
    for hit in hits:
        machine = [*_alone(hit, sent_at)]
        if hit.id in bursts:
            machine.append(bursts[hit.id])
        if hit.link != DECOY and _visitor(hit) in decoyed:
            machine.append("followed_hidden_link")
        verdict, name = agent(hit.user_agent)
        if machine or verdict is Verdict.MACHINE:
            reasons = [*machine, *([name] if verdict is Verdict.MACHINE else [])]
            judged[hit.id] = Judged(Verdict.MACHINE, tuple(reasons))
            continue
        doubts = [*([name] if verdict is Verdict.UNKNOWN else []), *_odd(hit, sent_at, first_open)]
        judged[hit.id] = Judged(Verdict.UNKNOWN, tuple(doubts)) if doubts else Judged(Verdict.HUMAN, (name,))
    return judged


@lru_cache(maxsize=8192)
def agent(user_agent: str) -> tuple[Verdict, str]:
    """What a User-Agent says of its hit, and the row's id; `no_user_agent` and `unrecognised` stand in no row."""
    folded = user_agent.strip().lower()
    if not folded:
        return Verdict.MACHINE, "no_user_agent"
    for row in KNOWN.agents:
        if folded == row.match if row.exact else row.match in folded:
            return row.verdict, row.id
    return Verdict.UNKNOWN, "unrecognised"


@lru_cache(maxsize=8192)
def network(remote: str) -> str | None:
    """Whose published network an address is in: `barracuda_network`; None for any other, and for what is no address."""
    try:
        address = ipaddress.ip_address(remote)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return next(
        (f"{name}_network" for net, name in _NETWORKS if address.version == net.version and address in net), None
    )


def best(verdicts: Sequence[Verdict]) -> Verdict | None:
    """What is said of a mail with hits of these verdicts: one person's is enough, and doubt goes before a machine."""
    return next((verdict for verdict in (Verdict.HUMAN, Verdict.UNKNOWN, Verdict.MACHINE) if verdict in verdicts), None)


def _alone(hit: Hit, sent_at: datetime | None) -> Iterator[str]:
    """Marks of a machine that one hit shows by itself."""
    if hit.link == DECOY:
        yield "hidden_link"
    if hit.method == "HEAD":
        yield "head"
    if sent_at is not None and hit.at - sent_at < TOO_SOON:
        yield "too_soon"
    found = network(hit.remote) if hit.remote else None
    if found is not None:
        yield found


def _odd(hit: Hit, sent_at: datetime | None, first_open: datetime | None) -> Iterator[str]:
    """A click just after delivery, before anybody had seen the mail: most mail scanners do not load images. Later, images may just be off."""
    early = sent_at is not None and hit.at - sent_at < SETTLING
    if hit.kind == "click" and early and (first_open is None or hit.at < first_open):
        yield "clicked_before_opening"


def _bursts(hits: Sequence[Hit], links: int) -> dict[int, str]:
    """Clicks that are part of a second in which every link, or several, were followed; by id, with the reason."""
    clicks = [hit for hit in hits if hit.kind == "click" and hit.link != DECOY]
    found: dict[int, str] = {}
    start = 0
    for end, hit in enumerate(clicks):
        while hit.at - clicks[start].at > BURST:
            start += 1
        window = clicks[start : end + 1]
        order = [each.link for each in window]
        distinct = len(set(order))
        if links > 1 and distinct >= links:
            reason = "every_link_at_once"
        elif distinct >= SEVERAL:
            reason = "links_in_order" if order == sorted(order, key=lambda link: link or 0) else "many_links_at_once"
        else:
            continue
        for each in window:
            found.setdefault(each.id, reason)
    return found


def _visitor(hit: Hit) -> tuple[str | None, str]:
    return hit.remote, hit.user_agent
