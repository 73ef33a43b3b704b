"""Every field of every request that writes: what it may not hold, and that it is named."""

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from arbig.store.v1 import log_pb2 as lg
from arbig.store.v1 import strategy_pb2 as st
from tests.store_svc.strategies_and_logs import THEN, Served, config, record, serving, trigger

NO_NAMES = ["", "a b", "a\n", "ä", "x" * 65, "a/b", "'; DROP TABLE sequences; --"]
NO_TIMES = [None, Timestamp(seconds=-(2**40)), Timestamp(seconds=2**40), Timestamp(nanos=-1), Timestamp(nanos=2**30)]
NO_PRICES = [math.nan, math.inf, -math.inf, 1e14]


def struct(**values: Any) -> Struct:
    made = Struct()
    made.update(values)
    return made


def deep(levels: int) -> Struct:
    """Nest lists so deeply."""
    made: Any = []
    for _ in range(levels - 2):
        made = [made]
    return struct(a=made)


NO_DOCUMENTS = [struct(a=math.nan), struct(a=[{"b": math.inf}]), struct(a="x" * 65_529), deep(21)]
DOCUMENTS = [struct(a=-1e300), struct(a="x" * 65_528), deep(20), Struct()]


def each(field: str, values: list[Any], *paths: str) -> list[tuple[dict[str, Any], str]]:
    """Give the field each of the values; it is refused under the path."""
    return [({field: value}, path) for value in values for path in paths or (field,)]


def update(expected: int = 1, paths: list[str] | None = None, **fields: Any) -> st.UpdateStrategyRequest:
    """Update the strategy; every field that is given is in the mask."""
    given = [path for path in fields if path != "strategy"] or ["description"]
    wanted = st.StrategyConfig(**{"strategy": "grid", **fields})
    mask = FieldMask(paths=given if paths is None else paths)
    return st.UpdateStrategyRequest(config=wanted, update_mask=mask, expected_version=expected)


OUTCOME = [
    *each("result", [7]),
    *each("account_id", ["x" * 51]),
    *each("client_order_id", ["x" * 101]),
    *each("volume", [-1]),
    *each("error_message", ["x" * 2001]),
    *each("execution_time", NO_TIMES[1:]),
]
CONFIG = [
    *each("strategy", NO_NAMES),
    *each("strategy_class", ["", "x" * 201]),
    *each("parameters", NO_DOCUMENTS),
    *each("description", ["x" * 2001]),
]
WRONG: list[tuple[Message, str]] = [
    *(
        (st.CreateStrategyRequest(config=config(**{"strategy": "new", **fields})), f"config.{path}")
        for fields, path in CONFIG
    ),
    *((update(**fields), f"config.{path}") for fields, path in CONFIG),
    *(
        (update(paths=paths), "update_mask")
        for paths in ([], ["strategy"], ["active"], ["version"], ["nonsense"], [""])
    ),
    (update(paths=["description", "active"]), "update_mask"),
    (update(expected=0, description="x"), "expected_version"),
    *(
        (kind(strategy=name), "strategy")
        for name in NO_NAMES
        for kind in (st.ActivateStrategyRequest, st.DeactivateStrategyRequest, st.DeleteStrategyRequest)
    ),
    *(
        (st.RecordTriggerRequest(trigger=trigger(**fields)), f"trigger.{path}")
        for fields, path in [
            *each("strategy", NO_NAMES),
            *each("trigger_id", NO_NAMES),
            *each("time", NO_TIMES),
            *each("condition", ["", "x" * 2001]),
            *each("price", NO_PRICES),
            *each("signal", [0, 9]),
            *each("action", [0, 9]),
            *OUTCOME,
        ]
    ),
    *(
        (st.UpdateTriggerRequest(**{"strategy": "grid", "trigger_id": "t1", **fields}), path)
        for fields, path in [*each("strategy", NO_NAMES), *each("trigger_id", NO_NAMES), *OUTCOME]
    ),
    *(
        (lg.WriteLogsRequest(records=[record(), record(**fields)]), f"records[1].{path}")
        for fields, path in [
            *each("log_id", NO_NAMES[1:]),
            *each("time", NO_TIMES),
            *each("level", [0, 9]),
            *each("service", NO_NAMES),
            *each("module", ["x" * 201]),
            *each("message", ["", "x" * 8001]),
            *each("details", NO_DOCUMENTS),
        ]
    ),
]
# Filters of what is read.
WRONG += [
    (st.GetStrategyRequest(), "strategy"),
    (st.GetStrategyStatusRequest(), "strategy"),
    (st.ListStrategyChangesRequest(), "strategy"),
    (st.ListStrategiesRequest(page_size=-1), "page_size"),
    (st.ListStrategiesRequest(page_token="x"), "page_token"),  # noqa: S106
    (st.ListTriggersRequest(results=[9]), "results"),  # type: ignore[list-item]
    (st.ListTriggersRequest(signals=[st.SIGNAL_BUY, 9]), "signals"),  # type: ignore[list-item]
    (st.ListTriggersRequest(sort=9), "sort"),  # type: ignore[arg-type]
    (st.ListTriggersRequest(first_trading_day="2026-03-09"), "first_trading_day"),
    (lg.ListLogsRequest(min_level=9), "min_level"),  # type: ignore[arg-type]
    (lg.ListLogsRequest(first_time=NO_TIMES[1]), "first_time"),
    (lg.ListLogsRequest(end_time=NO_TIMES[2]), "end_time"),
    (lg.ListLogsRequest(sort=9), "sort"),  # type: ignore[arg-type]
]


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Served]:
    """Serve both services on SQLite: what is refused never reaches the database."""
    async with serving(f"sqlite+aiosqlite:///{tmp_path / 'test.db'}", tmp_path) as made:
        yield made


