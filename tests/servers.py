"""Real servers for tests: MariaDB and Redis, each a process of its own in a directory of its own."""

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from arbig.config import PORTS

START_SECONDS = 60.0
PASSWORD = "secret-of-the-test"  # noqa: S105
MARIADB = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")
REDIS = shutil.which("redis-server") or shutil.which("valkey-server")


def _in_turns(places: range) -> Iterator[int]:
    """Give this worker's share of the places again and again, from any of them on.

    What listened at a place may be away for a while, so none comes again soon.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = places[worker :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    # Hypothesis seeds the ordinary generator.
    begin = random.SystemRandom().randrange(len(own))
    return itertools.cycle([*own[begin:], *own[:begin]])


# Below the ephemeral range.
_BASES, _PORTS = _in_turns(range(20_000, 26_000, 100)), _in_turns(range(26_000, 32_000))


def _bind(probe: socket.socket, port: int) -> None:
    # As every server here does: what only waits for late packets is free.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", port))


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens on, below the ephemeral range."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            _bind(probe, port)
            return port
    raise AssertionError


def free_base() -> int:
    """Give a port_base below the ephemeral range whose listeners are all free."""
    for base in _BASES:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in PORTS.values():
                _bind(stack.enter_context(socket.socket()), base + port)
            return base
    raise AssertionError


class Server:
    """A server process that can be killed, stopped, and started again with its data."""

    def __init__(self, command: list[str], log: Path, answers: Callable[[], bool], url: str) -> None:
        self.url = url
        self._command = command
        self._log = log
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self._command[0]} did not start:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it with SIGKILL, hung or not."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def hang(self) -> None:
        """Stop it: it accepts connections and says nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process
        os.kill(self._process.pid, number)


@contextlib.contextmanager
def start_mariadb(directory: Path, *options: str) -> Iterator[Server]:
    """Run MariaDB with an empty database `arbig`; `url` is what store.database takes."""
    assert MARIADB
    data, port = directory / "mariadb", free_port()
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
    install.append("--force")  # a fresh machine may not know its own name
    made = subprocess.run(
        [*install, "--user=root", "--skip-test-db"],
        # Two that begin at once take each other's temporary tables for their own.
        env={**os.environ, "TMPDIR": str(directory)},
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    users = directory / "users.sql"
    users.write_text(
        "CREATE DATABASE IF NOT EXISTS arbig;\n"
        f"CREATE USER IF NOT EXISTS 'arbig'@'%' IDENTIFIED BY '{PASSWORD}';\n"
        "GRANT ALL ON *.* TO 'arbig'@'%';\n"
    )
    command = [MARIADB, "--no-defaults", "--user=root", f"--datadir={data}", f"--init-file={users}"]
    command += [
        "--bind-address=127.0.0.1",
        f"--port={port}",
        f"--socket={directory / 'm.sock'}",
        f"--tmpdir={directory}",
    ]
    # Enough for a test, and quick to start: a kill -9 of the process loses no acknowledged write.
    command += ["--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=32M", "--skip-name-resolve", *options]
    url = f"mysql+aiomysql://arbig:{PASSWORD}@127.0.0.1:{port}/arbig"
    with _running(Server(command, directory / "mariadb.log", lambda: _greets(port), url)) as server:
        yield server


def database_options(database: Server, directory: Path) -> list[str]:
    """Give what `arbig up` takes to use a MariaDB: its password is in a file."""
    file = directory / "mariadb-password"
    file.write_text(PASSWORD)
    return ["--database", database.url.replace(f":{PASSWORD}@", "@"), "--database-password-file", str(file)]


def as_root(server: Server) -> str:
    """Give the URL of a MariaDB as its administrator, who may change users."""
    return server.url.replace(f"arbig:{PASSWORD}@", "root@")


@contextlib.contextmanager
def start_redis(directory: Path, *, persistent: bool = True) -> Iterator[Server]:
    """Run Redis; `url` is what store.redis takes."""
    assert REDIS
    port = free_port()
    command = [REDIS, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
    command += ["--appendonly", "yes" if persistent else "no", "--maxmemory-policy", "noeviction"]
    url = f"redis://127.0.0.1:{port}/0"
    with _running(Server(command, directory / "redis.log", lambda: _pongs(port), url)) as server:
        yield server


@contextlib.contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.kill()


def _greets(port: int) -> bool:
    """Whether MariaDB says hello; it listens only when its init file is done."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as link:
        return b"mysql_native_password" in link.recv(256)
    return False


def _pongs(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as link:
        link.sendall(b"PING\r\n")
        return link.recv(64).startswith(b"+PONG")
    return False
