"""When products are traded, by the exchange's clock."""

import pytest

from arbig import sessions


@pytest.mark.parametrize(
    ("products", "end"),
    [
        ("au ag sc", "02:30:00"),
        ("cu al zn pb ni sn ss ao bc", "01:00:00"),
        ("rb hc bu ru fu sp nr lu m y p c i jm eg TA SR MA FG SA", "23:00:00"),
        ("wr ec jd lh si lc ps AP CJ PK UR IF T xx", ""),
    ],
)
def test_each_product_has_its_night(products: str, end: str) -> None:
    """One that nobody knows has none."""
    for product in products.split():
        night = sessions.night(product)
        assert (night.end if night else "") == end, product


@pytest.mark.parametrize(("product", "begin", "end"), [("IF", "09:30:00", "15:00:00"), ("TL", "09:30:00", "15:15:00")])
def test_cffex_opens_later_and_has_no_break_in_the_morning(product: str, begin: str, end: str) -> None:
    """Its bonds close later than its indices; CZCE's TA is none of them."""
    morning, afternoon = sessions.day(product)
    assert (morning.begin, morning.end, afternoon.begin, afternoon.end) == (begin, "11:30:00", "13:00:00", end)
    assert sessions.day("TA") == sessions.day("au")


def test_a_trading_days_clock_runs_from_the_evening_over_midnight() -> None:
    """It begins at 20:30, and 20:29:59 is its last second."""
    times = ["20:30:00", "20:55:00", "23:59:59", "00:00:00", "02:30:00", "09:00:00", "15:00:00", "20:29:59"]
    places = [sessions.place(sessions.second_of_day(time)) for time in times]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 86_399)
