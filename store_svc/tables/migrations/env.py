"""Runs the migrations: in the service's own connection, or from the alembic command.

    alembic -c store_svc/tables/alembic.ini current

works on the database that the mesh's settings name.
"""

import asyncio
from contextlib import aclosing

from alembic import context
from sqlalchemy import Connection

from arbig.config import load
from store_svc.database import open_database
from store_svc.tables.migrate import head
from store_svc.tables.schema import METADATA
from store_svc.tables.views import create_views, drop_views


def migrate(connection: Connection) -> None:
    """Migrate in the transaction that the connection is in, the views out of the way meanwhile."""
    context.configure(connection=connection, target_metadata=METADATA)
    with context.begin_transaction():
        drop_views(connection)
        context.run_migrations()
        # An older revision's tables are not what the views ask for.
        if context.get_context().get_current_heads() == (head(),):
            create_views(connection)


async def migrate_configured_database() -> None:
    """Migrate the database of the settings."""
    async with aclosing(open_database(load())) as database, database.engine.begin() as connection:
        await connection.run_sync(migrate)


if (connection := context.config.attributes.get("connection")) is not None:
    migrate(connection)
else:
    asyncio.run(migrate_configured_database())
