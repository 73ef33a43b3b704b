"""How we connect to a database, and what its errors mean to us."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.config import Settings, Store
from arbig.errors import ConfigError
from store_svc.database import Database, DatabaseDown, DataRefused, InTheWay, open_database
from tests.servers import PASSWORD, Server, as_root, start_mariadb
from tests.store_svc.certificates import Authority


@contextlib.asynccontextmanager
async def opened(directory: Path, url: str, **store: Any) -> AsyncIterator[Database]:
    settings = Settings(data=directory, store=Store(database=url, **store))
    async with contextlib.aclosing(open_database(settings)) as database:
        yield database


def refused(directory: Path, url: str, **store: Any) -> str:
    """Give the reason for which settings cannot work."""
    with pytest.raises(ConfigError) as raised:
        open_database(Settings(data=directory, store=Store(database=url, **store)))
    return str(raised.value)


def sql(*statements: str) -> Any:
    async def work(connection: AsyncConnection) -> Any:
        for statement in statements:
            result = await connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None

    return work


async def reason(database: Database) -> str:
    """Ask a database that cannot be asked."""
    with pytest.raises(DatabaseDown) as raised:
        await database.read(sql("SELECT 1"))
    return str(raised.value)


async def test_the_pool_is_as_large_as_the_settings_say(database_url: str, tmp_path: Path) -> None:
    async with opened(tmp_path, database_url, pool_size=2, pool_overflow=1, timeout_seconds=0.5) as database:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(database.engine.connect())
            assert "limit of size 2 overflow 1 reached" in await reason(database)
        assert await database.read(sql("SELECT 1")) == 1


async def test_sqlite_keeps_over_a_power_cut_what_it_said_it_has(tmp_path: Path) -> None:
    async with opened(tmp_path, "") as database:
        assert await database.read(sql("PRAGMA synchronous")) == 2  # FULL
        assert await database.read(sql("PRAGMA journal_mode")) == "wal"


async def test_the_password_comes_from_a_file_and_may_change_meanwhile(mariadb: Server, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("a wrong one")
    url = mariadb.url.replace(f":{PASSWORD}@", "@")
    async with opened(tmp_path, url, password_file=secret) as database:
        why = await reason(database)
        assert "Access denied for user 'arbig'" in why
        assert "1045" in why
        assert "a wrong one" not in why
        secret.write_text(f"{PASSWORD}\n")
        assert await database.read(sql("SELECT 1")) == 1
        assert PASSWORD not in database.label


def test_a_password_is_given_once(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("secret")
    said = refused(tmp_path, "mysql://arbig:hidden@db/arbig", password_file=secret)
    assert said == "store.password_file: there is a password in store.database too"


@pytest.mark.parametrize("name", ["password", "passwd", "PASSWORD", "pass%77ord"])
def test_a_password_in_the_query_is_refused_since_the_status_would_show_it(tmp_path: Path, name: str) -> None:
    said = refused(tmp_path, f"mysql://arbig@db/arbig?charset=utf8mb4&{name}=hidden")
    assert "password_file" in said
    assert "hidden" not in said


def test_an_empty_password_file_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("\n")
    assert "is empty" in refused(tmp_path, "mysql://arbig@db/arbig", password_file=secret)


def test_sqlite_has_neither_password_nor_tls(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("secret")
    assert "SQLite has neither" in refused(tmp_path, "", password_file=secret)
    assert "SQLite has neither" in refused(tmp_path, "", tls_ca=secret)


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    assert "store.tls_ca" in refused(tmp_path, "mysql://arbig@db/arbig", tls_ca=path)
    assert "store.tls_ca: needed" in refused(tmp_path, "mysql://arbig@db/arbig", tls_key=path)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def secure_mariadb(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Server]:
    """Run a MariaDB that has a certificate, and that would cut what does not fit."""
    certificate, key = authority.certificate("server")
    options = (f"--ssl-ca={authority.path}", f"--ssl-cert={certificate}", f"--ssl-key={key}", "--sql-mode=")
    with start_mariadb(tmp_path_factory.mktemp("secure"), *options) as server:
        yield server


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u@127.0.0.1/a?foo=1", 'the option "foo" is not one of charset'),
        ("mysql://u@127.0.0.1/a?connect_timeout=abc", "invalid literal for int"),
        ("sqlite:///a.db?pizza=1", 'the option "pizza" is not one of cache'),
    ],
)
def test_an_option_that_the_driver_does_not_take_is_refused(url: str, said: str, tmp_path: Path) -> None:
    assert said in refused(tmp_path, url)


@pytest.mark.parametrize(
    "said", [b"\x00", b"\x01\x00\x00\x00\x0a", b"-ERR unknown command\r\n", b"HTTP/1.1 400\r\n\r\n"]
)
async def test_a_server_that_does_not_speak_mysql_is_a_database_that_is_down(said: bytes, tmp_path: Path) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with opened(tmp_path, f"mysql://u@127.0.0.1:{port}/a", timeout_seconds=2) as database:
            assert await reason(database)


async def test_a_new_connection_is_not_tried_before_it_is_used(
    mariadb: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, mariadb.url) as database:
        dialect, pings = database.asking.dialect, 0
        ping = dialect.do_ping

        def counted(connection: Any) -> bool:
            nonlocal pings
            pings += 1
            return ping(connection)

        monkeypatch.setattr(dialect, "do_ping", counted)
        assert await database.ask(sql("SELECT 1")) == 1
        assert pings == 0
        monkeypatch.setattr("store_svc.engines.PAUSE_SECONDS", -1.0)
        assert await database.ask(sql("SELECT 1")) == 1
        assert pings == 1


async def test_tls_to_a_server_of_our_authority(secure_mariadb: Server, authority: Authority, tmp_path: Path) -> None:
    async with opened(tmp_path, secure_mariadb.url, tls_ca=authority.path) as database:
        query = "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Ssl_version'"
        assert str(await database.read(sql(query))).startswith("TLSv1.")


async def test_our_certificate_is_shown_where_the_server_asks_for_one(
    secure_mariadb: Server, authority: Authority, tmp_path: Path
) -> None:
    url = make_url(secure_mariadb.url).set(username="strict").render_as_string(hide_password=False)
    async with opened(tmp_path, as_root(secure_mariadb)) as database:
        await database.write(sql(f"CREATE USER strict IDENTIFIED BY '{PASSWORD}' REQUIRE X509"))
        await database.write(sql("GRANT SELECT ON arbig.* TO strict"))
    async with opened(tmp_path, url, tls_ca=authority.path) as database:
        assert "Access denied" in await reason(database)
    certificate, key = authority.certificate("client")
    async with opened(tmp_path, url, tls_ca=authority.path, tls_certificate=certificate, tls_key=key) as database:
        assert await database.read(sql("SELECT 1")) == 1


async def test_a_server_of_another_authority_is_refused(secure_mariadb: Server, tmp_path: Path) -> None:
    async with opened(tmp_path, secure_mariadb.url, tls_ca=Authority(tmp_path, "another").path) as database:
        assert "certificate verify failed" in await reason(database)


async def test_a_server_of_another_name_is_refused(
    secure_mariadb: Server, authority: Authority, tmp_path: Path
) -> None:
    url = make_url(secure_mariadb.url).set(host="localhost").render_as_string(hide_password=False)
    async with opened(tmp_path, url, tls_ca=authority.path) as database:
        assert "certificate is not valid for 'localhost'" in await reason(database)


async def test_a_server_without_tls_is_told_no_password(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, tmp_path: Path
) -> None:
    """The driver itself would go on without TLS."""
    with start_mariadb(tmp_path_factory.mktemp("plain"), "--skip-ssl") as server:
        async with opened(tmp_path, server.url, tls_ca=authority.path) as database:
            assert "the server offers no TLS" in await reason(database)


async def test_data_that_the_database_refuses_is_told_from_a_database_that_is_down(
    database_url: str, tmp_path: Path
) -> None:
    async with opened(tmp_path, database_url) as database:
        await database.write(sql("CREATE TABLE small (a INTEGER NOT NULL, CHECK (a < 5))"))
        for statement in ("INSERT INTO small VALUES (7)", "INSERT INTO small VALUES (NULL)"):
            with pytest.raises(DataRefused):
                await database.write(sql(statement))
        for statement in ("INSERT INTO missing VALUES (1)", "INSERT INTO small (b) VALUES (1)"):
            with pytest.raises(DatabaseDown):
                await database.write(sql(statement))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("VARCHAR(3)", "abcd"),
        ("SMALLINT", 99_999),
        ("DATETIME(6)", "2026-13-01"),
        ("INTEGER", "x"),
        ("DOUBLE", "1e999"),
    ],
)
async def test_mysql_refuses_what_it_would_have_to_cut(
    column: str, value: object, secure_mariadb: Server, tmp_path: Path
) -> None:
    async with opened(tmp_path, secure_mariadb.url) as database:
        await database.write(sql(f"CREATE OR REPLACE TABLE small (a {column})"))
        with pytest.raises(DataRefused):
            await database.write(lambda on: on.execute(text("INSERT INTO small VALUES (:value)"), {"value": value}))


async def test_a_column_of_a_newer_version_is_not_the_fault_of_the_data(mariadb: Server, tmp_path: Path) -> None:
    async with opened(tmp_path, mariadb.url) as database:
        await database.write(sql("CREATE OR REPLACE TABLE newer (a INTEGER, b INTEGER NOT NULL)"))
        with pytest.raises(DatabaseDown, match="1364"):
            await database.write(sql("INSERT INTO newer (a) VALUES (1)"))


COUNT = text("UPDATE counters SET n = n + 1 WHERE name = :name")


async def both_change(database: Database, first: str, second: str, met: asyncio.Barrier) -> int:
    """Change two rows in one transaction, the second when both callers have the first; count the tries."""
    tries = 0

    async def work(connection: AsyncConnection) -> None:
        nonlocal tries
        tries += 1
        await connection.execute(COUNT, {"name": first})
        if tries == 1:
            await met.wait()
        await connection.execute(COUNT, {"name": second})

    await database.write(work)
    return tries


async def test_a_deadlock_is_met_by_doing_the_whole_again(mariadb: Server, tmp_path: Path) -> None:
    async with opened(tmp_path, mariadb.url) as database:
        made = "CREATE OR REPLACE TABLE counters (name VARCHAR(9) PRIMARY KEY, n INTEGER)"
        await database.write(sql(made, "INSERT INTO counters VALUES ('a', 0), ('b', 0)"))
        met = asyncio.Barrier(2)
        tries = await asyncio.gather(both_change(database, "a", "b", met), both_change(database, "b", "a", met))
        assert sorted(tries) == [1, 2]
        assert await database.read(sql("SELECT sum(n) FROM counters")) == 4


async def test_without_retries_a_deadlock_is_the_callers(mariadb: Server, tmp_path: Path) -> None:
    async with opened(tmp_path, mariadb.url, retries=0) as database:
        made = "CREATE OR REPLACE TABLE counters (name VARCHAR(9) PRIMARY KEY, n INTEGER)"
        await database.write(sql(made, "INSERT INTO counters VALUES ('a', 0), ('b', 0)"))
        met = asyncio.Barrier(2)
        changes = (both_change(database, "a", "b", met), both_change(database, "b", "a", met))
        found = await asyncio.gather(*changes, return_exceptions=True)
        assert [type(one) for one in found if one != 1] == [InTheWay]


async def test_a_lock_that_another_holds_is_waited_for(database_url: str, tmp_path: Path) -> None:
    async with opened(tmp_path, database_url, timeout_seconds=3) as database:
        await database.write(sql("CREATE TABLE locked (n INTEGER)", "INSERT INTO locked VALUES (0)"))
        async with database.engine.execution_options(write=True).begin() as other:
            await other.execute(text("UPDATE locked SET n = 5"))
            with pytest.raises(DatabaseDown) as raised:
                await database.write(sql("UPDATE locked SET n = n + 1"))
            assert any(word in str(raised.value) for word in ("Lock wait timeout", "database is locked", "no answer"))
            waiting = asyncio.create_task(database.write(sql("UPDATE locked SET n = n + 1")))
            await asyncio.sleep(0.2)
            assert not waiting.done()
        await waiting
        assert await database.read(sql("SELECT n FROM locked")) == 6


async def test_a_caller_that_gives_up_while_the_database_is_locked_harms_nobody(tmp_path: Path) -> None:
    """What came of it is nobody's any more, and no mistake that asyncio would tell the service of."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    async with opened(tmp_path, "", timeout_seconds=0.5, retries=0) as database:
        await database.write(sql("CREATE TABLE locked (n INTEGER)"))
        async with database.engine.execution_options(write=True).begin() as other:
            await other.execute(text("INSERT INTO locked VALUES (0)"))
            waiting = asyncio.create_task(database.write(sql("UPDATE locked SET n = n + 1")))
            while database.engine.pool.checkedout() < 2:  # type: ignore[attr-defined]
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    gc.collect()
    assert not told


