"""Requests that are wrong in every way: whatever comes, the answer is a refusal with a documented status, never a failure.

The suite tries some thousands; `python3 run.py doors 20000` tries as many as it is told. The same seed makes the same requests.
"""

import json
import os
import random

import pytest

from cleanmails.api.auth import Role, token_hash
from tests.doors.routes import SAFE, resolved

REQUESTS = int(os.environ.get("DOORS_REQUESTS", "2000"))
SEED = int(os.environ.get("DOORS_SEED", "1"))

TOO_FINAL = {"workspaces_archive", "account_end_others", "sessions_logout", "people_remove", "account_change_password", "account_switch", "models_test",
             "Pages.sign_out", "account_end_session", "apikeys_revoke", "senders_test", "senders_test_new", "senders_create", "domains_verify", "dkimkeys_verify"}  # fmt: skip
"""What would end the caller's own session or workspace, or speaks to another server: those take no request that could be right."""

WORDS = ("", " ", "x", "0", "-1", "null", "true", "☃", "\u202e", "\0", "a\r\nb: c", "%", "%00", "../../etc/passwd", "{{7*7}}", "${jndi:ldap://x}", "' OR 1=1--",
         "<script>", "\\", "\ud7ff", "é" * 300, "A" * 70_000, "1e999", "NaN", "٣", "2030-13-45T99:99:99Z", "9999-12-31T23:59:59.999999+23:59", "0001-01-01T00:00:00Z",
         "xn--", "a@b", "@", "a@" + "b" * 300 + ".example", "http://[::1", "https://user@host/", "whsec_", "cm_live_")  # fmt: skip
VALUES = (None, True, False, 0, -1, 1.5, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 1e308, -0.0, [], {}, [[]], [None], {"a": {}}, [1, "x"], ["x"] * 3_000, {"id": 2**63}, [{"id": -1}],
          {"days": [0, 7], "start": "25:00"}, *WORDS)  # fmt: skip
IDS = (
    "0",
    "-1",
    "1.5",
    "1e3",
    "+1",
    "%201",
    "abc",
    "%00",
    "%FF",
    "%E2%98%83",
    "9223372036854775807",
    "9223372036854775808",
    "1" * 400,
    "٣",
    "..",
    ".",
    "%2e%2e",
    "1;2",
    "null",
    "0x1",
)
RAW = (
    b"", b" ", b"{", b"[", b"]", b"nul", b"{}", b"[]", b"1", b'"x"', b"null", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b'{"a":"\xff"}', b'{"name":"\\ud800"}', b'{"name":"\\u0000"}',
    b'{"name":"a","name":"b"}', b"{'name':1}", b'{"name":1,}', b'{"name":NaN}', b'{"name":1e999}', b'{"name":' + b"9" * 6_000 + b"}", b'{"name":-}', b"\x00" * 50, b"\x80" * 100,
    b"[" * 90_000, b'{"a":' * 40_000, b"[" * 500 + b"]" * 500, b'{"' + b"k" * 60_000 + b'":1}', b"{" + b",".join(b'"%d":1' % n for n in range(20_000)) + b"}",
    b'["' + b"\\u0041" * 20_000 + b'"]', b"name=x&name=y", b"--cut\r\n\r\n--cut--", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"x" * 1_000_001,
)  # fmt: skip
KINDS = ("application/json", "application/json; charset=utf-16", "text/plain", "text/csv", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=cut",
         "multipart/form-data; boundary=" + "x" * 5_000, "application/msgpack", "application/xml", "nonsense", "", "a/b; =;;", "application/json\u00e9")  # fmt: skip
