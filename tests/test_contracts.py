"""What the contracts and the houses' order promise, kept by reading the repository itself."""

import ast
import importlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor

from arbig.stream.v1 import options_pb2

ROOT = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent
HOUSES = ("arbig", "market_svc", "trade_svc", "store_svc", "web_bridge", "ctp_front")
GENERATED = "arbig/*/v1/*_pb2*"

# What can be computed without waiting: time and randomness come in as arguments.
PURE = (
    "arbig/calendar.py",
    "arbig/instrument.py",
    "arbig/pages.py",
    "arbig/sessions.py",
    *(f"market_svc/{name}.py" for name in ("bars", "config_text", "depth", "held", "market_config")),
    *(f"market_svc/{name}.py" for name in ("hours", "quality", "status", "timetable")),
    *(f"trade_svc/{name}.py" for name in ("closing", "conduct", "desk", "intents", "money", "orders", "portfolio")),
    *(f"trade_svc/{name}.py" for name in ("positions", "reconcile", "reports", "risk", "terms", "trader", "trading")),
    "web_bridge/encode.py",
    "web_bridge/kept.py",
    "web_bridge/protocol.py",
    *(f"ctp_front/{name}.py" for name in ("account", "account_records", "book", "clock", "depth")),
    *(f"ctp_front/{name}.py" for name in ("exchange", "faults", "flow_control", "generator", "hours")),
    *(f"ctp_front/{name}.py" for name in ("instrument", "instrument_records", "layout", "manners", "matching")),
    *(f"ctp_front/{name}.py" for name in ("order_index", "orders", "position", "queries", "records")),
    *(f"ctp_front/{name}.py" for name in ("refusals", "statement", "tids", "wire")),
)
WAITING = {"aiohttp", "asyncio", "grpc", "random", "secrets", "socket", "threading", "time", "uvloop"}
CLOCKS = {"datetime.now", "datetime.today", "datetime.utcnow", "date.today"}
# Who may import the vendor's library, and who the databases.
KEEPERS = {
    "openctp_ctp": ("arbig/ctp/", "market_svc/gateway.py", "trade_svc/gateway.py"),
    "sqlalchemy": ("store_svc/",),
    "redis": ("store_svc/",),
}


