"""Generated from the application's routes and their OpenAPI document: each route times each foreign id, each role, each scope, no session, and another site.

Always three questions: is the answer right, is nothing of the other workspace in it, and is every row of the ledger as it was?
"""

from datetime import timedelta
from itertools import product

import pytest

from cleanmails.api.auth import Role
from tests.doors.routes import SAFE
from tests.doors.world import SCOPES

FOREIGN = b"qzforeign"
JSON = {"content-type": "application/json"}

NOT_DONE = {
    "account_confirm_second_factor": 409,  # there is none that waits
    "InboxPages.markup": 404,  # there is no such kind of entry
    "SenderPages.connect": 404,  # there is no such provider
    "oauth_callback": 404,
    "oauth_start": 404,
    "oauth_disconnect": 404,  # the sender has a password
    "campaigns_delete": 409,  # mails were sent
    "campaigns_pause": 409,  # it is paused
    "campaigns_resume": 400,  # its sender cannot send
    "campaigns_start": 409,
    "imports_cancel": 409,  # it is over
    "imports_start": 409,
    "leads_delete": 409,
    "lists_archive": 409,
    "domains_remove": 409,
    "dkimkeys_activate": 409,
    "dkimkeys_add": 409,  # another waits
    "senders_create": 400,  # nobody listens at its port
    "previews_test_send": 400,
}
"""What the owner is refused for reasons of the thing itself."""


@pytest.fixture(scope="module")
def closed(doors):
    return [route for route in doors if route.need is not None]


@pytest.fixture(scope="module")
def ours(ledger):
    return ledger.ours


def session(world, role):
    return {"cookie": f"auth_token={world.sessions[role]}"}


def bearer(world, name):
    return {"authorization": f"Bearer {world.token(name)}"}


def holds_nothing(answer):
    """Whether a list is empty, a stream said nothing, or nothing was done."""
    if not answer.headers["content-type"].startswith("application/json"):
        return b"data:" not in answer.body
    said = answer.json()
    return any(said.get(name) in ([], 0) for name in ("items", "replayed", "found", "decided"))


class Watch:
    """Compares the whole ledger with what it was before: after every 16th route, and at the end. A finding names the routes since, and the tables."""

    def __init__(self, ledger):
        self.ledger, self.since = ledger, []
        self.free = set()
        self.before = ledger.prints()

    def __call__(self, route, findings):
        self.since.append(route)
        if len(self.since) == 16:
            self.compare(findings)

    def compare(self, findings):
        after = self.ledger.prints()
        # A page that refuses leads on to another page: by its status that was done, and it stands in the audit log.
        free = self.free | ({"audit"} if any(route.is_page for route in self.since) else set())
        changed = [table for table in after if after[table] != self.before[table] and table not in free]
        if changed:
            findings.append(f"{changed} changed by one of {[str(route) for route in self.since]}")
        self.before, self.since = after, []


@pytest.fixture
def unchanged(ledger):
    return Watch(ledger)


def test_every_id_in_an_address_has_a_row_here(doors, ledger, count):
    """Else the rest of this file would prove nothing of it. Mend it with a row in tests/doors/world.py."""
    wanted = {noun for route in doors for noun in route.ids}
    count("routes", len(doors))
    assert wanted - set(ledger.ours.ids) == set()
    assert all(ledger.ours.ids[noun] != ledger.theirs.ids[noun] for noun in wanted)


@pytest.mark.asvs("8.2.2", "8.4.1")
def test_foreign_ids_are_unknown_ids(wire, ledger, closed, unchanged, count):
    """In an address: every mix of our ids and theirs, in the name of our owner."""
    ours, theirs, findings = ledger.ours, ledger.theirs, []
    routes = [route for route in closed if route.ids]
    for route in routes:
        for mix in list(product((ours, theirs), repeat=len(route.ids)))[1:]:
            ids = {noun: world.ids[noun] for noun, world in zip(route.ids, mix, strict=True)}
            body, headers = route.body(ours.ids)
            answer = wire.ask(route.method, route.at(ids), session(ours, Role.OWNER) | headers, body)
            count("foreign ids")
            refused = answer.status == 404 or (
                route.is_page and route.method not in SAFE and answer.status in {303, 400}
            )
            refused = refused or route.path.endswith("/preview/mail")  # a frame, which says why it is empty
            if not refused or FOREIGN in answer.body:
                findings.append(f"{route} with {ids}: {answer.status} {answer.body[:200]}")
        unchanged(route, findings)
    count("routes with ids", len(routes))
    unchanged.compare(findings)
    assert not findings, "\n".join(findings)


