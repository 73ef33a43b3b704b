"""What a market configuration may be, and what a call, a trading day or our rule make of it."""

import math
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from arbig.errors import InvalidField
from arbig.follow import Link
from arbig.market.v1 import config_pb2 as pb
from arbig.market.v1.market_pb2 import Instrument
from arbig.stream.v1.stream_pb2 import Gap, Heartbeat
from arbig.trade.v1 import trade_pb2 as trade
from market_svc import config_text
from market_svc.held import Held
from market_svc.market_config import Known, change, complaints, defaults, rolled, updated, wanted, with_main

DAY = "20260302"


def listed(*symbols: str, **changed: Any) -> dict[str, Instrument]:
    """Give au contracts that leave on the 15th of their month."""
    terms = {"product": "au", "multiplier": 1000, "price_tick": 0.02, "trading": True, **changed}
    return {one: Instrument(symbol=one, expire_date=f"20{one[2:]}15", **terms) for one in symbols}


KNOWN = Known(listed("au2602", "au2604", "au2606", "au2608"), DAY)


def configured(**values: Any) -> pb.MarketConfig:
    config = defaults()
    config.MergeFrom(pb.MarketConfig(**values))
    return config


def call(*, at_once: bool = False, **values: Any) -> pb.UpdateMarketConfigRequest:
    """Ask for these values, and for nothing else."""
    config, mask = pb.MarketConfig(**values), FieldMask(paths=list(values))
    return pb.UpdateMarketConfigRequest(config=config, update_mask=mask, at_once=at_once)


def test_another_main_contract_waits_for_the_next_trading_day() -> None:
    """It is the next one until a tick of a later day comes."""
    after = updated(configured(main_contract="au2604"), call(main_contract="au2606"), KNOWN)
    assert (after.main_contract, after.next_main_contract, after.next_after) == ("au2604", "au2606", DAY)
    assert rolled(after, DAY) == after
    assert rolled(after, "20260303") == configured(main_contract="au2606")


def test_a_day_that_was_slept_through_changes_nothing() -> None:
    """Any later day will do."""
    waiting = configured(main_contract="au2604", next_main_contract="au2606", next_after=DAY)
    assert rolled(waiting, "20260420").main_contract == "au2606"


def test_at_once_is_at_once() -> None:
    """Whatever was to come next."""
    waiting = configured(main_contract="au2604", next_main_contract="au2606", next_after=DAY)
    assert updated(waiting, call(main_contract="au2608", at_once=True), KNOWN) == configured(main_contract="au2608")


def test_naming_the_present_main_contract_takes_the_next_one_back() -> None:
    """Also where the present one could not be chosen any more."""
    waiting = configured(main_contract="au2602", next_main_contract="au2606", next_after=DAY)
    assert updated(waiting, call(main_contract="au2602"), KNOWN) == configured(main_contract="au2602")


@pytest.mark.parametrize(
    ("before", "known"),
    [(configured(), KNOWN), (configured(main_contract="au2604"), KNOWN._replace(trading_day=""))],
    ids=["no main contract", "no trading day"],
)
def test_where_nothing_is_under_way_the_main_contract_waits_for_nothing(before: pb.MarketConfig, known: Known) -> None:
    """There is none to keep, or no day that it would be kept for."""
    assert updated(before, call(main_contract="au2606"), known) == configured(main_contract="au2606")


def test_a_call_changes_what_its_mask_names() -> None:
    """Lists and products are replaced, the others stay."""
    before = configured(main_contract="au2604", symbols=["au2604", "au2606"])
    silver = pb.Product(multiplier=15, price_tick=1, name="Silver")
    after = updated(before, call(symbols=["au2608"], products={"ag": silver}), KNOWN)
    assert after == pb.MarketConfig(main_contract="au2604", symbols=["au2608"], products={"ag": silver})


