"""Files of leads as jobs: looked into, mapped, taken by a worker all at once, followed, cancelled, and never half."""

import io
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from cleanmails.actors import imports as taking
from cleanmails.ledger import imports, workers

LISTS = "/v1/outreach/lists"
IMPORTS = "/v1/outreach/imports"
CSV = {"Content-Type": "text/csv"}
FIGURES = ("rows", "created", "updated", "duplicate", "suppressed", "invalid")
LEASE = 8.0

PEOPLE = (
    "\ufeffE-Mail;First name;Surname;Company;Job title\r\n"
    "ada@example.com;Ada;Lovelace;Engines;Analyst\r\n"
    "nonsense;Bob;;;\r\n"
    'left@example.com;"Lea\r\nLeft";;;\r\n'
    "ADA@example.com;Again;;;\r\n"
)


@pytest.fixture
def prospects(api):
    return api.post(LISTS, json={"name": "Prospects"}).json()["id"]


@pytest.fixture
def worker(database):
    with database.transaction() as db:
        return workers.register(db, "imports", "host", 1)


@pytest.fixture
def work_off(database, worker):
    """Takes every import whose turn it is; returns how many."""

    def run():
        done = 0
        while taking.take_next(database, worker, LEASE):
            done += 1
        return done

    return run


@pytest.fixture
def upload(api):
    def send(data, **rest):
        answer = api.post(IMPORTS, content=data.encode() if isinstance(data, str) else data, headers=CSV, **rest)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return send


@pytest.fixture
def taken(api, upload, work_off):
    """Uploads, starts with what is given, has it taken, and returns the import as it is then."""

    def run(data, **said):
        made = upload(data)
        answer = api.post(f"{IMPORTS}/{made['id']}/start", json=said)
        assert answer.status_code == 202, answer.text
        assert work_off() == 1
        return api.get(f"{IMPORTS}/{made['id']}").json()

    return run


def totals(body):
    return {name: body[name] for name in FIGURES}


