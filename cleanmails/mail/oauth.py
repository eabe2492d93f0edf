"""Consent and tokens (OAuth 2.0, RFC 6749) of mail providers: authorization code with PKCE (RFC 7636), and refreshing."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from cleanmails.errors import UnreachableError
from cleanmails.mail.http import Client, HttpError, UrlError, target
from cleanmails.records import Security

MOST: Final = 65_536
"""Bytes of a token endpoint's answer; id tokens with many groups have some thousands."""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


class OauthError(UnreachableError):
    """There is no access token. `oauth_refused`: the provider takes the code or the refresh token no more, and a person must consent again; `oauth_broken`: it
    does not answer as it should, and may later. Beside these stands what the connector says.
    """

    code = "oauth_broken"


class Place(msgspec.Struct, frozen=True):
    """Where a provider's mail server is."""

    host: str
    port: int
    security: Security


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A mail provider at which this installation is registered. `extra`: what else its consent page is asked with."""

    name: str
    client_id: str
    client_secret: str
    authorize_url: str
    token_url: str
    scopes: str
    extra: Mapping[str, str]
    smtp: Place
    imap: Place

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Provider({self.name})"


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What a token endpoint gave: `expires_in` seconds, `refresh` if there was one, `account` the address of who consented, in lower case, if it was told."""

    access: str
    expires_in: float
    refresh: str | None
    account: str | None

    def __repr__(self) -> str:
        """Without the tokens."""
        return f"Tokens({self.account})"


def challenge(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636, 4.2)."""
    return _base64url(hashlib.sha256(verifier.encode()).digest())


def consent_url(provider: Provider, *, redirect_uri: str, state: str, verifier: str, hint: str | None) -> str:
    """The page on which a person consents; `hint` is the address that he should do it with."""
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "scope": provider.scopes,
        "state": state,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        **provider.extra,
        **({"login_hint": hint} if hint else {}),
    }
    joint = "&" if "?" in provider.authorize_url else "?"
    return f"{provider.authorize_url}{joint}{urlencode(asked)}"


def exchange(client: Client, provider: Provider, *, code: str, redirect_uri: str, verifier: str) -> Tokens:
    """The tokens for the code that a consent brought. OauthError."""
    asked = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    return _asked(client, provider, asked)


def refresh(client: Client, provider: Provider, refresh_token: str) -> Tokens:
    """A new access token. OauthError."""
    return _asked(client, provider, {"grant_type": "refresh_token", "refresh_token": refresh_token})


def _asked(client: Client, provider: Provider, asked: Mapping[str, str]) -> Tokens:
    secrets = {"client_id": provider.client_id, "client_secret": provider.client_secret}
    body = urlencode({**asked, **secrets}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    try:
        response = client.request("POST", target(provider.token_url), headers, body, most=MOST)
    except UrlError as error:
        raise OauthError(f"The token endpoint of {provider.name} is no URL: {error}") from error
    except HttpError as error:
        raise OauthError(f"{provider.name} gave no token: {error.message}", code=error.code) from error
    try:
        told = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        told = None
    if not isinstance(told, dict):
        raise OauthError(f"{provider.name} answered {response.status} without JSON.")
    if response.status != 200 or "error" in told:
        raise _refusal(provider, response.status, told)
    return _tokens(provider, told)


def _refusal(provider: Provider, status: int, told: Mapping[str, Any]) -> OauthError:
    """Of the errors of RFC 6749 (5.2) these are the client's or the grant's, and stay; what the server suffers from passes."""
    error, words = str(told.get("error", "")), str(told.get("error_description", ""))
    said = _UNPRINTABLE.sub(" ", f"{status} {error} {words}")[:300].strip()
    if status in {400, 401, 403} and error not in {"temporarily_unavailable", "server_error", "slow_down"}:
        return OauthError(f"{provider.name} refused: {said}.", code="oauth_refused")
    return OauthError(f"{provider.name} gave no token: {said}.")


def _tokens(provider: Provider, told: Mapping[str, Any]) -> Tokens:
    access, given = told.get("access_token"), told.get("refresh_token")
    if not isinstance(access, str) or not re.fullmatch(r"[\x21-\x7e]{1,16000}", access):
        raise OauthError(f"{provider.name} gave no access token.")
    try:
        expires_in = float(told.get("expires_in", 3_600))
    except (TypeError, ValueError):
        expires_in = 3_600.0
    return Tokens(
        access=access,
        expires_in=min(max(expires_in, 1.0), 86_400.0),
        refresh=given if isinstance(given, str) and given else None,
        account=_account(provider, told.get("id_token")),
    )


def _account(provider: Provider, id_token: object) -> str | None:
    """The address in an ID token. It came from the token endpoint itself, so its signature need not be looked at (OpenID Connect Core, 3.1.3.7, 6); its
    audience is.
    """
    if not isinstance(id_token, str) or id_token.count(".") != 2:
        return None
    middle = id_token.split(".")[1]
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (binascii.Error, msgspec.DecodeError):
        return None
    if not isinstance(claims, dict) or provider.client_id not in _list(claims.get("aud")):
        return None
    for name in ("email", "preferred_username", "upn"):
        address = claims.get(name)
        if isinstance(address, str) and re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", address):
            return address.lower()
    return None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
