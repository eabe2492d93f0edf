"""Mailboxes are read once, whatever their servers do: a real IMAP server with faults, the real ledger, and a settling that only writes down."""

import hashlib
import time
from datetime import UTC, datetime, timedelta

import pytest

from cleanmails.actors import inbox, plan
from cleanmails.actors.watch import Watch
from cleanmails.demo import catcher
from cleanmails.demo.catcher import Rule, answers, by_rules
from cleanmails.demo.catcher import imap as server
from cleanmails.demo.catcher.answers import Answer, Kind
from cleanmails.demo.catcher.boxes import Boxes
from cleanmails.demo.catcher.imap import Deed, Fault
from cleanmails.errors import BusyError
from cleanmails.ledger import mailboxes
from cleanmails.mail.imap import Timeouts

ANN = "ann@acme.example"
PATIENT = Timeouts(logout=0.5)
HASTY = Timeouts(connect=5, login=1.0, command=0.4, fetch=0.4, logout=0.4)
"""For servers that hang. On a busy machine others may seem to, and are looked at again."""


def letter(number, folder="inbox"):
    return f"From: bob{number}@corp.example\r\nMessage-ID: <{folder}-{number}@corp.example>\r\nSubject: Re: Hello\r\n\r\nYes.\r\n".encode()


class Settling:
    """Writes down what it is given, once each, as the real one does; fails for those in `bad`."""

    def __init__(self):
        self.seen = {}
        self.calls = 0
        self.bad, self.crashes = set(), set()

    def __call__(self, _work, sender_id, folder, _uid, raw, _now):
        self.calls += 1
        if raw in self.bad:
            raise ValueError("cannot be read")
        self.seen.setdefault((sender_id, hashlib.sha256(raw).digest()), (str(folder), raw))
        if raw in self.crashes:
            self.crashes.discard(raw)
            raise BusyError("the ledger is gone")

    def of(self, sender_id=None):
        return sorted((folder, raw) for (id, _), (folder, raw) in self.seen.items() if sender_id in {None, id})


@pytest.fixture
def settling():
    return Settling()


@pytest.fixture
def boxes():
    boxes = Boxes()
    boxes.open(ANN)
    yield boxes
    boxes.close()


@pytest.fixture
def served(boxes):
    with server.serving(boxes) as imap:
        yield imap


@pytest.fixture
def mailbox(house, served):
    """Adds a sender whose mailbox is at the server; its id."""

    def add(address=ANN, **columns):
        sender = house.sender(address)
        values = {"imap_host": "127.0.0.1", "imap_port": served.port, "imap_security": "plain"} | columns
        house.run(
            f"UPDATE senders SET {', '.join(f'{name} = %s' for name in values)} WHERE id = %s", *values.values(), sender
        )
        return sender

    return add


@pytest.fixture
def watching(work, settling):
    made = []

    def start(**options):
        given = {"timeouts": PATIENT, "poll_seconds": 0.05, "again": lambda *_: 0.05} | options
        watch = Watch(given.pop("work", work), settling, **given)
        made.append(watch)
        return watch

    yield start
    for watch in made:
        watch.close()


def until(watch, come_true, seconds=60):
    """Takes turns until something is true."""
    ends = time.monotonic() + seconds
    while not come_true():
        assert time.monotonic() < ends, "it did not come true"
        watch._beat_due = 0.0
        watch.turn(longest=0.1)


def state(house, sender):
    """How a mailbox stands; before a worker has seen it, nothing is known."""
    found = house.all("SELECT * FROM mailboxes WHERE sender_id = %s", sender)
    return found[0] if found else {"checked_at": None, "error": "not seen", "error_code": None, "failures": 0}


