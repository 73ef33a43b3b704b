"""The Envoy edge: REST, gRPC-Web, gRPC, the page and its WebSocket on one port.

The configuration is read off the contracts: a public method that says who may call it gets a
route, and what is not listed is refused. Envoy retries nothing: whether to repeat is the caller's
knowledge.
"""

import json
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import code_pb2, error_details_pb2, status_pb2

from arbig.channel import MAX_MESSAGE
from arbig.child import run_child
from arbig.config import Settings
from arbig.contracts import LISTENERS, PUBLIC
from arbig.errors import ConfigError
from arbig.stream.v1 import options_pb2

log = logging.getLogger(__name__)

CONFIG, DESCRIPTORS = "envoy.yaml", "arbig.binpb"
UNARY_TIMEOUT = "15s"
# Calls that are answered when long work is done.
LONG_TIMEOUTS = {"arbig.store.v1.AdminService.Backup": "3600s"}
MAX_CONNECTIONS = 1_000
# What waits in the edge for a slow reader cannot be declared a gap, so it is little.
BUFFER, WINDOW = 64 * 1024, 64 * 1024
_KEEPALIVE = {"interval": "10s", "timeout": "5s"}
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_LOOPBACK = ("127.0.0.1", "localhost")


def find_envoy() -> str | None:
    """Find Envoy: beside this Python, where its wheel puts it, or on the path."""
    return shutil.which("envoy", path=str(Path(sys.executable).parent)) or shutil.which("envoy")


async def run(settings: Settings) -> None:
    """Run Envoy until cancelled; raises ConfigError where there is none or it refuses the configuration."""
    envoy = find_envoy()
    if envoy is None:
        raise ConfigError("the edge needs Envoy: pip install 'arbig[edge]', or arbig up --no-edge")
    config = write(settings, settings.directory("edge"))
    await _validate(envoy, config)
    # Its own log goes to stderr; hot restart would make two edges of one machine share memory.
    code = await run_child(
        *(envoy, "--config-path", config, "--concurrency", "1", "--disable-hot-restart"),
        *("--log-level", "warning", "--component-log-level", "main:error"),
        started=lambda pid: log.info("serving", extra={"address": settings.address("edge"), "envoy": pid}),
    )
    raise RuntimeError(f"Envoy ended with exit status {code}; its reason is above")


async def _validate(envoy: str, config: Path) -> None:
    if await run_child(envoy, "--mode", "validate", "--config-path", config, "--log-level", "error"):
        raise ConfigError(f"Envoy refuses {config}; its reason is above")


def write(settings: Settings, directory: Path, seen_as: Path | None = None) -> Path:
    """Write the configuration and the descriptors into a directory, and give the configuration's path.

    `seen_as` is where Envoy finds the directory, if it is not the same place.
    """
    (directory / DESCRIPTORS).write_bytes(descriptors())
    path = directory / CONFIG
    path.write_text(to_yaml(bootstrap(settings, str((seen_as or directory) / DESCRIPTORS))))
    return path


def descriptors() -> bytes:
    """Give the contracts as a descriptor set, each file after those it imports."""
    files: dict[str, FileDescriptor] = {}

    def add(file: FileDescriptor) -> None:
        for imported in file.dependencies:
            add(imported)
        files.setdefault(file.name, file)

    for _, service in PUBLIC:
        add(service.file)
    # What the details of an error are made of.
    add(error_details_pb2.DESCRIPTOR)
    add(status_pb2.DESCRIPTOR)
    made = FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(made.file.add())
    return made.SerializeToString(deterministic=True)


def allowed(service: ServiceDescriptor) -> list[MethodDescriptor]:
    """Give the methods that somebody may call from outside."""
    return [rpc for rpc in service.methods if rpc.GetOptions().Extensions[options_pb2.role]]


def bootstrap(settings: Settings, descriptor_path: str) -> dict[str, Any]:
    """Give Envoy's whole configuration: one listener, no administration port."""
    services = [_cluster(name, settings, _grpc_upstream()) for name in LISTENERS]
    return {
        "static_resources": {
            "listeners": [_listener(settings, descriptor_path)],
            "clusters": [*services, _cluster("bridge", settings, {})],
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{_EXTENSIONS}.resource_monitors.downstream_connections.v3."
                        "DownstreamConnectionsConfig",
                        "max_active_downstream_connections": MAX_CONNECTIONS,
                    },
                }
            ]
        },
    }