SLOW = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"


async def test_a_statement_of_sqlite_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """Without an end it would hold its connection, and those who wait for it, for ever."""
    async with opened(tmp_path, "", timeout_seconds=0.2, pool_size=1, pool_overflow=0) as database:
        for ask in (database.read, database.ask, database.write):
            with pytest.raises(DatabaseDown, match=r"no answer within 0\.2 s"):
                await ask(sql(SLOW))
        assert await database.read(sql("SELECT 1")) == 1


async def test_a_statement_of_sqlite_ends_with_the_caller_that_gives_up(tmp_path: Path) -> None:
    async with opened(tmp_path, "", timeout_seconds=3600, pool_size=1, pool_overflow=0) as database:
        asking = asyncio.create_task(database.ask(sql(SLOW)))
        while not database.engine.pool.checkedout():  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await database.read(sql("SELECT 1")) == 1


@contextlib.contextmanager
def failing_once(database: Database, error: BaseException, *, committed: bool) -> Iterator[list[BaseException]]:
    """Let the next COMMIT fail, before or after it was done."""
    faults, commit = [error], database.engine.dialect.do_commit

    def do_commit(connection: Any) -> None:
        if committed:
            commit(connection)
        if faults:
            raise faults.pop()
        if not committed:
            commit(connection)

    database.engine.dialect.do_commit = do_commit  # type: ignore[assignment, method-assign]
    yield faults
    database.engine.dialect.do_commit = commit  # type: ignore[method-assign]