async def test_what_a_field_may_not_hold_is_refused_by_its_name(local: Served) -> None:
    await local.call(st.CreateStrategyRequest(config=config()))
    for request, field in WRONG:
        status, reason, named = await local.refused(request)
        assert (status, named) == (grpc.StatusCode.INVALID_ARGUMENT, field), request
        assert reason == "INVALID_FIELD"
    assert len(await local.listed(st.ListStrategyChangesRequest(strategy="grid"))) == 1
    assert await local.listed(st.ListTriggersRequest()) == await local.listed(lg.ListLogsRequest()) == []


async def test_what_just_fits_is_kept(served: Served) -> None:
    """The longest texts, the deepest object, the first and the last year."""
    name = "azAZ09._:-" + "x" * 54
    for number, document in enumerate(DOCUMENTS):
        full = config(f"s{number}", strategy_class="文" * 200, parameters=document, description="\U0001f600" * 2000)
        assert (await served.call(st.CreateStrategyRequest(config=full))).config.parameters == document
        await served.call(lg.WriteLogsRequest(records=[record(details=document)]))
    for year in (1000, 9999):
        texts = {"condition": "文" * 2000, "error_message": "文" * 2000, "account_id": "x" * 50}
        given = trigger(name, strategy=name[:-1] + str(year % 7), time=THEN.replace(year=year), **texts)
        given.client_order_id, given.price, given.volume = "x" * 100, 99_999_999_999_999, 2**31 - 1
        made = (await served.call(st.RecordTriggerRequest(trigger=given))).trigger
        assert [getattr(made, field) for field in texts] == list(texts.values())
        assert (made.time, made.price, made.volume) == (given.time, given.price, given.volume)
    longest = record("\U0001f600" * 8000, log_id=name, service=name, module="文" * 200)
    await served.call(lg.WriteLogsRequest(records=[longest]))
    (found, *rest) = await served.listed(lg.ListLogsRequest())
    assert (found.message, found.module) == (longest.message, longest.module)
    assert [one.details for one in reversed(rest)] == DOCUMENTS
