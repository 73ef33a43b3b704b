"""The simulation finds no disagreement, and every bug that was planted."""

import logging
from collections.abc import Iterator

import pytest

from tests.simulate.planted import PLANTED, found_by
from tests.simulate.world import World


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def disagreements(seeds: range) -> dict[int, list[str]]:
    return {seed: problems for seed in seeds if (problems := World(seed).run())}


def test_all_books_agree_after_every_scenario() -> None:
    """A failing seed is run again by `python -m tests.simulate --seed N`."""
    assert disagreements(range(400)) == {}


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_all_books_agree_after_many_scenarios() -> None:
    assert disagreements(range(400, 20_000)) == {}


def test_the_same_seed_does_the_same() -> None:
    """Or a failure could not be looked into."""
    first, second = World(7), World(7)
    first.run()
    second.run()
    assert first.trace == second.trace
    assert first.disk.orders == second.disk.orders


def test_scenarios_do_what_they_are_for() -> None:
    """Orders are sent, filled, cancelled, refused; links break, days end."""
    worlds = [World(seed) for seed in range(60)]
    for world in worlds:
        world.run()
    happened = {action for world in worlds for action in world.trace}
    assert {"submit", "again", "cancel", "close", "stop", "cut", "kill", "end_day", "disturb"} <= happened
    assert sum(len(world.venue.inserted) for world in worlds) > 60
    assert sum(len(world.disk.trades) for world in worlds) > 60


@pytest.mark.parametrize("name", PLANTED)
def test_each_planted_bug_is_found(name: str) -> None:
    seed, _ = found_by(name, 1_500)
    assert seed is not None
