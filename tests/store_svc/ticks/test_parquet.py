"""A tick in a Parquet file: exactly what it was, and readable by anybody."""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import duckdb
import pyarrow as pa
import pytest
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from arbig.market.v1.market_pb2 import Tick, TickFlag
from bench.store_ticks import recorded_ticks
from store_svc.ticks import files
from store_svc.ticks.parquet import COLUMNS, compact, from_rows, to_table
from store_svc.ticks.replay import Range

DOUBLES = st.one_of(
    st.floats(),
    st.integers(-(10**9), 10**9).map(lambda steps: steps / 10_000),
    st.sampled_from([0.0, -0.0, math.inf, math.nan, 1.7976931348623157e308, 450.02, 1e14, 5e-324]),
)
INTEGERS = {Field.TYPE_INT64: (-(2**63), 2**63 - 1), Field.TYPE_INT32: (-(2**31), 2**31 - 1)}
INTEGERS |= {Field.TYPE_UINT64: (0, 2**64 - 1), Field.TYPE_ENUM: (0, 12)}


def values(field: Field) -> st.SearchStrategy[object]:
    """Give the values that a field may have."""
    if field.type == Field.TYPE_DOUBLE:
        return DOUBLES
    if field.type == Field.TYPE_STRING:
        return st.text(max_size=9)
    if field.type == Field.TYPE_MESSAGE:
        seconds = st.integers(-62_135_596_800, 253_402_300_799)
        return st.builds(Timestamp, seconds=seconds, nanos=st.integers(-(2**31), 2**31 - 1))
    return st.integers(*INTEGERS[field.type])


def any_tick() -> st.SearchStrategy[Tick]:
    """Make ticks of any values, each field there or not."""
    fields = {
        field.name: st.lists(values(field), max_size=7) if field.is_repeated else values(field)
        for field in Tick.DESCRIPTOR.fields
    }
    return st.fixed_dictionaries({}, optional=fields).map(lambda kept: Tick(**kept))  # type: ignore[arg-type]


def through_a_file(ticks: list[bytes], path: Path, facts: Mapping[str, str] = MappingProxyType({})) -> list[bytes]:
    """Write a file and read it again."""
    checksum = files.Checksum()
    checksum.update(ticks)
    files.write([to_table(ticks)], path, facts, checksum)
    return [data for page in files.read(path, -1, 100) for _, data in page]


@settings(deadline=None, max_examples=60)
@given(st.lists(any_tick(), min_size=1, max_size=20))
def test_every_tick_comes_back_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, ticks: list[Tick]) -> None:
    serialised = [tick.SerializeToString(deterministic=True) for tick in ticks]
    assert through_a_file(serialised, tmp_path_factory.mktemp("archive") / "day" / "file.parquet") == serialised


def whole_tick() -> Tick:
    """Make a tick that has every field."""
    tick = Tick()
    for number, field in enumerate(Tick.DESCRIPTOR.fields, 1):
        if field.type == Field.TYPE_ENUM:
            getattr(tick, field.name).extend(TickFlag.values())
        elif field.is_repeated:
            getattr(tick, field.name).extend([number + level for level in range(5)])
        elif field.type == Field.TYPE_MESSAGE:
            getattr(tick, field.name).FromNanoseconds(1_700_000_000_123_456_789 + number)
        else:
            setattr(tick, field.name, str(number) if field.type == Field.TYPE_STRING else number)
    return tick


def test_every_field_of_the_contract_has_its_columns() -> None:
    """`raw` is for what nobody can foresee: a field that is added to Tick needs columns of its own."""
    table = to_table([whole_tick().SerializeToString()])
    assert table.column("raw").null_count == 1
    assert [column.name for column in COLUMNS if table.column(column.name).null_count] == []


def test_flags_are_names_that_anybody_can_look_for() -> None:
    """Null where there are none; a flag of a newer contract is in `raw`."""
    flags = [TickFlag.TICK_FLAG_OFF_SESSION, TickFlag.TICK_FLAG_SETTLEMENT]
    table = to_table([tick.SerializeToString() for tick in (Tick(seq=1, flags=flags), Tick(seq=2))])
    assert table.column("flags").to_pylist() == ["OFF_SESSION,SETTLEMENT", None]
    assert table.column("raw").null_count == 2
    newer = Tick(flags=[99]).SerializeToString()  # type: ignore[list-item]
    assert to_table([newer]).column("raw").to_pylist() == [newer]


def test_a_file_of_the_time_before_flags_can_be_read() -> None:
    """Its ticks have none."""
    tick = Tick(seq=1, symbol="au2604").SerializeToString()
    assert from_rows(to_table([tick]).drop_columns(["flags"])) == [tick]


def test_a_field_of_a_newer_contract_is_kept_too(tmp_path: Path) -> None:
    """An older storage does not cut what it does not know."""
    unknown = Tick(seq=1, symbol="au2604").SerializeToString() + b"\xf8\x3f\x07"
    assert through_a_file([unknown], tmp_path / "day" / "file.parquet") == [unknown]


