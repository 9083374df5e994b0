"""Use cases of tags."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from zerostart.errors import NotFound
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import get_endpoint
from zerostart.metadata.endpoint_config import get_endpoint_config
from zerostart.metadata.model import get_model
from zerostart.metadata.tag import arns_tagged, delete_tags, list_tags, put_tags
from zerostart.metadata.transform_job import get_transform_job, transform_progress
from zerostart.services.arn import ACCOUNT_ID

_FINDERS = {
    "model": get_model,
    "endpoint-config": get_endpoint_config,
    "endpoint": get_endpoint,
    "transform-job": get_transform_job,
}


class TagService:
    """Tags belong to a resource that exists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_tags(self, arn: str) -> Mapping[str, str]:
        """Tags by key; raises NotFound for an unknown resource."""
        with self._database.transaction() as connection:
            _require(connection, arn)
            return {**list_tags(connection, arn), **_counts(connection, arn)}

    def add_tags(self, arn: str, tags: Mapping[str, str]) -> Mapping[str, str]:
        """Set tags and return all; raises NotFound for an unknown resource."""
        with self._database.transaction() as connection:
            _require(connection, arn)
            put_tags(connection, arn, tags)
            return list_tags(connection, arn)

    def delete_tags(self, arn: str, keys: Iterable[str]) -> None:
        """Remove the tags of `keys`; raises NotFound for an unknown resource."""
        with self._database.transaction() as connection:
            _require(connection, arn)
            delete_tags(connection, arn, keys)

    def arns_tagged(self, key: str, value: str) -> Sequence[str]:
        """The resources that have this tag."""
        with self._database.transaction() as connection:
            return arns_tagged(connection, key, value)


def _require(connection: Connection, arn: str) -> None:
    parts = arn.split(":", 5)
    kind, _, name = parts[5].partition("/") if len(parts) == 6 and parts[4] == ACCOUNT_ID else ("", "", "")
    finder = _FINDERS.get(kind)
    if finder is None or finder(connection, name) is None:
        raise NotFound(f'Could not find resource "{arn}".')


def _counts(connection: Connection, arn: str) -> dict[str, str]:
    """What a transform job counted, as tags: AWS's descriptions have no place for it."""
    kind, _, name = arn.split(":", 5)[5].partition("/")
    if kind != "transform-job":
        return {}
    progress = transform_progress(connection, name)
    return {"zerostart:failed": str(progress.failed), "zerostart:records": str(progress.records)}
