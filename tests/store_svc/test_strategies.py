"""Configurations of strategies: changed by one caller at a time, and never forgotten."""

import asyncio
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from arbig.store.v1 import strategy_pb2 as pb
from tests.store_svc.strategies_and_logs import Served, config

KIND = pb.StrategyChangeKind.Name


def update(expected: int, *paths: str, **fields: object) -> pb.UpdateStrategyRequest:
    """Make an update of the strategy `grid`."""
    wanted = pb.StrategyConfig(strategy="grid", **fields)  # type: ignore[arg-type]
    return pb.UpdateStrategyRequest(
        config=wanted, update_mask=FieldMask(paths=paths or fields), expected_version=expected
    )


def activate(expected: int = 0) -> pb.ActivateStrategyRequest:
    return pb.ActivateStrategyRequest(strategy="grid", expected_version=expected)


def deactivate(expected: int = 0) -> pb.DeactivateStrategyRequest:
    return pb.DeactivateStrategyRequest(strategy="grid", expected_version=expected)


def delete(expected: int = 0) -> pb.DeleteStrategyRequest:
    return pb.DeleteStrategyRequest(strategy="grid", expected_version=expected)


async def create(served: Served, **fields: object) -> pb.StrategyConfig:
    reply = await served.call(pb.CreateStrategyRequest(config=config(**fields)))  # type: ignore[arg-type]
    return reply.config  # type: ignore[no-any-return]


async def get(served: Served) -> pb.StrategyConfig:
    reply = await served.call(pb.GetStrategyRequest(strategy="grid"))
    return reply.config  # type: ignore[no-any-return]


async def history(served: Served) -> list[tuple[str, int]]:
    """Give kind and version of each change, the oldest first."""
    changes = await served.listed(pb.ListStrategyChangesRequest(strategy="grid", page_size=2))
    return [(KIND(one.kind).removeprefix("STRATEGY_CHANGE_KIND_"), one.config.version) for one in reversed(changes)]


async def test_a_strategy_comes_back_as_it_was_given(served: Served) -> None:
    """Parameters are any JSON object, down to numbers that are whole."""
    parameters: dict[str, Any] = {"a": None, "b": [1, 2.5, -1e300, "文", {"c": True}], "d": {}, "e": []}
    made = await create(served, parameters=parameters, description="grid \U0001f600", active=True)
    assert made == await get(served)
    given = config(parameters=parameters, description="grid \U0001f600", active=True)
    assert (made.parameters, made.description, made.active) == (given.parameters, given.description, True)
    assert made.version == 1
    assert made.create_time == made.update_time


async def test_a_repeated_create_gives_the_strategy_back(served: Served) -> None:
    """After a broken call the caller just repeats it, also when the strategy was changed meanwhile."""
    made = await create(served)
    assert await create(served) == made
    await served.call(update(1, description="new"))
    assert (await create(served)).version == 2
    assert await history(served) == [("CREATED", 1), ("UPDATED", 2)]


async def test_a_name_is_given_to_one_strategy(served: Served) -> None:
    await create(served)
    others: list[dict[str, Any]] = [{"strategy_class": "x"}, {"parameters": {}}, {"active": True}, {"description": "x"}]
    for other in others:
        code, reason, _ = await served.refused(pb.CreateStrategyRequest(config=config(**other)))
        assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "STRATEGY_EXISTS")


async def test_an_update_changes_the_fields_of_its_mask_alone(served: Served) -> None:
    """Parameters are replaced whole."""
    await create(served, description="old")
    reply = await served.call(update(1, "parameters", parameters={"only": 1}, description="not in the mask"))
    assert dict(reply.config.parameters) == {"only": 1}
    assert (reply.config.description, reply.config.version) == ("old", 2)
    assert reply.config.update_time.ToDatetime() > reply.config.create_time.ToDatetime()
    reply = await served.call(update(2, "parameters"))
    assert dict(reply.config.parameters) == {}


async def test_true_is_not_1(served: Served) -> None:
    """Python takes them for equal; a strategy need not."""
    await create(served, parameters={"on": 1})
    assert (await served.refused(pb.CreateStrategyRequest(config=config(parameters={"on": True}))))[
        1
    ] == "STRATEGY_EXISTS"
    changed = (await served.call(update(1, parameters={"on": True}))).config
    assert (changed.version, changed.parameters["on"]) == (2, True)


