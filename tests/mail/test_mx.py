"""Many domains asked for at once say what one after the other says."""

import socket
import struct

import pytest

from cleanmails.demo.zone import Fault, Zone, serving
from cleanmails.mail import mx
from cleanmails.mail.dns import Look, Mx, Resolver
from cleanmails.mail.mx import ask_many

NAMES = [
    *(f"firm{n}.example" for n in range(40)), "null.example", "implicit.example", "alias.example", "gone.example", "empty.example", "broken.example",
    "refused.example", "cut.example", "Mixed.Example", "a..b", "x" * 70 + ".example", "büro.example", "", "dot.example.",
]  # fmt: skip


@pytest.fixture
def zone():
    zone = Zone()
    for n in range(40):
        zone.add(f"firm{n}.example", "MX", f"20 mx2.firm{n}.example.", "10 mx.provider.example.")
    zone.add("null.example", "MX", "0 .")
    zone.add("implicit.example", "A", "192.0.2.1")
    zone.add("alias.example", "CNAME", "firm1.example.")
    zone.add("empty.example", "TXT", "nothing of mail")
    zone.add("mixed.example", "MX", "10 MX.Mixed.Example.")
    zone.add("dot.example", "MX", "10 mx.dot.example.")
    zone.add("cut.example", "MX", "10 mx.cut.example.")
    zone.fail("broken.example", Fault.SERVFAIL)
    zone.fail("refused.example", Fault.REFUSED)
    zone.fail("cut.example", Fault.TRUNCATED)
    return zone


@pytest.fixture
def resolver(zone):
    with serving(zone) as port:
        yield Resolver([("127.0.0.1", port)])


def test_many_at_once_are_answered_as_each_alone(resolver):
    assert ask_many(resolver, NAMES) == {name: resolver.mx(name) for name in NAMES}


def test_plain_answers_cost_one_question_each(resolver, zone):
    names = [f"firm{n}.example" for n in range(40)]
    ask_many(resolver, names)
    assert sorted(name.lower() for name, _ in zone.asked) == sorted(names)


def test_one_that_never_comes_is_asked_for_again_and_the_others_do_not_wait_for_it(resolver, zone, monkeypatch):
    monkeypatch.setattr(mx, "PATIENCE", 0.2)
    resolver._timeout = 0.2
    zone.fail("firm3.example", Fault.SILENCE)
    found = ask_many(resolver, ["firm1.example", "firm2.example", "firm3.example"])
    assert [found[f"firm{n}.example"].look for n in (1, 2, 3)] == [Look.FOUND, Look.FOUND, Look.FAILED]


def test_where_nobody_answers_at_all_hundreds_are_not_asked_one_by_one():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    found = ask_many(Resolver([("127.0.0.1", port)]), [f"firm{n}.example" for n in range(300)])
    assert {each.look for each in found.values()} == {Look.FAILED}
    assert len(found) == 300


def answer(*records, flags=0x8180, head=b"\x04firm\x07example\x00\x00\x0f\x00\x01"):
    return struct.pack(">HHHHHH", 7, flags, 1, len(records), 0, 0) + head + b"".join(records)


HERE = b"\xc0\x0c"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (answer(HERE + struct.pack(">HHIH", 15, 1, 60, 4) + b"\x00\x05" + HERE), Mx(look=Look.FOUND, hosts=("firm.example",))),
        (answer(flags=0x8183), Mx(look=Look.NOTHING, exists=False)),
        (answer(), None),
        (answer(flags=0x0180), None),
        (answer(HERE + struct.pack(">HHIH", 15, 1, 60, 4) + b"\x00\x05" + HERE, flags=0x8380), None),
        # a name that points at itself, one that points nowhere, a record that is cut off
        (answer(HERE + struct.pack(">HHIH", 15, 1, 60, 4) + b"\x00\x05\xc0\x2b"), None),
        (answer(HERE + struct.pack(">HHIH", 15, 1, 60, 4) + b"\x00\x05\xff\xff"), None),
        (answer(HERE + b"\x00"), None),
    ],
)  # fmt: skip
def test_what_is_no_plain_answer_is_left_to_the_resolver(data, expected):
    assert mx._read(data, 12 + 18) == expected
