"""What was ordered to go wrong, and what becomes of it."""

import pytest

from ctp_front.faults import Answer, AnswerFault, CallbackFault, Disturbance, Faults, RefusalForm
from ctp_front.orders import Refusal

ORDER, TRADE = 0xF001, 0xF002
ME, OTHER = "sim001", "sim002"


def _disturbed(disturbance: Disturbance, count: int = 1, tid: int | None = None) -> Faults:
    faults = Faults()
    fault = CallbackFault(disturbance, count) if tid is None else CallbackFault(disturbance, count, tid.__eq__)
    faults.disturb(ME, fault)
    return faults


def _told(faults: Faults, *tids: int, account_id: str = ME) -> list[int]:
    return [tid for told in tids for tid, _ in faults.pass_on(account_id, (told, []))]


@pytest.mark.parametrize(
    ("disturbance", "told"),
    [
        (Disturbance.LOSE, [3]),
        (Disturbance.DELAY, [3]),
        (Disturbance.DUPLICATE, [1, 1, 2, 2, 3]),
        (Disturbance.REORDER, [2, 1, 3]),
    ],
)
def test_the_next_callbacks_are_disturbed(disturbance: Disturbance, told: list[int]) -> None:
    """Two of them, and no more."""
    assert _told(_disturbed(disturbance, 2), 1, 2, 3) == told


def test_only_the_account_and_the_kind_that_were_named_suffer() -> None:
    """The others' callbacks pass."""
    faults = _disturbed(Disturbance.LOSE, 1, TRADE)
    assert _told(faults, TRADE, account_id=OTHER) == [TRADE]
    assert _told(faults, ORDER, TRADE, TRADE) == [ORDER, TRADE]


def test_faults_wait_for_their_turn() -> None:
    """The second begins where the first is used up."""
    faults = _disturbed(Disturbance.LOSE)
    faults.disturb(ME, CallbackFault(Disturbance.DUPLICATE, 1))
    assert _told(faults, 1, 2, 3) == [2, 2, 3]


def test_what_was_held_is_released_once_in_its_order() -> None:
    """Also a reordering that never became complete."""
    faults = _disturbed(Disturbance.DELAY, 2)
    faults.disturb(ME, CallbackFault(Disturbance.REORDER, 2))
    assert _told(faults, 1, 2, 3) == []
    assert [tid for tid, _ in faults.release(ME)] == [1, 2, 3]
    assert faults.release(ME) == []
    assert _told(faults, 4) == [4]


def test_a_release_leaves_the_faults_that_have_not_begun() -> None:
    """They still wait for their occasion."""
    faults = _disturbed(Disturbance.LOSE)
    assert faults.release(ME) == []
    assert _told(faults, 1) == []


def test_answers_are_spoiled_by_kind_and_count() -> None:
    """The first request that the fault concerns, once."""
    faults = Faults()
    faults.spoil(ME, AnswerFault(Answer.LATE, 1, (2).__eq__))
    assert [faults.answer(account, tid).answer for account, tid in ((OTHER, 2), (ME, 1), (ME, 2), (ME, 2))] == [
        Answer.GIVEN,
        Answer.GIVEN,
        Answer.LATE,
        Answer.GIVEN,
    ]


def test_logins_are_refused_as_often_as_was_ordered() -> None:
    """With the error that was ordered."""
    faults = Faults()
    faults.check_login()
    faults.refuse_logins(2, Refusal(7, "CTP"))
    for _ in range(2):
        with pytest.raises(Refusal) as refused:
            faults.check_login()
        assert refused.value.error_id == 7
    faults.check_login()


def test_the_form_of_refusals_holds_until_it_is_set_again() -> None:
    """For the account alone."""
    faults = Faults()
    faults.set_form(ME, RefusalForm.BOTH)
    assert (faults.form(ME), faults.form(ME), faults.form(OTHER)) == (
        RefusalForm.BOTH,
        RefusalForm.BOTH,
        RefusalForm.RETURN,
    )
