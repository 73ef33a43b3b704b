"""The part of the front's gRPC service that lets things go wrong, and shows prices on command."""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

from arbig.errors import InvalidField
from arbig.front.v1 import front_pb2 as pb
from ctp_front import clock, depth, faults, tids
from ctp_front.depth import LEVELS, Depth
from ctp_front.faults import AnswerFault, CallbackFault
from ctp_front.floor import Floor
from ctp_front.market_front import MarketFront
from ctp_front.orders import Refusal
from ctp_front.player import Player
from ctp_front.trade_front import TradeFront

_DISTURBANCES = {
    pb.DISTURBANCE_LOSE: faults.Disturbance.LOSE,
    pb.DISTURBANCE_DELAY: faults.Disturbance.DELAY,
    pb.DISTURBANCE_DUPLICATE: faults.Disturbance.DUPLICATE,
    pb.DISTURBANCE_REORDER: faults.Disturbance.REORDER,
}
_CALLBACKS: dict[int, tuple[int, ...]] = {
    pb.CALLBACK_UNSPECIFIED: (tids.RTN_ORDER, tids.RTN_TRADE, tids.ERR_ORDER_INSERT, tids.ERR_ORDER_ACTION),
    pb.CALLBACK_ORDER: (tids.RTN_ORDER,),
    pb.CALLBACK_TRADE: (tids.RTN_TRADE,),
    pb.CALLBACK_ERROR: (tids.ERR_ORDER_INSERT, tids.ERR_ORDER_ACTION),
}
_ANSWERS = {
    pb.ANSWER_LATE: faults.Answer.LATE,
    pb.ANSWER_NEVER: faults.Answer.NEVER,
    pb.ANSWER_UNHEARD: faults.Answer.UNHEARD,
    pb.ANSWER_ERROR: faults.Answer.ERROR,
}
_REQUESTS: dict[int, Callable[[int], bool]] = {
    pb.REQUEST_KIND_UNSPECIFIED: lambda tid: tid != tids.AUTHENTICATE,
    pb.REQUEST_KIND_LOGIN: lambda tid: tid == tids.LOGIN,
    pb.REQUEST_KIND_QUERY: tids.is_query,
    pb.REQUEST_KIND_ORDER: lambda tid: tid == tids.ORDER_INSERT,
    pb.REQUEST_KIND_CANCEL: lambda tid: tid == tids.ORDER_ACTION,
}
_FORMS = {
    pb.REFUSAL_FORM_RETURN: faults.RefusalForm.RETURN,
    pb.REFUSAL_FORM_ERROR: faults.RefusalForm.ERROR,
    pb.REFUSAL_FORM_BOTH: faults.RefusalForm.BOTH,
}
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d")


