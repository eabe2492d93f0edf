"""What a sending domain must publish in the DNS, and what it does publish: SPF, DKIM, DMARC, MX and the tracking name."""

import contextlib
import ipaddress
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec

from cleanmails.mail.dns import Look, Records, Resolver
from cleanmails.records import DomainStatus


class Kind(StrEnum):
    """What a record is for."""

    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    MX = "mx"
    TRACKING = "tracking"


class RecordState(StrEnum):
    """How a record stands. `unreachable`: no name server could say, so nothing is known."""

    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"
    UNREACHABLE = "unreachable"


class DnsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One record to publish: `type` is TXT or CNAME, `name` complete without the final dot."""

    kind: Kind
    type: str
    name: str
    value: str


class RecordFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One record as it was found. `expected` is empty where any value will do; `sentence` says what to do."""

    kind: Kind
    name: str
    expected: str
    found: tuple[str, ...]
    state: RecordState
    sentence: str
    hinders: bool = False
    """Whether the domain counts as faulty for it: the record does harm, it does not only lack something."""


class Aligned(msgspec.Struct, frozen=True, kw_only=True):
    """What DMARC makes of a record (RFC 9989): whether mail `passes` by it (None: DNS did not say), and why, in sentences."""

    kind: Kind
    passes: bool | None
    sentence: str


def to_publish(
    domain: str,
    selector: str,
    public_key_b64: str,
    *,
    spf: Sequence[str] = (),
    mx: Sequence[str] = (),
    tracking: tuple[str, str] | None = None,
) -> list[DnsRecord]:
    """The records to publish for `domain`. `spf` are the terms that its senders' servers need, `mx` the records of its mailboxes' provider (`10 mx.host`),
    where they are known; `tracking` is (custom name, the host it must point to).
    """
    records = [
        DnsRecord(kind=Kind.SPF, type="TXT", name=domain, value=" ".join(["v=spf1", *(spf or ("a", "mx")), "~all"])),
        key_record(domain, selector, public_key_b64),
        DnsRecord(kind=Kind.DMARC, type="TXT", name=f"_dmarc.{domain}", value="v=DMARC1; p=none"),
    ]
    records += [DnsRecord(kind=Kind.MX, type="MX", name=domain, value=value) for value in mx]
    if tracking:
        records.append(DnsRecord(kind=Kind.TRACKING, type="CNAME", name=tracking[0], value=tracking[1]))
    return records


def key_record(domain: str, selector: str, public_key_b64: str) -> DnsRecord:
    """The record that publishes a signing key."""
    value = f"v=DKIM1; k=rsa; p={public_key_b64}"
    return DnsRecord(kind=Kind.DKIM, type="TXT", name=f"{selector}._domainkey.{domain}", value=value)


def check_key(domain: str, selector: str, public_key_b64: str, *, resolver: Resolver) -> RecordFinding:
    """Looks up one signing key."""
    return _dkim(key_record(domain, selector, public_key_b64), public_key_b64, resolver)


def check_domain(
    domain: str,
    selector: str,
    public_key_b64: str,
    *,
    resolver: Resolver,
    spf: Sequence[str] = (),
    mx: Sequence[str] = (),
    tracking: tuple[str, str] | None = None,
) -> list[RecordFinding]:
    """Looks up each record of `to_publish`, and the MX, and says how it stands."""
    wanted = {
        record.kind: record for record in to_publish(domain, selector, public_key_b64, spf=spf, tracking=tracking)
    }
    findings = [
        _spf(wanted[Kind.SPF], spf, resolver),
        _dkim(wanted[Kind.DKIM], public_key_b64, resolver),
        _dmarc(wanted[Kind.DMARC], domain, resolver),
        _mx(domain, mx, resolver),
    ]
    return [*findings, _tracking(wanted[Kind.TRACKING], resolver)] if tracking else findings


def verdict(findings: Sequence[RecordFinding]) -> DomainStatus | None:
    """What the findings make of a domain; None: DNS could not say, so the domain stays what it was.

    Verified is a domain whose DKIM key is found right and whose SPF record does not stand against us. An SPF record that is missing or lacks a server, or
    a missing policy, costs reputation, but mail signed by the domain itself passes DMARC without them (RFC 9989), so that is advice and no obstacle.
    """
    state = {finding.kind: finding.state for finding in findings}
    dkim, spf = state[Kind.DKIM], state[Kind.SPF]
    if any(finding.hinders for finding in findings):
        return DomainStatus.FAULTY
    if RecordState.UNREACHABLE in (dkim, spf):
        return None
    return DomainStatus.VERIFIED if dkim is RecordState.OK else DomainStatus.PENDING


