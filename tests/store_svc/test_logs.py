"""Log records: written once, all or none, and found again."""

import asyncio
from datetime import UTC, datetime

import grpc
import pytest

from arbig.store.v1 import log_pb2 as pb
from arbig.store.v1 import store_pb2
from tests.store_svc.strategies_and_logs import DEADLINE, THEN, Served, record

LEVELS = pb.LogLevel.values()[1:]


async def write(served: Served, *records: pb.LogRecord) -> int:
    return int((await served.call(pb.WriteLogsRequest(records=records))).written)


async def said(served: Served, **filters: object) -> list[str]:
    request = pb.ListLogsRequest(**{"page_size": 2, **filters})  # type: ignore[arg-type]
    return [one.message for one in await served.listed(request)]


async def test_a_record_comes_back_as_it_was_given(served: Served) -> None:
    """Without an id it gets one; details are any JSON object, or none."""
    details = {"why": "gone", "lag": 0.5, "seq": 2**52, "trace": None, "文": ["\U0001f600", {}]}
    given = record("multi\nline\0\U0001f600", log_id="host-1-2", details=details)
    bare = record("bare", module="")
    assert await write(served, given, bare) == 2
    second, first = await served.listed(pb.ListLogsRequest())
    given.seq, bare.seq, bare.log_id = 1, 2, second.log_id
    assert (first, second) == (given, bare)
    assert len(second.log_id) == 32


async def test_a_record_is_written_once(served: Served) -> None:
    """A call may be repeated, in part or whole, and name a record twice."""
    a, b, c = (record(name, log_id=name) for name in "abc")
    assert await write(served, b, a, b) == 2
    assert await write(served, a, b, c) == 1
    assert await write(served, a, b, c) == 0
    assert await write(served) == 0
    found = await served.listed(pb.ListLogsRequest(sort=store_pb2.SORT_ORDER_OLDEST_FIRST))
    assert [(one.seq, one.message) for one in found] == [(1, "b"), (2, "a"), (3, "c")]


async def test_a_call_is_written_wholly_or_not_at_all(served: Served) -> None:
    refused = await served.refused(pb.WriteLogsRequest(records=[record("good"), record("")]))
    assert refused == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "records[1].message")
    assert await said(served) == []


async def test_a_thousand_records_are_one_transaction(served: Served) -> None:
    most = [record(str(number), log_id=str(number)) for number in range(1000)]
    assert await write(served, *most) == 1000
    assert await write(served, *most) == 0
    refused = await served.refused(pb.WriteLogsRequest(records=[*most, record()]))
    assert refused == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "records")
    assert [one.seq for one in await served.listed(pb.ListLogsRequest(page_size=333))] == list(range(1000, 0, -1))


async def test_filters_narrow_the_list(served: Served) -> None:
    """A level means itself and graver ones; a text is looked for as it stands."""
    for level in LEVELS:
        name = pb.LogLevel.Name(level)[len("LOG_LEVEL_") :].lower()
        await write(served, record(f"100% {name}_x", level=level, service=name, module=f"m.{name}"))
    assert await said(served) == [f"100% {name}_x" for name in ("critical", "error", "warning", "info", "debug")]
    assert await said(served, min_level=pb.LOG_LEVEL_ERROR) == ["100% critical_x", "100% error_x"]
    assert await said(served, service="info") == await said(served, module="m.info") == ["100% info_x"]
    assert await said(served, service="Info") == []
    assert await said(served, text="% ERROR_") == ["100% error_x"]
    assert await said(served, text="100_") == []


async def test_times_are_a_range_without_its_end(served: Served) -> None:
    for second in (1, 2, 3):
        await write(served, record(str(second), time=THEN.replace(second=second)))
    first, end = THEN.replace(second=2), THEN.replace(second=3)
    assert await said(served, first_time=first) == ["3", "2"]
    assert await said(served, end_time=end) == ["2", "1"]
    assert await said(served, first_time=first, end_time=end) == ["2"]


async def test_records_that_arrive_meanwhile_move_no_page(served: Served) -> None:
    await write(served, *(record(str(number)) for number in range(4)))
    page = await served.call(pb.ListLogsRequest(page_size=2))
    await write(served, record("new"))
    rest = await served.call(pb.ListLogsRequest(page_size=2, page_token=page.next_page_token))
    assert [one.message for one in (*page.records, *rest.records)] == ["3", "2", "1", "0"]
    assert not rest.next_page_token


async def test_old_records_are_removed_while_the_service_runs(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store_svc.logs.service.PRUNE_SECONDS", 0.02)
    await write(served, record("old", time=THEN.replace(year=2001)), record("young", time=datetime.now(UTC)))
    task = asyncio.create_task(served.system_logs.run())
    async with asyncio.timeout(DEADLINE):
        while await said(served) != ["young"]:
            await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()
