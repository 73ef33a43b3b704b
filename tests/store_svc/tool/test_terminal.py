"""What `arbig db` shows in a terminal, wide or narrow."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest
from rich.cells import cell_len

from arbig.config import Settings
from tests.servers import free_base
from tests.store_svc.tool.process import surroundings

# What colours and moves the cursor.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the environment of a database with the sample in it."""
    settings = Settings(data=tmp_path_factory.mktemp("data") / "data", port_base=free_base())
    given = {**os.environ, **surroundings(settings), "TERM": "xterm"}
    given.pop("COLUMNS", None)  # it would go before the terminal's own width
    subprocess.run([*COMMAND, "init", "--sample"], env=given, check=True, stdout=subprocess.DEVNULL)
    return given


COMMAND = [sys.executable, "-m", "arbig.cli", "db"]


def screen(environment: dict[str, str], width: int, *arguments: str | Path) -> list[str]:
    """Run the tool in a terminal of this width; give the lines that it shows."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    said = b""
    while chunk := _read(ours):
        said += chunk
    os.close(ours)
    assert process.wait() == 0, said
    return [ESCAPES.sub("", line).rstrip() for line in said.decode().replace("\r", "\n").split("\n") if line.strip()]


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 65536)
    except OSError:  # the other side has gone
        return b""


@pytest.mark.parametrize("width", [40, 80, 132, 300])
@pytest.mark.parametrize("command", ["orders", "logs"])
def test_a_table_fits_the_terminal(environment: dict[str, str], width: int, command: str) -> None:
    lines = screen(environment, width, command)
    assert max(map(cell_len, lines)) <= width
    assert lines[0].split()[0] in ("client_order_id", "time")
    assert (" ".join(lines).count("too narrow for") == 1) == ((width < 300 and command == "orders") or width < 132)


def test_numbers_stand_to_the_right_and_times_are_shanghais(environment: dict[str, str]) -> None:
    head, *rows = screen(environment, 200, "trades")
    ends = {line.index("452.40") + 6 if "452.40" in line else line.index("450.02") + 6 for line in rows}
    assert ends == {head.index("price") + len("price")}
    assert "2026-03-07 01:30:00.000" in rows[0]


def test_long_work_shows_how_far_it_is(environment: dict[str, str], tmp_path: Path) -> None:
    said = " ".join(screen(environment, 100, "backup", "--prove", "--file", tmp_path / "b.zip"))
    for step in ("back up", "check the file", "restore", "read back"):
        assert re.search(rf"{step} .*21/21", said)
