"""The settlement statement that an account confirms, in the pieces that CTP cuts it into."""

from collections.abc import Iterator

from ctp_front.account import Account
from ctp_front.account_records import Owner
from ctp_front.layout import ENCODING, record
from ctp_front.position import LONG

# CTP cuts the bytes, not the text: a Chinese character may begin in one piece and end in the next.
_PIECE = 500
_LINE = "-" * 60
_NOTICE = [
    "本结算单由模拟交易所生成, 仅供测试使用, 不具有任何法律效力。",
    "客户对结算单记载的事项如有异议, 应在下一交易日开市前书面提出; 逾期未提出的, 视为客户对结算单全部内容的确认。",
    "结算单中的金额以人民币元为单位, 手数以交易所合约的手为单位。",
    "请妥善保管交易密码和资金密码, 谨防泄露; 因密码泄露造成的一切损失均由客户自行承担。",
]


def pieces(owner: Owner, trading_day: str, account: Account) -> Iterator[bytes]:
    """Write the statement that a day begins with as SettlementInfo records."""
    told = text(trading_day, account).encode(ENCODING)
    for number, at in enumerate(range(0, len(told), _PIECE), 1):
        yield record("SettlementInfo").make(
            TradingDay=trading_day,
            SettlementID=1,
            BrokerID=owner.broker_id,
            InvestorID=owner.account_id,
            AccountID=owner.account_id,
            SequenceNo=number,
            Content=told[at : at + _PIECE],
        )


def text(trading_day: str, account: Account) -> str:
    """Word the statement: the money that the day began with, and the lots of earlier days."""
    lines = [
        "模拟交易所交易结算单(盯市)".center(61),
        f"客户号: {account.account_id}    交易日: {trading_day}    币种: 人民币",
        *(_LINE, *_NOTICE, _LINE),
        "资金状况",
        f"期初结存: {account.pre_balance:>18.2f}    期初保证金: {account.pre_margin:>18.2f}",
        f"出    金: {account.withdraw:>18.2f}    入      金: {account.deposit:>18.2f}",
        *(_LINE, "持仓明细"),
        "合约          买卖    开仓日期    手数        开仓价        昨结算",
        *_lots(trading_day, account),
        _LINE,
    ]
    return "\r\n".join(lines) + "\r\n"


def _lots(trading_day: str, account: Account) -> Iterator[str]:
    for key, holding in sorted(account.holdings.items()):
        side = "买" if key.side == LONG else "卖"
        for lot in holding.lots:
            if lot.open_day != trading_day:
                prices = f"{lot.open_price:>12.2f}  {lot.cost_price:>12.2f}"
                yield f"{key.symbol:<12}  {side}      {lot.open_day}  {lot.volume:>6}  {prices}"
