"""A gRPC server with what every service of the mesh has: health, reflection, clear errors.

Handlers are made from the contract's descriptor, so that a servicer may answer with a message or
with bytes that are encoded already (a tick is encoded once for all its followers).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

import grpc
from google.protobuf import descriptor_pool, message, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from arbig.channel import SERVER_OPTIONS
from arbig.errors import ArbigError, ConfigError, InvalidField

log = logging.getLogger(__name__)

Context = Any  # grpc.aio.ServicerContext; its stub cannot be named at run time
# Takes what keeps the service from working; "" is that it works.
Health = Callable[[str], Awaitable[None]]

# A header must be visible ASCII and short; what is not is percent-encoded, and cut.
_REASON, _REASON_LENGTH = "arbig-reason", 400
_VISIBLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


class _Checks(health.aio.HealthServicer):  # type: ignore[misc]  # it comes without types
    """Health that says beside NOT_SERVING why, in the trailing metadata of Check."""

    why = ""

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> Any:  # noqa: N802
        """Answer."""
        if self.why:
            context.set_trailing_metadata(
                ((_REASON, quote(self.why[:_REASON_LENGTH], safe=_VISIBLE, errors="replace")),)
            )
        return await super().Check(request, context)


def _encode(reply: message.Message | bytes) -> bytes:
    return reply if isinstance(reply, bytes) else reply.SerializeToString()


async def _abort(context: Context, error: ArbigError) -> None:
    await context.abort_with_status(rpc_status.to_status(error.to_status()))


def _check(request: message.Message, path: str = "") -> None:
    """Refuse fields of a newer contract: to leave out half of what was asked for is to do something else."""
    if len(unknown := UnknownFieldSet(request)):
        what = f"{request.DESCRIPTOR.full_name} has no such field in this version"
        raise InvalidField(f"{path}#{unknown[0].field_number}", what, "UNKNOWN_FIELD")
    for field, value in request.ListFields():
        if field.message_type and field.message_type.GetOptions().map_entry:
            for key, one in value.items():
                if isinstance(one, message.Message):
                    _check(one, f"{path}{field.name}.{key}.")
        elif field.message_type and field.message_type.full_name.startswith("arbig."):
            for one in value if field.is_repeated else (value,):
                _check(one, f"{path}{field.name}.")


def _unary(method: Any) -> Any:
    async def call(request: message.Message, context: Context) -> Any:
        try:
            _check(request)
            return await method(request, context)
        except ArbigError as error:
            await _abort(context, error)

    return call


def _stream(method: Any) -> Any:
    async def call(request: message.Message, context: Context) -> AsyncIterator[Any]:
        try:
            _check(request)
            async for reply in method(request, context):
                yield reply
        except ArbigError as error:
            await _abort(context, error)

    return call


def handlers(service: str, servicer: object) -> grpc.GenericRpcHandler:
    """Make the handlers of the contract's `service` from the methods of `servicer`."""
    described = descriptor_pool.Default().FindServiceByName(service)
    table = {}
    for rpc in described.methods:
        kind = grpc.unary_stream_rpc_method_handler if rpc.server_streaming else grpc.unary_unary_rpc_method_handler
        method = getattr(servicer, rpc.name)
        table[rpc.name] = kind(
            _stream(method) if rpc.server_streaming else _unary(method),
            request_deserializer=message_factory.GetMessageClass(rpc.input_type).FromString,
            response_serializer=_encode,
        )
    return grpc.method_handlers_generic_handler(service, table)


@contextlib.asynccontextmanager
async def serve(address: str, services: Sequence[tuple[str, object]]) -> AsyncIterator[Health]:
    """Serve `(full service name, servicer)` pairs on `address`, and give the switch of their health.

    Health begins NOT_SERVING. Raises ConfigError where the address cannot be listened on.
    """
    server = grpc.aio.server(options=SERVER_OPTIONS)
    checks = _Checks()
    names = [name for name, _ in services]
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    server.add_generic_rpc_handlers(tuple(handlers(name, servicer) for name, servicer in services))

    async def set_health(why: str) -> None:
        checks.why = why
        status = health_pb2.HealthCheckResponse.NOT_SERVING if why else health_pb2.HealthCheckResponse.SERVING
        for name in ["", *names]:
            await checks.set(name, status)

    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on {address}: is another program using the port? ({error})") from error
    try:
        await set_health("starting")
        await server.start()
        log.info("serving", extra={"address": address, "services": ",".join(names)})
        yield set_health
    finally:
        await checks.enter_graceful_shutdown()
        await server.stop(grace=0.5)


async def watch_health(set_health: Health, why: Callable[[], str], seconds: float = 0.2) -> None:
    """Keep the health what `why` says, for ever."""
    while True:
        await set_health(why())
        await asyncio.sleep(seconds)
