"""Tags of a resource, by its ARN."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, insert, select

from zerostart.metadata.tables import tags

BUCKET_ARN = "arn:aws:s3:::"


def put_tags(connection: Connection, arn: str, values: Mapping[str, str]) -> None:
    """Set tags; an existing key gets the new value."""
    delete_tags(connection, arn, values)
    if values:
        connection.execute(insert(tags), [{"arn": arn, "key": key, "value": value} for key, value in values.items()])


def list_tags(connection: Connection, arn: str) -> dict[str, str]:
    """Tags by key, sorted."""
    rows = connection.execute(select(tags.c.key, tags.c.value).where(tags.c.arn == arn).order_by(tags.c.key))
    return {row.key: row.value for row in rows}


def arns_tagged(connection: Connection, key: str, value: str) -> list[str]:
    """The resources with this tag, sorted."""
    query = select(tags.c.arn).where(tags.c.key == key, tags.c.value == value)
    return list(connection.execute(query.order_by(tags.c.arn)).scalars())


def tagged(connection: Connection, key: str) -> dict[str, str]:
    """The values of a tag by the ARNs that have it."""
    return {row.arn: row.value for row in connection.execute(select(tags).where(tags.c.key == key))}


def delete_tags(connection: Connection, arn: str, keys: Iterable[str] | None = None) -> None:
    """Remove the tags of `keys`, or all."""
    query = delete(tags).where(tags.c.arn == arn)
    if keys is not None:
        query = query.where(tags.c.key.in_(list(keys)))
    connection.execute(query)
