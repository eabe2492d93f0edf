"""The stand-in for the world as one process: mail server, mailboxes, name server, and the pages to look at them."""

import argparse
import contextlib
import socket
from pathlib import Path

import uvicorn

from cleanmails import log
from cleanmails.demo import certificates, zone
from cleanmails.demo.catcher import imap, running, web
from cleanmails.demo.catcher.store import KEPT


def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    asked = _arguments()
    asked.folder.mkdir(parents=True, exist_ok=True)
    log.configure("json")
    names = zone.Zone(asked.folder / "zone.json")
    # Every company of the demonstration takes mail at one host.
    names.add("*.example", "MX", "10 mx.example.")
    names.add("mx.example", "A", "127.0.0.1")
    made = certificates.make(asked.folder / "certificates")
    with contextlib.ExitStack() as stack:
        catcher = stack.enter_context(running(asked.folder, port=asked.smtp_port, kept=asked.kept, certificates=made))
        mailboxes = imap.serving(catcher.boxes, port=asked.imap_port or 0, certificates=made)
        imap_port = None if asked.imap_port is None else stack.enter_context(mailboxes).port
        dns_port = None if asked.dns_port is None else stack.enter_context(zone.serving(names, asked.dns_port))
        page = stack.enter_context(socket.create_server(("127.0.0.1", asked.http_port)))
        ports = {"smtp": catcher.port, "http": page.getsockname()[1], "dns": dns_port, "imap": imap_port}
        log.get(__name__).info("catcher.started", **ports)
        config = uvicorn.Config(web.create_app(catcher, names), log_config=None, log_level="warning", access_log=False)
        uvicorn.Server(config).run([page])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cleanmails.demo.catcher", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where mails, records and certificates are kept")
    parser.add_argument(
        "--smtp-port",
        type=int,
        required=True,
        help="where mail is handed in (STARTTLS, any password); 0: any free port",
    )
    parser.add_argument("--http-port", type=int, required=True, help="where the pages are")
    parser.add_argument("--imap-port", type=int, help="where senders' mailboxes are read (STARTTLS, any password)")
    parser.add_argument("--dns-port", type=int, help="where names are looked up (UDP and TCP)")
    parser.add_argument("--kept", type=int, default=KEPT, help=f"how many mails are kept (default {KEPT})")
    return parser.parse_args()


if __name__ == "__main__":
    main()
