"""The settings: one frozen struct, read once at the door from the environment. A wrong value stops the start.

`VARIABLES` is the one table behind `load`, the command `cleanmails settings` and the table of the README.
"""

import base64
import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from cleanmails.errors import SettingsError

DEVELOPMENT_KEY: Final = b"cleanmails-development-only-key!"
"""Known to everybody who reads this file: good for trying things out on one machine, refused everywhere else."""

PROVIDER_RATES: Final[Mapping[str, float]] = {
    "google": 2.0,
    "microsoft": 2.0,
    "yahoo": 2.0,
    "icloud": 2.0,
    "proton": 1.0,
    "other": 5.0,
}
"""Mails a second to each recipient provider, all workers together; `other` is per domain."""


class Servers(msgspec.Struct, frozen=True):
    """Where Postgres and Redis are, once both are known."""

    database_url: str
    redis_url: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that may differ between two installations. What each field means stands in `VARIABLES`."""

    environment: Literal["development", "production"]
    database_url: str | None
    redis_url: str | None
    secret_key: bytes
    old_keys: tuple[bytes, ...]
    public_url: str
    host: str
    port: int
    dns_servers: tuple[tuple[str, int], ...]
    ca_file: Path | None
    system_smtp: str | None
    system_from: str | None
    state_dir: Path
    log_format: Literal["json", "console"]
    provider_rates: dict[str, float]
    bounce_limit_percent: float
    bounce_min_sent: int
    send_threads: int
    allow_private_hosts: bool
    worker_lease_seconds: float
    event_months: int
    feedback_id: str
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    webhook_ports: tuple[int, ...]
    api_rate: int
    session_days: int
    google_client_id: str | None
    google_client_secret: str | None
    google_endpoints: tuple[str, str, str, str]
    microsoft_client_id: str | None
    microsoft_client_secret: str | None
    microsoft_endpoints: tuple[str, str, str, str]

    def __repr__(self) -> str:
        """Nothing secret: the URLs of the servers may hold passwords, and the key is the key."""
        return f"Settings({self.environment}, {self.public_url})"

    def servers(self) -> Servers:
        """Both servers' URLs, for a process that cannot do without; SettingsError names what is missing."""
        missing = [
            name for name, url in (("DATABASE_URL", self.database_url), ("REDIS_URL", self.redis_url)) if not url
        ]
        if self.database_url is None or self.redis_url is None:
            raise SettingsError("\n".join(f"{name} must be set: this process uses that server." for name in missing))
        return Servers(self.database_url, self.redis_url)


class Variable(msgspec.Struct, frozen=True):
    """A variable of the environment. `default` is text, as it would be set; `read` turns text into the field's value.

    `read` raises ValueError with what the value must be. A default in brackets is worked out in `load`.
    """

    name: str
    field: str
    default: str
    meaning: str
    read: Callable[[str], Any] = str
    secret: bool = False


def load(environ: Mapping[str, str]) -> Settings:
    """The settings out of an environment. An empty value counts as not set. SettingsError holds one sentence per fault, one a line."""
    faults: list[str] = []
    given: dict[str, Any] = {}
    for variable in VARIABLES:
        text = environ.get(variable.name, "").strip()
        if text or not variable.default.startswith("("):
            try:
                given[variable.name] = variable.read(text or variable.default)
            except ValueError as error:
                seen = "" if variable.secret else f", not {text!r}"
                faults.append(f"{variable.name} {error}{seen}.")
    faults += [fault for fault in _contradictions(given) if not _names_any(fault, faults)]
    if faults:
        raise SettingsError("\n".join(faults))
    return _settle(given)


