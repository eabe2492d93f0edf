"""Mailboxes: written as a whole, held while they change, and counted by the UTC day."""

from datetime import UTC, date, datetime

import pytest
from msgspec.structs import replace

from cleanmails.errors import ConflictError, NotFoundError
from cleanmails.ledger import deliveries, senders
from cleanmails.ledger.senders import Mailbox
from cleanmails.records import Security, SenderStatus

NOW = datetime(2030, 1, 31, 9, tzinfo=UTC)
TODAY = NOW.date()
MAILBOX = Mailbox(
    name="Ann",
    reply_to=None,
    signature="",
    smtp_host="smtp.agency.example",
    smtp_port=587,
    smtp_security=Security.STARTTLS,
    smtp_username="ann",
    smtp_sealed=b"sealed",
    imap_host=None,
    imap_port=None,
    imap_security=None,
    imap_username=None,
    imap_sealed=None,
    daily_limit=50,
    min_gap_seconds=30,
    max_gap_seconds=90,
    ramp_from=None,
    ramp_start=None,
    ramp_step=None,
    ramp_ceiling=None,
    status=SenderStatus.READY,
    status_reason=None,
    tested_at=NOW,
)


@pytest.fixture
def sender(db, house):
    return create(db, house, "ann@agency.example")


def create(db, house, address):
    made = senders.next_id(db)
    senders.create(db, house.workspace, made, address, MAILBOX, now=NOW)
    return made


def read(db, house, sender, today=TODAY):
    return senders.read(db, house.workspace, sender, today=today)


def test_a_sender_is_read_as_it_was_written(db, house, sender):
    row = read(db, house, sender)
    assert {name: row[name] for name in Mailbox.__struct_fields__} == {
        name: getattr(MAILBOX, name) for name in Mailbox.__struct_fields__
    }
    changed = replace(
        MAILBOX, status=SenderStatus.PAUSED, imap_host="imap.x.example", imap_port=993, imap_security=Security.TLS
    )
    senders.update(db, house.workspace, sender, changed, now=NOW)
    row = read(db, house, sender)
    assert (row["status"], row["imap_host"], row["address"]) == ("paused", "imap.x.example", "ann@agency.example")


def test_an_address_is_a_sender_once_until_it_is_deleted(db, house, sender):
    with pytest.raises(ConflictError):
        create(db, house, "ann@agency.example")
    senders.delete(db, house.workspace, sender, now=NOW)
    assert create(db, house, "ann@agency.example") != sender


def test_what_was_used_is_counted_by_the_day(db, house, sender):
    for day, used in ((TODAY, 7), (date(2030, 1, 30), 50)):
        db.execute("INSERT INTO sender_days VALUES (%s, %s, %s)", (sender, day, used))
    assert read(db, house, sender)["used_today"] == 7
    assert read(db, house, sender, date(2030, 2, 1))["used_today"] == 0
    listed = senders.list_senders(db, house.workspace, now=NOW, after=None, limit=5)
    assert [row["used_today"] for row in listed] == [7]


def test_a_passed_test_lifts_a_restriction_and_no_pause(db, house, sender):
    for before, after in (("restricted", "ready"), ("paused", "paused"), ("ready", "ready")):
        db.execute("UPDATE senders SET status = %s, status_reason = 'why', errors_in_row = 2", (before,))
        senders.record_pass(db, house.workspace, sender, now=NOW)
        row = read(db, house, sender)
        assert (row["status"], row["errors_in_row"]) == (after, 0)


def test_a_deleted_sender_leaves_a_row_without_passwords(db, house, sender):
    senders.delete(db, house.workspace, sender, now=NOW)
    (row,) = db.execute("SELECT deleted_at, smtp_sealed FROM senders").fetchall()
    assert (row["deleted_at"], row["smtp_sealed"]) == (NOW, None)


def test_a_sender_of_another_workspace_is_unknown(db, house, sender):
    other = house.workspace + 1
    for stop in (True, False):
        with pytest.raises(NotFoundError):
            senders.lock(db, other, sender, stop=stop)
    for call in (senders.record_pass, senders.delete):
        with pytest.raises(NotFoundError):
            call(db, other, sender, now=NOW)
    with pytest.raises(NotFoundError):
        senders.read(db, other, sender, today=TODAY)
    assert senders.list_senders(db, other, now=NOW, after=None, limit=5) == []


def ramping(db, house, **plan):
    made = senders.next_id(db)
    senders.create(db, house.workspace, made, "new@agency.example", replace(MAILBOX, **plan), now=NOW)
    return made


@pytest.mark.parametrize(("ceiling", "limits"), [(None, [5, 9, 50]), (8, [5, 8, 8])])
def test_a_ramp_up_grows_by_the_days_on_which_the_sender_has_sent(db, house, ceiling, limits):
    made = ramping(db, house, ramp_from=date(2030, 1, 10), ramp_start=5, ramp_step=4, ramp_ceiling=ceiling)
    db.execute("INSERT INTO sender_days VALUES (%s, '2030-01-09', 5), (%s, '2030-01-12', 0)", (made, made))
    assert read(db, house, made)["limit_today"] == limits[0], (
        "what was before the plan, or came to nothing, does not count"
    )
    db.execute("INSERT INTO sender_days VALUES (%s, '2030-01-13', 1), (%s, '2030-01-31', 9)", (made, made))
    assert read(db, house, made)["limit_today"] == limits[1], "today counts from tomorrow on"
    for day in range(14, 28):
        db.execute("INSERT INTO sender_days VALUES (%s, make_date(2030, 1, %s), 1)", (made, day))
    assert read(db, house, made)["limit_today"] == limits[2], "never above the daily limit"


def test_health_is_kept_by_the_day_and_days_without_a_change_are_as_the_one_before(db, house, sender):
    db.execute("UPDATE senders SET created_at = %s", (datetime(2030, 1, 28, 5, tzinfo=UTC),))
    for day, health, lowest, errors, why in (
        (29, 80, 70, 2, "451 later"), (29, 85, 81, 1, None), (31, 90, 86, 0, None),
    ):  # fmt: skip
        state = deliveries.SenderState(
            id=sender, health=health, lowest=lowest, errors=errors, errors_in_row=0, cooldown_until=None, restrict=False,
            last_error=why, now=datetime(2030, 1, day, 12, tzinfo=UTC),
        )  # fmt: skip
        deliveries.write_sender(db, state)
    db.execute("INSERT INTO sender_days VALUES (%s, '2030-01-29', 30)", (sender,))
    found = senders.health_days(db, house.workspace, sender, first=date(2030, 1, 1), today=TODAY)
    assert [(row["day"].day, row["health"], row["lowest"], row["errors"], row["last_error"], row["used"]) for row in found] == [
        (28, 100, 100, 0, None, 0), (29, 85, 70, 3, "451 later", 30), (30, 85, 85, 0, None, 0), (31, 90, 86, 0, None, 0),
    ]  # fmt: skip
    assert senders.health_days(db, house.workspace + 1, sender, first=TODAY, today=TODAY) == []