def product(**changed: Any) -> dict[str, Any]:
    terms = {"multiplier": 1000, "price_tick": 0.02, "name": "Gold", **changed}
    return {"products": {"au": pb.Product(**terms)}}


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({}, "update_mask", "names which of main_contract, symbols, products"),
        ({"next_main_contract": "au2606"}, "update_mask", "next_main_contract cannot be changed"),
        ({"next_after": DAY}, "update_mask", "next_after cannot be changed"),
        ({"main_contract": ""}, "main_contract", "is required"),
        ({"main_contract": "1!"}, "main_contract", "'1!' cannot be an instrument"),
        ({"main_contract": "au2699"}, "main_contract", "au2699 is none of the 4 instruments"),
        ({"main_contract": "au2602"}, "main_contract", "au2602 expired on 20260215, the trading day is 20260302"),
        ({"symbols": ["au2604", "au2699", "au2698"]}, "symbols", "au2699 is none of the 4 instruments"),
        ({"symbols": ["au2604", ""]}, "symbols", "is required"),
        (product(multiplier=0), "products.au.multiplier", "must be above 0, got 0"),
        (product(multiplier=-5), "products.au.multiplier", "must be above 0, got -5"),
        (product(price_tick=0.0), "products.au.price_tick", "must be above 0, got 0"),
        (product(price_tick=math.nan), "products.au.price_tick", "got nan"),
        (product(price_tick=math.inf), "products.au.price_tick", "got inf"),
        (product(name=""), "products.au.name", "is required"),
        ({"products": {"": pb.Product()}}, "products", "is required"),
    ],
)
def test_a_bad_change_is_refused_by_its_field_and_numbers(values: dict[str, Any], field: str, words: str) -> None:
    """Nothing is changed then."""
    before = configured(main_contract="au2604")
    for at_once in (False, True):
        with pytest.raises(InvalidField) as raised:
            updated(before, call(**values, at_once=at_once), KNOWN)
        assert raised.value.field == field
        assert words in str(raised.value)
    assert before == configured(main_contract="au2604")


def test_a_contract_that_may_not_be_traded_is_no_main_contract() -> None:
    """It may be subscribed all the same."""
    known = Known(listed("au2606", trading=False), DAY)
    with pytest.raises(InvalidField, match="au2606 may not be traded"):
        updated(configured(), call(main_contract="au2606"), known)
    assert updated(configured(), call(symbols=["au2606"]), known).symbols == ["au2606"]


def test_while_the_instruments_are_not_known_any_possible_symbol_passes() -> None:
    """Else a mesh could not be set up before its first login."""
    assert updated(configured(), call(main_contract="ag2612"), Known()).main_contract == "ag2612"


def test_what_stands_in_it_is_not_held_against_another_change() -> None:
    """The market moves on: contracts expire under a configuration."""
    before = configured(main_contract="au2602", symbols=["au2512"])
    assert updated(before, call(symbols=["au2512", "au2604"]), KNOWN).symbols == ["au2512", "au2604"]


@pytest.mark.parametrize(
    ("symbols", "day", "main"),
    [
        (["au2603", "au2604", "au2606"], "20260302", "au2604"),
        (["au2603", "au2604", "au2606"], "20260320", "au2606"),  # the nearest leaves within a month
        (["au2602", "au2603"], "20260302", "au2603"),
        (["au2511"], "20260302", ""),
        (["au2604"], "", ""),
        (["au2604"], "2026030x", ""),
    ],
)
def test_without_a_main_contract_the_nearest_even_month_is_chosen(symbols: list[str], day: str, main: str) -> None:
    """A new user's page has something to show."""
    assert with_main(configured(), Known(listed(*symbols), day)).main_contract == main


def test_ours_is_chosen_among_what_is_subscribed_and_only_once() -> None:
    """Whoever lists symbols wants no other, and whoever chose is not overruled."""
    assert with_main(configured(symbols=["au2608"]), KNOWN).main_contract == "au2608"
    assert with_main(configured(symbols=["ag2608"]), KNOWN).main_contract == ""
    assert with_main(configured(main_contract="au2602"), KNOWN).main_contract == "au2602"


def test_a_change_says_what_it_changed() -> None:
    """The first of all changed nothing."""
    first = change(None, configured(), pb.MARKET_CONFIG_ORIGIN_DEFAULTS, Timestamp())
    second = change(
        first,
        configured(main_contract="au2604", symbols=["au2606"]),
        pb.MARKET_CONFIG_ORIGIN_CALL,
        Timestamp(seconds=5),
    )
    assert (first.seq, list(first.changed)) == (1, [])
    assert (second.seq, list(second.changed), second.time.seconds) == (2, ["main_contract", "symbols"], 5)


def test_what_does_not_fit_the_market_is_said() -> None:
    """The exchange's terms win."""
    known = Known({**listed("au2602", multiplier=100), **listed("au2604")}, DAY)
    assert list(complaints(configured(main_contract="au2602", symbols=["au26"]), known)) == [
        "symbols: au26 is no instrument, so it has no ticks",
        "main_contract: au2602 expired on 20260215",
        "products.au: multiplier 1000 and price tick 0.02, but 100 and 0.02 at the exchange (au2602)",
    ]
    assert list(complaints(configured(symbols=["au26"]), Known())) == []


