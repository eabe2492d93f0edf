"""A provider's authorization server (OAuth 2.0 with PKCE) on the loopback, as strict as a real one, and the person who consents at it."""

import base64
import hashlib
import itertools
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import msgspec

from tests.receiver import Receiver

CLIENT = "client-of-cleanmails"
SECRET = "secret of the client"


class Authority:
    """Gives out codes to who consents, tokens for codes, and new tokens for refresh tokens. `good(user, token)` says whether a mail server may let in."""

    def __init__(self):
        self._numbers = itertools.count(1)
        self._codes = {}
        self._refresh = {}
        self._access = {}
        self.asked = []
        self.lives = 3_600
        self.answer = None
        """An answer in place of the right one: (status, body)."""
        self.rotates = False

    def consent(self, url, account):
        """What a browser brings to the callback after `account` has consented on the page."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{next(self._numbers)}"
        self._codes[code] = (account, asked["code_challenge"], asked["redirect_uri"])
        return {"state": asked["state"], "code": code}

    def good(self, user, token):
        """Whether an access token is this user's and holds."""
        return self._access.get(token, "").lower() == user.lower()

    def expire(self):
        """No access token that was given out holds any more."""
        self._access.clear()

    def withdraw(self):
        """The person takes his consent back."""
        self._refresh.clear()

    def token(self, request):
        """The token endpoint."""
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        self.asked.append(form)
        if self.answer is not None:
            status, body = self.answer
            return status, {}, body
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return self._json(401, {"error": "invalid_client"})
        if form["grant_type"] == "authorization_code":
            return self._by_code(form)
        account = self._refresh.get(form["refresh_token"])
        if account is None:
            return self._json(400, {"error": "invalid_grant", "error_description": "Token has been revoked."})
        return self._json(200, self._given(account, renew=self.rotates))

    def _by_code(self, form):
        account, challenge, redirect_uri = self._codes.pop(form["code"], (None, None, None))
        drawn = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        if account is None or drawn != challenge or redirect_uri != form["redirect_uri"]:
            return self._json(400, {"error": "invalid_grant"})
        claims = msgspec.json.encode({"aud": CLIENT, "email": account})
        middle = base64.urlsafe_b64encode(claims).decode().rstrip("=")
        return self._json(200, self._given(account, renew=True) | {"id_token": f"e30.{middle}.x"})

    def _given(self, account, *, renew):
        access = f"access-{next(self._numbers)}"
        self._access[access] = account
        given = {"access_token": access, "expires_in": self.lives, "token_type": "Bearer"}
        if renew:
            refresh = f"refresh-{next(self._numbers)}"
            self._refresh[refresh] = account
            given["refresh_token"] = refresh
        return given

    def _json(self, status, body):
        return status, {"Content-Type": "application/json"}, msgspec.json.encode(body)


@contextmanager
def running():
    """The server, and where its token endpoint is (`authority.url`)."""
    authority = Authority()
    with Receiver(authority.token) as receiver:
        authority.url = receiver.url
        yield authority


def environ(authority, smtp_port, imap_port, name="google"):
    """The settings of an installation that is registered at it."""
    servers = f"smtp://127.0.0.1:{smtp_port},imap://127.0.0.1:{imap_port}"
    return {
        f"CLEANMAILS_{name.upper()}_CLIENT_ID": CLIENT,
        f"CLEANMAILS_{name.upper()}_CLIENT_SECRET": SECRET,
        f"CLEANMAILS_{name.upper()}_ENDPOINTS": f"https://consent.example/page,{authority.url},{servers}",
    }
