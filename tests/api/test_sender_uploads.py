"""Many senders by one file: a verdict for each row, and a test for each sender before it may send."""

import threading
from types import SimpleNamespace

import pytest

from cleanmails.actors import trials
from cleanmails.demo import certificates
from cleanmails.demo.catcher import server as catcher
from cleanmails.ledger import workers
from cleanmails.vault import Vault

PATH = "/v1/outreach/sender-uploads"
PASSWORD = "p4ssw0rd of the mailbox"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(authority):
    users = {f"{name}@agency.example": PASSWORD for name in ("ann", "bob")}
    with catcher.running(certificates=authority, credentials=users) as running:
        yield running


@pytest.fixture
def environ(authority):
    return {"CLEANMAILS_CA_FILE": str(authority.authority)}


@pytest.fixture
def work(database, settings):
    """What the worker that tries senders out has in hands."""
    return SimpleNamespace(
        database=database,
        settings=settings,
        vault=Vault.from_settings(settings),
        clock=workers.now,
        stop=threading.Event(),
    )


def upload(api, text, **params):
    answer = api.post(PATH, content=text.encode(), params=params, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["rows"] == made["created"] + made["updated"] + made["skipped"] + made["invalid"]
    return made


def rows(api, made):
    return {row["line"]: row for row in api.get(f"{PATH}/{made['id']}/rows").json()["items"]}


def senders(api):
    return {each["address"]: each for each in api.get("/v1/outreach/senders").json()["items"]}


def of(server, *people, head="address,name,smtp_host,smtp_port,smtp_password,daily_limit"):
    lines = [
        f"{address},{name},127.0.0.1,{server.port},{password},{limit}" for address, name, password, limit in people
    ]
    return "\n".join([head, *lines, ""])


def test_each_row_has_its_verdict_with_all_its_faults(api, server):
    text = of(
        server,
        ("Ann@Agency.example", "Ann", PASSWORD, 40),
        ("nobody", "x" * 400, PASSWORD, -1),
        ("ann@agency.example", "Ann again", PASSWORD, 40),
        ("bob@agency.example", "Bob", PASSWORD, "many"),
    )
    made = upload(api, text, filename="senders.csv")
    assert (made["filename"], made["rows"], made["created"], made["skipped"], made["invalid"]) == (
        "senders.csv",
        4,
        1,
        1,
        2,
    )
    assert made["tests"] == {"waiting": 1, "passed": 0, "failed": 0}
    found = {
        line: (row["verdict"], {fault["field"] for fault in row["faults"]}) for line, row in rows(api, made).items()
    }
    assert found == {
        2: ("created", set()),
        3: ("invalid", {"address", "name", "daily_limit"}),
        4: ("skipped", {"address"}),
        5: ("invalid", {"daily_limit"}),
    }
    (ann,) = senders(api).values()
    assert (ann["address"], ann["name"], ann["daily_limit"]) == ("ann@agency.example", "Ann", 40)
    assert (ann["status"], ann["status_reason"]) == ("restricted", "not_tested"), "it sends nothing before its test"


def test_a_worker_tries_each_out_and_lets_those_send_that_pass(api, server, work):
    made = upload(api, of(server, ("ann@agency.example", "", PASSWORD, 5), ("bob@agency.example", "", "wrong", 5)))
    assert trials.next_few(work) == 2
    assert trials.next_few(work) == 0
    assert api.get(f"{PATH}/{made['id']}").json()["tests"] == {"waiting": 0, "passed": 1, "failed": 1}
    found = rows(api, made)
    assert (found[2]["test"], found[3]["test"]) == ("passed", "failed")
    assert [fault["field"] for fault in found[3]["faults"]] == ["smtp_password"]
    assert {address: each["status"] for address, each in senders(api).items()} == {
        "ann@agency.example": "ready",
        "bob@agency.example": "restricted",
    }


def test_a_second_upload_skips_or_updates_and_a_pause_stays_one(api, server, work):
    text = of(server, ("ann@agency.example", "Ann", PASSWORD, 5), ("bob@agency.example", "Bob", PASSWORD, 5))
    upload(api, text)
    trials.next_few(work)
    api.post(f"/v1/outreach/senders/{senders(api)['bob@agency.example']['id']}/pause")
    assert upload(api, text)["skipped"] == 2
    limits = "address,daily_limit\nann@agency.example,7\n"
    made = upload(api, limits, existing="update")
    assert (made["updated"], made["tests"]["waiting"]) == (1, 0), "nothing new was said of its server"
    assert (senders(api)["ann@agency.example"]["daily_limit"], senders(api)["ann@agency.example"]["status"]) == (
        7,
        "ready",
    )
    assert upload(api, text, existing="update")["tests"]["waiting"] == 2
    assert {each["status"] for each in senders(api).values()} == {"restricted", "paused"}
    trials.next_few(work)
    assert {address: each["status"] for address, each in senders(api).items()} == {
        "ann@agency.example": "ready",
        "bob@agency.example": "paused",
    }


def test_a_sender_that_is_gone_before_its_test_has_failed_it(api, server, work):
    made = upload(api, of(server, ("ann@agency.example", "", PASSWORD, 5)))
    api.delete(f"/v1/outreach/senders/{senders(api)['ann@agency.example']['id']}")
    assert trials.next_few(work) == 1
    assert [fault["code"] for fault in rows(api, made)[2]["faults"]] == ["not_found"]


def test_no_password_comes_out_again(api, server, lines, database):
    made = upload(api, of(server, ("ann@agency.example", "", PASSWORD, 5), ("nobody", "", PASSWORD, 5)))
    shown = api.get(f"{PATH}/{made['id']}/rows").text + api.get(f"{PATH}/{made['id']}/rows.csv").text + repr(lines())
    with database.transaction() as db:
        shown += repr(db.execute("SELECT * FROM sender_uploads, sender_upload_rows").fetchall())
    assert PASSWORD not in shown


def test_the_account_can_be_downloaded_safely(api, server):
    made = upload(api, of(server, ("=cmd@agency.example", "", PASSWORD, 5)))
    answer = api.get(f"{PATH}/{made['id']}/rows.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "'=cmd@agency.example" in answer.text


def test_a_file_that_is_none_is_refused_and_others_do_not_see_what_came(api, server, viewer, stranger):
    for text, code in (("", "empty"), ("name\nAnn\n", "no_address_column")):
        answer = api.post(PATH, content=text.encode(), headers={"Content-Type": "text/csv"})
        assert answer.json()["faults"][0]["code"] == code
    made = upload(api, of(server, ("ann@agency.example", "", PASSWORD, 5)))
    assert viewer.get(f"{PATH}/{made['id']}").status_code == 403
    assert viewer.post(PATH, content=b"address\n", headers={"Content-Type": "text/csv"}).status_code == 403
    for path in (f"{PATH}/{made['id']}", f"{PATH}/{made['id']}/rows", f"{PATH}/{made['id']}/rows.csv"):
        assert stranger.get(path).status_code == 404
    assert stranger.get(PATH).json()["items"] == []
