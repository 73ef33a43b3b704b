"""What the engines are told; MySQL 8 cannot be run here, so its SQL is only compiled."""

from decimal import Decimal

import pytest
from aiomysql.cursors import RE_INSERT_VALUES
from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.schema import CreateTable

from store_svc.journal.batch import RECORDS
from store_svc.journal.upserts import Upsert
from store_svc.tables import schema
from store_svc.tables.columns import Money
from store_svc.tables.records import ORDER


def mysql8() -> Dialect:
    dialect = mysql.dialect(paramstyle="format")
    dialect.server_version_info = (8, 0, 36)
    return dialect


def test_money_is_whole_steps_on_sqlite_which_has_no_decimals() -> None:
    money, engine = Money(), sqlite.dialect()
    assert money.process_bind_param(Decimal("99999999999999.9999"), engine) == 999_999_999_999_999_999
    assert money.process_result_value(999_999_999_999_999_999, engine) == Decimal("99999999999999.9999")
    assert money.process_bind_param(Decimal("-0.0001"), engine) == -1
    assert money.process_bind_param(None, engine) is None


def test_mysql_gets_exact_types_and_ids_that_differ_by_case() -> None:
    ddl = str(CreateTable(schema.orders).compile(dialect=mysql8()))
    assert "price NUMERIC(18, 4) NOT NULL" in ddl
    assert "create_time DATETIME(6)" in ddl
    assert "client_order_id VARCHAR(100) COLLATE utf8mb4_bin NOT NULL" in ddl
    assert "ENGINE=InnoDB" in ddl
    assert "COLLATE utf8mb4_unicode_ci" in ddl


def test_trades_need_no_order_and_no_account_first() -> None:
    assert not any(table.foreign_keys for table in schema.METADATA.tables.values())


@pytest.mark.parametrize("engine", [mysql8(), sqlite.dialect()], ids=["mysql", "sqlite"])
def test_an_upsert_keeps_the_event_that_a_row_first_came_with(engine: Dialect) -> None:
    changes = Upsert(schema.orders, ORDER.first, engine).statement.partition("UPDATE")[2]
    assert "state" in changes
    assert "first_seq" not in changes
    assert "epoch" not in changes
    assert "RETURNING" not in changes


@pytest.mark.parametrize("table", [*schema.METADATA.tables.values()], ids=lambda table: table.name)
def test_mysql_8_is_sent_all_rows_of_an_upsert_in_one_statement(table: Table) -> None:
    """The driver sends row by row what its pattern does not know, `AS new` among it."""
    statement = Upsert(table, (), mysql8()).statement
    assert RE_INSERT_VALUES.match(statement)
    assert " AS new" not in statement


def test_every_whole_number_of_the_contract_fits_its_column() -> None:
    for record in RECORDS.values():
        for field in record.message.DESCRIPTOR.fields:
            if field.cpp_type in {field.CPPTYPE_INT64, field.CPPTYPE_UINT32, field.CPPTYPE_UINT64}:
                pytest.fail(f"{record.table.name}.{field.name} needs a check of its size")