async def test_who_saw_an_older_version_is_refused(served: Served) -> None:
    await create(served)
    await served.call(update(1, description="mine"))
    for stale in (update(1, description="yours"), update(3, description="mine"), activate(1), deactivate(7), delete(1)):
        code, reason, _ = await served.refused(stale)
        assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "VERSION_CHANGED"), stale
    assert await history(served) == [("CREATED", 1), ("UPDATED", 2)]


async def test_a_repeated_change_finds_itself_done(served: Served) -> None:
    """It changes nothing twice, and does not undo what came after it."""
    await create(served)
    first = await served.call(update(1, description="mine"))
    assert await served.call(update(1, description="mine")) == first
    await served.call(activate(2))
    assert (await served.call(activate(2))).config.version == 3
    assert (await served.call(update(1, description="mine"))).config.version == 3
    await served.call(update(3, description="yours"))
    assert (await served.refused(update(1, description="mine")))[1] == "VERSION_CHANGED"
    assert (await get(served)).description == "yours"
    assert await history(served) == [("CREATED", 1), ("UPDATED", 2), ("ACTIVATED", 3), ("UPDATED", 4)]


async def test_the_same_content_made_by_others_is_not_ours(served: Served) -> None:
    """Version 2 was another's change; that the description is as wanted now is chance."""
    await create(served)
    await served.call(update(1, description="theirs"))
    await served.call(update(2, description="mine"))
    assert (await served.refused(update(1, description="mine")))[1] == "VERSION_CHANGED"


async def test_a_change_that_changes_nothing_is_none(served: Served) -> None:
    await create(served)
    assert (await served.call(update(1, strategy_class="arb.Grid"))).config.version == 1
    assert (await served.call(deactivate(1))).config.version == 1
    await served.call(activate())
    assert (await served.call(activate())).config.version == 2
    assert await history(served) == [("CREATED", 1), ("ACTIVATED", 2)]


async def test_of_many_who_saw_the_same_version_one_wins(served: Served) -> None:
    await create(served)
    wishes = [update(1, description=f"of {number}") for number in range(8)]
    done = await asyncio.gather(*map(served.call, wishes), return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in done) == 1
    assert await history(served) == [("CREATED", 1), ("UPDATED", 2)]


async def test_an_active_strategy_is_not_deleted(served: Served) -> None:
    await create(served, active=True)
    code, reason, _ = await served.refused(delete())
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STRATEGY_ACTIVE")
    await served.call(deactivate(1))
    await served.call(delete(2))
    await served.call(delete(2))
    assert (await served.refused(pb.GetStrategyRequest(strategy="grid")))[:2] == (
        grpc.StatusCode.NOT_FOUND,
        "NO_SUCH_STRATEGY",
    )


async def test_a_strategy_that_comes_again_goes_on_counting(served: Served) -> None:
    """Who saw the old one cannot change the new one by mistake."""
    await create(served)
    await served.call(update(1, description="old"))
    await served.call(delete(2))
    assert (await create(served, description="again")).version == 3
    assert (await served.refused(update(2, description="late")))[1] == "VERSION_CHANGED"
    assert await history(served) == [("CREATED", 1), ("UPDATED", 2), ("DELETED", 2), ("CREATED", 3)]


async def test_what_is_not_there_cannot_be_changed(served: Served) -> None:
    for request in (update(1, description="x"), activate(), deactivate()):
        assert (await served.refused(request))[:2] == (grpc.StatusCode.NOT_FOUND, "NO_SUCH_STRATEGY")


async def test_strategies_are_listed_by_name_and_found_by_text(served: Served) -> None:
    """A letter of A-Z is the same as the one of a-z; % and _ are themselves."""
    for number, name in enumerate(("b", "B", "a.1", "C_x")):
        await create(served, strategy=name, active=name == "b", description=f"100% {number}")
    request = pb.ListStrategiesRequest

    async def names(wanted: pb.ListStrategiesRequest) -> list[str]:
        return [one.strategy for one in await served.listed(wanted)]

    assert await names(request(page_size=1)) == ["B", "C_x", "a.1", "b"]
    assert await names(request(active=True)) == ["b"]
    assert await names(request(text="c_X")) == ["C_x"]
    assert await names(request(text="0% 2")) == ["a.1"]
    assert await names(request(text="_", page_size=1)) == ["C_x"]
    assert await names(request(text="ARB.GRID")) == ["B", "C_x", "a.1", "b"]
    assert await names(request(text="nothing")) == []
