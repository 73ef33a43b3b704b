"""Every scenario file, played by the vendor's own library against a real front."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ctp_front.recording import COLUMNS
from tests.ctp_front.processes import Front, Library, front, library
from tests.ctp_front.scenario import BALANCE, BEGIN, FILES, Scenario
from tests.ctp_front.test_recording import row, write

# What is traded on the stage, with the settlement before and the day's price limits.
STAGE = {
    "au2610": (800.0, 736.0, 864.0),  # its delivery month is over
    "au2612": (800.0, 736.0, 864.0),
    "sc2701": (500.0, 450.0, 550.0),
    "m2701": (3000.0, 2700.0, 3300.0),
    "AP701": (7000.0, 6500.0, 7500.0),
}
LIMITS = {"orders_per_second": 5, "cancels_per_second": 3, "queries_per_second": 1, "max_sessions": 3}


def _first_row(symbol: str) -> str:
    cells = row(BEGIN, f"{STAGE[symbol][0]:.2f}", symbol=symbol).split(",")
    for name, price in zip(("PreSettlementPrice", "LowerLimitPrice", "UpperLimitPrice"), STAGE[symbol], strict=True):
        cells[COLUMNS.index(name)] = f'"{price:.2f}"'
    return ",".join(cells)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Front, Library]]:
    """Run one front and one process of the library for all scenarios: a recording that has ended."""
    directory = tmp_path_factory.mktemp("stage")
    recording = write(directory / "stage.csv", *map(_first_row, STAGE))
    settings = {"replay": [str(recording)], "speed": "max", "initial_balance": BALANCE, "position_limit": 20}
    with front(directory, **settings, **LIMITS) as exchange, library("trade", exchange.trade, directory) as clients:
        yield exchange, clients


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_library_hears_what_is_written(stage: tuple[Front, Library], path: Path) -> None:
    """Callbacks in the written order after each step, then the books of the exchange and the trade service's."""
    prices = {symbol: price for symbol, (price, _, _) in STAGE.items()}
    scenario = Scenario(path, *stage, f"s{FILES.index(path):02}", prices)
    try:
        scenario.play()
    finally:
        scenario.leave()
