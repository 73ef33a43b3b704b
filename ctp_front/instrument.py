"""What is traded here: the terms of a contract, told from its symbol.

A product that is not in the table gets round default terms, so that any recording can be replayed:
10 units a lot, price tick 1; a symbol in capital letters is taken for CZCE's, any other for SHFE's.
The fees and margins are believable ones, not any broker's.
"""

import re
from typing import NamedTuple

SHFE, INE, DCE, CZCE, GFEX, CFFEX = "SHFE", "INE", "DCE", "CZCE", "GFEX", "CFFEX"
EXCHANGES = {
    SHFE: "上海期货交易所",
    INE: "上海国际能源交易中心",
    DCE: "大连商品交易所",
    CZCE: "郑州商品交易所",
    GFEX: "广州期货交易所",
    CFFEX: "中国金融期货交易所",
}

MAX_VOLUME = 500


class Product(NamedTuple):
    """The terms that the contracts of a product share; money in yuan, fees per lot."""

    name: str
    exchange: str
    title: str
    multiplier: int
    price_tick: float
    margin_ratio: float
    open_fee: float
    close_fee: float
    close_today_fee: float


class Instrument(NamedTuple):
    """A contract: au2612 is gold for delivery in December 2026."""

    symbol: str
    product: Product
    year: int
    month: int

    @property
    def splits_days(self) -> bool:
        """Whether the exchange keeps today's lots apart from those of earlier days."""
        return self.product.exchange in (SHFE, INE)

    def has_expired(self, trading_day: str) -> bool:
        """Whether the delivery month is over: nothing trades any more."""
        return f"{self.year}{self.month:02}" < trading_day[:6]

    @property
    def title(self) -> str:
        """The contract's name for people."""
        return f"{self.product.title}{self.year % 100:02}{self.month:02}"

    def margin(self, amount: float) -> float:
        """Give the margin on lots worth this much."""
        return amount * self.product.margin_ratio

    def amount(self, price: float, volume: int) -> float:
        """Give what so many lots are worth at this price."""
        return price * volume * self.product.multiplier

    def on_tick(self, price: float) -> bool:
        """Tell whether a price is a multiple of the price tick."""
        ticks = price / self.product.price_tick
        return abs(ticks - round(ticks)) < 1e-6


PRODUCTS = {
    product.name: product
    for product in (
        Product("au", SHFE, "黄金", 1000, 0.02, 0.12, 10.0, 10.0, 0.0),
        Product("ag", SHFE, "白银", 15, 1.0, 0.12, 3.0, 3.0, 3.0),
        Product("cu", SHFE, "铜", 5, 10.0, 0.10, 20.0, 20.0, 40.0),
        Product("al", SHFE, "铝", 5, 5.0, 0.10, 3.0, 3.0, 3.0),
        Product("zn", SHFE, "锌", 5, 5.0, 0.10, 3.0, 3.0, 0.0),
        Product("ni", SHFE, "镍", 1, 10.0, 0.12, 3.0, 3.0, 3.0),
        Product("rb", SHFE, "螺纹钢", 10, 1.0, 0.08, 4.0, 4.0, 4.0),
        Product("hc", SHFE, "热卷", 10, 1.0, 0.08, 4.0, 4.0, 4.0),
        Product("ru", SHFE, "天然橡胶", 10, 5.0, 0.10, 3.0, 3.0, 0.0),
        Product("bu", SHFE, "沥青", 10, 1.0, 0.10, 3.0, 3.0, 3.0),
        Product("sc", INE, "原油", 1000, 0.1, 0.12, 20.0, 20.0, 0.0),
        Product("m", DCE, "豆粕", 10, 1.0, 0.08, 1.5, 1.5, 1.5),
        Product("i", DCE, "铁矿石", 100, 0.5, 0.12, 6.0, 6.0, 12.0),
        Product("si", GFEX, "工业硅", 5, 5.0, 0.10, 3.0, 3.0, 0.0),
        Product("IF", CFFEX, "沪深300", 300, 0.2, 0.12, 25.0, 25.0, 250.0),
        Product("AP", CZCE, "苹果", 10, 1.0, 0.10, 5.0, 5.0, 5.0),
        Product("CF", CZCE, "棉花", 5, 5.0, 0.08, 4.3, 4.3, 0.0),
        Product("SR", CZCE, "白糖", 10, 1.0, 0.08, 3.0, 3.0, 0.0),
        Product("TA", CZCE, "PTA", 5, 2.0, 0.08, 3.0, 3.0, 0.0),
        Product("MA", CZCE, "甲醇", 10, 1.0, 0.08, 2.0, 2.0, 2.0),
    )
}

_SYMBOL = re.compile(r"([A-Za-z]+)(\d{3,4})")


def from_symbol(symbol: str, trading_day: str) -> Instrument:
    """Give the contract that `symbol` names on that day; CZCE writes the year with one digit."""
    match = _SYMBOL.match(symbol)
    letters, digits = match.groups() if match else (symbol, "")
    product = PRODUCTS.get(letters) or _unknown(letters)
    this_year = int(trading_day[:4])
    month = int(digits[-2:]) if digits else 1
    if len(digits) == 4:
        return Instrument(symbol, product, this_year // 100 * 100 + int(digits[:2]), month)
    digit = int(digits[0]) if digits else this_year % 10
    # The nearest year with that last digit that is not over yet.
    return Instrument(symbol, product, this_year + (digit - this_year) % 10, month)


def _unknown(name: str) -> Product:
    exchange = CZCE if name.isupper() else SHFE
    return Product(name, exchange, name, 10, 1.0, 0.10, 5.0, 5.0, 5.0)
