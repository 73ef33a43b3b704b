"""The market configuration under calls, edits, mistakes, days, kills and positions in any order."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from arbig import durable
from arbig.errors import ConfigError, InvalidField, Refused
from arbig.follow import Link
from arbig.market.v1 import config_pb2 as pb
from arbig.stream.v1.stream_pb2 import Heartbeat
from arbig.trade.v1 import trade_pb2 as trade
from market_svc import config_keeper, config_text, market_config, subscriptions
from market_svc.market_config import Known
from market_svc.subscriptions import Subscriptions
from tests.market_svc.config_desk import DAY, INSTRUMENTS, SYMBOLS, Desk, shown


class FakeGateway:
    """Subscriptions, and no link."""

    def __init__(self, machine: "MarketMachine") -> None:
        self.subscribed: set[str] = set()
        self._machine = machine

    def subscribe(self, symbols: set[str]) -> None:
        """Take them."""
        self.subscribed |= symbols

    def unsubscribe(self, symbols: set[str]) -> None:
        """Let them go: what is held never goes."""
        assert not symbols & self._machine.held
        self.subscribed -= symbols


class MarketMachine(RuleBasedStateMachine):
    """Calls, edits, mistakes, days, kills and positions in any order, and a follower of it all."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self.held: set[str] = set()
        self.cursor = 0
        self.applied = pb.MarketConfig()
        self.number = int(DAY)
        self.mistake = False
        self.desk = Desk(Path(self._directory.name), "au2610")
        # What must be: the main contract, and what comes after which day.
        self.main, self.next, self.after = "", "", 0
        self._begin()
        self.desk.day(DAY)
        self.main = "au2610"

    def _begin(self) -> None:
        gateway: Any = FakeGateway(self)
        instruments: Any = SimpleNamespace(by_symbol=INSTRUMENTS)
        self.link = Link("positions")
        self.gateway, self.subscriptions = gateway, Subscriptions(gateway, self.desk.keeper, instruments, self.link)
        self.away = False

    def _tell(self, *events: trade.Event) -> None:
        held = self.subscriptions._held
        held.take(trade.SubscribeEventsResponse(events=events))
        if not events:
            held.take(trade.SubscribeEventsResponse(heartbeat=Heartbeat()))

    def _roll(self) -> None:
        if self.next and self.number > self.after:
            self.main, self.next = self.next, ""

    @rule(symbol=st.sampled_from(SYMBOLS), at_once=st.booleans())
    def choose(self, symbol: str, at_once: bool) -> None:
        """Call for another main contract."""
        try:
            self.desk.call(main_contract=symbol, at_once=at_once)
        except Refused:
            assert self.mistake
            return
        waits = not at_once and symbol != self.main
        self.main, self.next = (self.main, symbol) if waits else (symbol, "")
        self.after = self.number

    @rule(symbols=st.lists(st.sampled_from((*SYMBOLS, "au2699")), max_size=3))
    def list_symbols(self, symbols: list[str]) -> None:
        """Call for other symbols."""
        try:
            self.desk.call(symbols=symbols)
        except (Refused, InvalidField):
            assert self.mistake or "au2699" in symbols

    @rule(symbol=st.sampled_from(SYMBOLS), seen=st.booleans())
    def edit(self, symbol: str, seen: bool) -> None:
        """Edit the main contract in the file; it may be some time until that is seen."""
        config = config_text.parse(self.desk.path.read_text().replace("= [!", "= ["))
        config.main_contract = symbol
        self.desk.path.write_text(config_text.render(config))
        self.mistake = False
        self.main = symbol
        # The file as it was when the mistake was made may still say what came next then.
        self.next, self.after = config.next_main_contract, int(config.next_after or 0)
        self._roll()
        if seen:
            self.desk.keeper.look()

    @rule()
    def mistype(self) -> None:
        """Make a mistake in the file."""
        self.desk.keeper.look()
        text = self.desk.path.read_text()
        self.desk.path.write_text(text.replace("symbols = [", "symbols = [!", 1) if "[!" not in text else text)
        self.mistake = True

    @rule(days=st.integers(1, 3))
    def begin_day(self, days: int) -> None:
        """Let a later trading day begin."""
        self.desk.keeper.look()
        self.number += days
        self._roll()
        self.desk.day(str(self.number))

    @rule(told=st.booleans())
    def restart(self, told: bool) -> None:
        """Kill the service; a mistake must be mended before it starts."""
        text = self.desk.path.read_text()
        if self.mistake:
            with pytest.raises(ConfigError):
                self.desk.restarted()
            self.desk.path.write_text(text.replace("= [!", "= ["))
            self.mistake = False
        self.desk.known = Known(INSTRUMENTS)
        self.desk.restarted(last_day=str(self.number)).look()
        self.desk.known = Known(INSTRUMENTS, str(self.number))
        self._begin()
        for symbol in self.held if told else ():
            self._tell(_position(symbol, 1))

    @rule(symbol=st.sampled_from(SYMBOLS), after=st.integers(0, 1))
    def kill_while_choosing(self, symbol: str, after: int) -> None:
        """Kill it after so many of the two files are written: then the call did all or nothing."""
        self.desk.keeper.look()
        if self.mistake:
            return
        written = 0

        def write(path: Path, text: str) -> None:
            nonlocal written
            if written == after:
                raise KeyboardInterrupt
            written += 1
            durable.write_whole(path, text)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("market_svc.config_keeper.write_whole", write)
            with contextlib.suppress(KeyboardInterrupt):
                self.desk.call(main_contract=symbol, at_once=True)
        if after:  # the file has it, or had it before
            self.main, self.next = symbol, ""
        self.restart(told=False)

    @rule(symbol=st.sampled_from((*SYMBOLS, "ag2606")), lots=st.integers(0, 1))
    def trade(self, symbol: str, lots: int) -> None:
        """Open or close a position, of which nobody tells while the trade service is away."""
        (self.held.add if lots else self.held.discard)(symbol)
        if not self.away:
            self._tell(_position(symbol, lots))

    @rule()
    def go_away(self) -> None:
        """Let the trade service be away: what it told may not be so any more."""
        self.link.is_down("gone")
        self.away = True

    @rule(whole=st.booleans())
    def load(self, whole: bool) -> None:
        """Let the trade service tell of all that it has, or of one thing after the other."""
        self.away = False
        self.link.is_up()
        account = trade.Event(account=trade.Account(account_id="a"))
        self._tell(account, *[_position(one, int(one in self.held)) for one in (*SYMBOLS, "ag2606") if whole])
        if whole:
            self._tell()

    @invariant()
    def what_must_be_subscribed_is(self) -> None:
        """Look for the main contract, what comes next, what is listed, and what is known to be held."""
        self.subscriptions.refresh()
        config = self.desk.keeper.config
        assert {config.main_contract, *config.symbols} - {""} <= self.gateway.subscribed
        if config.next_main_contract:
            assert config.next_main_contract in self.gateway.subscribed
        if self.subscriptions._held.known:
            assert self.held <= self.gateway.subscribed

    @invariant()
    def the_changes_in_order_give_the_configuration(self) -> None:
        """None is lost, and none comes twice, over any number of restarts."""
        self.desk.keeper.look()
        config = self.desk.keeper.config
        assert self.cursor <= self.desk.keeper.feed.shown
        for one in shown(self.desk.keeper.feed, self.cursor):
            assert one.seq == self.cursor + 1
            fields = [field.name for field in pb.MarketConfig.DESCRIPTOR.fields]
            differ = [name for name in fields if getattr(one.config, name) != getattr(self.applied, name)]
            assert list(one.changed) == (differ if self.cursor else [])
            self.cursor, self.applied = one.seq, one.config
        assert self.applied == config
        assert bool(self.desk.keeper.error) == self.mistake
        if not self.mistake:
            assert config_text.parse(self.desk.path.read_text()) == config

    @invariant()
    def the_main_contract_is_whom_it_must_be(self) -> None:
        """Now and next."""
        config = self.desk.keeper.config
        assert (config.main_contract, config.next_main_contract) == (self.main, self.next)

    def teardown(self) -> None:
        """Leave nothing behind."""
        self._directory.cleanup()