def test_inbox_spam_and_sent_are_read_once_and_left_unseen(boxes, served, mailbox, watching, settling):
    mailbox()
    given = [("INBOX", "inbox"), ("INBOX", "inbox"), ("Spam", "spam"), ("Sent", "sent")]
    raws = [(role, letter(number, folder)) for number, (folder, role) in enumerate(given)]
    for (folder, _), (_, raw) in zip(given, raws, strict=True):
        boxes.append(ANN, folder, raw)
    watch = watching()
    until(watch, lambda: len(settling.seen) == 4)
    until(watch, lambda: watch.idling == 1)
    assert settling.of() == sorted(raws)
    assert settling.calls == 4
    assert boxes.standing(ANN, "INBOX").unseen == 2
    assert not served.heard.keys() & {"SELECT", "STORE", "EXPUNGE", "MOVE", "COPY", "APPEND", "CLOSE"}


def test_who_idles_is_told_at_once_and_asked_nothing_meanwhile(boxes, served, mailbox, watching, settling):
    mailbox()
    watch = watching(poll_seconds=3_600)
    until(watch, lambda: served.idling == 1 and watch.idling == 1)
    asked = served.heard["SEARCH"]
    boxes.append(ANN, "INBOX", letter(1))
    until(watch, lambda: settling.of() == [("inbox", letter(1))])
    assert served.heard["SEARCH"] <= asked + 2
    assert served.heard["AUTHENTICATE"] == 1


def test_a_server_without_idle_is_asked_each_minute(house, boxes, mailbox, watching, settling):
    with server.serving(boxes, idle=False) as served:
        sender = mailbox(imap_port=served.port)
        watch = watching()
        until(watch, lambda: state(house, sender)["checked_at"] is not None)
        boxes.append(ANN, "INBOX", letter(1))
        until(watch, lambda: len(settling.seen) == 1)
        assert served.heard["IDLE"] == 0
        assert served.heard["AUTHENTICATE"] == 1
        assert state(house, sender)["idle"] is False


def test_the_next_worker_goes_on_where_the_last_one_stopped(boxes, mailbox, watching, settling):
    mailbox()
    boxes.append(ANN, "INBOX", letter(1))
    first = watching()
    until(first, lambda: first.idling == 1)
    first.close()
    boxes.append(ANN, "INBOX", letter(2))
    second = watching()
    until(second, lambda: len(settling.seen) == 2)
    assert settling.calls == 2
    first.close = lambda: None


def test_a_crash_between_settling_and_the_cursor_brings_messages_again(house, boxes, mailbox, watching, settling):
    """What is settled twice is settled once, because the settling knows it; what is not settled comes again."""
    sender = mailbox()
    for number in range(3):
        boxes.append(ANN, "INBOX", letter(number))
    settling.crashes = {letter(1)}
    watch = watching()
    until(watch, lambda: watch.idling == 1)
    assert settling.of(sender) == [("inbox", letter(number)) for number in range(3)]
    assert settling.calls == 5, "the first two twice"
    assert state(house, sender)["error"] is None


def test_of_an_old_mailbox_only_what_can_be_an_answer_is_read(boxes, mailbox, watching, settling):
    mailbox()
    boxes.append(ANN, "INBOX", letter(1), at=time.time() - 200 * 86_400)
    boxes.append(ANN, "INBOX", letter(2))
    watch = watching()
    until(watch, lambda: watch.idling == 1)
    assert settling.of() == [("inbox", letter(2))]


def test_a_mailbox_numbered_anew_loses_and_doubles_nothing(house, boxes, mailbox, watching, settling):
    sender = mailbox()
    for number in range(3):
        boxes.append(ANN, "INBOX", letter(number))
    first = watching()
    until(first, lambda: first.idling == 1)
    first.close()
    first.close = lambda: None
    boxes.remove(ANN, "INBOX", 1)
    boxes.append(ANN, "INBOX", letter(3))
    boxes.renumber(ANN, "INBOX")
    watch = watching()
    until(watch, lambda: len(settling.seen) == 4)
    until(watch, lambda: watch.idling == 1)
    row = house.all("SELECT validity, uid FROM mailbox_folders WHERE sender_id = %s AND role = 'inbox'", sender)[0]
    assert (row["validity"], row["uid"]) == (boxes.standing(ANN, "INBOX").validity, 3)


