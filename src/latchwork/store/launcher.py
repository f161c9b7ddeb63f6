"""Becomes (or minds) one process that must not outlive the process that started it.

Run as a script by `embedded.py`, before anything else of ours is imported: standard library only, and little of it.
    python -I -S launcher.py OWNER_PID UID GID PROGRAM ARGUMENT...
UID and GID are -1 to stay who we are. Standard input is a pipe whose other end the owner keeps open.
"""

import ctypes  # up here: after dropping privileges Python's own files may be out of reach
import os
import select
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
FAST_SHUTDOWN = signal.SIGINT
"""What PostgreSQL takes as: send the clients away, write a checkpoint, go."""


def main(words: list[str]) -> None:
    owner, uid, gid = (int(word) for word in words[:3])
    argv = words[3:]
    if gid >= 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
    if uid >= 0:
        os.setresuid(uid, uid, uid)
    os.umask(0o077)
    if sys.platform == "linux":
        _die_with_owner(owner)
        os.execv(argv[0], argv)
    else:
        _mind(argv)


def _die_with_owner(owner: int) -> None:
    # The kernel forgets a death signal when the uid changes, so this comes after dropping privileges.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(FAST_SHUTDOWN), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != owner:  # it died before we could ask to be told
        os._exit(1)


def _mind(argv: list[str]) -> None:
    """Systems without death signals (macOS; untested): stay between, and watch the owner's end of the pipe close."""
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    while child.poll() is None:
        readable, _, _ = select.select([0], [], [], 0.2)
        if readable and not os.read(0, 1):
            child.send_signal(FAST_SHUTDOWN)
            child.wait()
    os._exit(child.returncode if child.returncode >= 0 else 128 - child.returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
