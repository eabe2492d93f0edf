"""`cleanmails rotate-keys`: seals every stored credential anew with the current secret key, while everything goes on."""

import argparse
import os
from collections.abc import Sequence

import msgspec

from cleanmails import log, settings
from cleanmails.errors import SealError, SettingsError
from cleanmails.ledger import sealed
from cleanmails.ledger.db import Database
from cleanmails.vault import Vault

BATCH = 200
"""Credentials a transaction."""

logger = log.get(__name__)


class Done(msgspec.Struct, frozen=True):
    """How many credentials were sealed anew, those that no key opens, by place and id, and how many were in use meanwhile and are as they were."""

    written: int
    lost: list[tuple[str, int]]
    left: int = 0


def main(argv: Sequence[str]) -> int:
    """Seals anew what another key has sealed, and says what no key opens or is in use; 1 if there is any. May be broken off and begun anew at any time."""
    argparse.ArgumentParser(prog="cleanmails rotate-keys", description=main.__doc__).parse_args(argv)
    configured = settings.load(os.environ)
    log.configure("console", level="WARNING")
    if configured.database_url is None:
        raise SettingsError("DATABASE_URL must be set: there are no credentials to seal anew.")
    vault = Vault.from_settings(configured)
    with Database(configured.database_url, size=1, name="cleanmails rotate-keys") as database:
        done = rotate(database, vault)
    print(f"{done.written} credentials were sealed anew with key {vault.current}.")
    for place, id in done.lost:
        print(f"No key opens {place} of {id}: give its old key in CLEANMAILS_OLD_KEYS, or enter the credential anew.")
    if done.left:
        print(f"{done.left} were changed or used meanwhile: run this again.")
    if not (done.lost or done.left) and len(vault.ids) > 1:
        print(
            "The old keys open nothing stored any more; links in mails that were sent are read with them, so keep them."
        )
    return 1 if done.lost or done.left else 0


def rotate(database: Database, vault: Vault) -> Done:
    """Place by place, in short transactions. What is changed meanwhile is not touched: whoever changes it seals with the current key."""
    written, left, lost = 0, 0, list[tuple[str, int]]()
    for place in sealed.PLACES:
        after = 0
        while True:
            with database.transaction() as db:
                rows = sealed.stale(db, place, current=vault.current, after=after, limit=BATCH)
                if not rows:
                    break
                anew: list[tuple[int, bytes, bytes]] = []
                for row in rows:
                    try:
                        plain = vault.open(row["sealed"], row["bound_to"])
                    except SealError:
                        lost.append((place, row["id"]))
                    else:
                        anew.append((row["id"], row["sealed"], vault.seal(plain, row["bound_to"])))
                done = sealed.write(db, place, anew)
                written, left = written + done, left + len(anew) - done
            after = rows[-1]["id"]
    logger.info("keys.rotated", written=written, lost=len(lost), left=left, key=vault.current)
    return Done(written, lost, left)
