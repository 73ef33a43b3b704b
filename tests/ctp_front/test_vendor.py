"""The vendor's own library, unmodified, logs in to the front: the calls and callbacks a gateway lives on."""

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.ctp_front.processes import INVESTOR, USER, Event, Vendor, front, until, vendor
from tests.ctp_front.test_recording import row, write


def _statuses(events: list[Event]) -> str:
    letters = {"a": "u", "3": "n", "1": "p", "0": "f", "5": "c"}
    kinds = ("OnRtnOrder", "OnRtnTrade")
    return " ".join(
        "T" if event["event"] == "OnRtnTrade" else letters[event["args"][0]["OrderStatus"]]
        for event in events
        if event["event"] in kinds
    )


def _quote(client: Vendor, symbol: str) -> dict[str, Any]:
    (quote,) = client.query("DepthMarketData", InstrumentID=symbol)
    return quote


def _instrument(client: Vendor) -> str:
    return str(client.query("Instrument")[0]["InstrumentID"])


def test_snapshots_come_to_who_subscribed(tmp_path: Path) -> None:
    """Login, subscribe, one snapshot at once, more as they come, none after unsubscribing."""
    with front(tmp_path) as exchange, vendor("market", exchange.market, tmp_path) as client:
        until(lambda: exchange.status().published > 0, "prices")
        symbol, other, _ = exchange.status().symbols
        client.wait("OnRspError")
        client.call("ReqUserLogin", "ReqUserLogin")
        client.wait("OnRspUserLogin")
        client.symbols("SubscribeMarketData", symbol)
        assert client.wait("OnRspSubMarketData")["args"][0]["InstrumentID"] == symbol
        ticks = [client.wait("OnRtnDepthMarketData")["args"][0] for _ in range(3)]
        assert {tick["InstrumentID"] for tick in ticks} == {symbol}
        client.symbols("UnSubscribeMarketData", symbol)
        assert client.wait("OnRspUnSubMarketData")["args"][0]["InstrumentID"] == symbol
        client.symbols("SubscribeMarketData", other)
        client.wait("OnRtnDepthMarketData", lambda event: event["args"][0]["InstrumentID"] == other)
        assert client.close() == 0


def test_an_order_fills_and_shows_everywhere(tmp_path: Path) -> None:
    """Refused before the confirmation, filled after it, and seen in every query and in the front's books."""
    with front(tmp_path) as exchange, vendor("trade", exchange.trade, tmp_path) as client:
        until(lambda: exchange.status().published > 0, "prices")
        symbol = exchange.status().symbols[0]
        client.connect()
        assert client.wait("OnRspUserLogin")["args"][0]["MaxOrderRef"] == "0"
        client.order(1, 800.0, InstrumentID=symbol)
        assert client.wait("OnErrRtnOrderInsert")["args"][1]["ErrorID"] == 42
        client.call("ReqSettlementInfoConfirm", "SettlementInfoConfirm", **INVESTOR)
        client.wait("OnRspSettlementInfoConfirm")
        limit = _quote(client, symbol)["UpperLimitPrice"]
        client.seen.clear()
        client.order(2, limit, InstrumentID=symbol)
        trade = client.wait("OnRtnTrade")["args"][0]
        assert _statuses(client.seen) == "u u f T"
        (order,) = client.query("Order")
        assert (order["OrderMemo"], order["OrderStatus"], order["OrderSysID"]) == ("K2", "0", trade["OrderSysID"])
        assert client.query("Trade")[0]["TradeID"] == trade["TradeID"]
        (position,) = client.query("InvestorPosition")
        assert (position["Position"], position["PosiDirection"], position["PositionDate"]) == (1, "2", "1")
        (account,) = client.query("TradingAccount")
        assert account["CurrMargin"] == pytest.approx(trade["Price"] * 1000 * 0.12)
        (told,) = exchange.books().trades
        assert (told.price, told.volume) == (trade["Price"], 1)
        assert client.close() == 0


