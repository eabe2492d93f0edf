"""Connections to hosts that a user named: mail servers, mailboxes, webhooks.

Such a host could be our own database or a cloud's metadata service. So a name is looked up once, the addresses are judged, and the very
address that was judged is connected to: a name that changes its mind between look and connection gains nothing.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Sequence

from cleanmails.errors import UnreachableError
from cleanmails.mail.dns import Look, Resolver

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Dial = Callable[[Address, int, float], socket.socket]
"""(address, port, seconds) to a connected socket, or OSError."""

# The IANA registries of special-purpose addresses, as of 2026, and what is reachable only from inside one cloud.
_NOT_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent
        "169.254.0.0/16",  # link-local, and most metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries any IPv4 address
        "3fff::/20",  # documentation
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open internet. Of NAT64 and v4-mapped ones, the IPv4 address inside is judged."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in block for block in _NOT_PUBLIC_V4)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _GLOBAL_V6 and not any(address in block for block in _NOT_PUBLIC_V6)


def dial(address: Address, port: int, seconds: float) -> socket.socket:
    """A TCP connection without Nagle's delay: replies and commands are short and wait for each other."""
    sock = socket.create_connection((str(address), port), timeout=seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Connector:
    """Connects to what users name, on the ports that are allowed (None: all), and, unless `allow_private`, to public addresses only.

    Names are looked up by `resolver`, or where there is none as the system does it, hosts file included.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        ports: frozenset[int] | None = None,
        resolver: Resolver | None = None,
        dial: Dial = dial,
    ) -> None:
        self._allow_private = allow_private
        self._ports = ports
        self._resolver = resolver
        self._dial = dial

    def connect(self, host: str, port: int, seconds: float) -> socket.socket:
        """A connected socket. The addresses of `host` are tried in turn, and share the time that is left.

        UnreachableError with code `port_refused`, `address_refused`, `unknown_host`, `dns_failed`, `connection_refused` or `timeout`.
        """
        deadline = time.monotonic() + seconds
        addresses = self.addresses(host, port)
        failure: OSError | None = None
        for tried, address in enumerate(addresses):
            share = (deadline - time.monotonic()) / (len(addresses) - tried)
            try:
                return self._dial(address, port, max(share, 0.001))
            except OSError as error:
                failure = error
        raise _unreachable(host, port, seconds, failure)

    def addresses(self, host: str, port: int) -> list[Address]:
        """The addresses of `host` that may be connected to on `port`, at least one. UnreachableError as in `connect`."""
        self.check_port(port)
        found = [ipaddress.ip_address(text) for text in self._look_up(host)]
        open_ones = [address for address in found if self._allow_private or is_public(address)]
        if not open_ones:
            raise UnreachableError(
                f"{host} is {found[0]}, which is not an address of the open internet.", code="address_refused"
            )
        return open_ones

    def check_port(self, port: int) -> None:
        """UnreachableError (`port_refused`) for a port that is not allowed."""
        if self._ports is not None and port not in self._ports:
            allowed = ", ".join(str(port) for port in sorted(self._ports))
            raise UnreachableError(f"Port {port} is not allowed here; allowed are {allowed}.", code="port_refused")

    def _look_up(self, host: str) -> Sequence[str]:
        try:
            return [str(ipaddress.ip_address(host.strip("[]")))]
        except ValueError:
            pass
        return _by_system(host) if self._resolver is None else _by_dns(host, self._resolver)


def _by_dns(host: str, resolver: Resolver) -> Sequence[str]:
    answer = resolver.addresses(host)
    if answer.look is Look.FAILED:
        raise UnreachableError(f"{host} could not be looked up: {answer.reason}.", code="dns_failed")
    if answer.look is Look.NOTHING:
        raise UnreachableError(f"There is no host named {host}.", code="unknown_host")
    return answer.values


def _by_system(host: str) -> Sequence[str]:
    try:
        answer = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except ValueError as error:  # labels that no name can have, a NUL
        raise UnreachableError(f"There is no host named {host!r}.", code="unknown_host") from error
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise UnreachableError(
                f"{host} could not be looked up: no name server answered.", code="dns_failed"
            ) from error
        raise UnreachableError(f"There is no host named {host}.", code="unknown_host") from error
    return [str(sockaddr[0]) for *_, sockaddr in answer]


def _unreachable(host: str, port: int, seconds: float, failure: OSError | None) -> UnreachableError:
    if isinstance(failure, TimeoutError):
        error = UnreachableError(f"{host}:{port} did not answer within {seconds:g} s.", code="timeout")
    else:
        said = failure.strerror if failure and failure.strerror else failure
        error = UnreachableError(f"{host}:{port} took no connection: {said}.", code="connection_refused")
    error.__cause__ = failure
    return error
