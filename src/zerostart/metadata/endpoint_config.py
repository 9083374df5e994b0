"""Endpoint configs: which models an endpoint serves, on how many instances."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from zerostart.metadata.rows import Page, PageRequest, insert_named, read_page
from zerostart.metadata.tables import endpoint_configs


@dataclass(frozen=True)
class Serverless:
    """A variant whose one instance runs only while it is asked for; always with `provisioned_concurrency`."""

    memory_mb: int
    max_concurrency: int
    provisioned_concurrency: int | None = None


@dataclass(frozen=True)
class ProductionVariant:
    """One model on some instances; invocations spread over variants by weight."""

    name: str
    model_name: str
    instance_count: int
    instance_type: str
    weight: float
    serverless: Serverless | None = None


def variant_values(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a variant from what `asdict` made of it."""
    serverless = stored.get("serverless")
    return {**stored, "serverless": Serverless(**serverless) if serverless else None}


@dataclass(frozen=True)
class Asynchronous:
    """Where answers of asynchronous invocations go: s3:// folders, and the key that encrypts what is written there."""

    output_uri: str
    failure_uri: str | None = None
    kms_key_id: str | None = None


@dataclass(frozen=True)
class EndpointConfig:
    """A created endpoint config. `asked` holds the accepted request in AWS's words, to be shown again."""

    name: str
    variants: tuple[ProductionVariant, ...]
    asked: Mapping[str, Any]
    created_at: datetime
    asynchronous: Asynchronous | None = None


def insert_endpoint_config(connection: Connection, config: EndpointConfig) -> bool:
    """Add a row; False if the name is taken."""
    values = {
        "name": config.name,
        "variants": [asdict(variant) for variant in config.variants],
        "asked": dict(config.asked),
        "created_at": config.created_at,
        "asynchronous": asdict(config.asynchronous) if config.asynchronous else None,
    }
    return insert_named(connection, endpoint_configs, values)


def get_endpoint_config(connection: Connection, name: str) -> EndpointConfig | None:
    """The endpoint config of that name."""
    row = connection.execute(select(endpoint_configs).where(endpoint_configs.c.name == name)).one_or_none()
    return _endpoint_config(row) if row else None


def list_endpoint_configs(connection: Connection, request: PageRequest) -> Page[EndpointConfig]:
    """One page of endpoint configs."""
    return read_page(connection, endpoint_configs, request, _endpoint_config)


def delete_endpoint_config(connection: Connection, name: str) -> bool:
    """Remove a row; False if there was none."""
    return connection.execute(delete(endpoint_configs).where(endpoint_configs.c.name == name)).rowcount == 1


def _endpoint_config(row: Row[Any]) -> EndpointConfig:
    variants = tuple(ProductionVariant(**variant_values(variant)) for variant in row.variants)
    asynchronous = Asynchronous(**row.asynchronous) if row.asynchronous else None
    return EndpointConfig(row.name, variants, row.asked, row.created_at, asynchronous)