def test_a_resting_order_is_cancelled_once(tmp_path: Path) -> None:
    """Cancelled by the exchange's number; a second cancel is error 26, an unknown order 25."""
    with front(tmp_path) as exchange, vendor("trade", exchange.trade, tmp_path) as client:
        until(lambda: exchange.status().published > 0, "prices")
        symbol = exchange.status().symbols[0]
        client.login()
        client.order(1, _quote(client, symbol)["LowerLimitPrice"], InstrumentID=symbol)
        order = client.wait("OnRtnOrder", lambda event: event["args"][0]["OrderStatus"] == "3")["args"][0]
        named = {**USER, **INVESTOR, "InstrumentID": symbol, "ExchangeID": "SHFE", "ActionFlag": "0"}
        number = order["OrderSysID"]
        client.call("ReqOrderAction", "InputOrderAction", **named, OrderSysID=number)
        client.wait("OnRtnOrder", lambda event: event["args"][0]["OrderStatus"] == "5")
        for unknown, error in ((number, 26), ("99", 25)):
            client.call("ReqOrderAction", "InputOrderAction", **named, OrderSysID=unknown)
            assert client.wait("OnRspOrderAction")["args"][1]["ErrorID"] == error
            assert client.wait("OnErrRtnOrderAction")["args"][1]["ErrorID"] == error
        assert _statuses(client.seen) == "u n n c"


def test_a_killed_front_comes_back_with_its_books(tmp_path: Path) -> None:
    """The library reconnects by itself and hears nothing twice; a new one hears all; what rested still rests."""
    with front(tmp_path) as exchange, vendor("trade", exchange.trade, tmp_path) as client:
        until(lambda: exchange.status().published > 0, "prices")
        symbol = exchange.status().symbols[0]
        first = client.login()
        quote = _quote(client, symbol)
        client.order(1, quote["UpperLimitPrice"], InstrumentID=symbol)
        client.wait("OnRtnTrade")
        client.order(2, quote["LowerLimitPrice"], 2, InstrumentID=symbol)
        client.wait("OnRtnOrder", lambda event: event["args"][0]["OrderStatus"] == "3")
        heard = _returns(client)
        before = exchange.books()
        exchange.kill()
        client.wait("OnFrontDisconnected")
        client.seen.clear()
        exchange.start()
        again = client.login()
        assert again["SessionID"] > first["SessionID"]
        assert again["MaxOrderRef"] == "2"
        assert client.query("Order", OrderSysID="nothing") == []
        assert _returns(client) == []
        after = exchange.books()
        assert (after.orders, after.trades, after.positions) == (before.orders, before.trades, before.positions)
        with vendor("trade", exchange.trade, tmp_path / "new") as another:
            another.login()
            another.query("Order")
            assert _returns(another) == heard
        resting = {"InstrumentID": symbol, "FrontID": 1, "SessionID": first["SessionID"], "OrderRef": "2"}
        client.call("ReqOrderAction", "InputOrderAction", **USER, InvestorID="sim001", ActionFlag="0", **resting)
        client.wait("OnRtnOrder", lambda event: event["args"][0]["OrderStatus"] == "5")


def _returns(client: Vendor) -> list[Event]:
    return [event for event in client.seen if event["event"] in ("OnRtnOrder", "OnRtnTrade")]


def test_every_session_of_an_account_hears_of_its_orders(tmp_path: Path) -> None:
    """Two programs of one trader see the same fills."""
    with (
        front(tmp_path) as exchange,
        vendor("trade", exchange.trade, tmp_path / "a") as one,
        vendor("trade", exchange.trade, tmp_path / "b") as other,
    ):
        until(lambda: exchange.status().published > 0, "prices")
        symbol = exchange.status().symbols[0]
        one.login()
        other.login()
        one.order(1, _quote(one, symbol)["UpperLimitPrice"], InstrumentID=symbol)
        assert other.wait("OnRtnTrade")["args"] == one.wait("OnRtnTrade")["args"]
        assert exchange.status().trade_sessions == 2


def test_a_new_trading_day_begins_with_yesterdays_lots(tmp_path: Path) -> None:
    """What rests expires, clients are disconnected and log in to the new day, lots are yesterday's."""
    day = [row(f"09:00:0{second}", "800.00") for second in range(3)]
    quiet = [row(f"09:01:{second:02}", "800.00") for second in range(0, 50, 2)]
    night = row("21:00:00", "806.00").replace('"20261123","N/A"', '"20261124","805.00"', 1)
    recording = write(tmp_path / "two-days.csv", *map(_with_book, [*day, *quiet, night]))
    settings = {"replay": [str(recording)], "hold": True, "speed": "10"}
    with front(tmp_path, **settings) as exchange, vendor("trade", exchange.trade, tmp_path) as client:
        client.login()
        exchange.go()
        until(lambda: exchange.status().published > 0, "the first row")
        client.order(1, 800.02, 2, InstrumentID="au2612")
        client.wait("OnRtnTrade")
        client.order(2, 700.0, InstrumentID="au2612")
        client.wait("OnRtnOrder", lambda event: event["args"][0]["OrderStatus"] == "5")
        client.wait("OnFrontDisconnected")
        assert client.login()["TradingDay"] == "20261124"
        (position,) = client.query("InvestorPosition")
        assert (position["PositionDate"], position["YdPosition"], position["Position"]) == ("2", 2, 2)
        (account,) = client.query("TradingAccount")
        assert account["PreBalance"] == pytest.approx(1_000_000 + 2 * (805.0 - 800.02) * 1000 - 20)
        assert client.query("Order") == []


