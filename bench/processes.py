"""Processes that a bench measures, each with a pipe to it: server and follower are apart, as in life."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_SPAWN = multiprocessing.get_context("spawn")
PATIENCE_SECONDS = 60.0


class Child:
    """A process, and what it says."""

    def __init__(self, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.link, theirs = _SPAWN.Pipe()
        self._name = target.__name__
        self._process = _SPAWN.Process(target=target, args=(*arguments, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def say(self, what: Any) -> None:
        """Send it something."""
        self.link.send(what)

    def hear(self) -> Any:
        """Wait for what it sends."""
        if not self.link.poll(PATIENCE_SECONDS):
            raise TimeoutError(f"{self._name} said nothing for {PATIENCE_SECONDS:g} s")
        return self.link.recv()

    def ask(self, what: Any) -> Any:
        """Send it something, and wait for the answer."""
        self.say(what)
        return self.hear()

    def resident_kib(self) -> int:
        """Give the memory that it has in use."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def end(self) -> None:
        """Kill it: it has nothing to lose."""
        self._process.kill()
        self._process.join()


@contextlib.contextmanager
def child(target: Callable[..., None], *arguments: Any) -> Iterator[Child]:
    """Run `target(*arguments, pipe)` in a process, which says something when it is ready."""
    one = Child(target, arguments)
    try:
        one.hear()
        yield one
    finally:
        one.end()


__all__ = ["Child", "Connection", "child"]