def test_foreign_ids_in_bodies_and_queries_are_unknown_ids(wire, ledger, closed, unchanged, count):
    """`{"lead_id": 7}`, `{"senders": [{"id": 7}]}`, `?list_id=7`."""
    ours, theirs, findings = ledger.ours, ledger.theirs, []
    unchanged.free.add(
        "audit"
    )  # a range of events that holds none of ours is replayed: it was done, and nothing came of it
    for route in closed:
        for place, path, body, headers in route.with_foreign(ours.ids, theirs):
            answer = wire.ask(route.method, path, session(ours, Role.OWNER) | headers, body, patient=True)
            count("foreign ids")
            refused = 400 <= answer.status < 500
            led_away = route.is_page and answer.status == 303
            empty = led_away or (answer.status == 200 and holds_nothing(answer))
            if not (refused or empty) or FOREIGN in answer.body:
                findings.append(f"{route} with {place}: {answer.status} {answer.body[:200]}")
        unchanged(route, findings)
    unchanged.compare(findings)
    assert not findings, "\n".join(findings)


@pytest.mark.asvs("8.2.1", "8.3.1")
def test_a_role_does_what_the_table_says_and_no_more(wire, ours, closed, unchanged, count):
    """Who may not is told so before anything else; who may comes as far as an unknown id, or a body that is none."""
    findings = []
    for name in ("admin", "member", "viewer"):
        ours.key(name, name)
    unchanged.compare([])
    actors = [(role, session(ours, role)) for role in Role]
    actors += [(Role(name), bearer(ours, name)) for name in ("admin", "member", "viewer")]
    for route in sorted(closed, key=lambda route: route.name == "account_end_others"):
        for role, credentials in actors:
            count("roles")
            if role in route.roles:
                if not (route.ids or route.method in SAFE or route.schema):
                    continue
                answer = wire.ask(route.method, route.at({}), credentials | JSON, b"[]" if route.schema else b"")
                # What a page does, it does by the API's own functions, which may ask for more than the page does.
                forbidden = answer.code == "forbidden" and not route.is_page
                right = answer.status not in {401, 429} and not forbidden and answer.status < 500
            else:
                body, headers = route.body(ours.ids)
                answer = wire.ask(route.method, route.at(ours.ids), credentials | headers, body)
                right = answer.status == 403 and (not answer.code or answer.code == "forbidden")
            if not right or FOREIGN in answer.body:
                findings.append(f"{route} by {role}: {answer.status} {answer.body[:200]}")
        unchanged(route, findings)
    unchanged.compare(findings)
    assert not findings, "\n".join(findings)


@pytest.mark.asvs("8.2.1")
def test_a_key_without_the_scope_is_refused(wire, ours, closed, unchanged, count):
    findings = []
    for scope in SCOPES:
        ours.key(f"all-but-{scope}", "admin", [each for each in SCOPES if each != scope])
        ours.key(f"only-{scope}", "admin", [scope])
    unchanged.compare([])
    for route in closed:
        body, headers = route.body(ours.ids)
        without = wire.ask(route.method, route.at(ours.ids), bearer(ours, f"all-but-{route.need}") | headers, body)
        count("scopes")
        if without.status != 403 or FOREIGN in without.body:
            findings.append(f"{route} without {route.need}: {without.status} {without.body[:200]}")
        if Role.ADMIN in route.roles and not route.is_page and (route.ids or route.schema or route.method in SAFE):
            only = wire.ask(
                route.method, route.at({}), bearer(ours, f"only-{route.need}") | JSON, b"[]" if route.schema else b""
            )
            count("scopes")
            if only.code == "forbidden" or only.status in {401, 500}:
                findings.append(f"{route} with {route.need}: {only.status} {only.body[:200]}")
        unchanged(route, findings)
    unchanged.compare(findings)
    assert not findings, "\n".join(findings)


