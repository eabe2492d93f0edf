"""Who takes the mail of many domains at once: hundreds of questions on their way over one socket, which costs a tenth of asking one after the other.

Only plain answers are read here. Whatever is unusual (no MX, cut off, refused, late, not repeated letter by letter) is asked again by `Resolver`, which knows
all of it; so both say the same.
"""

import secrets
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from cleanmails.mail.dns import Look, Mx, Resolver

ON_THEIR_WAY: Final = 256
"""Questions without an answer at any time: what a socket's buffer holds of answers."""

PATIENCE: Final = 2.0
"""Seconds for the answers to what is on its way."""

_AT_ONCE: Final = 32
_HEAD: Final = struct.Struct(">HHHHHH")
_RECORD: Final = struct.Struct(">HHIH")
_MX: Final = 15
_ASK_MX: Final = struct.pack(">HH", _MX, 1)
_EDNS: Final = struct.pack(">BHHIH", 0, 41, 1232, 0, 0)
_CUT_OFF: Final = 0x0200
_IS_ANSWER: Final = 0x8000


class _Question(msgspec.Struct, frozen=True):
    name: str
    wire: bytes
    """Its question section, with letters in a random case, which an answer must repeat: whoever forges one has to guess that too."""


def ask_many(resolver: Resolver, names: Sequence[str]) -> dict[str, Mx]:
    """Where each of these domains takes its mail, as `Resolver.mx` says it. If no name server answers at all, none is asked a second time."""
    found: dict[str, Mx] = {}
    server = resolver.server
    if server is not None:
        found = _plain(server, names)
        if not found and len(names) >= ON_THEIR_WAY:
            return dict.fromkeys(names, Mx(look=Look.FAILED, reason="no name server answered"))
    unusual = [name for name in names if name not in found]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mx") as pool:
        found.update(zip(unusual, pool.map(resolver.mx, unusual), strict=True))
    return found


def _plain(server: tuple[str, int], names: Iterable[str]) -> dict[str, Mx]:
    """The plain answers."""
    found: dict[str, Mx] = {}
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(server)
        questions = _questions(names)
        waiting: dict[int, _Question] = {}
        deadline = time.monotonic() + PATIENCE
        while True:
            _send(sock, questions, waiting)
            if not waiting:
                return found
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = sock.recv(4096)
            except TimeoutError:
                if not found:
                    return found
                waiting.clear()
                deadline = time.monotonic() + PATIENCE
                continue
            except OSError:  # nobody listens there
                return found
            number = int.from_bytes(data[:2])
            question = waiting.get(number)
            if question is not None and data[12 : 12 + len(question.wire)] == question.wire:
                del waiting[number]
                deadline = time.monotonic() + PATIENCE
                answer = _read(data, 12 + len(question.wire))
                if answer is not None:
                    found[question.name] = answer


def _send(sock: socket.socket, questions: Iterator[_Question], waiting: dict[int, _Question]) -> None:
    """Asks on, until as much is on its way as may be."""
    while len(waiting) < ON_THEIR_WAY and (question := next(questions, None)) is not None:
        number = secrets.randbits(16)
        while number in waiting:
            number = secrets.randbits(16)
        try:
            sock.send(_HEAD.pack(number, 0x0100, 1, 0, 0, 1) + question.wire + _EDNS)
        except OSError:
            return
        waiting[number] = question


def _questions(names: Iterable[str]) -> Iterator[_Question]:
    """What can be asked; a name that no question can hold is left to the resolver."""
    for name in names:
        labels = name.rstrip(".").encode("ascii", "replace").split(b".")
        if (
            all(0 < len(label) < 64 for label in labels)
            and len(name) < 254
            and b"?" not in name.encode("ascii", "replace")
        ):
            dice = secrets.randbits(len(name) + 1)
            text = b"".join(bytes([len(label)]) + label for label in labels)
            mixed = bytes(byte & 0xDF if 97 <= byte <= 122 and dice >> at & 1 else byte for at, byte in enumerate(text))
            yield _Question(name, mixed + b"\0" + _ASK_MX)


def _read(data: bytes, at: int) -> Mx | None:
    """A plain answer; None for every other."""
    _, flags, _, answers, _, _ = _HEAD.unpack_from(data)
    if not flags & _IS_ANSWER or flags & _CUT_OFF:
        return None
    code = flags & 15
    if code == 3 and not answers:
        return Mx(look=Look.NOTHING, exists=False)
    if code or not answers:
        return None
    ranked: list[tuple[int, str]] = []
    try:
        for _ in range(answers):
            _, at = _name(data, at)
            kind, _, _, length = _RECORD.unpack_from(data, at)
            at += _RECORD.size
            if kind == _MX:
                host, _ = _name(data, at + 2)
                ranked.append((int.from_bytes(data[at : at + 2]), host))
            at += length
    except (IndexError, struct.error, ValueError):
        return None
    if not ranked:
        return None
    hosts = tuple(host for _, host in sorted(ranked) if host)
    return Mx(look=Look.FOUND, hosts=hosts, null_mx=not hosts)


def _name(data: bytes, at: int) -> tuple[str, int]:
    """The name at a place, lower case, without the final dot, and where it ends (RFC 1035, 4.1.4). ValueError if it is none."""
    labels: list[str] = []
    end = 0
    for _ in range(128):
        length = data[at]
        if length >= 0xC0:
            end = end or at + 2
            at = (length & 0x3F) << 8 | data[at + 1]
        elif length == 0:
            return ".".join(labels).lower(), end or at + 1
        else:
            labels.append(data[at + 1 : at + 1 + length].decode("ascii"))
            at += 1 + length
    raise ValueError("a name has no end")
