"""Become another program that ends when its parent ends, whatever ends the parent.

Run as a script, without site packages (it starts in 20 ms): `launcher.py OPTIONS -- PROGRAM ARGUMENT...`. `command` writes that line.
Linux only: the tie is prctl(PR_SET_PDEATHSIG), which the kernel keeps even through a SIGKILL of the parent.
"""

import ctypes
import fcntl
import os
import signal
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CLONE_NEWUSER = 0x10000000
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
NOBODY = 65534

_libc = ctypes.CDLL(None, use_errno=True)


class Identity(StrEnum):
    """Who the program runs as. Postgres refuses to be root; files belong to root in the first two, to nobody in the third."""

    SELF = "self"
    NAMESPACE = "namespace"
    """Root outside, `nobody` inside a user namespace: no account, no chmod."""
    NOBODY = "nobody"
    """Where namespaces are refused: `nobody`, with the one capability to pass the closed folders of root."""


def command(
    program: Sequence[str],
    *,
    ends_with: signal.Signals = signal.SIGTERM,
    identity: Identity = Identity.SELF,
    lock: Path | None = None,
    stale: Path | None = None,
) -> list[str]:
    """The argument list that starts `program` tied to the calling process, which sends it `ends_with` by dying.

    The tie is to the calling *thread*: call from the main one. With `lock` the program, and what it forks, holds this file locked while it
    lives; it starts when its forerunner is gone, and then removes `stale`, a pid file which nobody can own any more.
    """
    options = [str(os.getpid()), str(int(ends_with)), identity, str(lock or ""), str(stale or "")]
    return [sys.executable, "-I", "-S", __file__, *options, *program]


def main(arguments: list[str]) -> None:
    """Take the options of `command` and become the program."""
    parent, ends_with, identity, lock, stale, *program = arguments
    if lock:
        _hold(lock)
    if stale:
        Path(stale).unlink(missing_ok=True)
    if identity == Identity.NAMESPACE:
        _enter_namespace()
    if identity == Identity.NOBODY:
        _drop_to_nobody()
    # After the change of identity, which clears it; and the parent may have died before it was set.
    _call(_libc.prctl, _PR_SET_PDEATHSIG, int(ends_with), 0, 0, 0)
    if os.getppid() != int(parent):
        raise SystemExit(f"{program[0]}: the process that started it is gone")
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execvp(program[0], program)  # noqa: S606 - there is no shell to speak of


def _hold(lock: str) -> None:
    """Lock a file for as long as this process or a child of it lives; wait for the one before."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.set_inheritable(descriptor, True)


def _enter_namespace() -> None:
    user, group = os.geteuid(), os.getegid()
    _call(_libc.unshare, _CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1")


def _drop_to_nobody() -> None:
    _call(_libc.prctl, _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    only = 1 << _CAP_DAC_OVERRIDE
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(only, only, only, 0, 0, 0)
    _call(_libc.capset, header, effective_permitted_inheritable)
    _call(_libc.prctl, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _call(function: "ctypes._NamedFuncPointer", *arguments: object) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
