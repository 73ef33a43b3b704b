"""Progress bars, where somebody looks."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from store_svc.backups.progress import Advance

_CONSOLE = Console(stderr=True)
_EVERY = 500


@contextlib.contextmanager
def bar(what: str, rows: int) -> Iterator[Advance]:
    """Show how many of the rows went by, on standard error, if that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_CONSOLE, disable=not _CONSOLE.is_terminal) as progress:
        task = progress.add_task(what, total=rows)

        def advance(passing: Iterator[bytes]) -> Iterator[bytes]:
            count = 0
            for count, row in enumerate(passing, 1):
                yield row
                if count % _EVERY == 0:
                    progress.advance(task, _EVERY)
            progress.advance(task, count % _EVERY)

        yield advance
