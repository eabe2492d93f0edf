"""A change of the secret key: everything that is sealed is sealed anew, and nothing is lost on the way."""

import threading

import pytest

from cleanmails.actors import rotate
from cleanmails.actors.outlets import secret_name
from cleanmails.ledger import sealed
from cleanmails.ledger.db import Database
from cleanmails.mail.tokens import Purpose, Tokens
from cleanmails.vault import Vault, key_id

OLD, NEW, THIRD = (bytes([n]) * 32 for n in (1, 2, 3))
old = Vault({key_id(OLD): OLD}, current=key_id(OLD))
new = Vault({key_id(OLD): OLD, key_id(NEW): NEW}, current=key_id(NEW))


@pytest.fixture
def database(database_url):
    with Database(database_url, size=4) as database:
        yield database


@pytest.fixture
def full(house):
    """A credential in every place; returns what each is bound to, by place and id."""
    house.vault = old
    house.domain()
    sender = house.sender(password="to smtp")
    user = house.one("INSERT INTO users (email, password_hash) VALUES ('a@b.example', 'x') RETURNING id")
    outlet = house.one(
        "INSERT INTO outlets (workspace_id, kind, url, types, xact, event_id) VALUES (%s, 'webhook', 'https://b.example', '{}', 0, 0) RETURNING id",
        house.workspace,
    )  # fmt: skip
    places = {
        ("ai_settings.key_sealed", house.workspace): f"ai:{house.workspace}:key",
        ("oauth_grants.access_sealed", sender): f"sender:{sender}:oauth_access",
        ("oauth_grants.refresh_sealed", sender): f"sender:{sender}:oauth_refresh",
        ("outlets.old_sealed", outlet): secret_name(outlet),
        ("outlets.sealed", outlet): secret_name(outlet),
        ("senders.imap_sealed", sender): f"sender:{sender}:imap_password",
        ("users.totp_sealed", user): f"user:{user}:totp",
    }
    values = {place: old.seal(place[0].encode(), bound_to) for place, bound_to in places.items()}
    house.run(
        """INSERT INTO ai_settings (workspace_id, kind, url, model, key_sealed, timeout_seconds, max_characters)
           VALUES (%s, 'openai', 'https://b.example', 'm', %s, 5, 100)""",
        house.workspace,
        values["ai_settings.key_sealed", house.workspace],
    )
    house.run(
        "UPDATE outlets SET sealed = %s, old_sealed = %s, old_until = now()",
        values["outlets.sealed", outlet],
        values["outlets.old_sealed", outlet],
    )
    house.run("UPDATE senders SET imap_sealed = %s", values["senders.imap_sealed", sender])
    house.run(
        """INSERT INTO oauth_grants (sender_id, workspace_id, provider, account, refresh_sealed, access_sealed, expires_at, granted_at)
           VALUES (%s, %s, 'google', 'a@b.example', %s, %s, now(), now())""",
        sender,
        house.workspace,
        values["oauth_grants.refresh_sealed", sender],
        values["oauth_grants.access_sealed", sender],
    )
    house.run("UPDATE users SET totp_sealed = %s", values["users.totp_sealed", user])
    return places


def stored(house, place, id):
    table, column = place.split(".")
    key = {"ai_settings": "workspace_id", "oauth_grants": "sender_id"}.get(table, "id")
    return bytes(house.one(f"SELECT {column} FROM {table} WHERE {key} = %s", id))


def test_every_place_that_holds_sealed_bytes_is_known(house):
    rows = house.all(
        """SELECT table_name || '.' || column_name AS place FROM information_schema.columns
           WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name LIKE '%%sealed'"""
    )
    assert {row["place"] for row in rows} == set(sealed.PLACES)


def test_everything_is_sealed_anew_and_opens_without_the_old_key(house, database, full):
    assert rotate.rotate(database, new) == rotate.Done(len(full) + 2, [])
    alone = Vault({key_id(NEW): NEW}, current=key_id(NEW))
    for (place, id), bound_to in full.items():
        assert alone.open(stored(house, place, id), bound_to) == place.encode()
    sender = house.one("SELECT id FROM senders")
    assert alone.open(stored(house, "senders.smtp_sealed", sender), f"sender:{sender}:smtp_password") == b"to smtp"
    key = house.one("SELECT id FROM dkim_keys")
    assert alone.open(stored(house, "dkim_keys.private_sealed", key), f"dkim_key:{key}:private") == house.private
    assert rotate.rotate(database, new) == rotate.Done(0, []), "a second time there is nothing to do"


def test_more_than_a_batch_is_done_and_what_no_key_opens_is_named(house, database, monkeypatch):
    monkeypatch.setattr(rotate, "BATCH", 2)
    house.vault = old
    ids = [house.sender(f"s{n}@b.example", password="x") for n in range(5)]
    lost = Vault({key_id(THIRD): THIRD}, current=key_id(THIRD)).seal(b"x", f"sender:{ids[1]}:smtp_password")
    house.run("UPDATE senders SET smtp_sealed = %s WHERE id = %s", lost, ids[1])
    assert rotate.rotate(database, new) == rotate.Done(4, [("senders.smtp_sealed", ids[1])])
    assert stored(house, "senders.smtp_sealed", ids[1]) == lost


def test_a_password_that_is_changed_meanwhile_stays_as_it_was_changed(house, database):
    house.vault = old
    sender = house.sender(password="before")
    bound_to = f"sender:{sender}:smtp_password"
    was = stored(house, "senders.smtp_sealed", sender)
    changed = old.seal(b"changed", bound_to)
    house.run("UPDATE senders SET smtp_sealed = %s", changed)
    with database.transaction() as db:
        assert sealed.write(db, "senders.smtp_sealed", [(sender, was, new.seal(b"before", bound_to))]) == 0
    assert stored(house, "senders.smtp_sealed", sender) == changed


def test_a_token_that_is_being_fetched_anew_is_left_for_the_next_time(house, database, full):
    """Whoever fetches a token knows its row by the old one, and would lose the new one."""
    house.run("UPDATE oauth_grants SET refreshing_until = now() + interval '1 minute'")
    assert rotate.rotate(database, new).left == 1
    house.run("UPDATE oauth_grants SET refreshing_until = NULL")
    assert rotate.rotate(database, new) == rotate.Done(1, [])


def test_links_signed_with_the_old_key_are_read_and_new_ones_carry_the_new():
    link = Tokens(old.derive_all("tokens"), old.current).sign(Purpose.UNSUBSCRIBE, 7)
    tokens = Tokens(new.derive_all("tokens"), new.current)
    assert tokens.read(link, Purpose.UNSUBSCRIBE) == 7
    assert tokens.sign(Purpose.UNSUBSCRIBE, 7) != link
    assert (
        Tokens(old.derive_all("tokens"), old.current).read(tokens.sign(Purpose.UNSUBSCRIBE, 7), Purpose.UNSUBSCRIBE)
        is None
    )


def test_two_that_rotate_at_once_lose_nothing(house, database, full):
    done = []
    threads = [threading.Thread(target=lambda: done.append(rotate.rotate(database, new))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(each.written for each in done) == len(full) + 2
    assert all(each.lost == [] for each in done)
    for (place, id), bound_to in full.items():
        assert new.open(stored(house, place, id), bound_to) == place.encode()
