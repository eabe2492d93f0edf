"""A user of the API, and of the stand-ins for the world beside it: what the demonstration and the benchmarks act as."""

import time
from collections.abc import Iterator
from typing import Any, Final

import httpx

from cleanmails.errors import CleanmailsError

PATIENCE: Final = 30.0
"""Seconds for a killed web process to come back."""


class RefusedError(CleanmailsError):
    """The API or a stand-in did not answer as it should; the message has the answer."""

    code = "refused"


class User:
    """Talks to the API through `http` and to the catcher at `catcher_url`, whose mail server listens on `smtp_port` and has mailboxes at `imap_port`."""

    def __init__(self, http: httpx.Client, catcher_url: str, smtp_port: int, imap_port: int) -> None:
        self.http = http
        self.catcher = httpx.Client(base_url=catcher_url, timeout=30)
        self.smtp_port, self.imap_port = smtp_port, imap_port

    def sign_in(self, email: str, password: str) -> None:
        """The cookie stays with `http`."""
        self.post("/v1/auth/login", {"email": email, "password": password})

    def post(self, path: str, body: Any = None, **options: Any) -> Any:  # noqa: ANN401 - whatever JSON the API answers
        """The answer to a POST, decoded. RefusedError for anything but success."""
        return _told(
            self.http.post(path, json=body, **options) if body is not None else self.http.post(path, **options)
        )

    def get(self, path: str, **options: Any) -> Any:  # noqa: ANN401 - as above
        """The answer to a GET, decoded. A server that is just being started again is asked until it answers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return _told(self.http.get(path, **options))
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def pages(self, path: str, **parameters: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
        """Every entry of a list, page by page."""
        after: dict[str, str] = {}
        while True:
            page = self.get(path, params={"limit": 200, **parameters, **after})
            yield from page["items"]
            if page["next"] is None:
                return
            after = {"after": page["next"]}

    def patch(self, path: str, body: Any) -> Any:  # noqa: ANN401 - as above
        """The answer to a PATCH, decoded."""
        return _told(self.http.patch(path, json=body))

    def publish(self, name: str, kind: str, value: str) -> None:
        """A record in the stand-in's DNS."""
        _told(self.catcher.post("/api/zone", json={"name": name, "kind": kind, "values": [value]}))

    def sending_domain(self, name: str) -> int:
        """A domain with its records published in the stand-in's DNS, verified."""
        domain = self.post("/v1/outreach/domains", {"name": name})
        for record in domain["records"]:
            self.publish(record["name"], record["type"], record["value"])
        found = self.post(f"/v1/outreach/domains/{domain['id']}/verify")
        if found["status"] != "verified":
            raise RefusedError(f"The domain {name} was not verified: {found['findings']}")
        return int(domain["id"])

    def sender(self, address: str, name: str, **settings: Any) -> int:  # noqa: ANN401 - columns of a sender
        """A mailbox at the stand-in's server, which takes its mail and keeps what comes back."""
        body = {
            "address": address,
            "name": name,
            "smtp_host": "localhost",
            "smtp_port": self.smtp_port,
            "smtp_security": "starttls",
            "imap_host": "localhost",
            "imap_port": self.imap_port,
            "imap_security": "starttls",
            "imap_password": "demonstration",
        }
        return int(
            self.post(
                "/v1/outreach/senders", body | {"smtp_username": address, "smtp_password": "demonstration"} | settings
            )["id"]
        )


def answers(client: httpx.Client, path: str) -> bool:
    """Whether a server is up and answers this path with success."""
    try:
        return client.get(path).is_success
    except httpx.TransportError:
        return False


def _told(response: httpx.Response) -> Any:  # noqa: ANN401 - as above
    if not response.is_success:
        raise RefusedError(
            f"{response.request.method} {response.request.url.path} answered {response.status_code}: {response.text[:1000]}"
        )
    return response.json() if response.content else None
