"""A child process that lives no longer than we do, and is stopped in good order."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

from arbig import leash

log = logging.getLogger(__name__)

STOP_SECONDS = 8.0


async def run_child(
    *command: str | Path,
    lock: str = "-",
    cwd: Path | None = None,
    started: Callable[[int], None] = lambda _: None,
    output: IO[bytes] | None = None,
) -> int:
    """Run a program to its end and give its exit status; stop it when cancelled.

    `lock` is a file that only one such program at a time may hold; "-" means no lock. What it
    prints goes to our standard error, for our standard output is ours, or to the file `output`.
    """
    leashed = [sys.executable, "-I", leash.__file__, str(os.getpid()), lock]
    process = await asyncio.create_subprocess_exec(
        *leashed,
        *map(str, command),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output or sys.stderr,
        stderr=output,
        start_new_session=True,  # Ctrl-C comes to us alone, and we stop it in our own time
    )
    started(process.pid)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        log.warning("a child did not stop in time, killed", extra={"child": process.pid})
        process.kill()
        await process.wait()
