"""resolve: looks up who receives the mail of domains that nobody has met before; the planner waits for it, because rates are per provider."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from cleanmails import log
from cleanmails.actors.work import Work, stopwatch
from cleanmails.ledger import recipient_domains
from cleanmails.ledger.recipient_domains import RecipientDomain
from cleanmails.mail.dns import Look, Resolver
from cleanmails.rules import providers

logger = log.get(__name__)

AT_ONCE = 32


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


def look_up(work: Work, names: Sequence[str]) -> None:
    """Asks the MX of each domain, several at once, and keeps the answers. A failed look-up leaves a domain its own provider until the next one."""
    resolver = Resolver(work.settings.dns_servers)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="resolve") as pool:
        found = list(pool.map(lambda name: _ask(resolver, name), names))
    with work.database.transaction() as db:
        recipient_domains.write(db, found)


def _ask(resolver: Resolver, name: str) -> RecipientDomain:
    mx = resolver.mx(name)
    accepts = None if mx.look is Look.FAILED else mx.exists and not mx.null_mx
    return RecipientDomain(name=name, provider=providers.provider_of(name, mx.hosts), mx=mx.hosts, accepts_mail=accepts)
