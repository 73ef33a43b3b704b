"""How far long work is, told to whoever wants to know, and to the clock that waits for it."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from store_svc.database import Database, Deadline

# Passes rows on, and counts them.
Advance = Callable[[Iterator[bytes]], Iterator[bytes]]
# Begins a step of so many rows.
Step = Callable[[str, int], AbstractContextManager[Advance]]

# How many times longer than any other answer the next row may take: a table is counted before its
# first one, and the database may be busy.
PATIENCE = 30.0


@contextlib.contextmanager
def silent(_: str, __: int) -> Iterator[Advance]:
    """Tell nobody."""
    yield lambda rows: rows


class Long:
    """Work on every row of a database: it may take hours, as long as rows pass."""

    def __init__(self, database: Database, step: Step) -> None:
        self.deadline = Deadline(PATIENCE * database.seconds)
        self._step = step

    @contextlib.contextmanager
    def step(self, what: str, rows: int) -> Iterator[Advance]:
        """Begin a step; each row puts the deadline off."""
        with self._step(what, rows) as advance:
            yield lambda passing: advance(self._noted(passing))

    def _noted(self, rows: Iterator[bytes]) -> Iterator[bytes]:
        for row in rows:
            self.deadline.put_off()
            yield row
