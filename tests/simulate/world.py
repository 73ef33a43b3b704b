"""One scenario: a seed decides what happens next, and at the end all books must agree."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from arbig.ctp.spi import Push
from arbig.errors import ArbigError
from arbig.trade.v1 import trade_pb2 as pb
from tests.ctp_front.makers import SYMBOL
from tests.simulate.disk import Disk
from tests.simulate.service import Service, Unsafe, now_of
from tests.simulate.tasks import Task
from tests.simulate.venue import Venue
from trade_svc.trading import Clock

STEPS = 60
SETTLING_STEPS = 4_000
_DIRECTIONS = (pb.DIRECTION_BUY, pb.DIRECTION_SELL)
_OFFSETS = (
    *[pb.OFFSET_OPEN] * 4,
    *[pb.OFFSET_CLOSE_TODAY] * 2,
    pb.OFFSET_CLOSE_YESTERDAY,
    pb.OFFSET_CLOSE,
    *[pb.OFFSET_AUTO] * 2,
)
_TYPES = (*[pb.ORDER_TYPE_LIMIT] * 4, pb.ORDER_TYPE_FAK, pb.ORDER_TYPE_FAK, pb.ORDER_TYPE_FOK, pb.ORDER_TYPE_MARKET)


class World:
    """The service, the venue, callers, and the chance that drives them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.venue = Venue(self.chance)
        self.disk = Disk()
        self.acknowledged: dict[str, pb.Order] = {}
        self.trace: list[str] = []
        self._ms = 0
        self._clock = Clock(lambda: now_of(self._ms), lambda: self._ms)
        self._asked: dict[str, pb.SubmitOrderRequest | pb.ClosePositionRequest] = {}
        self._calls: list[tuple[str, Task]] = []
        if seed % 3:
            self._begin_with_lots()
        self.service = self._start()
        end_day = [(3, self._end_day)] if seed % 2 else []
        self._actions: list[tuple[int, Callable[[], object]]] = [
            (16, self._submit), (8, self._again), (8, self._cancel), (4, self._close), (1, self._stop),
            (3, self._change_state), (36, self._go_on), (8, self._reconcile), (10, self._move),
            (3, self.venue.another_terminal),
            (1, self._cut), (14, self._log_in), (1, self._kill), (1, self._overdue), (4, self._disturb), *end_day,
        ]  # fmt: skip
        self._weights = [weight for weight, _ in self._actions]

    def _begin_with_lots(self) -> None:
        """Let the day begin with lots of the day before."""
        for _ in range(4):
            self.venue.another_terminal()
            self.venue.move()
        self.venue.end_day()

    def _start(self) -> Service:
        return Service(self.disk, self.venue, self.chance, self._clock)

    def run(self) -> list[str]:
        """Let things happen, then let them settle; give what does not agree."""
        from tests.simulate.verdict import verdict

        try:
            self._settle()
            for _, action in self.chance.choices(self._actions, self._weights, k=STEPS):
                self._ms += self.chance.randint(0, 400)
                self.trace.append(action.__name__.strip("_"))
                action()
                self._collect()
            if not self._settle():
                trader = self.service.trader
                return [f"never settles: {pb.Readiness.Name(trader.readiness)} {trader.reason}"]
            return verdict(self)
        except Unsafe as error:
            return [str(error)]
        finally:
            self.service.tasks.kill()

    # What callers do.

    def _submit(self) -> None:
        chance, name = self.chance, f"o{len(self._asked)}"
        kind = chance.choice(_TYPES)
        price = 0.0 if kind == pb.ORDER_TYPE_MARKET else round(800.0 + chance.randint(-12, 12) * 0.02, 2)
        request = pb.SubmitOrderRequest(
            client_order_id=name,
            symbol=SYMBOL,
            direction=chance.choice(_DIRECTIONS),
            offset=chance.choice(_OFFSETS),
            type=kind,
            price=price,
            volume=chance.randint(1, 3),
        )
        self._call(name, request)

    def _call(self, name: str, request: pb.SubmitOrderRequest | pb.ClosePositionRequest) -> None:
        self._asked[name] = request
        trading = self.service.trading
        work: Any = (
            trading.close_position(request) if isinstance(request, pb.ClosePositionRequest) else trading.submit(request)
        )
        self._calls.append((name, self.service.tasks.start(name, work)))

    def _again(self) -> None:
        if self._asked:
            # More often an older one, which may be of an earlier day.
            name = list(self._asked)[min(self.chance.randrange(len(self._asked)) for _ in range(2))]
            self._call(name, self._asked[name])

    def _close(self) -> None:
        name = f"c{len(self._asked)}"
        sides = (pb.POSITION_SIDE_LONG, pb.POSITION_SIDE_SHORT)
        policies = (pb.CLOSE_POLICY_OLDEST_FIRST, pb.CLOSE_POLICY_TODAY_FIRST, pb.CLOSE_POLICY_CHEAPEST_FIRST)
        request = pb.ClosePositionRequest(
            client_order_id=name,
            symbol=SYMBOL,
            side=self.chance.choice(sides),
            policy=self.chance.choice(policies),
            type=pb.ORDER_TYPE_FAK,
            price=round(800.0 + self.chance.randint(-6, 6) * 0.02, 2),
        )
        self._call(name, request)

    def _cancel(self) -> None:
        working = [order.client_order_id for order in self.service.trader.book.working()]
        if working:
            self.service.tasks.start("cancel", self.service.trading.cancel(self.chance.choice(working)))

    def _stop(self) -> None:
        self.service.tasks.start("stop", self.service.trading.emergency_stop("simulated"))

    def _change_state(self) -> None:
        states = (*[pb.TRADING_STATE_ACTIVE] * 4, pb.TRADING_STATE_REDUCING)
        self.service.tasks.start("state", self.service.trading.set_state(self.chance.choice(states), ""))

    def _collect(self) -> None:
        """Note which calls were answered: what was acknowledged must never be lost."""
        waiting = []
        for name, task in self._calls:
            if not task.done:
                waiting.append((name, task))
            elif task.error is None:
                found = task.result if isinstance(task.result, list) else [task.result]
                self.acknowledged |= {order.client_order_id: order for order in found}
            elif not isinstance(task.error, ArbigError):
                raise task.error
        self._calls = waiting

    # What the machines do.

    def _go_on(self) -> None:
        """Let the machines work for a while, in any order."""
        machines = (self._step, self._step, self._commit, self._take, self._hear)
        for action in self.chance.choices(machines, k=self.chance.randint(1, 30)):
            action()
            self._collect()

    def _step(self) -> None:
        if self.service.tasks.ready:
            self.service.tasks.step()

    def _commit(self) -> None:
        self.disk.commit()

    def _take(self) -> None:
        if self.venue.inbound:
            self.venue.take()

    def _hear(self) -> None:
        if self.venue.outbound and self.service.link_up:
            self.service.hear()

    def _disturb(self) -> None:
        """Let a callback come twice, or after the one behind it."""
        outbound = self.venue.outbound
        if len(outbound) > 1 and self.chance.random() < 0.5:
            outbound[0], outbound[1] = outbound[1], outbound[0]
        elif outbound and isinstance(outbound[0], Push):
            outbound.append(outbound[0])

    def _move(self) -> None:
        self.venue.move()
        self.service.see_prices()

    def _cut(self) -> None:
        if self.service.link_up:
            self.venue.cut()
            self.service.lose_link()

    def _reconcile(self) -> None:
        """Let the operator look into what halted the service."""
        if self.service.link_up and self.service.trader.readiness == pb.READINESS_HALTED:
            self.service.tasks.start("agree", self.service.agree())

    def _log_in(self) -> None:
        if not self.service.link_up:
            self.service.log_in()

    def _overdue(self) -> None:
        if self.service.link_up and self.service.trading.look_for_overdue(2):
            self.service.tasks.start("agree", self.service.agree())

    def _end_day(self) -> None:
        if self.venue.days_left:
            was_up = self.service.link_up
            self.venue.end_day()
            if was_up:
                self.service.lose_link()

    def _kill(self) -> None:
        self.service.kill()
        if self.venue.up:
            self.venue.cut()
        self._calls.clear()
        self.service = self._start()

    # The end.

    def _settle(self) -> bool:
        """Let everything arrive, and log in once more: then nothing may be open."""
        self._cut()
        for _ in range(SETTLING_STEPS):
            self._log_in()
            busy = bool(self.service.tasks.ready or self.disk.waiting or self.venue.inbound or self.venue.outbound)
            for action in (self._step, self._commit, self._take, self._hear):
                action()
            self._collect()
            if not busy:
                return self.service.trader.readiness == pb.READINESS_READY
        return False

    def sent_twice(self) -> list[str]:
        """Give the memos that reached the front more than once."""
        return [memo for memo, count in Counter(self.venue.inserted).items() if count > 1]
