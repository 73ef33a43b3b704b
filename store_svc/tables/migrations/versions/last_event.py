"""The last stored event of each stream, to tell a journal from an older copy that was put back."""

import sqlalchemy as sa
from alembic import op

from store_svc.tables.columns import name
from store_svc.tables.migrations.there import has_columns

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; what is stored already is not compared."""
    if "digest" not in has_columns("streams"):
        op.add_column("streams", sa.Column("digest", name(32)))


def downgrade() -> None:
    """Take it away."""
    if "digest" in has_columns("streams"):
        with op.batch_alter_table("streams") as streams:
            streams.drop_column("digest")
