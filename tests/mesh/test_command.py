"""What the `arbig` command promises: one ready line, one clear error, nothing left behind."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.mesh.harness import Mesh, running
from tests.servers import free_base

ARBIG = [sys.executable, "-m", "arbig.cli"]


def arbig(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*ARBIG, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_ctrl_c_leaves_no_process_and_no_torn_file(tmp_path: Path) -> None:
    """Exit status 0, every child gone, and the same data starts again."""
    with running(tmp_path, "--redis", "none", "--no-edge") as mesh:
        assert mesh.leftovers()
        assert mesh.stop() == 0
        assert mesh.leftovers() == []
        mesh.start()


def test_the_ready_line_says_where_everything_is(mesh: Mesh) -> None:
    """A program can read it; the keys are the promise."""
    assert mesh.ready["ready"] is True
    assert mesh.ready["page"] == f"http://{mesh.address('bridge')}/"
    for name in ("market", "trade", "store"):
        assert mesh.ready[name] == mesh.address(name)
    assert set(mesh.ready["front"]) == {"market", "trade", "grpc"}


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """With the service that wanted it, and what to do."""
    base = free_base()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + 20))
        taken.listen()
        done = arbig("up", "--data", str(tmp_path), "--port-base", str(base))
    assert done.returncode == 78
    assert f"port {base + 20} (trade)" in done.stderr
    assert "--port-base" in done.stderr


def test_data_in_use_is_not_touched(mesh: Mesh) -> None:
    """Two would give the same numbers to different events: neither a second mesh nor a second service begins."""
    environment = {"ARBIG_DATA": str(mesh.data), "ARBIG_PORT_BASE": str(free_base())}
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda name: arbig(name, **environment), ("up", "market", "trade")):
            assert done.returncode == 78
            assert "is in use by process" in done.stderr
    assert len(list(mesh.data.glob("market/tape/*/open"))) == 1


@pytest.mark.parametrize("service", ["market", "trade", "store", "bridge", "front"])
def test_one_service_alone_names_the_port_that_is_taken(service: str, tmp_path: Path) -> None:
    """It fails at once instead of sharing the port."""
    base = free_base()
    ports = {"market": 10, "trade": 20, "store": 30, "bridge": 40, "front": 50}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + ports[service]))
        taken.listen()
        done = arbig(service, ARBIG_DATA=str(tmp_path), ARBIG_PORT_BASE=str(base), ARBIG_STORE__REDIS="none")
    assert done.returncode == 78
    assert f"127.0.0.1:{base + ports[service]}" in done.stderr


def test_an_unwritable_data_directory_is_named() -> None:
    """Also for root, whom no permission bits stop."""
    done = arbig("up", "--data", "/proc/arbig", "--port-base", str(free_base()))
    assert done.returncode == 78
    assert "data directory /proc/arbig" in done.stderr


FRONT = "tcp://127.0.0.1:1"
LIVE = {"ARBIG_MODE": "live", "ARBIG_CTP__MARKET_FRONT": FRONT, "ARBIG_CTP__TRADE_FRONT": FRONT}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"ARBIG_STORE__DATABSE": "x"}, "ARBIG_STORE__DATABSE"),
        ({"ARBIG_PORT_BASE": "70000"}, "port_base"),
        ({"ARBIG_FRONT__SPEED": "2"}, "front.speed"),
        ({"ARBIG_MODE": "live"}, "mode: live trading needs ctp.market_front, ctp.trade_front, trade.limits"),
        ({**LIVE, "ARBIG_TRADE__LIMITS": "none.toml"}, "mode: live trading needs ARBIG_LIVE=sim001 in the environment"),
        ({**LIVE, "ARBIG_TRADE__LIMITS": "none.toml", "ARBIG_LIVE": "sim002"}, "mode: live trading needs ARBIG_LIVE"),
        ({**LIVE, "ARBIG_TRADE__LIMITS": "none.toml", "ARBIG_LIVE": "sim001"}, "none.toml cannot be read"),
        ({"ARBIG_STORE__REDIS": "redis://host/0?password=x"}, "store.redis: Value error, a password in its query"),
    ],
)
def test_a_bad_setting_is_named_at_once(environment: dict[str, str], words: str, tmp_path: Path) -> None:
    """An unknown key is an error, not a default."""
    done = arbig("trade", ARBIG_DATA=str(tmp_path), **environment)
    assert done.returncode == 78
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_key_in_the_file_is_named(tmp_path: Path) -> None:
    """A misspelt setting must not be silently without effect."""
    (tmp_path / "arbig.toml").write_text("[store]\ndatabse = 'x'\n")
    done = arbig("store", ARBIG_CONFIG=str(tmp_path / "arbig.toml"), ARBIG_DATA=str(tmp_path))
    assert done.returncode == 78
    assert "store.databse" in done.stderr


def test_a_missing_replay_file_is_named(tmp_path: Path) -> None:
    """Before anything is ready."""
    missing = tmp_path / "nowhere.csv"
    done = arbig("up", "--data", str(tmp_path), "--port-base", str(free_base()), "--replay", str(missing), "--no-edge")
    assert done.returncode == 78
    assert str(missing) in done.stderr


@pytest.mark.parametrize(
    "option",
    [
        "--database=mysql://arbig:hidden@host/arbig",
        "--redis=redis://:hidden@host",
        "--redis=redis://:hid/den@host",
        "--redis=rediss://host/0?password=hidden",
    ],
)
def test_a_password_on_the_command_line_is_refused(option: str) -> None:
    """Everybody on the machine can read it there; the message does not repeat it."""
    done = arbig("up", option, COLUMNS="200")
    assert done.returncode == 2
    assert "name a file that holds it" in done.stderr
    assert "hidden" not in done.stderr


def test_doctor_says_what_is_there(tmp_path: Path) -> None:
    """Each thing by name."""
    done = arbig("doctor", ARBIG_DATA=str(tmp_path), ARBIG_PORT_BASE=str(free_base()), COLUMNS="200")
    for name in ("CTP library", "locale zh_CN.GB18030", "ports", "database", "Redis", "Envoy"):
        assert name in done.stdout


def test_a_missing_locale_says_what_to_install(tmp_path: Path) -> None:
    """Importing the vendor's library without it would abort the process."""
    script = "from pathlib import Path; from arbig.ctp import locale; locale.ensure(Path('nowhere'))"
    done = subprocess.run(
        [sys.executable, "-c", f"import shutil; shutil.which = lambda *a, **k: None\n{script}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "LOCPATH": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert "apt-get install locales" in done.stderr
