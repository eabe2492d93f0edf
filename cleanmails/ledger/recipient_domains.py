"""Who receives a domain's mail: the provider read from its MX, of all workspaces together, as DNS is."""

from collections.abc import Iterable, Sequence

import msgspec

from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection
from cleanmails.ledger.statements import sql


class RecipientDomain(msgspec.Struct, frozen=True, kw_only=True):
    """A domain's provider and mail hosts. `accepts_mail` None: the look-up failed, and nothing is known."""

    name: str
    provider: str
    mx: tuple[str, ...]
    accepts_mail: bool | None


def write(db: Connection, found: Iterable[RecipientDomain]) -> None:
    """Keeps what look-ups found."""
    rows = sorted((d.name, d.provider, " ".join(d.mx), d.accepts_mail) for d in found)
    db.execute(sql("recipient_domains.write"), columns(("names", "providers", "mx", "accepts"), rows))


def unknown(db: Connection, names: Sequence[str]) -> list[str]:
    """Those of `names` that were never looked up."""
    return [row["name"] for row in db.execute(sql("recipient_domains.unknown"), {"names": list(names)})]


def oldest(db: Connection, limit: int) -> list[str]:
    """Domains that should be looked up again."""
    return [row["name"] for row in db.execute(sql("recipient_domains.oldest"), {"limit": limit})]


def known(db: Connection, names: Sequence[str]) -> dict[str, bool]:
    """Whether these domains take mail, of those that were asked less than a week ago."""
    rows = db.execute(sql("recipient_domains.known"), {"names": list(names)})
    return {row["name"]: row["accepts_mail"] for row in rows}
