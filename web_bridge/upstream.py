"""Following a stream of the mesh for all browsers, for ever."""

import asyncio
import logging
from collections.abc import Callable

import grpc

from arbig.follow import LAST_BACKOFF, Link, follow
from web_bridge.hub import Hub, Intake

log = logging.getLogger(__name__)


class ShownLink(Link):
    """A link whose every change is told to the browsers."""

    def __init__(self, intake: Intake, hub: Hub, wake: Callable[[], None]) -> None:
        super().__init__(intake.source.service)
        self._intake = intake
        self._hub = hub
        self._wake = wake

    def is_up(self) -> None:
        """Note that a message came."""
        before = self.reason
        super().is_up()
        self._show(before)

    def is_down(self, why: str) -> None:
        """Note that the stream broke."""
        before = self.reason
        super().is_down(why)
        self._show(before)

    def _show(self, before: str) -> None:
        if self.reason != before:
            self._hub.note_link(self._intake.source, self.reason)
            self._wake()


async def keep_following(intake: Intake, channel: grpc.aio.Channel, hub: Hub, wake: Callable[[], None]) -> None:
    """Put all that the stream says into the hub, and `wake` whoever writes it to the browsers."""
    source = intake.source
    link = ShownLink(intake, hub, wake)
    method = channel.unary_stream(
        f"/{source.method}",
        request_serializer=source.request.SerializeToString,
        response_deserializer=source.response.FromString,
    )
    while True:
        try:
            async for message in follow(method, source.request(), source.response, link):
                intake.take(message)
                wake()
        except grpc.aio.AioRpcError as error:
            # The service refuses our cursor (its stream became shorter) or does not have the method.
            why = error.details() or error.code().name
            log.warning("stream refused, beginning anew", extra={"stream": source.method, "why": why})
            link.is_down(why)
            intake.begin_anew(why)
        await asyncio.sleep(LAST_BACKOFF)
