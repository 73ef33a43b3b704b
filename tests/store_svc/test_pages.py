"""Page tokens and page sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbig.errors import InvalidField
from arbig.store.v1.store_pb2 import ListOrdersRequest, ListTradesRequest
from store_svc.pages import Place, from_token, page_size, to_token

ASKED = ListOrdersRequest(symbol="au2604")
NUMBER = st.integers(0, 2**64 - 1)


@given(epoch=NUMBER, seq=NUMBER)
def test_a_token_names_its_place(epoch: int, seq: int) -> None:
    assert from_token(to_token(Place(epoch, seq), ASKED), ASKED) == Place(epoch, seq)


def test_the_page_size_may_change_from_page_to_page() -> None:
    token = to_token(Place(1, 2), ASKED)
    assert from_token(token, ListOrdersRequest(symbol="au2604", page_size=7, page_token=token)) == Place(1, 2)


def test_a_token_is_bound_to_its_list_and_filter() -> None:
    token = to_token(Place(1, 2), ASKED)
    for other in (ListOrdersRequest(), ListOrdersRequest(account_id="au2604"), ListTradesRequest(symbol="au2604")):
        with pytest.raises(InvalidField, match="page_token"):
            from_token(token, other)


@given(position=st.integers(0, 31), letter=st.characters())
def test_a_changed_token_is_refused(position: int, letter: str) -> None:
    token = to_token(Place(1_760_000_000_000, 12), ASKED)
    changed = token[:position] + letter + token[position + 1 :]
    if changed != token:
        with pytest.raises(InvalidField):
            from_token(changed, ASKED)


@given(st.text(min_size=1, max_size=50))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidField):
        from_token(text, ASKED)


def test_page_sizes() -> None:
    assert [page_size(asked) for asked in (0, 1, 1000, 5000)] == [50, 1, 1000, 1000]
    with pytest.raises(InvalidField, match="page_size"):
        page_size(-1)
