"""What a recorded file should become: flags and bars reckoned from its text alone, by none of our code.

The hours are written out here once more, and the bars are SQL.
"""

import csv
import gzip
import re
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

# Of a product: when orders are first taken, continuous trading begins, and it ends, in clock order of a day.
DAY = [("08:55:00", "09:00:00", "10:15:00"), ("10:30:00", "10:30:00", "11:30:00"), ("13:30:00", "13:30:00", "15:00:00")]
NIGHT = ("20:55:00", "21:00:00", "23:00:00")
NIGHTS = {"ru"}
# Trading days on whose eve there was a holiday: they have no night.
AFTER_HOLIDAYS = {"20181008"}
PERIODS = {"1S": 1, "1M": 60, "5M": 300, "30M": 1_800, "1H": 3_600, "1D": 0}
STALE_SECONDS = 60
LEVELS = [f"{side}{what}{level}" for level in range(1, 6) for side in ("Bid", "Ask") for what in ("Price", "Volume")]


class Row(NamedTuple):
    """A row of a file: what a tick can be recognised by, and the flags that it should have."""

    trading_day: str
    time: str
    volume: int
    last: float
    flags: tuple[str, ...]


def product(path: Path) -> str:
    """Give the product of a file by its name."""
    return "".join(re.findall(r"^[A-Za-z]+", path.name))


def sessions(path: Path) -> list[tuple[str, str, str]]:
    """Give the sessions of a file's product, the night last."""
    return [*DAY, *([NIGHT] if product(path) in NIGHTS else [])]


def price(text: str) -> float:
    """Read a price; 0 for none."""
    return 0.0 if text == "N/A" else float(text)


def rows(path: Path) -> list[Row]:
    """Read a file, and say of each row what its flags should be."""
    found: list[Row] = []
    seen: dict[str, Any] = {"day": "", "moment": ("", "", 0), "volume": 0, "row": {}, "newest": ("", "")}
    with gzip.open(path, "rt") as file:
        for cells in csv.DictReader(file):
            flags = _flags(cells, seen, path, first=not found)
            moment = f"{cells['ActionDay']} {cells['UpdateTime']}.{int(cells['UpdateMillisec']):03d}"
            volume, last = int(cells["Volume"]), price(cells["LastPrice"])
            found.append(Row(cells["TradingDay"], moment, volume, last, tuple(flags)))
    return found


def _flags(cells: dict[str, str], seen: dict[str, Any], path: Path, *, first: bool) -> list[str]:
    clock, volume = cells["UpdateTime"], int(cells["Volume"])
    moment = cells["ActionDay"], clock, int(cells["UpdateMillisec"])
    said = {name: cells[name] for name in (*LEVELS, "OpenInterest", "LastPrice")}
    order = ""
    if cells["TradingDay"] == seen["day"]:
        if moment < seen["moment"]:
            order = "OUT_OF_ORDER"
        elif volume < seen["volume"]:
            order = "VOLUME_REGRESSION"
        elif (moment, volume, said) == (seen["moment"], seen["volume"], seen["row"]):
            order = "DUPLICATE"
    if order != "OUT_OF_ORDER":
        seen |= {"day": cells["TradingDay"], "moment": moment, "volume": volume, "row": said}
    closed = not any(opens <= clock <= ends for opens, _, ends in sessions(path))
    bid, ask = price(cells["BidPrice1"]), price(cells["AskPrice1"])
    upper, lower, last = (price(cells[name]) for name in ("UpperLimitPrice", "LowerLimitPrice", "LastPrice"))
    one_sided = (bid and not ask and bid == upper) or (ask and not bid and ask == lower)
    told = {
        order: bool(order),
        "OFF_SESSION": closed,
        "FIRST_SNAPSHOT": first,
        "CROSSED": bool(bid and ask and bid >= ask),
        "AT_LIMIT": bool(one_sided or (last and last in (upper, lower))),
        "SETTLEMENT": price(cells["SettlementPrice"]) > 0,
    }
    return [name for name, holds in told.items() if holds]


