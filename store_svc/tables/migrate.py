"""Bringing the database to this version's tables and views, at every start."""

import logging

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from arbig.errors import ConfigError, Refused
from store_svc.tables.schema import METADATA
from store_svc.tables.views import VIEWS

log = logging.getLogger(__name__)

# A migration may have to copy every row.
SECONDS = 3600.0
# Alembic's own table, without a row where a first migration was cut short.
_ALEMBIC = "alembic_version"


def config(connection: Connection | None = None) -> Config:
    """Give Alembic's view of our migrations, to run in the connection's transaction."""
    made = Config(attributes={"connection": connection})
    made.set_main_option("script_location", "store_svc.tables:migrations")
    return made


def head() -> str:
    """Give the revision of this version's tables."""
    return str(ScriptDirectory.from_config(config()).get_current_head())


def revision(connection: Connection) -> str:
    """Give the revision that the database is at; empty for one without our tables.

    Raises ConfigError where it belongs to a newer version or to another program.
    """
    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    found = MigrationContext.configure(connection).get_current_heads()
    for one in found:
        if one not in known:
            raise ConfigError(
                f'store.database: it is at revision "{one}", which this version does not know:'
                " it belongs to a newer ARBIG or to another program"
            )
    return found[0] if found else ""


def revision_of_ours(connection: Connection) -> str:
    """Give the revision of a database that is ours, or empty; raises ConfigError where it is another program's."""
    at = revision(connection)
    if not at and (others := sorted(set(inspect(connection).get_table_names()) - set(METADATA.tables) - {_ALEMBIC})):
        named = ", ".join(others[:3]) + (", ..." if others[3:] else "")
        raise ConfigError(f"store.database: it has tables of another program ({named}): name an empty database")
    return at


def migrated(connection: Connection) -> str:
    """Give the revision of a database that has this version's tables; raises Refused for one that lacks them."""
    if (at := revision(connection)) != head():
        has = f'its tables are at revision "{at}", not "{head()}"' if at else "it has no tables"
        raise Refused(f"the database is not ready: {has}: run `arbig db init`", "NOT_MIGRATED")
    return at


def migrate(connection: Connection) -> str:
    """Upgrade the database to the newest tables and views; give their revision.

    Raises ConfigError where it belongs to a newer version or to another program.
    """
    at = revision_of_ours(connection)
    if at != head() or not set(VIEWS) <= set(inspect(connection).get_view_names()):
        command.upgrade(config(connection), "head")
    log.info("database ready", extra={"revision": head(), "was": at or "empty"})
    return head()


def differences(connection: Connection) -> list[str]:
    """Say where the live tables and views are not those of this version; empty where they are."""
    found = [str(one) for one in compare_metadata(MigrationContext.configure(connection), METADATA)]
    missing = sorted(set(VIEWS) - set(inspect(connection).get_view_names()))
    return found + [f"no view {view}" for view in missing]