def test_prices_are_decimals_unless_one_of_them_is_none() -> None:
    """The column says which; both read as numbers."""
    exact = compact(to_table([Tick(last_price=price).SerializeToString() for price in (450.02, 450.04)]))
    odd = compact(to_table([Tick(last_price=price).SerializeToString() for price in (450.02, 1 / 3)]))
    assert exact.column("last_price").to_pylist() == [Decimal("450.02"), Decimal("450.04")]
    assert odd.column("last_price").to_pylist() == [450.02, 1 / 3]


def test_duckdb_reads_prices_times_and_levels_by_their_names(tmp_path: Path) -> None:
    """The files need no program of ours."""
    first = Tick(seq=1, symbol="au2604", last_price=450.02, bid_prices=[450.0, 449.98], bid_volumes=[3, 4])
    second = Tick(seq=2, symbol="au2604", last_price=450.04)
    first.time.FromNanoseconds(1_773_018_000_500_000_000)
    through_a_file([first.SerializeToString(), second.SerializeToString()], tmp_path / "20260309" / "x.parquet")
    rows = duckdb.read_parquet(f"{tmp_path}/*/*.parquet")
    found = rows.aggregate("max(last_price), max(bid_price_2), sum(bid_volume_1), count(time), min(epoch_ms(time))")
    assert found.fetchall() == [(Decimal("450.04"), Decimal("449.98"), 3, 1, 1_773_018_000_500)]


def test_a_recorded_day_takes_at_most_22_bytes_a_tick(tmp_path: Path) -> None:
    """With its receive times, and with what the file says about itself."""
    name, ticks = next(recorded_ticks(tmp_path))
    path = tmp_path / name / "file.parquet"
    assert through_a_file(ticks, path) == ticks
    assert path.stat().st_size / len(ticks) <= 22


def test_a_file_that_does_not_read_back_as_it_should_gets_no_name(tmp_path: Path) -> None:
    """Whatever is wrong: the count, or one price."""
    right, wrong = (Tick(seq=1, last_price=price).SerializeToString() for price in (450.02, 450.04))
    for others in ([right, right], [wrong]):
        expected = files.Checksum()
        expected.update([right])
        with pytest.raises(files.NotProved):
            files.write([to_table(others)], tmp_path / "day" / "file.parquet", {}, expected)
        assert list(tmp_path.glob("*/*")) == []


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give the numbers of the ticks that are decoded from files in small row groups, as they are."""
    seqs: list[int] = []

    def note(rows: pa.RecordBatch) -> list[bytes]:
        seqs.extend(rows.column("seq").to_pylist())
        return from_rows(rows)

    monkeypatch.setattr(files, "ROW_GROUP", 7)
    monkeypatch.setattr(files, "from_rows", note)
    return seqs


def test_reading_begins_anywhere(tmp_path: Path, decoded: list[int]) -> None:
    """A replay goes on after its cursor, over row groups and pages; what lies before is not decoded."""
    seqs = list(range(1, 100, 3))
    through_a_file([Tick(seq=seq).SerializeToString() for seq in seqs], tmp_path / "day" / "file.parquet")
    for place in range(0, 101, 4):
        decoded.clear()
        found = [seq for page in files.read(tmp_path / "day" / "file.parquet", place, 4) for seq, _ in page]
        assert found == [seq for seq in seqs if seq > place]
        assert decoded == [seq for at, seq in enumerate(seqs) if max(seqs[at // 7 * 7 :][:7]) > place]


def test_times_that_nobody_wants_are_not_decoded(tmp_path: Path, decoded: list[int]) -> None:
    """Two ticks stand for a row group of them; one that has a tick without a time is read."""
    ticks = [Tick(seq=seq) for seq in range(1, 71)]
    for tick in ticks:
        if tick.seq != 60:
            tick.time.FromSeconds(1_000 + tick.seq)
    facts = {"trading_day": "20260309"}
    through_a_file([tick.SerializeToString() for tick in ticks], tmp_path / "day" / "file.parquet", facts)
    decoded.clear()
    wanted = Range(first_time=1_020 * 10**9, end_time=1_029 * 10**9)
    pages = files.read(tmp_path / "day" / "file.parquet", 2, 100, wanted.has_times)
    found = [(seq, Tick.FromString(data)) for page in pages for seq, data in page]
    assert decoded == [*range(15, 29), *range(57, 64)]
    assert [seq for seq, _ in found] == [
        3,
        7,
        8,
        14,
        *decoded[:14],
        29,
        35,
        36,
        42,
        43,
        49,
        50,
        56,
        *decoded[14:],
        64,
        70,
    ]
    assert [seq for seq, tick in found if not wanted.side(tick)] == list(range(20, 29))
    assert {wanted.side(tick) for seq, tick in found if seq < 15} == {-1}
    assert {tick.trading_day for seq, tick in found if not tick.seq} == {"20260309"}


@pytest.mark.parametrize("damage", [lambda whole: whole[:-100], lambda _: b"", lambda whole: whole[:-50] + bytes(50)])
def test_a_damaged_file_is_a_fault_of_the_disk(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Whatever Arrow calls it."""
    path = tmp_path / "day" / "file.parquet"
    through_a_file([Tick(seq=1).SerializeToString()], path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(OSError, match=r"file\.parquet"):
        list(files.read(path, 0, 100))
    with pytest.raises(OSError, match=r"file\.parquet"):
        files.numbers(path)
