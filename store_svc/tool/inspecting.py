"""`arbig db tables`, `info` and `journal`: what is there, and what is not there yet."""

from collections.abc import Awaitable, Callable

from google.protobuf.json_format import MessageToDict

from arbig.config import Settings
from arbig.store.v1.admin_pb2 import DescribeTablesResponse, TableInfo
from store_svc.database import Database
from store_svc.tables.describe import NAMES, checked, describe
from store_svc.tool.journal import COLUMNS, Waiting, row, summary, waiting
from store_svc.tool.show import Columns, Form, show, to_json


async def every_table(_: Settings, database: Database) -> DescribeTablesResponse:
    """Read what the tables are."""
    return await database.read(lambda on: on.run_sync(describe, NAMES))


def one_table(name: str) -> Callable[[Settings, Database], Awaitable[TableInfo]]:
    """Read what a table is; raises NotFound for one that is not ours."""

    async def read(_: Settings, database: Database) -> TableInfo:
        return (await database.read(lambda on: on.run_sync(describe, checked(name)))).tables[0]

    return read


def to_store(limit: int) -> Callable[[Settings, Database], Awaitable[Waiting]]:
    """Read what of the journal is still to be stored."""
    return lambda settings, database: waiting(settings, database, limit)


def show_tables(found: DescribeTablesResponse, form: Form) -> None:
    """Print a line for each table."""
    rows = [
        {
            "name": table.name,
            "kind": "view" if table.view else "table",
            "rows": None if table.view else table.rows,
            "columns": len(table.columns),
            "indexes": len(table.indexes),
        }
        for table in found.tables
    ]
    show(rows, Columns(["name", "kind", "rows", "columns", "indexes"]), form)


def show_table(table: TableInfo, form: Form) -> None:
    """Print a line for each column and index."""
    if form is Form.JSON:
        found = MessageToDict(table, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        print(to_json(found | ({} if table.view else {"rows": table.rows})))
        return
    columns = [
        {"column": one.name, "type": one.type, "null": one.nullable, "key": one.primary_key} for one in table.columns
    ]
    show(columns, Columns(["column", "type", "null", "key"]), form)
    if table.indexes and form is Form.TABLE:
        print()
        indexes = [
            {"index": one.name, "columns": ", ".join(one.columns), "unique": one.unique} for one in table.indexes
        ]
        show(indexes, Columns(["index", "columns", "unique"]), form)


def show_journal(found: Waiting, form: Form) -> None:
    """Print where the database and the journal stand, and the events between them."""
    if form is Form.JSON:
        print(to_json(summary(found)))
        return
    if form is Form.TABLE:
        stored, head = found.stored, found.head
        print(f"stored {stored.seq} of {head.seq}: {found.to_store} to store, {found.set_aside} set aside")
        if stored.epoch not in (0, head.epoch):
            print(f"the journal began anew: the database has epoch {stored.epoch}, the journal is {head.epoch}")
        elif stored.seq > head.seq:
            print("the journal went back: all of it is read again")
    if found.events or form is Form.CSV:
        show([row(event) for event in found.events], COLUMNS, form)