class FaultMethods:
    """Implements the methods of arbig.front.v1.FrontService that meddle with the exchange."""

    def __init__(self, floor: Floor, player: Player, market: MarketFront, trade: TradeFront, account_id: str) -> None:
        self._floor = floor
        self._player = player
        self._market = market
        self._trade = trade
        self._account_id = account_id

    async def ShowDepth(self, request: pb.ShowDepthRequest, context: Any) -> pb.ShowDepthResponse:  # noqa: N802
        """Show a snapshot beside those of the source."""
        self._player.show_beside(self._snapshot(request))
        return pb.ShowDepthResponse()

    def _snapshot(self, request: pb.ShowDepthRequest) -> Depth:
        book = self._floor.exchange.books.get(request.symbol)
        if book is None or book.depth is None:
            raise InvalidField("symbol", f"{request.symbol!r} has no snapshot that this one could follow")
        if request.time and not _TIME.fullmatch(request.time):
            raise InvalidField("time", f"{request.time!r} is not HH:MM:SS")
        if request.HasField("last") and not depth.exists(request.last):
            raise InvalidField("last", f"{request.last} is no price")
        if request.traded < 0:
            raise InvalidField("traded", f"{request.traded} lots")
        now, before = self._player.source.now(), book.depth
        return depth.shown(
            before,
            _levels("bids", request.bids),
            _levels("asks", request.asks),
            trading_day=self._floor.exchange.trading_day,
            action_day=now.day,
            update_time=request.time or now.time,
            update_millisec=0 if request.time else now.millisec,
            last=request.last if request.HasField("last") else before.last,
            volume=before.volume + request.traded,
        )

    async def DropConnections(  # noqa: N802
        self, request: pb.DropConnectionsRequest, context: Any
    ) -> pb.DropConnectionsResponse:
        """Break connections."""
        match request.front:
            case pb.FRONT_MARKET:
                return pb.DropConnectionsResponse(dropped=self._market.drop())
            case pb.FRONT_TRADE:
                return pb.DropConnectionsResponse(dropped=self._trade.drop(self._account(request.account_id)))
        raise InvalidField("front", "which one?")

    async def DisturbCallbacks(  # noqa: N802
        self, request: pb.DisturbCallbacksRequest, context: Any
    ) -> pb.DisturbCallbacksResponse:
        """Disturb the next callbacks of an account."""
        disturbance = _known("disturbance", _DISTURBANCES, request.disturbance)
        concerned = _known("callback", _CALLBACKS, request.callback)
        account_id = self._account(request.account_id)
        fault = CallbackFault(disturbance, request.count or 1, concerned.__contains__)
        self._floor.faults.disturb(account_id, fault)
        self._release_later(account_id, request.milliseconds)
        return pb.DisturbCallbacksResponse()

    async def SpoilAnswers(self, request: pb.SpoilAnswersRequest, context: Any) -> pb.SpoilAnswersResponse:  # noqa: N802
        """Spoil the answers to the next requests of an account."""
        answer = _known("answer", _ANSWERS, request.answer)
        concerns = _known("request", _REQUESTS, request.request)
        if answer == faults.Answer.ERROR and not request.error_id:
            raise InvalidField("error_id", "an error has a number")
        account_id = self._account(request.account_id)
        refusal = Refusal(request.error_id, _ON_COMMAND)
        self._floor.faults.spoil(account_id, AnswerFault(answer, request.count or 1, concerns, refusal))
        self._release_later(account_id, request.milliseconds)
        return pb.SpoilAnswersResponse()

    async def Release(self, request: pb.ReleaseRequest, context: Any) -> pb.ReleaseResponse:  # noqa: N802
        """Send what is held back."""
        self._release(self._account(request.account_id))
        return pb.ReleaseResponse()

    def _release(self, account_id: str) -> None:
        self._floor.release(account_id)
        self._trade.release(account_id)

    def _release_later(self, account_id: str, milliseconds: int) -> None:
        if milliseconds:
            asyncio.get_running_loop().call_later(milliseconds / 1000, self._release, account_id)

    async def RefuseLogins(self, request: pb.RefuseLoginsRequest, context: Any) -> pb.RefuseLoginsResponse:  # noqa: N802
        """Refuse the next logins."""
        if not request.error_id:
            raise InvalidField("error_id", "an error has a number")
        self._floor.faults.refuse_logins(request.count or 1, Refusal(request.error_id, _ON_COMMAND))
        return pb.RefuseLoginsResponse()

    async def SetRefusalForm(  # noqa: N802
        self, request: pb.SetRefusalFormRequest, context: Any
    ) -> pb.SetRefusalFormResponse:
        """Set how the exchange's refusals are told."""
        form = _known("form", _FORMS, request.form)
        self._floor.faults.set_form(self._account(request.account_id), form)
        return pb.SetRefusalFormResponse()

    async def RestartFlow(self, request: pb.RestartFlowRequest, context: Any) -> pb.RestartFlowResponse:  # noqa: N802
        """Disconnect every client of the trade front, with or without its flow."""
        self._floor.restart(clear_flow=request.clear)
        return pb.RestartFlowResponse()

    async def ChangeDay(self, request: pb.ChangeDayRequest, context: Any) -> pb.ChangeDayResponse:  # noqa: N802
        """Settle, and begin the next trading day."""
        trading_day = clock.next_day(self._floor.exchange.trading_day)
        self._player.change_day(trading_day)
        return pb.ChangeDayResponse(trading_day=trading_day)

    def _account(self, account_id: str) -> str:
        return account_id or self._account_id


_ON_COMMAND = "CTP:模拟故障"


def _known(field: str, table: Mapping[Any, Any], value: int) -> Any:
    if value not in table:
        raise InvalidField(field, f"{value} is none of its values")
    return table[value]


def _levels(field: str, levels: Any) -> list[tuple[float, int]]:
    if len(levels) > LEVELS:
        raise InvalidField(field, f"{len(levels)} levels, at most {LEVELS}")
    if any(not depth.exists(level.price) or level.volume < 1 for level in levels):
        raise InvalidField(field, "a level has a price and lots")
    return [(level.price, level.volume) for level in levels]
