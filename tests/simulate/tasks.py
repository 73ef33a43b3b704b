"""Coroutines without an event loop: they go on when the simulation says so, in the order they could."""

from collections import deque
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Promise(Generic[T]):
    """What a coroutine waits for."""

    def __init__(self) -> None:
        self.done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self.waiting: list[Task] = []
        self.ready: deque[Task] | None = None

    def keep(self, value: Any = None, error: BaseException | None = None) -> None:
        """Let those who wait go on."""
        self.done, self._value, self._error = True, value, error
        for task in self.waiting:
            task.tasks.ready.append(task)
        self.waiting.clear()

    def __await__(self) -> Generator["Promise[T]", None, T]:
        while not self.done:
            yield self
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]


class Task:
    """One coroutine on its way."""

    def __init__(self, name: str, coroutine: Coroutine[Any, Any, Any], tasks: "Tasks") -> None:
        self.name = name
        self.tasks = tasks
        self.result: Any = None
        self.error: Exception | None = None
        self.done = False
        self._coroutine = coroutine

    def step(self) -> None:
        """Go on to the next wait."""
        try:
            promise = self._coroutine.send(None)
        except StopIteration as end:
            self.result, self.done = end.value, True
        except Exception as error:  # noqa: BLE001 - what a caller would be told
            self.error, self.done = error, True
        else:
            promise.waiting.append(self)

    def close(self) -> None:
        """End it where it is, as a kill does."""
        self._coroutine.close()


class Tasks:
    """All coroutines of one process."""

    def __init__(self) -> None:
        self.ready: deque[Task] = deque()
        self.all: list[Task] = []

    def start(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """Begin a coroutine."""
        task = Task(name, coroutine, self)
        self.all.append(task)
        self.ready.append(task)
        return task

    def step(self) -> None:
        """Let the oldest that can go on do so."""
        self.ready.popleft().step()

    def kill(self) -> None:
        """End all where they are."""
        for task in self.all:
            task.close()
