"""A trading day as the vendor's library told it: however often and in whatever order, the same books."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arbig.front.v1 import front_pb2 as front_pb
from tests.ctp_front.processes import Front, Vendor, front, library, until
from tests.ctp_front.test_recording import row, write
from tests.trade_svc.mirror import Mirror, Told
from trade_svc.orders import memo_of

ACCOUNT, SYMBOL, BALANCE = "sim001", "au2612", 10_000_000.0
# Orders of a day, and how often the day is told anew.
ORDERS, TIMES = 120, 30
HOURS = ("21:00", "22:30", "23:59", "09:00", "10:00", "10:30", "11:20", "13:30", "14:30", "14:59")
Sent = tuple[str, dict[str, Any], int]


class Day:
    """What was sent, what the library told, and what the exchange had at the end."""

    def __init__(self, directory: Path) -> None:
        self.sent: list[Sent] = []
        self.login: tuple[str, int, int] = ("", 0, 0)
        self.books = front_pb.GetBooksResponse()
        self._file = directory / "told.jsonl"

    def write(self, told: Told) -> None:
        """Write down a callback."""
        with self._file.open("a") as file:
            file.write(json.dumps({"event": told["event"], "whole": told["whole"]}) + "\n")

    def told(self) -> list[Told]:
        """Read what was written down."""
        return [json.loads(line) for line in self._file.read_text().splitlines()]

    def mirror(self) -> Mirror:
        """Give the trade service's books as they were before anything was told."""
        mirror = Mirror(ACCOUNT, BALANCE)
        mirror.show(SYMBOL, 800.0)
        mirror.begin(*self.login)
        for name, values, request in self.sent:
            mirror.send(name, values, request)
        return mirror


class Desk:
    """One session that trades at random, so that every kind of end comes about."""

    def __init__(self, exchange: Front, session: Vendor, day: Day) -> None:
        self._exchange = exchange
        self._session = session
        self._day = day
        self._chance = random.Random(20261125)
        self._number = 0

    def trade(self) -> None:
        """Trade through the hours of the day."""
        for hour in HOURS:
            for minute in range(ORDERS // len(HOURS)):
                self._show(f"{hour}:{minute:02}")
                self._order()
                if self._chance.random() < 0.4:
                    self._cancel(self._chance.randint(1, self._number))
                self._session.confirm()
        self._show("14:59:59")

    def _show(self, time: str) -> None:
        middle = 800.0 + self._chance.randint(-3, 3) * 0.02
        bids, asks = (
            [front_pb.DepthLevel(price=middle + step * 0.02, volume=self._chance.randint(1, 3))] for step in (-1, 1)
        )
        self._exchange.command("ShowDepth", symbol=SYMBOL, time=time, last=800.0, bids=bids, asks=asks)

    def _order(self) -> None:
        chance = self._chance
        self._number += 1
        values: dict[str, Any] = {"InstrumentID": SYMBOL, "ExchangeID": "SHFE", "Direction": chance.choice("01")}
        values |= {"CombOffsetFlag": chance.choice("0033"), "TimeCondition": chance.choice("3331")}
        values |= {"OrderMemo": memo_of(f"K{self._number}"), "OrderRef": str(self._number)}
        price, volume = 800.0 + chance.randint(-4, 4) * 0.02, chance.choice((1, 2, 3, 5))
        request = self._session.order(self._number, price, volume, **values)
        sent = {**values, "LimitPrice": price, "VolumeTotalOriginal": volume}
        self._day.sent.append((f"K{self._number}", sent, request))

    def _cancel(self, number: int) -> None:
        values = {**self._session.user, **self._session.investor, **self._session.key, "ActionFlag": "0"}
        names = {"InstrumentID": SYMBOL, "ExchangeID": "SHFE", "OrderRef": str(number)}
        self._session.call("ReqOrderAction", "InputOrderAction", **values, **names)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Trade for a day, and write down what the library tells."""
    directory = tmp_path_factory.mktemp("day")
    day = Day(directory)
    first = write(directory / "stage.csv", row("20:59:59", "800.00", symbol=SYMBOL))
    settings = {"replay": [str(first)], "speed": "max", "initial_balance": BALANCE}
    with front(directory, **settings) as exchange, library("trade", exchange.trade, directory) as clients:
        session = clients.session("day", ACCOUNT)
        answer = session.login()
        session.key = {"FrontID": answer["FrontID"], "SessionID": answer["SessionID"]}
        day.login = answer["TradingDay"], answer["FrontID"], answer["SessionID"]
        session.listener = day.write
        Desk(exchange, session, day).trade()
        day.books = exchange.books(ACCOUNT)
        until(lambda: session.hear(0.05) is None and not once(day).disagreements(day.books), "the day's last callback")
        yield day


def once(day: Day) -> Mirror:
    """Give the books after the day as it was told."""
    mirror = day.mirror()
    for told in day.told():
        mirror.hear(told)
    return mirror


def content(mirror: Mirror) -> tuple[Any, ...]:
    """Give what the books say."""
    trader = mirror.trader
    orders = {name: order.SerializeToString(deterministic=True) for name, order in trader.book.orders.items()}
    trades = {key: trade.SerializeToString(deterministic=True) for key, trade in trader.book.trades.items()}
    return orders, trades, [one.SerializeToString(deterministic=True) for one in trader.positions()], trader.money()


def test_the_day_has_every_kind_of_end(day: Day) -> None:
    """Fills, part fills, cancels, and refusals by CTP."""
    told = {one["event"] for one in day.told()}
    assert told >= {"OnRtnOrder", "OnRtnTrade", "OnRspOrderInsert", "OnErrRtnOrderInsert", "OnRspOrderAction"}
    assert {order.status for order in day.books.orders} == {"0", "1", "3", "5"}
    assert len(day.books.trades) > ORDERS / 4


def test_the_books_are_the_exchange_s(day: Day) -> None:
    assert once(day).disagreements(day.books) == []


def test_twice_and_shuffled_is_once_and_in_order(day: Day) -> None:
    """Every callback comes twice, anywhere; only trades keep their order, and follow their order's number."""
    in_order = content(once(day))
    for seed in range(TIMES):
        mirror = day.mirror()
        for told in shuffled(day.told(), random.Random(seed)):
            mirror.hear(told)
        assert content(mirror) == in_order, f"seed {seed}"


def shuffled(told: list[Told], chance: random.Random) -> Iterator[Told]:
    """Give every callback twice, in an order that CTP could tell them in.

    A trade comes after the trades before it, and after a report that names its order at the exchange.
    """
    after = dict(constraints(told))
    waiting = [*range(len(told))] * 2
    chance.shuffle(waiting)
    given: set[int] = set()
    while waiting:
        place = next(place for place, one in enumerate(waiting) if after.get(one, set()) <= given)
        number = waiting.pop(place)
        given.add(number)
        yield told[number]


def constraints(told: list[Told]) -> Iterator[tuple[int, set[int]]]:
    """Give what must have been told before each trade."""
    named: dict[str, int] = {}
    before: set[int] = set()
    for number, one in enumerate(told):
        record = one["whole"][0]
        if one["event"] == "OnRtnOrder" and record["OrderSysID"]:
            named.setdefault(record["OrderSysID"], number)
        elif one["event"] == "OnRtnTrade":
            yield number, before | {named[record["OrderSysID"]]}
            before = {number}
