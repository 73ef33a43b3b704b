"""What the contracts let a browser follow and call.

Read from the descriptors at start, so that a new stream or method needs no code here: a stream
with `topic` options can be followed, a unary method with a role below ADMIN can be called, and
what is not listed is denied.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor

from arbig.contracts import PUBLIC
from arbig.errors import ConfigError
from arbig.stream.v1 import options_pb2

_CALLABLE = {options_pb2.ROLE_VIEWER, options_pb2.ROLE_TRADER}

# One value for each placeholder of a template; None stands for any.
Pattern = tuple[str | None, ...]


class Topic(NamedTuple):
    """How items of a stream are named, found and kept."""

    template: str
    fields: tuple[str, ...]
    path: tuple[str, ...]
    event: bool
    key: tuple[str, ...]
    most: int
    item: Descriptor

    def match(self, topic: str) -> Pattern | None:
        """Give the values that `topic` has for the placeholders; None if it is another topic."""
        segments = self.template.split(".")
        # The last placeholder takes the rest: a symbol may have dots.
        given = topic.split(".", len(segments) - 1)
        if len(given) != len(segments) or not all(given):
            return None
        pairs = list(zip(segments, given, strict=True))
        if any(value != segment for segment, value in pairs if not segment.startswith("{")):
            return None
        return tuple(None if value == "*" else value for segment, value in pairs if segment.startswith("{"))


class Source(NamedTuple):
    """A stream that is followed once, for all browsers."""

    service: str
    method: str
    request: type[Any]
    response: type[Any]
    topics: tuple[Topic, ...]


class Method(NamedTuple):
    """A unary method that a browser may call."""

    service: str
    method: str
    request: type[Any]
    response: type[Any]


class Contract(NamedTuple):
    """All of it."""

    sources: tuple[Source, ...]
    methods: dict[str, Method]


def read(services: Iterable[tuple[str, ServiceDescriptor]] = PUBLIC) -> Contract:
    """Walk the descriptors of `services`; raises ConfigError for a topic option that cannot work."""
    sources, methods = [], {}
    for service, described in services:
        for rpc in described.methods:
            options = rpc.GetOptions()
            name = f"{described.full_name}/{rpc.name}"
            kinds = message_factory.GetMessageClass(rpc.input_type), message_factory.GetMessageClass(rpc.output_type)
            topics = options.Extensions[options_pb2.topic]
            if rpc.server_streaming and topics:
                sources.append(Source(service, name, *kinds, tuple(_topics(rpc, topics))))
            elif not rpc.server_streaming and options.Extensions[options_pb2.role] in _CALLABLE:
                methods[name] = Method(service, name, *kinds)
    return Contract(tuple(sources), methods)


def _topics(rpc: MethodDescriptor, options: Iterable[options_pb2.Topic]) -> Iterable[Topic]:
    for option in options:
        path = tuple(option.field.split("."))
        element = _inner(rpc.output_type, path[0], option.template)
        item = element
        for part in path[1:]:
            item = _inner(item, part, option.template)
        fields = tuple(part[1:-1] for part in option.template.split(".") if part.startswith("{"))
        event = option.kind == options_pb2.TOPIC_KIND_EVENT
        missing = [field for field in (*fields, *option.key) if field not in item.fields_by_name]
        if missing:
            raise ConfigError(f"topic {option.template}: {item.full_name} has no field {', '.join(missing)}")
        if event and "seq" not in element.fields_by_name:
            raise ConfigError(f"topic {option.template}: events are resumed by seq, and {element.full_name} has none")
        yield Topic(option.template, fields, path, event, tuple(option.key), option.most, item)


def _inner(described: Descriptor, part: str, template: str) -> Descriptor:
    field = described.fields_by_name.get(part)
    if field is None or field.message_type is None:
        raise ConfigError(f"topic {template}: {described.full_name} has no message {part}")
    return field.message_type
