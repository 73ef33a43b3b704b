"""Page tokens and page sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbig.errors import InvalidField
from arbig.pages import Place, from_token, page_size, to_token
from arbig.store.v1.store_pb2 import ListOrdersRequest, ListTradesRequest
from arbig.trade.v1.trade_pb2 import ORDER_STATE_ACCEPTED

ASKED = ListOrdersRequest(symbol="au2604")
PLACES = st.lists(st.integers(0, 2**64 - 1) | st.text(st.characters(exclude_categories=["Cs"])), max_size=4).map(tuple)


def assert_refused(token: str, request: ListOrdersRequest | ListTradesRequest = ASKED) -> None:
    with pytest.raises(InvalidField, match="page_token"):
        from_token(token, request)


@given(PLACES)
def test_a_token_names_its_place(place: Place) -> None:
    assert from_token(to_token(place, ASKED), ASKED) == place


def test_the_page_size_may_change_from_page_to_page() -> None:
    token = to_token((1, "a"), ASKED)
    assert from_token(token, ListOrdersRequest(symbol="au2604", page_size=7, page_token=token)) == (1, "a")


@given(PLACES)
def test_a_token_is_bound_to_its_list_and_filter(place: Place) -> None:
    token = to_token(place, ASKED)
    assert_refused(token, ListOrdersRequest())
    assert_refused(token, ListOrdersRequest(account_id="au2604"))
    assert_refused(token, ListOrdersRequest(symbol="au2604", states=[ORDER_STATE_ACCEPTED]))
    assert_refused(token, ListTradesRequest(symbol="au2604"))


@given(PLACES, st.data())
def test_a_token_with_one_character_changed_is_refused(place: Place, data: st.DataObject) -> None:
    token = to_token(place, ASKED)
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(codec="ascii") | st.characters())
    if letter != token[at]:
        assert_refused(token[:at] + letter + token[at + 1 :])


@given(PLACES)
def test_each_bit_of_a_token_counts(place: Place) -> None:
    """Also those that base64 leaves over in its last character."""
    token = to_token(place, ASKED)
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        if letter != token[-1]:
            assert_refused(token[:-1] + letter)


@given(PLACES, st.text(min_size=1, max_size=5))
def test_a_token_cut_or_lengthened_is_refused(place: Place, more: str) -> None:
    token = to_token(place, ASKED)
    for length in range(1, len(token)):
        assert_refused(token[:length])
    assert_refused(token + more)
    assert_refused(more + token)
    assert_refused(token + "=")


@given(st.text(min_size=1, max_size=50))
def test_any_other_text_is_refused(text: str) -> None:
    assert_refused(text)


@pytest.mark.parametrize("place", ["[" * 100_000, "{", "5", "null"])
def test_what_is_no_place_is_refused_though_the_check_passes(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arbig.pages.json.dumps", lambda *_, **__: place)
    assert_refused(to_token((), ASKED))


def test_page_sizes() -> None:
    assert [page_size(asked) for asked in (0, 1, 1000, 5000)] == [50, 1, 1000, 1000]
    assert page_size(0, 1000) == 1000
    with pytest.raises(InvalidField, match="page_size"):
        page_size(-1)
