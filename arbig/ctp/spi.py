"""The vendor's callback object: every callback copied on its thread, and put into an inbox, or taken at once.

The library calls back with views of C++ memory that are gone when the callback returns.
"""

import ctypes
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from arbig.ctp.errors import HANDSHAKE

Row = dict[str, Any]
Taker = Callable[[Any], None]


class Push(NamedTuple):
    """A callback that answers no waiting request: its name, its copied field, its error (0: none)."""

    name: str
    row: Any
    error_id: int = 0
    error_text: str = ""
    request_id: int = 0


class Answer(NamedTuple):
    """One row of the answer to a request."""

    name: str
    row: Row | None
    error_id: int
    error_text: str
    request_id: int
    last: bool


class Link(NamedTuple):
    """The connection came up, or broke for a reason of `errors.DISCONNECT`."""

    up: bool
    reason: int = 0


class Failure(NamedTuple):
    """A callback that was taken at once could not be."""

    error: Exception


_names: dict[type, list[str]] = {}


def copy(field: Any) -> Row:
    """Copy a vendor struct into a dict; texts are decoded from GB18030 by the binding."""
    kind = type(field)
    names = _names.get(kind)
    if names is None:
        names = [name for name, value in vars(kind).items() if isinstance(value, property) and name != "thisown"]
        _names[kind] = names
    return {name: getattr(field, name) for name in names}


def make_spi(base: Any, put: Taker, at_once: Mapping[str, Taker], *, simulation: bool) -> Any:
    """Make the callback object: every On* of `base`, copied and put into the inbox.

    Those in `at_once`, by name, take the vendor's struct on the vendor's thread instead.
    """
    put = _on_kept_thread(put)
    methods: dict[str, Any] = {
        name: _method(name, put) for name in dir(base) if name.startswith(("OnRtn", "OnRsp", "OnErr"))
    }
    methods |= {name: _at_once(_on_kept_thread(take), put) for name, take in at_once.items()}
    methods["OnFrontConnected"] = lambda _: put(Link(up=True))
    methods["OnFrontDisconnected"] = lambda _, reason: put(Link(up=False, reason=reason))
    methods["OnRspError"] = _error(put, simulation=simulation)
    return type("Spi", (base,), methods)()


def _on_kept_thread(take: Taker) -> Taker:
    """Let Python keep its state of the thread that calls back: it else makes and unmaps one for each callback."""
    of_thread = threading.local()

    def kept(item: Any) -> None:
        if not hasattr(of_thread, "is_kept"):
            of_thread.is_kept = True
            ctypes.pythonapi.PyGILState_Ensure()  # never released
        take(item)

    return kept


def _at_once(take: Taker, put: Taker) -> Callable[..., None]:
    failed = False

    def taken(_: Any, field: Any) -> None:
        nonlocal failed
        if failed:  # to go on behind what was lost would be to leave it out in silence
            return
        try:
            take(field)
        except Exception as error:  # noqa: BLE001 - the library ends the process on it; the loop ends it with a word
            failed = True
            put(Failure(error))

    return taken


def _method(name: str, put: Taker) -> Callable[..., None]:
    def answer(_: Any, field: Any, info: Any, request_id: int, last: bool) -> None:
        row = None if field is None else copy(field)
        error_id, text = (0, "") if info is None else (info.ErrorID, info.ErrorMsg)
        put(Answer(name, row, error_id, text, request_id, last))

    if name.startswith("OnRsp"):
        return answer
    if name.startswith("OnErrRtn"):
        return lambda _, field, info: put(Push(name, copy(field), info.ErrorID, info.ErrorMsg))
    return lambda _, field: put(Push(name, copy(field)))


def _error(put: Taker, *, simulation: bool) -> Callable[..., None]:
    def error(_: Any, info: Any, request_id: int, last: bool) -> None:
        if simulation and info.ErrorID == HANDSHAKE:
            put(Link(up=True))
        else:
            put(Answer("OnRspError", None, info.ErrorID, info.ErrorMsg, request_id, last))

    return error