def _position(symbol: str, lots: int) -> trade.Event:
    return trade.Event(
        position=trade.Position(account_id="a", symbol=symbol, side=trade.POSITION_SIDE_LONG, today=lots)
    )


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what only a power cut would miss."""
    monkeypatch.setattr("os.fsync", lambda _: None)


EXAMPLES = settings(max_examples=60, stateful_step_count=30, deadline=None, database=None)
SEARCH = settings(EXAMPLES, max_examples=1_000, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)


@pytest.mark.usefixtures("quick_disk")
def test_no_change_and_no_subscription_is_lost_whatever_happens() -> None:
    """In any order of calls, edits, mistakes, days, kills and trades."""
    run_state_machine_as_test(MarketMachine, settings=EXAMPLES)


def _rolls_on_the_same_day(config: pb.MarketConfig, trading_day: str) -> pb.MarketConfig:
    return market_config.rolled(config, f"{trading_day}+")


def _forgets_the_next_one(config: pb.MarketConfig, instruments: Any, held: Any) -> set[str]:
    return {config.main_contract, *(config.symbols or instruments), *held}


def _forgets_what_is_held(config: pb.MarketConfig, instruments: Any, _: Any) -> set[str]:
    return market_config.wanted(config, instruments, ())


def _begins_anew(_: Path) -> pb.WatchMarketConfigResponse:
    return pb.WatchMarketConfigResponse()


def _sees_no_edit(_: Path) -> str:
    return config_text.render(market_config.defaults(["au2610"]))


PLANTED: list[tuple[Any, str, Callable[..., Any]]] = [
    (config_keeper, "rolled", _rolls_on_the_same_day),
    (config_keeper, "_recall", _begins_anew),
    (config_keeper, "_text", _sees_no_edit),
    (subscriptions, "wanted", _forgets_the_next_one),
    (subscriptions, "wanted", _forgets_what_is_held),
]


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize(("module", "name", "bug"), PLANTED, ids=[bug.__name__.strip("_") for _, _, bug in PLANTED])
def test_a_planted_bug_is_found(module: Any, name: str, bug: Callable[..., Any], monkeypatch: Any) -> None:
    """The machine looks where it hurts."""
    monkeypatch.setattr(module, name, bug)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(MarketMachine, settings=SEARCH)
