"""Every invariant holds on a ledger with a walk of each kind in it, and each finds its own damage and no other's."""

import pytest

from cleanmails.ledger import invariants
from cleanmails.ledger.invariants import INVARIANTS

KINDS = (
    "waiting",
    "planned",
    "rendered",
    "sending",
    "sent",
    "settled",
    "deferred",
    "held",
    "unknown",
    "bounced",
    "left",
)


@pytest.fixture
def sound(house):
    """A running campaign with a walk of each kind, and a completed one; returns the lead of each kind by its name."""
    sender = house.sender()
    lead = dict(zip(KINDS, house.leads(*(f"{kind}@b.example" for kind in KINDS)), strict=True))
    campaign = house.campaign(lead.values(), [sender])
    made = {
        kind: house.planned(campaign, lead[kind], state, sender=sender)
        for kind, state in {
            "planned": "planned",
            "rendered": "rendered",
            "sending": "sending",
            "sent": "sent",
            "settled": "sent",
            "deferred": "rendered",
            "held": "held",
            "unknown": "unknown",
            "bounced": "rendered",
            "left": "planned",
        }.items()
    }

    def attempt(kind, outcome, stage, code=None):
        house.run(
            """INSERT INTO attempts (delivery_id, token, workspace_id, sender_id, outcome, stage, code, text, marked_at, started_at, finished_at)
               SELECT id, token, workspace_id, sender_id, %s, %s, %s, '', sending_at, now(), now() FROM deliveries WHERE id = %s""",
            outcome,
            stage,
            code,
            made[kind],
        )
        house.run("UPDATE deliveries SET attempts = 1 WHERE id = %s", made[kind])

    def walk(kind, state, **columns):
        values = {"due_at": None, "hold_reason": None, "outcome": None, "ended_at": None} | columns
        house.run(
            """UPDATE campaign_leads SET state = %s, due_at = %s::timestamptz, hold_reason = %s, outcome = %s, ended_at = %s::timestamptz
               WHERE campaign_id = %s AND lead_id = %s""",
            state,
            *values.values(),
            campaign,
            lead[kind],
        )

    attempt("sent", "accepted", "dot", 250)
    attempt("settled", "unknown", "dot")
    attempt("unknown", "unknown", "dot")
    attempt("deferred", "refused", "rcpt", 451)
    attempt("bounced", "refused", "rcpt", 550)
    house.run("UPDATE deliveries SET evidence = 'seen in Sent' WHERE id = %s", made["settled"])
    house.run("UPDATE deliveries SET state = 'deferred' WHERE id = %s", made["deferred"])
    house.run("UPDATE deliveries SET state = 'bounced', settled_at = now() WHERE id = %s", made["bounced"])
    house.run(
        "UPDATE deliveries SET state = 'cancelled', settled_at = now(), reason = 'left' WHERE id = %s", made["left"]
    )
    house.run("DELETE FROM mails WHERE delivery_id = ANY (%s)", [made["sent"], made["settled"], made["bounced"]])
    walk("sent", "ended", outcome="finished", ended_at="now")
    walk("settled", "ended", outcome="finished", ended_at="now")
    walk("bounced", "ended", outcome="bounced", ended_at="now")
    walk("left", "ended", outcome="unsubscribed", ended_at="now")
    walk("deferred", "waiting", due_at="now")
    walk("held", "held", hold_reason="missing_field")
    walk("unknown", "held", hold_reason="unknown")
    house.run("INSERT INTO sender_days SELECT %s, (now() AT TIME ZONE 'UTC')::date, 4", sender)
    house.run("UPDATE campaign_runs SET sent = 3, bounced = 1")
    house.campaign([], [], status="completed", completed_at="now")
    return lead


def broken(db):
    return {each.name for each in INVARIANTS if invariants.violations(db, each)}


def test_a_sound_ledger_breaks_none(sound, db):
    assert broken(db) == set()


