"""Use cases of endpoint configs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from zerostart.errors import AlreadyExists, InvalidInput, NotFound
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint_config import (
    Asynchronous,
    EndpointConfig,
    ProductionVariant,
    delete_endpoint_config,
    get_endpoint_config,
    insert_endpoint_config,
    list_endpoint_configs,
)
from zerostart.metadata.model import get_model
from zerostart.metadata.rows import Page, PageRequest
from zerostart.metadata.tag import delete_tags, put_tags
from zerostart.services.arn import Arns
from zerostart.storage.base import parse_uri


class EndpointConfigService:
    """An endpoint config says which models an endpoint serves, on how many instances."""

    def __init__(self, database: Database, arns: Arns) -> None:
        self._database = database
        self._arns = arns

    def create_endpoint_config(
        self,
        name: str,
        variants: Sequence[ProductionVariant],
        asked: Mapping[str, Any],
        tags: Mapping[str, str],
        asynchronous: Asynchronous | None = None,
    ) -> str:
        """Create an endpoint config and return its ARN.

        Raises InvalidInput for variants of one name, NotFound for an unknown model, AlreadyExists for a taken name.
        """
        names = [variant.name for variant in variants]
        if len(set(names)) != len(names):
            raise InvalidInput(f"Variant names must differ: {', '.join(names)}.")
        if asynchronous is not None:
            for uri in filter(None, (asynchronous.output_uri, asynchronous.failure_uri)):
                parse_uri(uri)
        if len(variants) > 1 and any(variant.serverless for variant in variants):
            raise InvalidInput("A serverless variant stands alone: give one ProductionVariant.")
        arn = self._arns.of("endpoint-config", name)
        with self._database.transaction() as connection:
            for variant in variants:
                if get_model(connection, variant.model_name) is None:
                    raise NotFound(f'Could not find model "{self._arns.of("model", variant.model_name)}".')
            config = EndpointConfig(name, tuple(variants), asked, datetime.now(UTC), asynchronous)
            if not insert_endpoint_config(connection, config):
                raise AlreadyExists(f'Cannot create already existing endpoint configuration "{arn}".')
            put_tags(connection, arn, tags)
        return arn

    def describe_endpoint_config(self, name: str) -> EndpointConfig:
        """The endpoint config of that name; raises NotFound."""
        with self._database.transaction() as connection:
            config = get_endpoint_config(connection, name)
        if config is None:
            raise NotFound(f'Could not find endpoint configuration "{self._arns.of("endpoint-config", name)}".')
        return config

    def list_endpoint_configs(self, request: PageRequest) -> Page[EndpointConfig]:
        """One page of endpoint configs."""
        with self._database.transaction() as connection:
            return list_endpoint_configs(connection, request)

    def delete_endpoint_config(self, name: str) -> None:
        """Remove an endpoint config; endpoints made from it go on. Raises NotFound."""
        arn = self._arns.of("endpoint-config", name)
        with self._database.transaction() as connection:
            if not delete_endpoint_config(connection, name):
                raise NotFound(f'Could not find endpoint configuration "{arn}".')
            delete_tags(connection, arn)
