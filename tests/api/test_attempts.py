"""Attempts over HTTP: what a server said each time, of one's own deliveries alone."""

from tests.ledger.conftest import Rows


def test_every_try_is_told_in_order(api, stranger, database_url, owner):
    house = Rows(database_url)
    house.workspace = owner
    [ada] = house.leads("ada@example.com")
    sender = house.sender("ann@acme.example")
    campaign = house.campaign_on(house.list(ada), leads=[ada])
    delivery = house.planned(campaign, ada, "sent", sender=sender)
    path = f"/v1/outreach/deliveries/{delivery}/attempts"
    assert api.get(path).json() == []
    for token, outcome, stage, code, text in (
        (2, "accepted", "dot", 250, "Ok"),
        (1, "refused", "rcpt", 451, "4.7.1 Greylisted"),
    ):
        house.run(
            "INSERT INTO attempts (delivery_id, token, workspace_id, sender_id, outcome, stage, code, text, started_at, finished_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now() + %s * interval '1 hour', now())",
            delivery, token, owner, sender, outcome, stage, code, text, token,
        )  # fmt: skip
    house.db.close()
    told = [
        (each["sender"], each["outcome"], each["stage"], each["code"], each["text"]) for each in api.get(path).json()
    ]
    assert told == [
        ("ann@acme.example", "refused", "rcpt", 451, "4.7.1 Greylisted"),
        ("ann@acme.example", "accepted", "dot", 250, "Ok"),
    ]
    assert stranger.get(path).status_code == 404
    assert api.get("/v1/outreach/deliveries/999999/attempts").status_code == 404
