"""Every table, on one page. Times are UTC; names are unique per table, as AWS has them per account and region."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
)

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in and out, also on SQLite, which keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; store UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone: pass an aware UTC time.")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Give the stored time its zone."""
        del dialect
        if value is None:
            return None
        assert isinstance(value, datetime)  # noqa: S101 - the column's own type
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


models = Table(
    "models",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("model_id", String(256), nullable=False),
    Column("asked", JSON, nullable=False),
    Column("profile", Text),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)

endpoint_configs = Table(
    "endpoint_configs",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("variants", JSON, nullable=False),
    Column("asked", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("asynchronous", JSON(none_as_null=True)),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("config_name", String(63), nullable=False),
    Column("status", String(32), nullable=False),
    Column("failure_reason", Text),
    Column("variants", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("modified_at", UtcDateTime, nullable=False),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("coming", JSON(none_as_null=True)),
    Column("asynchronous", JSON(none_as_null=True)),
    Column("asleep_at", UtcDateTime),
)

tags = Table(
    "tags",
    metadata,
    Column("arn", String(256), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("value", String(256), nullable=False),
)

buckets = Table(
    "buckets",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

# Keys are bytes, so that every database compares them as S3 lists them: by their UTF-8.
objects = Table(
    "objects",
    metadata,
    Column("bucket", String(63), primary_key=True),
    Column("key", LargeBinary(1024), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("segments", JSON, nullable=False),
    Column("modified_at", UtcDateTime, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("bucket", String(63), nullable=False),
    Column("key", LargeBinary(1024), nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("upload_id", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("segments", JSON, nullable=False),
    Column("modified_at", UtcDateTime, nullable=False),
)

async_invocations = Table(
    "async_invocations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("endpoint", String(63), nullable=False),
    Column("request", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("expires_at", UtcDateTime, nullable=False),
)

transform_jobs = Table(
    "transform_jobs",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("status", String(32), nullable=False),
    Column("model_id", String(256), nullable=False),
    Column("asked", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("failure_reason", Text),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("modified_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("planned", Boolean, nullable=False, server_default=false()),
    Column("lease", String(64)),
    Column("lease_until", UtcDateTime),
)

transform_files = Table(
    "transform_files",
    metadata,
    Column("job", String(63), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("error", Text),
)

transform_shards = Table(
    "transform_shards",
    metadata,
    Column("job", String(63), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("file", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("lease", String(64)),
    Column("lease_until", UtcDateTime),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("records", BigInteger, nullable=False, server_default="0"),
    Column("failed", BigInteger, nullable=False, server_default="0"),
    Column("lines", BigInteger, nullable=False, server_default="0"),
    Column("part", String(128)),
)

# What ran, and for how long: kept when what it was is deleted.
usage = Table(
    "usage",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("instance_s", Float, nullable=False),
    Column("memory_mb_s", Float, nullable=False),
    Column("peak_bytes", BigInteger, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

scalable_targets = Table(
    "scalable_targets",
    metadata,
    Column("endpoint", String(63), primary_key=True),
    Column("variant", String(63), primary_key=True),
    Column("id", String(64), nullable=False),
    Column("min_capacity", Integer, nullable=False),
    Column("max_capacity", Integer, nullable=False),
    Column("role_arn", Text),
    Column("suspended", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# One for each target: there is one metric, and AWS takes one target tracking policy a metric.
scaling_policies = Table(
    "scaling_policies",
    metadata,
    Column("endpoint", String(63), primary_key=True),
    Column("variant", String(63), primary_key=True),
    Column("id", String(64), nullable=False),
    Column("name", String(256), nullable=False),
    Column("target_value", Float, nullable=False),
    Column("scale_out_cooldown_s", Integer),
    Column("scale_in_cooldown_s", Integer),
    Column("disable_scale_in", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

scaling_activities = Table(
    "scaling_activities",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("endpoint", String(63), nullable=False),
    Column("variant", String(63), nullable=False),
    Column("description", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("message", Text),
    Column("started_at", UtcDateTime, nullable=False, index=True),
    Column("ended_at", UtcDateTime),
)
