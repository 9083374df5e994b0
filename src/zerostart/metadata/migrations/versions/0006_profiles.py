"""Models answer by profiles."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("models", sa.Column("profile", sa.Text))


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("models") as table:
        table.drop_column("profile")