def test_a_message_under_a_number_that_was_passed_is_found(boxes, mailbox, watching, settling):
    """A server may not give out such a number (RFC 3501, 2.3.1.1); who does betrays itself by its count."""
    mailbox()
    boxes.append(ANN, "INBOX", letter(1), uid=10)
    watch = watching()
    until(watch, lambda: watch.idling == 1)
    boxes.append(ANN, "INBOX", letter(2), uid=4)
    until(watch, lambda: len(settling.seen) == 2)


FAULTS = [
    *((at, Deed.DROP) for at in ("AUTHENTICATE", "EXAMINE", "SEARCH", "IDLE", "STATUS")),
    *((at, Deed.HANG) for at in ("GREETING", "FETCH", "IDLE")),
    *(("FETCH", deed) for deed in (Deed.MIDWAY, Deed.FLOOD, Deed.STRAY, Deed.GARBAGE)),
    *(("SEARCH", deed) for deed in (Deed.GHOST, Deed.TWICE, Deed.REFUSE)),
]


@pytest.mark.parametrize(("at", "deed"), FAULTS, ids=str)
def test_a_server_that_does_wrong_for_a_while_costs_no_message(
    house, boxes, served, mailbox, watching, settling, at, deed
):
    sender = mailbox()
    for number in range(3):
        boxes.append(ANN, "INBOX", letter(number) + b"x" * 200)
    served.faults = [Fault(at=at, deed=deed, times=2)]
    watch = watching(timeouts=HASTY if deed is Deed.HANG else PATIENT)
    until(watch, lambda: watch.idling == 1 and len(settling.seen) == 3)
    boxes.append(ANN, "INBOX", letter(9))
    until(watch, lambda: len(settling.seen) == 4)
    until(watch, lambda: state(house, sender)["error"] is None)
    assert house.one("SELECT count(*) FROM messages_set_aside") == 0


def test_one_bad_mailbox_holds_up_no_other(house, boxes, served, mailbox, watching, settling):
    bad = [mailbox(f"bad{number}@acme.example") for number in range(3)]
    good = [mailbox(f"good{number}@acme.example") for number in range(3)]
    served.faults = [Fault(at="EXAMINE", deed=Deed.HANG, user=f"bad{number}@acme.example") for number in range(3)]
    for number in range(3):
        boxes.open(f"good{number}@acme.example")
        boxes.append(f"good{number}@acme.example", "INBOX", letter(number))
    watch = watching(timeouts=HASTY)
    until(watch, lambda: len(settling.seen) == 3 and watch.idling == 3)
    until(watch, lambda: all(state(house, sender)["failures"] >= 2 for sender in bad))
    found = state(house, bad[0])
    assert found["error_code"] == "timeout"
    assert "did not answer" in found["error"]
    assert found["due_at"] > found["failed_at"]
    until(watch, lambda: all(state(house, sender)["error"] is None and state(house, sender)["idle"] for sender in good))


def test_a_refused_password_is_told_and_a_new_one_tried_at_once(house, boxes, mailbox, watching, work):
    with server.serving(boxes, credentials={ANN: "right"}) as served:
        sender = mailbox(imap_port=served.port)
        seal = lambda word: work.vault.seal(word.encode(), f"sender:{sender}:imap_password")  # noqa: E731
        house.run("UPDATE senders SET imap_sealed = %s WHERE id = %s", seal("wrong"), sender)
        watch = Watch(work, Settling(), timeouts=PATIENT, again=lambda *_: 3_600.0)
        try:
            until(watch, lambda: state(house, sender)["error_code"] == "imap_login")
            tried = served.heard["AUTHENTICATE"]
            house.run("UPDATE senders SET imap_sealed = %s WHERE id = %s", seal("right"), sender)
            until(watch, lambda: state(house, sender)["error"] is None and watch.idling == 1)
            assert served.heard["AUTHENTICATE"] == tried + 1
        finally:
            watch.close()


