"""Scalable targets, their policies, and what autoscaling did."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "scalable_targets",
        sa.Column("endpoint", sa.String(63), primary_key=True),
        sa.Column("variant", sa.String(63), primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("min_capacity", sa.Integer, nullable=False),
        sa.Column("max_capacity", sa.Integer, nullable=False),
        sa.Column("role_arn", sa.Text),
        sa.Column("suspended", sa.JSON, nullable=False),
        sa.Column("created_at", moment, nullable=False),
    )
    op.create_table(
        "scaling_policies",
        sa.Column("endpoint", sa.String(63), primary_key=True),
        sa.Column("variant", sa.String(63), primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("target_value", sa.Float, nullable=False),
        sa.Column("scale_out_cooldown_s", sa.Integer),
        sa.Column("scale_in_cooldown_s", sa.Integer),
        sa.Column("disable_scale_in", sa.Boolean, nullable=False),
        sa.Column("created_at", moment, nullable=False),
    )
    op.create_table(
        "scaling_activities",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("endpoint", sa.String(63), nullable=False),
        sa.Column("variant", sa.String(63), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("ended_at", moment),
    )
    op.create_index("ix_scaling_activities_started_at", "scaling_activities", ["started_at"])


def downgrade() -> None:
    """Take them away."""
    for name in ("scaling_activities", "scaling_policies", "scalable_targets"):
        op.drop_table(name)
