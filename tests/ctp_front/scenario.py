"""Scenario files: a story of the market, sessions and faults, and what each session must hear.

`scenarios/README.md` says how to read one. A scenario is played by sessions of the vendor's own
library against a real front; after each step every session has heard exactly what is written.
"""

import tomllib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arbig.front.v1 import front_pb2 as pb
from tests.ctp_front.processes import Event, Front, Library, Vendor
from tests.trade_svc.mirror import QUERIES, Mirror
from trade_svc.orders import memo_of

FILES = sorted(Path(__file__).with_name("scenarios").glob("*.toml"))
# When, and at what last price of gold, a story begins.
BEGIN, SYMBOL = "10:00:00", "au2612"
BALANCE = 10_000_000.0
# What is shown where only the time is to go on: what is shown of a book replaces it.
CLOCK = "AP701"
EXCHANGES = {"au": "SHFE", "sc": "INE", "m": "DCE", "AP": "CZCE"}

_SIDES = {"buy": "0", "sell": "1"}
_OFFSETS = {"open": "0", "close": "1", "close today": "3", "close yesterday": "4"}
_KINDS: dict[str, dict[str, object]] = {
    "GFD": {},
    "FAK": {"TimeCondition": "1"},
    "FOK": {"TimeCondition": "1", "VolumeCondition": "3"},
    "market": {"OrderPriceType": "1", "TimeCondition": "1"},
}
_STATES = {"a": "u", "3": "n", "1": "p", "0": "f", "5": "c"}
_ERRORS = {
    "OnRspUserLogin": "RspLogin",
    "OnRspOrderInsert": "RspInsert",
    "OnErrRtnOrderInsert": "ErrInsert",
    "OnRspOrderAction": "RspAction",
    "OnErrRtnOrderAction": "ErrAction",
    "OnRspError": "RspError",
}
_HANDSHAKE = 4040  # stands for OnFrontConnected here


def written(event: Event) -> str:
    """Write a callback as the scenarios do; empty where they do not speak of it."""
    name, args = event["event"], event["args"]
    if name == "OnRtnTrade":
        return "T"
    if name == "OnRtnOrder":
        return "r" if _is_refused(args[0]) else _STATES[args[0]["OrderStatus"]]
    if name.startswith("OnRspQry"):
        return "rows" if args[-1] else ""
    if name in _ERRORS:
        error = args[0 if name == "OnRspError" else 1].get("ErrorID", 0)
        return f"{_ERRORS[name]}({error})" if error not in (0, _HANDSHAKE) else ""
    return ""


def _written(events: list[Event]) -> str:
    return " ".join(filter(None, map(written, events)))


def _is_refused(order: dict[str, Any]) -> bool:
    refused = (order["OrderStatus"], order["OrderSubmitStatus"]) == ("5", "4")
    assert not refused or (not order.get("OrderSysID") and "报单被拒绝" in order["StatusMsg"])
    return refused