def test_what_cannot_be_handled_is_set_aside_and_tried_again_when_a_person_says_so(
    house, boxes, mailbox, watching, settling, work
):
    sender = mailbox()
    settling.bad = {letter(1)}
    for number in range(3):
        boxes.append(ANN, "INBOX", letter(number))
    watch = watching()
    until(watch, lambda: len(settling.seen) == 2 and watch.idling == 1)
    with work.database.transaction() as db:
        [row] = mailboxes.list_set_aside(db, house.workspace, sender, after=0, limit=10)
    assert (row["role"], row["uid"], row["kept"]) == ("inbox", 2, True)
    assert "cannot be read" in row["reason"]
    boxes.append(ANN, "INBOX", letter(3))
    until(watch, lambda: len(settling.seen) == 3)
    assert settling.calls == 4
    settling.bad = set()
    with work.database.transaction() as db:
        mailboxes.try_again(db, house.workspace, sender, row["id"])
    until(watch, lambda: len(settling.seen) == 4)
    until(watch, lambda: house.one("SELECT count(*) FROM messages_set_aside") == 0)


def test_a_message_that_a_server_never_hands_out_is_set_aside(house, boxes, served, mailbox, watching, settling):
    mailbox()
    boxes.append(ANN, "INBOX", letter(1))
    served.faults = [Fault(at="FETCH", deed=Deed.SWALLOW)]
    watch = watching()
    until(watch, lambda: watch.idling == 1)
    assert "does not hand it out" in house.one("SELECT reason FROM messages_set_aside")
    served.faults = []
    house.run("UPDATE messages_set_aside SET again = true")
    until(watch, lambda: settling.of() == [("inbox", letter(1))])


def test_a_film_is_read_in_its_beginning(boxes, mailbox, watching, settling):
    mailbox()
    boxes.append(ANN, "INBOX", letter(1) + b"x" * 26_000_000)
    watch = watching()
    until(watch, lambda: len(settling.seen) == 1)
    [(_, raw)] = settling.of()
    assert raw.startswith(letter(1))
    assert len(raw) == 1_000_000


def test_workers_share_the_mailboxes_and_take_over_from_the_dead(house, new_work, mailbox, watching):
    senders = [mailbox(f"box{number}@acme.example") for number in range(5)]
    works = [new_work(), new_work()]
    for each in works:
        house.run("UPDATE workers SET kind = 'inbox' WHERE id = %s", each.worker_id)
    first = watching(work=works[0])
    until(first, lambda: first.idling == 3)
    second = watching(work=works[1])
    until(second, lambda: second.idling == 2)
    held = house.all("SELECT worker_id, count(*) AS n FROM mailboxes GROUP BY 1 ORDER BY 2")
    assert [row["n"] for row in held] == [2, 3]
    house.run("DELETE FROM workers WHERE id = %s", works[0].worker_id)
    until(second, lambda: second.idling == len(senders))


def test_a_copy_in_sent_settles_what_nobody_knew(house, boxes, mailbox, watching, work, drain):
    with catcher.running(script=by_rules([Rule(match="*", do="drop-stored", times=1)])) as smtp:
        house.knows("b.example")
        (lead,) = house.leads("bob@b.example")
        sender = mailbox(smtp_port=smtp.port)
        campaign = house.campaign([lead], [sender])
        plan.plan(work)
        drain()
        assert house.delivery(campaign, lead)["state"] == "unknown"
        watch = watching()
        until(watch, lambda: watch.idling == 1)
        assert house.delivery(campaign, lead)["state"] == "unknown"
        [mail] = smtp.mails()
        boxes.append(ANN, "Sent", letter(1, "sent"))
        boxes.append(ANN, "Sent", smtp.raw(mail.id))
        watch._searched.clear()
        watch._unknown_due = 0.0
        until(watch, lambda: house.delivery(campaign, lead)["state"] == "sent")
        assert house.delivery(campaign, lead)["evidence"] == "a copy in Sent"


