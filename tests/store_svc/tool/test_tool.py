"""`arbig db`: what it prints, for people and for programs, and what it refuses."""

import asyncio
import csv
import io
import json
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arbig.config import Settings, Store
from arbig.server import serve
from arbig.trade.v1 import trade_pb2 as tr
from store_svc.tool.cli import main
from tests.servers import PASSWORD, free_base
from tests.store_svc.mesh import EPOCH, FakeTrade, a_day, mesh
from tests.store_svc.tool import process
from tests.store_svc.tool.process import Said, surroundings

Tool = Callable[..., Said]


def ran(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Said:
    """Run the tool here; give what it said."""
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    out, errors = capsys.readouterr()
    return Said(int(ended.value.code or 0), out, errors)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give settings of an empty data directory, which the tool has too."""
    made = Settings(data=tmp_path / "data", port_base=free_base())
    for name, value in surroundings(made).items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def tool(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Tool:
    """Run the tool on the database of the settings."""
    assert not settings.data.exists()
    return lambda *arguments: ran(capsys, *arguments)


@pytest.fixture
def sample(tool: Tool) -> Tool:
    """Run the tool on a database with the sample in it."""
    assert tool("init", "--sample").status == 0
    return tool


@pytest.fixture
def rows(sample: Tool) -> Callable[..., list[Any]]:
    """Give what a list has, as JSON says it."""

    def read(*arguments: str) -> list[Any]:
        said = sample(*arguments, "--json")
        assert (said.status, said.errors) == (0, "")
        return list(json.loads(said.out, parse_float=Decimal))

    return read


def test_init_makes_the_tables_and_again_changes_nothing(
    database_url: str, tool: Tool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in surroundings(settings.model_copy(update={"store": Store(database=database_url)})).items():
        monkeypatch.setenv(name, value)
    first, second = tool("init"), tool("init")
    assert "revision 0004, made" in first.out
    assert "revision 0004, checked" in second.out
    assert first.out.splitlines()[1:] == second.out.splitlines()[1:]
    assert PASSWORD not in first.out
    assert tool("init", "--sample").status == 0
    assert tool("orders", "--json").out.count("sample-") == 4 + 3  # with the strategy's name


def test_the_sample_goes_only_into_empty_tables(sample: Tool) -> None:
    before = sample("tables").out
    said = sample("init", "--sample")
    assert said.status == 1
    assert said.errors.startswith("arbig: no sample: accounts, ")
    assert sample("tables").out == before


def test_a_database_of_a_newer_version_is_refused(sample: Tool, settings: Settings) -> None:
    with sqlite3.connect(settings.data / "store" / "store.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'f00'")
    database.close()
    for command in ("init", "orders", "tables"):
        said = sample(command)
        assert (said.status, said.out) == (78, "")
        assert 'revision "f00", which this version does not know' in said.errors


def test_a_database_of_another_program_is_refused(tool: Tool, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "pizza.db") as database:
        database.execute("CREATE TABLE orders (id INT PRIMARY KEY, pizza INT)")
    database.close()
    said = tool("init", "--database", f"sqlite:///{tmp_path / 'pizza.db'}")
    assert said.status == 78
    assert 'a table "orders" that is not ours' in said.errors


@pytest.mark.parametrize(
    "command", ["accounts", "positions", "orders", "trades", "triggers", "configs", "logs", "tables", "journal"]
)
def test_without_a_database_one_is_told_how_to_make_it_and_none_is_made(
    tool: Tool, settings: Settings, command: str
) -> None:
    said = tool(command)
    assert said.status == 1
    assert said.errors == f"arbig: no database in {settings.data}: run `arbig db init`\n"
    assert not settings.data.exists()


def test_amounts_are_exact_and_names_are_those_of_the_contract(rows: Callable[..., list[Any]]) -> None:
    account = rows("accounts")[0]
    assert account["margin"] == Decimal("216008.80")
    fields: dict[Any, str] = {tr.Order: "orders", tr.Trade: "trades", tr.Position: "positions", tr.Account: "accounts"}
    for message, command in fields.items():
        assert set(rows(command)[0]) == set(message.DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize(
    ("arguments", "key", "found"),
    [
        ("orders", "client_order_id", ["sample-4", "sample-3", "sample-2", "sample-1"]),
        ("orders --limit 2", "client_order_id", ["sample-4", "sample-3"]),
        ("orders --state filled --state REJECTED", "client_order_id", ["sample-3", "sample-1"]),
        ("orders --strategy sample-spread --limit 1", "client_order_id", ["sample-3"]),
        ("orders --text 资金", "client_order_id", ["sample-3"]),
        ("orders --text SAMPLE-2", "client_order_id", ["sample-2"]),
        ("orders --account other", "client_order_id", []),
        ("orders --day 20260306", "client_order_id", []),
        # Bought on Friday night and after midnight: Monday's trading day.
        ("trades --day 20260309", "trade_id", ["1002", "1001"]),
        ("trades --to 20260306", "trade_id", ["901"]),
        ("trades --from 20260306 --symbol au2604", "trade_id", ["1002", "1001", "901"]),
        ("trades --order sample-1", "trade_id", ["1002", "1001"]),
        ("trades --strategy sample-spread", "trade_id", ["1002", "1001"]),
        ("positions --side short", "yesterday_frozen", [1]),
        ("positions --open", "today", [2, 0]),
        ("triggers --result failed", "trigger_id", ["sample-3"]),
        ("triggers --signal hold --signal sell", "trigger_id", ["sample-2"]),
        ("triggers --text ABOVE --limit 1", "trigger_id", ["sample-3"]),
        ("configs --active", "strategy", []),
        ("configs --text wide", "strategy", ["sample-spread"]),
        ("logs --level warning", "level", ["ERROR", "WARNING"]),
        ("logs --service trade", "message", ["order refused", "logged in"]),
        ("logs --until 2026-03-07", "message", ["logged in"]),
        ("logs --since 2026-03-09T09:01:00+08:00", "level", ["ERROR", "WARNING"]),
        ("accounts --account sample", "account_id", ["sample"]),
    ],
)
def test_a_list_has_what_fits_every_filter(
    rows: Callable[..., list[Any]], arguments: str, key: str, found: list[Any]
) -> None:
    assert [row[key] for row in rows(*arguments.split())] == found


def test_csv_and_lines_have_every_column_and_times_in_utc(sample: Tool, rows: Callable[..., list[Any]]) -> None:
    wanted = rows("trades")
    from_csv = list(csv.DictReader(io.StringIO(sample("trades", "--csv").out)))
    head, *lines = (line.split("\t") for line in sample("trades").out.splitlines())
    assert from_csv == [dict(zip(head, line, strict=True)) for line in lines]
    assert list(from_csv[0]) == list(wanted[0])
    assert [row["time"] for row in from_csv][:2] == ["2026-03-06T17:30:00Z", "2026-03-06T13:30:00.500000Z"]
    assert [Decimal(row["price"]) for row in from_csv] == [row["price"] for row in wanted]


def test_a_value_is_one_cell_whatever_is_in_it(sample: Tool, settings: Settings) -> None:
    with sqlite3.connect(settings.data / "store" / "store.db") as database:
        database.execute("UPDATE system_logs SET message = 'a' || char(10, 9, 27) || '[31mred, \"b\"'")
    database.close()
    lines = sample("logs").out.splitlines()
    assert len(lines) == 4
    assert lines[1].split("\t")[2] == 'a   [31mred, "b"'
    assert next(csv.DictReader(io.StringIO(sample("logs", "--csv").out)))["message"] == 'a\n\t\x1b[31mred, "b"'


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("orders --day 2026-03-09", "is no day like 20260309"),
        ("orders --state DONE", "is not one of PENDING_NEW"),
        ("orders --limit 0", "greater than or equal to 1"),
        ("orders --colour red", "No such option: --colour"),
        ("logs --since yesterday", "is no time like"),
        ("bogus", "No such command"),
        ("backup", "Missing option"),
        ("orders --json --csv", "not both"),
        ("orders --database mysql://me:pw@host/db", "no password here"),
        ("move mysql://me:pw@host/db", "no password here"),
        ("move mysql://me:p/w@host/db", "no password here"),
        ("move mysql://me:p#w@host/db", "no password here"),
        ("move mysql://me:p?w@host/db", "no password here"),
        ("move mysql://me:p@w@host/db", "no password here"),
        ("move mysql://me@host/db?charset=utf8mb4&password=pw", "no password here"),
        ("move mysql://me@host/db?passwd=pw", "no password here"),
        ("move mysql://me@host/db?Pass%77ord=pw", "no password here"),
    ],
)
def test_what_is_asked_wrongly_is_said_clearly(sample: Tool, arguments: str, why: str) -> None:
    said = sample(*arguments.split())
    assert said.status == 2
    assert why in " ".join(said.errors.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        ("info pizza", 1, 'arbig: no table or view "pizza"'),
        ("restore --file none.zip", 1, "arbig: none.zip: No such file"),
        ("verify --file none.zip", 1, "arbig: none.zip: No such file"),
        ("backup --file no/such/directory.zip", 1, "arbig: no/such/directory.zip: No such file"),
        ("orders --database oracle://host/db", 78, 'arbig: store.database: "oracle" is not one of'),
        ("orders --database mysql://me@127.0.0.1:1/db", 1, "arbig: database: "),
        ("orders --database mysql://[x", 78, "arbig: store.database: "),
        ("orders --password-file none", 78, "arbig: "),
        ("journal", 1, "arbig: trade service at 127.0.0.1:"),
    ],
)
def test_what_cannot_be_done_is_one_line(sample: Tool, arguments: str, status: int, why: str) -> None:
    said = sample(*arguments.split())
    assert (said.status, said.out, said.errors.count("\n")) == (status, "", 1)
    assert said.errors.startswith(why)


def test_a_table_is_described(sample: Tool) -> None:
    found = json.loads(sample("info", "trades", "--json").out)
    assert (found["name"], found["rows"], len(found["columns"])) == ("trades", 3, 15)
    assert "trade_id\tVARCHAR(32)\tno\tyes" in sample("info", "trades").out
    assert sample("info", "account_summary").status == 0


def test_a_backup_goes_there_and_back(sample: Tool, tmp_path: Path) -> None:
    file, other = tmp_path / "b.zip", f"sqlite:///{tmp_path / 'other.db'}"
    assert "21 rows at revision 0004" in sample("backup", "--file", file, "--prove").out
    assert sample("backup", "--file", file).errors == f"arbig: {file} is there already: --force replaces it\n"
    assert sample("restore", "--file", file, "--database", other).status == 0
    assert sample("verify", "--file", file, "--database", other).out.endswith(": equal\n")
    assert "is not empty" in sample("restore", "--file", file, "--database", other).errors
    file.write_bytes(file.read_bytes()[:-100])
    assert "cut short" in sample("verify", "--file", file).errors


def test_verify_says_what_differs(sample: Tool, settings: Settings, tmp_path: Path) -> None:
    sample("backup", "--file", tmp_path / "b.zip")
    with sqlite3.connect(settings.data / "store" / "store.db") as database:
        database.execute("DELETE FROM trades WHERE trade_id = '1002'")
    database.close()
    said = sample("verify", "--file", tmp_path / "b.zip")
    assert said.status == 1
    assert "trades: 2 rows, 3 in the backup; first at account_id=sample trading_day=20260309" in said.out
    assert "1 tables differ" in said.errors


def test_move_copies_into_an_empty_database(sample: Tool, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert "restored and equal" in sample("move", other).out
    assert sample("orders", "--database", other).out == sample("orders").out
    assert "is not empty" in sample("move", other).errors


async def test_what_is_being_written_is_neither_moved_nor_restored_into(tmp_path: Path) -> None:
    file, other = tmp_path / "b.zip", f"sqlite:///{tmp_path / 'other.db'}"
    async with mesh(tmp_path / "data") as made, made.trading(), made.storing():
        made.trade.publish(*a_day(3))
        await made.until_stored()
        assert (await process.tool(made.settings, "backup", "--file", file)).status == 0
        moved = await process.tool(made.settings, "move", other)
        restored = await process.tool(made.settings, "restore", "--file", file)
        for said in (moved, restored):
            assert "arbig: a storage service is writing to this database: stop it first" in said.errors
        assert "restored and equal" in (await process.tool(made.settings, "move", other, "--live")).out


class Trade(FakeTrade):
    """A trade service that says where its journal stands."""

    async def GetStatus(self, request: tr.GetStatusRequest, context: Any) -> tr.GetStatusResponse:  # noqa: N802
        """Say so."""
        return tr.GetStatusResponse(cursor=self.feed.cursor)


async def test_the_journal_shows_what_is_still_to_be_stored(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    trade = Trade()
    trade.publish(*a_day(3))
    assert (await asyncio.to_thread(ran, capsys, "init")).status == 0
    async with serve(settings.address("trade"), [("arbig.trade.v1.TradeService", trade)]):
        found = json.loads((await asyncio.to_thread(ran, capsys, "journal", "--json", "--limit", "3")).out)
        text = (await asyncio.to_thread(ran, capsys, "journal")).out.splitlines()
    assert (found["to_store"], found["set_aside"], found["stored"]["seq"], found["head"]["seq"]) == (15, 0, 0, 15)
    assert [list(event)[-1] for event in found["events"]] == ["order", "order", "trade"]
    assert text[0] == "stored 0 of 15: 15 to store, 0 set aside"
    assert len(text) == 1 + 1 + 10


async def test_a_journal_that_went_back_is_to_be_stored_from_its_beginning(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    trade = Trade()
    trade.publish(*a_day(1), tr.Account(account_id="sim001"))
    assert (await asyncio.to_thread(ran, capsys, "init")).status == 0
    with sqlite3.connect(settings.data / "store" / "store.db") as database:
        database.execute("INSERT INTO streams (name, epoch, seq) VALUES ('trade', ?, 20)", (EPOCH,))
    database.close()
    async with serve(settings.address("trade"), [("arbig.trade.v1.TradeService", trade)]):
        text = (await asyncio.to_thread(ran, capsys, "journal")).out.splitlines()
    assert text[:2] == ["stored 20 of 6: 6 to store, 0 set aside", "the journal went back: all of it is read again"]
    lines = [line.split("\t") for line in text[2:]]
    assert [dict(zip(lines[0], line, strict=True))["what"] for line in lines[1:]] == [
        *("o0", "o0", "t0", "LONG", "o0", "sim001")
    ]
    assert [dict(zip(lines[0], line, strict=True))["state"] for line in lines[1:3]] == ["PENDING_NEW", "ACCEPTED"]
