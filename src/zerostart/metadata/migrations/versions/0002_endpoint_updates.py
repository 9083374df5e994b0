"""Updates of endpoints: the generation that serves, and the one that is coming."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; endpoints that are there serve their first generation."""
    op.add_column("endpoints", sa.Column("generation", sa.Integer, nullable=False, server_default="0"))
    op.add_column("endpoints", sa.Column("coming", sa.JSON))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("endpoints") as table:
        table.drop_column("coming")
        table.drop_column("generation")
