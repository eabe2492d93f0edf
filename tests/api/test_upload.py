"""Uploads: a file as people have it, good rows taken and every other one told of; nothing in memory whole, nothing undone."""

import csv
import io
import tracemalloc

import pytest

LISTS = "/v1/outreach/lists"
IMPORTS = "/v1/outreach/imports"
CSV = {"Content-Type": "text/csv"}


@pytest.fixture
def prospects(api):
    return api.post(LISTS, json={"name": "Prospects"}).json()["id"]


@pytest.fixture
def upload(api, prospects):
    def send(data, **rest):
        data = data.encode() if isinstance(data, str) else data
        return api.post(f"{LISTS}/{prospects}/upload", content=data, headers=CSV, **rest)

    return send


def totals(body):
    return {name: body[name] for name in ("rows", "created", "updated", "duplicate", "suppressed", "invalid")}


def test_good_rows_are_taken_and_each_broken_one_is_told_of(api, upload, prospects):
    api.post("/v1/outreach/suppressions", json={"value": "left@example.com"})
    api.post("/v1/outreach/leads", json={"email": "known@example.com", "first_name": "K"})
    text = (
        "\ufeffE-Mail;First name;Surname;Company;Job title\r\n"
        "ada@example.com;Ada;Lovelace;Engines;Analyst\r\n"
        "nonsense;Bob;;;\r\n"
        "known@example.com;;Known;;Clerk\r\n"
        'left@example.com;"Lea\r\nLeft";;;\r\n'
        "\r\n"
        "ADA@example.com;Again;;;\r\n"
        "eve@example.com;too;many;cells;in;this;row\r\n"
    )
    answer = upload(text, params={"filename": "people.csv"})
    assert answer.status_code == 201
    body = answer.json()
    assert totals(body) == {"rows": 6, "created": 1, "updated": 1, "duplicate": 1, "suppressed": 1, "invalid": 2}
    assert (body["list_id"], body["filename"]) == (prospects, "people.csv")
    assert [(reject["line"], reject["verdict"]) for reject in body["rejects"]] == [
        (3, "invalid"), (5, "suppressed"), (8, "duplicate"), (9, "invalid"),
    ]  # fmt: skip
    assert body["rejects"][0] == {
        "line": 3, "verdict": "invalid", "reason": "An email address must have an @-sign.", "raw": "nonsense;Bob;;;",
    }  # fmt: skip
    leads = {lead["email"]: lead for lead in api.get(f"{LISTS}/{prospects}/leads").json()["items"]}
    assert set(leads) == {"ada@example.com", "known@example.com"}
    assert leads["ada@example.com"]["fields"] == {"job_title": "Analyst"}
    assert (leads["known@example.com"]["first_name"], leads["known@example.com"]["last_name"]) == ("K", "Known")


def test_a_form_carries_the_file_and_its_name(api, prospects):
    files = {"file": ("Grüße.csv", b"email,name\nada@example.com,Ada\n", "text/csv")}
    body = api.post(f"{LISTS}/{prospects}/upload", files=files, data={"note": "ignored"}).json()
    assert (totals(body)["created"], body["filename"]) == (1, "Grüße.csv")


@pytest.mark.parametrize(
    ("sent", "headers"),
    [
        ({"data": {"other": "x"}}, {}),
        ({"json": {"file": "email"}}, {}),
        ({"content": b""}, {}),
        ({"content": b"x"}, {"Content-Type": "multipart/form-data"}),
        ({"content": b"nonsense"}, {"Content-Type": "multipart/form-data; boundary=x"}),
    ],
)
def test_what_carries_no_file_is_told_how_to(api, prospects, sent, headers):
    answer = api.post(f"{LISTS}/{prospects}/upload", headers=headers, **sent)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"name,phone\nAda,1\n", "no_email_column"),
        (b"ada@example.com,Ada\n", "no_email_column"),
        (b"email," + b"x" * 2_000_000, "line_too_long"),
        (b"email" + b",x" * 10_000 + b"\n", "too_many_columns"),
        (b'email,"name\nada@example.com,Ada\n', "header"),
    ],
)
def test_what_is_no_table_of_leads_is_refused_and_leaves_nothing(api, upload, prospects, data, code):
    answer = upload(data)
    assert answer.status_code == 400
    assert [(fault["field"], fault["code"]) for fault in answer.json()["faults"]] == [("file", code)]
    assert api.get(IMPORTS).json()["items"] == []


