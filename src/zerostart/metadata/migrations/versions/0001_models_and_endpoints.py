"""Models, endpoint configs, endpoints and tags."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the first tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "models",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("model_id", sa.String(256), nullable=False),
        sa.Column("asked", sa.JSON, nullable=False),
        sa.Column("created_at", moment, nullable=False, index=True),
    )
    op.create_table(
        "endpoint_configs",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("variants", sa.JSON, nullable=False),
        sa.Column("asked", sa.JSON, nullable=False),
        sa.Column("created_at", moment, nullable=False, index=True),
    )
    op.create_table(
        "endpoints",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("config_name", sa.String(63), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("failure_reason", sa.Text),
        sa.Column("variants", sa.JSON, nullable=False),
        sa.Column("created_at", moment, nullable=False, index=True),
        sa.Column("modified_at", moment, nullable=False),
    )
    op.create_table(
        "tags",
        sa.Column("arn", sa.String(256), primary_key=True),
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("value", sa.String(256), nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("tags", "endpoints", "endpoint_configs", "models"):
        op.drop_table(table)
