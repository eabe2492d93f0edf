"""domains: what a domain must publish, what DNS has of it, and the daily second look."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from cleanmails import log
from cleanmails.actors.work import Work
from cleanmails.errors import BusyError, NotFoundError
from cleanmails.ledger import domains, workspaces
from cleanmails.ledger.db import Database, Row
from cleanmails.mail.dns import Resolver
from cleanmails.mail.domains import DnsRecord, Kind, RecordState, check_domain, to_publish, verdict
from cleanmails.rules import presets
from cleanmails.settings import Settings

EVERY: Final = timedelta(days=1)
LOOKS: Final = 2_000
"""Domains looked at again in one round."""

_AT_ONCE: Final = 8

logger = log.get(__name__)


def wanted(row: Row, settings: Settings) -> dict[str, Any]:
    """What a domain must publish beside its key, from what its senders use and a person has named: `spf`, `mx` and `tracking` of `to_publish`."""
    return {
        "spf": presets.spf_terms(row["smtp_hosts"], row["spf_hosts"]),
        "mx": presets.mx_records(row["imap_hosts"]),
        "tracking": _tracking(row, settings),
    }


def records(row: Row, settings: Settings) -> list[DnsRecord]:
    """The records to publish."""
    return to_publish(row["name"], row["selector"], row["public_key"], **wanted(row, settings))


def check(
    database: Database, settings: Settings, resolver: Resolver, workspace_id: int, domain_id: int, now: datetime
) -> Row:
    """Looks the records up now and writes down what was found; the domain after it. NotFoundError. No transaction is held while name servers are asked."""
    with database.transaction() as db:
        row = domains.read(db, workspace_id, domain_id)
    asked = wanted(row, settings)
    findings = check_domain(row["name"], row["selector"], row["public_key"], resolver=resolver, **asked)
    state = {finding.kind: finding.state for finding in findings}
    tracking = asked["tracking"]
    with database.transaction() as db:
        found = msgspec.to_builtins(findings)
        domains.record_check(db, workspace_id, domain_id, findings=found, status=verdict(findings), now=now)
        if tracking and state[Kind.TRACKING] is not RecordState.UNREACHABLE:
            at_us = state[Kind.TRACKING] is RecordState.OK
            workspaces.verify_tracking(db, workspace_id, tracking[0], found=at_us, now=now)
        row = domains.read(db, workspace_id, domain_id)
    logger.info("domain.checked", domain=domain_id, status=row["status"], **state)
    return row


def look_again(work: Work) -> int:
    """Looks at every domain that was verified once and not looked at for a day; how many."""
    with work.database.transaction() as db:
        now = work.clock(db)
        due = domains.due(db, before=now - EVERY, limit=LOOKS)
    if not due:
        return 0
    resolver = Resolver(work.settings.dns_servers)

    def look(row: Row) -> None:
        try:
            check(work.database, work.settings, resolver, row["workspace_id"], row["id"], now)
        except (BusyError, NotFoundError) as error:
            logger.warning("domain.not_checked", domain=row["id"], reason=error.message)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="domains") as pool:
        list(pool.map(look, due))
    return len(due)


def _tracking(row: Row, settings: Settings) -> tuple[str, str] | None:
    """The workspace's tracking name and where it must lead, if it lies under this domain."""
    name: str | None = row["tracking_domain"]
    host = urlsplit(settings.public_url).hostname
    return (name, host) if name and host and name.endswith(f".{row['name']}") else None