def as_galera(database: Database) -> BaseException:
    """Make the error with which a cluster refuses a COMMIT: the driver's own."""
    kind: type[BaseException] = database.engine.dialect.loaded_dbapi.OperationalError
    return kind(1213, "Deadlock found when trying to get lock; try restarting transaction")


async def test_a_commit_that_the_cluster_refuses_is_done_again(mariadb: Server, tmp_path: Path) -> None:
    async with opened(tmp_path, mariadb.url) as database:
        await database.write(sql("CREATE OR REPLACE TABLE counted (n INTEGER)"))
        with failing_once(database, as_galera(database), committed=False) as faults:
            await database.write(sql("INSERT INTO counted VALUES (1)"))
        assert not faults
        assert await database.read(sql("SELECT count(*) FROM counted")) == 1


async def test_a_commit_without_an_answer_is_not_done_again_by_itself(mariadb: Server, tmp_path: Path) -> None:
    """Whether it was done is not known; the caller's work must be able to tell."""
    async with opened(tmp_path, mariadb.url) as database:
        await database.write(sql("CREATE OR REPLACE TABLE counted (n INTEGER)"))
        kind: type[BaseException] = database.engine.dialect.loaded_dbapi.OperationalError
        lost = kind(2013, "Lost connection to MySQL server during query")
        with failing_once(database, lost, committed=True), pytest.raises(DatabaseDown, match="Lost connection"):
            await database.write(sql("INSERT INTO counted VALUES (1)"))
        assert await database.read(sql("SELECT count(*) FROM counted")) == 1


async def test_retries_end_with_the_time(mariadb: Server, tmp_path: Path) -> None:
    async with opened(tmp_path, mariadb.url, retries=100, timeout_seconds=1) as database:

        def always(*_: object) -> None:
            raise OperationalError("", None, as_galera(database))

        event.listen(database.engine.sync_engine, "before_cursor_execute", always)
        async with asyncio.timeout(5):
            with pytest.raises(DatabaseDown):
                await database.write(sql("SELECT 1"))