def waits(database):
    """Whether somebody waits for a lock; asked in a transaction of its own, since one sees the same all along."""
    with database.transaction() as db:
        return db.execute(
            "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchall()


def codes(answer):
    return [(fault["field"], fault["code"]) for fault in answer.json()["faults"]]


def test_a_file_is_looked_into_before_anything_is_taken(api, upload):
    made = upload(PEOPLE, params={"filename": "people.csv"})
    assert (made["state"], made["kind"], made["filename"], made["bytes"]) == (
        "mapping", "csv", "people.csv", len(PEOPLE.encode()),
    )  # fmt: skip
    assert made["preview"]["header"] is True
    assert [column["target"] for column in made["preview"]["columns"]] == [
        "email", "first_name", "last_name", "company", "job_title",
    ]  # fmt: skip
    assert made["preview"]["rows"][1] == ["ada@example.com", "Ada", "Lovelace", "Engines", "Analyst"]
    assert api.get("/v1/outreach/leads").json()["items"] == []
    assert api.get(f"{IMPORTS}/{made['id']}").json() == made


def test_a_worker_takes_it_as_it_was_proposed(api, prospects, taken, woken):
    api.post("/v1/outreach/suppressions", json={"value": "left@example.com"})
    body = taken(PEOPLE, list_id=prospects, source="Fair 2030", lawful_basis="consent", tags=["fair", "2030"])
    assert body["state"] == "done"
    assert totals(body) == {"rows": 4, "created": 1, "updated": 0, "duplicate": 1, "suppressed": 1, "invalid": 1}
    assert body["preview"] is None
    [lead] = api.get(f"{LISTS}/{prospects}/leads").json()["items"]
    assert (lead["email"], lead["last_name"], lead["fields"]) == (
        "ada@example.com", "Lovelace", {"job_title": "Analyst"},
    )  # fmt: skip
    assert (lead["source"], lead["lawful_basis"], lead["tags"]) == ("Fair 2030", "consent", ["2030", "fair"])
    rejects = api.get(f"{IMPORTS}/{body['id']}/rejects").json()["items"]
    assert [(each["line"], each["verdict"]) for each in rejects] == [
        (3, "invalid"),
        (4, "suppressed"),
        (6, "duplicate"),
    ]
    [only] = api.get(f"{IMPORTS}/{body['id']}/rejects", params={"verdict": "duplicate"}).json()["items"]
    assert only["raw"] == "ADA@example.com;Again;;;"


def test_signs_that_mean_something_on_the_way_to_the_ledger_arrive_as_they_are(api, taken):
    taken("email;company;job\nada@example.com;a\\b\\N\tc \\.;%s\\n\n\\N@x.example;;\n")
    [lead] = api.get("/v1/outreach/leads").json()["items"]
    assert (lead["company"], lead["fields"]) == ("a\\b\\N\tc \\.", {"job": "%s\\n"})


def test_a_person_may_say_otherwise_what_columns_mean(api, taken):
    body = taken("a,b,c,d\nAda King,ada@example.com,x,London\n", columns=["full_name", "email", None, "City"])
    assert body["created"] == 1
    [lead] = api.get("/v1/outreach/leads").json()["items"]
    assert (lead["first_name"], lead["last_name"], lead["fields"]) == ("Ada", "King", {"city": "London"})


def test_a_file_without_a_header_loses_no_row(taken):
    body = taken("ada@example.com,Ada\nbob@example.com,Bob\n")
    assert (body["rows"], body["created"]) == (2, 2)


def test_every_slip_of_a_start_is_told_and_nothing_begins(api, upload, prospects):
    made = upload("a,b\nx,y\n")
    path = f"{IMPORTS}/{made['id']}/start"
    assert codes(api.post(path, json={})) == [("columns", "no_email_column")]
    assert codes(api.post(path, json={"columns": ["email"]})) == [("columns", "columns")]
    assert codes(api.post(path, json={"columns": ["email", "email"], "tags": ["a,b"], "lawful_basis": "whim"})) == [
        ("lawful_basis", "choice"), ("tags[0]", "tag"),
    ]  # fmt: skip
    assert codes(api.post(path, json={"columns": ["email", "email"]})) == [("columns[1]", "same_field")]
    assert api.post(path, json={"columns": ["email", None], "list_id": 999}).status_code == 404
    api.delete(f"{LISTS}/{prospects}")
    archived = api.post(path, json={"columns": ["email", None], "list_id": prospects})
    assert (archived.status_code, archived.json()["code"]) == (409, "list_archived")
    assert api.get(f"{IMPORTS}/{made['id']}").json()["state"] == "mapping"


def test_an_import_is_started_once(api, upload):
    made = upload("email\nada@example.com\n")
    path = f"{IMPORTS}/{made['id']}/start"
    assert api.post(path, json={}).status_code == 202
    again = api.post(path, json={})
    assert (again.status_code, again.json()["code"]) == (409, "import_started")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"email" + b",x" * 10_000 + b"\n", "too_many_columns"),
        (b"email," + b"x" * 2_000_000, "line_too_long"),
        (b"PK\x03\x04 and then nothing of a workbook", "not_xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old_workbook"),
    ],
)
def test_what_is_no_file_of_leads_is_refused_and_leaves_nothing(api, database, data, code):
    answer = api.post(IMPORTS, content=data, headers=CSV)
    assert answer.status_code == 400
    assert codes(answer) == [("file", code)]
    assert api.get(IMPORTS).json()["items"] == []
    with database.transaction() as db:
        assert db.execute("SELECT count(*) AS n FROM import_pieces").fetchone()["n"] == 0


def test_a_file_beyond_the_limit_is_refused_at_once(api):
    answer = api.post(IMPORTS, content=b"email\n", headers=CSV | {"Content-Length": str(2**31 + 1)})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_workbook_is_taken_like_any_file(api, taken, prospects):
    made = Workbook()
    for row in (["Email", "First name", "Seats"], ["ada@example.com", "Ada", 12], ["nonsense", "Bob", None]):
        made.active.append(row)
    out = io.BytesIO()
    made.save(out)
    body = taken(out.getvalue(), list_id=prospects)
    assert (body["kind"], body["state"]) == ("xlsx", "done")
    assert totals(body) == {"rows": 2, "created": 1, "updated": 0, "duplicate": 0, "suppressed": 0, "invalid": 1}
    [lead] = api.get(f"{LISTS}/{prospects}/leads").json()["items"]
    assert lead["fields"] == {"seats": "12"}


