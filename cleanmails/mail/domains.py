"""What a sending domain must publish in the DNS, and what it does publish: SPF, DKIM, DMARC, MX and the tracking name."""

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


def to_publish(
    domain: str,
    selector: str,
    public_key_b64: str,
    *,
    spf_includes: Sequence[str] = (),
    tracking: tuple[str, str] | None = None,
) -> list[DnsRecord]:
    """The records to publish for `domain`. `spf_includes` are host names; `tracking` is (custom name, the host it must point to)."""
    includes = "".join(f"include:{host} " for host in spf_includes) or "a mx "
    records = [
        DnsRecord(kind=Kind.SPF, type="TXT", name=domain, value=f"v=spf1 {includes}~all"),
        key_record(domain, selector, public_key_b64),
        DnsRecord(kind=Kind.DMARC, type="TXT", name=f"_dmarc.{domain}", value="v=DMARC1; p=none"),
    ]
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
    spf_includes: Sequence[str] = (),
    tracking: tuple[str, str] | None = None,
) -> list[RecordFinding]:
    """Looks up each record of `to_publish`, and the MX, and says how it stands."""
    wanted = {
        record.kind: record
        for record in to_publish(domain, selector, public_key_b64, spf_includes=spf_includes, tracking=tracking)
    }
    findings = [
        _spf(wanted[Kind.SPF], spf_includes, resolver),
        _dkim(wanted[Kind.DKIM], public_key_b64, resolver),
        _dmarc(wanted[Kind.DMARC], domain, resolver),
        _mx(domain, resolver),
    ]
    return [*findings, _tracking(wanted[Kind.TRACKING], resolver)] if tracking else findings


def verdict(findings: Sequence[RecordFinding]) -> DomainStatus | None:
    """What the findings make of a domain; None: DNS could not say, so the domain stays what it was.

    Verified is a domain whose DKIM key is found right and whose SPF record does not stand against us. A missing SPF record or policy costs
    reputation, but mail signed by the domain itself passes DMARC without them (RFC 9989), so that is advice and no obstacle.
    """
    state = {finding.kind: finding.state for finding in findings}
    dkim, spf = state[Kind.DKIM], state[Kind.SPF]
    if RecordState.WRONG in (dkim, spf):
        return DomainStatus.FAULTY
    if RecordState.UNREACHABLE in (dkim, spf):
        return None
    return DomainStatus.VERIFIED if dkim is RecordState.OK else DomainStatus.PENDING


def _spf(wanted: DnsRecord, includes: Sequence[str], resolver: Resolver) -> RecordFinding:
    """RFC 7208: exactly one record, well formed, at most ten look-ups, and what is needed is in it."""
    records = resolver.txt(wanted.name)
    found = _spf_records(records.values)
    if not found:
        return _absent(wanted, records)
    terms = found[0].lower().split()[1:]
    lacking = [f"include:{host.lower()}" for host in includes if not _includes(terms, host)]
    if lacking:
        wanted = msgspec.structs.replace(wanted, value=" ".join(["v=spf1", *lacking, *terms]))
    return _judged(wanted, found, _spf_faults(found, terms, lacking, resolver), "The record is there.")


def _spf_faults(found: Sequence[str], terms: list[str], lacking: list[str], resolver: Resolver) -> Iterator[str]:
    if len(found) > 1:
        yield "There are several SPF records, and receivers then heed none. Make one of them."
    for term in terms:
        if not _SPF_TERM.fullmatch(term):
            yield f"The record is not well formed: {term!r} means nothing."
    if {"all", "+all"} & set(terms):
        yield "The record lets everybody send for this domain. End it with ~all."
    if lacking:
        yield f"The record lacks {' and '.join(lacking)}."
    if _spf_lookups(found[0], resolver) > _SPF_LOOKUPS:
        yield "The record needs more than ten look-ups, and receivers give up on it. Take out includes."


def _includes(terms: list[str], host: str) -> bool:
    return not {f"include:{host.lower()}", f"+include:{host.lower()}"}.isdisjoint(terms)


_SPF_LOOKUPS = 10  # RFC 7208, 4.6.4
_SPF_TERM = re.compile(
    r"[+?~-]?(all|include:\S+|exists:\S+|ip[46]:\S+|(a|mx)(:[^/\s]+)?(/\d+)?(//\d+)?|ptr(:\S+)?)|[a-z][\w.-]*=\S*",
    re.IGNORECASE,
)
_SPF_LOOKUP = re.compile(r"[+?~-]?(?:(include|redirect)[:=](\S+)|(?:exists|a|mx|ptr)(?:[:/].*)?)", re.IGNORECASE)


def _spf_records(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text for text in texts if re.match(r"v=spf1( |$)", text, re.IGNORECASE))


def _spf_lookups(record: str, resolver: Resolver) -> int:
    """How many look-ups a receiver makes; counting stops once there are too many, which also ends a circle of includes."""
    count, unread = 0, [record]
    while unread and count <= _SPF_LOOKUPS:
        for term in filter(None, map(_SPF_LOOKUP.fullmatch, unread.pop().split()[1:])):
            count += 1
            if term[2] and "%" not in term[2]:
                unread.extend(_spf_records(resolver.txt(term[2]).values))
    return count


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


def _mx(domain: str, resolver: Resolver) -> RecordFinding:
    """Replies and bounces go to the domain's own mail servers."""
    wanted = DnsRecord(kind=Kind.MX, type="MX", name=domain, value="")
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
    return _finding(wanted, found, fault or praise, state)


def _finding(wanted: DnsRecord, found: tuple[str, ...], sentence: str, state: RecordState) -> RecordFinding:
    return RecordFinding(
        kind=wanted.kind, name=wanted.name, expected=wanted.value, found=found, state=state, sentence=sentence
    )


def _tags(text: str) -> dict[str, str]:
    """A tag list (RFC 6376, 3.2)."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
