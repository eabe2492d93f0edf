"""The second factor: time-based codes (RFC 6238, as every authenticator app makes them), and recovery codes for who lost the app."""

import secrets
from datetime import datetime
from typing import Final

import pyotp

from cleanmails.api.auth import token_hash
from cleanmails.ledger import users
from cleanmails.ledger.db import Connection, Row
from cleanmails.vault import Vault

STEP: Final = 30
_LATE: Final = 1
"""Steps that a code may be early or late: clocks differ, people type slowly (RFC 6238, 5.2)."""

RECOVERY_CODES: Final = 10


def new_secret() -> str:
    """160 random bits in base32 (RFC 4226, 4)."""
    return str(pyotp.random_base32())


def uri(secret: str, email: str) -> str:
    """What an authenticator app reads, as a link or a QR code."""
    return str(pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="cleanmails"))


def seal(vault: Vault, user_id: int, secret: str) -> bytes:
    """The secret as the ledger keeps it."""
    return vault.seal(secret.encode(), f"user:{user_id}:totp")


def matches(db: Connection, vault: Vault, user: Row, code: str, now: datetime) -> bool:
    """Whether this is a code of the user's app that was not used before; it is used up."""
    secret = vault.open(bytes(user["totp_sealed"]), f"user:{user['id']}:totp").decode()
    here = int(now.timestamp()) // STEP
    for step in range(here - _LATE, here + _LATE + 1):
        if secrets.compare_digest(pyotp.TOTP(secret).at(step * STEP), code.strip().replace(" ", "")):
            return users.use_totp_step(db, user["id"], step, now)
    return False


def second_factor(db: Connection, vault: Vault, user: Row, code: str, now: datetime) -> bool:
    """Whether a code of the app, or a recovery code, lets this user in; it is used up."""
    # Recovery codes first: they let in also who set up the app under a key that is gone.
    return users.use_recovery_code(db, user["id"], recovery_hash(code)) or matches(db, vault, user, code, now)


def new_recovery_codes() -> list[str]:
    """Codes of 125 random bits, each good for one sign-in, in groups that can be copied by hand. With fewer a plain hash of them could be guessed."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    return [
        "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(5)) for _ in range(RECOVERY_CODES)
    ]


def recovery_hash(code: str) -> bytes:
    """What the ledger keeps of a recovery code."""
    return token_hash(code.strip().lower().replace("-", "").replace(" ", ""))
