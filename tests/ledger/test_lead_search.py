"""Finding leads among many: by the words and the filters that are asked for, in the order of the ids, and through an index whatever is rare."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanmails.ledger import leads
from cleanmails.ledger.leads import Filter
from cleanmails.rules.search import words
from tests.ledger.test_planning import looked_at, read

LEADS = 40_000


def found(db, workspace, *, after=None, limit=50, **asked):
    return [row["email"] for row in leads.page(db, workspace, Filter(**asked), after=after, limit=limit)]


@pytest.fixture
def people(house):
    """Ada is on a list, tagged, and opened a mail; Bob clicked and replied; Cid was mailed and is silent; Dan bounced; Eve was never mailed."""
    ada, bob, cid, dan, eve = house.leads(
        "ada@a.example", "bob@b.example", "cid@b.example", "dan@b.example", "eve@a.example"
    )
    house.run(
        "UPDATE leads SET tags = '{vip}', fields = '{\"city\": \"London\"}', first_name = 'Ada' WHERE id = %s", ada
    )
    house.run("UPDATE leads SET status = 'bounced', validation = 'invalid' WHERE id = %s", dan)
    sender = house.sender()
    campaign = house.campaign([ada, bob, cid, dan], [sender])
    for lead, columns in (
        (ada, "opened_at = now()"),
        (bob, "clicked_at = now(), replied_at = now()"),
        (cid, "reply_code = 250"),
        (dan, "state = 'bounced'"),
    ):
        delivery = house.planned(campaign, lead, "sent", sender=sender)
        house.run(f"UPDATE deliveries SET {columns} WHERE id = %s", delivery)
    house.run(
        "UPDATE campaign_leads SET state = 'ended', outcome = 'replied', ended_at = now() WHERE lead_id = %s", bob
    )
    return {"list": house.list(ada, eve), "campaign": campaign}


CASES = [
    ({}, "ada bob cid dan eve"),
    ({"status": "bounced"}, "dan"),
    ({"validation": "invalid"}, "dan"),
    ({"tag": "vip"}, "ada"),
    ({"field": ("city", "London")}, "ada"),
    ({"field": ("city", "Paris")}, ""),
    ({"domain": "a.example"}, "ada eve"),
    ({"list_id": "list"}, "ada eve"),
    ({"list_id": "list", "tag": "vip"}, "ada"),
    ({"campaign_id": "campaign"}, "ada bob cid dan"),
    ({"campaign_id": "campaign", "walk": "replied"}, "bob"),
    ({"campaign_id": "campaign", "walk": "in_flight"}, "ada cid dan"),
    ({"engagement": "opened"}, "ada"),
    ({"engagement": "clicked"}, "bob"),
    ({"engagement": "replied", "campaign_id": "campaign"}, "bob"),
    ({"engagement": "bounced"}, "dan"),
    ({"engagement": "mailed"}, "ada bob cid dan"),
    ({"engagement": "not_mailed"}, "eve"),
    ({"engagement": "silent"}, "cid dan"),
    ({"words": ("ada",)}, "ada"),
    ({"words": ("b", "example")}, "bob cid dan eve"),
    ({"words": ("b", "exam"), "status": "bounced"}, "dan"),
    ({"words": ("a",), "list_id": "list", "engagement": "opened"}, "ada"),
    ({"words": ("initech",), "validation": "invalid"}, "dan"),
]


def test_leads_are_found_by_what_is_asked_for(db, house, people, monkeypatch):
    """Those near by, or (where nothing is near) by the way through an index: the same."""
    for reach, limit in ((leads.REACH, 50), (1, 6)):
        monkeypatch.setattr(leads, "REACH", reach)
        for asked, expected in CASES:
            given = {key: people.get(value, value) if isinstance(value, str) else value for key, value in asked.items()}
            names = [email.split("@")[0] for email in found(db, house.workspace, limit=limit, **given)]
            assert names == expected.split(), (reach, asked)


def test_another_workspace_is_never_looked_into(db, house, people):
    for asked in ({"words": ("ada",)}, {"tag": "vip"}, {"engagement": "opened"}, {"list_id": people["list"]}):
        assert found(db, house.workspace + 1, **asked) == []


def test_pages_of_a_search_go_on_where_the_last_ended(db, house):
    ids = house.leads(*(f"p{n}@a.example" for n in range(7)))
    seen, after = [], None
    while rows := leads.page(db, house.workspace, Filter(words=("p",)), after=after, limit=3):
        seen += [row["id"] for row in rows]
        after = rows[-1]["id"]
    assert seen == ids


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada@Exam", ["ada", "exam"]),
        ("  ", []),
        ("O'Neil & Söhne", ["o'neil", "&", "söhne"]),
        ("a a A", ["a"]),
        ("x\\'\":*|!", ["x\\'\":*|!"]),
    ],
)
def test_a_search_is_cut_into_words(text, expected):
    assert words(text) == expected


@given(text=st.text(max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_can_be_looked_for_and_whoever_has_it_is_found(db, house, text):
    """Whatever stands in a name, its words find the lead; and no text is a query of its own."""
    name = text.replace("\0", "")
    db.execute("DELETE FROM leads")
    db.execute(
        "INSERT INTO leads (workspace_id, email, first_name) VALUES (%s, 'ada@a.example', %s)", (house.workspace, name)
    )
    asked = words(name)
    if asked and all(word.isascii() for word in asked):
        assert found(db, house.workspace, words=tuple(asked)) == ["ada@a.example"]
    else:
        found(db, house.workspace, words=tuple(asked))


@pytest.fixture
def crowd(database, house):
    """Forty thousand leads of one workspace behind as many of another; one in ten thousand is what is looked for."""
    with database.transaction() as db:
        other = db.execute("INSERT INTO workspaces (name) VALUES ('Other') RETURNING id").fetchone()["id"]
        for workspace in (other, house.workspace):
            db.execute(
                """INSERT INTO leads (workspace_id, email, first_name, fields, tags, status)
                   SELECT %s, 'p' || n || '@d' || mod(n, 500) || '.example', CASE mod(n, 10000) WHEN 9999 THEN 'Zelda' ELSE 'Ada' END,
                          jsonb_build_object('city', CASE mod(n, 10000) WHEN 9999 THEN 'Ulm' ELSE 'London' END),
                          CASE mod(n, 10000) WHEN 9999 THEN ARRAY['vip'] ELSE ARRAY['all'] END,
                          CASE mod(n, 10000) WHEN 9999 THEN 'bounced' ELSE 'active' END
                   FROM generate_series(1, %s) AS n""",
                (workspace, LEADS),
            )
        leads.sort_in(db)
    with database.session() as db:
        db.execute("VACUUM ANALYZE leads")
    return house.workspace


def asked_of(workspace, **asked):
    plain = msgspec.structs.asdict(Filter())
    plain |= {"workspace_id": workspace, "after": 0, "limit": 51, "reach": leads.REACH, "words": [], "whole": False}
    return plain | asked


LOOKS = [
    ("leads.search", {"words": ["zelda"]}, 400),
    ("leads.search", {"words": ["ad"]}, 40_000),
    ("leads.search", {"words": ["p39", "d33", "example"]}, 400),
    ("leads.search", {"words": ["nobody"]}, 10),
    ("leads.far", {"tag": "vip"}, 100),
    ("leads.far", {"field": '{"city": "Ulm"}'}, 400),
    ("leads.far", {"status": "bounced"}, 100),
    ("leads.near", {"tag": "vip"}, 3_100),
    ("leads.near", {}, 3_100),
    ("leads.far_engaged", {"engagement": "replied"}, 100),
]
"""A statement, what it is asked, and how many rows it may look at."""


def test_what_is_rare_is_found_without_looking_at_everybody(crowd, database):
    for statement, asked, most in LOOKS:
        rows, _ = looked_at(database, statement, asked_of(crowd, **asked), generic=False)
        assert read(rows, "leads", "deliveries") <= most, (asked, rows)
        assert "Seq Scan" not in {way for table, way, _ in rows if table == "leads"}, (asked, rows)
    with database.transaction() as db:
        assert len(found(db, crowd, words=("zelda",))) == 4
        assert len(found(db, crowd, words=("ada",), limit=200)) == 200
        assert found(db, crowd, words=("p39999",)) == ["p39999@d499.example"]