def test_a_form_carries_a_file_of_many_pieces(api, work_off):
    """Three pieces and a bit, read again in order."""
    rows = "".join(f"p{n}@example.com,{'x' * 1_000}\n" for n in range(3_300))
    answer = api.post(IMPORTS, files={"file": ("Grüße.csv", f"email,note\n{rows}".encode(), "text/csv")})
    made = answer.json()
    assert made["filename"] == "Grüße.csv"
    api.post(f"{IMPORTS}/{made['id']}/start", json={"columns": ["email", None]})
    work_off()
    assert api.get(f"{IMPORTS}/{made['id']}").json()["created"] == 3_300


def test_known_leads_are_left_as_they_are_where_that_is_asked_for(api, prospects, taken):
    api.post("/v1/outreach/leads", json={"email": "ada@example.com", "first_name": "Ada"})
    body = taken("email,name\nada@example.com,Other\nbob@example.com,Bob\n", list_id=prospects, existing="skip")
    assert (body["created"], body["updated"], body["duplicate"]) == (1, 0, 1)
    [reject] = api.get(f"{IMPORTS}/{body['id']}/rejects").json()["items"]
    assert "there already" in reject["reason"]
    names = {lead["email"]: lead["first_name"] for lead in api.get("/v1/outreach/leads").json()["items"]}
    assert names == {"ada@example.com": "Ada", "bob@example.com": "Bob"}


def test_where_a_lead_first_came_from_stays_and_tags_add_up(api, taken):
    taken("email\nada@example.com\n", source="Fair", tags=["a"])
    assert taken("email\nada@example.com\n", source="Web", lawful_basis="consent", tags=["b", "a"])["updated"] == 1
    [lead] = api.get("/v1/outreach/leads").json()["items"]
    assert (lead["source"], lead["lawful_basis"], lead["tags"]) == ("Fair", "consent", ["a", "b"])


def test_a_second_upload_undoes_no_opt_out(api, taken, prospects):
    taken("email\nada@example.com\nbob@example.com\n", list_id=prospects)
    api.post("/v1/outreach/suppressions", json={"value": "ada@example.com", "reason": "unsubscribed"})
    again = taken("email\nada@example.com\nbob@example.com\n", list_id=prospects)
    assert totals(again) == {"rows": 2, "created": 0, "updated": 1, "duplicate": 0, "suppressed": 1, "invalid": 0}
    states = {lead["email"]: lead["status"] for lead in api.get("/v1/outreach/leads").json()["items"]}
    assert states == {"ada@example.com": "unsubscribed", "bob@example.com": "active"}


def test_two_workers_take_one_file_uploaded_twice(api, upload, database, worker, prospects, together):
    rows = "email\n" + "".join(f"p{n}@example.com\n" for n in range(1_500))
    ids = [upload(rows)["id"] for _ in range(2)]
    for each in ids:
        api.post(f"{IMPORTS}/{each}/start", json={"list_id": prospects})
    assert together(*[lambda: taking.take_next(database, worker, LEASE)] * 2) == [True, True]
    bodies = [api.get(f"{IMPORTS}/{each}").json() for each in ids]
    assert sorted((body["state"], body["created"], body["updated"]) for body in bodies) == [
        ("done", 0, 1_500), ("done", 1_500, 0),
    ]  # fmt: skip
    assert api.get(f"{LISTS}/{prospects}").json()["leads"] == 1_500