def test_copies_of_our_mails_in_sent_are_known_without_being_fetched(
    house, boxes, served, mailbox, watching, settling, work, drain
):
    with catcher.running() as smtp:
        house.knows("b.example")
        leads = house.leads("bob@b.example", "eve@b.example")
        house.campaign(leads, [mailbox(smtp_port=smtp.port)])
        plan.plan(work)
        drain()
        for mail in smtp.mails():
            boxes.append(ANN, "Sent", smtp.raw(mail.id))
    boxes.append(ANN, "Sent", letter(1, "sent"))
    watch = watching()
    until(watch, lambda: watch.idling == 1)
    assert settling.of() == [("sent", letter(1, "sent"))]
    assert house.one("SELECT uid FROM mailbox_folders WHERE role = 'sent'") == 3


def test_a_sender_without_a_mailbox_is_left_alone(house, mailbox, watching):
    sender = mailbox()
    watch = watching()
    until(watch, lambda: watch.idling == 1)
    house.run("UPDATE senders SET imap_host = NULL, imap_port = NULL, imap_security = NULL WHERE id = %s", sender)
    until(watch, lambda: watch.idling == 0)
    assert house.one("SELECT count(*) FROM mailboxes") == 0
    assert house.one("SELECT count(*) FROM mailbox_folders") == 3


def test_what_the_buttons_of_the_catcher_send_ends_and_delays_walks(house, boxes, mailbox, work, drain):
    """The whole way: a mail goes out, its recipient or his server answers, and the walk knows."""
    with catcher.running() as smtp:
        house.knows("b.example")
        leads = dict(zip(Kind, house.leads(*(f"{kind}@b.example" for kind in Kind)), strict=True))
        sender = mailbox(smtp_port=smtp.port)
        campaign = house.campaign(list(leads.values()), [sender], steps=({}, {"wait_days": 1}))
        plan.plan(work)
        drain()
        assert len(smtp.mails()) == len(Kind)
        now = datetime.now(UTC)
        back = now.date() + timedelta(days=20)
        for mail in smtp.mails():
            asked = Answer(kind=Kind(mail.recipient.partition("@")[0]), until=back)
            boxes.append(ANN, "INBOX", answers.write(smtp.raw(mail.id), mail.recipient, asked, now, mail.id))
    watch = Watch(work, inbox.settle, timeouts=PATIENT)
    try:
        until(watch, lambda: watch.idling == 1)
    finally:
        watch.close()
    walks = {kind: house.walk(campaign, lead) for kind, lead in leads.items()}
    assert {kind: walk["outcome"] for kind, walk in walks.items()} == {
        Kind.REPLY: "replied",
        Kind.BOUNCE: "bounced",
        Kind.AWAY: None,
        Kind.UNSUBSCRIBE: "unsubscribed",
        Kind.COMPLAIN: "unsubscribed",
    }
    assert walks[Kind.AWAY]["due_at"].date() == back
    assert house.one("SELECT count(*) FROM messages_set_aside") == 0


def test_a_password_that_does_not_open_is_said_of_its_mailbox_and_others_are_read(
    house, work, mailbox, watching, settling, boxes
):
    lost = mailbox("lost@acme.example", imap_sealed=work.vault.seal(b"secret", "sender:0:imap_password"))
    boxes.append(ANN, "INBOX", letter(1))
    good = mailbox()
    until(watching(), lambda: settling.of(good) and state(house, lost)["error_code"])
    assert state(house, lost)["error_code"] == "sealed"
    assert "Enter it anew" in state(house, lost)["error"]