def alignment(domain: str, findings: Sequence[RecordFinding]) -> list[Aligned]:
    """What DMARC makes of this domain's mail: it passes if DKIM or SPF passes for the very domain that stands in From (RFC 9989, 4.4)."""
    found = {finding.kind: finding for finding in findings}
    if not {Kind.DKIM, Kind.SPF, Kind.DMARC} <= found.keys():
        return []  # never looked at, or by an earlier version that looked at less
    dkim, spf, policy = found[Kind.DKIM], found[Kind.SPF], found[Kind.DMARC]
    by_dkim, by_spf = (
        None if each.state is RecordState.UNREACHABLE else each.state is RecordState.OK for each in (dkim, spf)
    )
    either = True if by_dkim or by_spf else None if None in (by_dkim, by_spf) else False
    return [
        Aligned(
            kind=Kind.DKIM,
            passes=by_dkim,
            sentence=f"Mails are signed by {domain}, the domain in From: aligned, under strict rules too. {_that(by_dkim, 'The key')}",
        ),
        Aligned(
            kind=Kind.SPF,
            passes=by_spf,
            sentence=f"Bounces go to the sender's own address, so SPF is asked for {domain} as well: aligned. {_that(by_spf, 'The record')}",
        ),
        Aligned(kind=Kind.DMARC, passes=either, sentence=_by_policy(policy, either)),
    ]


def _that(passes: bool | None, what: str) -> str:  # noqa: FBT001 - one of three answers, no switch
    return (
        f"{what} is published right."
        if passes
        else f"{what} is not published right yet."
        if passes is False
        else "DNS did not answer."
    )


def _by_policy(policy: RecordFinding, either: bool | None) -> str:  # noqa: FBT001 - one of three answers, no switch
    asked = _tags(policy.found[0]).get("p", "").lower() if policy.state is RecordState.OK else ""
    follows = {
        "none": "The policy is none: receivers report, and do nothing about mail that fails.",
        "quarantine": "The policy is quarantine: mail that fails goes to spam.",
        "reject": "The policy is reject: mail that fails is refused.",
    }.get(asked, "There is no policy yet, which large providers ask of those who send much.")
    if either is None:
        return f"DNS did not answer. {follows}"
    return (
        f"Mail passes DMARC: one of the two is enough. {follows}"
        if either
        else f"Mail fails DMARC: neither of the two passes. {follows}"
    )


def _spf(wanted: DnsRecord, needed: Sequence[str], resolver: Resolver) -> RecordFinding:
    """RFC 7208: exactly one record, well formed, at most ten look-ups, and the senders' servers are in it."""
    records = resolver.txt(wanted.name)
    found = _spf_records(records.values)
    if not found:
        return _absent(wanted, records)
    terms = found[0].lower().split()[1:]
    reach = _reach(wanted.name, found[0], resolver)
    harm = next(_spf_faults(found, terms, reach), None)
    lacking = [term for term in needed if not _covered(term.lower(), reach, resolver)]
    if lacking:
        wanted = msgspec.structs.replace(wanted, value=" ".join(["v=spf1", *lacking, *terms]))
    if harm is None and lacking:
        sentence = f"The record lacks {' and '.join(lacking)}, so SPF fails for mail from there."
        return _finding(wanted, found, sentence, RecordState.WRONG)
    return _judged(wanted, found, iter([harm] if harm else []), "The record is there, and lets your servers send.")


class _Reach(msgspec.Struct, frozen=True):
    """What an SPF record comes to: its terms and those of its includes, each with the domain that it is said of, and the look-ups that it takes."""

    terms: list[tuple[str, str]]
    lookups: int


def _spf_faults(found: Sequence[str], terms: list[str], reach: _Reach) -> Iterator[str]:
    if len(found) > 1:
        yield "There are several SPF records, and receivers then heed none. Make one of them."
    for term in terms:
        if not _SPF_TERM.fullmatch(term):
            yield f"The record is not well formed: {term!r} means nothing."
    if {"all", "+all"} & set(terms):
        yield "The record lets everybody send for this domain. End it with ~all."
    if reach.lookups > _SPF_LOOKUPS:
        yield "The record needs more than ten look-ups, and receivers give up on it. Take out includes."