def test_a_cancel_before_and_in_the_middle_takes_nothing(api, upload, database, worker, work_off):
    first, second = upload("email\nada@example.com\n"), upload("email\nbob@example.com\n")
    assert api.post(f"{IMPORTS}/{first['id']}/cancel").json()["state"] == "cancelled"
    api.post(f"{IMPORTS}/{second['id']}/start", json={})

    def stopping():
        """Asked once the rows have come to the worker, and before they are taken."""
        assert api.post(f"{IMPORTS}/{second['id']}/cancel").json()["state"] == "cancelled"
        return False

    assert taking.take_next(database, worker, LEASE, stopping=stopping)
    assert api.get(f"{IMPORTS}/{second['id']}").json()["state"] == "cancelled"
    assert api.get("/v1/outreach/leads").json()["items"] == []
    over = api.post(f"{IMPORTS}/{second['id']}/cancel")
    assert (over.status_code, over.json()["code"]) == (409, "import_over")
    assert work_off() == 0
    with database.transaction() as db:
        assert db.execute("SELECT count(*) AS n FROM import_pieces").fetchone()["n"] == 0


def test_what_comes_after_a_large_file_is_done_piece_by_piece_and_once(api, database, prospects, taken):
    people = "".join(f"p{n}@example.com,Paris\n" for n in range(imports.FEW + 1))
    body = taken(f"email,city\n{people}", list_id=prospects, tags=["fair"])
    assert (body["state"], body["created"], body["indexing"]) == ("done", imports.FEW + 1, True)

    def found(**asked):
        return {each["email"] for each in api.get("/v1/outreach/leads", params=asked).json()["items"]}

    def told():
        with database.transaction() as db:
            return db.execute("SELECT lead_id, data FROM events WHERE type = 'lead.created'").fetchall()

    assert found(list_id=prospects, limit=1) == found(tag="fair", limit=1) == {"p0@example.com"}
    assert (found(search="p1000"), told()) == (set(), [])
    bulk = {"filter": {"search": "p1000"}, "action": "add_tags", "tags": ["whole"]}
    assert api.post("/v1/outreach/leads/bulk", json=bulk).json() == {"found": 1, "changed": 1, "more": False}
    with database.transaction() as held, database.transaction() as db:
        held.execute("SELECT FROM leads WHERE email = 'p11@example.com' FOR UPDATE")
        assert imports.arrive(db, 500)
    assert "p11@example.com" not in found(search="p1", limit=100)  # somebody held it: it comes later
    while taking.index_next(database):
        pass
    assert found(search="p1000") == found(tag="whole") == {"p1000@example.com"}
    events = told()
    assert len(events) == len({event["lead_id"] for event in events}) == imports.FEW + 1
    assert {event["data"]["list_id"] for event in events} == {prospects}
    assert api.get(f"{IMPORTS}/{body['id']}").json()["indexing"] is False


def test_a_cancel_while_rows_are_being_taken_rolls_them_back(api, upload, database, worker):
    """The worker has taken every row and says its last word: the import is cancelled, and none of them stays."""
    made = upload("email\nada@example.com\n")
    api.post(f"{IMPORTS}/{made['id']}/start", json={})
    with database.transaction() as db:
        it = imports.claim(db, worker, LEASE)
    with database.transaction() as db:
        totals = imports.take(db, it.workspace_id, None, [])
        api.post(f"{IMPORTS}/{made['id']}/cancel")
        assert not imports.finish(db, it, totals, b"[]")
    assert api.get(f"{IMPORTS}/{made['id']}").json()["state"] == "cancelled"


def test_what_a_dead_worker_held_is_begun_anew_and_its_last_word_is_not_heard(api, upload, database, worker, work_off):
    made = upload("email\nada@example.com\n")
    api.post(f"{IMPORTS}/{made['id']}/start", json={})
    with database.transaction() as db:
        gone = workers.register(db, "imports", "host", 2)
        it = imports.claim(db, gone, LEASE)
        assert imports.claim(db, worker, LEASE) is None
    with database.transaction() as db:
        workers.leave(db, gone)
    assert work_off() == 1
    with database.transaction() as db:
        assert not imports.progress(db, it, phase="reading", rows=1, size=1)
        assert not imports.finish(db, it, imports.take(db, it.workspace_id, None, []), b"[]")
    body = api.get(f"{IMPORTS}/{made['id']}").json()
    assert (body["state"], body["created"]) == ("done", 1)