def _listener(settings: Settings, descriptor_path: str) -> dict[str, Any]:
    manager = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "codec_type": "AUTO",
        "http2_protocol_options": {
            "connection_keepalive": _KEEPALIVE,
            "initial_stream_window_size": WINDOW,
            "initial_connection_window_size": 16 * WINDOW,
        },
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "use_remote_address": True,
        "strip_any_host_port": True,
        # Streams live as long as their follower; a quiet one has heartbeats.
        "stream_idle_timeout": "0s",
        "request_headers_timeout": "10s",
        "upgrade_configs": [{"upgrade_type": "websocket", "enabled": False}],
        "http_filters": _filters(descriptor_path),
        "route_config": {"name": "edge", "virtual_hosts": [_virtual_host(settings)]},
    }
    return {
        "name": "edge",
        "address": _socket(settings.address("edge")),
        "per_connection_buffer_limit_bytes": BUFFER,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _filters(descriptor_path: str) -> list[dict[str, Any]]:
    transcoder = {
        "proto_descriptor": descriptor_path,
        "services": [service.full_name for _, service in PUBLIC],
        # As grpc-gateway prints: camelCase, and a 0 that is there is written. An absent optional is not.
        "print_options": {"always_print_primitive_fields": True, "stream_newline_delimited": True},
        "request_validation_options": {"reject_unknown_query_parameters": True},
        "convert_grpc_status": True,
        "max_request_body_size": MAX_MESSAGE,
        "max_response_body_size": MAX_MESSAGE,
    }
    return [
        _filter("cors", "Cors", {}),
        _filter("grpc_web", "GrpcWeb", {}),
        _filter("grpc_json_transcoder", "GrpcJsonTranscoder", transcoder),
        _filter("router", "Router", {}),
    ]


def _filter(name: str, kind: str, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": f"envoy.filters.http.{name}",
        "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.{name}.v3.{kind}", **options},
    }


def _virtual_host(settings: Settings) -> dict[str, Any]:
    public = settings.host not in _LOOPBACK
    trusted = origins(settings)
    cors = {
        "@type": f"{_EXTENSIONS}.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": origin} for origin in trusted],
        "allow_methods": "GET, POST, PATCH, PUT, DELETE, OPTIONS",
        "allow_headers": "authorization, content-type, grpc-timeout, x-grpc-web, x-user-agent",
        "expose_headers": "grpc-message, grpc-status, grpc-status-details-bin",
        "max_age": "600",
    }
    return {
        "name": "edge",
        # A page elsewhere must not reach loopback by giving a name of its own to 127.0.0.1.
        "domains": ["*"] if public else [*_LOOPBACK],
        "typed_per_filter_config": {"envoy.filters.http.cors": cors},
        "routes": [_refuse_origins(trusted), *_methods(), *_rest()],
    }


def origins(settings: Settings) -> list[str]:
    """Give the origins whose scripts may call: the page's own, here and at the bridge, and those of the settings."""
    ports = [settings.address(listener).rpartition(":")[2] for listener in ("bridge", "edge")]
    hosts = dict.fromkeys([*_LOOPBACK, settings.host])
    own = [f"http://{host}:{port}" for host in hosts for port in ports]
    return list(dict.fromkeys([*own, *settings.bridge.origins]))


def _refuse_origins(trusted: list[str]) -> dict[str, Any]:
    # CORS hides answers from strangers' scripts, but their plain POST would still place an order.
    stranger = [
        {"name": "origin", "present_match": True},
        *({"name": "origin", "string_match": {"exact": origin}, "invert_match": True} for origin in trusted),
    ]
    return _refusal({"prefix": "/", "headers": stranger}, "this origin may not call: see bridge.origins")


def _methods() -> Iterator[dict[str, Any]]:
    for name, service in PUBLIC:
        for rpc in allowed(service):
            timeout = "0s" if rpc.server_streaming else LONG_TIMEOUTS.get(rpc.full_name, UNARY_TIMEOUT)
            yield {
                "match": {"path": f"/{service.full_name}/{rpc.name}"},
                "route": {"cluster": name, "timeout": timeout},
            }


def _rest() -> Iterator[dict[str, Any]]:
    yield _refusal({"prefix": "/", "grpc": {}}, "not a method that may be called here")
    yield _refusal({"prefix": "/arbig."}, "not a method that may be called here")
    yield {
        "match": {"path": "/ws"},
        "route": {
            "cluster": "bridge",
            "timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "websocket", "enabled": True}],
        },
    }
    # A path under /v1 that no contract has ends here too. It cannot be refused before: the CORS
    # filter works on a route with a cluster only, and looks before the transcoder changes the path.
    yield {"match": {"prefix": "/"}, "route": {"cluster": "bridge", "timeout": UNARY_TIMEOUT}}


def _refusal(match: dict[str, Any], message: str) -> dict[str, Any]:
    body = json.dumps({"code": code_pb2.PERMISSION_DENIED, "message": message})
    json_body = {"text_format_source": {"inline_string": body}, "content_type": "application/json"}
    return {"match": match, "direct_response": {"status": 403, "body_format": json_body}}


def _cluster(name: str, settings: Settings, upstream: dict[str, Any]) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _socket(settings.address(name))}}
    return {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": BUFFER,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        **upstream,
    }


def _grpc_upstream() -> dict[str, Any]:
    http2 = {
        "connection_keepalive": _KEEPALIVE,
        "initial_stream_window_size": WINDOW,
        "initial_connection_window_size": 16 * WINDOW,
    }
    options = {
        "@type": f"{_EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": http2},
    }
    return {"typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}}


def _socket(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def to_yaml(value: Any) -> str:
    """Write dicts, lists and scalars as YAML that a person can read."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            name = key if key.isidentifier() else json.dumps(key)
            if inner and isinstance(inner, dict | list):
                yield f"{name}:"
                yield from (f"  {line}" for line in _lines(inner))
            else:
                yield f"{name}: {json.dumps(inner)}"
    elif isinstance(value, list):
        for item in value:
            first, *rest = _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield json.dumps(value)


if __name__ == "__main__":
    # For people who run Envoy themselves: `make protos` keeps deploy/envoy as the contracts are.
    write(Settings(), Path(sys.argv[1]), Path("/etc/envoy"))
