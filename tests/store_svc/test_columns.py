"""What the engines are told; MySQL 8 cannot be run here, so its SQL is only compiled."""

from decimal import Decimal

from sqlalchemy import Dialect
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.schema import CreateTable

from store_svc import schema
from store_svc.columns import Money
from store_svc.records import ORDER
from store_svc.writing import upsert


def mysql8() -> Dialect:
    dialect = mysql.dialect()
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


def test_an_upsert_keeps_the_event_that_a_row_first_came_with() -> None:
    for dialect in ("mysql", "sqlite"):
        changes = str(
            upsert(schema.orders, ORDER.first, dialect).compile(
                dialect=mysql8() if dialect == "mysql" else sqlite.dialect()
            )
        )
        changes = changes.partition("UPDATE")[2]
        assert "state" in changes
        assert "first_seq" not in changes
        assert "epoch" not in changes
        assert "RETURNING" not in changes