def tool(name: str, *arguments: str) -> None:
    """Run a tool that says what is wrong."""
    done = subprocess.run([TOOLS / name, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contracts_are_in_the_agreed_style() -> None:
    """Every message, field and method has its comment."""
    tool("buf", "lint")


def test_the_contracts_break_no_client_of_the_last_release() -> None:
    """What was released is read by programs that we do not know."""
    (released,) = (ROOT / "protos").glob("*.binpb")
    tool("buf", "breaking", "protos", "--against", str(released.relative_to(ROOT)))


def test_imports_run_one_way() -> None:
    """Services meet at contracts only."""
    tool("lint-imports", "--no-cache")


def test_the_generated_code_is_what_the_contracts_generate(tmp_path: Path) -> None:
    """`make protos` makes it."""
    kinds = [f"--{kind}_out={tmp_path}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    protos = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "protos").rglob("*.proto"))]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", "protos", "-I", "third_party/googleapis"]
    environment = {**os.environ, "PATH": f"{TOOLS}:{os.environ['PATH']}"}
    subprocess.run([*command, *kinds, *protos], cwd=ROOT, env=environment, check=True)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.glob(GENERATED)}
    committed = {path.relative_to(ROOT): path.read_bytes() for path in ROOT.glob(GENERATED)}
    assert made.keys() == committed.keys()
    assert [str(path) for path in sorted(made) if made[path] != committed[path]] == []


def files() -> list[FileDescriptor]:
    """Give the contracts that are generated."""
    paths = sorted(ROOT.glob("arbig/*/v1/*_pb2.py"))
    modules = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return [importlib.import_module(module).DESCRIPTOR for module in modules]


METHODS: list[MethodDescriptor] = [
    rpc
    for file in files()
    if file.package != "arbig.front.v1"  # the exchange's own knobs are not for the outside
    for service in file.services_by_name.values()
    for rpc in service.methods
]
STREAMS = [rpc for rpc in METHODS if rpc.server_streaming]
TOPICS = [(rpc, topic) for rpc in STREAMS for topic in rpc.GetOptions().Extensions[options_pb2.topic]]
every_method = pytest.mark.parametrize("rpc", METHODS, ids=lambda rpc: rpc.full_name)


@every_method
def test_a_method_says_who_may_call_it_and_where_in_rest(rpc: MethodDescriptor) -> None:
    """Without a role nobody could, at the edge."""
    options = rpc.GetOptions()
    assert options.Extensions[options_pb2.role] != options_pb2.ROLE_UNSPECIFIED
    assert options.Extensions[annotations_pb2.http].WhichOneof("pattern")


@every_method
def test_a_client_never_streams(rpc: MethodDescriptor) -> None:
    """Half of the clients cannot."""
    assert not rpc.client_streaming


def test_no_two_methods_share_a_rest_path() -> None:
    """The edge would take the first."""
    rules = [rpc.GetOptions().Extensions[annotations_pb2.http] for rpc in METHODS]
    places = [(kind := rule.WhichOneof("pattern"), re.sub(r"\{.*?\}", "*", getattr(rule, kind))) for rule in rules]
    assert len(places) == len(set(places))


def message(field: FieldDescriptor) -> Descriptor:
    """Give what a field holds."""
    assert field.message_type is not None
    return field.message_type


@pytest.mark.parametrize("rpc", STREAMS, ids=lambda rpc: rpc.full_name)
def test_every_stream_has_items_gap_heartbeat_and_cursor(rpc: MethodDescriptor) -> None:
    """One follower reads them all, and arbig.fanout writes them by their numbers."""
    fields = rpc.output_type.fields_by_number
    assert fields[1].is_repeated
    assert message(fields[1])
    assert [fields[number].name for number in (2, 3, 4)] == ["gap", "heartbeat", "cursor"]
    kinds = [message(fields[number]).full_name for number in (2, 3, 4)]
    assert kinds == [f"arbig.stream.v1.{name}" for name in ("Gap", "Heartbeat", "Cursor")]
    assert message(rpc.input_type.fields_by_name["after"]).full_name == "arbig.stream.v1.Cursor"


@pytest.mark.parametrize(("rpc", "topic"), TOPICS, ids=[topic.template for _, topic in TOPICS])
def test_a_topic_names_fields_that_there_are(rpc: MethodDescriptor, topic: options_pb2.Topic) -> None:
    """A STATE of many items says by which key; an EVENT is resumed by the seq of the stream's element."""
    first, *rest = topic.field.split(".")
    element = item = message(rpc.output_type.fields_by_name[first])
    for part in rest:
        item = message(item.fields_by_name[part])
    named = [*re.findall(r"\{(\w+)\}", topic.template), *topic.key]
    assert [name for name in named if name not in item.fields_by_name] == []
    if topic.kind == options_pb2.TOPIC_KIND_STATE:
        assert topic.key or "{" not in topic.template
    else:
        assert topic.kind == options_pb2.TOPIC_KIND_EVENT
        assert "seq" in element.fields_by_name


def test_no_two_streams_carry_one_topic() -> None:
    """A browser names a topic, not a stream."""
    names = [topic.template.split(".")[0] for _, topic in TOPICS]
    assert len(names) == len(set(names))


def imports(tree: ast.AST) -> Iterator[str]:
    """Give the top-level names of what a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("path", PURE)
def test_time_and_randomness_come_as_arguments(path: str) -> None:
    """That is what makes a story repeatable, and its tests short."""
    tree = ast.parse((ROOT / path).read_text())
    assert not WAITING & set(imports(tree))
    assert not CLOCKS & {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("library", KEEPERS)
def test_a_library_is_known_to_its_keepers_alone(library: str) -> None:
    """Everybody else meets what they make of it."""
    sources = itertools.chain.from_iterable((ROOT / house).rglob("*.py") for house in HOUSES)
    users = [path.relative_to(ROOT).as_posix() for path in sources if library in imports(ast.parse(path.read_text()))]
    assert [user for user in users if not user.startswith(KEEPERS[library])] == []