def _with_book(line: str) -> str:
    from ctp_front.recording import COLUMNS

    cells = line.split(",")
    at = COLUMNS.index("AskPrice1")
    cells[at : at + 2] = ['"800.02"', '"5"']
    return ",".join(cells)


def test_a_replay_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """At full speed every row reaches the client once, in order, whatever the client's pace."""
    rows = [row(f"09:{at // 60:02}:{at % 60:02}", f"{800 + at * 0.02:.2f}") for at in range(3000)]
    recording = write(tmp_path / "a.csv", *rows[:1500], "broken", *rows[1500:])
    settings = {"replay": [str(recording)], "hold": True, "speed": "max"}
    with front(tmp_path, **settings) as exchange, vendor("market", exchange.market, tmp_path) as client:
        client.wait("OnRspError")
        client.call("ReqUserLogin", "ReqUserLogin")
        client.wait("OnRspUserLogin")
        client.symbols("SubscribeMarketData", "au2612")
        client.wait("OnRspSubMarketData")
        assert not exchange.status().running
        exchange.go()
        prices = [client.wait("OnRtnDepthMarketData")["args"][0]["LastPrice"] for _ in rows]
        assert prices == [pytest.approx(800 + at * 0.02) for at in range(3000)]
        until(lambda: exchange.status().finished, "the end")
        assert (exchange.status().published, exchange.status().broken_rows) == (3000, 1)


def test_a_restarted_replay_goes_on(tmp_path: Path) -> None:
    """It neither starts again nor waits to be started again."""
    rows = [row(f"09:{at // 60:02}:{at % 60:02}") for at in range(600)]
    settings = {"replay": [str(write(tmp_path / "a.csv", *rows))], "hold": True, "speed": "10"}
    with front(tmp_path, **settings) as exchange:
        exchange.go()
        until(lambda: exchange.status().published > 10, "some rows")
        exchange.kill()
        exchange.start()
        assert exchange.status().running
        assert exchange.status().published > 0


def test_garbage_is_dropped_and_others_do_not_notice(tmp_path: Path) -> None:
    """A client that does not speak FTD is disconnected with a line in the log."""
    with front(tmp_path) as exchange, vendor("trade", exchange.trade, tmp_path) as client:
        client.login()
        with socket.create_connection(("127.0.0.1", exchange.trade), timeout=10) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert stranger.recv(10) == b""
        assert client.query("Order") == []
        until(lambda: "client dropped" in exchange.log.read_text(), "a line in the log")


@pytest.mark.parametrize(("allowed", "told"), [(0, 100), (7, 7)])
def test_the_front_tells_the_library_how_many_queries_a_second_it_allows(
    tmp_path: Path, allowed: int, told: int
) -> None:
    """It stands beside the answer to the login; untold, the library lets one a second through."""
    with front(tmp_path, queries_per_second=allowed) as exchange, vendor("trade", exchange.trade, tmp_path) as client:
        client.login()
        client.call("GetFrontInfo", "FrontInfo")
        info = client.wait("GetFrontInfo")["args"][0]
        assert (info["QryFreq"], info["FTDPkgFreq"]) == (told, 2**31 - 1)


def test_a_settlement_statement_comes_in_pieces_that_cut_its_characters(tmp_path: Path) -> None:
    """The library hands on each piece's bytes as they are, so that they can be joined before they are read."""
    with front(tmp_path) as exchange, vendor("trade", exchange.trade, tmp_path) as client:
        day = client.login()["TradingDay"]
        rows = client.query("SettlementInfo", **INVESTOR)
        pieces = [bytes.fromhex(row["Content"]) for row in rows]
        assert [row["SequenceNo"] for row in rows] == list(range(1, len(rows) + 1))
        assert {len(piece) for piece in pieces[:-1]} == {500}
        with pytest.raises(UnicodeDecodeError):
            pieces[0].decode("gb18030")
        text = b"".join(pieces).decode("gb18030")
        assert f"客户号: sim001    交易日: {day}" in text
        assert "期初结存:         1000000.00" in text
        assert client.query("SettlementInfo", **INVESTOR, TradingDay=day) == rows
        assert client.query("SettlementInfo", **INVESTOR, TradingDay="20200102") == []