def test_a_header_alone_brings_nobody(upload):
    body = upload("email,name\n").json()
    assert totals(body) == {"rows": 0, "created": 0, "updated": 0, "duplicate": 0, "suppressed": 0, "invalid": 0}


def test_nuls_mixed_encodings_and_formulas_are_survived(api, upload, prospects):
    data = b"email,name\nada@example.com,\0\nbob@example.com,J\xfcrgen\nzoe@example.com,Zo\xc3\xab\n=cmd()@example.com,=1+1\n"
    body = upload(data).json()
    assert totals(body) == {"rows": 4, "created": 2, "updated": 0, "duplicate": 0, "suppressed": 0, "invalid": 2}
    names = {lead["first_name"] for lead in api.get(f"{LISTS}/{prospects}/leads").json()["items"]}
    assert names == {"Jürgen", "Zoë"}
    lines = api.get(f"{IMPORTS}/{body['id']}/rejects.csv").text.splitlines()
    assert lines[-1].startswith("5,invalid,")
    assert ",'=cmd" in lines[-1].replace('"', "")


def test_the_same_file_twice_changes_nothing(api, upload, prospects):
    text = "email,name\nada@example.com,Ada\nbob@example.com,Bob\n"
    assert upload(text).json()["created"] == 2
    before = api.get(f"{LISTS}/{prospects}/leads").json()
    again = upload(text).json()
    assert (again["created"], again["updated"]) == (0, 2)
    assert api.get(f"{LISTS}/{prospects}/leads").json() == before


def test_rows_that_were_not_taken_are_read_in_pages_and_downloaded(api, upload):
    body = upload("email\n" + "".join(f"broken {n}\n" for n in range(130)) + "ada@example.com\n").json()
    assert len(body["rejects"]) == 100
    path = f"{IMPORTS}/{body['id']}"
    assert api.get(path).json() == {name: value for name, value in body.items() if name != "rejects"}
    first = api.get(f"{path}/rejects", params={"limit": 90}).json()
    rest = api.get(f"{path}/rejects", params={"limit": 90, "after": first["next"]}).json()
    assert [reject["line"] for reject in [*first["items"], *rest["items"]]] == list(range(2, 132))
    download = api.get(f"{path}/rejects.csv")
    assert download.headers["content-type"].startswith("text/csv")
    assert "attachment" in download.headers["content-disposition"]
    table = list(csv.reader(io.StringIO(download.text)))
    assert table[0] == ["line", "verdict", "reason", "raw"]
    assert [row[3] for row in table[1:]] == [f"broken {n}" for n in range(130)]


def test_imports_are_listed(api, upload, prospects):
    made = [upload("email\n").json()["id"] for _ in range(2)]
    assert [each["id"] for each in api.get(IMPORTS).json()["items"]] == made
    assert [each["id"] for each in api.get(IMPORTS, params={"list_id": prospects}).json()["items"]] == made
    assert api.get(IMPORTS, params={"list_id": prospects + 1}).json()["items"] == []
    assert api.get(IMPORTS, params={"list_id": 10**30}).status_code == 400


def test_an_import_of_another_workspace_is_not_there(api, stranger, upload):
    made = upload("email\nbroken\n").json()["id"]
    for path in (f"{IMPORTS}/{made}", f"{IMPORTS}/{made}/rejects", f"{IMPORTS}/{made}/rejects.csv"):
        assert stranger.get(path).status_code == 404
    assert stranger.get(IMPORTS).json()["items"] == []


@pytest.mark.asvs("5.2.1", "2.3.2")
def test_a_file_above_the_limit_is_refused(api, prospects):
    answer = api.post(f"{LISTS}/{prospects}/upload", content=b"email\n", headers=CSV | {"Content-Length": "60000000"})
    assert answer.status_code == 413
    assert "POST /v1/outreach/imports" in answer.json()["detail"]


def test_a_large_file_never_stands_in_memory(upload):
    """Eight megabytes of long rows; what the process holds at its worst is less than half of them, the client's own copy not counted."""
    row = b"broken row " + b"x" * 1_000 + b"\n"
    data = b"email\n" + row * 8_000
    tracemalloc.start()
    try:
        body = upload(data).json()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert body["invalid"] == 8_000
    assert peak < len(data) * 1.5
