"""A MariaDB of a bench, and bare clients of it."""

import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import aiomysql
from sqlalchemy import make_url, text

from arbig.config import Settings, Store
from store_svc.database import Database, open_database
from store_svc.tables.migrate import migrate

# As a machine of its own would have it, so that the peers are at their best.
OPTIONS = ("--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M")


@contextlib.asynccontextmanager
async def tables(directory: Path, url: str, name: str) -> AsyncIterator[tuple[Database, Settings]]:
    """Make a database of this name with our tables; take it away at the end."""
    created = make_url(url).set(database=name).render_as_string(hide_password=False)
    settings = Settings(data=directory, store=Store(database=created, timeout_seconds=60.0))
    async with contextlib.aclosing(open_database(_settings(directory, url))) as server:
        await server.write(lambda on: on.execute(text(f"CREATE DATABASE {name}")))
        try:
            async with contextlib.aclosing(open_database(settings)) as database:
                await database.write(lambda on: on.run_sync(migrate))
                yield database, settings
        finally:
            await server.write(lambda on: on.execute(text(f"DROP DATABASE {name}")))


def _settings(directory: Path, url: str) -> Settings:
    return Settings(data=directory, store=Store(database=url, timeout_seconds=60.0))


@contextlib.asynccontextmanager
async def bare(settings: Settings) -> AsyncIterator[Any]:
    """Give a cursor of the driver alone, without SQLAlchemy."""
    url = make_url(settings.store.database)
    connection = await aiomysql.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, db=url.database, charset="utf8mb4"
    )
    async with connection.cursor() as cursor:
        yield cursor
    connection.close()


def write_file(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as LOAD DATA reads them; what a row does not have is NULL."""
    names = list(columns)
    with path.open("w") as file:
        for row in rows:
            file.write("\t".join(_cell(row.get(name)) for name in names) + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return r"\N"
    return str(int(value)) if isinstance(value, bool) else str(value)


def load(settings: Settings, files: Mapping[str, Path]) -> None:
    """Load a file into each table by LOAD DATA LOCAL INFILE, in one transaction."""
    url = make_url(settings.store.database)
    each = [f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {name} CHARACTER SET utf8mb4;" for name, file in files.items()]
    command = ["mariadb", "--no-defaults", "--local-infile=1", f"--host={url.host}", f"--port={url.port}"]
    command += [f"--user={url.username}", f"--password={url.password}", str(url.database)]
    subprocess.run(command, input="\n".join(["BEGIN;", *each, "COMMIT;"]), text=True, check=True)