# Times are Shanghai's without a zone. A bar's place is where the clock's period begins.
_BARS = """
WITH hours AS (SELECT * FROM (VALUES {sessions}) AS h(opens, begins, ends)),
texts AS (SELECT row_number() OVER () AS n, * FROM read_csv(?, all_varchar = true)),
ticks AS (
    SELECT n, TradingDay AS day, strptime(ActionDay || UpdateTime, '%Y%m%d%H:%M:%S') AS t, UpdateTime AS clock,
        UpdateMillisec::INT AS ms, try_cast(LastPrice AS DOUBLE) AS last, Volume::BIGINT AS volume,
        Turnover::DOUBLE AS turnover, try_cast(OpenInterest AS DOUBLE) AS oi,
        nullif(try_cast(OpenPrice AS DOUBLE), 0) AS day_open, nullif(try_cast(HighestPrice AS DOUBLE), 0) AS day_high,
        nullif(try_cast(LowestPrice AS DOUBLE), 0) AS day_low,
        lag(({same})) OVER (ORDER BY n) IS NOT DISTINCT FROM ({same}) AS repeated
    FROM texts
),
placed AS (
    SELECT ticks.*, strptime(strftime(t, '%Y%m%d') || begins, '%Y%m%d%H:%M:%S') AS begins_at,
        strptime(strftime(t, '%Y%m%d') || ends, '%Y%m%d%H:%M:%S') AS ends_at,
        least(greatest(t, begins_at), ends_at - INTERVAL 1 SECOND) AS counts_at,
        {place} AS place
    FROM ticks JOIN hours ON clock BETWEEN opens AND ends
    WHERE NOT repeated AND last > 0
),
bars AS (
    SELECT day, place, greatest(make_timestamp(place * 1000000), min(begins_at)) AS begin_time,
        least(make_timestamp((place + {length}) * 1000000), max(ends_at)) AS end_time,
        first(last ORDER BY t, ms, volume, n) AS open, max(last) AS high, min(last) AS low,
        last(last ORDER BY t, ms, volume, n) AS close, last(oi ORDER BY t, ms, volume, n) AS oi, count(*) AS ticks,
        max(volume) AS volume, max(turnover) AS turnover, first(volume ORDER BY t, ms, volume, n) AS first_volume,
        first(turnover ORDER BY t, ms, volume, n) AS first_turnover,
        last(day_open ORDER BY n) AS day_open, max(day_high) AS day_high, min(day_low) AS day_low
    FROM placed GROUP BY day, place
),
chained AS (
    SELECT *, row_number() OVER w = 1 AS is_first,
        is_first AND ({length} = 0 OR first_volume = 0 OR strftime(begin_time, '%H:%M:%S') = day_begins) AS whole,
        CASE WHEN is_first AND NOT whole THEN first_volume ELSE coalesce(lag(volume) OVER w, 0) END AS volume_before,
        CASE WHEN is_first AND NOT whole THEN first_turnover ELSE coalesce(lag(turnover) OVER w, 0) END
            AS turnover_before,
        whole OR coalesce(lag(volume) OVER w, 1) = 0 AS fresh,
        day_high > lag(day_high) OVER w AND day_high > high AS rose,
        day_low < lag(day_low) OVER w AND day_low < low AS fell
    FROM bars JOIN (SELECT day, CASE WHEN {has_night} AND NOT list_contains(?, day) THEN '21:00:00' ELSE '09:00:00'
        END AS day_begins FROM (SELECT DISTINCT day FROM bars)) USING (day)
    WINDOW w AS (PARTITION BY day ORDER BY place)
)
SELECT day, {times} CASE WHEN fresh THEN coalesce(day_open, open) ELSE open END,
    CASE WHEN fresh THEN coalesce(day_high, high) WHEN rose THEN day_high ELSE high END,
    CASE WHEN fresh THEN coalesce(day_low, low) WHEN fell THEN day_low ELSE low END,
    close, volume - volume_before, greatest(0, turnover - turnover_before), oi, ticks, is_first AND NOT whole
FROM chained ORDER BY day, place
"""


def bars(path: Path, period: str) -> list[tuple[Any, ...]]:
    """Reckon the bars of a file: day, begin and end (not of 1D), prices, amounts, ticks, and whether it is partial."""
    same = ", ".join(("TradingDay", "ActionDay", "UpdateTime", "UpdateMillisec", "Volume", "OpenInterest", *LEVELS))
    length = PERIODS[period]
    query = _BARS.format(
        sessions=", ".join(f"('{opens}', '{begins}', '{ends}')" for opens, begins, ends in sessions(path)),
        same=f"row({same})",
        length=length,
        place=f"epoch(counts_at)::BIGINT // {length} * {length}" if length else "0",
        has_night="true" if product(path) in NIGHTS else "false",
        times="begin_time, end_time," if length else "",
    )
    return duckdb.execute(query, [str(path), sorted(AFTER_HOLIDAYS)]).fetchall()
