"""A browser's call, made over gRPC: JSON in, JSON out, refusals with their reason and field."""

from collections.abc import Mapping
from typing import Any

import grpc

from arbig.errors import ArbigError, from_rpc
from web_bridge import protocol
from web_bridge.contract import Method
from web_bridge.encode import decode, encoder
from web_bridge.protocol import Call

DEADLINE_SECONDS = 5.0


class Caller:
    """Makes the calls that a contract allows."""

    def __init__(self, methods: Mapping[str, Method], channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._methods = methods
        self._channels = channels

    async def reply(self, call: Call) -> bytes:
        """Make the call, and give the frame that answers it."""
        method = self._methods.get(call.method)
        if method is None:
            message = f"{call.method} is no method that a browser may call"
            return protocol.refusal(call.id, "PERMISSION_DENIED", "METHOD_NOT_CALLABLE", "", message)
        try:
            response = await self._call(method, call.request)
        except ArbigError as error:
            return protocol.refusal(call.id, error.status.name, error.reason, error.field, str(error))
        except grpc.aio.AioRpcError as error:
            reason, field = from_rpc(error)
            return protocol.refusal(call.id, error.code().name, reason, field, error.details() or "")
        return protocol.reply(call.id, encoder(response.DESCRIPTOR)(response))

    async def _call(self, method: Method, request: Any) -> Any:
        rpc = self._channels[method.service].unary_unary(
            f"/{method.method}",
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return await rpc(decode(method.request, request), timeout=DEADLINE_SECONDS)