OF = "(SELECT id FROM leads WHERE email = '{}@b.example')"
DAMAGES = [
    (
        "walks_add_up",
        "ALTER TABLE campaign_leads DROP CONSTRAINT campaign_leads_state_check",
        f"UPDATE campaign_leads SET state = 'lost', due_at = NULL WHERE lead_id = {OF.format('waiting')}",
    ),
    (
        "one_delivery",
        "ALTER TABLE deliveries DROP CONSTRAINT deliveries_campaign_id_lead_id_step_key",
        """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, planned_at, settled_at, reason)
           SELECT workspace_id, campaign_id, lead_id, step, sender_id, provider, state, planned_at, settled_at, reason FROM deliveries WHERE state = 'cancelled'""",
    ),
    (
        "one_acceptance",
        "DROP INDEX attempts_one_acceptance",
        """INSERT INTO attempts (delivery_id, token, workspace_id, sender_id, outcome, stage, code, text, marked_at, started_at, finished_at)
           SELECT delivery_id, token + 1, workspace_id, sender_id, outcome, stage, code, text, marked_at, started_at, finished_at FROM attempts
           WHERE outcome = 'accepted'""",
        f"UPDATE deliveries SET attempts = 2 WHERE lead_id = {OF.format('sent')}",
        "UPDATE sender_days SET used = used + 1",
    ),
    ("sent_is_proven", f"UPDATE deliveries SET evidence = NULL WHERE lead_id = {OF.format('settled')}"),
    (
        "in_flight_has_its_mail",
        f"UPDATE campaign_leads SET state = 'in_flight', due_at = NULL WHERE lead_id = {OF.format('waiting')}",
    ),
    (
        "held_has_its_cause",
        f"UPDATE campaign_leads SET state = 'held', hold_reason = 'unknown', due_at = NULL WHERE lead_id = {OF.format('waiting')}",
    ),
    ("unsettled_fits_its_walk", f"UPDATE campaign_leads SET step = 1 WHERE lead_id = {OF.format('deferred')}"),
    (
        "unsettled_fits_its_walk",
        f"""UPDATE campaign_leads SET state = 'ended', due_at = NULL, outcome = 'removed', ended_at = now()
            WHERE lead_id = {OF.format("deferred")}""",
    ),
    ("mails_have_walks", f"DELETE FROM campaign_leads WHERE lead_id = {OF.format('sent')}"),
    ("mails_have_walks", "INSERT INTO mails VALUES (0, 'x')"),
    ("lists_hold_leads", "INSERT INTO list_leads (list_id, lead_id) SELECT 0, id FROM leads LIMIT 1"),
    (
        "lists_hold_leads",
        "INSERT INTO lists (workspace_id, name) SELECT id, 'L' FROM workspaces LIMIT 1",
        "INSERT INTO list_leads SELECT id, 0 FROM lists",
    ),
    ("days_are_counted", "UPDATE sender_days SET used = used - 1"),
    ("days_are_counted", "DELETE FROM sender_days"),
    ("runs_are_counted", "UPDATE campaign_runs SET sent = sent + 1"),
    ("runs_are_counted", "UPDATE campaigns SET run = 2 WHERE status = 'running'"),
    ("completed_is_over", "UPDATE campaigns SET status = 'completed', completed_at = now() WHERE status = 'running'"),
    (
        "nothing_after_a_stop",
        f"UPDATE campaign_leads SET ended_at = ended_at - interval '1 hour' WHERE lead_id = {OF.format('sent')}",
    ),
    (
        "nothing_after_a_stop",
        """INSERT INTO suppressions (workspace_id, kind, value, reason, created_at)
           SELECT id, 'address', 'sent@b.example', 'manual', now() - interval '1 hour' FROM workspaces""",
    ),
    ("unknown_is_explained", "UPDATE deliveries SET reason = '' WHERE state = 'unknown'"),
    (
        "figures_add_up",
        """INSERT INTO figures SELECT workspace_id, id, 'day', -1, -1, 0, current_date, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM campaigns WHERE status = 'running'""",
        "INSERT INTO events (at, workspace_id, type) SELECT now(), id, 'lead.created' FROM workspaces",
    ),
    ("unknown_is_explained", "UPDATE deliveries SET token = token + 1 WHERE state = 'unknown'"),
    ("attempts_are_counted", f"UPDATE deliveries SET attempts = attempts + 1 WHERE lead_id = {OF.format('sent')}"),
    ("bytes_are_kept", "DELETE FROM mails USING deliveries d WHERE d.id = delivery_id AND d.state = 'rendered'"),
    ("bytes_are_kept", "DELETE FROM mails USING deliveries d WHERE d.id = delivery_id AND d.state = 'deferred'"),
    ("bytes_are_kept", f"INSERT INTO mails SELECT id, 'bytes' FROM deliveries WHERE lead_id = {OF.format('sent')}"),
]


@pytest.mark.parametrize(("name", "damage"), [(name, damage) for name, *damage in DAMAGES])
def test_an_invariant_finds_its_damage_and_no_other(sound, house, db, name, damage):
    for statement in damage:
        house.run(statement)
    assert broken(db) == {name}


def test_every_invariant_is_shown_to_find_something():
    assert {name for name, *_ in DAMAGES} == {each.name for each in INVARIANTS}


def test_a_row_that_breaks_an_invariant_says_which_it_is(sound, house, db):
    house.run("UPDATE sender_days SET used = 9")
    (days,) = (each for each in INVARIANTS if each.name == "days_are_counted")
    (row,) = invariants.violations(db, days)
    assert (row["used"], row["in_the_ledger"]) == (9, 4)
