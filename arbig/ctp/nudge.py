"""From a CTP thread to the event loop: there is something to do."""

import asyncio
import contextlib
from collections.abc import Callable


class Nudge:
    """Has the loop `work` soon, once for all who asked for it until then, on any thread."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._work = work
        self._asked = False

    def __call__(self) -> None:
        """Ask for it."""
        if not self._asked:
            self._asked = True
            # The loop may be closed while the library still talks.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._run)

    def _run(self) -> None:
        if self._asked:
            self._asked = False  # first: who asks from here on is not forgotten
            self._work()

    def close(self) -> None:
        """Work now if that was asked for, and no more; nobody may ask afterwards."""
        self._run()
