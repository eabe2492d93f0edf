"""Certificates of receivers: who cannot prove its name gets nothing, not even the request."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cleanmails.demo import certificates
from cleanmails.mail.connector import Connector
from cleanmails.mail.http import Client, HttpError, target


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("good"))


@pytest.fixture
def serve(request):
    """Serves https with certificates; gives the port and what was asked."""

    def run(made):
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                asked.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """A client that hangs up is what is wanted."""

        server = Server(("127.0.0.1", 0), Handler)
        server.socket = made.server_context().wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True).start()
        request.addfinalizer(server.server_close)
        request.addfinalizer(server.shutdown)
        return server.server_port, asked

    return run


def post(port, ca_file, host="127.0.0.1"):
    with Client(Connector(allow_private=True).connect, ca_file=ca_file, patience=10.0) as client:
        return client.request("POST", target(f"https://{host}:{port}/hook"), {}, b"{}").status


@pytest.mark.asvs("12.3.2")
def test_who_is_trusted_is_told(authority, serve):
    port, asked = serve(authority)
    assert post(port, str(authority.authority)) == 204
    assert asked == ["/hook"]


@pytest.mark.asvs("12.3.2")
def test_an_unknown_authority_and_another_name_get_nothing(authority, serve, tmp_path):
    unknown, unknown_asked = serve(certificates.make(tmp_path / "unknown"))
    other = certificates.make(tmp_path / "other", names=("other.example",))
    named, named_asked = serve(other)
    for port, ca_file in ((unknown, authority.authority), (unknown, None), (named, other.authority)):
        with pytest.raises(HttpError) as refused:
            post(port, ca_file and str(ca_file))
        assert refused.value.code == "tls"
    assert unknown_asked == named_asked == []


def test_nothing_older_than_tls_1_2_is_spoken():
    from cleanmails.mail.http import _context

    assert _context(None).minimum_version >= ssl.TLSVersion.TLSv1_2
