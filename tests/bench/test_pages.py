"""The benchmark of pages asks for every one of them, and says how long each takes."""

from cleanmails.bench import pages
from cleanmails.ledger.db import Database
from cleanmails.settings import Servers


def test_every_page_is_asked_for(database_url, redis_url):
    with Database(database_url, size=2) as database:
        found = pages.measure(Servers(database_url, redis_url), database, leads=200, events=400, times=1)
    assert len(found) == len(pages.FIXED) + 2 * len(pages.OF_A_CAMPAIGN)
    assert all(page.bytes > 2_000 and page.p95_ms > 0 for page in found.values())
