"""Scaling policies: how many invocations a minute an instance of a scalable target shall have."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, select, true

from zerostart.metadata.rows import Page, PageRequest, read_page
from zerostart.metadata.scalable_target import ScaledVariant, is_of, replace_row
from zerostart.metadata.tables import scaling_policies

_DEFAULT_COOLDOWN_S = 300


@dataclass(frozen=True)
class ScalingPolicy:
    """Target tracking: `target_value` is invocations a minute and instance. A cooldown of None is AWS's default."""

    of: ScaledVariant
    id: str
    name: str
    target_value: float
    created_at: datetime
    scale_out_cooldown_s: int | None = None
    scale_in_cooldown_s: int | None = None
    disable_scale_in: bool = False

    @property
    def out_cooldown_s(self) -> int:
        """How long no other scale-out follows one, unless it is a larger one."""
        return _DEFAULT_COOLDOWN_S if self.scale_out_cooldown_s is None else self.scale_out_cooldown_s

    @property
    def in_cooldown_s(self) -> int:
        """How long fewer instances have to be enough before there are fewer."""
        return _DEFAULT_COOLDOWN_S if self.scale_in_cooldown_s is None else self.scale_in_cooldown_s


def put_scaling_policy(connection: Connection, policy: ScalingPolicy) -> None:
    """Add a policy, or replace the one of this variant."""
    values = {
        "id": policy.id,
        "name": policy.name,
        "target_value": policy.target_value,
        "scale_out_cooldown_s": policy.scale_out_cooldown_s,
        "scale_in_cooldown_s": policy.scale_in_cooldown_s,
        "disable_scale_in": policy.disable_scale_in,
        "created_at": policy.created_at,
    }
    replace_row(connection, scaling_policies, policy.of, values)


def get_scaling_policy(connection: Connection, of: ScaledVariant) -> ScalingPolicy | None:
    """The policy of a variant."""
    row = connection.execute(select(scaling_policies).where(is_of(scaling_policies, [of]))).one_or_none()
    return _policy(row) if row else None


def all_scaling_policies(connection: Connection) -> dict[ScaledVariant, ScalingPolicy]:
    """Every policy, by its variant."""
    policies = [_policy(row) for row in connection.execute(select(scaling_policies))]
    return {policy.of: policy for policy in policies}


def list_scaling_policies(
    connection: Connection, request: PageRequest, of: ScaledVariant | None, names: Collection[str]
) -> Page[ScalingPolicy]:
    """One page of policies: all, or those of a variant, or of some names."""
    table = scaling_policies
    where = and_(*([is_of(table, [of])] if of else []), table.c.name.in_(names) if names else true())
    return read_page(connection, table, request, _policy, key="id", where=where)


def delete_scaling_policy(connection: Connection, of: ScaledVariant, name: str) -> bool:
    """Remove a policy; False if there was none of that name."""
    query = delete(scaling_policies).where(is_of(scaling_policies, [of]), scaling_policies.c.name == name)
    return connection.execute(query).rowcount == 1


def _policy(row: Row[Any]) -> ScalingPolicy:
    return ScalingPolicy(
        of=ScaledVariant(row.endpoint, row.variant),
        id=row.id,
        name=row.name,
        target_value=row.target_value,
        created_at=row.created_at,
        scale_out_cooldown_s=row.scale_out_cooldown_s,
        scale_in_cooldown_s=row.scale_in_cooldown_s,
        disable_scale_in=row.disable_scale_in,
    )
