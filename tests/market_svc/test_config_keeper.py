"""The file of the market configuration, the record of its changes, and what is subscribed for it."""

import contextlib
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from arbig import durable
from arbig.errors import ConfigError, InvalidField, Refused, Unavailable
from arbig.fanout import Feed
from arbig.market.v1 import config_pb2 as pb
from arbig.market.v1.market_pb2 import Instrument
from arbig.stream.v1.stream_pb2 import Cursor, Heartbeat
from arbig.trade.v1 import trade_pb2 as trade
from market_svc import config_keeper, config_text, market_config, subscriptions
from market_svc.config_keeper import ConfigKeeper
from market_svc.market_config import Known
from market_svc.reel import payload
from market_svc.subscriptions import Subscriptions

DAY, NEXT_DAY = "20260302", "20260303"
SYMBOLS = ("au2604", "au2606", "au2608", "au2610")
INSTRUMENTS = {
    one: Instrument(symbol=one, product="au", multiplier=1000, price_tick=0.02, trading=True, expire_date="20270115")
    for one in SYMBOLS
}


class Desk:
    """A keeper over files in a directory, and what it is told of the market."""

    def __init__(self, directory: Path, *symbols: str) -> None:
        self.path, self.record = directory / "market.toml", directory / "market-changes.json"
        self.known = Known(INSTRUMENTS)
        if not self.path.exists():
            config_keeper.make(self.path, symbols)
        self.keeper = self.restarted()

    def restarted(self, last_day: str = "") -> ConfigKeeper:
        """Begin again with what is on the disk."""
        self.keeper = ConfigKeeper(self.path, self.record, lambda: self.known, lambda: Timestamp(seconds=7), last_day)
        return self.keeper

    def day(self, trading_day: str) -> None:
        """Let a tick of a trading day come."""
        self.known = self.known._replace(trading_day=trading_day)
        self.keeper.look()

    def edit(self, before: str, after: str) -> None:
        """Edit the file, and let it be looked at."""
        text = self.path.read_text()
        assert before in text
        self.path.write_text(text.replace(before, after))
        self.keeper.look()

    def call(self, *, at_once: bool = False, **values: Any) -> pb.MarketConfig:
        """Change these values, and nothing else."""
        config, mask = pb.MarketConfig(**values), FieldMask(paths=list(values))
        return self.keeper.update(pb.UpdateMarketConfigRequest(config=config, update_mask=mask, at_once=at_once))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Give one that has a main contract, on a trading day."""
    desk = Desk(tmp_path)
    desk.day(DAY)
    assert desk.keeper.config.main_contract == "au2604"
    return desk


def shown(feed: Feed, after: int = 0) -> list[pb.MarketConfigChange]:
    """Give the changes that a follower has after a place."""
    return [pb.MarketConfigChange.FromString(payload(kept.data)) for kept in feed.between(max(after, feed.tail), 1000)]


def told(desk: Desk) -> list[tuple[int, list[str], str]]:
    """Give the changes in few words."""
    name = pb.MarketConfigOrigin.Name
    return [(one.seq, list(one.changed), name(one.origin)[21:]) for one in shown(desk.keeper.feed)]


def test_every_change_is_in_the_stream_by_its_number(desk: Desk) -> None:
    """Whoever made it, with the fields that it changed."""
    desk.call(symbols=["au2604", "au2606"])
    desk.call(main_contract="au2606")
    desk.day(NEXT_DAY)
    desk.edit('"au2604", ', "")
    waiting = ["next_main_contract", "next_after"]
    assert told(desk) == [
        (1, [], "DEFAULTS"),
        (2, ["main_contract"], "DEFAULTS"),
        (3, ["symbols"], "CALL"),
        (4, waiting, "CALL"),
        (5, ["main_contract", *waiting], "TRADING_DAY"),
        (6, ["symbols"], "FILE"),
    ]
    assert config_text.parse(desk.path.read_text()) == desk.keeper.config


async def test_numbers_go_on_after_a_restart(desk: Desk) -> None:
    """The newest change comes first, a cursor of before still counts, and what was edited meanwhile is a change."""
    desk.call(main_contract="au2606", at_once=True)
    before, cursor = shown(desk.keeper.feed), desk.keeper.feed.cursor
    desk.restarted()
    assert (shown(desk.keeper.feed), desk.keeper.feed.cursor) == (before, cursor)
    desk.path.write_text(desk.path.read_text().replace('"au2606"', '"au2608"'))
    desk.restarted()
    assert told(desk)[-1] == (cursor.seq + 1, ["main_contract"], "FILE")
    with desk.keeper.feed.follower("peer") as follower:
        (first, quiet) = [await anext(batches := follower.batches(None)), await anext(batches)]
        assert [len(first.items), len(quiet.items)] == [1, 0]
        (missed,) = (await anext(follower.batches(cursor))).items
        assert pb.MarketConfigChange.FromString(payload(missed)).config.main_contract == "au2608"


async def test_changes_that_are_gone_are_a_gap(desk: Desk) -> None:
    """And then everything that is kept, also after a restart."""
    for number in range(config_keeper.KEPT + 5):
        desk.call(main_contract=SYMBOLS[number % 3], at_once=True)
    desk.restarted()
    with desk.keeper.feed.follower("peer") as follower:
        batches = follower.batches(Cursor(epoch=desk.keeper.feed.epoch, seq=2))
        gap, rest = await anext(batches), await anext(batches)
    assert gap.gap
    assert len(rest.items) == config_keeper.KEPT


def test_a_main_contract_that_waits_survives_a_restart(desk: Desk) -> None:
    """A day that began while the service was down is noticed by the ticks on the tape."""
    desk.call(main_contract="au2606")
    desk.known = Known(INSTRUMENTS)
    for day, main in ((DAY, "au2604"), (NEXT_DAY, "au2606")):
        keeper = desk.restarted(last_day=day)
        keeper.look()
        assert keeper.config.main_contract == main
    assert desk.restarted().config.main_contract == "au2606"


def test_an_exchange_with_another_day_does_not_end_the_wait(desk: Desk) -> None:
    """At night some name the day before: ticks of both come in turns."""
    desk.day(NEXT_DAY)
    desk.day(DAY)
    assert desk.call(main_contract="au2606").next_after == NEXT_DAY
    desk.day(NEXT_DAY)
    assert desk.keeper.config.main_contract == "au2604"


def test_a_mistake_in_the_file_changes_nothing_until_it_is_mended(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """It is told, once in the log, and a call does not write over it."""
    before = shown(desk.keeper.feed)
    with caplog.at_level(logging.ERROR):
        desk.edit('main_contract = "au2604"', "main_contract = au2606")
        desk.keeper.look()
    assert [one.message for one in caplog.records] == ["the market configuration stays as it was"]
    assert desk.keeper.error.startswith(f"{desk.path}: ")
    assert "line 7" in desk.keeper.error
    with pytest.raises(Refused, match=r"market\.toml.* line 7 .*mend that first"):
        desk.call(main_contract="au2608")
    assert shown(desk.keeper.feed) == before
    desk.edit("au2606", '"au2606"')
    assert desk.keeper.error == ""
    assert desk.keeper.config.main_contract == "au2606"


def test_a_symbol_that_is_no_instrument_is_told_until_it_is_one(desk: Desk) -> None:
    """The exchange would take it without a word."""
    desk.edit("symbols = []", 'symbols = ["au2612"]')
    assert "symbols: au2612 is none of the 4 instruments" in desk.keeper.error
    desk.known = Known({**INSTRUMENTS, "au2612": Instrument(symbol="au2612")}, DAY)
    desk.keeper.look()
    assert (desk.keeper.error, list(desk.keeper.config.symbols)) == ("", ["au2612"])


def test_a_day_that_begins_over_a_mistake_begins_all_the_same(desk: Desk) -> None:
    """And the file that is mended says what is in effect."""
    desk.call(main_contract="au2606")
    desk.edit("symbols = []", "symbols = [")
    desk.day(NEXT_DAY)
    assert desk.keeper.config.main_contract == "au2606"
    desk.edit("symbols = [\n", 'symbols = ["au2608"]\n')
    assert desk.keeper.config.main_contract == "au2606"
    assert config_text.parse(desk.path.read_text()) == desk.keeper.config
    assert told(desk)[-1][1:] == (["symbols"], "FILE")


def test_a_bad_file_or_record_ends_the_start(desk: Desk) -> None:
    """Each is named, and so is a symbol in the settings that cannot be one."""
    text = desk.path.read_text()
    for wrong in ("symbols = [1]", "main_contract = '1!'", "next_after = '20260302'"):
        desk.path.write_text(wrong)
        with pytest.raises(ConfigError, match=rf"market\.toml.*{wrong.split()[0]}"):
            desk.restarted()
    desk.path.unlink()
    with pytest.raises(ConfigError, match=r"market\.toml cannot be read: No such file"):
        desk.restarted()
    desk.path.write_text(text)
    desk.record.write_text("{")
    with pytest.raises(ConfigError, match=r"market-changes\.json is not what was written"):
        desk.restarted()
    with pytest.raises(ConfigError, match=r"market\.symbols: '1!' cannot be an instrument"):
        config_keeper.make(desk.path, ["1!"])


@pytest.mark.parametrize("lost", ["market.toml", "market-changes.json"])
def test_a_change_that_cannot_be_kept_is_unavailable(desk: Desk, lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not in effect; where the file has it already, it is as soon as the record can be written."""

    def full(path: Path, text: str) -> None:
        if path.name == lost:
            raise OSError(28, "No space left on device")
        durable.write_whole(path, text)

    with monkeypatch.context() as patched:
        patched.setattr("market_svc.config_keeper.write_whole", full)
        with pytest.raises(Unavailable, match=rf"{lost}: No space left"):
            desk.call(main_contract="au2606", at_once=True)
        assert desk.keeper.config.main_contract == "au2604"
    desk.keeper.look()
    assert desk.keeper.error == ""
    assert desk.keeper.config == config_text.parse(desk.path.read_text())


def test_what_does_not_fit_is_logged_once(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Not once a second."""
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            desk.edit("multiplier = 1000", "multiplier = 100")
            desk.edit("multiplier = 100", "multiplier = 1000")
    assert len(caplog.records) == 1


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
        self.gateway, self.subscriptions = gateway, Subscriptions(gateway, self.desk.keeper, instruments)

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
        """Open or close a position."""
        (self.held.add if lots else self.held.discard)(symbol)
        self._tell(_position(symbol, lots))

    @rule()
    def load(self) -> None:
        """Let the trade service tell of all that it has."""
        self._tell(trade.Event(account=trade.Account(account_id="a")), *[_position(one, 1) for one in self.held])
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
