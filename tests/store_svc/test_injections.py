"""Injected SQL is text like any other: it comes back as it was, and finds itself alone."""

from arbig.store.v1 import log_pb2 as lg
from arbig.store.v1 import strategy_pb2 as st
from tests.store_svc.injections import INJECTIONS, lower
from tests.store_svc.strategies_and_logs import Served, config, record, trigger


async def test_texts_of_strategies_come_back_and_find_themselves(served: Served) -> None:
    await served.call(st.CreateStrategyRequest(config=config("plain")))
    for number, text in enumerate(INJECTIONS):
        given = config(f"s{number}", strategy_class=text, description=text, parameters={text: text, "in": [text]})
        made = (await served.call(st.CreateStrategyRequest(config=given))).config
        (change,) = await served.listed(st.ListStrategyChangesRequest(strategy=given.strategy))
        for one in (made, change.config):
            assert (one.strategy_class, one.description, one.parameters) == (text, text, given.parameters)
    for text in INJECTIONS:
        found = await served.listed(st.ListStrategiesRequest(text=text))
        assert len(found) == sum(lower(text) in lower(other) for other in INJECTIONS), text
        assert await served.listed(st.ListStrategyChangesRequest(strategy="plain", page_size=1))
    assert len(await served.listed(st.ListStrategiesRequest())) == len(INJECTIONS) + 1


async def test_texts_of_triggers_come_back_and_find_themselves(served: Served) -> None:
    await served.call(st.RecordTriggerRequest(trigger=trigger("plain", condition="plain")))
    for number, text in enumerate(INJECTIONS):
        name = f"t{number}"
        given = trigger(name, condition=text, error_message=text, account_id=text[:50], client_order_id=text)
        await served.call(st.RecordTriggerRequest(trigger=given))
        change = st.UpdateTriggerRequest(strategy="grid", trigger_id=name, client_order_id=text, error_message=text)
        made = (await served.call(change)).trigger
        assert (made.condition, made.error_message, made.account_id) == (text, text, text[:50])
        assert made.client_order_id == text
    for text in INJECTIONS:
        found = await served.listed(st.ListTriggersRequest(text=text))
        assert len(found) == sum(lower(text) in lower(other) for other in INJECTIONS), text
        assert await served.listed(st.ListTriggersRequest(strategy=text)) == []
    assert len(await served.listed(st.ListTriggersRequest())) == len(INJECTIONS) + 1


async def test_texts_of_logs_come_back_and_find_themselves(served: Served) -> None:
    given = [record(text, module=text, details={text: text}) for text in INJECTIONS]
    await served.call(lg.WriteLogsRequest(records=[record("plain"), *given]))
    for text in INJECTIONS:
        (found,) = await served.listed(lg.ListLogsRequest(module=text))
        assert (found.message, found.module, dict(found.details)) == (text, text, {text: text})
        found = await served.listed(lg.ListLogsRequest(text=text))
        assert len(found) == sum(lower(text) in lower(other) for other in INJECTIONS), text
        assert await served.listed(lg.ListLogsRequest(service=text)) == []
    assert len(await served.listed(lg.ListLogsRequest())) == len(INJECTIONS) + 1
