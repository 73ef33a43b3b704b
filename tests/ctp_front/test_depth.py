"""How a snapshot is written for the market front."""

from typing import Any

from ctp_front import tids, wire
from ctp_front.depth import PARTS, Depth, DepthEncoder
from ctp_front.layout import record
from tests.ctp_front.makers import depth


def test_every_field_arrives_where_the_library_reads_it() -> None:
    """Each value is told apart by its own place in the vendor's records."""
    texts: dict[str, Any] = {
        "update_time": "10:00:00",
        "action_day": "20261123",
        "symbol": "au2612",
        "trading_day": "20261124",
    }
    numbers: dict[str, Any] = {name: place for place, name in enumerate(Depth._fields) if name not in texts}
    shown = Depth(**texts, **numbers)
    message = wire.Decoder().feed(DepthEncoder().encode(shown))[0]
    read = [record(part, "mduser").decode(payload) for part, (_, payload) in zip(PARTS, message.fields, strict=False)]
    values = [value for part in read for name, value in part.items() if name != "OldInstrumentID"]
    assert message.tid == tids.DEPTH
    assert values == list(shown)


def test_depth_has_the_order_of_the_wire() -> None:
    """Depth's fields are the members of the records, in their order."""
    names = [name for part in PARTS for name in record(part, "mduser").names if name != "OldInstrumentID"]
    assert len(names) == len(Depth._fields)
    assert [name.lower()[:3] for name in names[21:41]] == [field[:3] for field in Depth._fields[21:41]]


def test_levels_without_lots_or_price_are_not_shown() -> None:
    """CZCE sends 0 for a level that is not there, others an absent price."""
    shown = depth(bids=[(800.0, 3), (0.0, 0)], asks=[(0.0, 5)])
    assert shown.bids() == [(800.0, 3)]
    assert shown.asks() == []
