"""A list's addresses, looked at by a worker: classes, reasons, progress, and who goes on when it dies."""

from datetime import UTC, datetime

import pytest
from disposable_email_domains import blocklist
from msgspec.structs import replace

from cleanmails.actors import validate
from cleanmails.demo.zone import Fault, Zone, serving
from cleanmails.ledger import validations

NOW = datetime(2030, 1, 31, 9, tzinfo=UTC)
BURNER = min(blocklist)
PEOPLE = {
    "ann@firm.example": ("valid", []),
    "info@firm.example": ("role", ["role"]),
    "bob@gone.example": ("invalid", ["no_such_domain"]),
    "cy@null.example": ("invalid", ["no_such_domain"]),
    "di@broken.example": ("pending", ["dns_failed"]),
    f"ed@{BURNER}": ("disposable", ["disposable"]),
}


@pytest.fixture
def zone():
    zone = Zone()
    zone.add("firm.example", "MX", "10 mx.firm.example.")
    zone.add("null.example", "MX", "0 .")
    zone.add(BURNER, "MX", "10 mx.burner.example.")
    zone.fail("broken.example", Fault.SERVFAIL)
    return zone


@pytest.fixture
def configured(configured, zone):
    with serving(zone) as port:
        yield replace(configured, dns_servers=(("127.0.0.1", port),))


@pytest.fixture
def listed(house):
    """The list of all of them."""
    made = house.one("INSERT INTO lists (workspace_id, name) VALUES (%s, 'All') RETURNING id", house.workspace)
    for lead in house.leads(*PEOPLE):
        house.run("INSERT INTO list_leads (list_id, lead_id) VALUES (%s, %s)", made, lead)
    return made


def begin(house, work, listed, *, again=False):
    with work.database.transaction() as db:
        return validations.create(db, house.workspace, listed, again=again, now=NOW)["id"]


def read(house, work, job):
    with work.database.transaction() as db:
        return validations.read(db, house.workspace, job)


def classes(house):
    rows = house.all("SELECT email, validation, validation_reasons FROM leads ORDER BY id")
    return {row["email"]: (row["validation"], row["validation_reasons"]) for row in rows}


def test_every_lead_has_its_class_and_the_reasons(house, work, listed):
    job = begin(house, work, listed)
    assert validate.next_job(work)
    assert classes(house) == PEOPLE
    row = read(house, work, job)
    assert (row["state"], row["looked"], row["total"], row["changed"]) == ("done", 6, 6, 5)
    assert row["counts"] == {"valid": 1, "role": 1, "invalid": 2, "pending": 1, "disposable": 1}
    assert not validate.next_job(work), "nothing is left to do"
    told = house.all("SELECT data FROM events WHERE type = 'lead.validated' ORDER BY id")
    assert {row["data"]["email"]: row["data"]["validation"] for row in told} == {
        email: found for email, (found, _) in PEOPLE.items() if found != "pending"
    }


def test_a_second_look_asks_only_for_what_is_open_and_all_if_it_is_told_so(house, work, listed, zone):
    begin(house, work, listed)
    validate.next_job(work)
    before = len(zone.asked)
    zone.fail("broken.example", None)
    zone.add("broken.example", "MX", "10 mx.firm.example.")
    job = begin(house, work, listed)
    validate.next_job(work)
    assert {name.lower() for name, _ in zone.asked[before:]} == {"broken.example"}
    assert classes(house)["di@broken.example"] == ("valid", [])
    assert read(house, work, job)["counts"] == {"valid": 2, "role": 1, "invalid": 2, "disposable": 1}
    house.run("UPDATE leads SET validation = 'invalid' WHERE email = 'ann@firm.example'")
    begin(house, work, listed, again=True)
    validate.next_job(work)
    assert classes(house)["ann@firm.example"] == ("valid", [])


def test_who_bounced_or_left_keeps_what_is_known(house, work, listed):
    house.run("UPDATE leads SET status = 'bounced', validation = 'invalid' WHERE email = 'ann@firm.example'")
    begin(house, work, listed, again=True)
    validate.next_job(work)
    assert classes(house)["ann@firm.example"] == ("invalid", [])


def test_it_goes_on_where_a_dead_worker_came_to(house, new_work, listed, monkeypatch):
    monkeypatch.setattr(validate, "BATCH", 2)
    first, second = new_work(), new_work()
    job = begin(house, first, listed)
    judge, judged = validate._judge, []

    def dies(leads, accepts):
        judged.append(len(leads))
        if len(judged) == 2:
            house.run("UPDATE workers SET seen_at = now() - interval '1 hour' WHERE id = %s", first.worker_id)
            assert validate.next_job(second), "the lease is over: another worker takes it"
        return judge(leads, accepts)

    monkeypatch.setattr(validate, "_judge", dies)
    assert validate.next_job(first)
    assert judged == [2, 2, 2, 2], (
        "the second batch was done by the second worker, and what the first found of it was not written"
    )
    row = read(house, first, job)
    assert (row["state"], row["looked"], sum(row["counts"].values())) == ("done", 6, 6)
    assert classes(house) == PEOPLE


def test_a_cancelled_job_stops_after_its_batch_and_keeps_what_was_found(house, work, listed, monkeypatch):
    monkeypatch.setattr(validate, "BATCH", 2)
    job = begin(house, work, listed)
    judge = validate._judge

    def cancels(leads, accepts):
        if leads[0]["email"] == "bob@gone.example":
            with work.database.transaction() as db:
                validations.cancel(db, house.workspace, job, now=NOW)
        return judge(leads, accepts)

    monkeypatch.setattr(validate, "_judge", cancels)
    validate.next_job(work)
    row = read(house, work, job)
    assert (row["state"], row["looked"]) == ("cancelled", 2)
    assert [found for found, _ in classes(house).values()] == ["valid", "role", *["pending"] * 4]


def test_a_worker_that_stops_leaves_the_job_to_the_next(house, new_work, listed, monkeypatch):
    first = new_work()
    begin(house, first, listed)
    judge = validate._judge

    def stops(leads, accepts):
        first.stop.set()
        return judge(leads, accepts)

    monkeypatch.setattr(validate, "_judge", stops)
    monkeypatch.setattr(validate, "BATCH", 2)
    validate.next_job(first)
    assert house.one("SELECT state FROM validations") == "queued"
    monkeypatch.setattr(validate, "_judge", judge)
    assert validate.next_job(new_work())
    assert classes(house) == PEOPLE
