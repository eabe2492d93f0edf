"""Ways to sign in (SASL, RFC 4422) as a client says them to a mail server."""

import base64
from collections.abc import Iterable

Mechanism = tuple[str, list[bytes]]
"""Its name, and what the client says in turn, each with its line end; the first stands in the AUTH command itself, after the name."""


def mechanisms(username: str, password: str, oauth_token: str | None) -> list[Mechanism]:
    """What we can speak with these credentials, best first: XOAUTH2 with a token, else PLAIN (RFC 4616) and LOGIN."""
    if oauth_token is not None:
        # A server explains a refused token in a challenge; to an empty line it then answers with the refusal itself.
        return [("XOAUTH2", [b" " + _base64(f"user={username}\1auth=Bearer {oauth_token}\1\1"), b"\r\n"])]
    return [
        ("PLAIN", [b" " + _base64(f"\0{username}\0{password}")]),
        ("LOGIN", [b"\r\n", _base64(username), _base64(password)]),
    ]


def without_secrets(text: str, said: Iterable[Mechanism], secrets: Iterable[str | None]) -> str:
    """A server's words without ours: some servers repeat what they refuse."""
    lines = (step.decode().strip() for _, steps in said for step in steps)
    for secret in (*lines, *secrets):
        text = text.replace(secret, "***") if secret else text
    return text


def _base64(text: str) -> bytes:
    return base64.b64encode(text.encode()) + b"\r\n"