def _covered(needed: str, reach: _Reach, resolver: Resolver) -> bool:
    """Whether a record lets through what a term lets through: the term stands in it or behind its includes, or all addresses that it names do."""
    if any(term.removeprefix("+") == needed for _, term in reach.terms):
        return True
    kind, _, value = needed.partition(":")
    if kind == "a":
        wanted = [_network(address) for address in resolver.addresses(value).values]
    elif kind in {"ip4", "ip6"}:
        wanted = [_network(value)]
    else:
        return False
    allowed = [
        network for domain, term in reach.terms for network in _networks(domain, term.removeprefix("+"), resolver)
    ]
    return bool(wanted) and all(any(_within(each, network) for network in allowed) for each in wanted)


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(domain: str, term: str, resolver: Resolver) -> Iterator[_Network]:
    """The addresses that a term names; nothing for a term of another kind."""
    kind, _, value = term.partition(":")
    if kind in {"ip4", "ip6"}:
        with contextlib.suppress(ValueError):
            yield ipaddress.ip_network(value, strict=False)
    name, *prefix = (value or f"{domain}{kind.removeprefix('mx').removeprefix('a')}").split("/")
    if kind.partition("/")[0] not in {"a", "mx"} or "%" in name:
        return
    hosts = resolver.mx(name).hosts if kind.startswith("mx") else (name,)
    for address in (address for host in hosts[:_SPF_LOOKUPS] for address in resolver.addresses(host).values):
        plain = ipaddress.ip_address(address)
        length = prefix[0] if prefix and plain.version == 4 else prefix[-1] if len(prefix) > 1 else ""
        with contextlib.suppress(ValueError):
            yield ipaddress.ip_network(f"{address}/{length}" if length else address, strict=False)


def _network(text: str) -> _Network:
    return ipaddress.ip_network(text, strict=False)


def _within(inner: _Network, outer: _Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


_SPF_LOOKUPS = 10  # RFC 7208, 4.6.4
_SPF_TERM = re.compile(
    r"[+?~-]?(all|include:\S+|exists:\S+|ip[46]:\S+|(a|mx)(:[^/\s]+)?(/\d+)?(//\d+)?|ptr(:\S+)?)|[a-z][\w.-]*=\S*",
    re.IGNORECASE,
)
_SPF_LOOKUP = re.compile(r"[+?~-]?(?:(include|redirect)[:=](\S+)|(?:exists|a|mx|ptr)(?:[:/].*)?)", re.IGNORECASE)


def _spf_records(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text for text in texts if re.match(r"v=spf1( |$)", text, re.IGNORECASE))


def _reach(domain: str, record: str, resolver: Resolver) -> _Reach:
    """What a receiver reads; reading stops once there are too many look-ups, which also ends a circle of includes."""
    found: list[tuple[str, str]] = []
    count, unread = 0, [(domain, record)]
    while unread and count <= _SPF_LOOKUPS:
        name, text = unread.pop()
        for term in text.lower().split()[1:]:
            found.append((name, term))
            match = _SPF_LOOKUP.fullmatch(term)
            if match:
                count += 1
                if match[2] and "%" not in match[2]:
                    unread.extend((match[2], each) for each in _spf_records(resolver.txt(match[2]).values))
    return _Reach(found, count)


def _dkim(wanted: DnsRecord, key: str, resolver: Resolver) -> RecordFinding:
    """RFC 6376, 3.6.1: one key record, and it is ours."""
    records = resolver.txt(wanted.name)
    if not records.values:
        return _absent(wanted, records)
    tags = _tags(records.values[0])
    testing = "y" in tags.get("t", "").split(":")
    sentence = "The key is there, but in test mode (t=y): receivers may ignore it." if testing else "The key is there."
    return _judged(wanted, records.values, _dkim_faults(len(records.values), tags, "".join(key.split())), sentence)


def _dkim_faults(count: int, tags: dict[str, str], key: str) -> Iterator[str]:
    published = "".join(tags.get("p", "").split())
    if count > 1:
        yield "There are several records at this name, and receivers may pick any. Keep the right one."
    if "p" not in tags:
        yield "There is a record, but no DKIM key in it (p=)."
    if not published:
        yield "The key is revoked: p= is empty."
    if published != key and key.startswith(published):
        yield f"The key is cut off after {len(published)} of {len(key)} characters. Paste all of it."
    if published != key:
        yield "The key is another one than ours."
    if tags.get("v", "DKIM1") != "DKIM1":
        yield f"The version is {tags['v']}, and must be DKIM1."
    if tags.get("k", "rsa") != "rsa":
        yield f"The kind of key is {tags['k']}, and must be rsa."
    if "sha256" not in tags.get("h", "sha256").split(":"):
        yield "The record forbids sha256 (h=), with which we sign."
    if not {"*", "email"} & set(tags.get("s", "*").split(":")):
        yield "The record does not allow the key for e-mail (s=)."


def _dmarc(wanted: DnsRecord, domain: str, resolver: Resolver) -> RecordFinding:
    """RFC 9989, 4.10: the domain's own policy, or that of the nearest domain above it."""
    labels = domain.split(".")
    for depth in range(max(1, len(labels) - 1)):
        name = f"_dmarc.{'.'.join(labels[depth:])}"
        records = resolver.txt(name)
        if records.look is Look.FAILED:
            return _absent(wanted, records)
        policies = tuple(text for text in records.values if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text))
        if policies:
            return _policy(wanted, name, policies)
    return _absent(wanted, Records(look=Look.NOTHING))


