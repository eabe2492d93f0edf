"""Where a request comes from: the peer, or what a trusted proxy says of its own peer (`X-Forwarded-For`)."""

import ipaddress
from collections.abc import Iterable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def address(peer: str | None, forwarded: Iterable[str], trusted: Sequence[Network]) -> str | None:
    """The nearest address that no trusted proxy has, read from the peer backwards. `forwarded` are the values of `X-Forwarded-For`, in order.

    What a client wrote into the header itself stands further to the left and is never reached. None if the peer has no address (a Unix socket, a test).
    """
    seen = _plain(peer)
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    while hops and seen is not None and any(_within(seen, network) for network in trusted):
        hop = _plain(hops.pop())
        if hop is None:
            break
        seen = hop
    return None if seen is None else str(seen)


def _plain(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address as proxies write it: `192.0.2.1`, `192.0.2.1:5678`, `2001:db8::1`, `[2001:db8::1]:5678`, with or without a zone."""
    text = (text or "").strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: Network) -> bool:
    return address.version == network.version and address in network
