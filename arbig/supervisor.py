"""The services of `arbig up` as child processes, each started again when it ends."""

import asyncio
import logging
import sys

from arbig.child import run_child
from arbig.errors import ConfigError

log = logging.getLogger(__name__)

FIRST_BACKOFF, LAST_BACKOFF = 0.2, 5.0
# A child that ran this long did start; the next restart is immediate again.
HEALTHY_SECONDS = 10.0
# A bad configuration: restarting would not mend it.
EXIT_CONFIG = 78


class ChildError(ConfigError):
    """A child cannot run; the message says which."""


async def keep(service: str) -> None:
    """Keep a service's process running until cancelled; raises ChildError if its configuration is bad."""
    loop = asyncio.get_running_loop()
    backoff = FIRST_BACKOFF
    while True:
        began = loop.time()
        code = await run_child(sys.executable, "-m", "arbig.cli", service)
        if code == EXIT_CONFIG:
            raise ChildError(f"{service} cannot run as configured; see its message above")
        if loop.time() - began > HEALTHY_SECONDS:
            backoff = FIRST_BACKOFF
        log.warning("service ended, starting it again", extra={"child": service, "code": code})
        await asyncio.sleep(backoff)
        backoff = min(2 * backoff, LAST_BACKOFF)
