"""The bridge's HTTP side: the page, its health, and who may open the WebSocket."""

import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from arbig.config import Settings
from arbig.errors import ConfigError
from web_bridge.fan import Fan
from web_bridge.hub import Hub

PAGE = Path(__file__).parent / "page" / "dist"
# Unsent bytes the kernel may hide from us for each browser: what waits there cannot be conflated.
NOTSENT_LOWAT = 16 * 1024
BACKLOG = 128
# How long browsers may take to say goodbye when the bridge stops.
STOP_SECONDS = 2.0

_NO_PAGE = """<!doctype html><meta charset="utf-8"><title>ARBIG</title>
<p>The page is not built: run <code>make page</code> and reload. The WebSocket is at <code>/ws</code>.</p>
"""
_POLICY = "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; img-src 'self' data:"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def origins(settings: Settings) -> frozenset[str]:
    """Give the origins whose scripts may connect: the page's own, and those of the settings."""
    ports = [settings.address(listener).rpartition(":")[2] for listener in ("bridge", "edge")]
    hosts = {"127.0.0.1", "localhost", settings.host}
    own = {f"http://{host}:{port}" for host in hosts for port in ports}
    return frozenset(own | {origin.rstrip("/") for origin in settings.bridge.origins})


def may_connect(origin: str | None, peer: str | None, allowed: frozenset[str]) -> bool:
    """Say whether a WebSocket may be opened; programs (they send no Origin) only from this machine."""
    if origin is not None:
        return origin in allowed
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(peer or "").is_loopback
    return False


def application(hub: Hub, fan: Fan, allowed: frozenset[str], page: Path = PAGE) -> web.Application:
    """Make the routes."""

    async def open_socket(request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if not may_connect(origin, request.remote, allowed):
            raise web.HTTPForbidden(text=f"origin {origin} may not connect: see bridge.origins in arbig.toml\n")
        return await fan.serve(request)

    async def health(_: web.Request) -> web.StreamResponse:
        body = {"ready": hub.ready, "down": hub.down, "browsers": len(fan.browsers)}
        return web.json_response(body, status=200 if hub.ready else 503)

    async def index(_: web.Request) -> web.StreamResponse:
        if not (page / "index.html").is_file():
            return web.Response(text=_NO_PAGE, content_type="text/html", status=503)
        return web.FileResponse(page / "index.html")

    app = web.Application(middlewares=[_guard])
    app.router.add_get("/ws", open_socket)
    app.router.add_get("/healthz", health)
    app.router.add_get("/", index)
    if (page / "assets").is_dir():
        app.router.add_static("/assets", page / "assets")
    return app


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    if not response.prepared:
        response.headers["Content-Security-Policy"] = _POLICY
        # The names of the assets carry their content's hash; the page itself is asked for each time.
        lasting = request.path.startswith("/assets/")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if lasting else "no-cache"
    return response


@contextlib.asynccontextmanager
async def listening(app: web.Application, address: str, fan: Fan) -> AsyncIterator[None]:
    """Serve `app` on "host:port"; raises ConfigError where that cannot be listened on."""
    host, _, port = address.rpartition(":")
    try:
        listener = socket.create_server((host, int(port)), backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {address}: is another program using the port? ({error.strerror})"
        ) from error
    # Connections inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, backlog=BACKLOG).start()
        yield
    finally:
        fan.stop()
        await runner.cleanup()
        listener.close()
