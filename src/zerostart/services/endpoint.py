"""Use cases of endpoints."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from zerostart.errors import AlreadyExists, LimitExceeded, NotFound
from zerostart.hosting.router import Router
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import (
    DeployedVariant,
    Endpoint,
    EndpointStatus,
    all_endpoints,
    change_endpoint_status,
    get_endpoint,
    insert_endpoint,
    list_endpoints,
)
from zerostart.metadata.endpoint_config import EndpointConfig, get_endpoint_config
from zerostart.metadata.model import get_model
from zerostart.metadata.rows import Page, PageRequest
from zerostart.metadata.tag import delete_tags, put_tags
from zerostart.services.arn import Arns


@dataclass(frozen=True)
class EndpointState:
    """An endpoint, and how many instances of each variant take invocations now."""

    endpoint: Endpoint
    ready_instances: Mapping[str, int]


class EndpointService:
    """Writes what is wanted; the reconciler makes it so. `max_instances` bounds all endpoints together."""

    def __init__(
        self, database: Database, router: Router, arns: Arns, wake: Callable[[], None], max_instances: int
    ) -> None:
        self._database = database
        self._router = router
        self._arns = arns
        self._wake = wake
        self._max_instances = max_instances

    def create_endpoint(self, name: str, config_name: str, tags: Mapping[str, str]) -> str:
        """Create an endpoint and return its ARN; it is Creating until its instances are ready.

        Raises NotFound for an unknown config or model, AlreadyExists for a taken name, LimitExceeded for too many
        instances.
        """
        arn = self._arns.of("endpoint", name)
        now = datetime.now(UTC)
        with self._database.transaction() as connection:
            config = get_endpoint_config(connection, config_name)
            if config is None:
                wanted = self._arns.of("endpoint-config", config_name)
                raise NotFound(f'Could not find endpoint configuration "{wanted}".')
            variants = self._resolve(connection, config)
            endpoint = Endpoint(name, config_name, EndpointStatus.CREATING, variants, now, now)
            if not insert_endpoint(connection, endpoint):
                raise AlreadyExists(f'Cannot create already existing endpoint "{arn}".')
            self._check_limit(connection)
            put_tags(connection, arn, tags)
        self._wake()
        return arn

    def describe_endpoint(self, name: str) -> EndpointState:
        """The endpoint of that name; raises NotFound."""
        with self._database.transaction() as connection:
            endpoint = get_endpoint(connection, name)
        if endpoint is None:
            raise NotFound(f'Could not find endpoint "{self._arns.of("endpoint", name)}".')
        return EndpointState(endpoint, {each.name: len(each.instances) for each in self._router.variants(name)})

    def list_endpoints(self, request: PageRequest) -> Page[Endpoint]:
        """One page of endpoints."""
        with self._database.transaction() as connection:
            return list_endpoints(connection, request)

    def delete_endpoint(self, name: str) -> None:
        """Stop an endpoint and remove it; it is Deleting until its instances ended. Raises NotFound."""
        arn = self._arns.of("endpoint", name)
        with self._database.transaction() as connection:
            if get_endpoint(connection, name) is None:
                raise NotFound(f'Could not find endpoint "{arn}".')
            old = [status for status in EndpointStatus if status is not EndpointStatus.DELETING]
            change_endpoint_status(connection, name, old=old, new=EndpointStatus.DELETING, at=datetime.now(UTC))
            delete_tags(connection, arn)
        self._wake()

    def _resolve(self, connection: Connection, config: EndpointConfig) -> tuple[DeployedVariant, ...]:
        resolved = []
        for variant in config.variants:
            model = get_model(connection, variant.model_name)
            if model is None:
                raise NotFound(f'Could not find model "{self._arns.of("model", variant.model_name)}".')
            resolved.append(DeployedVariant(**asdict(variant), model_id=model.model_id))
        return tuple(resolved)

    def _check_limit(self, connection: Connection) -> None:
        """Count the new endpoint's instances too: it is in the table already, and goes again with the transaction."""
        live = [each for each in all_endpoints(connection) if each.status is not EndpointStatus.FAILED]
        total = sum(variant.instance_count for endpoint in live for variant in endpoint.variants)
        if total > self._max_instances:
            raise LimitExceeded(
                f"With this endpoint {total} instances would run; the limit is {self._max_instances}. "
                "Delete an endpoint, ask for fewer instances, or raise the setting max_instances."
            )
