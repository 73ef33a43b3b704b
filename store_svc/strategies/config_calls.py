"""StrategyService's calls about configurations."""

from collections.abc import AsyncIterator

from sqlalchemy import select

from arbig.server import Context
from arbig.store.v1 import strategy_pb2 as pb
from store_svc.checks import Fields
from store_svc.clock import now
from store_svc.database import Database
from store_svc.lists import page
from store_svc.sequences import STRATEGIES
from store_svc.strategies import configs
from store_svc.strategies.configs import CONFIG, Seen, change_from_row
from store_svc.strategies.status import status
from store_svc.tables.schema import strategy_changes
from store_svc.tail import Stream, Tail

CHANGES = Stream(STRATEGIES, strategy_changes, change_from_row, pb.SubscribeStrategiesResponse)


class ConfigCalls:
    """Configurations; the contract says what each call does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes = Tail(database, CHANGES)

    async def CreateStrategy(self, request: pb.CreateStrategyRequest, _: Context) -> pb.CreateStrategyResponse:  # noqa: N802
        """Add a strategy."""
        configs.check_content(request.config, *configs.CONTENT)
        config = await self._changes.write(lambda on: configs.create(on, request.config, now()))
        return pb.CreateStrategyResponse(config=config)

    async def GetStrategy(self, request: pb.GetStrategyRequest, _: Context) -> pb.GetStrategyResponse:  # noqa: N802
        """Give one strategy's configuration."""
        Fields(request).name("strategy")
        config = await self._database.ask(lambda on: configs.find(on, request.strategy))
        return pb.GetStrategyResponse(config=config)

    async def ListStrategies(self, request: pb.ListStrategiesRequest, _: Context) -> pb.ListStrategiesResponse:  # noqa: N802
        """List strategies, in order of their names."""
        listed = page(request, configs.listed(request), ["strategy"], CONFIG.from_row)
        found, token = await self._database.ask(listed)
        return pb.ListStrategiesResponse(configs=found, next_page_token=token)

    async def UpdateStrategy(self, request: pb.UpdateStrategyRequest, _: Context) -> pb.UpdateStrategyResponse:  # noqa: N802
        """Change a strategy that is still what the caller saw."""
        configs.check_update(request)
        config = await self._changes.write(lambda on: configs.update(on, request, now()))
        return pb.UpdateStrategyResponse(config=config)

    async def ActivateStrategy(self, request: pb.ActivateStrategyRequest, _: Context) -> pb.ActivateStrategyResponse:  # noqa: N802
        """Let a strategy run."""
        seen = _seen(request)
        config = await self._changes.write(lambda on: configs.set_active(on, seen, now(), active=True))
        return pb.ActivateStrategyResponse(config=config)

    async def DeactivateStrategy(  # noqa: N802
        self, request: pb.DeactivateStrategyRequest, _: Context
    ) -> pb.DeactivateStrategyResponse:
        """Tell a strategy to stop."""
        seen = _seen(request)
        config = await self._changes.write(lambda on: configs.set_active(on, seen, now(), active=False))
        return pb.DeactivateStrategyResponse(config=config)

    async def DeleteStrategy(self, request: pb.DeleteStrategyRequest, _: Context) -> pb.DeleteStrategyResponse:  # noqa: N802
        """Take a strategy away."""
        seen = _seen(request)
        await self._changes.write(lambda on: configs.delete(on, seen, now()))
        return pb.DeleteStrategyResponse()

    async def ListStrategyChanges(  # noqa: N802
        self, request: pb.ListStrategyChangesRequest, _: Context
    ) -> pb.ListStrategyChangesResponse:
        """List what a strategy went through, the newest first."""
        Fields(request).name("strategy")
        where = [strategy_changes.c.strategy == request.strategy]
        listed = page(request, select(strategy_changes).where(*where), ["-seq"], change_from_row)
        found, token = await self._database.ask(listed)
        return pb.ListStrategyChangesResponse(changes=found, next_page_token=token)

    async def SubscribeStrategies(  # noqa: N802
        self, request: pb.SubscribeStrategiesRequest, _: Context
    ) -> AsyncIterator[bytes]:
        """Follow the changes."""
        where = [strategy_changes.c.strategy == request.strategy] if request.strategy else []
        async for response in self._changes.follow(request, where, configs.newest_of_each):
            yield response

    async def GetStrategyStatus(  # noqa: N802
        self, request: pb.GetStrategyStatusRequest, _: Context
    ) -> pb.GetStrategyStatusResponse:
        """Say how a strategy does."""
        Fields(request).name("strategy")
        return await self._database.read(lambda on: status(on, request.strategy))


def _seen(request: pb.ActivateStrategyRequest | pb.DeactivateStrategyRequest | pb.DeleteStrategyRequest) -> Seen:
    Fields(request).name("strategy")
    return Seen(request.strategy, request.expected_version)