def table() -> str:
    """All variables as a Markdown table, as the README shows it."""
    rows = [
        f"| `{v.name}` | {v.default if v.default.startswith('(') else f'`{v.default}`'} | {v.meaning} |"
        for v in VARIABLES
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def _settle(given: Mapping[str, Any]) -> Settings:
    """Work out the defaults that depend on other settings."""
    values: dict[str, Any] = {variable.field: given.get(variable.name) for variable in VARIABLES if variable.field}
    values["secret_key"] = _key(given) or DEVELOPMENT_KEY
    values["public_url"] = values["public_url"] or f"http://127.0.0.1:{values['port']}"
    values["old_keys"] = values["old_keys"] or ()
    values["dns_servers"] = values["dns_servers"] or ()
    values["feedback_id"] = values["feedback_id"] or ""
    if values["allow_private_hosts"] is None:
        values["allow_private_hosts"] = values["environment"] == "development"
    if values["webhook_ports"] is None:
        values["webhook_ports"] = () if values["environment"] == "development" else (80, 443, 8080, 8443)
    return Settings(**values)


def _contradictions(given: Mapping[str, Any]) -> list[str]:
    """What is wrong with values that are each right by themselves."""
    production = given.get("CLEANMAILS_ENV") == "production"
    url = given.get("CLEANMAILS_URL")
    url_host = urlsplit(url).hostname if url else "localhost"
    reachable = not _is_loopback(given["CLEANMAILS_HOST"]) or not _is_loopback(url_host)
    rules = [
        (
            "CLEANMAILS_SECRET_KEY" in given and "CLEANMAILS_SECRET_KEY_FILE" in given,
            "CLEANMAILS_SECRET_KEY and CLEANMAILS_SECRET_KEY_FILE are both set; set one of them.",
        ),
        (
            (production or reachable) and _key(given) in {None, DEVELOPMENT_KEY},
            "CLEANMAILS_SECRET_KEY must be set, and not to the development key, unless nobody but this machine reaches it.",
        ),
        (
            ("CLEANMAILS_SYSTEM_SMTP" in given) != ("CLEANMAILS_SYSTEM_FROM" in given),
            "CLEANMAILS_SYSTEM_SMTP and CLEANMAILS_SYSTEM_FROM go together: a mail needs a server and an address that it comes from.",
        ),
        (
            production and url is None,
            "CLEANMAILS_URL must be set in production: every mail links to it.",
        ),
        (
            production and url is not None and url.startswith("http:") and not _is_loopback(url_host),
            "CLEANMAILS_URL must start with https:// in production: sessions and unsubscribe links travel over it.",
        ),
    ]
    return [sentence for broken, sentence in rules if broken]


def _names_any(contradiction: str, faults: list[str]) -> bool:
    """Whether a variable that a contradiction begins with is already said to be wrong."""
    return any(fault.startswith(contradiction.partition(" ")[0]) for fault in faults)


def _key(given: Mapping[str, Any]) -> bytes | None:
    key: bytes | None = given.get("CLEANMAILS_SECRET_KEY") or given.get("CLEANMAILS_SECRET_KEY_FILE")
    return key


def _is_loopback(host: str) -> bool:
    """Whether a name or an address can only be reached from this machine (RFC 6761, 6.3 for the name)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be {' or '.join(words)}")
        return text

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def _decimal(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return value

    return read


def _truth(text: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if text.lower() not in words:
        raise ValueError("must be true or false")
    return words[text.lower()]


def _feedback_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{5,15}", text):
        raise ValueError("must be 5 to 15 letters or digits")
    return text


def _url_of(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.partition("://")[0] not in schemes or "://" not in text:
            raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return text

    return read


def _mail_address(text: str) -> str:
    if not re.fullmatch(r"[^\s@<>]+@[A-Za-z0-9.-]+", text):
        raise ValueError("must be an e-mail address")
    return text


def _public_url(text: str) -> str:
    match = re.fullmatch(r"(https?://(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?)/?", text)
    if not match:
        raise ValueError("must be a URL like https://mail.example.com, without a path")
    return match[1]


def _secret_key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text.rstrip("=") + "=", b"-_", validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError("must be 32 bytes written as 64 hexadecimal digits or as base64url")
    return key


def _secret_key_file(text: str) -> bytes:
    content = _file(text).read_text(encoding="ascii", errors="replace")
    try:
        return _secret_key(content.strip())
    except ValueError as error:
        raise ValueError(f"must name a file that holds the key, which {error}") from error


def _old_keys(text: str) -> tuple[bytes, ...]:
    """Keys, or files that hold one each, told by their leading slash."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(_secret_key_file(part) if part.startswith("/") else _secret_key(part) for part in parts)


def _file(text: str) -> Path:
    try:
        Path(text).open("rb").close()
    except OSError as error:
        raise ValueError(f"must name a file that can be read ({error.strerror})") from error
    return Path(text)


def _dns_servers(text: str) -> tuple[tuple[str, int], ...]:
    return tuple(_address(part.strip()) for part in text.split(",") if part.strip())


def _address(text: str) -> tuple[str, int]:
    """An IP address and a port: `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`."""
    try:
        return str(ipaddress.ip_address(text)), 53
    except ValueError:
        host, _, port = text.rpartition(":")
    try:
        return str(ipaddress.ip_address(host.strip("[]"))), _whole(1, 65535)(port)
    except ValueError as error:
        raise ValueError("must be a list of IP addresses, each with or without a port, like 192.0.2.1:53") from error


def _networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError("must be a list of IP addresses or networks, like 127.0.0.1,10.0.0.0/8") from error


def _ports(text: str) -> tuple[int, ...]:
    return tuple(_whole(1, 65535)(part.strip()) for part in text.split(",") if part.strip())


def _endpoints(text: str) -> tuple[str, str, str, str]:
    parts = [part.strip() for part in text.split(",")]
    schemes = (("https", "http"), ("https", "http"), ("smtp", "smtps", "smtp+plain"), ("imap", "imaps", "imap+plain"))
    if len(parts) != len(schemes) or any(
        part.partition("://")[0] not in wanted or not urlsplit(part).hostname
        for part, wanted in zip(parts, schemes, strict=True)
    ):
        raise ValueError(
            "must be four URLs with commas between them: consent page, tokens, smtp:// or smtps://, imap:// or imaps://"
        )
    return (parts[0], parts[1], parts[2], parts[3])


def _provider_rates(text: str) -> dict[str, float]:
    rates = dict(PROVIDER_RATES)
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, rate = (word.strip() for word in part.partition("="))
        if name not in rates:
            raise ValueError(f"must name the providers {', '.join(rates)}, each as name=rate")
        try:
            rates[name] = _decimal(0.001, 10_000)(rate)
        except ValueError as error:
            raise ValueError(f"must give {name} a rate that is a number from 0.001 to 10000") from error
    return rates


VARIABLES: Final = (
    Variable("CLEANMAILS_ENV", "environment", "development", "`development` or `production`; production refuses what is only good for trying out", _one_of("development", "production")),
    Variable("DATABASE_URL", "database_url", "(none)", "the Postgres database, 15 or later", _url_of("postgresql", "postgres"), secret=True),
    Variable("REDIS_URL", "redis_url", "(none)", "the Redis or Valkey server, 6 or later", _url_of("redis", "rediss", "unix"), secret=True),
    Variable("CLEANMAILS_SECRET_KEY", "", "(a well-known key, on one machine only)", "32 bytes, hexadecimal or base64url; seals stored credentials and signs links: keep it as safe as the database, and apart from it", _secret_key, secret=True),
    Variable("CLEANMAILS_SECRET_KEY_FILE", "", "(none)", "a file that holds the secret key, in place of `CLEANMAILS_SECRET_KEY`", _secret_key_file),
    Variable("CLEANMAILS_OLD_KEYS", "old_keys", "(none)", "secret keys of before, or files that hold them (`/...`), separated by commas, in any order: they open what they sealed and read the links they signed; see `cleanmails rotate-keys`", _old_keys, secret=True),
    Variable("CLEANMAILS_URL", "public_url", "(`http://127.0.0.1:PORT`)", "where recipients and people reach this installation: https and required in production", _public_url),
    Variable("CLEANMAILS_HOST", "host", "127.0.0.1", "the address that the web process listens on"),
    Variable("PORT", "port", "8000", "the port that the web process listens on", _whole(1, 65535)),
    Variable("CLEANMAILS_DNS_SERVERS", "dns_servers", "(the system's)", "DNS servers to ask: IP addresses with or without a port, separated by commas", _dns_servers),
    Variable("CLEANMAILS_CA_FILE", "ca_file", "(none)", "certificates (PEM) trusted for SMTP and IMAP beside the system's", _file),
    Variable("CLEANMAILS_SYSTEM_SMTP", "system_smtp", "(none)", "the server for invitations and lost passwords, as `smtp://user:password@host:587` (STARTTLS) or `smtps://`; without it links are shown, not mailed", _url_of("smtp", "smtps", "smtp+plain"), secret=True),
    Variable("CLEANMAILS_SYSTEM_FROM", "system_from", "(none)", "the address that those mails come from", _mail_address),
    Variable("CLEANMAILS_STATE_DIR", "state_dir", ".state", "the folder for what must survive a process: the journals of send workers, and the servers that `up` starts", Path),
    Variable("CLEANMAILS_LOG", "log_format", "json", "`json` (a line an event) or `console` (for eyes)", _one_of("json", "console")),
    Variable("CLEANMAILS_PROVIDER_RATES", "provider_rates", ",".join(f"{name}={rate:g}" for name, rate in PROVIDER_RATES.items()), "mails a second to each recipient provider, all workers together (`other`: to each domain); what is left out keeps its default", _provider_rates),
    Variable("CLEANMAILS_BOUNCE_LIMIT_PERCENT", "bounce_limit_percent", "5", "a campaign pauses itself when more than this share of its mails bounced hard", _decimal(0.1, 100)),
    Variable("CLEANMAILS_BOUNCE_MIN_SENT", "bounce_min_sent", "20", "and at least this many were sent", _whole(1, 1_000_000)),
    Variable("CLEANMAILS_SEND_THREADS", "send_threads", "8", "threads, and so SMTP connections at once, of a send worker", _whole(1, 64)),
    Variable("CLEANMAILS_ALLOW_PRIVATE_HOSTS", "allow_private_hosts", "(true in development, false in production)", "whether mail servers and webhooks may have private or loopback addresses", _truth),
    Variable("CLEANMAILS_WORKER_LEASE_SECONDS", "worker_lease_seconds", "8", "a worker that was silent for so long counts as dead, and its work is taken up by others", _decimal(1, 600)),
    Variable("CLEANMAILS_FEEDBACK_ID", "feedback_id", "(none)", "5 to 15 letters or digits that name this installation to Gmail; mails then have a `Feedback-ID`, and Postmaster Tools count complaints by campaign, workspace and step", _feedback_id),
    Variable("CLEANMAILS_EVENT_MONTHS", "event_months", "0", "how many full months of events are kept beside the current one; 0 keeps all", _whole(0, 1_200)),
    Variable("CLEANMAILS_TRUSTED_PROXIES", "trusted_proxies", "127.0.0.1,::1", "addresses or networks of the proxies in front of the web process: what they say in `X-Forwarded-For` is believed, and nobody else", _networks),
    Variable("CLEANMAILS_WEBHOOK_PORTS", "webhook_ports", "(`80,443,8080,8443`; any in development)", "ports of receivers that webhooks and integrations may be sent to, separated by commas", _ports),
    Variable("CLEANMAILS_API_RATE", "api_rate", "600", "requests a minute of one API key or session, which may come at once; each web process counts for itself", _whole(1, 1_000_000)),
    Variable("CLEANMAILS_SESSION_DAYS", "session_days", "30", "days after which people sign in again, however much they use their session; one that is not used ends after seven", _whole(1, 365)),
    Variable("CLEANMAILS_GOOGLE_CLIENT_ID", "google_client_id", "(none)", "the OAuth client that this installation is registered as at Google; its redirect URI is `CLEANMAILS_URL/v1/oauth/google/callback`"),
    Variable("CLEANMAILS_GOOGLE_CLIENT_SECRET", "google_client_secret", "(none)", "and its secret", secret=True),
    Variable("CLEANMAILS_GOOGLE_ENDPOINTS", "google_endpoints", "https://accounts.google.com/o/oauth2/v2/auth,https://oauth2.googleapis.com/token,smtp://smtp.gmail.com:587,imaps://imap.gmail.com:993", "where people consent, where tokens come from, and the mail servers", _endpoints),
    Variable("CLEANMAILS_MICROSOFT_CLIENT_ID", "microsoft_client_id", "(none)", "the same at Microsoft; the redirect URI is `CLEANMAILS_URL/v1/oauth/microsoft/callback`"),
    Variable("CLEANMAILS_MICROSOFT_CLIENT_SECRET", "microsoft_client_secret", "(none)", "and its secret", secret=True),
    Variable("CLEANMAILS_MICROSOFT_ENDPOINTS", "microsoft_endpoints", "https://login.microsoftonline.com/common/oauth2/v2.0/authorize,https://login.microsoftonline.com/common/oauth2/v2.0/token,smtp://smtp.office365.com:587,imaps://outlook.office365.com:993", "the same of Microsoft, with your tenant's name in place of `common` if you have one", _endpoints),
)  # fmt: skip
