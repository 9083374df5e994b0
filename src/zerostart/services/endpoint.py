"""Use cases of endpoints."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from zerostart.errors import AlreadyExists, InvalidInput, LimitExceeded, NotFound, NotUpdatable
from zerostart.hosting.router import Router
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import (
    DeployedVariant,
    Endpoint,
    EndpointStatus,
    EndpointUpdate,
    all_endpoints,
    begin_endpoint_update,
    change_endpoint_status,
    get_endpoint,
    insert_endpoint,
    instances_wanted,
    list_endpoints,
    replace_endpoint_variants,
)
from zerostart.metadata.endpoint_config import EndpointConfig, ProductionVariant, get_endpoint_config
from zerostart.metadata.model import get_model
from zerostart.metadata.rows import Page, PageRequest
from zerostart.metadata.tag import delete_tags, put_tags
from zerostart.services.arn import Arns
from zerostart.services.idle import idle_timeout_s


@dataclass(frozen=True)
class EndpointState:
    """An endpoint, and how many instances of each variant take invocations now."""

    endpoint: Endpoint
    ready_instances: Mapping[str, int]


@dataclass(frozen=True)
class DesiredCapacity:
    """What a variant shall have from now on; None leaves it as it is."""

    variant: str
    weight: float | None = None
    instance_count: int | None = None
    max_concurrency: int | None = None
    provisioned_concurrency: int | None = None


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
            config = self._config(connection, config_name)
            variants = self._resolve(connection, config)
            endpoint = Endpoint(
                name, config_name, EndpointStatus.CREATING, variants, now, now, asynchronous=config.asynchronous
            )
            if not insert_endpoint(connection, endpoint):
                raise AlreadyExists(f'Cannot create already existing endpoint "{arn}".')
            self._check_limit(connection)
            put_tags(connection, arn, tags)
        self._wake()
        return arn

    def describe_endpoint(self, name: str) -> EndpointState:
        """The endpoint of that name; raises NotFound."""
        with self._database.transaction() as connection:
            endpoint = self._found(connection, name)
        return EndpointState(endpoint, {each.name: len(each.instances) for each in self._router.variants(name)})

    def list_endpoints(self, request: PageRequest) -> Page[Endpoint]:
        """One page of endpoints."""
        with self._database.transaction() as connection:
            return list_endpoints(connection, request)

    def update_endpoint(self, name: str, config_name: str, retained: Collection[str] = ()) -> str:
        """Have an endpoint serve another config and return its ARN; it goes on serving the old one until then.

        Of variants that both have, `retained` fields ("weight", "instance_count") keep their present values. Raises
        NotFound, NotUpdatable for an endpoint that is not InService, LimitExceeded.
        """
        with self._database.transaction() as connection:
            endpoint = self._found(connection, name)
            present = {variant.name: variant for variant in endpoint.variants}
            config = self._config(connection, config_name)
            variants = tuple(
                replace(each, **{key: getattr(present[each.name], key) for key in retained})
                if each.name in present
                else each
                for each in self._resolve(connection, config)
            )
            coming = EndpointUpdate(config_name, variants, config.asynchronous)
            if not begin_endpoint_update(connection, name, coming, datetime.now(UTC)):
                raise self._not_updatable(endpoint)
            self._check_limit(connection)
        self._wake()
        return self._arns.of("endpoint", name)

    def change_capacities(self, name: str, desired: Sequence[DesiredCapacity]) -> str:
        """Give variants of an endpoint other weights and instance counts, and return its ARN.

        Raises NotFound, InvalidInput for an unknown variant, NotUpdatable, LimitExceeded.
        """
        with self._database.transaction() as connection:
            endpoint = self._found(connection, name)
            variants = {variant.name: variant for variant in endpoint.variants}
            for each in desired:
                if each.variant not in variants:
                    raise InvalidInput(f"Variant {each.variant} is not one of endpoint {name}: {', '.join(variants)}.")
                variants[each.variant] = _with_capacity(variants[each.variant], each)
            if not replace_endpoint_variants(connection, name, list(variants.values()), datetime.now(UTC)):
                raise self._not_updatable(endpoint)
            self._check_limit(connection)
        self._wake()
        return self._arns.of("endpoint", name)

    def delete_endpoint(self, name: str) -> None:
        """Stop an endpoint and remove it; it is Deleting until its instances ended. Raises NotFound."""
        arn = self._arns.of("endpoint", name)
        with self._database.transaction() as connection:
            self._found(connection, name)
            old = [status for status in EndpointStatus if status is not EndpointStatus.DELETING]
            change_endpoint_status(connection, name, old=old, new=EndpointStatus.DELETING, at=datetime.now(UTC))
            delete_tags(connection, arn)
        self._wake()

    def _found(self, connection: Connection, name: str) -> Endpoint:
        endpoint = get_endpoint(connection, name)
        if endpoint is None:
            raise NotFound(f'Could not find endpoint "{self._arns.of("endpoint", name)}".')
        return endpoint

    def _not_updatable(self, endpoint: Endpoint) -> NotUpdatable:
        arn = self._arns.of("endpoint", endpoint.name)
        return NotUpdatable(
            f'Cannot update endpoint "{arn}" while it is {endpoint.status}: wait until it is InService.'
            if endpoint.status is not EndpointStatus.FAILED
            else f'Cannot update endpoint "{arn}" which is Failed: delete it and create it again.'
        )

    def _config(self, connection: Connection, name: str) -> EndpointConfig:
        config = get_endpoint_config(connection, name)
        if config is None:
            raise NotFound(f'Could not find endpoint configuration "{self._arns.of("endpoint-config", name)}".')
        return config

    def _resolve(self, connection: Connection, config: EndpointConfig) -> tuple[DeployedVariant, ...]:
        resolved = []
        for variant in config.variants:
            model = get_model(connection, variant.model_name)
            if model is None:
                raise NotFound(f'Could not find model "{self._arns.of("model", variant.model_name)}".')
            values = {each.name: getattr(variant, each.name) for each in fields(ProductionVariant)}
            isolated = bool(model.asked.get("EnableNetworkIsolation"))
            resolved.append(
                DeployedVariant(
                    **values,
                    model_id=model.model_id,
                    network_isolation=isolated,
                    profile=model.profile,
                    idle_timeout_s=idle_timeout_s(model.asked),
                )
            )
        return tuple(resolved)

    def _check_limit(self, connection: Connection) -> None:
        """Count what was just written too: it goes again with the transaction."""
        total = instances_wanted(all_endpoints(connection))
        if total > self._max_instances:
            raise LimitExceeded(
                f"With this {total} instances would run; the limit is {self._max_instances}. "
                "Delete an endpoint, ask for fewer instances, or raise the setting max_instances."
            )


def _with_capacity(variant: DeployedVariant, desired: DesiredCapacity) -> DeployedVariant:
    if desired.instance_count is not None and desired.instance_count < 1:
        raise InvalidInput(
            f"DesiredInstanceCount of variant {variant.name} is {desired.instance_count}: ask for at least 1, or "
            "delete the endpoint."
        )
    serverless = {
        key: value
        for key in ("max_concurrency", "provisioned_concurrency")
        if (value := getattr(desired, key)) is not None
    }
    if serverless and variant.serverless is None:
        raise InvalidInput(f"Variant {variant.name} is not serverless: leave ServerlessUpdateConfig out.")
    if desired.instance_count is not None and variant.serverless is not None:
        raise InvalidInput(f"Variant {variant.name} is serverless: leave DesiredInstanceCount out.")
    return replace(
        variant,
        weight=variant.weight if desired.weight is None else desired.weight,
        instance_count=variant.instance_count if desired.instance_count is None else desired.instance_count,
        serverless=replace(variant.serverless, **serverless) if variant.serverless else None,
    )
