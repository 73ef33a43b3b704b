"""Every recorded file through the vendor's library to ticks, flags and bars, held against its text.

    python -m tests.recorded FILE.csv.gz...

Each file is played by the local front at full speed into a mesh of its own.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.recorded.play import disagreements, heard


def main(paths: list[Path]) -> int:
    """Play the files; give the number of those that disagree."""
    wrong = 0
    for path in paths:
        with tempfile.TemporaryDirectory() as directory:
            began = time.monotonic()
            found = asyncio.run(heard(path, Path(directory) / "mesh"))
            complaints = list(disagreements(path, found))
        told = ", ".join(f"{count} {name}" for name, count in sorted(found.flags.items()))
        bars = ", ".join(f"{len(bars)} of {name}" for name, bars in found.listed.items())
        print(f"{path.name}: {len(found.ticks)} ticks ({told}); bars: {bars}; {time.monotonic() - began:.0f} s")
        for complaint in complaints:
            print(f"  WRONG {complaint}")
        wrong += bool(complaints)
    print(f"{len(paths) - wrong} of {len(paths)} files agree, row by row")
    return wrong


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    sys.exit(main([Path(name).resolve() for name in sys.argv[1:]]))
