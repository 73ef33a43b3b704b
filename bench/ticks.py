"""The way of a tick, from the vendor's callback to its followers, each figure beside its limit or its peer.

    python -m bench.ticks [--json]

What is compared with what, and what we promise:

- `burst_p99_ms_1` (5 at most), and `burst_p99_ms_10` (15 at most) or `burst_p99_ratio_raw_1` (3 at
  most): bench/ticks_burst.py
- `saturation_ratio_raw` (0.7 at least), also beside C++: bench/ticks_saturation.py
- `stalled_kib` (512 at most) and `stalled_p99_ratio` (2 at most): bench/ticks_memory.py
- `ingest_ratio` (1.6 at most), and bars: bench/ticks_ingest.py

Server and followers are processes of their own. Each part alone is `python -m bench.ticks_burst` and
so on. The C++ peer is there after `make bench`.
"""

import uvloop

from bench.report import report
from bench.ticks_burst import burst_figures
from bench.ticks_ingest import ingest_figures
from bench.ticks_memory import memory_figures
from bench.ticks_saturation import saturation_figures

REPETITIONS = 5


def main() -> None:
    """Measure and report."""
    figures = ingest_figures(REPETITIONS)
    figures |= uvloop.run(burst_figures(REPETITIONS))
    figures |= saturation_figures(REPETITIONS)
    figures |= memory_figures(REPETITIONS)
    report("ticks", REPETITIONS, figures)


if __name__ == "__main__":
    main()
