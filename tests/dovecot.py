"""A dovecot of this run's own: private folder, ports of the loopback, one password for everybody. Nothing of the system's is touched."""

import contextlib
import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.ports import free_port

PASSWORD = "password of dovecot"

CONFIG = """
base_dir = {run}
state_dir = {run}
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
mail_location = maildir:{mails}/%u
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = yes
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mails}/%u
}}
namespace inbox {{
  inbox = yes
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
  mailbox "Sent Messages" {{
    auto = create
    special_use = \\Sent
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
"""

# Who is not root cannot change into other users, nor lock himself into a folder.
UNPRIVILEGED = """
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
}}
"""


def program():
    """Where dovecot is, or None."""
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def running(certificates):
    """Gives (port for STARTTLS, port for TLS)."""
    folder = Path(tempfile.mkdtemp(prefix="cleanmails-dovecot-"))
    try:
        folder.chmod(0o755)
        (folder / "mails").mkdir()
        owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        os.chown(folder / "mails", owner.pw_uid, owner.pw_gid)
        port, tls_port = (free_port() for _ in range(2))
        config = CONFIG.format(
            folder=folder,
            run=folder / "run",
            mails=folder / "mails",
            certificate=certificates.certificate,
            key=certificates.key,
            password=PASSWORD.replace(" ", "_"),
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            port=port,
            tls_port=tls_port,
        )
        if os.geteuid() != 0:
            config += UNPRIVILEGED.format(user=getpass.getuser(), group=owner.pw_gid)
        (folder / "dovecot.conf").write_text(config)
        line = [program(), "-F", "-c", str(folder / "dovecot.conf")]
        with (
            (folder / "errors").open("wb") as errors,
            subprocess.Popen(line, stderr=errors, stdout=subprocess.DEVNULL) as process,
        ):
            try:
                _await(process, port, folder)
                yield port, tls_port
            finally:
                process.send_signal(signal.SIGTERM)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await(process, port, folder):
    ends = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            said = "".join(path.read_text() for path in (folder / "errors", folder / "log") if path.exists())
            assert process.poll() is None, said
            assert time.monotonic() < ends, said
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)  # or until it dies
        else:
            return