def test_an_import_that_kills_its_workers_is_given_up(api, upload, database, work_off):
    made = upload("email\nada@example.com\n")
    api.post(f"{IMPORTS}/{made['id']}/start", json={})
    for number in range(taking.MOST_ATTEMPTS):
        with database.transaction() as db:
            gone = workers.register(db, "imports", "host", number)
            assert imports.claim(db, gone, LEASE)
            workers.leave(db, gone)
    assert work_off() == 1
    body = api.get(f"{IMPORTS}/{made['id']}").json()
    assert (body["state"], [fault["code"] for fault in body["faults"]]) == ("failed", ["given_up"])


def test_a_worker_that_is_told_to_stop_puts_the_import_back(api, upload, database, worker, work_off):
    made = upload("email\nada@example.com\n")
    api.post(f"{IMPORTS}/{made['id']}/start", json={})
    taking.take_next(database, worker, LEASE, stopping=lambda: True)
    assert api.get(f"{IMPORTS}/{made['id']}").json()["state"] == "queued"
    assert work_off() == 1
    assert api.get(f"{IMPORTS}/{made['id']}").json()["created"] == 1


def test_a_lead_that_somebody_else_adds_at_this_moment_lets_the_import_begin_anew(
    api, upload, database, worker, work_off
):
    """A large file, of whose addresses another transaction holds one that is not committed yet."""
    made = upload("email\n" + "".join(f"p{n}@example.com\n" for n in range(1_500)))
    api.post(f"{IMPORTS}/{made['id']}/start", json={})
    with database.session() as other:
        other.execute("BEGIN")
        other.execute("INSERT INTO leads (workspace_id, email) SELECT min(id), 'p7@example.com' FROM workspaces")
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(taking.take_next, database, worker, LEASE)
            while not waits(database):
                assert not first.done()
            other.execute("COMMIT")
            assert first.result(timeout=60)
    assert api.get(f"{IMPORTS}/{made['id']}").json()["state"] == "queued"
    assert work_off() == 1
    body = api.get(f"{IMPORTS}/{made['id']}").json()
    assert (body["state"], body["created"], body["updated"]) == ("done", 1_499, 1)


def test_a_file_that_turns_out_to_be_none_fails_with_the_reason(api, upload, work_off):
    made = upload(b"email\nada@example.com\n" + b"x@example.com\n" * 200_000 + b"y" * 3_000_000)
    api.post(f"{IMPORTS}/{made['id']}/start", json={})
    work_off()
    body = api.get(f"{IMPORTS}/{made['id']}").json()
    assert (body["state"], [fault["code"] for fault in body["faults"]]) == ("failed", ["line_too_long"])
    assert api.get("/v1/outreach/leads").json()["items"] == []


def test_a_list_that_is_put_away_meanwhile_fails_the_import(api, upload, prospects, work_off):
    made = upload("email\nada@example.com\n")
    api.post(f"{IMPORTS}/{made['id']}/start", json={"list_id": prospects})
    api.delete(f"{LISTS}/{prospects}")
    work_off()
    body = api.get(f"{IMPORTS}/{made['id']}").json()
    assert (body["state"], [fault["code"] for fault in body["faults"]]) == ("failed", ["list_archived"])
    assert api.get("/v1/outreach/leads").json()["items"] == []


def test_what_mails_of_the_lists_campaigns_lack_is_counted(api, prospects, taken):
    step = {"position": 0, "subjects": ["Hi {{FIRST_NAME}}"], "body": "<p>{{JOB_TITLE}} at {{COMPANY | 'work'}}</p>"}
    campaign = api.post(
        "/v1/outreach/campaigns", json={"name": "Spring", "lists": [{"id": prospects}], "steps": [step]}
    )
    text = "email,first_name,job_title\nada@example.com,Ada,\nbob@example.com,,Clerk\ncid@example.com,,\n"
    body = taken(text, list_id=prospects)
    assert body["missing"] == [
        {"campaign_id": campaign.json()["id"], "campaign": "Spring", "field": "first_name", "leads": 2},
        {"campaign_id": campaign.json()["id"], "campaign": "Spring", "field": "job_title", "leads": 2},
    ]


