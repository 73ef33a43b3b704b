"""Bringing the database to this version's tables, at every start."""

import logging

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from arbig.errors import ConfigError

log = logging.getLogger(__name__)


def config(connection: Connection | None = None) -> Config:
    """Give Alembic's view of our migrations, to run in the connection's transaction."""
    made = Config(attributes={"connection": connection})
    made.set_main_option("script_location", "store_svc:migrations")
    return made


def migrate(connection: Connection) -> None:
    """Upgrade the database to the newest tables.

    Raises ConfigError where it belongs to a newer version or to another program.
    """
    scripts = ScriptDirectory.from_config(config())
    known = {script.revision for script in scripts.walk_revisions()}
    for revision in MigrationContext.configure(connection).get_current_heads():
        if revision not in known:
            raise ConfigError(
                f'store.database: it is at revision "{revision}", which this version does not know:'
                " it belongs to a newer ARBIG or to another program"
            )
    command.upgrade(config(connection), "head")
    log.info("database ready", extra={"revision": scripts.get_current_head()})
