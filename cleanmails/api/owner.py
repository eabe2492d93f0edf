"""The first start: a workspace and its owner, with a random password that is shown once."""

import argparse
import os
import sys
from collections.abc import Sequence

from cleanmails import settings as configuration
from cleanmails.api import passwords
from cleanmails.errors import SettingsError
from cleanmails.ledger import sessions, users
from cleanmails.ledger.db import Database


def first_owner(database: Database, email: str) -> str | None:
    """Makes the first workspace and its owner; returns the password. None, and nothing is done, if there is a user already."""
    with database.transaction() as db:
        if users.exists(db):
            return None
    password = passwords.random_password()
    hashed = passwords.hash_password(password)
    with database.transaction() as db:
        made = users.first_owner(db, email=email.strip().lower(), password_hash=hashed)
    return password if made is not None else None


def reset_password(database: Database, email: str) -> str | None:
    """A new random password for a user who lost the old one, and the end of all sessions; None if there is no such user."""
    password = passwords.random_password()
    hashed = passwords.hash_password(password)
    with database.transaction() as db:
        user = users.read_by_email(db, email.strip().lower())
        if user is None:
            return None
        users.set_password(db, user["id"], hashed)
        sessions.delete_of_user(db, user["id"])
    return password


def main(argv: Sequence[str]) -> int:
    """`cleanmails owner --email ADDRESS [--reset]`: 0 and the password on stdout, or 1 and a sentence on stderr."""
    parser = argparse.ArgumentParser(prog="cleanmails owner", description=__doc__)
    parser.add_argument("--email", required=True, help="the address that the owner signs in with")
    parser.add_argument("--reset", action="store_true", help="give an existing user a new random password")
    given = parser.parse_args(argv)
    url = configuration.load(os.environ).database_url
    if url is None:
        raise SettingsError("DATABASE_URL must be set: the owner is written there.")
    with Database(url, size=1, name="cleanmails owner") as database:
        password = (reset_password if given.reset else first_owner)(database, given.email)
    if password is None:
        print(
            f"There is no user {given.email}." if given.reset else "There is an owner already; nothing was changed.",
            file=sys.stderr,
        )
        return 1
    print(f"email:    {given.email}\npassword: {password}\nIt is shown this once.")
    return 0