def test_main_contracts_and_what_is_held_are_subscribed_in_any_case() -> None:
    """None listed means all."""
    config = configured(main_contract="au2604", next_main_contract="au2606", symbols=["au2608"])
    assert wanted(config, KNOWN.instruments, {"ag2612"}) == {"au2604", "au2606", "au2608", "ag2612"}
    assert wanted(configured(), KNOWN.instruments, ()) == set(KNOWN.instruments)


# The text.


def test_what_is_written_is_what_is_read_and_comments_stay() -> None:
    """Only what changed is written anew."""
    text = config_text.render(configured()).replace("price_tick = 0.02", "price_tick = 0.02  # yuan a gram")
    changed = configured(main_contract="au2604", symbols=["au2606"], next_main_contract="au2608", next_after=DAY)
    changed.products["ag"].CopyFrom(pb.Product(multiplier=15, price_tick=1, name="Silver", name_zh="白银"))
    written = config_text.render(changed, text)
    assert config_text.parse(written) == changed
    assert "# yuan a gram" in written
    assert written.startswith(text.split("\n", 1)[0])
    assert config_text.parse(config_text.render(configured(), written)) == configured()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("main_contrat = 'au2604'", "main_contrat: is no setting; there are main_contract, symbols"),
        ("mainContract = 'au2604'", "mainContract: is no setting"),
        ("[products.au]\nmultiplyer = 5", "products.au.multiplyer: is no setting; there are multiplier"),
        ("main_contract = 5", "main_contract"),
        ("symbols = 'au2604'", "symbols"),
        ("products = 1", "products"),
        ("[products]\nau = 1", "products"),
        ("[products.au]\nmultiplier = 10.5", "multiplier"),
        ("next_after = 2026-03-02", "next_after"),
        ("symbols = []\nmain_contract =\n", "line 2"),
        ("symbols = []\nsymbols = []", "line 2"),
        ("a = {b = 1, b = 2}", "already exists"),
        ("\x00", "line 1"),
    ],
)
def test_a_bad_text_is_told_by_its_line_or_its_name(text: str, words: str) -> None:
    """Whoever edits it can find the place."""
    with pytest.raises((ValueError, InvalidField)) as raised:
        config_text.parse(text)
    assert words in str(raised.value)


# What is held.


def position(side: "trade.PositionSide.ValueType", today: int = 0, yesterday: int = 0) -> trade.Event:
    return trade.Event(
        position=trade.Position(account_id="a", symbol="au2604", side=side, today=today, yesterday=yesterday)
    )


LONG, SHORT = trade.POSITION_SIDE_LONG, trade.POSITION_SIDE_SHORT
GOLD = position(LONG, today=2)
MONEY = trade.Event(account=trade.Account(account_id="a"))
QUIET = trade.SubscribeEventsResponse(heartbeat=Heartbeat())


def told(*events: trade.Event) -> trade.SubscribeEventsResponse:
    return trade.SubscribeEventsResponse(events=events)


def test_what_is_held_is_known_when_the_trade_service_has_read_its_books() -> None:
    """One that has not logged in yet has no positions to tell of."""
    held = Held(Link("positions"))
    assert not held.take(QUIET)
    assert held.take(told(MONEY, GOLD))
    assert (held.known, held.symbols) == (False, {"au2604"})
    assert held.take(QUIET)
    assert held.known
    assert not held.take(told(MONEY))


def test_what_was_told_before_the_link_broke_is_not_all_that_is_held() -> None:
    """Orders may fill meanwhile: what came of it is known when the stream is quiet again."""
    link = Link("positions")
    held = Held(link)
    held.take(told(MONEY))
    held.take(QUIET)
    link.is_down("gone")
    assert not held.known
    link.is_up()
    held.take(told(GOLD))
    assert (held.known, held.symbols) == (False, {"au2604"})
    assert held.take(QUIET)
    assert held.known


def test_a_contract_is_held_while_one_side_has_lots() -> None:
    """Yesterday's count as today's do."""
    held = Held(Link("positions"))
    held.take(told(GOLD, position(SHORT, yesterday=1)))
    held.take(told(position(LONG)))
    assert held.symbols == {"au2604"}
    held.take(told(position(SHORT)))
    assert held.symbols == set()


def test_another_journal_is_listened_to_from_its_beginning() -> None:
    """What was held by the old one is not known to be held."""
    held = Held(Link("positions"))
    held.take(told(MONEY, GOLD))
    held.take(QUIET)
    assert held.take(trade.SubscribeEventsResponse(gap=Gap()))
    assert (held.known, held.symbols) == (False, set())
