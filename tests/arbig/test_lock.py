"""A data directory has one user at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from arbig import lock
from arbig.errors import ConfigError

HOLDER = """
import pathlib, sys
from arbig import lock
with lock.held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_refused_until_the_first_is_gone_however_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the directory and the process that holds it; nobody has to remove a file."""
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.0)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=f"{tmp_path} is in use by process {holder.pid}"), lock.held(tmp_path):
            pass
        holder.kill()
    with lock.held(tmp_path):
        pass


def test_who_comes_early_waits(tmp_path: Path) -> None:
    """A service that was told to end may still be bringing its files to the disk."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdin
        assert holder.stdout.readline() == "held\n"
        next_one = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        holder.stdin.close()
        assert next_one.communicate()[0] == "held\n"
        assert next_one.returncode == 0
