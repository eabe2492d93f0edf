"""A small name server on the loopback address, with records that can be changed and faults that can be asked for.

It answers for every name there is: what it does not hold does not exist.
"""

import asyncio
import contextlib
import struct
import threading
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import msgspec
from dns.rdtypes.ANY.TXT import TXT

from cleanmails.demo import background

TTL = 60
_MAX_ALIASES = 8


class Fault(StrEnum):
    """What can be wrong with the answers about a name."""

    SERVFAIL = "servfail"
    REFUSED = "refused"
    SILENCE = "silence"
    TRUNCATED = "truncated"


class Zone:
    """Records by name and type, `*.` wildcards included (RFC 4592). With a `path`, what is replaced there outlives the process. Thread-safe."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._records: dict[dns.name.Name, dict[dns.rdatatype.RdataType, list[dns.rdata.Rdata]]] = {}
        self._faults: dict[dns.name.Name, Fault] = {}
        self._replaced: dict[str, list[str]] = {}
        self._asked: deque[tuple[str, str]] = deque(maxlen=1_000)
        for place, values in _read(path).items():
            self.replace(*place.split(), *values)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """The latest questions, (name, type) each, oldest first."""
        return list(self._asked)

    def add(self, name: str, kind: str, *values: str) -> None:
        """Adds records in their textual form (`10 mx.example.`); a TXT value stands as it is, of any length."""
        rdatatype = dns.rdatatype.from_text(kind)
        with self._lock:
            held = self._records.setdefault(_name(name), {}).setdefault(rdatatype, [])
            held.extend(rdata for value in values if (rdata := _rdata(rdatatype, value)) not in held)

    def replace(self, name: str, kind: str, *values: str) -> None:
        """Puts records in place of those that were there; without values the name loses this type. Raises DNSException for what is no record."""
        rdatatype, at = dns.rdatatype.from_text(kind), _name(name)
        rdatas = [_rdata(rdatatype, value) for value in values]
        with self._lock:
            held = {other: kept for other, kept in self._records.get(at, {}).items() if other != rdatatype}
            self._records[at] = held | ({rdatatype: rdatas} if rdatas else {})
            if not self._records[at]:
                del self._records[at]
            self._remember(name, kind, values)

    def fail(self, name: str, fault: Fault | None) -> None:
        """Every question about `name` meets with `fault` from now on; None ends that."""
        with self._lock:
            if fault is None:
                self._faults.pop(_name(name), None)
            else:
                self._faults[_name(name)] = fault

    def texts(self, name: str) -> list[bytes]:
        """The TXT records at a name, strings joined: what a DKIM verifier asks for."""
        answer = self.answer(dns.message.make_query(name, dns.rdatatype.TXT), tcp=True)
        rrsets = answer.answer if answer else []
        return [b"".join(rdata.strings) for rrset in rrsets if rrset.rdtype == dns.rdatatype.TXT for rdata in rrset]

    def answer(self, query: dns.message.Message, *, tcp: bool) -> dns.message.Message | None:
        """The answer to one question; None: silence."""
        question = query.question[0]
        response = dns.message.make_response(query, recursion_available=True)
        response.flags |= dns.flags.AA
        with self._lock:
            self._asked.append((question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)))
            match self._faults.get(question.name.canonicalize()):
                case Fault.SILENCE:
                    return None
                case Fault.SERVFAIL:
                    response.set_rcode(dns.rcode.SERVFAIL)
                case Fault.REFUSED:
                    response.set_rcode(dns.rcode.REFUSED)
                case Fault.TRUNCATED if not tcp:
                    response.flags |= dns.flags.TC
                case _:
                    self._fill(response, question.name, question.rdtype)
        return response

    def _remember(self, name: str, kind: str, values: tuple[str, ...]) -> None:
        self._replaced[f"{name} {kind}"] = list(values)
        if self._path:
            written = self._path.with_suffix(".new")
            written.write_bytes(msgspec.json.encode(self._replaced))
            written.replace(self._path)

    def _fill(self, response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        for _ in range(_MAX_ALIASES):
            held = self._held(name.canonicalize())
            if held is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                return
            alias = held.get(dns.rdatatype.CNAME)
            if alias and kind != dns.rdatatype.CNAME:
                response.answer.append(dns.rrset.from_rdata_list(name, TTL, alias))
                name = alias[0].target  # type: ignore[attr-defined]
                continue
            if kind in held:
                response.answer.append(dns.rrset.from_rdata_list(name, TTL, held[kind]))
            return

    def _held(self, name: dns.name.Name) -> dict[dns.rdatatype.RdataType, list[dns.rdata.Rdata]] | None:
        """The records at a name; none at all, but a name, where something stands below it; else those of the closest wildcard."""
        if name in self._records:
            return self._records[name]
        if self._above_others(name):
            return {}
        while name != dns.name.root:
            name = name.parent()
            wildcard = dns.name.Name((b"*", *name.labels))
            if wildcard in self._records:
                return self._records[wildcard]
            if name in self._records or self._above_others(name):
                return None
        return None

    def _above_others(self, name: dns.name.Name) -> bool:
        return any(held.is_subdomain(name) for held in self._records)


@contextlib.contextmanager
def serving(zone: Zone, port: int = 0) -> Iterator[int]:
    """Answers for `zone` on 127.0.0.1, over UDP and TCP; yields the port. Port 0: any that is free for both."""
    with background.loop("name server") as loop:
        servers, bound = asyncio.run_coroutine_threadsafe(_bind(zone, port), loop).result()
        try:
            yield bound
        finally:
            for server in servers:
                loop.call_soon_threadsafe(server.close)


async def _bind(zone: Zone, port: int) -> tuple[tuple[asyncio.DatagramTransport, asyncio.Server], int]:
    loop = asyncio.get_running_loop()
    while True:
        udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(zone), local_addr=("127.0.0.1", port))
        bound = udp.get_extra_info("sockname")[1]
        try:
            tcp = await asyncio.start_server(lambda r, w: _stream(zone, r, w), "127.0.0.1", bound)
        except OSError:
            udp.close()
            if port:
                raise
        else:
            return (udp, tcp), bound


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        wire = _answered(self._zone, data, tcp=False)
        if wire is not None:
            self._transport.sendto(wire, addr)


async def _stream(zone: Zone, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            wire = _answered(zone, await reader.readexactly(length), tcp=True)
            if wire is not None:
                writer.write(struct.pack("!H", len(wire)) + wire)
    writer.close()


def _answered(zone: Zone, data: bytes, *, tcp: bool) -> bytes | None:
    try:
        query = dns.message.from_wire(data)
    except dns.exception.DNSException:
        return None
    response = zone.answer(query, tcp=tcp) if query.question else None
    if response is None:
        return None
    room = 65_535 if tcp else max(512, query.payload if query.edns >= 0 else 512)
    return response.to_wire(max_size=room, prefer_truncation=True)


def _read(path: Path | None) -> dict[str, list[str]]:
    if path is None or not path.exists():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=dict[str, list[str]])


def _name(name: str) -> dns.name.Name:
    return dns.name.from_text(name).canonicalize()


def _rdata(kind: dns.rdatatype.RdataType, value: str) -> dns.rdata.Rdata:
    if kind == dns.rdatatype.TXT:
        raw = value.encode()
        return TXT(dns.rdataclass.IN, kind, [raw[at : at + 255] for at in range(0, len(raw), 255)] or [b""])
    return dns.rdata.from_text(dns.rdataclass.IN, kind, value, origin=dns.name.root, relativize=False)