def _policy(wanted: DnsRecord, name: str, policies: tuple[str, ...]) -> RecordFinding:
    place = "there" if name == wanted.name else f"at {name}, and holds for this domain too"
    return _judged(wanted, policies, _policy_faults(policies), f"The record is {place}.")


def _policy_faults(policies: tuple[str, ...]) -> Iterator[str]:
    if len(policies) > 1:
        yield "There are several DMARC records, and receivers then heed none. Keep one."
    if _tags(policies[0]).get("p", "").lower() not in ("none", "quarantine", "reject"):
        yield "The policy (p=) must be none, quarantine or reject."


def _mx(domain: str, expected: Sequence[str], resolver: Resolver) -> RecordFinding:
    """Replies and bounces go to the domain's own mail servers; where these are not the ones of the mailboxes' provider, it says so and no more: mail may be
    passed on.
    """
    wanted = DnsRecord(kind=Kind.MX, type="MX", name=domain, value=", ".join(expected))
    mx = resolver.mx(domain)
    if mx.null_mx:
        return _finding(
            wanted, ("0 .",), "The domain says that it takes no mail, so no reply can reach you.", RecordState.WRONG
        )
    if mx.look is not Look.FOUND:
        return _absent(wanted, Records(look=mx.look, reason=mx.reason))
    sentence = (
        "There is no MX record, but the domain has an address that takes its place."
        if mx.implicit
        else "There are mail servers."
    )
    hosts = {value.split()[-1].lower() for value in expected}
    if hosts and hosts.isdisjoint(mx.hosts):
        sentence += (
            " They are not those of the provider that your senders' mailboxes are read at: see that replies get there."
        )
    return _finding(wanted, mx.hosts, sentence, RecordState.OK)


def _tracking(wanted: DnsRecord, resolver: Resolver) -> RecordFinding:
    """An alias, or, where the provider flattens aliases, the same address."""
    records = resolver.cname(wanted.name)
    target = wanted.value.rstrip(".").lower()
    if records.values == (target,):
        return _finding(wanted, records.values, "The alias is there.", RecordState.OK)
    if records.values:
        return _finding(wanted, records.values, f"The alias leads elsewhere; point it to {target}.", RecordState.WRONG)
    own = resolver.addresses(wanted.name)
    if own.values and set(own.values) & set(resolver.addresses(target).values):
        return _finding(wanted, own.values, f"The name has the address of {target}.", RecordState.OK)
    if own.values:
        return _finding(
            wanted, own.values, f"The name leads elsewhere; make it an alias of {target}.", RecordState.WRONG
        )
    return _absent(wanted, records if records.look is Look.FAILED else own)


def _absent(wanted: DnsRecord, records: Records) -> RecordFinding:
    if records.look is Look.FAILED:
        return _finding(
            wanted, (), f"It could not be looked up: {records.reason}. Try again later.", RecordState.UNREACHABLE
        )
    return _finding(wanted, (), f"There is no such {wanted.type} record at {wanted.name} yet.", RecordState.MISSING)


def _judged(wanted: DnsRecord, found: tuple[str, ...], faults: Iterator[str], praise: str) -> RecordFinding:
    """The first fault, the gravest, or that all is well."""
    fault = next(faults, None)
    state = RecordState.OK if fault is None else RecordState.WRONG
    hinders = fault is not None and wanted.kind in {Kind.DKIM, Kind.SPF}
    return _finding(wanted, found, fault or praise, state, hinders=hinders)


def _finding(
    wanted: DnsRecord, found: tuple[str, ...], sentence: str, state: RecordState, *, hinders: bool = False
) -> RecordFinding:
    return RecordFinding(
        kind=wanted.kind,
        name=wanted.name,
        expected=wanted.value,
        found=found,
        state=state,
        sentence=sentence,
        hinders=hinders,
    )


def _tags(text: str) -> dict[str, str]:
    """A tag list (RFC 6376, 3.2)."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
