"""StrategyService's calls about triggers."""

from collections.abc import AsyncIterator

from arbig.server import Context
from arbig.store.v1 import strategy_pb2 as pb
from store_svc.clock import now
from store_svc.database import Database
from store_svc.lists import as_asked, page
from store_svc.sequences import TRIGGERS
from store_svc.strategies import triggers
from store_svc.strategies.triggers import TRIGGER
from store_svc.tables.schema import strategy_triggers
from store_svc.tail import Stream, Tail

STREAM = Stream(TRIGGERS, strategy_triggers, TRIGGER.from_row, pb.SubscribeTriggersResponse)


class TriggerCalls:
    """Triggers; the contract says what each call does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._triggers = Tail(database, STREAM)

    async def RecordTrigger(self, request: pb.RecordTriggerRequest, _: Context) -> pb.RecordTriggerResponse:  # noqa: N802
        """Record that a strategy's condition was met."""
        triggers.check_new(request.trigger)
        trigger = await self._triggers.write(lambda on: triggers.record(on, request.trigger, now()))
        return pb.RecordTriggerResponse(trigger=trigger)

    async def UpdateTrigger(self, request: pb.UpdateTriggerRequest, _: Context) -> pb.UpdateTriggerResponse:  # noqa: N802
        """Say what became of a trigger."""
        triggers.check_change(request)
        trigger = await self._triggers.write(lambda on: triggers.change(on, request, now()))
        return pb.UpdateTriggerResponse(trigger=trigger)

    async def ListTriggers(self, request: pb.ListTriggersRequest, _: Context) -> pb.ListTriggersResponse:  # noqa: N802
        """List triggers, by when they were recorded."""
        listed = page(request, triggers.listed(request), as_asked(request, ["-first_seq"]), TRIGGER.from_row)
        found, token = await self._database.ask(listed)
        return pb.ListTriggersResponse(triggers=found, next_page_token=token)

    async def SubscribeTriggers(self, request: pb.SubscribeTriggersRequest, _: Context) -> AsyncIterator[bytes]:  # noqa: N802
        """Follow the triggers."""
        where = [strategy_triggers.c.strategy == request.strategy] if request.strategy else []
        async for response in self._triggers.follow(request, where):
            yield response
