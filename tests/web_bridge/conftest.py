"""The bridge before fake services, under the loop that it runs on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop

from tests.web_bridge.browser import Browser, Mesh


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    # uvloop starts a child by a plain fork, in which gRPC's fork handlers crash: not where Chromium is started.
    if item.path.name == "test_page.py":
        return {"asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def parts(tmp_path: Path) -> Mesh:
    """Give a mesh of which nothing runs yet."""
    return Mesh(tmp_path)


@pytest_asyncio.fixture
async def mesh(parts: Mesh) -> AsyncIterator[Mesh]:
    """Give a mesh that runs."""
    async with parts.market_up(), parts.trade_up(), parts.store_up(), parts.bridge_up():
        yield parts


@pytest_asyncio.fixture
async def browser(mesh: Mesh) -> AsyncIterator[Browser]:
    """Give a browser that has heard that every stream is followed."""
    async with mesh.browser() as browser:
        await browser.links_up()
        yield browser
