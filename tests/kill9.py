"""Kill the mesh's processes while orders flow, and count what went wrong.

python -m tests.kill9 --kills 200 [--seed 1] [--services trade,front]
"""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from arbig.trade.v1 import trade_pb2 as pb
from tests.mesh.harness import clients, running
from tests.mesh.test_kill9 import SERVICES, all_agree, kill_in_turn
from trade_svc.orders import memo_of


async def loop(kills: int, seed: int, services: list[str]) -> int:
    """Kill so often; give how much went wrong."""
    chance = random.Random(seed)
    victims = chance.choices(services, k=kills)
    with (
        tempfile.TemporaryDirectory() as directory,
        running(Path(directory), "--no-edge", "--redis", "none") as mesh,
    ):
        began = time.monotonic()
        async with clients(mesh) as opened:
            sent = await kill_in_turn(mesh, opened, victims)
            await all_agree(opened)
            known = {event.order.client_order_id for event in await opened.journal() if event.HasField("order")}
            memos = Counter(order.order_memo for order in (await opened.books()).orders)
            orders = (await opened.trade.ListOrders(pb.ListOrdersRequest())).orders
        took = time.monotonic() - began
    ours = {memo_of(name) for name in known}
    unknown = [memo for memo in memos if memo not in ours]
    absent = [order for order in orders if not memos[memo_of(order.client_order_id)]]
    ends = Counter(f"{pb.OrderState.Name(order.state)} ({order.status_text})" for order in absent)
    # An order may be absent only if the book says that it never came there.
    lost = (set(sent) - known) | {order.client_order_id for order in absent if order.state != pb.ORDER_STATE_REJECTED}
    twice = [memo for memo, count in memos.items() if count > 1]
    print(f"{kills} kills ({', '.join(f'{name} {victims.count(name)}' for name in services)}) in {took:.0f} s")
    print(f"{len(sent)} orders acknowledged, {len(orders)} in the book, {len(memos)} at the exchange")
    print(f"{len(absent)} never came there: {dict(ends)}")
    print(f"{len(unknown)} orders at the exchange that the journal does not know")
    print(f"{len(lost)} acknowledged orders lost")
    print(f"{len(twice)} duplicates")
    return len(unknown) + len(lost) + len(twice)


def main() -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill9", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--services", default=",".join(SERVICES))
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    return asyncio.run(loop(options.kills, options.seed, options.services.split(",")))


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
