"""Access tokens for senders that sign in by consent: kept sealed, fetched anew before they end, by one at a time for each sender."""

import base64
import hashlib
import hmac
import time
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec

from cleanmails import log
from cleanmails.actors.work import Kit
from cleanmails.errors import UnreachableError
from cleanmails.ledger import oauth
from cleanmails.mail.connector import Connector
from cleanmails.mail.http import Client
from cleanmails.mail.oauth import OauthError, Place, Provider, Tokens, refresh
from cleanmails.records import Security
from cleanmails.settings import Settings
from cleanmails.vault import Vault

SPARE: Final = 300.0
"""Seconds before its end from which on a token is fetched anew."""

PATIENCE: Final = 15.0
REFRESH_SECONDS: Final = 20.0
"""How long a fetch is one caller's own; it takes PATIENCE at most. After one that failed nobody tries again sooner."""

_SCOPES: Final = {
    "google": "openid email https://mail.google.com/",
    "microsoft": "openid email profile offline_access https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send",
}
_EXTRA: Final = {"google": {"access_type": "offline", "prompt": "consent"}, "microsoft": {"prompt": "select_account"}}
_SECURITY: Final = {
    "smtp": (Security.STARTTLS, 587),
    "smtps": (Security.TLS, 465),
    "smtp+plain": (Security.PLAIN, 25),
    "imap": (Security.STARTTLS, 143),
    "imaps": (Security.TLS, 993),
    "imap+plain": (Security.PLAIN, 143),
}

logger = log.get(__name__)


class Access(msgspec.Struct, frozen=True):
    """As whom to sign in, with which token, and until when it is good."""

    account: str
    token: str
    until: datetime

    def __repr__(self) -> str:
        """Without the token."""
        return f"Access({self.account})"


def provider(settings: Settings, name: str) -> Provider | None:
    """A provider at which this installation is registered; None if it is not."""
    client_id, secret, endpoints = {
        "google": (settings.google_client_id, settings.google_client_secret, settings.google_endpoints),
        "microsoft": (settings.microsoft_client_id, settings.microsoft_client_secret, settings.microsoft_endpoints),
    }[name]
    if client_id is None or secret is None:
        return None
    authorize_url, token_url, smtp, imap = endpoints
    return Provider(
        name=name,
        client_id=client_id,
        client_secret=secret,
        authorize_url=authorize_url,
        token_url=token_url,
        scopes=_SCOPES[name],
        extra=_EXTRA[name],
        smtp=_place(smtp),
        imap=_place(imap),
    )


def client(settings: Settings) -> Client:
    """Exchanges with a provider's endpoint, which whoever runs this installation named: it may be anywhere."""
    ca_file = str(settings.ca_file) if settings.ca_file else None
    return Client(Connector(allow_private=True).connect, ca_file=ca_file, patience=PATIENCE)


def verifier(vault: Vault, state: str) -> str:
    """The PKCE verifier of a consent: drawn from its state by a key of ours, so that it need not be kept."""
    drawn = hmac.digest(vault.derive("oauth"), state.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(drawn).decode().rstrip("=")


def sealed(vault: Vault, sender_id: int, tokens: Tokens) -> tuple[bytes, bytes | None]:
    """The access token and the refresh token, if there is one, as they are kept."""
    access = vault.seal(tokens.access.encode(), f"sender:{sender_id}:oauth_access")
    given = tokens.refresh
    return access, vault.seal(given.encode(), f"sender:{sender_id}:oauth_refresh") if given else None


def access(kit: Kit, sender_id: int) -> Access | None:
    """A sender's access token, good for some time; fetched if need be. None: the sender signs in with a password. OauthError."""
    ends = time.monotonic() + REFRESH_SECONDS
    while True:
        with kit.database.transaction() as db:
            row = oauth.read(db, sender_id)
        if row is None:
            return None
        if row["refused_at"] is not None:
            raise OauthError(f"{row['error']} Connect the mailbox again.", code="oauth_refused")
        left = (row["expires_at"] - row["now"]).total_seconds() if row["expires_at"] else 0.0
        if left < SPARE and _fetch(kit, sender_id, row["provider"]):
            continue
        if left > 1:
            token = kit.vault.open(bytes(row["access_sealed"]), f"sender:{sender_id}:oauth_access").decode()
            return Access(row["account"], token, row["expires_at"])
        if time.monotonic() > ends or row["error"] is not None:
            raise OauthError(row["error"] or f"{row['provider']} gave no token in time.")
        time.sleep(0.1)  # somebody else fetches it


def _fetch(kit: Kit, sender_id: int, name: str) -> bool:
    """Fetches a token, if it is the caller's turn. OauthError if that fails and there is no other way than to wait or to consent again."""
    with kit.database.transaction() as db:
        before = oauth.begin_refresh(db, sender_id, seconds=REFRESH_SECONDS, spare=SPARE)
    if before is None:
        return False
    known = provider(kit.settings, name)
    try:
        if known is None:
            raise OauthError(f"This installation is not registered at {name} any more (see its settings).")
        old = kit.vault.open(before, f"sender:{sender_id}:oauth_refresh").decode()
        with client(kit.settings) as http:
            tokens = refresh(http, known, old)
    except UnreachableError as error:
        logger.warning("oauth.unrefreshed", sender=sender_id, provider=name, code=error.code, reason=error.message)
        refused = error.code == "oauth_refused"
        with kit.database.transaction() as db:
            oauth.write_unrefreshed(db, sender_id, before, error.message, refused=refused)
        return refused
    new_access, new_refresh = sealed(kit.vault, sender_id, tokens)
    with kit.database.transaction() as db:
        row = oauth.read(db, sender_id)
        if row is not None:
            expires_at = row["now"] + timedelta(seconds=tokens.expires_in)
            oauth.write_refreshed(db, sender_id, before, access=new_access, expires_at=expires_at, refresh=new_refresh)
    logger.info("oauth.refreshed", sender=sender_id, provider=name)
    return True


def _place(url: str) -> Place:
    parts = urlsplit(url)
    security, port = _SECURITY[parts.scheme]
    return Place(parts.hostname or "", parts.port or port, security)