def test_nobody_is_let_in(wire, ledger, ours, closed, unchanged, count):
    """No session, a made-up one, one that has ended, a key that was revoked or has expired, and whoever was taken out or belongs to an archived workspace."""
    past = ours.now - timedelta(days=1)
    ours.key("revoked", revoked_at=past)
    ours.key("expired", expires_at=past)
    ours.begin("ended", ours.users[Role.OWNER], days=-1)
    stranger = ours.one("INSERT INTO users (email, password_hash) VALUES ('out@agency.example', 'x')")
    ours.begin("taken-out", stranger)
    nobody = {
        "nobody": {},
        "made up": {"cookie": "auth_token=made-up"},
        "empty": {"cookie": "auth_token="},
        "ended": {"cookie": "auth_token=ended"},
        "taken out": {"cookie": "auth_token=taken-out"},
        "made-up key": {"authorization": "Bearer cm_live_made_up"},
        "another scheme": {"authorization": "Basic b3duZXI6cGFzc3dvcmQ=", **session(ours, Role.OWNER)},
        "revoked": bearer(ours, "revoked"),
        "expired": bearer(ours, "expired"),
    }
    findings = []
    unchanged.compare([])
    for route in closed:
        body, headers = route.body(ours.ids)
        for who, credentials in list(nobody.items())[: 3 if route.is_page else None]:
            answer = wire.ask(route.method, route.at(ours.ids), credentials | headers, body)
            count("no session")
            if answer.status != 401 or b"qzours" in answer.body or FOREIGN in answer.body:
                findings.append(f"{route} by {who}: {answer.status} {answer.body[:200]}")
        unchanged(route, findings)
    unchanged.compare(findings)
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize(
    "site",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
@pytest.mark.asvs("3.5.1")
def test_a_page_of_another_site_changes_nothing(wire, ours, doors, unchanged, count, site):
    """With the cookie, as a browser would send it if it were not `SameSite`. What strangers post on purpose (RFC 8058) needs no cookie."""
    findings = []
    for route in doors:
        if route.method in SAFE or route.cross_site:
            continue
        body, headers = route.body(ours.ids)
        answer = wire.ask(route.method, route.at(ours.ids), session(ours, Role.OWNER) | headers | site, body)
        count("cross-site")
        if answer.status != 403 or answer.code != "cross_site":
            findings.append(f"{route}: {answer.status} {answer.body[:200]}")
        unchanged(route, findings)
    unchanged.compare(findings)
    assert not findings, "\n".join(findings)


@pytest.mark.asvs("8.4.1")
def test_our_owner_does_all_of_it_and_sees_nothing_of_theirs(wire, ledger, ours, closed, count):
    """The other side of the tests above: with our ids the same requests are taken. Nothing of the other workspace is shown or touched meanwhile."""
    theirs = ledger.theirs
    watched = "SELECT count(*) AS rows, md5(string_agg(to_jsonb(t)::text, ' ' ORDER BY t.id)) AS print FROM {} t WHERE workspace_id = %s"
    tables = (
        "lists",
        "leads",
        "campaigns",
        "senders",
        "domains",
        "deliveries",
        "suppressions",
        "outlets",
        "shares",
        "events",
        "imports",
    )
    before = [ledger.db.execute(watched.format(table), [theirs.workspace]).fetchone() for table in tables]
    findings, order = [], {"GET": 0, "HEAD": 0, "POST": 1, "PUT": 1, "PATCH": 1, "DELETE": 2}
    last = (
        "leads_erase",
        "account_change_password",
        "account_end_others",
        "account_switch",
        "people_remove",
        "workspaces_archive",
    )
    ended = {"account_end_session", "people_remove"}
    for route in sorted(
        closed,
        key=lambda each: (
            last.index(each.name) if each.name in last else -1,
            order[each.method] + 2 * each.is_page * (each.method not in SAFE),
            -each.path.count("/"),
        ),
    ):
        if route.is_final:
            continue
        ids = dict(ours.ids)
        if route.name in ended:
            ids["session_id"] = ours.begin(f"to-be-ended-{route.name}", ours.users[Role.OWNER])
        ours.begin(f"owner-for-{route.name}-{route.method}", ours.users[Role.OWNER])
        headers = {"cookie": f"auth_token=owner-for-{route.name}-{route.method}"}
        body, more = route.body(ids)
        answer = wire.ask(route.method, route.at(ids), headers | more, body, patient=True)
        count("by the owner")
        done = answer.status < 300 or answer.status == NOT_DONE.get(route.name)
        # A form that was not filled in comes back, or leads on; what it is about was deleted by the API before.
        done = done or (route.is_page and route.method not in SAFE and answer.status in {303, 400, 404})
        if not done or FOREIGN in answer.body:
            findings.append(f"{route} ({route.name}): {answer.status} {answer.body[:300]}")
    assert not findings, "\n".join(findings)
    assert before == [ledger.db.execute(watched.format(table), [theirs.workspace]).fetchone() for table in tables]
