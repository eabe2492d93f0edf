"""How mailboxes of well-known providers are reached. The knowledge is in `presets.toml`, with its sources."""

import ipaddress
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from cleanmails.records import Security

SignIn = Literal["password", "app_password", "oauth"]
"""What a provider takes from a program that signs in."""


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a server is."""

    host: str
    port: int
    security: Security


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider; `presets.toml` says what the fields mean."""

    id: str
    name: str
    smtp: Server
    imap: Server | None = None
    sign_in: SignIn
    per_day: int | None = None
    domains: tuple[str, ...]
    mx: tuple[str, ...]
    spf: str | None = None
    mx_records: tuple[str, ...] = ()
    note: str
    source: str


@cache
def presets() -> tuple[Preset, ...]:
    """All of them, by what people know them as."""
    table = tomllib.loads(files("cleanmails.rules").joinpath("presets.toml").read_text("utf-8"))
    return tuple(sorted(msgspec.convert(table["preset"], list[Preset]), key=lambda preset: preset.name.lower()))


def of_domain(domain: str) -> Preset | None:
    """The provider whose own domain this is."""
    return next((preset for preset in presets() if domain in preset.domains), None)


def of_exchangers(hosts: Sequence[str]) -> Preset | None:
    """The provider that takes a domain's mail; `hosts` are its mail exchangers, the most preferred first."""
    found = ((preset for preset in presets() if any(_below(host, name) for name in preset.mx)) for host in hosts)
    return next((preset for each in found for preset in each), None)


def of_host(host: str) -> Preset | None:
    """The provider whose server this is."""
    host = host.rstrip(".").lower()
    return next((each for each in presets() if host in {each.smtp.host, each.imap.host if each.imap else ""}), None)


def spf_terms(smtp_hosts: Iterable[str], own: Iterable[str]) -> list[str]:
    """What a domain's SPF record must hold (RFC 7208, 5), so that these servers may send for it: `own` are hosts, addresses, networks and whole terms that
    a person has named. A server on this machine or in a private network needs no term: nobody outside ever sees its address.
    """
    terms: dict[str, None] = {}
    for host in (*own, *smtp_hosts):
        preset = of_host(host)
        term = preset.spf if preset else _term(host.rstrip(".").lower())
        if term:
            terms[term] = None
    return list(terms)


def mx_records(inbox_hosts: Iterable[str]) -> tuple[str, ...]:
    """The MX records of a domain whose mailboxes are all at one known provider; nothing where that is not so."""
    found = {preset.id: preset for host in inbox_hosts if (preset := of_host(host))}
    return next(iter(found.values())).mx_records if len(found) == 1 else ()


def _term(host: str) -> str | None:
    if ":" in host and host.partition(":")[0] in {"include", "a", "mx", "ip4", "ip6", "exists"}:
        return host
    try:
        network = ipaddress.ip_network(host.strip("[]"), strict=False)
    except ValueError:
        return None if host == "localhost" or host.endswith(".localhost") else f"a:{host}"
    if network.is_loopback or network.is_private:
        return None
    return f"ip{network.version}:{network if network.num_addresses > 1 else network.network_address}"


def _below(host: str, name: str) -> bool:
    return f".{host.rstrip('.').lower()}".endswith(f".{name}")
