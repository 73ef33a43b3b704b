"""The file of the market configuration, and the record of its changes."""

import logging
from pathlib import Path

import pytest

from arbig import durable
from arbig.errors import ConfigError, Refused, Unavailable
from arbig.market.v1 import config_pb2 as pb
from arbig.market.v1.market_pb2 import Instrument
from arbig.stream.v1.stream_pb2 import Cursor
from market_svc import config_keeper, config_text
from market_svc.market_config import Known
from market_svc.reel import payload
from tests.market_svc.config_desk import DAY, INSTRUMENTS, NEXT_DAY, SYMBOLS, Desk, shown


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Give one that has a main contract, on a trading day."""
    desk = Desk(tmp_path)
    desk.day(DAY)
    assert desk.keeper.config.main_contract == "au2604"
    return desk


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


def test_a_change_that_the_files_layout_cannot_take_is_refused_and_the_file_stays(desk: Desk) -> None:
    """Rather than written as what nobody can read again."""
    au = pb.Product(name="Gold", multiplier=1000, price_tick=0.02)
    ag = pb.Product(name="Silver", multiplier=15, price_tick=1)
    products = 'products.au.multiplier = 1000\nproducts.au.price_tick = 0.02\nproducts.au.name = "Gold"\n'
    text = f'main_contract = "au2604"\n{products}'
    desk.path.write_text(text)
    desk.keeper.look()
    with pytest.raises(Refused, match=r"\[products\.au\]"):
        desk.call(products={"au": au, "ag": ag})
    assert desk.path.read_text() == text
    desk.call(main_contract="au2606", at_once=True)
    assert desk.restarted().config.main_contract == "au2606"


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
