"""Which listener serves which contract to the outside."""

from google.protobuf.descriptor import ServiceDescriptor

from arbig.market.v1 import market_pb2
from arbig.store.v1 import admin_pb2, history_pb2, log_pb2, store_pb2, strategy_pb2
from arbig.trade.v1 import trade_pb2

# The front's own service is not for the outside.
PUBLIC: tuple[tuple[str, ServiceDescriptor], ...] = (
    ("market", market_pb2.DESCRIPTOR.services_by_name["MarketService"]),
    ("trade", trade_pb2.DESCRIPTOR.services_by_name["TradeService"]),
    ("store", store_pb2.DESCRIPTOR.services_by_name["RecordService"]),
    ("store", strategy_pb2.DESCRIPTOR.services_by_name["StrategyService"]),
    ("store", log_pb2.DESCRIPTOR.services_by_name["LogService"]),
    ("store", history_pb2.DESCRIPTOR.services_by_name["TickHistoryService"]),
    ("store", admin_pb2.DESCRIPTOR.services_by_name["AdminService"]),
)
LISTENERS = tuple(dict.fromkeys(listener for listener, _ in PUBLIC))
