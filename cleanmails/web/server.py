"""The web process: the API and the dashboard under uvicorn, until SIGTERM or SIGINT; what is being answered then is answered."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from socket import AF_INET, AF_INET6, create_server, socket
from typing import Final

import uvicorn
from litestar import Litestar, Router
from litestar.datastructures import CacheControlHeader
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler

from cleanmails import log
from cleanmails import settings as configuration
from cleanmails.api.app import Routes, routed
from cleanmails.errors import SettingsError
from cleanmails.ledger.db import Database
from cleanmails.settings import Settings
from cleanmails.web.campaign import CampaignPage
from cleanmails.web.campaigns import CampaignPages
from cleanmails.web.domains import DomainPages
from cleanmails.web.doors import Doors
from cleanmails.web.home import Home
from cleanmails.web.inbox import InboxPages
from cleanmails.web.integrations import IntegrationPages
from cleanmails.web.leads import LeadPages
from cleanmails.web.lists import ListPages
from cleanmails.web.pages import Pages
from cleanmails.web.preferences import SettingPages
from cleanmails.web.render import STATIC, refuse, version
from cleanmails.web.senders import SenderPages
from cleanmails.web.setup import SetupPages
from cleanmails.web.shell import Shell
from cleanmails.web.suppressions import SuppressionPages
from cleanmails.web.unknowns import UnknownPages
from cleanmails.web.webhooks import WebhookPages

CONNECTIONS: Final = 16
"""To the ledger. More threads than this wait their turn for a connection: the ledger has two cores too."""

DRAIN_SECONDS: Final = 20

PAGES: Final[tuple[ControllerRouterHandler, ...]] = (
    Pages,
    Doors,
    Shell,
    Home,
    CampaignPages,
    CampaignPage,
    SetupPages,
    LeadPages,
    InboxPages,
    ListPages,
    SuppressionPages,
    UnknownPages,
    SenderPages,
    DomainPages,
    WebhookPages,
    IntegrationPages,
    SettingPages,
)
"""Every controller of the dashboard."""
_log = log.get(__name__)


def main(argv: Sequence[str]) -> int:
    """`cleanmails web`: serves until it is told to stop."""
    argparse.ArgumentParser(prog="cleanmails web", description=__doc__).parse_args(argv)
    settings = configuration.load(os.environ)
    servers = settings.servers()
    log.configure(settings.log_format)
    with Database(servers.database_url, size=CONNECTIONS, name="cleanmails web") as database:
        serve(application(settings, database, _waker(servers.redis_url)), settings)
    return 0


def application(settings: Settings, database: Database, enqueue: Callable[[str], None] | None = None) -> Litestar:
    """The API with the dashboard."""
    return site().furnish(settings, database, enqueue=enqueue)


def site() -> Routes:
    """The routes of the API and of the dashboard."""
    # What is asked for by its digest never changes; the page of who unsubscribes, which is made elsewhere, knows no digest.
    assets = _files(f"/assets/{version()}", CacheControlHeader(max_age=31_536_000, public=True, immutable=True))
    static = _files("/static", CacheControlHeader(max_age=3_600, public=True))
    return routed([*PAGES, assets, static], refuse)


def _files(path: str, kept: CacheControlHeader) -> Router:
    return create_static_files_router(
        path, [STATIC], name=path, opt={"public": True}, cache_control=kept, resolve_symlinks=False
    )


def serve(app: Litestar, settings: Settings) -> None:
    """Runs an application on the settings' host and port until SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn has its own handlers while it runs, drains, and then raises the signal once more for whoever was there before: for this one.
        signal.signal(number, lambda *_: sys.exit(0))
    listening = _listen(settings.host, settings.port)
    _log.info("web.started", url=settings.public_url, host=settings.host, port=settings.port)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            lifespan="on",
            access_log=False,
            proxy_headers=False,  # who asks is found out in one place, by CLEANMAILS_TRUSTED_PROXIES
            server_header=False,
            log_config=None,
            log_level="warning",
            timeout_graceful_shutdown=DRAIN_SECONDS,
            timeout_keep_alive=30,
        )
    )
    try:
        server.run(sockets=[listening])
    finally:
        _log.info("web.stopped")
    if not server.started:
        sys.exit(1)  # why stands in the log


def _listen(host: str, port: int) -> socket:
    """Where requests come in: from now on they wait until they are answered. SettingsError if somebody has the port."""
    try:
        return create_server((host, port), family=AF_INET6 if ":" in host else AF_INET, backlog=2048)
    except OSError as error:
        raise SettingsError(
            f"Port {port} of {host} cannot be used: {os.strerror(error.errno or 0)}. Stop what uses it, or set PORT to another one."
        ) from error


def _waker(redis_url: str) -> Callable[[str], None]:
    """Wakes actors by name through the queues of the workers."""
    from cleanmails.actors.broker import Queues, make_broker

    queues = Queues(make_broker(redis_url))
    wakers = {"plan": queues.plan, "upkeep": queues.upkeep}
    return lambda actor: wakers[actor]()
