"""What storage takes and how fast it answers, each figure beside its limit or its peer.

    python -m bench.store [--json]

What is compared with what, and what we promise:

- `recorder_vs_load_data` (0.25 at least) and `recorder_vs_raw` (0.6 at least): bench/store_events.py
- `latest50_p99_ratio` (2 at most): bench/store_latest.py
- `ticks_per_s` (30,000 at least, or `ticks_vs_bare` 0.7) and `parquet_bytes_per_tick` (22 at
  most): bench/store_ticks.py
"""

import tempfile
from pathlib import Path

import uvloop

from bench.mariadb import OPTIONS
from bench.report import report
from bench.store_events import event_figures
from bench.store_latest import latest_figures
from bench.store_ticks import parquet_figures, ticks_figures
from tests.servers import start_mariadb

REPETITIONS = 5


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as directory, start_mariadb(Path(directory), *OPTIONS) as mariadb:
        figures = uvloop.run(event_figures(mariadb.url, REPETITIONS))
        figures |= uvloop.run(latest_figures(mariadb.url, REPETITIONS))
    figures |= uvloop.run(ticks_figures(REPETITIONS))
    report("store", REPETITIONS, figures | parquet_figures())


if __name__ == "__main__":
    main()
