"""StrategyService: strategies, asked and told over gRPC."""

from store_svc.database import Database
from store_svc.strategies.config_calls import ConfigCalls
from store_svc.strategies.trigger_calls import TriggerCalls

NAME = "arbig.store.v1.StrategyService"


class StrategyService(ConfigCalls, TriggerCalls):
    """The contract's service is one; its calls are of two kinds."""

    def __init__(self, database: Database) -> None:
        ConfigCalls.__init__(self, database)
        TriggerCalls.__init__(self, database)
