"""Asynchronous endpoints, and the invocations of them that are not answered yet."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what asynchronous endpoints need."""
    op.add_column("endpoints", sa.Column("asynchronous", sa.JSON))
    op.add_column("endpoint_configs", sa.Column("asynchronous", sa.JSON))
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "async_invocations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("endpoint", sa.String(63), nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("created_at", moment, nullable=False, index=True),
        sa.Column("expires_at", moment, nullable=False),
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_table("async_invocations")
    for name in ("endpoints", "endpoint_configs"):
        with op.batch_alter_table(name) as table:
            table.drop_column("asynchronous")
