"""People, and the first of them."""

import threading

import pytest

from cleanmails.errors import ConflictError
from cleanmails.ledger import users


def first(database, email):
    with database.transaction() as db:
        return users.first_owner(db, email=email, password_hash="hash", workspace="Agency")


def test_the_first_owner_owns_the_first_workspace(database):
    user = first(database, "owner@agency.example")
    with database.transaction() as db:
        assert users.home(db, user)["role"] == "owner"
        assert users.read(db, user)["email"] == "owner@agency.example"


def test_of_two_first_starts_at_once_one_makes_the_owner(database):
    made = []
    starts = [
        threading.Thread(target=lambda n=n: made.append(first(database, f"owner{n}@agency.example"))) for n in range(4)
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert sorted(user is None for user in made) == [False, True, True, True]


def test_an_address_signs_one_user_in(db):
    users.create(db, email="ann@agency.example", password_hash="hash")
    with pytest.raises(ConflictError):
        users.create(db, email="ann@agency.example", password_hash="hash")


def test_a_user_of_no_workspace_has_no_home(db):
    assert users.home(db, users.create(db, email="ann@agency.example", password_hash="hash")) is None
