"""What a received message does: once, to the right walk, and nothing that a forger could bring about."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from cleanmails.actors import inbox
from cleanmails.errors import BusyError
from cleanmails.ledger import invariants
from cleanmails.mail import inbound
from tests.corpus.letters import ID, all_of_them

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
DAY = NOW - timedelta(days=1)


@pytest.fixture
def box(work, house):
    return Box(work, house)


class Box:
    """A mailbox with a campaign of two steps, whose first mail was sent to Bob; and mails to put into it."""

    def __init__(self, work, house):
        self.work, self.house = work, house
        house.knows("b.example")
        self.sender = house.sender()
        [self.bob] = house.leads("bob@b.example")
        self.campaign = house.campaign([self.bob], [self.sender], steps=({}, {"wait_days": 3}))
        self.delivery = self.sent(self.campaign, self.bob)
        self.uid = 0

    def sent(self, campaign, lead, state="sent", *, sender=None, step=0):
        """A mail that went out, with all that the ledger holds of it."""
        house, sender = self.house, sender or self.sender
        unknown = state == "unknown"
        house.run(
            """UPDATE campaign_leads SET state = %s, hold_reason = %s, due_at = CASE WHEN %s THEN NULL ELSE %s + interval '3 days' END, step = %s, sender_id = %s
               WHERE campaign_id = %s AND lead_id = %s""",
            "held" if unknown else "waiting", "unknown" if unknown else None, unknown, NOW, step if unknown else step + 1, sender, campaign, lead,
        )  # fmt: skip
        delivery = house.one(
            """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, attempts, planned_at, queued_at, rendered_at,
                                       message_id, hash, sending_at, token, settled_at, reason, subject, starts_thread)
               VALUES (%s, %s, %s, %s, %s, 'other', %s, 1, %s, %s, %s, %s, '', %s, 1, %s, %s, 'Hello Bob', true) RETURNING id""",
            house.workspace, campaign, lead, step, sender, state, DAY, DAY, DAY, f"<{campaign}.{lead}.{step}@acme.example>", DAY,
            None if unknown else DAY, "why" if unknown else None,
        )  # fmt: skip
        house.run(
            """INSERT INTO attempts (delivery_id, token, workspace_id, sender_id, outcome, stage, code, text, marked_at, started_at, finished_at)
               VALUES (%s, 1, %s, %s, %s, 'dot', %s, '', %s, %s, %s)""",
            delivery, house.workspace, sender, "unknown" if unknown else "accepted", None if unknown else 250, DAY, DAY, DAY,
        )  # fmt: skip
        house.run(
            "INSERT INTO sender_days VALUES (%s, %s, 1) ON CONFLICT (sender_id, day) DO UPDATE SET used = sender_days.used + 1",
            sender, DAY.date(),
        )  # fmt: skip
        if unknown:
            house.run("INSERT INTO mails VALUES (%s, 'bytes')", delivery)
        else:
            house.run("UPDATE campaign_runs SET sent = sent + 1 WHERE campaign_id = %s", campaign)
        return delivery

    def named(self, delivery=None):
        return self.house.one("SELECT message_id FROM deliveries WHERE id = %s", delivery or self.delivery)

    def put(self, raw, *, folder="INBOX", now=NOW, sender=None):
        self.uid += 1
        return inbox.settle(self.work, sender or self.sender, folder, self.uid, raw.encode(), now)

    def walk(self, lead=None, campaign=None):
        return self.house.walk(campaign or self.campaign, lead or self.bob)

    def events(self):
        return [row["type"] for row in self.house.all("SELECT type FROM events ORDER BY id")]

    def sound(self):
        with self.work.database.transaction() as db:
            return {each.name: rows for each in invariants.INVARIANTS if (rows := invariants.violations(db, each))}


def reply(about, words="Sounds good.", *, sender="bob@b.example", subject="Re: Hello Bob", n=1, more=""):
    header = f"In-Reply-To: {about}\n" if about else ""
    return (
        f"From: Bob <{sender}>\nTo: ann@acme.example\nSubject: {subject}\nMessage-ID: <r{n}@b.example>\n"
        f"Date: Thu, 26 Nov 2026 11:00:00 +0000\n{header}{more}\n{words}\n"
    )


def bounce(about, status="5.1.1", said="550 5.1.1 User unknown", *, recipient="bob@b.example", action="failed"):
    return (
        "From: MAILER-DAEMON@mx.b.example\nTo: ann@acme.example\nSubject: Undelivered Mail Returned to Sender\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n--b\nContent-Type: text/plain\n\nSorry.\n'
        f"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.b.example\n\nFinal-Recipient: rfc822; {recipient}\n"
        f"Action: {action}\nStatus: {status}\nDiagnostic-Code: smtp; {said}\n\n--b\nContent-Type: text/rfc822-headers\n\n"
        f"From: ann@acme.example\nTo: {recipient}\nMessage-ID: {about}\nSubject: Hello Bob\n\n--b--\n"
    )


def complaint(about, kind="abuse"):
    return (
        'From: fbl@provider.example\nSubject: FW: Hello\nContent-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n'
        f"--b\nContent-Type: text/plain\n\nA complaint.\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nVersion: 1\n"
        f"User-Agent: P/1\n\n--b\nContent-Type: message/rfc822\n\nFrom: ann@acme.example\nMessage-ID: {about}\nSubject: Hello Bob\n\nhi\n--b--\n"
    )


def test_a_reply_ends_the_walk_and_is_told_once(box):
    settled = box.put(reply(box.named()))
    assert (settled.kind, settled.state, settled.delivery_id, settled.fresh) == ("reply", "settled", box.delivery, True)
    assert (box.walk()["state"], box.walk()["outcome"]) == ("ended", "replied")
    again = box.put("Received: from elsewhere\n" + reply(box.named()), folder="Archive")
    assert (again.fresh, again.message_id) == (False, settled.message_id)
    assert box.events() == ["email.replied"]
    assert box.house.delivery(box.campaign, box.bob)["replied_at"] == NOW
    [thread] = box.house.all("SELECT * FROM threads")
    assert (thread["unread"], thread["snippet"], thread["lead_id"]) == (True, "Sounds good.", box.bob)
    assert box.sound() == {}


def test_without_check_reply_the_walk_goes_on(box):
    box.house.run("UPDATE campaigns SET check_reply = false")
    box.put(reply(box.named()))
    assert box.walk()["state"] == "waiting"
    assert box.events() == ["email.replied"]


def test_a_prepared_follow_up_is_cancelled(box):
    box.house.run("UPDATE campaign_leads SET state = 'in_flight', due_at = NULL WHERE campaign_id = %s", box.campaign)
    box.house.run(
        """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, planned_at, queued_at)
           VALUES (%s, %s, %s, 1, %s, 'other', 'planned', now(), now())""",
        box.house.workspace, box.campaign, box.bob, box.sender,
    )  # fmt: skip
    box.put(reply(box.named()))
    assert box.house.states(box.campaign) == ["sent", "cancelled"]
    assert box.sound() == {}


def test_a_reply_after_the_last_mail_counts(box):
    box.house.run("UPDATE campaign_leads SET state = 'ended', outcome = 'finished', ended_at = now(), due_at = NULL")
    box.put(reply(box.named()))
    assert box.walk()["outcome"] == "replied"


def test_a_reply_stops_the_company_if_the_campaign_wants_it(box):
    eve, joe, far = box.house.leads("eve@b.example", "joe@gmail.com", "far@far.example")
    box.house.run("UPDATE leads SET company = '' WHERE id = ANY (%s)", [box.bob, far])
    for lead in (eve, joe, far):
        box.house.run(
            "INSERT INTO campaign_leads (campaign_id, lead_id, workspace_id, due_at) VALUES (%s, %s, %s, now())",
            box.campaign, lead, box.house.workspace,
        )  # fmt: skip
    box.put(reply(box.named(), n=0))
    assert box.walk(eve)["state"] == "waiting"
    box.house.run("UPDATE campaigns SET stop_company_on_reply = true")
    box.put(reply(box.named()))
    assert box.walk(eve)["outcome"] == "colleague_replied"
    assert [box.walk(each)["state"] for each in (joe, far)] == ["waiting", "waiting"]


def test_who_was_mailed_is_known_by_the_address(box):
    settled = box.put(reply(None, subject="A question"))
    assert (settled.kind, settled.state) == ("reply", "settled")
    assert box.walk()["outcome"] == "replied"
    assert box.put(reply(None, sender="stranger@x.example", n=2)).state == "ignored"
    assert box.house.one("SELECT count(*) FROM inbox_messages WHERE body <> ''") == 1


def test_a_mail_from_before_ours_is_no_answer(box):
    old = reply(None, subject="Old times").replace("26 Nov 2026", "20 Nov 2026")
    assert box.put(old).state == "ignored"
    assert box.walk()["state"] == "waiting"


def test_two_candidates_go_to_a_person_who_decides(box):
    other = box.house.campaign([box.bob], [box.sender])
    mail = box.sent(other, box.bob)
    box.house.run("UPDATE deliveries SET subject = 'Another' WHERE id = %s", mail)
    assert box.put(reply(None, subject="Re: Another")).delivery_id == mail
    settled = box.put(reply(None, subject="What is this?", n=2))
    assert settled.state == "review"
    assert box.walk()["state"] == "waiting"
    assert inbox.decide(box.work, box.house.workspace, settled.message_id, box.delivery, NOW).state == "settled"
    assert box.walk()["outcome"] == "replied"
    assert inbox.decide(box.work, box.house.workspace, settled.message_id, None, NOW) is None
    assert box.sound() == {}


def test_a_hard_bounce_marks_and_suppresses(box):
    assert box.put(bounce(box.named())).kind == "bounce"
    delivery = box.house.delivery(box.campaign, box.bob)
    assert (delivery["state"], delivery["failure"], delivery["reply_code"]) == ("bounced", "recipient_bad", 550)
    assert box.walk()["outcome"] == "bounced"
    assert box.house.one("SELECT reason FROM suppressions") == "bounced"
    assert box.house.one("SELECT validation FROM leads") == "invalid"
    assert box.house.one("SELECT health FROM senders") == 85
    assert box.events() == ["email.bounced"]
    box.put(bounce(box.named(), said="550 5.1.1 Again"))
    assert (box.events(), box.house.one("SELECT health FROM senders")) == (["email.bounced"], 85)
    assert box.sound() == {}


@pytest.mark.parametrize(
    ("status", "said", "health"),
    [("5.2.2", "552 5.2.2 Mailbox full", 95), ("5.7.1", "550 5.7.1 Listed by a blocklist", 90)],
)
def test_what_is_not_the_leads_fault_leaves_the_lead_alone(box, status, said, health):
    for _ in range(2):
        box.put(bounce(box.named(), status, said))
    assert box.house.delivery(box.campaign, box.bob)["state"] == "sent"
    assert (box.walk()["state"], box.house.one("SELECT status FROM leads")) == ("waiting", "active")
    assert (box.events(), box.house.one("SELECT health FROM senders")) == (["email.returned"], health)
    assert box.sound() == {}


def test_a_delay_is_no_bounce(box):
    box.put(bounce(box.named(), "4.4.1", "connection timed out", action="delayed"))
    assert (box.events(), box.house.one("SELECT health FROM senders")) == ([], 100)


@pytest.mark.parametrize("make", [bounce, complaint])
def test_a_forged_report_changes_nothing(box, make):
    for about in ("<guess@acme.example>", "", box.named() + "x"):
        box.put(make(about))
    assert box.walk()["state"] == "waiting"
    assert (box.events(), box.house.one("SELECT health FROM senders")) == ([], 100)
    assert box.house.one("SELECT count(*) FROM suppressions") == 0


def test_a_report_of_another_workspaces_mail_changes_nothing(box):
    about = box.named()
    box.house.workspace = box.house.one("INSERT INTO workspaces (name) VALUES ('Other') RETURNING id")
    other = box.house.sender("eve@other.example")
    for raw in (bounce(about), complaint(about), reply(about)):
        assert box.put(raw, sender=other).state == "ignored"
    assert box.walk()["state"] == "waiting"


def test_bounces_over_the_limit_pause_the_campaign(box):
    leads = box.house.leads(*(f"l{n}@b.example" for n in range(20)))
    for lead in leads:
        box.house.run(
            "INSERT INTO campaign_leads (campaign_id, lead_id, workspace_id, due_at) VALUES (%s, %s, %s, now())",
            box.campaign, lead, box.house.workspace,
        )  # fmt: skip
    mails = [box.sent(box.campaign, lead) for lead in leads]
    for mail in mails[:2]:
        box.put(bounce(box.named(mail)))
    assert box.house.one("SELECT status FROM campaigns") == "paused"


@pytest.mark.parametrize(
    ("words", "due"),
    [
        ("I am out of the office until December 7, 2026.", datetime(2026, 12, 7, tzinfo=UTC)),
        ("I am out of the office.", NOW + timedelta(days=3)),
    ],
)
def test_an_absence_delays_the_next_step(box, words, due):
    box.house.run("UPDATE campaign_leads SET due_at = %s", NOW + timedelta(days=1))
    raw = reply(box.named(), words, subject="Automatic reply: Hello Bob", more="Auto-Submitted: auto-replied\n")
    assert box.put(raw).kind == "auto_reply"
    assert (box.walk()["state"], box.walk()["due_at"]) == ("waiting", due)
    assert box.events() == ["email.auto_replied"]
    [thread] = box.house.all("SELECT * FROM threads")
    assert (thread["label"], thread["unread"]) == ("out_of_office", False)
    box.put(reply(box.named()))
    [thread] = box.house.all("SELECT * FROM threads")
    assert (thread["label"], thread["unread"], box.walk()["outcome"]) == (None, True, "replied")


def test_a_later_step_is_not_brought_forward(box):
    due = NOW + timedelta(days=30)
    box.house.run("UPDATE campaign_leads SET due_at = %s", due)
    box.put(reply(box.named(), "I am out of the office.", subject="Automatic reply: Hello Bob"))
    assert box.walk()["due_at"] == due


def test_a_receipt_delays_nothing(box):
    before = box.walk()["due_at"]
    raw = reply(
        box.named(), "We received your message. Ticket #4711 was created.", more="Auto-Submitted: auto-replied\n"
    )
    assert box.put(raw).kind == "auto_reply"
    assert box.walk()["due_at"] == before


def test_who_asks_to_be_left_alone_leaves(box):
    assert box.put(reply(box.named(), "Please remove me from your list.", sender="bob@home.example")).kind == "opt_out"
    assert box.walk()["outcome"] == "unsubscribed"
    assert [row["value"] for row in box.house.all("SELECT value FROM suppressions ORDER BY value")] == [
        "bob@b.example",
        "bob@home.example",
    ]
    assert box.events() == ["lead.unsubscribed"]


def test_the_mailto_of_list_unsubscribe_is_heard_whoever_writes(box):
    raw = "From: eve@x.example\nTo: ann@acme.example\nSubject: unsubscribe\n\n"
    assert box.put(raw).kind == "opt_out"
    assert box.house.one("SELECT value FROM suppressions") == "eve@x.example"


def test_a_complaint_suppresses_and_costs_health(box):
    for kind in ("not-spam", "abuse", "fraud"):
        box.put(complaint(box.named(), kind))
    assert box.house.one("SELECT reason FROM suppressions") == "complained"
    assert (box.walk()["outcome"], box.house.one("SELECT health FROM senders")) == ("unsubscribed", 85)
    assert box.events() == ["email.complained", "lead.unsubscribed"]
    assert box.sound() == {}


def test_who_has_left_and_complains_costs_health_once(box):
    box.put(reply(box.named(), "Unsubscribe me."))
    for kind in ("abuse", "fraud"):
        box.put(complaint(box.named(), kind))
    assert box.house.one("SELECT reason FROM suppressions") == "unsubscribed"
    assert box.house.one("SELECT health FROM senders") == 85
    assert box.events().count("email.complained") == 1
    assert box.sound() == {}


@pytest.mark.parametrize("make", [reply, bounce])
def test_it_proves_that_an_unknown_mail_was_sent(box, make):
    other = box.house.campaign(box.house.leads("eve@b.example"), [box.sender], steps=({}, {"wait_days": 3}))
    lead = box.house.one("SELECT lead_id FROM campaign_leads WHERE campaign_id = %s", other)
    mail = box.sent(other, lead, "unknown")
    box.put(make(box.named(mail)))
    delivery = box.house.delivery(other, lead)
    assert delivery["evidence"] == {reply: "a reply", bounce: "a bounce"}[make]
    assert delivery["state"] == {reply: "sent", bounce: "bounced"}[make]
    assert box.events() == ["email.sent", {reply: "email.replied", bounce: "email.bounced"}[make]]
    assert box.sound() == {}


def test_our_own_mail_never_counts(box):
    copy = f"From: ann@acme.example\nTo: bob@b.example\nMessage-ID: {box.named()}\nSubject: Hello Bob\n\nHi\n"
    assert box.put(copy, folder="Sent").state == "ignored"
    assert box.put(reply(box.named(), sender="ann@acme.example"), folder="Sent").state == "ignored"
    assert (box.walk()["state"], box.events()) == ("waiting", [])


def test_what_a_person_wrote_by_hand_is_part_of_the_conversation(box):
    thread = box.put(reply(box.named())).thread_id
    mine = reply("<r1@b.example>", "When?", sender="ann@acme.example", n=2)
    settled = box.put(mine, folder="Sent")
    assert (settled.kind, settled.thread_id) == ("own", thread)
    assert box.put(reply("<r2@b.example>", "Now.", n=3)).thread_id == thread
    assert box.events() == ["email.replied", "email.replied"]


def test_a_message_about_a_mail_that_is_being_sent_comes_again(box):
    box.house.run("UPDATE deliveries SET state = 'sending', settled_at = NULL")
    with pytest.raises(BusyError):
        box.put(reply(box.named()))
    assert box.house.one("SELECT count(*) FROM inbox_messages") == 0


def test_who_was_erased_is_not_written_down_again(box):
    box.house.run(
        "INSERT INTO erased (workspace_id, hash) SELECT %s, erased_hash('bob@b.example')", box.house.workspace
    )
    assert box.put(reply(box.named(), "Please remove me.")).state == "ignored"
    assert box.house.one("SELECT count(*) FROM inbox_messages WHERE from_address <> ''") == 0


@pytest.mark.parametrize("raw", ["", "\n\n", "\x00" * 500, "From: \x00\n\n\x00", "Subject: x\n" * 5000])
def test_nothing_that_anybody_sends_makes_it_fail(box, raw):
    assert box.put(raw).state == "ignored"


def test_whoever_walks_through_two_campaigns_leaves_both_at_once(box):
    other = box.house.campaign([box.bob], [box.sender])
    box.sent(other, box.bob)
    assert box.put(reply(None, "Please unsubscribe me.", subject="no")).state == "settled"
    assert [box.walk(campaign=each)["outcome"] for each in (box.campaign, other)] == ["unsubscribed"] * 2


def test_the_whole_corpus_is_written_down_and_the_ledger_stands(box):
    box.house.run("UPDATE deliveries SET message_id = %s", ID)
    states = Counter()
    for name, raw, expected in all_of_them():
        settled = inbox.settle(box.work, box.sender, "INBOX", 1, raw, NOW)
        states[settled.state] += 1
        if expected.get("message_ids") and expected["kind"] != "unrelated":
            assert (settled.state, settled.kind, settled.delivery_id) == ("settled", expected["kind"], box.delivery), (
                name
            )
    assert states["settled"] > 290
    assert Counter(box.events())["email.bounced"] == 1
    assert box.house.one("SELECT count(*) FROM threads") == 1
    assert box.sound() == {}


def test_a_message_that_cannot_be_read_holds_up_no_other(box, monkeypatch):
    def broken(raw):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(inbound, "parse", broken)
    settled = box.put("anything")
    assert (settled.state, box.put("anything").fresh) == ("review", False)
    assert box.house.one("SELECT evidence ->> 'why' FROM inbox_messages") == "unreadable"


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_a_report_of_success_is_nobodys_answer(box, action):
    settled = box.put(bounce(box.named(), "2.1.5", "250 2.1.5 OK", action=action))
    assert (settled.kind, settled.state) == ("unrelated", "ignored")
    assert (box.walk()["state"], box.events()) == ("waiting", [])
