"""Every example in the README and the docs does what it says, on a running mesh, and what they name is there."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from arbig.market.v1.market_pb2 import ListInstrumentsRequest
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from tests.mesh.harness import REPOSITORY, Mesh
from tests.servers import PASSWORD, Server, free_base, start_mariadb

DOCUMENTS = [
    "README.md",
    "docs/market.md",
    "docs/operations.md",
    "docs/storage.md",
    "docs/trading.md",
    "web_bridge/README.md",
]
PAGES = ["README.md", "README.zh-CN.md", *(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md"))]
_NAMED = re.compile(r"`([\w.-]+/[^`\s]*)`")
_BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.DOTALL)


def blocks(language: str) -> list[str]:
    """Give the code blocks of the documents in a language."""
    found = []
    for name in DOCUMENTS:
        found += [code for kind, code in _BLOCK.findall((REPOSITORY / name).read_text()) if kind == language]
    return found


def commands(*programs: str) -> list[list[str]]:
    """Give the commands of each block that calls one of the programs, the lines of each joined."""
    found = []
    for block in blocks("sh"):
        lines = re.split(r"\n(?=\S)", block.strip().replace("\\\n", " "))
        if mine := [line for line in lines if line.startswith(programs)]:
            found.append(mine)
    return found


CALLS = commands("grpcurl ", "curl ")


def on_mesh(text: str, mesh: Mesh) -> str:
    """Put the ports of the test's mesh for the documented ones."""
    return re.sub(r"127\.0\.0\.1:71(\d\d)", lambda port: f"127.0.0.1:{mesh.base + int(port[1])}", text)


@pytest.mark.parametrize("block", CALLS, ids=[block[0].split("/")[-1] for block in CALLS])
def test_documented_calls_work(block: list[str], mesh: Mesh) -> None:
    """As they stand there, one after the other, but for the port and the symbol."""
    for command in block:
        words = shlex.split(on_mesh(command, mesh).replace("SYMBOL", a_symbol(mesh)))
        words[0] = {"grpcurl": str(Path(sys.executable).parent / "grpcurl")}.get(words[0], words[0])
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout.strip().startswith("{"), command


def test_the_documented_database_commands_work(mesh: Mesh, mariadb: Server, tmp_path: Path) -> None:
    """In their order, but for the ports and the databases that they name; none shows a password."""
    documented = max(commands("arbig db "), key=len)
    (tmp_path / "secret").write_text(PASSWORD)
    environment = {**os.environ, "ARBIG_DATA": str(tmp_path / "data"), "ARBIG_PORT_BASE": str(free_base())}
    for command in documented:
        # The copies each go into an empty database of their own.
        name = "moved" if " move " in command else "restored"
        url = mariadb.url.replace(f":{PASSWORD}@", "@").rpartition("/")[0].replace("mysql+aiomysql", "mysql")
        words = shlex.split(command.replace("mysql://arbig@db.example/arbig", f"{url}/{name}"), comments=True)
        # The journal is the running mesh's.
        ports = {"ARBIG_PORT_BASE": str(mesh.base)} if "journal" in words else {}
        done = subprocess.run(
            [sys.executable, "-m", "arbig.cli", *words[1:]],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=tmp_path,
            env={**environment, **ports, "PYTHONPATH": str(REPOSITORY)},
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert PASSWORD not in done.stdout + done.stderr


@pytest.fixture
def mariadb(tmp_path: Path) -> Iterator[Server]:
    """Run a MariaDB with the empty databases that the documents fill."""
    with start_mariadb(tmp_path) as server:
        asyncio.run(make_databases(server.url, "restored", "moved"))
        yield server


async def make_databases(url: str, *names: str) -> None:
    """Make empty databases."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        for name in names:
            await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()


def a_symbol(mesh: Mesh) -> str:
    """Give a symbol that is traded there."""
    with grpc.insecure_channel(mesh.address("market")) as channel:
        return str(MarketServiceStub(channel).ListInstruments(ListInstrumentsRequest()).instruments[0].symbol)


def test_every_document_has_examples_that_are_run() -> None:
    """The pattern above finds them."""
    assert len(CALLS) > 10
    assert commands("arbig db ")
    assert blocks("python")


def rows(page: str) -> list[list[str]]:
    """Give the rows of a page's tables, heads and all."""
    lines = [line for line in (REPOSITORY / page).read_text().splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines]


def files(text: str) -> list[str]:
    """Give the files and folders of ours that a text names; a name may be a pattern."""
    return [name for name in _NAMED.findall(text) if (REPOSITORY / name.split("/")[0]).is_dir()]


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_table_names_is_there(page: str) -> None:
    """What was moved or removed is not looked for in vain."""
    named = [name for row in rows(page) for cell in row for name in files(cell)]
    assert [name for name in named if not list(REPOSITORY.glob(name.rstrip("/")))] == []


def test_every_fact_about_ctp_has_its_place_and_its_test() -> None:
    """A fact that no test would miss is as good as forgotten."""
    facts = rows("docs/ctp.md")
    assert len(facts) > 60
    for fact, *places in facts:
        if places[0] != "where":
            assert len(places) == 2 and all(map(files, places)), fact  # noqa: PT018
            assert all(name.startswith("tests/") for name in files(places[1])), fact


@pytest.mark.parametrize("code", blocks("python"))
def test_the_documented_client_prints_prices(code: str, mesh: Mesh, tmp_path: Path) -> None:
    """Until somebody stops it."""
    script = tmp_path / "client.py"
    script.write_text(on_mesh(code, mesh))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout
        symbol, price = process.stdout.readline().split()
        assert symbol.startswith("au")
        assert float(price) > 0
    finally:
        process.kill()
        process.wait()
