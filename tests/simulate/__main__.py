"""Run scenarios, or look for the planted bugs.

python -m tests.simulate --scenarios 20000
python -m tests.simulate --seed 123            (one scenario again, with what happened)
python -m tests.simulate --planted
"""

import argparse
import logging
import multiprocessing
import sys
import time

from tests.simulate.planted import PLANTED, found_by
from tests.simulate.world import World


def trial(seed: int) -> tuple[int, list[str]]:
    """Run one scenario; give what does not agree."""
    return seed, World(seed).run()


def many(count: int, first: int, processes: int) -> int:
    """Run scenarios on every core; give how many disagree."""
    logging.disable(logging.CRITICAL)
    began, wrong = time.perf_counter(), 0
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for seed, problems in pool.imap_unordered(trial, range(first, first + count), chunksize=50):
            if problems:
                wrong += 1
                print(f"seed {seed}: {'; '.join(problems)}\n  python -m tests.simulate --seed {seed}")
    took = time.perf_counter() - began
    print(f"{count} scenarios, {wrong} disagreements, {count / took:.0f} scenarios a second")
    return wrong


def again(seed: int) -> int:
    """Run one scenario again, and tell what happened."""
    world = World(seed)
    problems = world.run()
    print(" ".join(world.trace))
    print("\n".join(problems) or "all books agree")
    return len(problems)


def planted(scenarios: int) -> int:
    """Look for each planted bug; give how many were not found."""
    logging.disable(logging.CRITICAL)
    missed = 0
    for name in PLANTED:
        seed, problems = found_by(name, scenarios)
        if seed is None:
            missed += 1
            print(f"NOT FOUND  {name}")
        else:
            print(f"found by seed {seed:5}  {name}: {problems[0]}")
    print(f"{len(PLANTED) - missed} of {len(PLANTED)} planted bugs found")
    return missed


def main() -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--scenarios", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--seed", type=int, help="one scenario again")
    parser.add_argument("--planted", action="store_true")
    options = parser.parse_args()
    if options.seed is not None:
        return again(options.seed)
    return planted(options.scenarios) if options.planted else many(options.scenarios, options.first, options.processes)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