class Scenario:
    """One file, played by sessions of one account."""

    def __init__(
        self, path: Path, front: Front, library: Library, account_id: str, prices: Mapping[str, float]
    ) -> None:
        self.account_id = account_id
        self._prices = prices
        self._story = tomllib.loads(path.read_text())
        self._front = front
        self._library = library
        self._sessions: dict[str, Vendor] = {}
        self._names: dict[int, dict[str, str]] = {}  # of each order: what a cancel takes
        self._orders = 0
        self._numbers: dict[str, int] = {}  # of each order, by its memo
        self._symbols = {SYMBOL}
        self._time = BEGIN
        # What the trade service would make of what session "a" hears.
        self._mirror = Mirror(account_id, BALANCE)
        self._missed = False
        self._actions: dict[str, Callable[[Any, Vendor], object]] = {
            "market": lambda value, _: self._market(**value),
            "login": lambda value, _: self._login(value),
            "order": lambda value, session: self._order(session, **value),
            "cancel": lambda value, session: self._cancel(session, value),
            "ask": lambda value, session: session.call(f"ReqQry{value}", f"Qry{value}"),
            "fault": lambda value, _: self._fault(value),
            "drop": lambda _value, _session: self._cut("DropConnections", front="FRONT_TRADE", account_id=account_id),
            "restart": lambda value, _: self._restart(value),
            "change_day": lambda _value, _session: self._change_day(),
        }

    # How it is played.

    def play(self) -> None:
        """Play every step and check the end; fails where a session hears anything else."""
        unknown = set(self._story) - {"title", "confirm", "time", "step", "end"}
        assert not unknown, f"what is {unknown}?"
        for symbol, price in self._prices.items():
            self._mirror.show(symbol, price)
        self._market(time=self._story.get("time", BEGIN), last=self._prices[SYMBOL])
        self._login("a", confirm=self._story.get("confirm", True))
        if self._story.get("confirm", True):
            self._listen(self._sessions["a"])
        for number, step in enumerate(self._story["step"], 1):
            self._play_step(number, dict(step))
        self._check_end(**self._story.get("end", {}))
        self._check_mirror()

    def leave(self) -> None:
        """Cancel what still rests, and release the sessions."""
        for symbol in self._symbols:
            self._market(symbol=symbol, time=BEGIN)
        session = self._sessions["a"]
        for order in self._front.books(self.account_id).orders:
            if order.status in "13":
                self._cancel(session, {"InstrumentID": order.symbol, "OrderSysID": f"{order.order_sys_id:>12}"})
        session.confirm()
        for one in self._sessions.values():
            one.release()

    def _play_step(self, number: int, step: dict[str, Any]) -> None:
        acting = step.pop("session", "a")
        hear, status = step.pop("hear", ""), step.pop("status", None)
        ((action, value),) = step.items()
        self._actions[action](value, self._sessions[acting])
        # Who asked listens first: then the front has heard it.
        listeners = sorted(self._sessions, key=lambda letter: letter != acting)
        expected = {letter: hear.get(letter, "") if isinstance(hear, dict) else hear for letter in listeners}
        events = {letter: self._listen(self._sessions[letter], expected[letter]) for letter in listeners}
        heard = {letter: _written(told) for letter, told in events.items()}
        what = f"step {number}, {action} = {value}: heard {heard}, status {_statuses(events['a'])}"
        assert heard == expected, what
        assert status is None or status == _statuses(events["a"]), what

    def _listen(self, session: Vendor, expected: str = "") -> list[Event]:
        """Give what a session has heard since the last time; a request that is answered at once marks the end.

        The library may bring the answer to a query after that of a later request.
        """
        session.confirm()
        while len(_written(session.seen).split()) < len(expected.split()) and session.hear():
            pass
        events, session.seen = session.seen, []
        for event in events:
            if event["event"] == "OnRtnOrder" and "OrderSysID" in event["args"][0]:
                self._learn(event["args"][0])
        return events

    def _learn(self, order: dict[str, Any]) -> None:
        self._names[self._numbers[order["OrderMemo"]]] = {name: order[name] for name in ("InstrumentID", "OrderSysID")}

    # What a step may do.

    def _market(self, symbol: str = SYMBOL, **shown: Any) -> None:
        self._symbols.add(symbol)
        self._time = shown.get("time", self._time)
        if "last" in shown:
            self._mirror.show(symbol, shown["last"])
        for side in shown.keys() & {"bids", "asks"}:
            shown[side] = [pb.DepthLevel(price=price, volume=volume) for price, volume in shown[side]]
        self._front.command("ShowDepth", symbol=symbol, **shown)

    def _login(self, letter: str, *, confirm: bool = True) -> None:
        session = self._sessions.get(letter)
        if session is None:
            session = self._sessions[letter] = self._library.session(f"{self.account_id}{letter}", self.account_id)
            session.listener = self._mirror.hear if letter == "a" else None
            session.await_front()
        session.ask_login()
        answer, info, *_ = session.wait("OnRspUserLogin")["args"]
        if not info.get("ErrorID"):
            session.key = {"FrontID": answer["FrontID"], "SessionID": answer["SessionID"]}
            if letter == "a":
                begin = self._mirror.log_in if self._mirror.trader.trading_day else self._mirror.begin
                begin(answer["TradingDay"], *session.key.values())
            if confirm:
                session.confirm()

    def _order(
        self,
        session: Vendor,
        *,
        price: float = 0.0,
        volume: int = 1,
        side: str = "buy",
        offset: str = "open",
        kind: str = "GFD",
        least: int = 0,
        symbol: str = SYMBOL,
        **fields: Any,
    ) -> None:
        self._orders += 1
        values: dict[str, Any] = {"InstrumentID": symbol, "ExchangeID": _exchange(symbol), "Direction": _SIDES[side]}
        values |= {"CombOffsetFlag": _OFFSETS[offset], **_KINDS[kind]}
        minimum = {"VolumeCondition": "2", "MinVolume": least} if least else {}
        name = f"K{self._orders}"
        values["OrderMemo"] = memo_of(name)
        self._numbers[memo_of(name)] = self._orders
        self._names[self._orders] = {"InstrumentID": symbol, "OrderRef": str(self._orders), **session.key}
        values |= {**minimum, **fields}
        request = session.order(self._orders, price, volume, **values)
        if session is self._sessions["a"]:
            given = {"OrderRef": str(self._orders), "LimitPrice": price, "VolumeTotalOriginal": volume, **values}
            self._mirror.send(name, given, request)

    def _cancel(self, session: Vendor, named: int | dict[str, str]) -> None:
        values = self._names[named] if isinstance(named, int) else {"InstrumentID": SYMBOL, **named}
        values = {"ExchangeID": _exchange(values["InstrumentID"]), "ActionFlag": "0", **values}
        session.call("ReqOrderAction", "InputOrderAction", **{**session.user, **session.investor, **values})

    def _fault(self, value: str | dict[str, Any]) -> None:
        if value == "release":
            self._front.command("Release", account_id=self.account_id)
            return
        assert isinstance(value, dict)
        self._missed |= value.get("disturbance") == "lose" or value.get("answer") == "unheard"
        enums = {"disturbance": "DISTURBANCE", "callback": "CALLBACK", "answer": "ANSWER", "request": "REQUEST_KIND"}
        fields = {
            name: f"{enums.get(name, 'REFUSAL_FORM')}_{field.upper()}" if isinstance(field, str) else field
            for name, field in value.items()
        }
        methods = {"disturbance": "DisturbCallbacks", "answer": "SpoilAnswers", "form": "SetRefusalForm"}
        method = next((methods[name] for name in methods if name in value), "RefuseLogins")
        account = {} if method == "RefuseLogins" else {"account_id": self.account_id}
        self._front.command(method, **account, **fields)

    def _cut(self, method: str, **values: Any) -> None:
        """Do what disconnects everyone, and let each session log in again."""
        self._front.command(method, **values)
        for letter, session in self._sessions.items():
            session.wait("OnFrontDisconnected")
            session.await_front()
            self._login(letter)

    def _restart(self, how: str) -> None:
        self._missed |= how == "without its flow"
        self._cut("RestartFlow", clear=how == "without its flow")

    def _change_day(self) -> None:
        self._cut("ChangeDay")
        self._load()

    def _load(self) -> None:
        """Let the mirror ask for what the trade service asks for after a login: one query a second."""
        session, answers = self._sessions["a"], {}
        for name in QUERIES:
            self._next_second()
            answers[name] = session.query(name)
        self._next_second()
        session.seen = [event for event in session.seen if not event["event"].startswith("OnRspQry")]
        self._mirror.load(answers)

    def _next_second(self) -> None:
        now = datetime.fromisoformat(f"2026-01-01T{self._time}") + timedelta(seconds=1)
        self._market(symbol=CLOCK, time=f"{now:%H:%M:%S}")

    # How it ends.

    def _check_end(
        self,
        orders: dict[str, str] | None = None,
        trades: list[str] | None = None,
        positions: list[str] | None = None,
        money: dict[str, float] | None = None,
    ) -> None:
        books = self._front.books(self.account_id)
        if orders is not None:
            assert {str(self._numbers[order.order_memo]): _order_text(order) for order in books.orders} == orders
        if trades is not None:
            assert [_trade_text(trade) for trade in books.trades] == trades
        if positions is not None:
            assert [_position_text(side) for side in books.positions if side.today or side.yesterday] == positions
            assert self._queried() == [_held(side) for side in books.positions if side.today or side.yesterday]
        for name, amount in (money or {}).items():
            assert getattr(books.account, name) == pytest.approx(amount), name

    def _check_mirror(self) -> None:
        """Compare what the trade service made of the callbacks; where some were missed, after another login."""
        if self._missed:
            self._cut("DropConnections", front="FRONT_TRADE", account_id=self.account_id)
            self._load()
        found = self._mirror.disagreements(self._front.books(self.account_id))
        assert not found, found

    def _queried(self) -> list[tuple[str, str, int]]:
        """Ask the library for the positions; each side has up to two rows."""
        sides: dict[tuple[str, str], int] = {}
        for row in self._sessions["a"].query("InvestorPosition"):
            key = row["InstrumentID"], row["PosiDirection"]
            sides[key] = sides.get(key, 0) + row.get("Position", 0)
        return [(*key, volume) for key, volume in sorted(sides.items()) if volume]


def _exchange(symbol: str) -> str:
    return EXCHANGES.get(symbol.rstrip("0123456789"), "SHFE")


def _statuses(events: list[Event]) -> str:
    told = [event["args"][0] for event in events if event["event"] == "OnRtnInstrumentStatus"]
    return " ".join(status["InstrumentStatus"] for status in told if status["InstrumentID"] == "au")


def _order_text(order: pb.BookOrder) -> str:
    return f"{_STATES[order.status]} {order.traded}/{order.volume}"


def _trade_text(trade: pb.BookTrade) -> str:
    return f"{'buy' if trade.direction == '0' else 'sell'} {trade.volume} at {trade.price:.2f}"


def _position_text(side: pb.BookPosition) -> str:
    name = "long" if side.side == "2" else "short"
    return f"{side.symbol} {name}: {side.today} today, {side.yesterday} yesterday, {side.frozen} frozen"


def _held(side: pb.BookPosition) -> tuple[str, str, int]:
    return side.symbol, side.side, side.today + side.yesterday
