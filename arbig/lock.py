"""One process of a service at a time in a data directory: two would give the same numbers to different events."""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arbig.errors import ConfigError

log = logging.getLogger(__name__)

# One that was told to end may still be bringing its files to the disk.
PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.1


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold a directory for this process alone, however it ends.

    Raises ConfigError if another still holds it after PATIENCE_SECONDS.
    """
    # Not for children: what one of them left behind would keep its successor out.
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(handle, directory)
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _take(handle: int, directory: Path) -> None:
    end, waited = time.monotonic() + PATIENCE_SECONDS, False
    while not _is_free(handle):
        holder = os.pread(handle, 20, 0).decode().strip()
        if time.monotonic() > end:
            what = f"{directory} is in use by process {holder}: end that one, or choose another data directory"
            raise ConfigError(what)
        if not waited:
            log.warning("the data is in use: waiting for its user to end", extra={"path": directory, "holder": holder})
            waited = True
        time.sleep(_POLL_SECONDS)


def _is_free(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
