"""What must hold at the end of every scenario: our books are the exchange's, and the disk has them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from arbig.trade.v1 import trade_pb2 as pb
from ctp_front.orders import INSERT_REJECTED
from ctp_front.position import HISTORY, LONG
from tests.simulate.venue import ACCOUNT
from tests.trade_svc.mirror import CENT, ENDS
from trade_svc.orders import memo_of, trade_key

if TYPE_CHECKING:
    from ctp_front.orders import Order
    from tests.simulate.world import World


def verdict(world: "World") -> list[str]:
    """Give what does not agree."""
    return [
        *_sent(world),
        *_orders(world),
        *_trades(world),
        *_positions(world),
        *_money(world),
        *_disk(world),
    ]


def _sent(world: "World") -> Iterator[str]:
    for memo in world.sent_twice():
        yield f"order with memo {memo} was sent twice"
    for name in world.acknowledged:
        if name not in world.disk.orders:
            yield f"{name} was acknowledged and is lost"


def _orders(world: "World") -> Iterator[str]:
    book, exchange = world.service.trader.book, world.venue.exchange
    ours = {memo_of(name): order for name, order in book.orders.items() if not order.external}
    theirs = {order.memo: order for order in exchange.orders if order.memo}
    for memo, order in theirs.items():
        if memo not in ours:
            yield f"the exchange has {memo}, which we do not know"
        elif ours[memo].trading_day == exchange.trading_day:
            yield from _one(ours[memo], order)
    for memo, mine in ours.items():
        if mine.trading_day == exchange.trading_day and memo not in theirs and mine.state != pb.ORDER_STATE_REJECTED:
            yield f"{mine.client_order_id} is {pb.OrderState.Name(mine.state)}, the exchange has no such order"
    external = sum(order.external and order.trading_day == exchange.trading_day for order in book.orders.values())
    if external != sum(not order.memo for order in exchange.orders):
        yield f"{external} orders of other terminals adopted"


def _one(mine: pb.Order, theirs: "Order") -> Iterator[str]:
    name = f"{mine.client_order_id} is {pb.OrderState.Name(mine.state)}"
    if mine.filled_volume != theirs.traded:
        yield f"{name}: filled {mine.filled_volume}, at the exchange {theirs.traded}"
    wanted = ENDS[theirs.status]
    if theirs.submit_status == INSERT_REJECTED:
        wanted = pb.ORDER_STATE_REJECTED
    if mine.state != wanted:
        yield f"{name}, at the exchange {theirs.status} traded {theirs.traded} of {theirs.volume}"


def _trades(world: "World") -> Iterator[str]:
    exchange = world.venue.exchange
    theirs = {(trade.trade_id.strip(), trade.direction): trade.volume for trade in exchange.trades}
    direction = {pb.DIRECTION_BUY: "0", pb.DIRECTION_SELL: "1"}
    ours = {
        (trade.trade_id, direction[trade.direction]): trade.volume
        for trade in world.service.trader.book.trades.values()
        if trade.trading_day == exchange.trading_day
    }
    if ours != theirs:
        yield f"trades: ours {ours}, the exchange's {theirs}"


def _positions(world: "World") -> Iterator[str]:
    holdings = world.venue.exchange.account(ACCOUNT).holdings
    theirs = {(key.side, key.date == HISTORY): holding.volume for key, holding in holdings.items()}
    ours: dict[tuple[str, bool], int] = {}
    for one in world.service.trader.positions():
        side = LONG if one.side == pb.POSITION_SIDE_LONG else "3"
        ours |= {(side, True): one.yesterday, (side, False): one.today}
    for key in theirs.keys() | ours.keys():
        if theirs.get(key, 0) != ours.get(key, 0):
            yield f"lots {key}: ours {ours.get(key, 0)}, the exchange's {theirs.get(key, 0)}"


def _money(world: "World") -> Iterator[str]:
    exchange, world_money = world.venue.exchange, world.service.trader.money()
    account = exchange.account(ACCOUNT)
    theirs = exchange.money(account)
    if world_money is None:
        yield "our money cannot be reckoned"
        return
    pairs = {
        "balance": (world_money.balance, theirs.balance),
        "available": (world_money.available, theirs.available),
        "margin": (world_money.margin, theirs.margin),
        "commission": (world_money.commission, account.commission),
        "close profit": (world_money.close_profit, account.close_profit),
        "position profit": (world_money.position_profit, theirs.position_profit),
    }
    for name, (mine, broker) in pairs.items():
        if abs(mine - broker) > CENT:
            yield f"{name}: ours {mine:.2f}, the exchange's {broker:.2f}"


def _disk(world: "World") -> Iterator[str]:
    for order in world.service.trader.book.orders.values():
        if world.disk.orders.get(order.client_order_id) != order:
            yield f"{order.client_order_id} is not on the disk as it is"
    yield from world.disk.changed_after_the_end
    keys = [trade_key(trade) for trade in world.disk.trades]
    if len(keys) != len(set(keys)):
        yield "a trade is in the journal twice"
    if missing := world.service.trader.book.trades.keys() - set(keys):
        yield f"trades {missing} are not in the journal"