HEADERS = {
    "authorization": ("", "Bearer", "Bearer ", "Bearer \u00ff", "Bearer " + "x" * 60_000, "Basic =", "bearer a b c", "Digest x"),
    "cookie": ("auth_token", "auth_token=", "=", ";;;", 'auth_token="', "auth_token=\u00e9", "a" * 60_000, "auth_token=x; auth_token=y", "\x01=\x02", "[]=1; auth_token=x"),
    "idempotency-key": ("", " ", "\u00ff", "x" * 256, "x" * 60_000, "\x01"),
    "if-none-match": ("*", '"', "W/", ",,,", "x" * 60_000),
    "if-match": ("*", '"', "W/", ",,,", '"0"'),
    "origin": ("", "null", "://", "http://[", "http://testserver.localhost:x", "x" * 5_000),
    "sec-fetch-site": ("", "none", "SAME-ORIGIN", "x"),
    "host": ("", "[", "a b", "x" * 5_000, "testserver.localhost:99999"),
    "accept": ("", "text/html", "*", "a/b;q=x", "," * 5_000),
    "x-forwarded-for": ("", "1", "::", "1.2.3.4, x, ,", "," * 3_000, "\u00ff"),
    "last-event-id": ("", "x", "-1", "9" * 40, "\u00ff"),
    "content-length": ("-1", "x", "0", "99999999999999999999"),
    "accept-language": ("\u00ff", "x" * 5_000),
    "user-agent": ("", "\u00ff" * 2_000, "<script>"),
    "range": ("bytes=0-1", "x"),
    "content-encoding": ("gzip", "x"),
    "transfer-encoding": ("chunked, chunked",),
}  # fmt: skip


class Wrong:
    """Draws requests that are wrong somewhere."""

    def __init__(self, routes, ours, seed):
        self.routes, self.ours, self.dice = routes, ours, random.Random(seed)
        self.credentials = [
            {"cookie": f"auth_token={ours.sessions[Role.OWNER]}"},
            {"authorization": f"Bearer {ours.token('any')}"},
        ]

    def draw(self):
        """(route, method, address, headers as pairs, body, how it is wrong)."""
        dice = self.dice
        route = dice.choice(self.routes)
        body, headers = route.body(self.ours.ids)
        headers = {**dice.choice(self.credentials), **headers}
        ways = [self.kind, self.header, self.query, self.method]
        ways += [self.address] * 4 * bool(route.parameters) + [
            self.field,
            self.field,
            self.field,
            self.field,
            self.raw,
            self.raw,
        ] * bool(route.schema)
        if route.name in TOO_FINAL:
            ways = [self.address] if route.parameters else [self.method]
            ways += [self.raw] * bool(route.schema)
        way = dice.choice(ways)
        return (route, *way(route, route.at(self.ours.ids), headers, body), way.__name__)

    def field(self, route, path, headers, body):
        """One or two fields of a body of another type, size or content; or fields that there are none of."""
        if route.media != "application/json":
            return self.raw(route, path, headers, body)
        names = list(resolved(*route.schema).get("properties", {})) or ["x"]
        value = json.loads(body)
        for _ in range(self.dice.choice((1, 1, 2))):
            value[self.dice.choice([*names, "nonsense"])] = self.dice.choice(VALUES)
        text = json.dumps(value, ensure_ascii=self.dice.random() < 0.5)
        return route.method, path, headers, text.encode("utf-8", "surrogatepass")

    def raw(self, route, path, headers, _body):
        """A body that is none."""
        return route.method, path, headers, self.dice.choice(RAW)

    def kind(self, route, path, headers, body):
        """A body that says it is something else."""
        return route.method, path, headers | {"content-type": self.dice.choice(KINDS)}, body or self.dice.choice(RAW)

    def header(self, route, path, headers, body):
        name = self.dice.choice(list(HEADERS))
        return route.method, path, headers | {name: self.dice.choice(HEADERS[name])}, body

    def address(self, route, _path, headers, body):
        """An id that is none."""
        ids = dict(self.ours.ids) | {
            noun: self.dice.choice(IDS) for _, noun in route.parameters if self.dice.random() < 0.7
        }
        path = route.at({noun: ids.get(noun, self.dice.choice(IDS)) for _, noun in route.parameters})
        return route.method, path, headers, body

    def query(self, route, path, headers, body):
        names = [each["name"] for each in route.operation.get("parameters", []) if each["in"] == "query"]
        given = [
            f"{self.dice.choice([*names, 'nonsense', ''])}={self.escaped()}" for _ in range(self.dice.choice((1, 2, 5)))
        ]
        return route.method, path + ("&" if "?" in path else "?") + "&".join(given), headers, body

    def escaped(self):
        """Something in a query: as it is, half escaped, or bytes that are no text."""
        word = self.dice.choice([*WORDS, *IDS, "%FF%FE", "%u0041", "&&&", "a=b=c", "[]"])
        return word.replace("\r\n", "%0D%0A").replace("\0", "%00")[:5_000]

    def method(self, route, path, headers, body):
        others = {
            "GET",
            "HEAD",
            "POST",
            "PUT",
            "PATCH",
            "DELETE",
            "OPTIONS",
            "TRACE",
            "CONNECT",
            "PROPFIND",
            "get",
            "X" * 500,
        }
        safe = route.name in TOO_FINAL or route.method not in SAFE
        others -= {"DELETE", "POST", "PATCH", "PUT"} if safe else {"DELETE"}
        return self.dice.choice(sorted(others)), path, headers, body


