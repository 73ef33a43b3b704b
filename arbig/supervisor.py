"""The mesh as child processes of `arbig up`: started together, restarted alone, stopped together."""

import asyncio
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Mapping

log = logging.getLogger(__name__)

FIRST_BACKOFF, LAST_BACKOFF = 0.2, 5.0
# A child that ran this long did start; the next restart is immediate again.
HEALTHY_SECONDS = 10.0
STOP_SECONDS = 8.0
# A bad configuration: restarting would not mend it.
EXIT_CONFIG = 78
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies, however that happens."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One service's process, over all its restarts."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.restarts = 0
        self.pid: int | None = None
        self._arguments = arguments
        self._environment = {**os.environ, **environment}

    async def run(self) -> None:
        """Keep the process running until cancelled; raises ChildError if its configuration is bad."""
        loop = asyncio.get_running_loop()
        backoff = FIRST_BACKOFF
        while True:
            started = loop.time()
            code = await self._once()
            if code == EXIT_CONFIG:
                raise ChildError(f"{self.name} cannot run as configured; see its message above")
            if loop.time() - started > HEALTHY_SECONDS:
                backoff = FIRST_BACKOFF
            log.warning("service ended, starting it again", extra={"child": self.name, "code": code})
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, LAST_BACKOFF)
            self.restarts += 1

    async def _once(self) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "arbig.cli", *self._arguments),
            env=self._environment,
            preexec_fn=die_with_parent,
            stdout=sys.stderr,  # the vendor's library prints; our standard output is the ready line's
            start_new_session=True,  # Ctrl-C comes to us alone, and we stop them in our own time
        )
        self.pid = process.pid
        try:
            return await process.wait()
        finally:
            self.pid = None
            if process.returncode is None:
                await _stop(process, self.name)


class ChildError(Exception):
    """A child cannot run; the message says which."""


async def _stop(process: asyncio.subprocess.Process, name: str) -> None:
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        log.warning("service did not stop in time, killed", extra={"child": name})
        process.kill()
        await process.wait()
