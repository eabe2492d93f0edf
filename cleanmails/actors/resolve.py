"""resolve: looks up who receives the mail of domains that nobody has met before; the planner waits for it, because rates are per provider."""

from collections.abc import Sequence

from cleanmails import log
from cleanmails.actors.work import Work, stopwatch
from cleanmails.ledger import recipient_domains
from cleanmails.ledger.recipient_domains import RecipientDomain
from cleanmails.mail.dns import Look, Mx, Resolver
from cleanmails.mail.mx import ask_many
from cleanmails.rules import providers

logger = log.get(__name__)


def resolve(work: Work, names: Sequence[str]) -> None:
    """Asks the MX of those of `names` that are unknown, keeps the answers, and wakes the planner."""
    begun = stopwatch()
    with work.database.transaction() as db:
        wanted = recipient_domains.unknown(db, names)
    if not wanted:
        return
    look_up(work, wanted)
    work.queues.plan()
    logger.info("domains.resolved", asked=len(wanted), ms=round(1000 * (stopwatch() - begun), 1))


def look_up(work: Work, names: Sequence[str]) -> list[RecipientDomain]:
    """Asks the MX of each domain, many at once, and keeps the answers. A failed look-up leaves a domain its own provider until the next one."""
    answers = ask_many(Resolver(work.settings.dns_servers), names)
    found = [_told(name, answers[name]) for name in names]
    with work.database.transaction() as db:
        recipient_domains.write(db, found)
    return found


def _told(name: str, mx: Mx) -> RecipientDomain:
    accepts = None if mx.look is Look.FAILED else mx.exists and not mx.null_mx
    return RecipientDomain(name=name, provider=providers.provider_of(name, mx.hosts), mx=mx.hosts, accepts_mail=accepts)
