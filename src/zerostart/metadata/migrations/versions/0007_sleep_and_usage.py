"""Endpoints that sleep, and the book of what ran."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table."""
    moment = sa.DateTime(timezone=True)
    op.add_column("endpoints", sa.Column("asleep_at", moment))
    op.create_table(
        "usage",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("instance_s", sa.Float, nullable=False),
        sa.Column("memory_mb_s", sa.Float, nullable=False),
        sa.Column("peak_bytes", sa.BigInteger, nullable=False),
        sa.Column("first_at", moment, nullable=False),
        sa.Column("last_at", moment, nullable=False),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("usage")
    with op.batch_alter_table("endpoints") as table:
        table.drop_column("asleep_at")
