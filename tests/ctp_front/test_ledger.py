"""What the exchange does not forget."""

import sqlite3
from pathlib import Path

import pytest

from arbig.errors import ConfigError
from ctp_front.exchange import Exchange
from ctp_front.instrument import from_symbol
from ctp_front.ledger import Ledger, LedgerError, Prices
from ctp_front.orders import CLOSE_TODAY, SELL
from tests.ctp_front.makers import DAY, NEXT_DAY, NOW, SESSION, depth, exchange, request


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a ledger's place."""
    return tmp_path / "exchange.sqlite"


def _a_day(ledger: Ledger) -> Exchange:
    """Trade: buy 3, sell 1 of them, and let two orders rest."""
    market = exchange()
    ledger.begin_day(DAY, market.accounts.values())
    market.apply(depth(bids=[(799.98, 9)], asks=[(800.0, 9)]))
    orders = (
        request(volume=3),
        request(SELL, 799.98, 1, offset=CLOSE_TODAY, order_ref="2"),
        request(SELL, 810.0, 2, offset=CLOSE_TODAY, order_ref="3"),
        request(price=790.0, volume=2, order_ref="4"),
    )
    for order in orders:
        ledger.save(market.insert(SESSION, order, NOW))
    return market


def _reopened(path: Path) -> Exchange:
    ledger = Ledger(path)
    market = Exchange(ledger.trading_day() or "", 0.0)
    market.list_instrument(from_symbol("au2612", DAY))
    market.accounts.update({account.account_id: account for account in ledger.accounts()})
    market.restore(ledger.orders(), ledger.trades())
    ledger.close()
    return market


def test_a_restart_has_the_same_books(path: Path) -> None:
    """Orders, trades, positions, money and what is frozen."""
    ledger = Ledger(path)
    market = _a_day(ledger)
    ledger.close()
    again = _reopened(path)
    assert again.trading_day == DAY
    assert list(again.orders) == list(market.orders)
    assert again.trades == market.trades
    assert again.accounts == market.accounts


def test_what_rested_still_rests_and_can_fill(path: Path) -> None:
    """An exchange does not forget an order when a program dies."""
    ledger = Ledger(path)
    _a_day(ledger)
    ledger.close()
    again = _reopened(path)
    again.apply(depth(asks=[(789.0, 9)]))
    assert [order.status for order in again.orders] == ["0", "0", "3", "0"]


def test_lots_are_kept_over_the_days(path: Path) -> None:
    """Yesterday's lots are there after a settlement and a restart."""
    ledger = Ledger(path)
    market = _a_day(ledger)
    market.expire(NOW)
    market.settle(NEXT_DAY, {"au2612": 801.0})
    ledger.begin_day(NEXT_DAY, market.accounts.values())
    ledger.close()
    again = _reopened(path)
    assert (again.trading_day, again.trades, list(again.orders)) == (NEXT_DAY, [], [])
    assert again.accounts == market.accounts


def test_what_is_not_committed_is_not_there(path: Path) -> None:
    """Nobody has heard of it either."""
    ledger = Ledger(path)
    ledger.begin_day(DAY, [])
    ledger.commit()
    ledger.append_flow("sim001", 1, b"told")
    ledger.commit()
    ledger.append_flow("sim001", 2, b"not told")
    killed = Ledger(path)  # sees what another process would after a kill
    assert killed.flow("sim001", 0) == [b"told"]
    assert killed.flow_lengths() == {"sim001": 1}


def test_how_long_a_cleared_flow_was_is_not_forgotten(path: Path) -> None:
    """Until the day ends: a library that resumes still counts from it."""
    ledger = Ledger(path)
    ledger.append_flow("sim001", 1, b"told")
    ledger.clear_flow({"sim001": 1})
    ledger.close()
    again = Ledger(path)
    assert (again.flow("sim001", 0), again.cleared_lengths()) == ([], {"sim001": 1})
    again.begin_day(NEXT_DAY, [])
    assert again.cleared_lengths() == {}


def test_a_session_id_is_never_used_again(path: Path) -> None:
    """Not even after a restart."""
    ledger = Ledger(path)
    used = [ledger.next_session(), ledger.next_session()]
    ledger.close()
    assert Ledger(path).next_session() not in used


def test_prices_are_remembered(path: Path) -> None:
    """The position and the last snapshots, absent prices included."""
    ledger = Ledger(path)
    prices = Prices("replay:a.csv", 512, 600, [depth(asks=[(800.0, 1)])])
    ledger.save_prices(prices)
    ledger.close()
    assert Ledger(path).prices() == prices


def test_a_file_that_is_no_ledger_is_named(path: Path) -> None:
    """It is not overwritten."""
    path.write_bytes(b"something else" * 100)
    with pytest.raises(ConfigError, match=r"exchange\.sqlite"):
        Ledger(path)


def test_a_failed_write_stops_the_exchange(path: Path) -> None:
    """What is in memory is no longer what is on disk: nothing more is committed."""
    ledger = Ledger(path)
    ledger.append_flow("sim001", 1, b"x")
    with pytest.raises(sqlite3.Error):
        ledger.append_flow("sim001", 1, b"x")
    with pytest.raises(LedgerError):
        ledger.commit()
