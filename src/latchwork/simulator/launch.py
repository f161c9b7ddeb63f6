"""Becomes a program that cannot outlive the process that started it.

Run as a script, before anything else of ours is imported: standard library only, and little of it.
    python -I -S launch.py PARENT_PID PROGRAM ARGUMENT...
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
LOOK_S = 0.2


def main(words: list[str]) -> None:
    parent, argv = int(words[0]), words[1:]
    if sys.platform == "linux":
        _die_with(parent)
        os.execv(argv[0], argv)
    else:
        _mind(parent, argv)


def _die_with(parent: int) -> None:
    # SIGKILL, because the parent may have been killed so too: then nobody is left to insist on a polite request.
    # Everything that runs here writes before it acts, and loses nothing by it.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before we could ask to be told
        os._exit(1)


def _mind(parent: int, argv: list[str]) -> None:
    """Systems without death signals (macOS; untested): stay between, and look after the parent now and then."""
    child = subprocess.Popen(argv)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    while child.poll() is None:
        if os.getppid() != parent:
            child.kill()
        time.sleep(LOOK_S)
    os._exit(child.returncode if child.returncode >= 0 else 128 - child.returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
