"""What is to go wrong: faults that were ordered, and wait for their occasion.

It is pure: it says what becomes of a callback, an answer or a login, and keeps what is held back.
A restart of the front forgets all of it; what was held is then never told, only found by queries.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from ctp_front.orders import Refusal

# A message of a private flow: its TID and its fields. It gets its number when it is sent, because
# the library takes a flow without holes and repeats only.
Callback = tuple[int, list[bytes]]


class Disturbance(Enum):
    """What becomes of callbacks."""

    LOSE = auto()
    DELAY = auto()  # until they are released, or the account logs in again
    DUPLICATE = auto()
    REORDER = auto()  # all of them together, the last one first


class Answer(Enum):
    """What becomes of the answer to a request."""

    GIVEN = auto()
    LATE = auto()  # the request is done, its answer waits until it is released
    NEVER = auto()  # the request is done
    UNHEARD = auto()  # the request is lost on its way
    ERROR = auto()  # the request is not done, and OnRspError says so


class RefusalForm(Enum):
    """How the exchange's refusal of an order is told."""

    RETURN = auto()  # OnRtnOrder: cancelled, insert rejected
    ERROR = auto()  # OnErrRtnOrderInsert
    BOTH = auto()


@dataclass
class CallbackFault:
    """Disturbs the next callbacks of an account."""

    disturbance: Disturbance
    count: int
    concerns: Callable[[int], bool] = lambda _: True
    held: list[Callback] = field(default_factory=list)


@dataclass
class AnswerFault:
    """Spoils the answers to the next requests of an account."""

    answer: Answer
    count: int
    concerns: Callable[[int], bool] = lambda _: True
    refusal: Refusal | None = None


class Faults:
    """The faults that wait, by account."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[CallbackFault]] = {}
        self._answers: dict[str, list[AnswerFault]] = {}
        self._delayed: dict[str, list[Callback]] = {}
        self._logins: tuple[int, Refusal] | None = None
        self._forms: dict[str, RefusalForm] = {}

    # What is ordered.

    def disturb(self, account_id: str, fault: CallbackFault) -> None:
        """Disturb the next callbacks of an account."""
        self._callbacks.setdefault(account_id, []).append(fault)

    def spoil(self, account_id: str, fault: AnswerFault) -> None:
        """Spoil the answers to the next requests of an account."""
        self._answers.setdefault(account_id, []).append(fault)

    def refuse_logins(self, count: int, refusal: Refusal) -> None:
        """Refuse the next logins of anyone."""
        self._logins = (count, refusal)

    def set_form(self, account_id: str, form: RefusalForm) -> None:
        """Set how the exchange's refusals are told from now on."""
        self._forms[account_id] = form

    def release(self, account_id: str) -> list[Callback]:
        """Give the callbacks that were held back, oldest first."""
        waiting = [one for one in self._callbacks.get(account_id, []) if one.held]
        self._callbacks[account_id] = [one for one in self._callbacks.get(account_id, []) if not one.held]
        unsorted = [callback for fault in waiting for callback in fault.held]
        return self._delayed.pop(account_id, []) + unsorted

    # What becomes of it.

    def pass_on(self, account_id: str, callback: Callback) -> list[Callback]:
        """Give what an account hears instead of a callback."""
        faults = self._callbacks.get(account_id, [])
        fault = next((one for one in faults if one.concerns(callback[0])), None)
        if fault is None:
            return [callback]
        fault.count -= 1
        if not fault.count:
            faults.remove(fault)
        match fault.disturbance:
            case Disturbance.DUPLICATE:
                return [callback, callback]
            case Disturbance.DELAY:
                self._delayed.setdefault(account_id, []).append(callback)
            case Disturbance.REORDER:
                fault.held.append(callback)
                return [] if fault.count else fault.held[::-1]
        return []

    def answer(self, account_id: str, tid: int) -> AnswerFault:
        """Give what becomes of the answer to a request."""
        faults = self._answers.get(account_id, [])
        fault = next((one for one in faults if one.concerns(tid)), None)
        if fault is None:
            return AnswerFault(Answer.GIVEN, 1)
        fault.count -= 1
        if not fault.count:
            faults.remove(fault)
        return fault

    def check_login(self) -> None:
        """Raise the refusal of a login that was ordered to fail."""
        if self._logins is None:
            return
        count, refusal = self._logins
        self._logins = (count - 1, refusal) if count > 1 else None
        raise refusal

    def form(self, account_id: str) -> RefusalForm:
        """Give how the exchange's refusals are told to an account."""
        return self._forms.get(account_id, RefusalForm.RETURN)
