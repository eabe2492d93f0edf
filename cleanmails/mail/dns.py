"""Names in the DNS, with "there is none" and "nobody could say" kept apart: no lead and no domain is judged by a name server's bad day."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import dns.exception
import dns.inet
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import msgspec


class Look(StrEnum):
    """How a look-up ended. `failed`: SERVFAIL, REFUSED, no answer in time; ask again later."""

    FOUND = "found"
    NOTHING = "nothing"
    FAILED = "failed"


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """The records of one type at one name. `exists` is False only if the name itself does not exist (NXDOMAIN); `reason` says what failed."""

    look: Look
    values: tuple[str, ...] = ()
    exists: bool = True
    reason: str = ""


class Mx(msgspec.Struct, frozen=True, kw_only=True):
    """Where a domain takes its mail: hosts, most preferred first, lower case, without the final dot.

    `null_mx`: it says that it takes none (RFC 7505). `implicit`: it has no MX, but an address of its own (RFC 5321, 5.1).
    """

    look: Look
    hosts: tuple[str, ...] = ()
    null_mx: bool = False
    implicit: bool = False
    exists: bool = True
    reason: str = ""


class Resolver:
    """Asks `servers`, (address, port) each, or the system's where none are given; `timeout` seconds for one look-up, all tries of it. Thread-safe."""

    def __init__(self, servers: Sequence[tuple[str, int]] = (), timeout: float = 5.0) -> None:
        self._timeout = timeout
        try:
            self._resolver = dns.resolver.Resolver(configure=not servers)
        except dns.resolver.NoResolverConfiguration:
            self._resolver = dns.resolver.Resolver(configure=False)
        if servers:
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
        self._resolver.timeout = min(2.0, timeout)
        self._resolver.use_edns(0, 0, 1232)

    @property
    def server(self) -> tuple[str, int] | None:
        """The first server that is asked over UDP; None if there is none."""
        for given in self._resolver.nameservers:
            if isinstance(given, dns.nameserver.Do53Nameserver):
                return given.address, given.port
            if isinstance(given, str) and dns.inet.is_address(given):
                return given, self._resolver.port
        return None

    def mx(self, domain: str) -> Mx:
        """Where `domain` takes its mail."""
        records, answer = self._ask(domain, dns.rdatatype.MX)
        if records.look is Look.NOTHING and records.exists:
            return self._implicit_mx(domain)
        ranked = sorted((record.preference, _host(record.exchange)) for record in answer)
        hosts = tuple(host for _, host in ranked if host)
        null = records.look is Look.FOUND and not hosts
        return Mx(look=records.look, hosts=hosts, null_mx=null, exists=records.exists, reason=records.reason)

    def txt(self, name: str) -> Records:
        """The TXT records at `name`, the strings of each joined (RFC 7208, 3.3; RFC 6376, 3.6.2.2)."""
        records, answer = self._ask(name, dns.rdatatype.TXT)
        return _with(records, [b"".join(record.strings).decode("utf-8", "replace") for record in answer])

    def cname(self, name: str) -> Records:
        """What `name` itself is an alias of."""
        records, answer = self._ask(name, dns.rdatatype.CNAME)
        return _with(records, [_host(record.target) for record in answer])

    def addresses(self, host: str) -> Records:
        """The IP addresses of `host`, IPv4 first. Found, if at least one kind was found."""
        kinds = [self._addresses(host, kind) for kind in (dns.rdatatype.A, dns.rdatatype.AAAA)]
        values = kinds[0].values + kinds[1].values
        if values:
            return Records(look=Look.FOUND, values=values)
        return next((records for records in kinds if records.look is Look.FAILED), kinds[0])

    def _addresses(self, host: str, kind: dns.rdatatype.RdataType) -> Records:
        records, answer = self._ask(host, kind)
        return _with(records, [record.address for record in answer])

    def _implicit_mx(self, domain: str) -> Mx:
        own = self.addresses(domain)
        if own.look is Look.FOUND:
            return Mx(look=Look.FOUND, hosts=(domain.rstrip(".").lower(),), implicit=True)
        return Mx(look=own.look, exists=own.exists, reason=own.reason)

    def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> tuple[Records, Sequence[Any]]:
        try:
            answer = self._resolver.resolve(name, kind, raise_on_no_answer=False, lifetime=self._timeout, search=False)
        except dns.resolver.NXDOMAIN:
            return Records(look=Look.NOTHING, exists=False), ()
        except dns.resolver.NoNameservers:
            return Records(look=Look.FAILED, reason="the name servers could not answer"), ()
        except dns.exception.Timeout:
            return Records(look=Look.FAILED, reason=f"no name server answered within {self._timeout:g} s"), ()
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.IDNAException, UnicodeError):
            return Records(look=Look.NOTHING, exists=False, reason="not a host name"), ()
        except dns.exception.DNSException as error:
            return Records(look=Look.FAILED, reason=str(error) or type(error).__name__), ()
        if answer.rrset is None:
            return Records(look=Look.NOTHING), ()
        return Records(look=Look.FOUND), tuple(answer.rrset)


def _with(records: Records, values: list[str]) -> Records:
    return Records(look=records.look, values=tuple(values), exists=records.exists, reason=records.reason)


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower().rstrip(".")
