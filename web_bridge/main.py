"""The bridge: follows every stream that has topics, once, and serves them and the page to browsers."""

import asyncio
import logging
from contextlib import AsyncExitStack

from arbig.channel import open_channel
from arbig.config import Settings
from arbig.contracts import LISTENERS
from web_bridge import contract
from web_bridge.calls import Caller
from web_bridge.fan import Fan
from web_bridge.hub import Hub
from web_bridge.site import application, listening, origins
from web_bridge.upstream import keep_following

log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Serve until cancelled; raises ConfigError where the address is taken."""
    offered = contract.read()
    hub = Hub(offered)
    async with AsyncExitStack() as stack:
        # Followers have connections of their own: a burst of ticks must not hold back an order.
        streams, calls = [
            {name: await stack.enter_async_context(open_channel(settings.address(name))) for name in LISTENERS}
            for _ in range(2)
        ]
        fan = Fan(hub, Caller(offered.methods, calls))
        address = settings.address("bridge")
        await stack.enter_async_context(listening(application(hub, fan, origins(settings)), address, fan))
        log.info("serving", extra={"address": address, "streams": len(offered.sources)})
        async with asyncio.TaskGroup() as group:
            for intake in hub.intakes:
                group.create_task(keep_following(intake, streams[intake.source.service], hub, fan.wake))