@pytest.mark.parametrize("name", ["name", "x" * 100])
def test_a_name_given_twice_in_json_counts_once(wire, ledger, name):
    """Two readers of one body must not see two things: the last one counts, as in every JSON parser behind or before us."""
    headers = {"cookie": f"auth_token={ledger.ours.sessions[Role.OWNER]}", "content-type": "application/json"}
    answer = wire.ask("POST", "/v1/outreach/lists", headers, f'{{"name": "first", "name": "{name}"}}'.encode())
    assert answer.json()["name"] == name


def let_in_again(ours):
    """Some of the requests are right after all, and end their caller's session or key."""
    owner = ours.users[Role.OWNER]
    ours.run("DELETE FROM sessions WHERE token_hash = %s", token_hash(ours.sessions[Role.OWNER]))
    ours.begin(ours.sessions[Role.OWNER], owner)
    ours.run("UPDATE api_keys SET revoked_at = NULL")
    ours.run("UPDATE workspaces SET archived_at = NULL")
    ours.run("UPDATE users SET totp_confirmed_at = NULL, totp_sealed = NULL, disabled_at = NULL")
    ours.run(
        """INSERT INTO memberships (workspace_id, user_id, role) VALUES (%s, %s, 'owner') ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = 'owner'""",
        ours.workspace,
        owner,
    )


@pytest.mark.asvs("2.2.1", "15.2.2", "16.5.3")
def test_nothing_that_comes_makes_the_application_fail(wire, ledger, doors, count):
    ours = ledger.ours
    ours.key("any")
    wrong = Wrong([route for route in doors if route.name != "healthz" and not route.is_final], ours, SEED)
    findings, refused_for_nobody = [], 0
    for number in range(REQUESTS):
        if number % 50 == 0:
            let_in_again(ours)
        route, method, path, headers, body, way = wrong.draw()
        answer = wire.ask(
            method, path, [(name.encode(), value.encode("latin-1", "ignore")) for name, value in headers.items()], body
        )
        documented = set(route.operation.get("responses", ())) | {"405", "304", "404", "501"}
        refused_for_nobody += answer.status == 401
        if answer.status >= 500 or (
            route.operation and method == route.method and str(answer.status) not in documented
        ):
            findings.append(
                f"{number}: {way} of {method} {path[:150]} ({route.name}) {body[:150]!r} {[h for h in headers.items() if h[0] not in ('cookie', 'authorization')]!r:.200}: {answer.status} {answer.body[:300]}"
            )
    count("bad requests", REQUESTS)
    assert not findings, f"{len(findings)} findings\n" + "\n".join(findings[:40])
    assert refused_for_nobody < REQUESTS / 10, "most must come past the door, or nothing is tried"
