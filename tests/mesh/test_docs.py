"""Every example in the README and the docs does what it says, on a running mesh."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from arbig.market.v1.market_pb2 import ListInstrumentsRequest
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from tests.mesh.harness import REPOSITORY, Mesh

DOCUMENTS = ["README.md", "docs/operations.md", "web_bridge/README.md"]
_BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.DOTALL)


def blocks(language: str) -> list[str]:
    """Give the code blocks of the documents in a language."""
    found = []
    for name in DOCUMENTS:
        found += [code for kind, code in _BLOCK.findall((REPOSITORY / name).read_text()) if kind == language]
    return found


def commands() -> list[str]:
    """Give each grpcurl and curl command, its lines joined."""
    lines = [command for block in blocks("sh") for command in re.split(r"\n(?=\S)", block.strip())]
    return [line for line in lines if line.startswith(("grpcurl ", "curl "))]


def on_mesh(text: str, mesh: Mesh) -> str:
    """Put the ports of the test's mesh for the documented ones."""
    return re.sub(r"127\.0\.0\.1:71(\d\d)", lambda port: f"127.0.0.1:{mesh.base + int(port[1])}", text)


@pytest.mark.parametrize("command", commands())
def test_a_documented_call_works(command: str, mesh: Mesh) -> None:
    """As it stands there, but for the port and the symbol."""
    words = shlex.split(on_mesh(command, mesh).replace("SYMBOL", a_symbol(mesh)))
    words[0] = {"grpcurl": str(Path(sys.executable).parent / "grpcurl")}.get(words[0], words[0])
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith("{")


def a_symbol(mesh: Mesh) -> str:
    """Give a symbol that is traded there."""
    with grpc.insecure_channel(mesh.address("market")) as channel:
        return str(MarketServiceStub(channel).ListInstruments(ListInstrumentsRequest()).instruments[0].symbol)


def test_every_document_has_examples_that_are_run() -> None:
    """The pattern above finds them."""
    assert len(commands()) > 10
    assert blocks("python")


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