def test_an_import_is_followed_until_it_is_over(api, upload, work_off):
    made = upload("email\nada@example.com\n")
    path = f"{IMPORTS}/{made['id']}"
    api.post(f"{path}/start", json={})
    waiting = api.get(f"{path}/progress", params={"seconds": 0}).text
    assert '"state":"queued"' in waiting
    work_off()
    stream = api.get(f"{path}/progress")
    assert stream.headers["content-type"].startswith("text/event-stream")
    [data] = [line.removeprefix("data: ") for line in stream.text.splitlines() if line.startswith("data:")]
    assert msgspec.json.decode(data)["state"] == "done"


def test_a_running_import_says_how_far_it_is(api, upload, database, worker):
    made = upload("email\nada@example.com\n")
    api.post(f"{IMPORTS}/{made['id']}/start", json={})
    with database.transaction() as db:
        it = imports.claim(db, worker, LEASE)
        imports.progress(db, it, phase="reading", rows=1, size=made["bytes"] // 2)
    far = api.get(f"{IMPORTS}/{made['id']}").json()["progress"]
    assert (far["phase"], far["rows_read"]) == ("reading", 1)
    assert 0 < far["done"] < 0.31
    assert far["seconds_left"] >= 1
    with database.transaction() as db:
        imports.progress(db, it, phase="taking", rows=1, size=made["bytes"])
    assert api.get(f"{IMPORTS}/{made['id']}").json()["progress"]["done"] > 0.3


def test_a_stranger_and_a_viewer_change_nothing(api, stranger, viewer, upload):
    made = upload("email\nada@example.com\n")["id"]
    for path in (f"{IMPORTS}/{made}", f"{IMPORTS}/{made}/progress"):
        assert stranger.get(path).status_code == 404
    assert stranger.post(f"{IMPORTS}/{made}/start", json={}).status_code == 404
    assert stranger.post(f"{IMPORTS}/{made}/cancel").status_code == 404
    assert viewer.get(f"{IMPORTS}/{made}").status_code == 200
    assert viewer.post(f"{IMPORTS}/{made}/start", json={}).status_code == 403
    assert viewer.post(IMPORTS, content=b"email\n", headers=CSV).status_code == 403
    assert api.get(f"{IMPORTS}/{made}").json()["state"] == "mapping"


def test_files_that_nobody_starts_are_forgotten(api, upload, database, clock):
    made = upload("email\nada@example.com\n")["id"]
    with database.transaction() as db:
        imports.receive(db, 1, "broken off.csv")
        imports.tidy(db, received_before=clock(), mapped_before=clock())
        assert db.execute("SELECT count(*) AS n FROM imports").fetchone()["n"] == 2
        clock.forward(days=1)
        imports.tidy(db, received_before=clock(), mapped_before=clock())
        assert db.execute("SELECT count(*) AS n FROM imports").fetchone()["n"] == 1
        assert db.execute("SELECT count(*) AS n FROM import_pieces").fetchone()["n"] == 0
    assert api.get(f"{IMPORTS}/{made}").json()["state"] == "cancelled"


CELLS = st.sampled_from(
    [
        "",
        "ada@a.example",
        "ADA@a.example",
        "bob@b.example",
        "out@b.example",
        "x@banned.example",
        "nonsense",
        "\0",
        'q"',
        "a;b",
        "é",
    ]
)


@given(table=st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=12), end=st.sampled_from(["\n", "\r\n", "\r"]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_in_are_rows_accounted_for_in_any_file(api, taken, database, table, end):
    api.post("/v1/outreach/suppressions", json={"value": "out@b.example"})
    api.post("/v1/outreach/suppressions", json={"value": "banned.example"})
    before = {lead["email"] for lead in api.get("/v1/outreach/leads").json()["items"]}
    text = "email,name" + end + "".join(",".join(row) + end for row in table)
    body = taken(text)
    assert body["state"] == "done"
    assert body["rows"] == sum(body[name] for name in FIGURES[1:])
    rejects = api.get(f"{IMPORTS}/{body['id']}/rejects", params={"limit": 200}).json()["items"]
    assert len(rejects) == body["duplicate"] + body["suppressed"] + body["invalid"]
    after = {lead["email"] for lead in api.get("/v1/outreach/leads").json()["items"]}
    assert len(after) == len(before) + body["created"]
    assert after <= {"ada@a.example", "bob@b.example"}
