"""Runs a program that must not outlive us.

    python leash.py PARENT LOCK PROGRAM ARGUMENT...

When the parent dies, however it dies, the kernel ends the program in good order. LOCK names a file
of which only one program at a time may be the holder, however the holder's parent ended: until the
one before has gone this waits. "-" means that there may be several.
"""

import ctypes
import fcntl
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the program."""
    parent, lock, *program = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("the parent has gone already")
    if lock != "-":
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.set_inheritable(handle, True)
    os.execv(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main()
