"""A preview is made of the facts that a mail is made of."""

from cleanmails.ledger.statements import sql


def names(db, statement, values):
    return {column.name for column in db.execute(statement, values).description}


def test_a_preview_reads_all_that_a_mail_is_made_of(db):
    planned = names(db, sql("deliveries.render_facts"), {"ids": [], "tokens": []})
    planned |= names(db, sql("deliveries.render_words"), {"campaigns": [], "steps": []})
    wanted = {"workspace_id": 1, "campaign_id": 1, "lead_id": 1, "step": 0, "sender_id": None}
    shown = names(db, sql("previews.facts"), wanted)
    assert shown - planned == {"state", "mail_date", "ledger_hash"}
    assert planned <= shown
