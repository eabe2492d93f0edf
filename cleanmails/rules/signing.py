"""How a webhook is signed: Standard Webhooks (symmetric, `v1`), and a plain HMAC of the body beside it."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final

PREFIX: Final = "whsec_"


def secret_of(random: bytes) -> str:
    """A secret as it is shown once: 24 to 64 random bytes."""
    return PREFIX + base64.b64encode(random).decode()


def headers(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of one attempt at `at`. While a secret is being changed there are two, the new one first, and a receiver may hold either.

    `webhook-signature` has a signature by each. `X-Webhook-Signature` has room for one: the new secret's, its key being the secret as it is written.
    """
    seconds = int(at.timestamp())
    signed = f"{message_id}.{seconds}.".encode() + body
    marks = [base64.b64encode(_hmac(_key(secret), signed).digest()).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{mark}" for mark in marks),
        "X-Webhook-Signature": "sha256=" + _hmac(secrets[0].encode(), body).hexdigest(),
    }


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX))


def _hmac(key: bytes, data: bytes) -> "hmac.HMAC":
    return hmac.new(key, data, hashlib.sha256)
