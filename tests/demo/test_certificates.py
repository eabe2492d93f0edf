import socket
import ssl
import threading

import pytest

from cleanmails.demo import certificates


def shake_hands(made, name):
    """One TLS handshake over a socket pair, verified by the authority alone."""
    client, server = socket.socketpair()
    accepting = threading.Thread(target=_accept, args=(made, server))
    accepting.start()
    try:
        context = ssl.create_default_context(cafile=str(made.authority))
        with context.wrap_socket(client, server_hostname=name) as secured:
            return secured.version()
    finally:
        client.close()
        accepting.join()


def _accept(made, server):
    try:
        made.server_context().wrap_socket(server, server_side=True).close()
    except (ssl.SSLError, ConnectionError):
        server.close()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_this_machine_is_known_by_its_usual_names(tmp_path, name):
    assert shake_hands(certificates.make(tmp_path), name) == "TLSv1.3"


def test_names_are_verified(tmp_path):
    made = certificates.make(tmp_path, ["mail.corp.example"])
    assert shake_hands(made, "mail.corp.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(made, "localhost")


def test_what_is_there_and_good_is_kept(tmp_path):
    made = certificates.make(tmp_path)
    before = made.certificate.read_bytes()
    certificates.make(tmp_path, ["localhost"])
    assert made.certificate.read_bytes() == before


def test_another_name_makes_a_new_certificate(tmp_path):
    before = certificates.make(tmp_path).certificate.read_bytes()
    made = certificates.make(tmp_path, ["mail.corp.example"])
    assert made.certificate.read_bytes() != before
    assert shake_hands(made, "mail.corp.example")


def test_the_key_is_for_its_owner_alone(tmp_path):
    assert certificates.make(tmp_path).key.stat().st_mode & 0o077 == 0


def test_the_authority_passes_the_strict_reading_of_the_standard(tmp_path):
    made = certificates.make(tmp_path)
    client, server = socket.socketpair()
    accepting = threading.Thread(target=_accept, args=(made, server))
    accepting.start()
    context = ssl.create_default_context(cafile=str(made.authority))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.wrap_socket(client, server_hostname="localhost").close()
    accepting.join()
